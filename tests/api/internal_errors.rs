//! Tests of faults of this program itself, with a source that reports them: neither clients nor
//! operators are sent to Personio.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, test, web};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, pending};
use personio_scim::auth::Authenticator;
use personio_scim::directory::{
    Directory, Freshness, InvalidState, LoadProgress, LoadResult, Loaded, LoadedDirectory,
    MalformedWebhook, MaxChange, Source, SourceAccess, SourceError, SourceLogin, WebhookEffect,
};
use personio_scim::scim::filter::FilterLimits;
use personio_scim::scim::{CursorKey, ResourceUrls, SchemaRegistry, User};
use personio_scim::server;
use personio_scim::server::{ListSettings, OptionalEndpoints, State, StateParts};
use serde_json::{Value, json};

use crate::harness::{NOW, REFRESH_DEBOUNCE, TOKEN, TestClock, auth_settings, wait_until};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Source whose loads and single-user fetches fail with the same error.
struct FailingSource {
    error: SourceError,
    schema_registry: Arc<SchemaRegistry>,
    load: Load,
    has_loaded: AtomicBool,
}

/// Course of the loads.
#[derive(Clone, Copy, PartialEq)]
enum Load {
    Hangs,
    Fails,
    FailsAfterASuccess,
}

impl Source for FailingSource {
    type State = ();

    async fn load(
        &self,
        _: Option<Arc<()>>,
        _: &LoadProgress,
    ) -> Result<LoadResult<()>, SourceError> {
        match self.load {
            Load::Hangs => pending().await,
            Load::FailsAfterASuccess if !self.has_loaded.swap(true, SeqCst) => {
                let directory = LoadedDirectory::empty(self.schema_registry());
                let loaded = Loaded { directory, state: Arc::new(()), base: None };
                Ok(LoadResult::Changed(Box::new(loaded)))
            }
            Load::Fails | Load::FailsAfterASuccess => Err(self.error.clone()),
        }
    }

    fn remap(&self, _: &Arc<()>, _: Option<&Arc<()>>) -> Result<Loaded<()>, SourceError> {
        Err(self.error.clone())
    }

    fn discard(&self, _: &(), _: Option<&()>) {}

    fn adopt(&self, _: &()) {}

    fn decode_state(&self, _: &[u8]) -> Result<Loaded<()>, InvalidState> {
        Err(InvalidState::new("is not used here"))
    }
}

impl SourceAccess for FailingSource {
    fn schema_registry(&self) -> Arc<SchemaRegistry> {
        Arc::clone(&self.schema_registry)
    }

    fn find<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<User>, SourceError>> {
        async { Err(self.error.clone()) }.boxed()
    }

    fn login(&self) -> Option<SourceLogin> {
        None
    }

    fn handle_webhook(&self, _: &[u8]) -> Result<WebhookEffect, MalformedWebhook> {
        Ok(WebhookEffect::Refresh)
    }
}

/// Creates the state of a server over a failing source.
fn state(error: &SourceError, load: Load, clock: &TestClock) -> web::Data<State> {
    let urls = ResourceUrls::new("https://scim.example.com");
    let source = FailingSource {
        error: error.clone(),
        schema_registry: Arc::new(SchemaRegistry::new(&urls, 1000, &[]).unwrap()),
        load,
        has_loaded: AtomicBool::new(false),
    };
    let freshness = Freshness {
        cache_ttl: DAY,
        refresh_wait: Duration::from_secs(60),
        refresh_every: None,
        max_stale: DAY,
        cool_down: DAY,
        refresh_debounce: REFRESH_DEBOUNCE,
    };
    let clock = Arc::new(clock.clone());
    let runtime = tokio::runtime::Handle::current();
    let source = Arc::new(source);
    let limit = MaxChange(0.2);
    let directory = Directory::new(source, freshness, limit, None, clock.clone(), runtime.clone());
    directory.start_tasks();
    web::Data::new(State::new(StateParts {
        clock: clock.clone(),
        directory,
        authenticator: Authenticator::new(auth_settings(None), clock, runtime).unwrap(),
        lists: ListSettings {
            cursor_key: CursorKey::new(b"secret"),
            announces_pagination: true,
            max_results: 1000,
            filter_limits: FilterLimits::default(),
        },
        base_url: "https://scim.example.com/scim/v2".to_owned(),
        settings: Arc::default(),
        optional_endpoints: OptionalEndpoints { status: false, metrics: false },
        register_metrics: Box::new(|_: &mut _| {}),
    }))
}

/// Returns the status and body of a response to a GET with the token.
async fn get(state: &web::Data<State>, path: &str) -> (u16, Value) {
    let app = App::new().app_data(state.clone()).wrap(from_fn(server::log_client_requests));
    let app = test::init_service(app.configure(|service| server::configure(service, state))).await;
    let request = test::TestRequest::get()
        .uri(path)
        .insert_header(("Authorization", format!("Bearer {TOKEN}")));
    let response = test::call_service(&app, request.to_request()).await;
    let status = response.status().as_u16();
    (status, serde_json::from_slice(&test::read_body(response).await).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_meets_a_fault_of_this_program_does_not_blame_the_upstream_system() {
    let internal = SourceError::internal("a record is damaged");
    let upstream = SourceError::upstream("Personio answered 500");
    let (list, user) = ("/scim/v2/Users", "/scim/v2/Users/7");
    let of_program =
        "the directory cannot be served: the last load ended with an internal error; retry later";
    let of_upstream =
        "the directory cannot be served: the upstream system cannot be read; retry later";
    let of_response = "internal error: the response could not be produced";
    for (error, load, path, status, detail) in [
        (&internal, Load::Fails, list, 503, of_program),
        (&upstream, Load::Fails, list, 503, of_upstream),
        (&internal, Load::Hangs, user, 500, of_response),
        (&upstream, Load::Hangs, user, 503, of_upstream),
    ] {
        let (found, body) = get(&state(error, load, &TestClock::at(NOW)), path).await;
        assert_eq!((found, &body["detail"]), (status, &json!(detail)), "{error} {path}");
        assert_eq!(body["status"], status.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_names_a_fault_of_this_program_in_the_part_of_the_directory() {
    let internal = SourceError::internal("a record is damaged");
    let upstream = SourceError::upstream("Personio answered 500");
    let reason = "the last load failed 0 s ago: internal error: a record is damaged";
    let see = "the last load ended with an internal error: see `directory`";
    let of_upstream = "the last load failed 0 s ago: Personio answered 500";
    let missing = "there is no snapshot that may be served";
    let served = "0 users, 0 s old";
    for (error, load, personio, directory) in [
        (
            &internal,
            Load::Fails,
            ("unknown", see.to_owned()),
            ("down", format!("{missing}; {reason}")),
        ),
        (&upstream, Load::Fails, ("down", of_upstream.to_owned()), ("down", missing.to_owned())),
        (
            &internal,
            Load::FailsAfterASuccess,
            ("unknown", see.to_owned()),
            ("degraded", format!("{served}; {reason}")),
        ),
        (
            &upstream,
            Load::FailsAfterASuccess,
            ("down", of_upstream.to_owned()),
            ("ok", served.to_owned()),
        ),
    ] {
        let clock = TestClock::at(NOW);
        let state = state(error, load, &clock);
        if load == Load::FailsAfterASuccess {
            state.directory.view(None).current().await.unwrap();
            state.directory.handle_webhook(b"").unwrap();
            clock.age(REFRESH_DEBOUNCE);
        } else {
            state.directory.view(None).current().await.unwrap_err();
        }
        wait_until("a load has failed", async || state.directory.state().failure.is_some()).await;
        let (_, health) = get(&state, "/health/ready").await;
        let parts = &health["parts"];
        for (name, (status, detail)) in [("personio", personio), ("directory", directory)] {
            assert_eq!(parts[name]["status"], status, "{health}");
            assert_eq!(parts[name]["detail"], detail, "{health}");
        }
    }
}
