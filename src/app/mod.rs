//! Construction and life cycle of the server: builds its parts, binds its addresses, runs and stops
//! it. This is the only file that names all parts of the server.

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
use prometheus_client::metrics::gauge::ConstGauge;
use secrecy::ExposeSecret;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

pub use crate::app::reader::{OneShotReader, preflight};
pub use crate::app::reload_handle::ReloadHandle;

use crate::auth::Authenticator;
use crate::clock::Clock;
use crate::config;
use crate::config::{ClientScope, Config, EffectiveSetting, SettingName};
use crate::connections;
use crate::connections::{ConnectionRegistry, OpenFiles, ServerSocket};
use crate::directory::persistence::state_file::StateFile;
use crate::directory::{Directory, Freshness, MaxChange};
use crate::personio::{PersonioClient, ReadLimits, RetryPolicy, Settings, UpstreamMetrics};
use crate::scim::{
    CursorKey, InvalidSchemaDocument, InvalidScope, ResourceUrls, SchemaRegistry, Scope,
};
use crate::server;
use crate::server::OptionalEndpoints;
use crate::sync::source::{PersonioSource, RecordLifetimes};
use crate::telemetry;
use crate::tls::ServedCertificate;

/// Time limit for a request to Personio.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(30);
/// Cool-down after a failed load.
const COOL_DOWN: Duration = Duration::from_secs(15);
/// Time between a webhook and the load that it causes. Personio reports one change with several
/// webhooks.
const REFRESH_DEBOUNCE: Duration = Duration::from_secs(5);
/// Time between two reads of the certificate files. A renewed certificate is found without a
/// signal.
const CERTIFICATE_READ_INTERVAL: Duration = Duration::from_secs(10);
/// Number of connections beyond those of clients: for health checks, metrics collectors and new
/// clients.
const RESERVED_CONNECTIONS: usize = 64;
/// Minimum number of connections with which a server works, for clients and for others each.
const MIN_CONNECTIONS: usize = 8;
/// Limits on connections to the metrics address, which few programs use.
const METRICS_LIMITS: connections::ConnectionLimits =
    connections::ConnectionLimits { known: 0, reserved: 64, overflow: 0, unknown_per_address: 32 };
/// Number of open files for requests to issuers and for webhooks, in addition to those for requests
/// to Personio.
const OTHER_UPSTREAM_FILES: usize = 16;
/// Time in seconds for which running requests may continue after the stop signal.
const SHUTDOWN_TIMEOUT_SECS: u64 = 8;
/// Time in seconds for which running requests for metrics may continue after the stop signal.
const METRICS_SHUTDOWN_TIMEOUT_SECS: u64 = 1;

/// Error that prevents the start of a server or a command.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be bound.
    #[error("cannot listen on {address} ({setting}): {error}{}", remedy(error))]
    Listen {
        /// Setting that names the address.
        setting: String,
        /// Address that cannot be bound.
        address: SocketAddr,
        /// Error of the operating system.
        error: io::Error,
    },
    /// No HTTPS client can be built.
    #[error("the HTTPS client cannot be built: {0}; check that CA certificates are installed")]
    Client(reqwest::Error),
    /// No HTTPS server can be built.
    #[error("the HTTPS server cannot be built: {0}")]
    Tls(#[from] rustls::Error),
    /// A schema document that is compiled into the program is invalid.
    #[error("invalid discovery document: {0}")]
    Discovery(#[from] InvalidSchemaDocument),
    /// The scope of a client is invalid.
    #[error("invalid scope of a client: {0}")]
    Scope(#[from] InvalidScope),
    /// The HTTP server cannot be started.
    #[error("the server cannot be started: {0}")]
    Server(io::Error),
}

/// Timings and limits that are not settings. Tests use shorter ones.
#[derive(Debug, Clone, Copy)]
pub struct Tuning {
    /// Time limit for a request to Personio.
    pub upstream_timeout: Duration,
    /// Retries of failed requests to Personio.
    pub retry: RetryPolicy,
    /// Limits on the data that is read from Personio.
    pub limits: ReadLimits,
    /// Cool-down after a failed load.
    pub cool_down: Duration,
    /// Time between a webhook and the load that it causes.
    pub refresh_debounce: Duration,
    /// Time between two reads of the certificate files.
    pub certificate_read_interval: Duration,
}

impl Tuning {
    /// Returns values for a command that a person waits for: one retry and a short timeout.
    #[must_use]
    pub fn interactive() -> Self {
        let retry = RetryPolicy { max_retries: 1, ..RetryPolicy::default() };
        Self { upstream_timeout: Duration::from_secs(10), retry, ..Self::default() }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            upstream_timeout: UPSTREAM_TIMEOUT,
            retry: RetryPolicy::default(),
            limits: ReadLimits::default(),
            cool_down: COOL_DOWN,
            refresh_debounce: REFRESH_DEBOUNCE,
            certificate_read_interval: CERTIFICATE_READ_INTERVAL,
        }
    }
}

/// Server that has bound its addresses and started its first load.
pub struct Application {
    server: Server,
    metrics: Option<(Server, SocketAddr)>,
    reload_handle: ReloadHandle,
    directory: Directory,
    address: SocketAddr,
    base_url: String,
}

impl Application {
    /// Builds the parts of the server and binds its addresses. Must be called on the runtime that
    /// is to send the requests to Personio.
    ///
    /// # Errors
    /// Returns an error when an address cannot be bound or a part cannot be built.
    pub fn build(
        config: Config,
        clock: Arc<dyn Clock>,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let Config { personio, scim, effective_settings } = config;
        let open_files = connections::raise_limit();
        let upstream_files = personio.api.max_concurrency.saturating_add(OTHER_UPSTREAM_FILES);
        let limits = connection_limits(&scim.limits, open_files, upstream_files);
        let (listener, address) = bind(config::LISTEN, scim.listen.listen)?;
        let metrics_socket = match scim.monitoring.metrics_listen {
            None => None,
            Some(address) => Some(bind(config::METRICS_LISTEN, address)?),
        };
        if metrics_socket.is_none() && !scim.scopes.is_empty() {
            tracing::warn!(
                "clients whose scope hides users can read the number of all users at /metrics: give \
                 the metrics an address of their own with --metrics-listen (SCIM_METRICS_LISTEN)"
            );
        }
        let base_url = base_url(&public_url(&scim, address));
        // The client secret is the one secret that every server has. It does not change when SCIM
        // clients are added or removed.
        let cursor_key = CursorKey::new(personio.client_secret.expose_secret().as_bytes());
        let reading_side = ReadingSide::build(personio, &scim, &base_url, &clock, tuning)?;
        let ReadingSide { source, directory, urls, upstream_metrics } = reading_side;
        let tls = scim.tls.map(|pair| ServedCertificate::new(pair, Arc::clone(&clock)));
        let authenticator =
            Authenticator::new(scim.auth_settings, Arc::clone(&clock), Handle::current());
        let authenticator = authenticator.map_err(StartError::Client)?;
        let registry = registry(limits, &authenticator);
        directory.restore();
        directory.start_first_load();
        directory.start_tasks();

        let settings = Arc::new(ArcSwap::from_pointee(displayed_settings(effective_settings)));
        let reload_handle = ReloadHandle {
            settings: Arc::clone(&settings),
            tls: tls.clone(),
            authenticator: authenticator.clone(),
            source,
            directory: directory.clone(),
            urls,
            max_results: scim.limits.max_results,
        };
        let state = web::Data::new(server::State::new(server::StateParts {
            clock,
            directory: directory.clone(),
            authenticator,
            lists: server::ListSettings {
                cursor_key,
                announces_pagination: scim.limits.announce_pagination,
                max_results: scim.limits.max_results,
                filter_limits: scim.limits.filter_limits(),
            },
            base_url: base_url.clone(),
            settings,
            optional_endpoints: OptionalEndpoints {
                status: scim.monitoring.status_page,
                metrics: metrics_socket.is_none(),
            },
            register_metrics: register_parts(
                upstream_metrics,
                Arc::clone(&registry),
                open_files,
                tls.clone(),
            ),
        }));
        let metrics = match metrics_socket {
            None => None,
            Some(socket) => Some(serve_metrics(socket, &state).map_err(StartError::Server)?),
        };
        let server = serve(listener, state, registry, tls.as_ref(), tuning)?;
        Ok(Self { server, metrics, reload_handle, directory, address, base_url })
    }

    /// Returns the address that the server listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the address of the metrics, if they have one of their own.
    #[must_use]
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|(_, address)| *address)
    }

    /// Returns the base URL for SCIM clients.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// Returns the directory, which owns the current snapshot.
    #[must_use]
    pub fn directory(&self) -> Directory {
        self.directory.clone()
    }

    /// Returns the handle that applies new settings to this server.
    #[must_use]
    pub fn reload_handle(&self) -> ReloadHandle {
        self.reload_handle.clone()
    }

    /// Serves requests until `stop` completes, then waits for running requests.
    ///
    /// # Errors
    /// Returns an error when a listener fails.
    pub async fn run(self, stop: impl Future<Output = ()>) -> io::Result<()> {
        let mut servers = vec![self.server];
        if let Some((metrics_server, _)) = self.metrics {
            servers.push(metrics_server);
        }
        let handles: Vec<ServerHandle> = servers.iter().map(Server::handle).collect();
        let mut running: JoinSet<io::Result<()>> = servers.into_iter().collect();
        tokio::select! {
            Some(ended) = running.join_next() => return ended.map_err(io::Error::other)?,
            () = stop => {}
        }
        tracing::info!("stopping: running requests have up to {SHUTDOWN_TIMEOUT_SECS} s to end");
        // Stopping one server after the other would take the sum of their times.
        join_all(handles.iter().map(|handle| handle.stop(true))).await;
        while let Some(ended) = running.join_next().await {
            ended.map_err(io::Error::other)??;
        }
        Ok(())
    }
}

/// Parts that read Personio and own the current snapshot.
struct ReadingSide {
    source: Arc<PersonioSource>,
    directory: Directory,
    urls: ResourceUrls,
    upstream_metrics: UpstreamMetrics,
}

impl ReadingSide {
    /// Builds the parts. They send no request yet.
    fn build(
        personio: config::PersonioSettings,
        scim: &config::ServerSettings,
        base_url: &str,
        clock: &Arc<dyn Clock>,
        tuning: Tuning,
    ) -> Result<Self, StartError> {
        let urls = ResourceUrls::new(base_url);
        let attributes = scim.policy.custom_attribute_definitions();
        let schema_registry =
            Arc::new(SchemaRegistry::new(&urls, scim.limits.max_results, &attributes)?);
        let scopes = scopes(&scim.scopes, &schema_registry)?;
        let state_file = scim
            .state
            .as_ref()
            .map(|state| StateFile::new(state.path.clone(), &state.key, &personio.client_id));
        let client = personio_client(personio, clock, tuning)?;
        let upstream_metrics = client.metrics().clone();
        let lifetimes = RecordLifetimes {
            recheck_interval: scim.freshness.employment_recheck,
            max_valid_age: scim.freshness.max_stale,
        };
        let source = Arc::new(PersonioSource::new(
            client,
            scim.policy.clone(),
            schema_registry,
            urls.clone(),
            Arc::clone(clock),
            lifetimes,
        ));
        let directory = Directory::new(
            Arc::clone(&source),
            freshness(&scim.freshness, tuning),
            MaxChange(scim.freshness.max_change),
            state_file,
            Arc::clone(clock),
            Handle::current(),
        );
        directory.add_scopes(scopes);
        Ok(Self { source, directory, urls, upstream_metrics })
    }
}

/// Resolves the scopes of clients against the attributes of the mapping.
fn scopes(
    client_scopes: &[ClientScope],
    schema_registry: &Arc<SchemaRegistry>,
) -> Result<Vec<Scope>, InvalidScope> {
    let mut scopes = Vec::with_capacity(client_scopes.len());
    for ClientScope { definition, .. } in client_scopes {
        scopes.push(Scope::new(definition, schema_registry)?);
    }
    Ok(scopes)
}

/// Returns the URL under which clients reach a server that listens on `address`.
fn public_url(scim: &config::ServerSettings, address: SocketAddr) -> String {
    match &scim.listen.public_url {
        Some(url) => url.to_string(),
        None if scim.tls.is_some() => format!("https://{address}"),
        None => format!("http://{address}"),
    }
}

/// Creates the registry of connections. Trusted proxies are exempt from the limit for each address.
fn registry(
    limits: connections::ConnectionLimits,
    authenticator: &Authenticator,
) -> Arc<ConnectionRegistry> {
    let authenticator = authenticator.clone();
    ConnectionRegistry::new(
        limits,
        Box::new(move |address| authenticator.is_trusted_proxy(address)),
    )
}

/// Returns the callback that registers the metrics of parts that the endpoints do not know.
fn register_parts(
    upstream_metrics: UpstreamMetrics,
    connections: Arc<ConnectionRegistry>,
    open_files: OpenFiles,
    tls: Option<Arc<ServedCertificate>>,
) -> server::RegisterMetrics {
    Box::new(move |registry| {
        upstream_metrics.register(registry);
        connections.register(registry);
        open_files.register(registry);
        if let Some(expires) = tls.as_ref().and_then(|tls| tls.expires()) {
            let description =
                "End of the validity of the server's certificate, in seconds since 1970";
            let expires = ConstGauge::new(expires.as_second());
            registry.register("certificate_expires_timestamp_seconds", description, expires);
        }
        let description =
            "Lines of the log that were dropped because standard error was not read in time";
        registry.register("log_lines_dropped", description, dropped_lines_counter());
    })
}

fn freshness(settings: &config::FreshnessSettings, tuning: Tuning) -> Freshness {
    Freshness {
        cache_ttl: settings.cache_ttl,
        refresh_wait: settings.refresh_wait,
        refresh_every: settings.refresh_every,
        max_stale: settings.max_stale,
        cool_down: tuning.cool_down,
        refresh_debounce: tuning.refresh_debounce,
    }
}

fn personio_client(
    personio: config::PersonioSettings,
    clock: &Arc<dyn Clock>,
    tuning: Tuning,
) -> Result<PersonioClient, StartError> {
    let settings = Settings {
        base_url: personio.api.base_url,
        client_id: personio.client_id,
        client_secret: personio.client_secret,
        app_id: personio.api.app_id,
        max_concurrency: personio.api.max_concurrency,
        timeout: tuning.upstream_timeout,
        retry: tuning.retry,
        limits: tuning.limits,
    };
    PersonioClient::new(settings, Arc::clone(clock)).map_err(StartError::Client)
}

/// Returns the base URL of SCIM resources on a server at `public_url`.
fn base_url(public_url: &str) -> String {
    format!("{}/scim/v2", public_url.trim_end_matches('/'))
}

fn dropped_lines_counter() -> Counter {
    let counter = Counter::default();
    counter.inc_by(telemetry::dropped_lines());
    counter
}

fn displayed_settings(settings: Vec<EffectiveSetting>) -> Vec<server::DisplayedSetting> {
    let mut shown = Vec::with_capacity(settings.len());
    for EffectiveSetting { flag, value, is_given } in settings {
        shown.push(server::DisplayedSetting { name: flag, value, is_given });
    }
    shown
}

/// Returns advice for an address that cannot be bound, with a separator in front, or an empty text.
#[must_use]
pub fn remedy(error: &io::Error) -> &'static str {
    const REMEDIES: [(io::ErrorKind, &str); 3] = [
        (
            io::ErrorKind::AddrInUse,
            "; another program listens there, perhaps a personio-scim that still runs: stop it, or \
             choose another port",
        ),
        (
            io::ErrorKind::PermissionDenied,
            "; choose a port from 1024 on, or allow this program to use lower ones",
        ),
        (
            io::ErrorKind::AddrNotAvailable,
            "; this machine does not have this address: use 0.0.0.0 for all of its addresses",
        ),
    ];
    for (kind, remedy) in REMEDIES {
        if kind == error.kind() {
            return remedy;
        }
    }
    ""
}

/// Binds the address of a setting.
fn bind(
    setting: SettingName,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), StartError> {
    let setting = setting.list();
    try_bind(address).map_err(|error| StartError::Listen { setting, address, error })
}

/// Binds an address, and returns the socket with the bound address, whose port is never 0.
fn try_bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Returns the limits on connections of clients, as far as the limit on open files allows.
fn connection_limits(
    limits: &config::LimitSettings,
    open_files: OpenFiles,
    upstream_files: usize,
) -> connections::ConnectionLimits {
    let reserved = RESERVED_CONNECTIONS.min(limits.max_connections.max(MIN_CONNECTIONS));
    let wanted = connections::ConnectionLimits {
        known: limits.max_connections,
        reserved,
        overflow: reserved / 2,
        unknown_per_address: limits.max_connections_per_address,
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
        "the process may have {} files open, so {known} clients and {reserved} others can be \
         connected at once instead of {} and {}: raise the limit (ulimit -n) or lower \
         --max-connections",
        open_files.limit,
        wanted.known,
        wanted.reserved
    );
    connections::ConnectionLimits { known, reserved, overflow, ..wanted }
}

fn serve(
    listener: TcpListener,
    state: web::Data<server::State>,
    registry: Arc<ConnectionRegistry>,
    tls: Option<&Arc<ServedCertificate>>,
    tuning: Tuning,
) -> Result<Server, StartError> {
    let tls = match tls {
        None => None,
        Some(served) => {
            served.watch_files(tuning.certificate_read_interval);
            Some(served.server_config()?)
        }
    };
    let listening = ServerSocket {
        listener,
        tls,
        registry,
        workers: None,
        shutdown_timeout: SHUTDOWN_TIMEOUT_SECS,
    };
    let started = connections::start(listening, move || {
        // The middleware that is added last is the outermost. Each response is therefore counted
        // and logged, and carries its request id.
        App::new()
            .app_data(web::Data::clone(&state))
            .configure(|service| server::configure(service, &state))
            .wrap(NormalizePath::trim())
            .wrap(from_fn(server::log_client_requests))
    });
    started.map_err(StartError::Server)
}

/// Starts the listener for metrics. Its requests are not counted as requests of clients.
fn serve_metrics(
    (listener, address): (TcpListener, SocketAddr),
    state: &web::Data<server::State>,
) -> io::Result<(Server, SocketAddr)> {
    let state = web::Data::clone(state);
    let listening = ServerSocket {
        listener,
        tls: None,
        registry: ConnectionRegistry::new(METRICS_LIMITS, Box::new(|_| false)),
        workers: Some(1),
        shutdown_timeout: METRICS_SHUTDOWN_TIMEOUT_SECS,
    };
    let server = connections::start(listening, move || {
        App::new()
            .app_data(web::Data::clone(&state))
            .configure(server::configure_metrics)
            .wrap(NormalizePath::trim())
            .wrap(from_fn(server::log_metrics_requests))
    })?;
    Ok((server, address))
}
