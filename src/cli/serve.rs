//! `serve`: serves the people of a real Personio company over SCIM.

use std::sync::Arc;

use crate::app::{Application, Tuning};
use crate::cli::{
    CommandError, approval_signal, handle_approvals, hangup_signal, reload_on_hangup,
    service_manager, start_logs, stop_signal,
};
use crate::clock::{Clock, SystemClock};
use crate::config;
use crate::config::{Config, EffectiveSetting, ServeArgs};

pub(super) async fn run(
    args: &ServeArgs,
    settings: &[EffectiveSetting],
) -> Result<(), CommandError> {
    let config = Config::for_serve(args, settings)?;
    let warnings = config.scim.listen.warnings();
    let is_tls = config.scim.tls.is_some();
    let _logs = start_logs(&args.logs)?;
    #[cfg(feature = "otlp")]
    let traces = crate::cli::start_traces(&config.scim)?;
    let stop = stop_signal()?;
    let approvals = approval_signal()?;
    let hangups = hangup_signal()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let application = Application::build(config, Arc::clone(&clock), Tuning::default())?;
    handle_approvals(approvals, &application);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let address = application.address();
    let local_url = config::local_url(address, is_tls);
    let base_url = application.base_url();
    tracing::info!(%address, base_url, "listening on {address}; SCIM clients use {base_url}");
    if let Some(address) = application.metrics_address() {
        tracing::info!(%address, "metrics are at http://{address}/metrics");
    }
    let reload_handle = application.reload_handle();
    let stop_or_hangup = async {
        tokio::select! {
            () = stop => {}
            () = reload_on_hangup(hangups, reload_handle, || Config::for_serve(args, settings)) => {}
            () = service_manager::report_health(local_url, clock) => {}
        }
        service_manager::stopping();
    };
    application.run(stop_or_hangup).await?;
    #[cfg(feature = "otlp")]
    traces.shutdown().await;
    Ok(())
}
