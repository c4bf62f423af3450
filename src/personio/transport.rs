//! One HTTP exchange with Personio: rate limiter, time limit, size limit, and the statuses that
//! mean the same for every endpoint.

use std::io;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Request, Response, StatusCode, Url};

use crate::http_client;
use crate::http_client::Reach;
use crate::personio::metrics::UpstreamMetrics;
use crate::personio::rate_limit::bucket::RateLimit;
use crate::personio::rate_limit::limiter::RateLimiter;
use crate::personio::{ConnectionFault, Endpoint, Error, Settings};

/// Maximum time to establish a connection.
const MAX_CONNECT_TIME: Duration = Duration::from_secs(10);
/// Maximum length of a trace id in a log line, in bytes.
const MAX_TRACE_ID_BYTES: usize = 64;

/// Response that is neither a redirect nor a 429 nor a server error.
#[derive(Debug)]
pub(super) struct UpstreamResponse {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// Sender of HTTP requests to Personio.
#[derive(Debug)]
pub(super) struct UpstreamTransport {
    http: reqwest::Client,
    /// Host and port of the base URL, for errors.
    host: Box<str>,
    rate_limiter: RateLimiter,
    max_response_bytes: usize,
    pub(super) metrics: UpstreamMetrics,
}

impl UpstreamTransport {
    /// Creates a transport for the base URL.
    ///
    /// Every request names this program and its app id ("Request headers" in Personio's
    /// documentation).
    pub(super) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-personio-app-id"), settings.app_id.clone());
        let builder = http_client::builder(Reach::of_url(&settings.base_url), settings.timeout)
            .default_headers(headers)
            .connect_timeout(settings.timeout.min(MAX_CONNECT_TIME));
        Ok(Self {
            http: builder.build()?,
            host: host_and_port(&settings.base_url).into(),
            rate_limiter: RateLimiter::new(settings.max_concurrency),
            max_response_bytes: settings.limits.response_bytes,
            metrics: UpstreamMetrics::default(),
        })
    }

    /// Returns the rate limits that endpoints have advertised so far.
    pub(super) fn advertised_limits(&self) -> Vec<(Endpoint, RateLimit)> {
        self.rate_limiter.advertised_limits()
    }

    /// Returns the endpoints that advertise an implausible rate limit.
    pub(super) fn implausible_limits(&self) -> Vec<Endpoint> {
        self.rate_limiter.implausible_limits()
    }

    /// Sends a request and reads its response.
    pub(super) async fn exchange(
        &self,
        endpoint: Endpoint,
        request: Request,
    ) -> Result<UpstreamResponse, Error> {
        let queued_at = Instant::now();
        let permit = self.rate_limiter.acquire(endpoint).await?;
        self.metrics.record_wait(queued_at.elapsed());
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                self.metrics.record_no_response(endpoint);
                return Err(self.unreachable(endpoint, connection_fault(&error)));
            }
        };
        let status = response.status();
        self.metrics.record_response(endpoint, status.as_u16());
        let retry_after = retry_after(response.headers());
        if status == StatusCode::TOO_MANY_REQUESTS {
            permit.record_rate_limited(response.headers(), retry_after);
            return Err(Error::RateLimited { endpoint, retry_after });
        }
        if status.is_server_error() {
            permit.record_server_error(response.headers());
        } else {
            permit.record_success(response.headers());
        }
        if status.is_redirection() {
            let target = redirect_target(&response);
            return Err(Error::Redirected { endpoint, status: status.as_u16(), target });
        }
        let body = self.read_body(endpoint, response).await;
        if status.is_server_error() {
            // The status counts, also if the body cannot be read.
            let trace_id = trace_id(&body.unwrap_or_default());
            return Err(Error::Server { endpoint, status: status.as_u16(), trace_id, retry_after });
        }
        Ok(UpstreamResponse { status, body: body? })
    }

    async fn read_body(
        &self,
        endpoint: Endpoint,
        mut response: Response,
    ) -> Result<Vec<u8>, Error> {
        let max_bytes = self.max_response_bytes;
        let mut body = Vec::new();
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(body),
                Err(error) => return Err(self.unreachable(endpoint, connection_fault(&error))),
            };
            if body.len() + chunk.len() > max_bytes {
                let reason =
                    format!("it is larger than {max_bytes} bytes, the limit of one response");
                return Err(Error::unreadable(endpoint, reason));
            }
            body.extend_from_slice(&chunk);
        }
    }

    /// Returns the error of a request that `fault` ended.
    pub(super) fn unreachable(&self, endpoint: Endpoint, fault: ConnectionFault) -> Error {
        Error::Unreachable { endpoint, host: self.host.clone(), fault }
    }
}

/// Returns host and port of a URL, for example `api.personio.de:443`.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Returns the cause of a failed request. The error itself is never quoted, since it can contain
/// the URL.
fn connection_fault(error: &reqwest::Error) -> ConnectionFault {
    if error.is_timeout() {
        return ConnectionFault::Timeout;
    }
    if error.is_dns() {
        return ConnectionFault::NameResolution;
    }
    if !error.is_connect() {
        return ConnectionFault::Broken;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(_)) => return ConnectionFault::Certificate,
            Some(rustls::Error::InvalidMessage(_)) => return ConnectionFault::NotTls,
            Some(_) => return ConnectionFault::Connection,
            None => {}
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return ConnectionFault::Refused;
            }
            // `source` of an `io::Error` skips the error that it wraps.
            Some(error) => {
                error.get_ref().map(|wrapped| wrapped as &(dyn std::error::Error + 'static))
            }
            None => error.source(),
        };
    }
    ConnectionFault::Connection
}

/// Returns the origin that a redirect points to. Its path and query can contain anything, and are
/// left out.
fn redirect_target(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let target = response.url().join(location).ok()?;
    target.host_str()?;
    Some(target.origin().ascii_serialization())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Returns Personio's id of a failed request, if the body contains one that may appear in a log
/// line.
pub(super) fn trace_id(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct FailureBody {
        #[serde(alias = "personio_trace_id")]
        trace_id: String,
    }
    let FailureBody { trace_id: id } = serde_json::from_slice(body).ok()?;
    let has_valid_length = (1..=MAX_TRACE_ID_BYTES).contains(&id.len());
    if has_valid_length && id.bytes().all(is_trace_id_byte) { Some(id) } else { None }
}

fn is_trace_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'.')
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn only_a_loggable_trace_id_is_kept() {
        for (body, expected) in [
            (r#"{"personio_trace_id":"4bf92f-35","errors":[]}"#, Some("4bf92f-35")),
            (r#"{"error":"invalid_client","trace_id":"abc"}"#, Some("abc")),
            (r#"{"personio_trace_id":""}"#, None),
            (r#"{"personio_trace_id":"a b\n"}"#, None),
            (r#"{"error":{"message":"x"}}"#, None),
            ("<html>", None),
        ] {
            assert_eq!(trace_id(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }
}
