//! Sends what is traced to an OpenTelemetry collector, by OTLP over HTTP, now and then and on the side: whatever becomes
//! of it, requests are answered as without it.

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

/// How long the collector may take, at the end as well.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Tracing that has begun.
pub struct Traces(Option<SdkTracerProvider>);

impl Traces {
    /// Traces from now on, if there is a collector. Must be called on the runtime that is to send.
    ///
    /// # Errors
    /// When there is no way to send anything: one line.
    pub fn start(collector: Option<&Url>) -> Result<Self, String> {
        let Some(collector) = collector else { return Ok(Self(None)) };
        let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(Policy::none()).build();
        let client = client.map_err(|error| format!("traces: {error}"))?;
        let sender = Sender { client, runtime: Handle::current(), has_failed: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", collector.as_str().trim_end_matches('/')))
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| format!("traces: {error}"))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name(env!("CARGO_PKG_NAME")).with_attribute(version);
        let provider =
            SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build();
        global::set_tracer_provider(provider.clone());
        Ok(Self(Some(provider)))
    }

    /// Sends what has not been sent yet.
    pub async fn end(self) {
        let Some(provider) = self.0 else { return };
        let ended = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(TIMEOUT)).await;
        if !matches!(ended, Ok(Ok(()))) {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

/// Spans are sent from a thread that has no runtime.
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
        let answer = sent.map_err(HttpError::from).and_then(|answer| answer);
        let has_failed = !answer.as_ref().is_ok_and(|answer| answer.status().is_success());
        // Once, and not every few seconds.
        if has_failed && !self.has_failed.swap(has_failed, Ordering::Relaxed) {
            tracing::warn!("traces do not reach the collector (--otlp-endpoint, SCIM_OTLP_ENDPOINT)");
        }
        self.has_failed.store(has_failed, Ordering::Relaxed);
        answer
    }
}

async fn send(client: reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let answer = client.execute(request.try_into()?).await?;
    let status = answer.status();
    let mut response = Response::new(answer.bytes().await?);
    *response.status_mut() = status;
    Ok(response)
}
