//! `healthcheck`: asks the server on this machine, so that an image needs no curl.

use super::{Failure, HEALTHCHECK_TIMEOUT};
use crate::config::{self, HealthcheckArgs};

pub(super) async fn run(args: &HealthcheckArgs) -> Result<(), Failure> {
    let probe = if args.ready { "ready" } else { "live" };
    let url = format!("{}/health/{probe}", config::local_url(&args.listen)?);
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).timeout(HEALTHCHECK_TIMEOUT).build();
    let failed = |error: reqwest::Error| Failure::Failed(format!("{url} does not answer: {error}"));
    let response = client.map_err(failed)?.get(&url).send().await.map_err(failed)?;
    if response.status().is_success() {
        return Ok(());
    }
    let status = response.status();
    let body = response.text().await.unwrap_or_default();
    Err(Failure::Failed(format!("{url} answers {status}: {body}")))
}
