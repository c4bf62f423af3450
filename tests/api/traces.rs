//! Tests of traces as a collector receives them: they continue the client's trace, contain no query
//! data, and a collector that fails has no effect on requests.

use std::net::TcpListener;

use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{Setup, TOKEN, TestResponse, http, send_request, wait_until};
use crate::process::{Ended, Program, run, settings};

const TRACE: [u8; 16] = [
    0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36,
];
const PARENT: [u8; 8] = [0x00, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7];

/// Runs a server with this collector, sends a request, and stops the server.
async fn run_with_collector(collector: &str) -> (TestResponse, Ended) {
    let simulator = Setup::persons(5).simulator();
    let upstream = simulator.base_url();
    let mut variables = settings(&upstream);
    variables.push(("SCIM_OTLP_ENDPOINT", collector));
    let program = Program::start(&["serve"], &variables);
    let url = format!("{}/Users/marker?attributes=marker", program.base_url().await);
    let ready = program.base_url().await.replace("/scim/v2", "/health/ready");
    wait_until("there is data", async || http().get(&ready).send().await.unwrap().status() == 200)
        .await;
    let request = http().get(url).header("Authorization", format!("Bearer {TOKEN}"));
    let request = request
        .header("traceparent", format!("00-{}-{}-01", hex::encode(TRACE), hex::encode(PARENT)));
    let answer = send_request(
        request.header("tracestate", "marker=marker").header("baggage", "marker=marker"),
    )
    .await;
    program.signal("TERM");
    (answer, program.ended().await)
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_span_of_the_trace_it_names_and_says_no_more_than_metrics() {
    let collector = MockServer::start().await;
    let taken = Mock::given(method("POST"))
        .and(path("/v1/traces"))
        .respond_with(ResponseTemplate::new(200));
    taken.mount(&collector).await;
    let (answer, ended) = run_with_collector(&collector.uri()).await;
    assert_eq!((answer.status.as_u16(), ended.status.code()), (404, Some(0)), "{ended:?}");
    let sent: Vec<u8> = collector
        .received_requests()
        .await
        .unwrap()
        .into_iter()
        .flat_map(|request| request.body)
        .collect();
    for part in ["GET /scim/v2/Users/{id}", "http.route", "scim.client", "client", "personio-scim"]
    {
        assert!(has(&sent, part.as_bytes()), "{part}");
    }
    assert!(has(&sent, &TRACE) && has(&sent, &PARENT));
    for never in ["marker", "attributes", TOKEN, "demo-secret", "127.0.0.1"] {
        assert!(!has(&sent, never.as_bytes()), "{never}");
    }
    assert!(!ended.err.contains("traces"), "{}", ended.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_collector_does_not_affect_requests() {
    let broken = MockServer::start().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(500)).mount(&broken).await;
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_url = format!("http://{}", silent.local_addr().unwrap());
    for collector in [broken.uri(), format!("http://{gone}"), silent_url] {
        let (answer, ended) = run_with_collector(&collector).await;
        assert_eq!(
            (answer.status.as_u16(), ended.status.code()),
            (404, Some(0)),
            "{collector}: {ended:?}"
        );
        assert!(ended.err.contains("traces"), "{collector}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_collector_url_is_a_configuration_error() {
    for collector in
        ["collector:4318", "http://collector:4318/v1/traces", "http://me:secret@collector"]
    {
        let mut variables = settings("http://127.0.0.1:9");
        variables.push(("SCIM_OTLP_ENDPOINT", collector));
        run(&["serve"], &variables).await.complains(64, "--otlp-endpoint (SCIM_OTLP_ENDPOINT)");
    }
}
