//! `healthcheck`: asks the server on this machine, so that an image needs no curl.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::redirect::Policy;

use super::Failure;
use crate::config::HealthcheckArgs;

/// How long to wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(args: &HealthcheckArgs) -> Result<(), Failure> {
    let probe = if args.ready { "ready" } else { "live" };
    let url = format!("{}/health/{probe}", args.server.url()?);
    let (status, body) = ask(&url).await?;
    if status.is_success() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{url} answers {status}: {body}")))
}

/// What the server on this machine answers.
pub(super) async fn ask(url: &str) -> Result<(StatusCode, String), Failure> {
    let client = reqwest::Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only([]).timeout(TIMEOUT);
    // The server's certificate is for the name that clients use, and it may have expired or be exchanged just now;
    // whether the server is alive does not depend on that. Plain HTTP proves as little, and nothing secret is sent.
    let client = client.tls_danger_accept_invalid_certs(true).build();
    let failed = |error: reqwest::Error| Failure::Failed(format!("{url} does not answer: {error}"));
    let response = client.map_err(failed)?.get(url).send().await.map_err(failed)?;
    let status = response.status();
    Ok((status, response.text().await.unwrap_or_default()))
}
