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
use tokio::runtime::Handle;
use url::Url;

use crate::http_client;
use crate::http_client::Reach;

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
        let client = http_client::builder(Reach::Any, EXPORT_TIMEOUT).build();
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
        let shutdown =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(EXPORT_TIMEOUT));
        let reason = match shutdown.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        tracing::warn!("the last traces could not be sent: {reason}");
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
        let result = match sent {
            Ok(result) => result,
            Err(error) => Err(HttpError::from(error)),
        };
        let failure = match &result {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it responded with status {}", response.status())),
            Err(error) => Some(describe_failure(error.as_ref()).to_owned()),
        };
        let had_failed = self.has_failed.swap(failure.is_some(), Ordering::Relaxed);
        // A series of failures is reported once, not with every batch.
        if let Some(reason) = failure
            && !had_failed
        {
            tracing::warn!(
                "traces do not reach the collector (--otlp-endpoint, SCIM_OTLP_ENDPOINT): {reason}"
            );
        }
        result
    }
}

/// Describes the failure of a request. The error itself is not quoted, because it contains the URL.
fn describe_failure(error: &(dyn std::error::Error + Send + Sync + 'static)) -> &'static str {
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_timeout() => "it did not respond in time",
        Some(error) if error.is_connect() => "no connection can be established",
        Some(_) | None => "the request failed before its response was complete",
    }
}

async fn send(
    client: reqwest::Client,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let received = client.execute(request.try_into()?).await?;
    let status = received.status();
    let mut response = Response::new(received.bytes().await?);
    *response.status_mut() = status;
    Ok(response)
}
