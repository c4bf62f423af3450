//! `healthcheck`: requests the health of the server on this machine, so that a container image
//! needs no curl.

use std::time::Duration;

use reqwest::StatusCode;

use crate::cli::CommandError;
use crate::config::HealthcheckArgs;
use crate::http_client;
use crate::http_client::Reach;

/// Time limit for the response.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) async fn run(args: &HealthcheckArgs) -> Result<(), CommandError> {
    let probe = if args.ready { "ready" } else { "live" };
    let url = format!("{}/health/{probe}", args.server.url());
    let (status, body) = request(&url).await?;
    if status.is_success() {
        return Ok(());
    }
    Err(CommandError::Failed(format!("{url} answers {status}: {body}")))
}

/// Returns the response of the server on this machine.
pub(super) async fn request(url: &str) -> Result<(StatusCode, String), CommandError> {
    let reason = match get(url).await {
        // A server that speaks TLS responds to plain HTTP with 400.
        Ok((StatusCode::BAD_REQUEST, body)) => match advice_on_protocol(url).await {
            None => return Ok((StatusCode::BAD_REQUEST, body)),
            Some(advice) => advice.to_owned(),
        },
        Ok(response) => return Ok(response),
        Err(error) => match advice_on_protocol(url).await {
            None => error.to_string(),
            Some(advice) => advice.to_owned(),
        },
    };
    Err(CommandError::Failed(format!("{url} does not answer: {reason}")))
}

async fn get(url: &str) -> reqwest::Result<(StatusCode, String)> {
    // The server's certificate is valid for the host name that clients use, and it may have expired
    // or be exchanged just now. The health of the server does not depend on that. The request
    // contains no secret, and plain HTTP would not prove the identity of the server either.
    let client = http_client::builder(Reach::ThisMachine, TIMEOUT)
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let response = client.get(url).send().await?;
    let status = response.status();
    Ok((status, response.text().await.unwrap_or_default()))
}

/// Checks whether the server speaks TLS although `url` is plain HTTP, or the reverse. Returns
/// advice if so.
async fn advice_on_protocol(url: &str) -> Option<&'static str> {
    let (other, advice) = match url.split_once("://")? {
        ("http", rest) => (
            format!("https://{rest}"),
            "it speaks TLS; set the certificate of the server here too (--tls-cert, SCIM_TLS_CERT)",
        ),
        ("https", rest) => (
            format!("http://{rest}"),
            "it speaks plain HTTP; remove the certificate here (--tls-cert, SCIM_TLS_CERT), or set \
             it for the server",
        ),
        _ => return None,
    };
    get(&other).await.is_ok().then_some(advice)
}
