//! Tests of each fault, and of the requests to which it applies.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::simulator::tests::{
    FORM_MEDIA_TYPE, SimulatedEndpoint, SimulatorProbe, VALID_TOKEN_REQUEST, ids,
};
use crate::simulator::{FaultAction, InjectedFault, ResponseGate};

#[tokio::test]
async fn fault_returns_its_status_media_type_and_body() {
    let probe = SimulatorProbe::start_without_rate_limit(20).await;
    let cases = [
        (FaultAction::Status(503), 503, "application/problem+json", "personio_trace_id"),
        (FaultAction::HtmlError(502), 502, "text/html", "<h1>502 Bad Gateway</h1>"),
        (
            FaultAction::CustomBody(418, "text/plain", "short and stout".to_owned()),
            418,
            "text/plain",
            "short and stout",
        ),
        (
            FaultAction::NotFoundResource,
            404,
            "application/problem+json",
            "common.resource_not_found\"",
        ),
        (FaultAction::NotFoundRoute, 404, "application/problem+json", "\"path\":\"/v2/persons\""),
        (FaultAction::WrongJson, 200, "application/json", "unexpected"),
        (
            FaultAction::EmptyListing,
            200,
            "application/json",
            "{\"_data\":[],\"_meta\":{\"links\":{\"self\":",
        ),
        (
            FaultAction::TooManyRequests { retry_after: None },
            429,
            "application/problem+json",
            "too_many_requests",
        ),
        (FaultAction::Delay(Duration::from_millis(1)), 200, "application/json", "first_name"),
    ];
    for (action, status, content_type, text) in cases {
        probe.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, action.clone()));
        let response = probe.send("/v2/persons").await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{action:?}");
        assert_eq!(response.headers()["content-type"], content_type, "{action:?}");
        assert!(!response.headers().contains_key("retry-after"));
        let body = response.text().await.unwrap();
        assert!(body.contains(text), "{action:?}: {body}");
        probe.simulator.clear_faults();
        assert_eq!(probe.get("/v2/persons").await.0, 200);
    }
    assert_eq!(
        (
            probe.simulator.request_count(SimulatedEndpoint::Persons),
            probe.simulator.throttled_count()
        ),
        (18, 1)
    );
}

#[tokio::test]
async fn status_429_with_retry_after_contains_the_header() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe.simulator.add_fault(InjectedFault::everywhere(FaultAction::TooManyRequests {
        retry_after: Some(7),
    }));
    assert_eq!(probe.send("/v2/jobs").await.unwrap().headers()["retry-after"], "7");
}

#[tokio::test]
async fn delay_returns_the_normal_response_later() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe.simulator.add_fault(InjectedFault::on(
        SimulatedEndpoint::Persons,
        FaultAction::Delay(Duration::from_millis(150)),
    ));
    let start = Instant::now();
    assert_eq!(probe.get("/v2/persons").await.1["_data"].as_array().unwrap().len(), 1);
    assert!(start.elapsed() >= Duration::from_millis(150));
}

#[tokio::test]
async fn held_response_is_sent_once_the_gate_is_open() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    let gate = ResponseGate::closed();
    probe
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hold(gate.clone())));
    let held = timeout(Duration::from_millis(100), probe.get("/v2/persons")).await;
    assert!(held.is_err(), "{held:?}");
    gate.open();
    let (status, page) = probe.get("/v2/persons").await;
    assert_eq!((status, page["_data"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test]
async fn hanging_request_ends_when_its_client_disconnects() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe.simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Hang));
    assert!(timeout(Duration::from_millis(200), probe.send("/v2/persons")).await.is_err());
    probe.simulator.clear_faults();
    tokio::time::sleep(Duration::from_millis(200)).await;
    probe.simulator.reset_history();
    probe.get("/v2/persons").await;
    assert_eq!(probe.simulator.max_concurrent_requests(), 1);
}

#[tokio::test]
async fn reset_closes_the_connection_without_a_response() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::ConnectionReset));
    let error = probe.send("/v2/persons").await.unwrap_err();
    assert!(error.is_request() && error.status().is_none() && !error.is_timeout(), "{error:?}");
}

#[tokio::test]
async fn truncated_body_closes_the_connection_after_the_headers() {
    let probe = SimulatorProbe::start_without_rate_limit(20).await;
    probe
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::TruncatedBody));
    let response = probe.send("/v2/persons").await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.content_length().unwrap() > 1_000);
    let error = response.bytes().await.unwrap_err();
    assert!(error.is_body() || error.is_decode(), "{error:?}");
}

#[tokio::test]
async fn truncated_json_is_a_complete_response_with_half_the_body() {
    let probe = SimulatorProbe::start_without_rate_limit(20).await;
    let whole = probe.send("/v2/persons").await.unwrap().text().await.unwrap();
    probe
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::TruncatedJson));
    let response = probe.send("/v2/persons").await.unwrap();
    assert_eq!(response.status(), 200);
    let half = response.bytes().await.unwrap();
    assert_eq!(half, whole.as_bytes()[..whole.len() / 2]);
}

#[tokio::test]
async fn short_listing_ends_early_without_a_next_link() {
    let probe = SimulatorProbe::start_without_rate_limit(60).await;
    let whole = probe.read_all_entries("/v2/persons?limit=50").await;
    probe.simulator.add_fault(
        InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::ShortListing(7)).skip(1),
    );
    assert_eq!(ids(&probe.read_all_entries("/v2/persons?limit=50").await), ids(&whole)[..57]);
    assert_eq!(ids(&probe.read_all_entries("/v2/persons?limit=50").await), ids(&whole)[..7]);
    // A response that is not a listing keeps its content.
    let path = format!("/v2/persons/{}", probe.first_id());
    let person = probe.get(&path).await;
    probe.simulator.add_fault(InjectedFault::everywhere(FaultAction::ShortListing(0)));
    assert_eq!(probe.get(&path).await, person);
}

#[tokio::test]
async fn oversized_response_has_the_given_number_of_bytes() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    for size in [1_000, 65_536, 3_000_001] {
        probe.simulator.add_fault(
            InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Oversized(size)).times(1),
        );
        let response = probe.send("/v2/persons").await.unwrap();
        assert_eq!(response.content_length(), Some(size as u64));
        assert_eq!(response.bytes().await.unwrap().len(), size);
    }
}

#[tokio::test]
async fn fault_applies_to_one_person_after_skip_for_times() {
    let probe = SimulatorProbe::start_without_rate_limit(3).await;
    let people = probe.simulator.with_world(|world| world.persons.clone());
    let path = |person: usize| format!("/v2/persons/{}/employments", people[person].id);
    let fault = InjectedFault::on(SimulatedEndpoint::Employments, FaultAction::Status(502))
        .person(&people[1].id)
        .skip(1)
        .times(2);
    probe.simulator.add_fault(fault);
    for (person, status) in
        [(0, 200), (1, 200), (2, 200), (1, 502), (0, 200), (1, 502), (1, 200), (1, 200)]
    {
        assert_eq!(probe.get(&path(person)).await.0, status);
    }
    assert_eq!(probe.get(&format!("/v2/persons/{}", people[1].id)).await.0, 200);
}

#[tokio::test]
async fn first_due_fault_acts() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    probe
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::Token, FaultAction::Status(500)).times(1));
    probe.simulator.add_fault(InjectedFault::everywhere(FaultAction::HtmlError(503)));
    assert_eq!(probe.request_token(FORM_MEDIA_TYPE, VALID_TOKEN_REQUEST).await.0, 500);
    assert_eq!(probe.request_token(FORM_MEDIA_TYPE, VALID_TOKEN_REQUEST).await.0, 503);
    assert_eq!(probe.get("/v2/persons").await.0, 503);
}

#[tokio::test]
async fn names_are_those_of_other_entries() {
    let probe = SimulatorProbe::start_without_rate_limit(1).await;
    let names = |page: &serde_json::Value| -> Vec<(String, String)> {
        let entries = page["_data"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        entries.map(|entry| (text(&entry["id"]), text(&entry["name"]))).collect()
    };
    let right = names(&probe.get("/v2/legal-entities").await.1);
    probe
        .simulator
        .add_fault(InjectedFault::on(SimulatedEndpoint::LegalEntities, FaultAction::OtherNames));
    let wrong = names(&probe.get("/v2/legal-entities").await.1);
    assert!(right.len() > 1);
    for (place, (id, name)) in wrong.iter().enumerate() {
        let before = (place + right.len() - 1) % right.len();
        assert_eq!((id, name), (&right[place].0, &right[before].1));
    }
}
