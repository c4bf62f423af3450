//! Tests of the simulator over HTTP. Only the generated world is tested without HTTP.

mod faults;
mod generated;
mod limits;
mod pages;
mod quirks;
mod token;

use std::time::Duration;

use actix_web::dev::ServerHandle;
use jiff::Timestamp;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use crate::simulator::{Quirks, SimulatedEndpoint, Simulator, SimulatorOptions, World};

const FORM_MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
const VALID_TOKEN_REQUEST: &str =
    "grant_type=client_credentials&client_id=demo&client_secret=demo-secret";

/// Running simulator with a client that has a token.
struct SimulatorProbe {
    simulator: Simulator,
    client: Client,
    token: String,
    server: ServerHandle,
}

impl Drop for SimulatorProbe {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

impl SimulatorProbe {
    async fn start(world: World, options: SimulatorOptions) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (simulator, server) = Simulator::start(listener, world, options).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        let client = Client::builder()
            .no_proxy()
            .tls_certs_only([])
            .timeout(Duration::from_secs(10))
            .build()
            .unwrap();
        let mut probe = Self { simulator, client, token: String::new(), server: handle };
        probe.renew_token().await;
        probe.simulator.reset_history();
        probe
    }

    /// Starts a simulator without a rate limit.
    async fn start_without_rate_limit(persons: usize) -> Self {
        Self::start(world(persons), SimulatorOptions { rate: None, ..SimulatorOptions::default() })
            .await
    }

    async fn start_with_quirks(persons: usize, quirks: Quirks) -> Self {
        Self::start(
            world(persons),
            SimulatorOptions { rate: None, quirks, ..SimulatorOptions::default() },
        )
        .await
    }

    async fn request_token(&self, content_type: &str, body: &str) -> (u16, Value) {
        let request =
            self.request(Method::POST, "/v2/auth/token").header("Content-Type", content_type);
        read(request.body(body.to_owned()).send().await.unwrap()).await
    }

    async fn renew_token(&mut self) {
        let (_, body) = self.request_token(FORM_MEDIA_TYPE, VALID_TOKEN_REQUEST).await;
        self.token = body["access_token"].as_str().unwrap_or_default().to_owned();
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.simulator.base_url()))
    }

    async fn send(&self, path: &str) -> reqwest::Result<Response> {
        self.request(Method::GET, path).bearer_auth(&self.token).send().await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        read(self.send(path).await.unwrap()).await
    }

    /// Reads all pages of a listing by following the next links.
    async fn read_pages(&self, path: &str) -> Vec<Value> {
        let mut pages = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next {
            let (status, page) = self.get(&path).await;
            assert_eq!(status, 200, "{path}: {page}");
            let href = page["_meta"]["links"]["next"]["href"].as_str();
            next =
                href.map(|href| href.strip_prefix(&self.simulator.base_url()).unwrap().to_owned());
            pages.push(page);
        }
        pages
    }

    /// Reads the entries of all pages.
    async fn read_all_entries(&self, path: &str) -> Vec<Value> {
        let pages = self.read_pages(path).await;
        pages.iter().flat_map(|page| page["_data"].as_array().unwrap().clone()).collect()
    }

    fn first_id(&self) -> String {
        self.simulator.with_world(|world| world.persons[0].id.clone())
    }
}

fn now() -> Timestamp {
    "2026-06-15T09:30:00Z".parse().unwrap()
}

fn world(persons: usize) -> World {
    World::generate(persons, 1, now())
}

async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn ids(entries: &[Value]) -> Vec<String> {
    entries.iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn unknown_route_returns_404_with_its_path() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    for path in [
        "/",
        "/v2",
        "/v2/persons/",
        "/v2/persons/1/employments/2",
        "/v1/company/employees",
        "/scim/v2/Users",
    ] {
        let (status, body) = probe.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(body["errors"][0]["type"].as_str().unwrap().ends_with("apinot_found"), "{path}");
        assert_eq!(body["errors"][0]["_meta"]["path"], path);
    }
    let (status, _) =
        read(probe.request(Method::DELETE, "/v2/persons").send().await.unwrap()).await;
    assert_eq!(status, 404);
    assert_eq!(probe.simulator.request_count(SimulatedEndpoint::Unknown), 7);
}

#[tokio::test]
async fn log_contains_headers_and_token_bodies_until_reset() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    let request =
        probe.request(Method::GET, "/v2/persons?limit=5").header("X-Personio-App-ID", "MY_APP");
    request.bearer_auth(&probe.token).send().await.unwrap();
    probe.request_token(FORM_MEDIA_TYPE, VALID_TOKEN_REQUEST).await;
    let log = probe.simulator.received_requests();
    assert_eq!(log.len(), 2);
    assert_eq!(
        (log[0].endpoint, log[0].path.as_str(), log[0].query.as_str()),
        (SimulatedEndpoint::Persons, "/v2/persons", "limit=5")
    );
    assert_eq!((log[0].app_id.as_deref(), log[0].body.as_deref()), (Some("MY_APP"), None));
    assert_eq!(
        (log[1].content_type.as_deref(), log[1].body.as_deref()),
        (Some(FORM_MEDIA_TYPE), Some(VALID_TOKEN_REQUEST))
    );
    probe.simulator.reset_history();
    assert!(probe.simulator.received_requests().is_empty());
    assert_eq!(probe.simulator.request_count(SimulatedEndpoint::Persons), 0);
}

#[tokio::test]
async fn changed_world_appears_in_later_responses() {
    let probe = SimulatorProbe::start_without_rate_limit(3).await;
    let id = probe.first_id();
    probe.simulator.with_world(|world| world.persons[0].first_name = Some("Zoë".to_owned()));
    assert_eq!(probe.get(&format!("/v2/persons/{id}")).await.1["first_name"], "Zoë");
    probe.simulator.with_world(|world| world.persons.remove(0));
    assert_eq!(probe.get(&format!("/v2/persons/{id}")).await.0, 404);
    assert_eq!(probe.read_all_entries("/v2/persons").await.len(), 2);
}
