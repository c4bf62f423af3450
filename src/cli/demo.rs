//! `demo`: a server connected to an embedded Personio simulator. It needs no other system.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;

use secrecy::ExposeSecret;
use url::Url;

use crate::app::{Application, Tuning};
use crate::cli::simulator::world;
use crate::cli::{CommandError, approval_signal, handle_approvals, start_logs, stop_signal, token};
use crate::clock::SystemClock;
use crate::config;
use crate::config::{
    Config, DemoArgs, EffectiveSetting, PersonioApiSettings, PersonioSettings, ServerSettings,
};
use crate::simulator::{SimulatedRateLimit, Simulator, SimulatorOptions};

/// Rate limit of the simulator: high enough for a demonstration without delays, but not unlimited.
const SIMULATOR_RATE: SimulatedRateLimit = SimulatedRateLimit { per_second: 2000.0, burst: 4000.0 };

pub(super) async fn run(
    args: &DemoArgs,
    settings: &[EffectiveSetting],
) -> Result<(), CommandError> {
    let (scim, token) = ServerSettings::for_demo(args, &token::random_token()?.into())?;
    let effective_settings = scim.effective_settings(settings);
    let has_status_page = scim.monitoring.status_page;
    let _logs = start_logs(&args.logs)?;
    #[cfg(feature = "otlp")]
    let traces = crate::cli::start_traces(&scim)?;
    let stop = stop_signal()?;
    let approvals = approval_signal()?;

    let options = SimulatorOptions { rate: Some(SIMULATOR_RATE), ..SimulatorOptions::default() };
    let client_id = options.client_id.clone();
    let client_secret = options.client_secret.clone().into();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (simulator, upstream) = Simulator::start(listener, world(args.population), options)?;
    let upstream_handle = upstream.handle();
    tokio::spawn(upstream);

    let base_url = Url::parse(&simulator.base_url());
    let base_url = base_url.map_err(|error| CommandError::Failed(error.to_string()))?;
    let api = PersonioApiSettings { base_url, ..config::default_settings()? };
    let personio = PersonioSettings { client_id, client_secret, api };
    let config = Config { personio, scim, effective_settings };
    let application = Application::build(config, Arc::new(SystemClock::new()), Tuning::default())?;
    handle_approvals(approvals, &application);
    let base_url = application.base_url();
    let status_page = has_status_page.then(|| base_url.trim_end_matches("/scim/v2"));
    let persons = args.population.persons;
    print_instructions(
        &mut std::io::stdout(),
        persons,
        base_url,
        token.expose_secret(),
        status_page,
    )?;
    application.run(stop).await?;
    upstream_handle.stop(false).await;
    #[cfg(feature = "otlp")]
    traces.shutdown().await;
    Ok(())
}

fn print_instructions(
    out: &mut impl Write,
    persons: u32,
    base_url: &str,
    token: &str,
    status_page: Option<&str>,
) -> std::io::Result<()> {
    writeln!(out, "A simulated Personio with {persons} persons is served over SCIM.\n")?;
    writeln!(out, "  base URL: {base_url}")?;
    writeln!(out, "  token:    {token}\n")?;
    writeln!(out, "Try:\n")?;
    for path in ["Users?count=3", "Users?filter=active+eq+false&attributes=userName", "Schemas"] {
        writeln!(out, "  curl -sS -H 'Authorization: Bearer {token}' '{base_url}/{path}'")?;
    }
    if let Some(origin) = status_page {
        writeln!(
            out,
            "\nOr open {origin}/status in a browser, with the token as password and any user name."
        )?;
    }
    writeln!(out, "\nStop it with Ctrl-C.")?;
    out.flush()
}
