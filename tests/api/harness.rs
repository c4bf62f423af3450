//! What every test needs: the bridge over the simulator, both on free ports, with a clock that can
//! be moved and a client that shows everything it was answered.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use personio_scim::app::{Application, Live, Tuning};
use personio_scim::auth::{Caller, Client, Rules, Token};
use personio_scim::clock::Clock;
use personio_scim::config::{Config, Personio, Scim, State, Told};
use personio_scim::directory::{Approval, Directory};
use personio_scim::mapping::Policy;
use personio_scim::personio::{Limits, Retry};
use personio_scim::scim::filter;
use personio_scim::simulator::{Options, Rate, Simulator, World};
use personio_scim::tls::Pair;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::sync::oneshot;

/// The bearer token of every test server.
pub const TOKEN: &str = "a-token-for-tests-only";
/// The day on which every test begins, unless it moves the clock.
pub const NOW: &str = "2026-11-23T10:00:00Z";

/// The same as resources have it: with three digits of a second.
pub const NOW_STAMP: &str = "2026-11-23T10:00:00.000Z";

/// A moment as resources have it.
pub fn stamp(moment: Timestamp) -> String {
    format!("{moment:.3}")
}

/// A clock that stands still, and is moved by hand.
#[derive(Clone)]
pub struct TestClock(Arc<Mutex<(Timestamp, Duration)>>);

impl TestClock {
    pub fn at(now: &str) -> Self {
        Self(Arc::new(Mutex::new((now.parse().unwrap(), Duration::ZERO))))
    }

    /// Somebody sets the clock: ages do not change.
    pub fn set(&self, now: &str) {
        self.0.lock().unwrap().0 = now.parse().unwrap();
    }

    /// Time passes, on the calendar and for ages.
    pub fn pass(&self, time: Duration) {
        let mut times = self.0.lock().unwrap();
        times.0 += time;
        times.1 += time;
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

/// What a test wants to be otherwise than usual.
pub struct Setup {
    pub world: World,
    /// By default the simulator allows so much that nobody waits. (Without any limit it would send no
    /// headers, and the bridge stays polite then.)
    pub options: Options,
    /// Requests to the simulator that may be in flight at once.
    pub max_concurrency: usize,
    pub policy: Policy,
    /// Real time, kept by the cache: an hour unless a test is about it.
    pub cache_ttl: Duration,
    pub refresh_wait: Duration,
    pub refresh_every: Option<Duration>,
    /// Nothing by default: each load reads all employments again.
    pub employment_recheck: Duration,
    /// Everybody by default: nothing is held back.
    pub max_change: f64,
    pub state: Option<State>,
    pub max_stale: Duration,
    pub max_results: usize,
    pub announces_pagination: bool,
    pub tls: Option<Pair>,
    pub public_url: Option<&'static str>,
    pub webhook_token: Option<&'static str>,
    /// Whether metrics have an address of their own.
    pub has_metrics_address: bool,
    pub status_page: bool,
    /// The settings that the status page shows.
    pub told: Vec<Told>,
    /// Without them, whoever has [`TOKEN`] may ask.
    pub rules: Option<Rules>,
    pub tuning: Tuning,
    pub clock: TestClock,
}

impl Setup {
    /// A company of so many persons.
    pub fn persons(persons: usize) -> Self {
        Self::of(World::generate(persons, 1, NOW.parse().unwrap()))
    }

    pub fn of(world: World) -> Self {
        Self {
            world,
            options: Options { rate: Some(Rate { per_second: 1e6, burst: 1e6 }), ..Options::default() },
            max_concurrency: 16,
            policy: Policy::default(),
            cache_ttl: Duration::from_secs(3600),
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
            told: Vec::new(),
            rules: None,
            tuning: Tuning {
                upstream_timeout: Duration::from_secs(5),
                retry: Retry { times: 2, first_wait: Duration::from_millis(5) },
                limits: Limits::default(),
                pause: Duration::from_secs(15),
                soon: Duration::from_millis(50),
                certificate_look: Duration::from_millis(50),
            },
            clock: TestClock::at(NOW),
        }
    }

    /// Starts the simulator alone: for tests that have it fail before the bridge first asks.
    pub fn simulator(&self) -> Simulator {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (simulator, server) = Simulator::start(listener, self.world.clone(), self.options.clone()).unwrap();
        tokio::spawn(server);
        simulator
    }

    /// Starts the simulator and the bridge, which begins to load at once.
    pub fn start(self) -> Bridge {
        let simulator = self.simulator();
        self.start_with(simulator)
    }

    /// Starts the bridge over a simulator that runs already.
    pub fn start_with(self, simulator: Simulator) -> Bridge {
        let upstream = simulator.base_url();
        self.start_over(&upstream, simulator)
    }

    /// Starts the bridge over any upstream.
    pub fn start_over(self, upstream: &str, simulator: Simulator) -> Bridge {
        let config = Config {
            personio: Personio {
                base_url: upstream.parse().unwrap(),
                client_id: self.options.client_id,
                client_secret: self.options.client_secret.into(),
                app_id: HeaderValue::from_static("PERSONIO_SCIM"),
                max_concurrency: self.max_concurrency,
            },
            scim: Scim {
                listen: "127.0.0.1:0".parse().unwrap(),
                tls: self.tls,
                public_url: self.public_url.map(|url| url.parse().unwrap()),
                rules: self.rules.unwrap_or_else(|| rules(self.webhook_token)),
                cache_ttl: self.cache_ttl,
                refresh_wait: self.refresh_wait,
                refresh_every: self.refresh_every,
                employment_recheck: self.employment_recheck,
                max_change: self.max_change,
                max_stale: self.max_stale,
                max_results: self.max_results,
                announces_pagination: self.announces_pagination,
                filter_limits: filter::Limits::default(),
                policy: self.policy,
                state: self.state,
                max_connections: 1024,
                max_connections_per_address: 256,
                metrics_listen: self.has_metrics_address.then(|| "127.0.0.1:0".parse().unwrap()),
                status_page: self.status_page,
                #[cfg(feature = "otlp")]
                otlp_endpoint: None,
                told: self.told,
            },
        };
        let application = Application::build(config.clone(), Arc::new(self.clock.clone()), self.tuning).unwrap();
        let (directory, live) = (application.directory(), application.live());
        let scheme = if config.scim.tls.is_some() { "https" } else { "http" };
        let origin = format!("{scheme}://{}", application.address());
        let metrics_origin = application.metrics_address().map(|address| format!("http://{address}"));
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(application.run(async {
            let _ = stopped.await;
        }));
        Bridge {
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

/// One client, which has [`TOKEN`].
pub fn rules(webhook_token: Option<&str>) -> Rules {
    let caller = Caller::named("client").unwrap();
    let client = Client { caller, token: Token::of(TOKEN.as_bytes()), expires: None, networks: None };
    let webhook_token = webhook_token.map(|token| Token::of(token.as_bytes()));
    Rules { clients: vec![client], webhook_token, ..Rules::default() }
}

/// A client without proxies, redirects or certificates.
pub fn http() -> reqwest::Client {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).redirect(reqwest::redirect::Policy::none());
    client.timeout(Duration::from_secs(30)).build().unwrap()
}

/// A running bridge. It stops when it is dropped.
pub struct Bridge {
    /// Without a path: `http://127.0.0.1:…`.
    pub origin: String,
    /// Where metrics are, if they have an address of their own.
    pub metrics_origin: Option<String>,
    directory: Directory,
    /// What it was started with, and what takes another one.
    pub config: Config,
    pub live: Live,
    pub simulator: Simulator,
    pub clock: TestClock,
    pub http: reqwest::Client,
    _stop: oneshot::Sender<()>,
}

/// Everything that was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Fails unless this is an error as RFC 7644 §3.12 wants it; gives its detail.
    #[track_caller]
    pub fn scim_error(&self, status: u16, scim_type: Option<&str>) -> String {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        assert!(self.header("content-type").starts_with("application/scim+json"), "{:?}", self.headers);
        let body = self.json();
        assert_eq!(body["schemas"], serde_json::json!(["urn:ietf:params:scim:api:messages:2.0:Error"]));
        assert_eq!(body["status"], status.to_string());
        assert_eq!(body.get("scimType").and_then(Value::as_str), scim_type, "{body}");
        body["detail"].as_str().unwrap().to_owned()
    }
}

impl Bridge {
    /// What is served.
    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Approves what is held back, as it is shown.
    pub async fn approve(&self) {
        if let Some(held) = self.directory.held_back() {
            let approval = self.directory.approve(&held.id.to_string()).await;
            assert!(matches!(approval, Approval::Published(_)), "{approval:?}");
        }
    }

    /// A request with the token, to a path such as `/scim/v2/Users`.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.origin)).header("Authorization", format!("Bearer {TOKEN}"))
    }

    /// The answer to a GET with the token.
    pub async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    /// A page of users, as JSON; fails unless it is answered with 200.
    pub async fn users(&self, query: &str) -> Value {
        let answer = self.get(&format!("/scim/v2/Users{query}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
        answer.json()
    }

    /// A page of a list, as JSON, by parameters that are not encoded yet.
    pub async fn list(&self, path: &str, parameters: &[(&str, &str)]) -> Value {
        let answer = self.get(&format!("{path}?{}", encoded(parameters))).await;
        assert_eq!(answer.status, StatusCode::OK, "{parameters:?}: {}", answer.text);
        answer.json()
    }

    /// The answer to a POST with the token.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).header("Content-Type", "application/scim+json");
        answer(request.body(body.to_string())).await
    }

    /// All users on one page.
    pub async fn everybody(&self) -> Vec<Value> {
        self.users("").await["Resources"].as_array().unwrap().clone()
    }
}

/// Parameters as a URL has them.
pub fn encoded(parameters: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The ids on a page, in their order.
#[track_caller]
pub fn ids(page: &Value) -> Vec<&str> {
    page["Resources"].as_array().unwrap().iter().map(|resource| resource["id"].as_str().unwrap()).collect()
}

/// Sends a request and reads the whole answer.
pub async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

/// Waits until something is so, for at most half a minute: machines can be busy.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    for _ in 0..3000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never came true: {what}");
}

/// A time to live so short that looking at the list again is a new load. See [`Bridge::reloaded`].
pub const SHORT: Duration = Duration::from_millis(20);
/// More than the pause after a failed load.
pub const PAUSE_OVER: Duration = Duration::from_secs(16);

impl Bridge {
    /// All users after one more load, which begins now. Needs [`SHORT`] as time to live.
    pub async fn reloaded(&self) -> Vec<Value> {
        tokio::time::sleep(SHORT + Duration::from_millis(10)).await;
        self.everybody().await
    }

    /// Status and body of `/health/ready`.
    pub async fn health(&self) -> (u16, Value) {
        let answer = self.get("/health/ready").await;
        (answer.status.as_u16(), answer.json())
    }

    /// What `/health/ready` says of Personio, once it says that a load has failed.
    pub async fn failure(&self) -> String {
        let mut detail = String::new();
        until("a load has failed", async || {
            let part = &self.health().await.1["parts"]["personio"];
            detail = part["detail"].as_str().unwrap().to_owned();
            part["status"] == "down"
        })
        .await;
        detail
    }

    /// Waits until the first load has landed.
    pub async fn ready(&self) {
        until("there is a snapshot", async || self.health().await.0 == 200).await;
    }
}

/// The one of `users` with this id.
#[track_caller]
pub fn by_id<'u>(users: &'u [Value], id: &str) -> &'u Value {
    users.iter().find(|user| user["id"] == id).unwrap_or_else(|| panic!("{id} is not there"))
}

/// The first page of persons as Personio gives it, but as if it were the only one.
pub async fn first_page(bridge: &Bridge) -> String {
    let page = bridge.http.get(format!("{}/v2/persons?limit=50", bridge.simulator.base_url()));
    let token = bridge.http.post(format!("{}/v2/auth/token", bridge.simulator.base_url()));
    let credential = "grant_type=client_credentials&client_id=demo&client_secret=demo-secret";
    let token =
        token.header("Content-Type", "application/x-www-form-urlencoded").body(credential).send().await.unwrap();
    let token: Value = serde_json::from_str(&token.text().await.unwrap()).unwrap();
    let page = page.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap().text().await.unwrap();
    let mut page: Value = serde_json::from_str(&page).unwrap();
    page["_meta"]["links"].as_object_mut().unwrap().remove("next");
    page.to_string()
}
