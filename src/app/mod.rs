//! The server, from its configuration to its end: builds everything, binds, runs, stops. The only
//! file that names all parts of the server.

mod reader;
mod reload_handle;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::{NormalizePath, from_fn};
use actix_web::{App, web};
use arc_swap::ArcSwap;
use futures_util::future::join_all;
use prometheus_client::metrics::counter::Counter;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub use crate::app::reader::{Reader, survey};
pub use crate::app::reload_handle::Live;

use crate::auth::Access;
use crate::clock::Clock;
use crate::config;
use crate::config::{Config, Told};
use crate::connections;
use crate::connections::{Listening, OpenFiles, Registry};
use crate::directory;
use crate::directory::persistence::state_file::StateFile;
use crate::directory::{Directory, Freshness, MaxChange};
use crate::personio::{Client, Limits, Retry, Settings};
use crate::scim::{BrokenDocument, CursorKey, Locations, Vocabulary};
use crate::server;
use crate::server::Pages;
use crate::sync::source::{Recency, Source};
use crate::telemetry;
use crate::tls::Served;

/// How long a request to Personio may take.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(30);
/// After a failed load none is started for this long.
const PAUSE: Duration = Duration::from_secs(15);
/// How long after a notice of a change a load begins: one change is told by several.
const SOON: Duration = Duration::from_secs(5);
/// So often the files with the certificate are looked at: whoever renews it need not tell.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(10);
/// Number of connections beyond those of clients: for health checks, collectors of metrics and new clients.
const RESERVED_CONNECTIONS: usize = 64;
/// Smallest number of connections that a server can work with, of clients and of others each.
const MIN_CONNECTIONS: usize = 8;
/// Limits at the address for metrics. Few programs ask there.
const METRICS_LIMITS: connections::Limits =
    connections::Limits { known: 0, reserved: 64, overflow: 0, unknown_per_address: 32 };
/// Number of files for requests to issuers and webhooks, besides those for requests to Personio.
const OTHER_UPSTREAM_FILES: usize = 16;
/// The settings that name addresses to listen on.
const LISTEN: &str = "--listen, SCIM_LISTEN";
const METRICS_LISTEN: &str = "--metrics-listen, SCIM_METRICS_LISTEN";
/// How long running requests may go on once the server is to stop, in seconds.
const GRACE: u64 = 8;
/// The same for requests for metrics.
const METRICS_GRACE: u64 = 1;

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be had.
    #[error("cannot listen on {address} ({setting}): {error}{}", remedy(error))]
    Listen {
        /// The setting that names it.
        setting: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// There is no way to talk TLS.
    #[error("no HTTPS client: {0}; are CA certificates installed?")]
    Client(reqwest::Error),
    /// There is no way to serve TLS.
    #[error("no HTTPS server: {0}")]
    Tls(#[from] rustls::Error),
    /// A document in the program is broken.
    #[error("a discovery document is broken: {0}")]
    Discovery(#[from] BrokenDocument),
    /// The server cannot be started.
    #[error("the server cannot be started: {0}")]
    Server(io::Error),
}

/// How the parts that no setting reaches are tuned; tests are less patient.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// How long a request to Personio may take.
    pub upstream_timeout: Duration,
    /// How failed requests to Personio are repeated.
    pub retry: Retry,
    /// How much is read from Personio at most.
    pub limits: Limits,
    /// After a failed load none is started for this long.
    pub pause: Duration,
    /// How long after a notice of a change a load begins.
    pub soon: Duration,
    /// So often the files with the certificate are looked at.
    pub certificate_look: Duration,
}

impl Tuning {
    /// For a command that somebody waits for: what fails twice, or takes long, is told.
    #[must_use]
    pub fn impatient() -> Self {
        let retry = Retry { times: 1, ..Retry::default() };
        Self { upstream_timeout: Duration::from_secs(10), retry, ..Self::default() }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            upstream_timeout: UPSTREAM_TIMEOUT,
            retry: Retry::default(),
            limits: Limits::default(),
            pause: PAUSE,
            soon: SOON,
            certificate_look: CERTIFICATE_LOOK,
        }
    }
}

/// A server that is bound and loads its first data, ready to run.
pub struct Application {
    server: Server,
    metrics: Option<(Server, SocketAddr)>,
    live: Live,
    directory: Directory,
    address: SocketAddr,
    base_url: String,
}

impl Application {
    /// Binds the address and builds everything. Must be called on the runtime that is to make the
    /// requests to Personio.
    ///
    /// # Errors
    /// When the address cannot be had or the machine lacks something.
    pub fn build(config: Config, clock: Arc<dyn Clock>, tuning: Tuning) -> Result<Self, StartError> {
        let Config { personio, scim } = config;
        let freshness = freshness(&scim, tuning);
        let open_files = connections::raise_limit();
        let upstream_files = personio.max_concurrency.saturating_add(OTHER_UPSTREAM_FILES);
        let limits = limits(&scim, open_files, upstream_files);
        let (listener, address) = bind(LISTEN, scim.listen)?;
        let metrics = scim.metrics_listen.map(|address| bind(METRICS_LISTEN, address)).transpose()?;
        let scheme = if scim.tls.is_some() { "https" } else { "http" };
        let public_url = scim.public_url.map_or_else(|| format!("{scheme}://{address}"), |url| url.to_string());
        let base_url = base_url(&public_url);
        let tls = scim.tls.map(|pair| Served::new(pair, Arc::clone(&clock)));
        let locations = Locations::new(&base_url);
        let vocabulary = Arc::new(Vocabulary::new(&locations, scim.max_results, &scim.policy.served_attributes())?);
        // The one secret that every server has, and that stays when clients come and go.
        let cursor_key = CursorKey::new(personio.client_secret.expose_secret().as_bytes());
        let state_file = scim.state.map(|state| StateFile::new(state.path, &state.key, &personio.client_id));
        let client = client(personio, &clock, tuning)?;
        let traffic = client.traffic().clone();
        let recency = Recency { recheck: scim.employment_recheck, trusted: scim.max_stale };
        let source =
            Arc::new(Source::new(client, scim.policy, vocabulary, locations.clone(), Arc::clone(&clock), recency));
        let access = Access::new(scim.rules, Arc::clone(&clock), Handle::current()).map_err(StartError::Client)?;
        let proxies = access.clone();
        let registry = Registry::new(limits, Box::new(move |address| proxies.is_trusted_proxy(address)));
        let (max_change, runtime) = (MaxChange(scim.max_change), Handle::current());
        let directory = Directory::new(
            Arc::clone(&source) as Arc<dyn directory::Source>,
            freshness,
            max_change,
            state_file,
            clock,
            runtime,
        );
        directory.recall();
        directory.warm_up();
        directory.keep_fresh();
        let settings = Arc::new(ArcSwap::from_pointee(told(scim.told)));
        let live = Live {
            settings: Arc::clone(&settings),
            tls: tls.clone(),
            access: access.clone(),
            source,
            directory: directory.clone(),
            locations,
            max_results: scim.max_results,
        };
        let state = web::Data::new(server::State::new(server::Parts {
            directory: directory.clone(),
            access,
            cursor_key,
            announces_pagination: scim.announces_pagination,
            max_results: scim.max_results,
            filter_limits: scim.filter_limits,
            base_url: base_url.clone(),
            settings,
            pages: Pages { status: scim.status_page, metrics: metrics.is_none() },
            register: Box::new({
                let connections = Arc::clone(&registry);
                move |registry| {
                    traffic.register(registry);
                    connections.register(registry);
                    open_files.register(registry);
                    let about = "Lines of the log that were dropped because standard error was not read in time";
                    registry.register("log_lines_dropped", about, dropped_lines());
                }
            }),
        }));
        let metrics = metrics.map(|bound| serve_metrics(bound, &state)).transpose().map_err(StartError::Server)?;
        let server = serve(listener, state, registry, tls.as_ref(), tuning)?;
        Ok(Self { server, metrics, live, directory, address, base_url })
    }

    /// The address that is listened on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address where metrics are, if they have one of their own.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Where SCIM clients find the server.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// What is served.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// What can be changed while it runs.
    #[must_use]
    pub fn live(&self) -> Live {
        self.live.clone()
    }

    /// Serves until `stop`, then lets running requests end.
    ///
    /// # Errors
    /// When the server breaks.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let servers: Vec<Server> = [self.server].into_iter().chain(self.metrics.map(|(server, _)| server)).collect();
        let handles: Vec<ServerHandle> = servers.iter().map(Server::handle).collect();
        let mut running: JoinSet<io::Result<()>> = servers.into_iter().collect();
        tokio::select! {
            Some(ended) = running.join_next() => return ended.map_err(io::Error::other)?,
            () = stop => {}
        }
        tracing::info!("stopping: running requests may end");
        // One after the other they would have the sum of their times.
        join_all(handles.iter().map(|handle| handle.stop(true))).await;
        while let Some(ended) = running.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

fn freshness(scim: &config::Scim, tuning: Tuning) -> Freshness {
    Freshness {
        cache_ttl: scim.cache_ttl,
        refresh_wait: scim.refresh_wait,
        refresh_every: scim.refresh_every,
        max_stale: scim.max_stale,
        pause: tuning.pause,
        soon: tuning.soon,
    }
}

fn client(personio: config::Personio, clock: &Arc<dyn Clock>, tuning: Tuning) -> Result<Client, StartError> {
    let settings = Settings {
        base_url: personio.base_url,
        client_id: personio.client_id,
        client_secret: personio.client_secret,
        app_id: personio.app_id,
        max_concurrency: personio.max_concurrency,
        timeout: tuning.upstream_timeout,
        retry: tuning.retry,
        limits: tuning.limits,
    };
    Client::new(settings, Arc::clone(clock)).map_err(StartError::Client)
}

/// What the path of every URL of a server at `public_url` begins with.
fn base_url(public_url: &str) -> String {
    format!("{}/scim/v2", public_url.trim_end_matches('/'))
}

fn dropped_lines() -> Counter {
    let counter = Counter::default();
    counter.inc_by(telemetry::dropped_lines());
    counter
}

fn told(settings: Vec<Told>) -> Vec<server::Setting> {
    let setting = |Told { flag: name, value, is_chosen }| server::Setting { name, value, is_chosen };
    settings.into_iter().map(setting).collect()
}

/// What to do about an address that cannot be had, with a separator in front.
#[must_use]
pub fn remedy(error: &io::Error) -> &'static str {
    const REMEDIES: [(io::ErrorKind, &str); 3] = [
        (
            io::ErrorKind::AddrInUse,
            "; another program listens there, perhaps a personio-scim that still runs: stop it, or choose another port",
        ),
        (io::ErrorKind::PermissionDenied, "; choose a port from 1024 on, or allow this program to use lower ones"),
        (io::ErrorKind::AddrNotAvailable, "; this machine has no such address: 0.0.0.0 stands for all that it has"),
    ];
    REMEDIES.iter().find(|(kind, _)| *kind == error.kind()).map_or("", |(_, remedy)| remedy)
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        let address = listener.local_addr()?;
        Ok((listener, address))
    });
    bound.map_err(|error| StartError::Listen { setting, address, error })
}

/// Returns the limits on connections of clients, as far as the limit of open files allows.
fn limits(scim: &config::Scim, open_files: OpenFiles, upstream_files: usize) -> connections::Limits {
    let reserved = RESERVED_CONNECTIONS.min(scim.max_connections.max(MIN_CONNECTIONS));
    let wanted = connections::Limits {
        known: scim.max_connections,
        reserved,
        overflow: reserved / 2,
        unknown_per_address: scim.max_connections_per_address,
    };
    let available = open_files.for_connections(upstream_files);
    if available >= wanted.all() {
        return wanted;
    }
    let reserved = reserved.min(available / 4).max(MIN_CONNECTIONS);
    let overflow = reserved / 2;
    let known = available.saturating_sub(reserved + overflow).max(MIN_CONNECTIONS);
    tracing::warn!(
        limit = open_files.limit,
        known,
        "the process may have {} files open, so {known} clients and {reserved} others can be connected at once instead \
         of {} and {}: raise the limit (ulimit -n) or lower --max-connections",
        open_files.limit,
        wanted.known,
        wanted.reserved
    );
    connections::Limits { known, reserved, overflow, ..wanted }
}

fn serve(
    listener: TcpListener,
    state: web::Data<server::State>,
    registry: Arc<Registry>,
    tls: Option<&Arc<Served>>,
    tuning: Tuning,
) -> Result<Server, StartError> {
    let app = move || {
        // The last one is the outermost: every answer is counted and logged, and carries the id of its request.
        App::new()
            .app_data(web::Data::clone(&state))
            .configure(|service| server::configure(service, &state))
            .wrap(NormalizePath::trim())
            .wrap(from_fn(server::watch))
    };
    let tls = match tls {
        None => None,
        Some(served) => {
            served.keep_fresh(tuning.certificate_look);
            Some(served.server_config()?)
        }
    };
    let listening = Listening { listener, tls, registry, workers: None, shutdown_timeout: GRACE };
    connections::start(listening, app).map_err(StartError::Server)
}

/// Metrics at an address of their own. Who asks there is not counted: it is no client.
fn serve_metrics(
    (listener, address): (TcpListener, SocketAddr),
    state: &web::Data<server::State>,
) -> io::Result<(Server, SocketAddr)> {
    let state = web::Data::clone(state);
    let app = move || {
        App::new()
            .app_data(web::Data::clone(&state))
            .configure(server::configure_metrics)
            .wrap(NormalizePath::trim())
            .wrap(from_fn(server::watch_metrics))
    };
    let registry = Registry::new(METRICS_LIMITS, Box::new(|_| false));
    let listening = Listening { listener, tls: None, registry, workers: Some(1), shutdown_timeout: METRICS_GRACE };
    Ok((connections::start(listening, app)?, address))
}
