//! Export of traces to an OpenTelemetry collector, by OTLP over HTTP. Spans are sent in batches in
//! the background. A failed export does not affect requests.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use reqwest::redirect::Policy;
use tokio::runtime::Handle;
use url::Url;

/// Time limit for a request to the collector, and for the last export when the process ends.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(2);

/// Running export, or nothing if no collector is configured.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Starts the export if a collector is configured. Must be called on the runtime that is to
    /// send the requests.
    ///
    /// # Errors
    /// Returns one line of text when the HTTP client or the exporter cannot be built.
    pub fn start(collector: Option<&Url>) -> Result<Self, String> {
        let Some(collector) = collector else { return Ok(Self(None)) };
        let client =
            reqwest::Client::builder().timeout(EXPORT_TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(|error| format!("traces: {error}"))?;
        let sender =
            Sender { client, runtime: Handle::current(), has_failed: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.as_str().trim_end_matches('/')))
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| format!("traces: {error}"))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty()
            .with_service_name(env!("CARGO_PKG_NAME"))
            .with_attribute(version);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build())
            .build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Sends the remaining spans and stops the export.
    pub async fn shutdown(self) {
        let Some(provider) = self.0 else { return };
        let ended =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(EXPORT_TIMEOUT))
                .await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// HTTP client of the exporter. The exporter calls it from a thread without a runtime, so requests
/// run on `runtime`.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    has_failed: AtomicBool,
}

#[async_trait]
impl HttpClient for Sender {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.runtime.spawn(send(self.client.clone(), request)).await;
        let answer = match sent {
            Ok(answer) => answer,
            Err(error) => Err(HttpError::from(error)),
        };
        let has_failed = match &answer {
            Ok(answer) => !answer.status().is_success(),
            Err(_) => true,
        };
        // A series of failures is reported once, not with every batch.
        if has_failed && !self.has_failed.swap(has_failed, Ordering::Relaxed) {
            tracing::warn!(
                "traces do not reach the collector (--otlp-endpoint, SCIM_OTLP_ENDPOINT)"
            );
        }
        self.has_failed.store(has_failed, Ordering::Relaxed);
        answer
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let answer = client.execute(request.try_into()?).await?;
    let status = answer.status();
    let mut response = Response::new(answer.bytes().await?);
    *response.status_mut() = status;
    Ok(response)
}
