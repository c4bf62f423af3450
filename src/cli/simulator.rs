//! `simulator`: runs the Personio simulator without a SCIM server, to try other programs with it.

use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

use crate::app::StartError;
use crate::cli::{CommandError, start_logs, stop_signal};
use crate::clock::{Clock, SystemClock};
use crate::config::{Population, SimulatorArgs};
use crate::simulator::{SimulatedRateLimit, Simulator, SimulatorOptions, World};

pub(super) async fn run(args: &SimulatorArgs) -> Result<(), CommandError> {
    let _logs = start_logs(&args.logs)?;
    let stop = stop_signal()?;
    let address = args.listen;
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            let setting = "--listen".to_owned();
            return Err(StartError::Listen { setting, address, error }.into());
        }
    };
    let options = SimulatorOptions {
        client_id: args.client_id.clone(),
        client_secret: args.client_secret.clone(),
        rate: Some(SimulatedRateLimit { per_second: args.rate.into(), burst: args.burst.into() }),
        ..SimulatorOptions::default()
    };
    let (simulator, server) = Simulator::start(listener, world(args.population), options)?;
    let mut out = std::io::stdout();
    writeln!(out, "Personio simulator with {} persons", args.population.persons)?;
    writeln!(out, "  base URL:      {}", simulator.base_url())?;
    writeln!(out, "  client id:     {}", args.client_id)?;
    writeln!(out, "  client secret: {}", args.client_secret)?;
    out.flush()?;
    let handle = server.handle();
    let server = tokio::spawn(server);
    tokio::select! {
        () = stop => {}
        () = change_persons(&simulator, args.changes_per_minute) => {}
    }
    handle.stop(false).await;
    server.await.map_err(|error| CommandError::Failed(error.to_string()))??;
    Ok(())
}

/// Changes persons one after the other. Never completes.
async fn change_persons(simulator: &Simulator, changes_per_minute: u32) {
    if changes_per_minute == 0 {
        return std::future::pending().await;
    }
    let clock = SystemClock::new();
    let mut interval = tokio::time::interval(Duration::from_secs(60) / changes_per_minute);
    for number in 0.. {
        interval.tick().await;
        let now = clock.now();
        simulator.with_world(|world| world.rename_random_person(number, now));
    }
}

/// Generates the people of a simulated company, as of now.
pub(super) fn world(population: Population) -> World {
    let now = SystemClock::new().now();
    let seed = population.seed;
    World::generate(population.persons as usize, seed, now).with_rare_changes(seed, now)
}
