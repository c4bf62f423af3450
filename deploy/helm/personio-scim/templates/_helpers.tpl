{{/* Name of all objects. A Service with this name must not be longer than 63 characters, a pod adds a suffix. */}}
{{- define "personio-scim.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels by which the pod is selected. They never change: a StatefulSet refuses it. */}}
{{- define "personio-scim.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "personio-scim.labels" -}}
{{ include "personio-scim.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "personio-scim.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/*
Settings that the chart derives from its values, as YAML of a map. The one place for them: `settings` must not contain
any of them.
*/}}
{{- define "personio-scim.derivedSettings" -}}
{{- $secrets := "/run/secrets/personio-scim" -}}
PERSONIO_CLIENT_ID: {{ .Values.personio.clientId | quote }}
PERSONIO_CLIENT_SECRET_FILE: {{ printf "%s/%s" $secrets .Values.secret.keys.clientSecret }}
{{- with .Values.secret.keys.bearerToken }}
SCIM_BEARER_TOKEN_FILE: {{ printf "%s/%s" $secrets . }}
{{- end }}
{{- with .Values.secret.keys.webhookToken }}
SCIM_WEBHOOK_TOKEN_FILE: {{ printf "%s/%s" $secrets . }}
{{- end }}
SCIM_PUBLIC_URL: {{ .Values.publicUrl | quote }}
SCIM_LISTEN: 0.0.0.0:8080
SCIM_METRICS_LISTEN: 0.0.0.0:9090
# A restart serves the state file at once.
SCIM_STATE_FILE: /var/lib/personio-scim/state
SCIM_STATE_KEY_FILE: {{ printf "%s/%s" $secrets .Values.secret.keys.stateKey }}
{{- if .Values.tls.secretName }}
SCIM_TLS_CERT: /run/secrets/tls/tls.crt
SCIM_TLS_KEY: /run/secrets/tls/tls.key
{{- end }}
{{- if .Values.config.secretName }}
SCIM_CONFIG: {{ printf "/run/secrets/config/%s" .Values.config.key }}
{{- end }}
{{- end -}}

{{/* All settings as the list of a container's variables. A secret would be readable in the release, so none is accepted. */}}
{{- define "personio-scim.env" -}}
{{- $derived := include "personio-scim.derivedSettings" . | fromYaml -}}
{{- $reserved := list "PERSONIO_CLIENT_SECRET" "SCIM_BEARER_TOKEN" "SCIM_WEBHOOK_TOKEN" "SCIM_WEBHOOK_TOKEN_FILE" "SCIM_BEARER_TOKEN_FILE" "SCIM_STATE_KEY" "SCIM_TLS_CERT" "SCIM_TLS_KEY" "SCIM_CONFIG" -}}
{{- range $name, $value := .Values.settings -}}
{{- if or (hasKey $derived $name) (has $name $reserved) -}}
{{- fail (printf "settings.%s: the chart sets this variable; use the value for it (secret, config, tls, publicUrl, personio)" $name) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := merge (deepCopy .Values.settings) $derived }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end -}}
{{- end -}}
