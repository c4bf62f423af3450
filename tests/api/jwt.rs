//! Tests of JWTs from other issuers. The keys are generated here and served by a mock server.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use aws_lc_rs::{hmac, rsa};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use personio_scim::auth::{Algorithm, AuthSettings, ClientName, Issuer, Networks, ScopeId};
use personio_scim::config::ClientScope;
use personio_scim::scim::{AttributeSelection, ScopeDefinition};
use serde_json::{Value, json};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::harness::{NOW, Setup, TOKEN, TestResponse, TestServer, auth_settings, send_request};

const ISSUER: &str = "https://login.example.com/v2.0";
const AUDIENCE: &str = "api://scim";

/// Private key that can sign tokens.
enum Signer {
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    fn rsa() -> Self {
        Self::Rsa(Box::new(rsa::KeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn ec() -> Self {
        Self::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    fn ed() -> Self {
        Self::Ed(Ed25519KeyPair::generate().unwrap())
    }

    fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    /// Returns the public key as a JWK, without optional members.
    fn jwk(&self) -> Value {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
                json!({"kty": "RSA", "n": encoded(n.big_endian_without_leading_zero()),
                       "e": encoded(e.big_endian_without_leading_zero())})
            }
            Self::Ec(pair) => {
                let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": encoded(x), "y": encoded(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(pair.public_key())})
            }
        }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(pair) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    fn token(&self, id: &str, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": id, "typ": "JWT"}), claims)
    }

    fn token_with(&self, header: &Value, claims: &Value) -> String {
        let message = format!("{}.{}", encoded(header.to_string()), encoded(claims.to_string()));
        format!("{message}.{}", encoded(self.sign(message.as_bytes())))
    }
}

fn with(mut object: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(name);
        } else {
            object[name] = value.clone();
        }
    }
    object
}

fn seconds(now: &str) -> i64 {
    now.parse::<jiff::Timestamp>().unwrap().as_second()
}

/// Returns the claims of a valid token, with some changes.
fn claims(changes: &Value) -> Value {
    let now = seconds(NOW);
    let claims =
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "somebody", "iat": now, "exp": now + 600});
    with(claims, changes)
}

/// Starts an issuer that serves these keys, each under its id.
async fn issuer(keys: &[(&str, &Signer)]) -> MockServer {
    let server = MockServer::start().await;
    publish(&server, keys).await;
    server
}

async fn publish(server: &MockServer, keys: &[(&str, &Signer)]) {
    let keys = keys
        .iter()
        .map(|(id, key)| with(key.jwk(), &json!({"kid": id, "use": "sig"})))
        .collect::<Vec<_>>();
    respond(server, ResponseTemplate::new(200).set_body_json(json!({"keys": keys}))).await;
}

async fn respond(server: &MockServer, response: ResponseTemplate) {
    // Earlier mocks stay mounted, so that the count of requests continues. The number of requests
    // so far gives each new mock a higher priority.
    let mock = Mock::given(method("GET")).and(path("/keys")).respond_with(response);
    let earlier = server.received_requests().await.unwrap().len();
    assert!(earlier < 250, "mounted mocks have a priority each");
    mock.with_priority(u8::try_from(250 - earlier).unwrap()).mount(server).await;
}

async fn fetches(server: &MockServer) -> usize {
    server.received_requests().await.unwrap().len()
}

fn rule(server: &MockServer) -> Issuer {
    Issuer {
        name: ClientName::parse("entra").unwrap(),
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks_url: format!("{}/keys", server.uri()).parse().unwrap(),
        scope: None,
        algorithms: Algorithm::ALL.to_vec(),
        networks: None,
        client_scope: None,
    }
}

async fn start_server(issuers: Vec<Issuer>) -> TestServer {
    let bridge = Setup {
        auth_settings: Some(AuthSettings { issuers, ..auth_settings(None) }),
        ..Setup::persons(5)
    }
    .start();
    bridge.ready().await;
    bridge
}

async fn get_users(bridge: &TestServer, token: &str) -> TestResponse {
    let request = bridge.http.get(format!("{}/Users", bridge.origin));
    send_request(request.header("Authorization", format!("Bearer {token}"))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_each_algorithm_is_accepted_and_the_keys_are_read_once() {
    let keys = [("r", Signer::rsa()), ("e", Signer::ec()), ("d", Signer::ed())];
    let server = issuer(&keys.each_ref().map(|(id, key)| (*id, key))).await;
    let bridge = start_server(vec![rule(&server)]).await;
    assert_eq!(get_users(&bridge, TOKEN).await.status, 200);
    assert_eq!(fetches(&server).await, 0, "nobody has come with such a token");
    for (id, key) in &keys {
        let token = key.token(id, &claims(&json!({})));
        let accepted = get_users(&bridge, &token).await;
        assert_eq!(accepted.status, 200, "{}: {}", key.algorithm(), accepted.text);
        let basic = format!("Basic {}", STANDARD.encode(format!("x:{token}")));
        let request =
            bridge.http.get(format!("{}/Users", bridge.origin)).header("Authorization", basic);
        assert_eq!(send_request(request).await.status, 200);
        // Without a key id, any key of the issuer may match.
        let nameless = key.token_with(&json!({"alg": key.algorithm()}), &claims(&json!({})));
        assert_eq!(get_users(&bridge, &nameless).await.status, 200, "{}", key.algorithm());
    }
    assert_eq!(fetches(&server).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_an_issuer_see_what_its_scope_shows() {
    let key = Signer::ed();
    let server = issuer(&[("d", &key)]).await;
    let definition = ScopeDefinition {
        filter: None,
        attributes: AttributeSelection::Only(vec!["displayName".to_owned()]),
    };
    let limited = Issuer { client_scope: Some(ScopeId(definition.digest())), ..rule(&server) };
    let bridge = Setup {
        scopes: vec![ClientScope { client: limited.name.clone(), definition }],
        auth_settings: Some(AuthSettings { issuers: vec![limited], ..auth_settings(None) }),
        ..Setup::persons(5)
    }
    .start();
    bridge.ready().await;
    let limited = get_users(&bridge, &key.token("d", &claims(&json!({})))).await;
    assert_eq!(limited.json()["totalResults"], 5);
    assert!(limited.text.contains("displayName") && !limited.text.contains("userName"));
    assert!(get_users(&bridge, TOKEN).await.text.contains("userName"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_claims_decide_whether_a_token_is_accepted() {
    let key = Signer::ed();
    let server = issuer(&[("d", &key)]).await;
    let scoped = Issuer { scope: Some("scim.read".to_owned()), ..rule(&server) };
    let bridge = start_server(vec![scoped]).await;
    let now = seconds(NOW);
    let unknown = "the bearer token is not valid";
    let (expired, early) =
        ("the token has expired; a new one is required", "the token is not valid yet");
    let scope = "the token does not have the scope that is required here";
    for (changes, status, detail) in [
        (json!({"scope": "scim.read"}), 200, ""),
        (json!({"scope": "openid scim.read x"}), 200, ""),
        (json!({"scp": "scim.read"}), 200, ""),
        (json!({"scp": ["x", "scim.read"]}), 200, ""),
        (json!({"scope": "x", "scp": ["scim.read"]}), 200, ""),
        (json!({}), 403, scope),
        (json!({"scope": "scim.reader"}), 403, scope),
        (json!({"scope": "SCIM.READ"}), 403, scope),
        (json!({"scp": []}), 403, scope),
        (json!({"roles": ["x", "scim.read"]}), 200, ""),
        (json!({"roles": ["x"]}), 403, scope),
        (json!({"scope": "scim.read", "aud": ["x", AUDIENCE]}), 200, ""),
        (json!({"scope": "scim.read", "aud": "api://other"}), 401, unknown),
        (json!({"scope": "scim.read", "aud": ["x"]}), 401, unknown),
        (json!({"scope": "scim.read", "aud": []}), 401, unknown),
        (json!({"scope": "scim.read", "aud": null}), 401, unknown),
        (json!({"scope": "scim.read", "iss": "https://login.example.com/v2.0/"}), 401, unknown),
        (json!({"scope": "scim.read", "iss": [ISSUER]}), 401, unknown),
        (json!({"scope": "scim.read", "iss": null}), 401, unknown),
        (json!({"scope": "scim.read", "exp": null}), 401, unknown),
        (json!({"scope": "scim.read", "exp": "tomorrow"}), 401, unknown),
        (json!({"scope": "scim.read", "exp": now - 59}), 200, ""),
        (json!({"scope": "scim.read", "exp": now - 60}), 401, expired),
        (json!({"scope": "scim.read", "exp": 0}), 401, expired),
        (json!({"scope": "scim.read", "exp": now as f64 + 0.5}), 200, ""),
        (json!({"scope": "scim.read", "nbf": now + 60}), 200, ""),
        (json!({"scope": "scim.read", "nbf": now + 61}), 401, early),
        (json!({"scope": "scim.read", "nbf": now - 5}), 200, ""),
    ] {
        let answer = get_users(&bridge, &key.token("d", &claims(&changes))).await;
        assert_eq!(answer.status, status, "{changes}: {}", answer.text);
        if status != 200 {
            assert_eq!(answer.scim_error(status, None), detail, "{changes}");
        }
        if status == 403 {
            assert!(
                answer.header("www-authenticate").contains("error=\"insufficient_scope\""),
                "{answer:?}"
            );
        }
        reset(&bridge);
    }
}

/// Passes the pause after wrong tokens without changing the calendar time, so that no row is
/// throttled.
fn reset(bridge: &TestServer) {
    bridge.clock.pass(Duration::from_secs(60));
    bridge.clock.set(NOW);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_signatures_by_known_keys_are_accepted() {
    let (rsa, ec, ed, stranger) = (Signer::rsa(), Signer::ec(), Signer::ed(), Signer::ed());
    let server = issuer(&[("r", &rsa), ("e", &ec), ("d", &ed)]).await;
    let only_rsa = Issuer {
        name: ClientName::parse("narrow").unwrap(),
        issuer: "narrow".to_owned(),
        algorithms: vec![Algorithm::Rs256],
        ..rule(&server)
    };
    let bridge = start_server(vec![rule(&server), only_rsa]).await;
    let good = claims(&json!({}));
    let narrow = claims(&json!({"iss": "narrow"}));
    let symmetric = |secret: &[u8], algorithm: &str, kid: &str| {
        let header = json!({"alg": algorithm, "kid": kid});
        let message = format!("{}.{}", encoded(header.to_string()), encoded(good.to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", encoded(tag))
    };
    let jwk = |key: &Signer| key.jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk(&rsa)["n"].as_str().unwrap()).unwrap();
    let point = URL_SAFE_NO_PAD.decode(jwk(&ed)["x"].as_str().unwrap()).unwrap();
    let unsigned =
        format!("{}.{}.", encoded(json!({"alg": "none"}).to_string()), encoded(good.to_string()));
    let valid = ed.token("d", &good);
    let (message, signature) = valid.rsplit_once('.').unwrap();
    let altered = claims(&json!({"sub": "root"})).to_string();
    let header = valid.split('.').next().unwrap();
    let evil = format!("{}/evil", server.uri());
    for (what, token, expected) in [
        ("good", valid.clone(), 200),
        ("good, of the narrow one", rsa.token("r", &narrow), 200),
        ("an algorithm that the narrow one does not allow", ed.token("d", &narrow), 401),
        ("none", unsigned.clone(), 401),
        (
            "None",
            unsigned.replace(&encoded(r#"{"alg":"none"}"#), &encoded(r#"{"alg":"None"}"#)),
            401,
        ),
        ("none with a signature", format!("{unsigned}{signature}"), 401),
        ("the RSA key as a secret", symmetric(&modulus, "HS256", "r"), 401),
        ("the Ed25519 key as a secret", symmetric(&point, "HS256", "d"), 401),
        (
            "the document as a secret",
            symmetric(jwk(&rsa).to_string().as_bytes(), "HS256", "r"),
            401,
        ),
        ("a key of another kind", ed.token_with(&json!({"alg": "EdDSA", "kid": "r"}), &good), 401),
        (
            "another algorithm than the key's",
            rsa.token_with(&json!({"alg": "RS512", "kid": "r"}), &good),
            401,
        ),
        ("PS256", rsa.token_with(&json!({"alg": "PS256", "kid": "r"}), &good), 401),
        (
            "ES256 said, Ed25519 meant",
            ed.token_with(&json!({"alg": "ES256", "kid": "e"}), &good),
            401,
        ),
        ("a stranger", stranger.token("d", &good), 401),
        ("a stranger without an id", stranger.token_with(&json!({"alg": "EdDSA"}), &good), 401),
        (
            "a stranger who brings the key",
            stranger.token_with(&json!({"alg": "EdDSA", "kid": "d", "jwk": stranger.jwk()}), &good),
            401,
        ),
        (
            "a stranger's address",
            stranger.token_with(&json!({"alg": "EdDSA", "kid": "x", "jku": evil}), &good),
            401,
        ),
        (
            "a stranger's certificate",
            stranger.token_with(&json!({"alg": "EdDSA", "kid": "x", "x5u": evil}), &good),
            401,
        ),
        (
            "what is critical",
            ed.token_with(
                &json!({"alg": "EdDSA", "kid": "d", "crit": ["b64"], "b64": true}),
                &good,
            ),
            401,
        ),
        ("other claims", format!("{header}.{}.{signature}", encoded(altered)), 401),
        ("no signature", format!("{message}."), 401),
        ("half a signature", format!("{message}.{}", &signature[..40]), 401),
        ("one part more", format!("{valid}.x"), 401),
        ("one part less", message.to_owned(), 401),
        ("points", "..".to_owned(), 401),
        ("no JSON", format!("{}.{}.x", encoded("x"), encoded("x")), 401),
    ] {
        let answer = get_users(&bridge, &token).await;
        assert_eq!(answer.status, expected, "{what}: {}", answer.text);
        assert!(!answer.text.contains(&token), "{what}");
        reset(&bridge);
    }
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.url.path() == "/keys"), "{requests:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_for_other_purposes_are_not_used() {
    let (key, other) = (Signer::ed(), Signer::rsa());
    for (marks, expected) in [
        (json!({}), 200),
        (json!({"use": "sig", "alg": "EdDSA", "key_ops": ["verify"]}), 200),
        (json!({"use": "enc"}), 401),
        (json!({"alg": "RS256"}), 401),
        (json!({"key_ops": ["encrypt"]}), 401),
        (json!({"crv": "X25519"}), 401),
        (json!({"kid": "another"}), 401),
    ] {
        let server = MockServer::start().await;
        let oddities =
            [json!({"kty": "oct", "k": "c2VjcmV0", "kid": "d"}), json!({"kty": "PQ"}), json!(7)];
        let mut keys = vec![with(with(key.jwk(), &json!({"kid": "d"})), &marks), other.jwk()];
        keys.extend(oddities);
        respond(&server, ResponseTemplate::new(200).set_body_json(json!({"keys": keys}))).await;
        let bridge = start_server(vec![rule(&server)]).await;
        let answer = get_users(&bridge, &key.token("d", &claims(&json!({})))).await;
        assert_eq!(answer.status, expected, "{marks}: {}", answer.text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_most_a_hundred_keys_of_an_issuer_are_kept() {
    let (key, server) = (Signer::ed(), MockServer::start().await);
    let mut keys = Vec::new();
    for number in 1..=101 {
        keys.push(with(key.jwk(), &json!({"kid": number.to_string()})));
    }
    respond(&server, ResponseTemplate::new(200).set_body_json(json!({"keys": keys}))).await;
    let bridge = start_server(vec![rule(&server)]).await;
    for (id, expected) in [("1", 200), ("100", 200), ("101", 401)] {
        assert_eq!(
            get_users(&bridge, &key.token(id, &claims(&json!({})))).await.status,
            expected,
            "{id}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_key_causes_one_fetch_and_many_cause_few() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let server = issuer(&[("old", &old)]).await;
    let bridge = start_server(vec![rule(&server)]).await;
    let good = claims(&json!({"exp": seconds(NOW) + 90_000}));
    assert_eq!(get_users(&bridge, &old.token("old", &good)).await.status, 200);
    assert_eq!(fetches(&server).await, 1);
    // The issuer replaces its key.
    publish(&server, &[("new", &new)]).await;
    bridge.clock.pass(Duration::from_secs(31));
    assert_eq!(get_users(&bridge, &new.token("new", &good)).await.status, 200);
    assert_eq!(fetches(&server).await, 2);
    assert_eq!(get_users(&bridge, &old.token("old", &good)).await.status, 401, "it is withdrawn");
    assert_eq!(fetches(&server).await, 3);
    // Tokens with unknown key ids, first all at once and then one by one.
    let garbage: Vec<String> =
        (0..40).map(|number| old.token(&format!("garbage-{number}"), &good)).collect();
    let storm =
        futures_util::future::join_all(garbage.iter().map(|token| get_users(&bridge, token)));
    let stormed = storm.await;
    assert!(
        stormed.iter().all(|answer| [401, 429, 503].contains(&answer.status.as_u16())),
        "{stormed:?}"
    );
    let burst = 4;
    assert!(fetches(&server).await <= 1 + burst, "{}", fetches(&server).await);
    for token in &garbage {
        get_users(&bridge, token).await;
    }
    assert_eq!(fetches(&server).await, 1 + burst, "then no more");
    bridge.clock.pass(Duration::from_secs(31));
    for token in &garbage {
        get_users(&bridge, token).await;
    }
    assert_eq!(fetches(&server).await, 2 + burst);
    // A token with a known key id and a wrong signature causes no further request to the issuer.
    for _ in 0..20 {
        get_users(&bridge, &old.token("new", &good)).await;
    }
    assert_eq!(fetches(&server).await, 2 + burst);
    // Tokens of unknown issuers cause no request at all.
    bridge.clock.pass(Duration::from_secs(31));
    get_users(&bridge, &old.token("x", &claims(&json!({"iss": "https://elsewhere.example"}))))
        .await;
    assert_eq!(fetches(&server).await, 2 + burst);
    assert_eq!(get_users(&bridge, &new.token("new", &good)).await.status, 200);
    // After an hour keys are read again before they are used, because the issuer may have withdrawn
    // one.
    publish(&server, &[("old", &old)]).await;
    bridge.clock.pass(Duration::from_secs(3600));
    assert_eq!(get_users(&bridge, &new.token("new", &good)).await.status, 401);
    assert_eq!(fetches(&server).await, 3 + burst);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_found_despite_requests_with_unknown_key_ids() {
    let (old, new, newest) = (Signer::ec(), Signer::ec(), Signer::ec());
    let server = issuer(&[("old", &old)]).await;
    let bridge = start_server(vec![rule(&server)]).await;
    let good = claims(&json!({"exp": seconds(NOW) + 90_000}));
    assert_eq!(get_users(&bridge, &old.token("old", &good)).await.status, 200);
    // Repeated requests with a single unknown key id.
    assert_eq!(
        get_users(&bridge, &old.token("nonsense", &good)).await.status,
        401,
        "the issuer was asked"
    );
    for _ in 0..20 {
        let repeated = get_users(&bridge, &old.token("nonsense", &good)).await;
        assert_eq!((repeated.status.as_u16(), repeated.header("retry-after")), (503, "30"));
    }
    publish(&server, &[("new", &new)]).await;
    assert_eq!(get_users(&bridge, &new.token("new", &good)).await.status, 200, "its fetch is left");
    // Many unknown key ids: a right client gets a response to retry later, and not a response that
    // its token is wrong.
    for number in 0..10 {
        get_users(&bridge, &old.token(&format!("nonsense-{number}"), &good)).await;
    }
    publish(&server, &[("newest", &newest)]).await;
    let early = get_users(&bridge, &newest.token("newest", &good)).await;
    assert!(
        early.scim_error(503, None).contains("the key of this token is not known yet"),
        "{early:?}"
    );
    assert_eq!(early.header("retry-after"), "30");
    assert_eq!(get_users(&bridge, &new.token("new", &good)).await.status, 200, "known keys go on");
    bridge.clock.pass(Duration::from_secs(30));
    assert_eq!(get_users(&bridge, &newest.token("newest", &good)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_replaced_under_the_same_id_or_without_ids_is_found_or_asked_for_later() {
    for id in [Some("d"), None] {
        let (old, new, stranger) = (Signer::ed(), Signer::ed(), Signer::ed());
        let publish_key = |key: &Signer| {
            let key = with(key.jwk(), &json!({"kid": id}));
            ResponseTemplate::new(200).set_body_json(json!({"keys": [key]}))
        };
        let server = MockServer::start().await;
        respond(&server, publish_key(&old)).await;
        // The same issuer serves two audiences with the same keys.
        let second = Issuer {
            name: ClientName::parse("second").unwrap(),
            audience: "api://second".to_owned(),
            ..rule(&server)
        };
        let bridge = start_server(vec![rule(&server), second]).await;
        let good = claims(&json!({"exp": seconds(NOW) + 90_000}));
        let token = |key: &Signer| {
            key.token_with(&with(json!({"alg": "EdDSA"}), &json!({"kid": id})), &good)
        };
        assert_eq!(get_users(&bridge, &token(&old)).await.status, 200, "{id:?}");
        bridge.clock.pass(Duration::from_secs(31));
        // A wrong signature is certain after a fetch, and not before the next one is allowed.
        assert_eq!(get_users(&bridge, &token(&stranger)).await.status, 401, "{id:?}");
        assert_eq!(fetches(&server).await, 2, "{id:?}");
        respond(&server, publish_key(&new)).await;
        let early = get_users(&bridge, &token(&new)).await;
        assert!(
            early.scim_error(503, None).contains("the key of this token is not known yet"),
            "{id:?} {early:?}"
        );
        assert_eq!(early.header("retry-after"), "30", "{id:?}");
        assert_eq!(
            get_users(&bridge, &token(&old)).await.status,
            200,
            "{id:?}: it is known until the next fetch"
        );
        bridge.clock.pass(Duration::from_secs(30));
        assert_eq!(get_users(&bridge, &token(&new)).await.status, 200, "{id:?}");
        assert_eq!(fetches(&server).await, 3, "{id:?}");
        bridge.clock.pass(Duration::from_secs(31));
        assert_eq!(get_users(&bridge, &token(&old)).await.status, 401, "{id:?}: it is withdrawn");
        // While the issuer does not answer, no signature is certainly wrong.
        respond(&server, ResponseTemplate::new(500)).await;
        bridge.clock.pass(Duration::from_secs(31));
        let unchecked = get_users(&bridge, &token(&stranger)).await;
        assert!(
            unchecked.scim_error(503, None).contains("its issuer does not answer"),
            "{id:?} {unchecked:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_valid_for_a_day_while_their_issuer_is_down() {
    let (key, other) = (Signer::ed(), Signer::ed());
    let server = issuer(&[("d", &key)]).await;
    let bridge = start_server(vec![rule(&server)]).await;
    let good = claims(&json!({"exp": seconds(NOW) + 100 * 3600}));
    assert_eq!(get_users(&bridge, &key.token("d", &good)).await.status, 200);
    for (what, broken) in [
        ("an error", ResponseTemplate::new(500)),
        ("a redirect", ResponseTemplate::new(302).insert_header("location", "/elsewhere")),
        ("no JSON", ResponseTemplate::new(200).set_body_string("<html>")),
        ("no keys", ResponseTemplate::new(200).set_body_json(json!({"keys": []}))),
        ("too much", ResponseTemplate::new(200).set_body_bytes(vec![b' '; 300 * 1024])),
    ] {
        respond(&server, broken).await;
        bridge.clock.pass(Duration::from_secs(3 * 3600));
        let before = fetches(&server).await;
        assert_eq!(get_users(&bridge, &key.token("d", &good)).await.status, 200, "{what}");
        let unknown = get_users(&bridge, &other.token("other", &good)).await;
        assert!(
            unknown.scim_error(503, None).contains("its issuer does not answer"),
            "{what}: {unknown:?}"
        );
        assert_eq!(unknown.header("retry-after"), "30", "{what}");
        // Unverifiable tokens are not guesses, so the address is not throttled.
        for _ in 0..10 {
            assert_eq!(
                get_users(&bridge, &other.token("other", &good)).await.status,
                503,
                "{what}"
            );
        }
        assert_eq!(fetches(&server).await, before + 1, "{what}");
        assert_eq!(
            get_users(&bridge, TOKEN).await.status,
            200,
            "whoever has a token of their own is not concerned"
        );
    }
    bridge.clock.pass(Duration::from_secs(10 * 3600));
    assert_eq!(get_users(&bridge, &key.token("d", &good)).await.status, 503, "after a day");
    publish(&server, &[("d", &key)]).await;
    bridge.clock.pass(Duration::from_secs(31));
    assert_eq!(get_users(&bridge, &key.token("d", &good)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_may_serve_several_audiences_and_from_some_networks_only() {
    let key = Signer::ed();
    let server = issuer(&[("d", &key)]).await;
    let second = Issuer {
        name: ClientName::parse("second").unwrap(),
        audience: "api://second".to_owned(),
        networks: Some(Networks::parse(&["192.0.2.0/24".to_owned()]).unwrap()),
        ..rule(&server)
    };
    let bridge = start_server(vec![rule(&server), second]).await;
    for (audience, expected) in [(AUDIENCE, 200), ("api://second", 403), ("api://third", 401)] {
        let answer = get_users(&bridge, &key.token("d", &claims(&json!({"aud": audience})))).await;
        assert_eq!(answer.status, expected, "{audience}: {}", answer.text);
    }
    assert_eq!(fetches(&server).await, 1, "they have their keys in common");
}
