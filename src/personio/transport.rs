//! One HTTP exchange with Personio: the turn in the throttle, the time limit, the size limit, and
//! the statuses that mean the same for every endpoint.

use std::io;
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, LOCATION, RETRY_AFTER};
use reqwest::{Request, Response, StatusCode, Url, redirect};

use crate::personio::metrics::Traffic;
use crate::personio::rate_limit::bucket::Limit;
use crate::personio::rate_limit::limiter::Throttle;
use crate::personio::{Endpoint, Error, Obstacle, Settings};

/// An answer that is neither a redirect nor 429 nor 5xx.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Vec<u8>,
}

/// The way to Personio.
#[derive(Debug)]
pub(super) struct Transport {
    http: reqwest::Client,
    /// Host and port of the base URL, for errors.
    host: Box<str>,
    throttle: Throttle,
    /// Most bytes of an answer that are read.
    max_answer_bytes: usize,
    pub(super) traffic: Traffic,
}

impl Transport {
    /// A way to the base URL. Redirects are never followed: the token is for one origin only.
    /// Every request says which program it is from (Personio's "Request headers").
    pub(super) fn new(settings: &Settings) -> Result<Self, reqwest::Error> {
        let timeout = settings.timeout;
        let builder = reqwest::Client::builder()
            .user_agent(concat!("personio-scim/", env!("CARGO_PKG_VERSION")))
            .default_headers(
                [(HeaderName::from_static("x-personio-app-id"), settings.app_id.clone())].into_iter().collect(),
            )
            .redirect(redirect::Policy::none())
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .timeout(timeout);
        let builder = if settings.base_url.scheme() == "http" {
            // Plain http goes to this machine only: no proxy, and no certificates to look for.
            builder.no_proxy().tls_certs_only([])
        } else {
            builder.https_only(true)
        };
        Ok(Self {
            http: builder.build()?,
            host: host_and_port(&settings.base_url).into(),
            throttle: Throttle::new(settings.max_concurrency),
            max_answer_bytes: settings.limits.answer_bytes,
            traffic: Traffic::default(),
        })
    }

    /// The limits that endpoints have told so far.
    pub(super) fn told_limits(&self) -> Vec<(Endpoint, Limit)> {
        self.throttle.told()
    }

    /// Endpoints that advertise limits out of any reason.
    pub(super) fn implausible_limits(&self) -> Vec<Endpoint> {
        self.throttle.implausible()
    }

    /// Sends a request and reads its answer.
    pub(super) async fn exchange(&self, endpoint: Endpoint, request: Request) -> Result<Answer, Error> {
        let lined_up = Instant::now();
        let turn = self.throttle.ready(endpoint).await?;
        self.traffic.waited(lined_up.elapsed());
        let response = self.http.execute(request).await.map_err(|error| {
            self.traffic.failed(endpoint);
            self.unreachable(endpoint, obstacle(&error))
        })?;
        let status = response.status();
        self.traffic.answered(endpoint, status.as_u16());
        if status == StatusCode::TOO_MANY_REQUESTS {
            let retry_after = retry_after(response.headers());
            turn.refused(response.headers(), retry_after);
            return Err(Error::RateLimited { endpoint, retry_after });
        }
        if !status.is_server_error() {
            turn.answered(response.headers());
        }
        if status.is_redirection() {
            let target = redirect_target(&response);
            return Err(Error::Redirected { endpoint, status: status.as_u16(), target });
        }
        let headers = response.headers().clone();
        let body = self.read(endpoint, response).await;
        if status.is_server_error() {
            // A broken body changes nothing about what the status says.
            let trace_id = trace_id(&body.unwrap_or_default());
            return Err(Error::Server {
                endpoint,
                status: status.as_u16(),
                trace_id,
                retry_after: retry_after(&headers),
            });
        }
        Ok(Answer { status, body: body? })
    }

    async fn read(&self, endpoint: Endpoint, mut response: Response) -> Result<Vec<u8>, Error> {
        let max_bytes = self.max_answer_bytes;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(endpoint, obstacle(&error)))? {
            if body.len() + chunk.len() > max_bytes {
                let reason = format!("it is larger than {max_bytes} bytes, the limit of one answer");
                return Err(Error::Unreadable { endpoint, reason });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// Returns the error of a request that `obstacle` ended.
    pub(super) fn unreachable(&self, endpoint: Endpoint, obstacle: Obstacle) -> Error {
        Error::Unreachable { endpoint, host: self.host.clone(), obstacle }
    }
}

/// Returns host and port of a URL: `api.personio.de:443`.
fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port_or_known_default() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// Returns the cause of a failed request. The error itself is never quoted: it can hold the URL.
fn obstacle(error: &reqwest::Error) -> Obstacle {
    if error.is_timeout() {
        return Obstacle::Timeout;
    }
    if error.is_dns() {
        return Obstacle::Name;
    }
    if !error.is_connect() {
        return Obstacle::Broken;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            if matches!(error, rustls::Error::InvalidCertificate(_)) {
                return Obstacle::Certificate;
            }
            let is_tls = !matches!(error, rustls::Error::InvalidMessage(_));
            return if is_tls { Obstacle::Connection } else { Obstacle::NotTls };
        }
        cause = match error.downcast_ref::<io::Error>() {
            Some(error) if error.kind() == io::ErrorKind::ConnectionRefused => return Obstacle::Refused,
            // `source` of such an error leaves out what it wraps.
            Some(error) => error.get_ref().map(|wrapped| wrapped as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    Obstacle::Connection
}

/// Returns the origin that a redirect points to. Its path and query can hold anything and are left out.
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

/// Personio's id of a failed request, if the body has one that is fit for a log.
pub(super) fn trace_id(body: &[u8]) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Traced {
        #[serde(alias = "personio_trace_id")]
        trace_id: String,
    }
    let id = serde_json::from_slice::<Traced>(body).ok()?.trace_id;
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | ':' | '.');
    (!id.is_empty() && id.len() <= 64 && id.chars().all(plain)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::trace_id;

    #[test]
    fn a_trace_id_is_kept_only_when_it_is_fit_for_a_log() {
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
