//! Privacy tests: data outside the allow-list must not leave. Markers are in everything outside the
//! allow-list, in client requests and in wrong responses of Personio. The tests search for the
//! markers in every response and in the log of the real program at the most verbose level.
//!
//! The simulator speaks plain HTTP/1.1, so the log output of the libraries for TLS and HTTP/2 is
//! not covered.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use personio_scim::scim::SEARCH_REQUEST_SCHEMA;
use personio_scim::simulator::{
    FaultAction, InjectedFault, SimulatedCustomAttribute, SimulatedEndpoint, SimulatedPerson,
    SimulatedRateLimit, SimulatedTermination, Simulator, SimulatorOptions, World,
};
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::harness::{NOW, Setup, TOKEN, TestResponse, http, send_request, wait_until};
use crate::process::wait_for_log;

/// Marker in every field that must not leave.
pub const PRIVATE_MARKER: &str = "MARKER-9f3c";
/// Marker in names and addresses, which are served but never logged. The search ignores case.
const NAME_MARKER: &str = "namemarker";
/// Marker in everything that a client sends.
const SENT_MARKER: &str = "SENTMARKER";
pub const PRIVATE_HOURS: f64 = 31.415_926;
const WEBHOOK_TOKEN: &str = "webhook-token-of-this-test";
const SECRET: &str = "client-secret-of-this-test";
const MAPPING: &str = "[attributes]\ntitle = \"dynamic_900\"\nnickName = \"dynamic_901\"\n\
                       department = \"dynamic_903\"\ntimezone = \"dynamic_904\"\n\
                       [values.userType]\n\"SENTMARKER\" = \"x\"\n\
                       [values.timezone]\n\"SENTMARKER\" = \"UTC\"\n\
                       [[custom_attribute]]\nid = \"dynamic_900\"\nname = \"nothingPersonalByItsId\"\n\
                       [[custom_attribute]]\nid = \"dynamic_901\"\nname = \"list\"\nmulti_valued = true\n\
                       [users]\nemployments = \"all\"\nmanager_levels = true\n\
                       [groups]\nfrom = [\"department\", \"team\", \"costCenter\", \"job\"]\nnested = true\n";

pub fn mark(person: &mut SimulatedPerson) {
    let id = &person.id;
    person.gender = Some(PRIVATE_MARKER.to_owned());
    person.profile_picture = Some(format!("https://pictures.example/{PRIVATE_MARKER}.png"));
    person.first_name = Some(format!("Namemarker{id}"));
    person.last_name = Some(format!("Ünamemarker{id}"));
    person.preferred_name = Some(format!("NameMarker {id}"));
    person.email = Some(format!("namemarker.{id}@example.com"));
    for attribute in &mut person.custom_attributes {
        attribute.label = Some(format!("Label {PRIVATE_MARKER}"));
        attribute.value = json!(PRIVATE_MARKER);
    }
    // The server requests all attributes but the third. It refuses the first two because of their
    // labels, and the last two because of their values.
    let deep = json!({"inner": {PRIVATE_MARKER: [PRIVATE_MARKER, {"deep": PRIVATE_MARKER}]}});
    let values =
        [json!(PRIVATE_MARKER), json!([PRIVATE_MARKER]), deep.clone(), deep, json!(PRIVATE_MARKER)];
    let labels = ["Gehalt", "IBAN", "Notiz", "Bereich", "Zeitzone"];
    for ((value, label), number) in values.into_iter().zip(labels).zip(900..) {
        person.custom_attributes.push(SimulatedCustomAttribute {
            id: format!("dynamic_{number}"),
            global_id: Some(format!("{PRIVATE_MARKER}-{number}")),
            label: Some(format!("{label} {PRIVATE_MARKER}")),
            value_type: "STRING".to_owned(),
            value,
        });
    }
    for employment in &mut person.employments {
        employment.weekly_working_hours = Some(PRIVATE_HOURS);
        employment.extra = private_members();
        let termination = employment.termination.get_or_insert_with(SimulatedTermination::default);
        termination.termination_type = Some(PRIVATE_MARKER.to_owned());
        termination.reason = Some(format!("Because {PRIVATE_MARKER}."));
    }
}

/// Marks all persons and names of a company.
pub fn mark_world(world: &mut World) {
    world.persons.iter_mut().for_each(mark);
    for unit in &mut world.org_units {
        unit.extra = private_members();
    }
    for list in
        [&mut world.legal_entities, &mut world.workplaces, &mut world.cost_centers, &mut world.jobs]
    {
        for entry in list {
            entry.extra = private_members();
        }
    }
}

/// Returns members that Personio does not have today, in each form.
fn private_members() -> Map<String, Value> {
    let members = json!({
        "salary_band": PRIVATE_MARKER,
        "label": PRIVATE_MARKER,
        "description": {"text": PRIVATE_MARKER},
        "responsible": [{"name": PRIVATE_MARKER}, PRIVATE_MARKER],
        "name": PRIVATE_MARKER,
        "title": PRIVATE_MARKER,
    });
    members.as_object().unwrap().clone()
}

fn setup() -> Setup {
    let mut world = World::generate(120, 7, NOW.parse().unwrap());
    mark_world(&mut world);
    // Two persons share an address. The warning about it must not contain the address.
    let shared = world.persons[0].email.clone();
    world.persons[1].email = shared;
    let options =
        SimulatorOptions { client_secret: SECRET.to_owned(), ..SimulatorOptions::default() };
    let mut setup = Setup::of(world);
    setup.options = SimulatorOptions {
        rate: Some(SimulatedRateLimit { per_second: 1e6, burst: 1e6 }),
        ..options
    };
    setup
}

/// Real program with its log in a file.
struct LoggedProgram {
    child: Child,
    folder: tempfile::TempDir,
    origin: String,
    /// All responses so far.
    answers: String,
}

impl Drop for LoggedProgram {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl LoggedProgram {
    async fn start(simulator: &Simulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mapping = folder.path().join("mapping.toml");
        std::fs::write(&mapping, MAPPING).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_personio-scim"))
            .arg("serve")
            .env_clear()
            .env("RUST_LOG", "trace,actix_http::h1::decoder=trace")
            .env("PERSONIO_BASE_URL", simulator.base_url())
            .env("PERSONIO_CLIENT_ID", "demo")
            .env("PERSONIO_CLIENT_SECRET", SECRET)
            .env("SCIM_BEARER_TOKEN", TOKEN)
            .env("SCIM_WEBHOOK_TOKEN", WEBHOOK_TOKEN)
            .env("SCIM_LISTEN", "127.0.0.1:0")
            .env("SCIM_REFRESH_WAIT", "300ms")
            .env("SCIM_CONFIG", mapping)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut program = Self { child, folder, origin: String::new(), answers: String::new() };
        let mut address = None;
        wait_until("the program listens", async || {
            let log = program.log();
            address = log
                .split_once("listening on ")
                .and_then(|(_, rest)| Some(rest.split_once(';')?.0.to_owned()));
            address.is_some()
        })
        .await;
        program.origin = format!("http://{}", address.unwrap());
        program
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap()).into_owned()
    }

    async fn ask(&mut self, request: reqwest::RequestBuilder) -> TestResponse {
        let answer = send_request(request).await;
        writeln!(self.answers, "{} {:?} {}", answer.status, answer.headers, answer.text).unwrap();
        answer
    }

    async fn get(&mut self, path: &str) -> TestResponse {
        let request = http().get(format!("{}{path}", self.origin)).bearer_auth(TOKEN);
        self.ask(request).await
    }

    async fn health(&mut self) -> String {
        let request = http().get(format!("{}/health/ready", self.origin));
        self.ask(request).await.text
    }

    /// Requests every path, and some unknown ones, with markers in everything that a client can
    /// send.
    async fn ask_everything(&mut self, ids: &[String]) {
        let mut paths: Vec<String> = [
            "/Users",
            "/Groups",
            "/Groups/SENTMARKER",
            "/ServiceProviderConfig",
            "/ResourceTypes",
            "/ResourceTypes/User",
            "/ResourceTypes/SENTMARKER",
            "/Schemas",
            "/Schemas/urn:ietf:params:scim:schemas:extension:personio:2.0:User",
            "/Schemas/SENTMARKER",
            "/Users/SENTMARKER",
            "/Users/SENTMARKER%20x%2F",
            "/SENTMARKER/SENTMARKER",
            "/Users?filter=userName%20eq%20%22SENTMARKER%22",
            "/Users?startIndex=SENTMARKER",
            "/Users?count=1&count=SENTMARKER",
            "/Users?startIndex=2&count=3&SENTMARKER=SENTMARKER",
            "/Users?SENTMARKER=%ff%zz",
            "/Groups?filter=displayName%20eq%20%22SENTMARKER%22",
        ]
        .map(str::to_owned)
        .to_vec();
        paths.extend(ids.iter().map(|id| format!("/Users/{id}?attributes=SENTMARKER")));
        for path in &paths {
            self.get(&format!("/scim/v2{path}")).await;
            self.get(path).await;
        }
        for path in [
            "/health/live",
            "/health/ready",
            "/health/SENTMARKER",
            "/health/ready?x=SENTMARKER",
            "/",
        ] {
            let request = http().get(format!("{}{path}", self.origin));
            self.ask(request).await;
        }
        for token in ["Bearer SENTMARKER", "Basic SENTMARKER", "SENTMARKER"] {
            let request =
                http().get(format!("{}/scim/v2/Users", self.origin)).header("Authorization", token);
            self.ask(request).await;
        }
        let headers = [
            "X-Request-Id",
            "Cookie",
            "User-Agent",
            "If-None-Match",
            "Accept",
            "Host",
            "Traceparent",
        ];
        for header in headers {
            let request =
                http().get(format!("{}/scim/v2/Users?count=1", self.origin)).bearer_auth(TOKEN);
            self.ask(request.header(header, SENT_MARKER)).await;
        }
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let body = json!({"userName": SENT_MARKER}).to_string();
            let request = http()
                .request(method, format!("{}/scim/v2/Users/1", self.origin))
                .bearer_auth(TOKEN);
            self.ask(request.header("Content-Type", SENT_MARKER).body(body)).await;
        }
        self.search().await;
        self.notify().await;
        self.talk_nonsense();
    }

    /// Sends valid and invalid queries that name persons. An error may quote the query to its
    /// sender, and must not appear anywhere else.
    async fn search(&self) {
        let queries = [
            json!({"filter": "userName eq \"SENTMARKER\" or name.familyName co \"SENTMARKER\""}),
            json!({"filter": "SENTMARKER eq \"SENTMARKER\""}),
            json!({"filter": "userName SENTMARKER"}),
            json!({"filter": "userName eq SENTMARKER"}),
            json!({"filter": "active eq \"SENTMARKER\""}),
            json!({"sortBy": SENT_MARKER, "attributes": [SENT_MARKER], "SENTMARKER": SENT_MARKER}),
            json!({"cursor": SENT_MARKER, "count": SENT_MARKER}),
        ];
        for mut body in queries {
            for (name, value) in body.as_object().unwrap() {
                let query = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair(name, value.as_str().unwrap_or_default())
                    .finish();
                http()
                    .get(format!("{}/Users?{query}", self.origin))
                    .bearer_auth(TOKEN)
                    .send()
                    .await
                    .unwrap();
            }
            body["schemas"] = json!([SEARCH_REQUEST_SCHEMA]);
            for body in [body.to_string(), format!("{{\"SENTMARKER\": {body} SENTMARKER")] {
                let request = http()
                    .post(format!("{}/scim/v2/Users/.search", self.origin))
                    .bearer_auth(TOKEN);
                request
                    .header("Content-Type", "application/scim+json")
                    .body(body)
                    .send()
                    .await
                    .unwrap();
            }
        }
    }

    /// Sends valid and invalid webhooks, and one with a wrong token.
    async fn notify(&mut self) {
        let notices = [
            json!({"event_name": "person.updated", "payload": {"person_id": SENT_MARKER, "SENTMARKER": SENT_MARKER}}).to_string(),
            json!({"event_name": "person.updated", "payload": {"person_id": "SENTMARKER@x"}}).to_string(),
            json!({"event_name": SENT_MARKER}).to_string(),
            json!({"event_name": [SENT_MARKER], SENT_MARKER: SENT_MARKER}).to_string(),
            "{\"event_name\": \"SENTMARKER\" SENTMARKER".to_owned(),
        ];
        for token in [WEBHOOK_TOKEN, SENT_MARKER] {
            for notice in &notices {
                let request = http()
                    .post(format!("{}/webhooks/personio", self.origin))
                    .header("Authorization", token);
                self.ask(request.body(notice.clone())).await;
            }
        }
        assert_eq!(self.answers.matches("202 Accepted").count(), 3, "notices are understood");
    }

    /// Sends bytes that no HTTP client would send.
    fn talk_nonsense(&mut self) {
        for request in [
            "SENTMARKER\r\n\r\n",
            "GET /scim/v2/Users?SENTMARKER HTTP/9.9\r\n\r\n",
            "GET /scim/v2/Us ers SENTMARKER HTTP/1.1\r\nHost: SENTMARKER\r\n\r\n",
            "GET /Users HTTP/1.1\r\nHost: x\r\nSENT MARKER SENTMARKER\r\n\r\n",
            "POST /Users HTTP/1.1\r\nHost: x\r\nContent-Length: SENTMARKER\r\n\r\n",
            "POST /Users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: SENTMARKER\u{fc}\r\n\r\n",
            "POST /Users HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nSENTMARKER\r\n",
            "GET http://SENTMARKER:x/Users HTTP/1.1\r\nHost: SENTMARKER\r\nConnection: close\r\n\r\n",
        ] {
            let mut stream = TcpStream::connect(self.origin.trim_start_matches("http://")).unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = Vec::new();
            // A dropped connection is acceptable as well.
            let _ = stream.read_to_end(&mut answer);
            self.answers += &String::from_utf8_lossy(&answer);
        }
    }

    /// Asserts that no marker is in the log or in a response where it must not be, and shows the
    /// line and its logger.
    #[track_caller]
    fn assert_silent(&self) {
        wait_for_log();
        let log = self.log();
        assert!(log.contains("\"level\":\"TRACE\""), "the log is not at its loudest");
        for marker in [
            PRIVATE_MARKER,
            &PRIVATE_HOURS.to_string(),
            SENT_MARKER,
            SECRET,
            "papi-",
            TOKEN,
            WEBHOOK_TOKEN,
        ] {
            let at = self.answers.find(marker);
            assert!(
                at.is_none(),
                "{marker} was answered: {}",
                &self.answers[at.unwrap_or(0).saturating_sub(200)..]
            );
        }
        let mut found = String::new();
        for line in log.lines() {
            for marker in [
                PRIVATE_MARKER,
                &PRIVATE_HOURS.to_string(),
                SENT_MARKER,
                SECRET,
                "papi-",
                TOKEN,
                WEBHOOK_TOKEN,
                NAME_MARKER,
            ] {
                if line.to_lowercase().contains(&marker.to_lowercase()) {
                    writeln!(found, "{marker} in {line:.600}").unwrap();
                }
            }
        }
        assert!(found.is_empty(), "the log tells:\n{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn private_data_is_in_no_response_and_no_log() {
    let setup = setup();
    let ids: Vec<String> = setup.world.persons.iter().map(|person| person.id.clone()).collect();
    let simulator = setup.simulator();
    // The look-up and one person's employments fail, and the log reports it.
    simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::CostCenters, FaultAction::Status(403)));
    simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::TruncatedJson)
            .person(&ids[5]),
    );
    let mut program = LoggedProgram::start(&simulator).await;
    // All users except the one whose employments cannot be read.
    wait_until("the people are there", async || program.health().await.contains("\"users\":119"))
        .await;
    simulator.revoke_tokens();
    program.ask_everything(&ids).await;
    assert!(program.answers.to_lowercase().contains(NAME_MARKER), "names are served");
    assert!(
        program.answers.contains("terminationDate"),
        "what is about a termination and may leave is served"
    );
    assert!(
        upstream_answers(&simulator).await.contains(PRIVATE_MARKER),
        "the simulator knows what must not leave"
    );
    program.assert_silent();
}

/// Returns the responses of the simulator to a client with a token.
async fn upstream_answers(simulator: &Simulator) -> String {
    let form = format!("grant_type=client_credentials&client_id=demo&client_secret={SECRET}");
    let request = http().post(format!("{}/v2/auth/token", simulator.base_url())).body(form);
    let token = send_request(request.header("Content-Type", "application/x-www-form-urlencoded"))
        .await
        .json();
    let token = token["access_token"].as_str().unwrap();
    send_request(http().get(format!("{}/v2/persons", simulator.base_url())).bearer_auth(token))
        .await
        .text
}

/// Returns unusable responses with markers wherever a text can be.
fn malformed() -> Vec<(u16, &'static str, String)> {
    let html = format!("<html><title>{PRIVATE_MARKER}</title>Namemarker papi-x</html>");
    let problem = json!({
        "personio_trace_id": format!("{PRIVATE_MARKER} Namemarker"), "timestamp": PRIVATE_MARKER,
        "errors": [{"title": PRIVATE_MARKER, "detail": "Namemarker", "_meta": {PRIVATE_MARKER: PRIVATE_MARKER}}],
        "error": "Namemarker", "error_description": PRIVATE_MARKER, "error_uri": PRIVATE_MARKER, "trace_id": PRIVATE_MARKER.repeat(20),
    });
    let next = json!({"_data": [], "_meta": {"links": {"next": {"href": format!("https://{PRIVATE_MARKER}/?x=Namemarker")}}}});
    let mut all = vec![
        (200, "text/html", html.clone()),
        (200, "application/json", format!("{{\"_data\": [{{\"id\": \"{PRIVATE_MARKER}")),
        (200, "application/json", format!("\"{PRIVATE_MARKER}\"")),
        (200, "application/json", json!({"_data": PRIVATE_MARKER}).to_string()),
        (
            200,
            "application/json",
            json!({"_data": [{"id": {PRIVATE_MARKER: "Namemarker"}}]}).to_string(),
        ),
        (
            200,
            "application/json",
            json!({"_data": [{"id": "7", "email": {"Namemarker": PRIVATE_MARKER}}]}).to_string(),
        ),
        (
            200,
            "application/json",
            json!({"id": "7", "status": [PRIVATE_MARKER], "email": ["Namemarker"]}).to_string(),
        ),
        (200, "application/json", next.to_string()),
        (200, "application/json", json!({"access_token": {"papi-x": PRIVATE_MARKER}}).to_string()),
        (
            200,
            "application/json",
            json!({"access_token": "papi-x", "token_type": PRIVATE_MARKER}).to_string(),
        ),
        (
            200,
            "application/json",
            json!({"access_token": "papi-x", "expires_in": "Namemarker"}).to_string(),
        ),
        (
            200,
            "application/json",
            json!({"access_token": format!("papi-{PRIVATE_MARKER}\n")}).to_string(),
        ),
    ];
    for status in [302, 400, 401, 403, 404, 409, 500, 503] {
        all.push((status, "application/problem+json", problem.to_string()));
        all.push((status, "text/html", html.clone()));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_personio_responses_are_not_quoted() {
    let setup = setup();
    let ids: Vec<String> = setup.world.persons.iter().map(|person| person.id.clone()).collect();
    let simulator = setup.simulator();
    // Without a list, each request reads single persons from Personio, so every parser gets every
    // response.
    let everything = malformed();
    for endpoint in [
        SimulatedEndpoint::Token,
        SimulatedEndpoint::Persons,
        SimulatedEndpoint::Person,
        SimulatedEndpoint::Employments,
    ] {
        simulator.clear_faults();
        if endpoint != SimulatedEndpoint::Persons {
            simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
        }
        let (status, kind, body) = everything[0].clone();
        simulator
            .add_fault(InjectedFault::on(endpoint, FaultAction::CustomBody(status, kind, body)));
        let mut program = LoggedProgram::start(&simulator).await;
        for ((status, kind, body), id) in everything.iter().zip(&ids) {
            simulator.clear_faults();
            if endpoint != SimulatedEndpoint::Persons {
                simulator
                    .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
            }
            simulator.add_fault(InjectedFault::on(
                endpoint,
                FaultAction::CustomBody(*status, kind, body.clone()),
            ));
            program.get(&format!("/Users/{id}")).await;
            program.health().await;
        }
        program.assert_silent();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_load_is_reported_without_quoting_the_response() {
    let setup = setup();
    for endpoint in [SimulatedEndpoint::Token, SimulatedEndpoint::Persons] {
        for (status, kind, body) in malformed().into_iter().filter(|(status, ..)| *status < 500) {
            let simulator = setup.simulator();
            simulator.add_fault(InjectedFault::on(
                endpoint,
                FaultAction::CustomBody(status, kind, body.clone()),
            ));
            let mut program = LoggedProgram::start(&simulator).await;
            let ended = async || {
                let health = program.health().await;
                health.contains("\"down\",\"detail\":\"the last load failed")
                    || health.contains("\"status\":\"ok\"")
            };
            wait_until(
                &format!("the load has ended with {status} {body} from {endpoint:?}"),
                ended,
            )
            .await;
            program.get("/scim/v2/Users").await;
            program.assert_silent();
            let quoted = program.answers.to_lowercase().contains(NAME_MARKER);
            assert!(!quoted, "{status} {body} from {endpoint:?}: {}", program.answers);
        }
    }
}
