//! Clients, issuers of tokens and trusted proxies, from the configuration file. An error names the
//! client and the key, and never contains the value of a token.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use toml::value::Datetime;

use crate::auth::{
    Algorithm, AuthSettings, Client, ClientName, DefaultPaging, Issuer, Networks, ScopeId,
    TokenHash,
};
use crate::config::parsers;
use crate::config::settings::tokens::{BEARER_TOKEN, WEBHOOK_TOKEN};
use crate::mapping::MappingPolicy;
use crate::scim::{AttributeSelection, ResourceUrls, SchemaRegistry, Scope, ScopeDefinition};

/// Name of the client that presents the token of the settings.
const DEFAULT_CLIENT_NAME: &str = "client";

/// Table `[[client]]`, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClientTable {
    name: String,
    token: Option<TokenText>,
    token_sha256: Option<TokenText>,
    expires: Option<Expiry>,
    networks: Option<Vec<String>>,
    paging: Option<PagingSetting>,
    filter: Option<String>,
    attributes: Option<Vec<String>>,
    excluded_attributes: Option<Vec<String>>,
}

/// Default paging of a client, as it is written.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PagingSetting {
    Index,
    Cursor,
}

/// Scope of a client, or of all clients of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientScope {
    /// Name of the client or issuer.
    pub client: ClientName,
    /// Visible users and attributes.
    pub definition: ScopeDefinition,
}

/// Clients, issuers and proxies of the file.
#[derive(Debug)]
pub(super) struct CheckedClients {
    pub(super) auth_settings: AuthSettings,
    pub(super) scopes: Vec<ClientScope>,
}

/// Table `[[issuer]]`, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IssuerTable {
    name: String,
    issuer: String,
    audience: String,
    jwks_url: String,
    scope: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    networks: Option<Vec<String>>,
    filter: Option<String>,
    attributes: Option<Vec<String>>,
    excluded_attributes: Option<Vec<String>>,
}

/// Value of any type. With a type of its own, an error of the parser would quote a value of the
/// wrong type, which may be a token.
#[derive(Deserialize)]
#[serde(transparent)]
struct TokenText(toml::Value);

impl std::fmt::Debug for TokenText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenText(…)")
    }
}

impl TokenText {
    fn as_text(&self) -> Option<&str> {
        self.0.as_str()
    }
}

/// Date or time, with or without quotes.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "expires: expected a date or a time with its offset, for example 2027-12-31"
)]
enum Expiry {
    Time(Datetime),
    Text(String),
}

/// Checks the clients, issuers and proxies of the file. All names and all tokens must differ.
pub(super) fn check_tables(
    clients: Vec<ClientTable>,
    issuers: Vec<IssuerTable>,
    trusted_proxies: &[String],
) -> Result<CheckedClients, String> {
    let mut names = HashSet::new();
    let trusted_proxies =
        Networks::parse(trusted_proxies).map_err(|error| format!("trusted_proxies: {error}"))?;
    let mut auth_settings = AuthSettings { trusted_proxies, ..AuthSettings::default() };
    let mut scopes = Vec::new();
    for mut table in clients {
        let selection = ScopeKeys::of_client(&mut table);
        let mut client = check_client(table)?;
        let scope = selection.check("client", &client.name)?;
        client.scope = scope.as_ref().map(scope_id);
        scopes.extend(scope);
        if let Some(other) = client_with(&auth_settings, &client.token) {
            return Err(format!(
                "client `{}`: it has the same token as `{}`",
                client.name, other.name
            ));
        }
        claim_name(&mut names, "client", &client.name)?;
        auth_settings.clients.push(client);
    }
    for mut table in issuers {
        let selection = ScopeKeys::of_issuer(&mut table);
        let mut issuer = check_issuer(table)?;
        let scope = selection.check("issuer", &issuer.name)?;
        issuer.client_scope = scope.as_ref().map(scope_id);
        scopes.extend(scope);
        claim_name(&mut names, "issuer", &issuer.name)?;
        auth_settings.issuers.push(issuer);
    }
    Ok(CheckedClients { auth_settings, scopes })
}

/// Checks the scopes against the attributes of the mapping.
pub(super) fn check_scopes(
    CheckedClients { auth_settings, scopes }: &CheckedClients,
    policy: &MappingPolicy,
) -> Result<(), String> {
    if scopes.is_empty() {
        return Ok(());
    }
    // The addresses and the page size do not matter for the check.
    let urls = ResourceUrls::new("https://localhost");
    let attributes = policy.custom_attribute_definitions();
    let registry = match SchemaRegistry::new(&urls, 0, &attributes) {
        Ok(registry) => Arc::new(registry),
        Err(error) => return Err(error.to_string()),
    };
    for ClientScope { client, definition } in scopes {
        if let Err(error) = Scope::new(definition, &registry) {
            let is_issuer = auth_settings.issuers.iter().any(|issuer| issuer.name == *client);
            let kind = if is_issuer { "issuer" } else { "client" };
            return Err(format!("{kind} `{client}`: {error}"));
        }
    }
    Ok(())
}

/// Keys of a scope, as they are written.
struct ScopeKeys {
    filter: Option<String>,
    attributes: Option<Vec<String>>,
    excluded_attributes: Option<Vec<String>>,
}

impl ScopeKeys {
    fn of_client(table: &mut ClientTable) -> Self {
        Self {
            filter: table.filter.take(),
            attributes: table.attributes.take(),
            excluded_attributes: table.excluded_attributes.take(),
        }
    }

    fn of_issuer(table: &mut IssuerTable) -> Self {
        Self {
            filter: table.filter.take(),
            attributes: table.attributes.take(),
            excluded_attributes: table.excluded_attributes.take(),
        }
    }

    /// Returns the scope, or `None` if no key is given.
    fn check(self, kind: &str, client: &ClientName) -> Result<Option<ClientScope>, String> {
        let label = format!("{kind} `{client}`");
        let empty = |key| format!("{label}: {key} is empty; list one or remove the key");
        let attributes = match (self.attributes, self.excluded_attributes) {
            (Some(_), Some(_)) => {
                return Err(format!("{label}: give either attributes or excluded_attributes"));
            }
            (Some(names), None) if names.is_empty() => return Err(empty("attributes")),
            (None, Some(names)) if names.is_empty() => return Err(empty("excluded_attributes")),
            (Some(names), None) => AttributeSelection::Only(names),
            (None, Some(names)) => AttributeSelection::AllBut(names),
            (None, None) => AttributeSelection::All,
        };
        let definition = ScopeDefinition { filter: self.filter, attributes };
        if definition == ScopeDefinition::default() {
            return Ok(None);
        }
        Ok(Some(ClientScope { client: client.clone(), definition }))
    }
}

fn scope_id(scope: &ClientScope) -> ScopeId {
    ScopeId(scope.definition.digest())
}

/// Adds the tokens of the settings. The webhook token must differ from all others, because Personio
/// stores it where other people can read it, and it must not give access to the directory.
pub(super) fn with_tokens(
    mut auth_settings: AuthSettings,
    bearer: Option<&SecretString>,
    webhook: Option<&SecretString>,
) -> Result<AuthSettings, String> {
    if let Some(bearer) = bearer {
        let client_name =
            ClientName::parse(DEFAULT_CLIENT_NAME).map_err(|error| error.to_string())?;
        let token = token_of(bearer);
        if let Some(other) = client_with(&auth_settings, &token) {
            return Err(format!(
                "{BEARER_TOKEN} is the same as the token of the client `{}`",
                other.name
            ));
        }
        if has_name(&auth_settings, &client_name) {
            return Err(format!(
                "the name `{DEFAULT_CLIENT_NAME}` is that of the client with {BEARER_TOKEN}: \
                 choose another one"
            ));
        }
        auth_settings.clients.push(Client::unrestricted(client_name, token));
    }
    let Some(webhook) = webhook else { return Ok(auth_settings) };
    let webhook = token_of(webhook);
    if let Some(same) = client_with(&auth_settings, &webhook) {
        return Err(match same.name.as_str() {
            DEFAULT_CLIENT_NAME if bearer.is_some() => {
                format!("{WEBHOOK_TOKEN} is the same as {BEARER_TOKEN}")
            }
            name => format!("{WEBHOOK_TOKEN} is the same as the token of the client `{name}`"),
        });
    }
    Ok(AuthSettings { webhook_token: Some(webhook), ..auth_settings })
}

fn token_of(secret: &SecretString) -> TokenHash {
    TokenHash::from_token(secret.expose_secret().as_bytes())
}

/// Returns the client with this token, if there is one.
fn client_with<'r>(auth_settings: &'r AuthSettings, token: &TokenHash) -> Option<&'r Client> {
    auth_settings.clients.iter().find(|client| client.token == *token)
}

/// Reports whether a client or an issuer has this name.
fn has_name(auth_settings: &AuthSettings, client_name: &ClientName) -> bool {
    auth_settings.clients.iter().any(|client| client.name == *client_name)
        || auth_settings.issuers.iter().any(|issuer| issuer.name == *client_name)
}

/// Adds a name, unless another client or issuer has it.
fn claim_name(
    names: &mut HashSet<ClientName>,
    kind: &str,
    client_name: &ClientName,
) -> Result<(), String> {
    if !names.insert(client_name.clone()) {
        return Err(format!("{kind} `{client_name}`: this name is taken"));
    }
    Ok(())
}

fn check_client(table: ClientTable) -> Result<Client, String> {
    let ClientTable { name, token, token_sha256, expires, networks, paging, .. } = table;
    let client_name =
        ClientName::parse(&name).map_err(|error| format!("client `{name}`: {error}"))?;
    let label = format!("client `{client_name}`");
    let token = match (token, token_sha256) {
        (Some(token), None) => {
            let Some(text) = token.as_text() else {
                return Err(format!("{label}: token must be a text in quotes"));
            };
            match parsers::token(&text.into()) {
                Ok(token) => token_of(&token),
                Err(invalid) => return Err(invalid.of(format_args!("{label}: token")).0),
            }
        }
        (None, Some(hash)) => match hash.as_text().and_then(TokenHash::from_hash) {
            Some(token) => token,
            None => {
                return Err(format!(
                    "{label}: token_sha256 is not 64 hexadecimal digits; make it with `printf %s \
                     TOKEN | sha256sum`"
                ));
            }
        },
        (None, None) | (Some(_), Some(_)) => {
            return Err(format!("{label}: give either its token or its token_sha256"));
        }
    };
    let expires = match &expires {
        None => None,
        Some(expiry) => Some(parse_expiry(expiry).map_err(|error| format!("{label}: {error}"))?),
    };
    let networks = check_networks(&label, networks)?;
    let default_paging = match paging {
        None | Some(PagingSetting::Index) => DefaultPaging::Index,
        Some(PagingSetting::Cursor) => DefaultPaging::Cursor,
    };
    Ok(Client { name: client_name, token, expires, networks, scope: None, default_paging })
}

fn check_issuer(table: IssuerTable) -> Result<Issuer, String> {
    let IssuerTable { name, issuer, audience, jwks_url, scope, algorithms, networks, .. } = table;
    let client_name =
        ClientName::parse(&name).map_err(|error| format!("issuer `{name}`: {error}"))?;
    let label = format!("issuer `{client_name}`");
    let texts =
        [("issuer", Some(&issuer)), ("audience", Some(&audience)), ("scope", scope.as_ref())];
    for (key, text) in texts {
        if text.is_some_and(|text| text.trim().is_empty()) {
            return Err(format!("{label}: {key} is empty"));
        }
    }
    if scope.as_ref().is_some_and(|scope| scope.contains(char::is_whitespace)) {
        return Err(format!("{label}: scope must be one scope, without spaces"));
    }
    let algorithms = algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec());
    if algorithms.is_empty() {
        return Err(format!(
            "{label}: algorithms is empty, so no token would be accepted; list one or remove \
             the key"
        ));
    }
    let jwks_url = match parsers::keys_url(&jwks_url) {
        Ok(url) => url,
        Err(invalid) => return Err(invalid.of(format_args!("{label}: jwks_url")).0),
    };
    let networks = check_networks(&label, networks)?;
    Ok(Issuer {
        name: client_name,
        issuer,
        audience,
        jwks_url,
        scope,
        algorithms,
        networks,
        client_scope: None,
    })
}

fn check_networks(label: &str, names: Option<Vec<String>>) -> Result<Option<Networks>, String> {
    let Some(names) = names else { return Ok(None) };
    if names.is_empty() {
        return Err(format!(
            "{label}: networks is empty, so no request would be accepted; list one or remove \
             the key"
        ));
    }
    match Networks::parse(&names) {
        Ok(networks) => Ok(Some(networks)),
        Err(error) => Err(format!("{label}: networks: {error}")),
    }
}

/// Returns the time from which on a token is invalid. A date means its first moment in UTC.
fn parse_expiry(expiry: &Expiry) -> Result<Timestamp, String> {
    let text = match expiry {
        Expiry::Time(moment) => moment.to_string(),
        Expiry::Text(text) => text.trim().to_owned(),
    };
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    start_of_date(&text).ok_or_else(|| {
        format!(
            "expires: invalid date or time `{text}`: expected a date or a time with its offset, \
             for example 2027-12-31"
        )
    })
}

/// Returns the first moment of a date in UTC, or `None` if the text is more or less than a date. A
/// time without an offset would parse as its date.
fn start_of_date(text: &str) -> Option<Timestamp> {
    if text.len() != "2027-12-31".len() {
        return None;
    }
    let date = text.parse::<Date>().ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::mapping::parse;

    const HASH: &str = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
    const SECRET: &str = "a-secret-of-a-client";

    #[test]
    fn full_file_is_parsed() {
        let auth_settings = parse(
            r#"
            time_zone = "Asia/Tokyo"
            trusted_proxies = ["10.0.0.0/8", "::1"]
            [[client]]
            name = "okta"
            token_sha256 = "9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f"
            expires = 2027-12-31
            networks = ["192.0.2.0/24"]
            [[client]]
            name = "c1.prod_2-a"
            token = "a-secret-of-a-client"
            paging = "cursor"
            [[issuer]]
            name = "entra"
            issuer = "https://login.example.com/v2.0"
            audience = "api://scim"
            jwks_url = "https://login.example.com/keys"
            scope = "scim.read"
            algorithms = ["RS256", "EdDSA"]
            networks = ["::1"]
            "#,
        )
        .unwrap()
        .auth_settings;
        let [okta, c1] = &auth_settings.clients[..] else { panic!("{auth_settings:?}") };
        assert_eq!((okta.name.as_str(), c1.name.as_str()), ("okta", "c1.prod_2-a"));
        assert!(okta.token.matches(b"0123456789abcdef") && c1.token.matches(SECRET.as_bytes()));
        assert_eq!(okta.expires, "2027-12-31T00:00:00Z".parse().ok());
        assert!(okta.networks.as_ref().unwrap().contains("192.0.2.9".parse().unwrap()));
        assert!(c1.expires.is_none() && c1.networks.is_none());
        let paging = (okta.default_paging, c1.default_paging);
        assert_eq!(paging, (DefaultPaging::Index, DefaultPaging::Cursor));
        let [issuer] = &auth_settings.issuers[..] else { panic!("{auth_settings:?}") };
        assert_eq!((issuer.name.as_str(), issuer.audience.as_str()), ("entra", "api://scim"));
        assert_eq!(issuer.algorithms, [Algorithm::Rs256, Algorithm::EdDsa]);
        assert!(auth_settings.trusted_proxies.contains("10.1.2.3".parse().unwrap()));
        assert!(!format!("{auth_settings:?}").contains(SECRET));
    }

    #[test]
    fn expires_accepts_a_date_or_a_time_with_or_without_quotes() {
        for (text, expected) in [
            ("2027-12-31", Some("2027-12-31T00:00:00Z")),
            ("\"2027-12-31\"", Some("2027-12-31T00:00:00Z")),
            ("2027-12-31T12:00:00Z", Some("2027-12-31T12:00:00Z")),
            ("2027-12-31 12:00:00+02:00", Some("2027-12-31T10:00:00Z")),
            ("\"2027-12-31T12:00:00+02:00\"", Some("2027-12-31T10:00:00Z")),
            ("2027-12-31T12:00:00", None),
            ("\"2027-12-31T12:00:00\"", None),
            ("\"2027-02-29\"", None),
            ("\"soon\"", None),
            ("12:00:00", None),
            ("2027", None),
        ] {
            let parsed = parse(&format!(
                "[[client]]\nname = \"x\"\ntoken = \"{SECRET}\"\nexpires = {text}\n"
            ));
            match expected {
                Some(expected) => assert_eq!(
                    parsed.unwrap().auth_settings.clients[0].expires,
                    expected.parse().ok(),
                    "{text}"
                ),
                None => assert!(parsed.unwrap_err().contains("for example 2027-12-31"), "{text}"),
            }
        }
    }

    #[test]
    fn errors_name_the_mistake_and_never_the_token() {
        let client = |lines: &str| format!("[[client]]\nname = \"okta\"\n{lines}\n");
        let issuer = |lines: &str| {
            let url = if lines.contains("jwks_url") {
                ""
            } else {
                "jwks_url = \"https://x.example/keys\"\n"
            };
            format!(
                "[[issuer]]\nname = \"entra\"\nissuer = \"x\"\naudience = \"y\"\n{url}{lines}\n"
            )
        };
        let token = format!("token = \"{SECRET}\"");
        let hash = format!("token_sha256 = \"{HASH}\"");
        let other = format!("[[client]]\nname = \"other\"\n{hash}\n");
        for (text, part) in [
            (client(""), "client `okta`: give either its token or its token_sha256"),
            (
                client(&format!("{token}\n{hash}")),
                "client `okta`: give either its token or its token_sha256",
            ),
            (client("token = \"too-secret\""), "client `okta`: token is shorter than 16"),
            (
                client("token = \"a secret of a client\""),
                "client `okta`: token has characters that cannot be sent",
            ),
            (client("token = 1234567890123456"), "client `okta`: token must be a text"),
            (client("token = [\"a-secret-of-a-client\"]"), "client `okta`: token must be a text"),
            (client("token = a-secret-of-a-client"), "line 3"),
            (
                client("token_sha256 = \"a-secret-of-a-client\""),
                "client `okta`: token_sha256 is not 64",
            ),
            (client("token_sha256 = 1"), "client `okta`: token_sha256 is not 64"),
            (client(&format!("{token}\nnetworks = []")), "client `okta`: networks is empty"),
            (
                client(&format!("{token}\nnetworks = [\"10.0.0.1/8\"]")),
                "client `okta`: networks: `10.0.0.1/8` is an",
            ),
            (client(&format!("{token}\nnetwork = [\"::1\"]")), "unknown field `network`"),
            (client(&token).replace("okta", "o kta"), "client `o kta`: a name has"),
            (client(&token).replace("okta", ""), "client ``: a name has"),
            (client(&token).replace("okta", &"o".repeat(65)), "a name has 1 to 64"),
            (client(&token) + &client(&hash), "client `okta`: this name is taken"),
            (client(&hash) + &other, "client `other`: it has the same token as `okta`"),
            (
                client("token = \"0123456789abcdef\"") + &other,
                "client `other`: it has the same token as `okta`",
            ),
            (
                client(&token) + &issuer("").replace("entra", "okta"),
                "issuer `okta`: this name is taken",
            ),
            (
                "trusted_proxies = [\"proxy\"]".to_owned(),
                "trusted_proxies: invalid network `proxy`",
            ),
            (
                issuer("jwks_url = \"http://x.example/keys\""),
                "issuer `entra`: jwks_url: plain http",
            ),
            (
                issuer("jwks_url = \"x.example/keys\""),
                "issuer `entra`: jwks_url: invalid URL `x.example/keys`",
            ),
            (issuer("algorithms = []"), "issuer `entra`: algorithms is empty"),
            (issuer("algorithms = [\"none\"]"), "unknown variant `none`"),
            (issuer("algorithms = [\"HS256\"]"), "unknown variant `HS256`"),
            (issuer("scope = \"a b\""), "issuer `entra`: scope must be one scope"),
            (issuer("scope = \"\""), "issuer `entra`: scope is empty"),
            (issuer("").replace("\"y\"", "\" \""), "issuer `entra`: audience is empty"),
            (issuer("").replace("audience = \"y\"", ""), "missing field `audience`"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
            for token in ["secret", "123456789", HASH] {
                assert!(!error.contains(token), "{text}: {error}");
            }
        }
        assert!(parse(&issuer("jwks_url = \"http://127.0.0.1:1/keys\"")).is_ok());
    }

    #[test]
    fn errors_of_a_scope_name_client_and_key() {
        let token = format!("token = \"{SECRET}\"");
        let client = |lines: &str| format!("[[client]]\nname = \"okta\"\n{lines}\n");
        let issuer = "[[issuer]]\nname = \"entra\"\nissuer = \"x\"\naudience = \"y\"\n\
                      jwks_url = \"https://x.example/keys\"\nattributes = ['titel']\n";
        for (text, part) in [
            (client(&format!("{token}\nfilter = ''")), "client `okta`: filter, character 1"),
            (
                client(&format!("{token}\nfilter = 'title eq'")),
                "client `okta`: filter, character 9",
            ),
            (
                client(&format!("{token}\nfilter = 'departmnt eq \"x\"'")),
                "client `okta`: filter, character 1: there is no attribute `departmnt`",
            ),
            (
                client(&format!("{token}\nattributes = []")),
                "client `okta`: attributes is empty; list one or remove the key",
            ),
            (
                client(&format!("{token}\npaging = 'cursors'")),
                "unknown variant `cursors`, expected `index` or `cursor`; did you mean `cursor`?",
            ),
            (
                client(&format!("{token}\nexcluded_attributes = []")),
                "client `okta`: excluded_attributes is empty",
            ),
            (
                client(&format!(
                    "{token}\nattributes = ['title']\nexcluded_attributes = ['title']"
                )),
                "client `okta`: give either attributes or excluded_attributes",
            ),
            (
                client(&format!("{token}\nattributes = ['department']")),
                "client `okta`: attributes: there is no attribute `department`; did you mean `urn:",
            ),
            (
                client(&format!("{token}\nexcluded_attributes = ['id']")),
                "client `okta`: excluded_attributes: `id` is always returned",
            ),
            (client(&format!("{token}\nattribute = ['id']")), "did you mean `attributes`?"),
            (client(&format!("{token}\nfilter = 3")), "line 4: invalid type"),
            ("filter = 'title pr'".to_owned(), "line 1: `filter` belongs below a [[client]]"),
            (issuer.to_owned(), "issuer `entra`: attributes: there is no attribute `titel`"),
        ] {
            let error = parse(&text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let scoped = parse(&client(&format!("{token}\nfilter = 'title pr'"))).unwrap();
        let [client] = &scoped.auth_settings.clients[..] else { panic!("{scoped:?}") };
        assert_eq!(client.scope, Some(ScopeId(scoped.scopes[0].definition.digest())));
    }

    #[test]
    fn equal_tokens_are_refused() {
        let file = || {
            parse(&format!("[[client]]\nname = \"okta\"\ntoken = \"{SECRET}\"\n"))
                .unwrap()
                .auth_settings
        };
        let secret = |text: &str| SecretString::from(text);
        let (own, webhook) = (secret("0123456789abcdef"), secret("fedcba9876543210"));
        for (bearer, webhook, expected) in [
            (None, None, Ok(1)),
            (Some(&own), Some(&webhook), Ok(2)),
            (None, Some(&own), Ok(1)),
            (
                Some(&secret(SECRET)),
                None,
                Err("(SCIM_BEARER_TOKEN) is the same as the token of the client `okta`"),
            ),
            (
                Some(&own),
                Some(&own),
                Err("(SCIM_WEBHOOK_TOKEN) is the same as --bearer-token (SCIM_BEARER_TOKEN)"),
            ),
            (
                None,
                Some(&secret(SECRET)),
                Err("(SCIM_WEBHOOK_TOKEN) is the same as the token of the client `okta`"),
            ),
        ] {
            match (with_tokens(file(), bearer, webhook), expected) {
                (Ok(auth_settings), Ok(clients)) => {
                    assert_eq!(auth_settings.clients.len(), clients);
                    assert_eq!(auth_settings.webhook_token.is_some(), webhook.is_some());
                }
                (Err(error), Err(part)) => {
                    assert!(error.contains(part) && !error.contains(SECRET), "{error}")
                }
                (found, _) => panic!("{expected:?}: {found:?}"),
            }
        }
        let table = parse(&format!("[[client]]\nname = \"client\"\ntoken = \"{SECRET}\"\n"))
            .unwrap()
            .auth_settings;
        assert!(with_tokens(table.clone(), None, None).is_ok());
        assert!(
            with_tokens(table, Some(&own), None)
                .unwrap_err()
                .contains("the name `client` is that of")
        );
    }
}
