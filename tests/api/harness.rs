//! Test harness: a server and a simulator on free ports, a clock that tests move, and a client that
//! keeps the status, headers and body of each response.

#[path = "test_clock.rs"]
mod test_clock;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use personio_scim::app::{Application, ReloadHandle, Tuning};
use personio_scim::auth::{AuthSettings, Client, ClientName, DefaultPaging, TokenHash};
use personio_scim::clock::Clock;
use personio_scim::config;
use personio_scim::config::{
    ClientScope, Config, EffectiveSetting, FreshnessSettings, LimitSettings, ListenSettings,
    MonitoringSettings, PersonioApiSettings, PersonioSettings, ServerSettings, StateFileSettings,
};
use personio_scim::directory::{ApprovalOutcome, Directory};
use personio_scim::mapping::{MappingPolicy, OverridableAttribute, StandardAttributePolicy};
use personio_scim::personio::{ReadLimits, RetryPolicy};
use personio_scim::scim::ERROR_SCHEMA;
use personio_scim::simulator::{
    SimulatedEndpoint, SimulatedRateLimit, Simulator, SimulatorOptions, World,
};
use personio_scim::tls::CertifiedKeyPair;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;

pub use crate::harness::test_clock::TestClock;

/// Bearer token that every test server accepts.
pub const TOKEN: &str = "a-token-for-tests-only";
/// Time at which every test begins unless it sets the clock.
pub const NOW: &str = "2026-11-23T10:00:00Z";

/// [`NOW`] in the format of resources: with three digits of a second.
pub const NOW_STAMP: &str = "2026-11-23T10:00:00.000Z";

/// Formats a time as resources contain it.
pub fn format_timestamp(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

/// Settings of a test server and its simulator.
pub struct Setup {
    pub world: World,
    /// Options of the simulator. The default rate limit is so high that no request waits. Without
    /// any limit the simulator sends no rate limit headers, and the server then limits itself.
    pub options: SimulatorOptions,
    /// Maximum number of concurrent requests to the simulator.
    pub max_concurrency: usize,
    pub policy: MappingPolicy,
    /// Time to live of a snapshot: so long that data stays fresh, unless a test needs another value.
    pub cache_ttl: Duration,
    pub refresh_wait: Duration,
    pub refresh_every: Option<Duration>,
    /// Zero by default: each load reads all employments again.
    pub employment_recheck: Duration,
    /// Share of users that a load may change. The default of 1.0 switches the guard off.
    pub max_change: f64,
    pub state: Option<StateFileSettings>,
    pub max_stale: Duration,
    pub max_results: usize,
    pub announces_pagination: bool,
    pub tls: Option<CertifiedKeyPair>,
    pub public_url: Option<&'static str>,
    pub webhook_token: Option<&'static str>,
    /// Separate listener for metrics.
    pub has_metrics_address: bool,
    pub status_page: bool,
    /// Settings that the status page shows.
    pub effective_settings: Vec<EffectiveSetting>,
    /// Settings of authentication. Without them, one client is configured, with [`TOKEN`].
    pub auth_settings: Option<AuthSettings>,
    /// Scopes of clients in `auth_settings`.
    pub scopes: Vec<ClientScope>,
    pub tuning: Tuning,
    pub clock: TestClock,
}

impl Setup {
    /// Returns the default setup over a generated company with `persons` persons.
    pub fn persons(persons: usize) -> Self {
        Self::of(World::generate(persons, 1, NOW.parse().unwrap()))
    }

    pub fn of(world: World) -> Self {
        Self {
            world,
            options: SimulatorOptions {
                rate: Some(SimulatedRateLimit { per_second: 1e6, burst: 1e6 }),
                ..SimulatorOptions::default()
            },
            max_concurrency: 16,
            policy: MappingPolicy::default(),
            cache_ttl: Duration::from_secs(366 * 24 * 3600),
            refresh_wait: Duration::from_secs(10),
            refresh_every: None,
            employment_recheck: Duration::ZERO,
            max_change: 1.0,
            state: None,
            max_stale: Duration::from_secs(24 * 3600),
            max_results: 10_000,
            announces_pagination: true,
            tls: None,
            public_url: None,
            webhook_token: None,
            has_metrics_address: false,
            status_page: true,
            effective_settings: Vec::new(),
            auth_settings: None,
            scopes: Vec::new(),
            tuning: Tuning {
                upstream_timeout: Duration::from_secs(5),
                retry: RetryPolicy { max_retries: 2, initial_delay: Duration::from_millis(5) },
                limits: ReadLimits::default(),
                cool_down: Duration::from_secs(15),
                refresh_debounce: REFRESH_DEBOUNCE,
                certificate_read_interval: CERTIFICATE_READ_INTERVAL,
            },
            clock: TestClock::at(NOW),
        }
    }

    /// Starts the simulator alone. Tests use it to add faults before the first request of the
    /// server.
    pub fn simulator(&self) -> Simulator {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (simulator, server) =
            Simulator::start(listener, self.world.clone(), self.options.clone()).unwrap();
        tokio::spawn(server);
        simulator
    }

    /// Starts the simulator and the server. The first load begins at once.
    pub fn start(self) -> TestServer {
        let simulator = self.simulator();
        self.start_with(simulator)
    }

    /// Starts the server with a simulator that is already running.
    pub fn start_with(self, simulator: Simulator) -> TestServer {
        let upstream = simulator.base_url();
        self.start_over(&upstream, simulator)
    }

    /// Returns the configuration. A setting without a field here has its default.
    fn config(&self, upstream: &str) -> Config {
        let mut api: PersonioApiSettings = config::default_settings().unwrap();
        api.base_url = upstream.parse().unwrap();
        api.max_concurrency = self.max_concurrency;
        let mut listen: ListenSettings = config::default_settings().unwrap();
        listen.listen = "127.0.0.1:0".parse().unwrap();
        listen.public_url = self.public_url.map(|url| url.parse().unwrap());
        let mut monitoring: MonitoringSettings = config::default_settings().unwrap();
        monitoring.metrics_listen =
            self.has_metrics_address.then(|| "127.0.0.1:0".parse().unwrap());
        monitoring.status_page = self.status_page;
        let mut freshness: FreshnessSettings = config::default_settings().unwrap();
        freshness.cache_ttl = self.cache_ttl;
        freshness.refresh_wait = self.refresh_wait;
        freshness.refresh_every = self.refresh_every;
        freshness.employment_recheck = self.employment_recheck;
        freshness.max_change = self.max_change;
        freshness.max_stale = self.max_stale;
        let mut limits: LimitSettings = config::default_settings().unwrap();
        limits.max_results = self.max_results;
        limits.announce_pagination = self.announces_pagination;
        Config {
            personio: PersonioSettings {
                client_id: self.options.client_id.clone(),
                client_secret: self.options.client_secret.clone().into(),
                api,
            },
            scim: ServerSettings {
                listen,
                tls: self.tls.clone(),
                auth_settings: self
                    .auth_settings
                    .clone()
                    .unwrap_or_else(|| auth_settings(self.webhook_token)),
                monitoring,
                freshness,
                limits,
                policy: self.policy.clone(),
                scopes: self.scopes.clone(),
                state: self.state.clone(),
            },
            effective_settings: self.effective_settings.clone(),
        }
    }

    /// Starts the server with any upstream URL.
    pub fn start_over(self, upstream: &str, simulator: Simulator) -> TestServer {
        let config = self.config(upstream);
        let application =
            Application::build(config.clone(), Arc::new(self.clock.clone()), self.tuning).unwrap();
        let (directory, live) = (application.directory(), application.reload_handle());
        let scheme = if config.scim.tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", application.address());
        let metrics_origin =
            application.metrics_address().map(|address| format!("http://{address}"));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(application.run(async {
            let _ = stopped.await;
        }));
        TestServer {
            origin,
            metrics_origin,
            directory,
            config,
            live,
            simulator,
            clock: self.clock,
            http: http(),
            _stop: stop,
        }
    }
}

/// Returns settings of authentication with one client, whose token is [`TOKEN`].
pub fn auth_settings(webhook_token: Option<&str>) -> AuthSettings {
    let caller = ClientName::parse("client").unwrap();
    let client = Client {
        name: caller,
        token: TokenHash::from_token(TOKEN.as_bytes()),
        expires: None,
        networks: None,
        scope: None,
        default_paging: DefaultPaging::Index,
    };
    let webhook_token = webhook_token.map(|token| TokenHash::from_token(token.as_bytes()));
    AuthSettings { clients: vec![client], webhook_token, ..AuthSettings::default() }
}

/// Returns the choice of the custom attribute `id` as the employee number, without a fallback.
pub fn employee_number(id: &str) -> StandardAttributePolicy {
    StandardAttributePolicy::default().with_source(OverridableAttribute::EmployeeNumber, id, false)
}

/// Creates an HTTP client without proxies, redirects or certificates.
pub fn http() -> reqwest::Client {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .redirect(reqwest::redirect::Policy::none());
    client.timeout(Duration::from_secs(30)).build().unwrap()
}

/// Running server. It stops when it is dropped.
pub struct TestServer {
    /// URL without a path: `http://127.0.0.1:…`.
    pub origin: String,
    /// URL of the separate metrics listener, if there is one.
    pub metrics_origin: Option<String>,
    directory: Directory,
    /// Configuration with which the server was started. `live` applies another one.
    pub config: Config,
    pub live: ReloadHandle,
    pub simulator: Simulator,
    pub clock: TestClock,
    pub http: reqwest::Client,
    _stop: oneshot::Sender<()>,
}

/// Complete response.
#[derive(Debug)]
pub struct TestResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl TestResponse {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that the response is an error as RFC 7644 §3.12 defines it, and returns its detail.
    #[track_caller]
    pub fn scim_error(&self, status: u16, scim_type: Option<&str>) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(
            self.header("content-type").starts_with("application/scim+json"),
            "{:?}",
            self.headers
        );
        let body = self.json();
        assert_eq!(body["schemas"], serde_json::json!([ERROR_SCHEMA]));
        assert_eq!(body["status"], status.to_string());
        assert_eq!(body.get("scimType").and_then(Value::as_str), scim_type, "{body}");
        body["detail"].as_str().unwrap().to_owned()
    }
}

impl TestServer {
    /// Returns the directory of the server.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Approves the held change, if there is one.
    pub async fn approve(&self) {
        if let Some(held) = self.directory.held_change() {
            let approval = self.directory.approve(&held.id.to_string()).await;
            assert!(matches!(approval, ApprovalOutcome::Published(_)), "{approval:?}");
        }
    }

    /// Builds a request with the token to a path such as `/scim/v2/Users`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("{}{path}", self.origin))
            .header("Authorization", format!("Bearer {TOKEN}"))
    }

    /// Sends a GET with the token.
    pub async fn get(&self, path: &str) -> TestResponse {
        send_request(self.request(Method::GET, path)).await
    }

    /// Returns a page of users as JSON and asserts status 200.
    pub async fn users(&self, query: &str) -> Value {
        let answer = self.get(&format!("/scim/v2/Users{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    /// Returns a page of a list as JSON, with parameters that are not encoded yet.
    pub async fn list(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.get(&format!("{path}?{}", encoded(parameters))).await;
        assert_eq!(answer.status, StatusCode::OK, "{parameters:?}: {}", answer.text);
        answer.json()
    }

    /// Sends a POST with the token.
    pub async fn post(&self, path: &str, body: &Value) -> TestResponse {
        let request =
            self.request(Method::POST, path).header("Content-Type", "application/scim+json");
        send_request(request.body(body.to_string())).await
    }

    /// Returns all users from one page.
    pub async fn all_users(&self) -> Vec<Value> {
        self.users("").await["Resources"].as_array().unwrap().clone()
    }
}

/// Encodes parameters as a query string.
pub fn encoded(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// Returns the ids on a page, in their order.
#[track_caller]
pub fn ids(page: &Value) -> Vec<&str> {
    page["Resources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|resource| resource["id"].as_str().unwrap())
        .collect()
}

/// Sends a request and reads the whole response.
pub async fn send_request(request: reqwest::RequestBuilder) -> TestResponse {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    TestResponse { status, headers, text: response.text().await.unwrap() }
}

/// Waits until a condition holds, for at most 30 seconds, because test machines can be busy.
pub async fn wait_until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

/// Time to live that is over as soon as the clock moves. See [`TestServer::reloaded`].
pub const SHORT_TTL: Duration = Duration::from_nanos(1);
/// Time between a webhook and the load that it causes, on the test clock.
pub const REFRESH_DEBOUNCE: Duration = Duration::from_millis(50);
/// Time between two reads of the certificate files, on the test clock.
pub const CERTIFICATE_READ_INTERVAL: Duration = Duration::from_millis(50);
/// Duration longer than the cool-down after a failed load.
pub const AFTER_COOL_DOWN: Duration = Duration::from_secs(16);

/// Returns the number of requests for pages of persons since the last reset. A load of up to 50
/// persons makes one.
pub fn loads(bridge: &TestServer) -> usize {
    bridge.simulator.request_count(SimulatedEndpoint::Persons)
}

/// Returns the value of a metric of a running server. See [`metric_in`].
pub async fn metric(bridge: &TestServer, name: &str) -> u64 {
    metric_in(&bridge.get("/metrics").await.text, name)
}

/// Returns the value of a metric in the text of `/metrics`. The name contains the labels, and not
/// the prefix `personio_scim_`.
#[track_caller]
pub fn metric_in(text: &str, name: &str) -> u64 {
    let prefix = format!("personio_scim_{name} ");
    let value = text.lines().find_map(|line| line.strip_prefix(prefix.as_str()));
    value.unwrap_or_else(|| panic!("{name} is not in {text}")).parse().unwrap()
}

impl TestServer {
    /// Returns all users after one more load, which begins now. The time to live must be
    /// [`SHORT_TTL`]. After [`TestClock::pass`] this is not needed, because the data is old.
    pub async fn reloaded(&self) -> Vec<Value> {
        self.clock.age(SHORT_TTL);
        self.all_users().await
    }

    /// Returns status and body of `/health/ready`.
    pub async fn health(&self) -> (u16, Value) {
        let answer = self.get("/health/ready").await;
        (answer.status.as_u16(), answer.json())
    }

    /// Waits until `/health/ready` reports a failed load, and returns the detail.
    pub async fn failure(&self) -> String {
        let mut detail = String::new();
        wait_until("a load has failed", async || {
            let part = &self.health().await.1["parts"]["personio"];
            detail = part["detail"].as_str().unwrap().to_owned();
            part["status"] == "down" && self.directory.state().loading.is_none()
        })
        .await;
        detail
    }

    /// Waits until there is a snapshot and the load that published it has ended.
    pub async fn ready(&self) {
        wait_until("there is a snapshot", async || self.health().await.0 == 200).await;
        let has_ended = async || self.directory.state().loading.is_none();
        wait_until("the load has ended", has_ended).await;
    }
}

/// Returns the user with this id.
#[track_caller]
pub fn by_id<'u>(users: &'u [Value], id: &str) -> &'u Value {
    users.iter().find(|user| user["id"] == id).unwrap_or_else(|| panic!("{id} is not there"))
}

/// Returns the first page of persons as Personio sends it, without the link to the next page.
pub async fn first_page(bridge: &TestServer) -> String {
    let page = bridge.http.get(format!("{}/v2/persons?limit=50", bridge.simulator.base_url()));
    let token = bridge.http.post(format!("{}/v2/auth/token", bridge.simulator.base_url()));
    let credential = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret";
    let token = token
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(credential)
        .send()
        .await
        .unwrap();
    let token: Value = serde_json::from_str(&token.text().await.unwrap()).unwrap();
    let page = page
        .bearer_auth(token["access_token"].as_str().unwrap())
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let mut page: Value = serde_json::from_str(&page).unwrap();
    page["_meta"]["links"].as_object_mut().unwrap().remove("next");
    page.to_string()
}
