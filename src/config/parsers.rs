//! Parsers of settings. An error names the setting, the text that was found, unless it is secret,
//! and what was expected.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::ArgMatches;
use clap::parser::ValueSource;
use jiff::SignedDuration;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::auth::unwrap_token;
use crate::config::{Error, suggestion};

/// Flag and variable of a setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct SettingSource {
    flag: &'static str,
    variable: &'static str,
}

macro_rules! settings {
    ($($name:ident = $flag:literal, $variable:literal);* $(;)?) => {
        $(pub(super) const $name: SettingSource = SettingSource { flag: $flag, variable: $variable };)*
    };
}

settings! {
    CLIENT_ID = "--personio-client-id", "PERSONIO_CLIENT_ID";
    CLIENT_SECRET = "--personio-client-secret", "PERSONIO_CLIENT_SECRET";
    BASE_URL = "--personio-base-url", "PERSONIO_BASE_URL";
    APP_ID = "--personio-app-id", "PERSONIO_APP_ID";
    MAX_CONCURRENCY = "--personio-max-concurrency", "PERSONIO_MAX_CONCURRENCY";
    LISTEN = "--listen", "SCIM_LISTEN";
    TLS_CERT = "--tls-cert", "SCIM_TLS_CERT";
    TLS_KEY = "--tls-key", "SCIM_TLS_KEY";
    PUBLIC_URL = "--public-url", "SCIM_PUBLIC_URL";
    BEARER_TOKEN = "--bearer-token", "SCIM_BEARER_TOKEN";
    WEBHOOK_TOKEN = "--webhook-token", "SCIM_WEBHOOK_TOKEN";
    CACHE_TTL = "--cache-ttl", "SCIM_CACHE_TTL";
    REFRESH_WAIT = "--refresh-wait", "SCIM_REFRESH_WAIT";
    EMPLOYMENT_RECHECK = "--employment-recheck", "SCIM_EMPLOYMENT_RECHECK";
    MAX_CHANGE = "--max-change", "SCIM_MAX_CHANGE";
    REFRESH_EVERY = "--refresh-every", "SCIM_REFRESH_EVERY";
    MAX_STALE = "--max-stale", "SCIM_MAX_STALE";
    MAX_RESULTS = "--max-results", "SCIM_MAX_RESULTS";
    ANNOUNCE_PAGINATION = "--announce-pagination", "SCIM_ANNOUNCE_PAGINATION";
    MAX_CONNECTIONS = "--max-connections", "SCIM_MAX_CONNECTIONS";
    MAX_CONNECTIONS_PER_ADDRESS =
        "--max-connections-per-address", "SCIM_MAX_CONNECTIONS_PER_ADDRESS";
    MAX_FILTER_LENGTH = "--max-filter-length", "SCIM_MAX_FILTER_LENGTH";
    MAX_FILTER_DEPTH = "--max-filter-depth", "SCIM_MAX_FILTER_DEPTH";
    CONFIG = "--config", "SCIM_CONFIG";
    STATE_FILE = "--state-file", "SCIM_STATE_FILE";
    STATE_KEY = "--state-key", "SCIM_STATE_KEY";
    METRICS_LISTEN_SETTING = "--metrics-listen", "SCIM_METRICS_LISTEN";
    STATUS_PAGE = "--status-page", "SCIM_STATUS_PAGE";
    LOG_LEVEL = "--log-level", "SCIM_LOG_LEVEL";
    LOG_FORMAT = "--log-format", "SCIM_LOG_FORMAT";
}

#[cfg(feature = "otlp")]
settings! {
    OTLP_ENDPOINT = "--otlp-endpoint", "SCIM_OTLP_ENDPOINT";
}

impl SettingSource {
    /// Returns the id of the setting among the parsed arguments.
    fn id(self) -> String {
        self.flag.trim_start_matches('-').replace('-', "_")
    }
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.flag, self.variable)
    }
}

/// Longest accepted duration.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);
/// Minimum length of a token. A shorter one can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
/// Byte order mark, which editors on Windows write at the beginning of a file.
const BYTE_ORDER_MARK: char = '\u{feff}';
/// Smallest accepted page size limit. Clients that request 200 or 500 users at once take a shorter
/// page for the last one.
const MIN_MAX_RESULTS: usize = 1000;

/// Returns the trimmed text of an optional setting, which must not be empty.
pub(super) fn non_empty(
    setting: SettingSource,
    text: Option<&str>,
) -> Result<Option<String>, Error> {
    match text.map(str::trim) {
        Some("") => Err(Error(format!("{setting} is empty"))),
        text => Ok(text.map(str::to_owned)),
    }
}

/// Returns the text of an optional setting.
pub(super) fn optional_text<'m>(id: &str, matches: &'m ArgMatches) -> Option<&'m String> {
    matches.get_one::<String>(id)
}

/// Returns the flag or variable that gave a setting, which may be the one for a file.
pub(super) fn given_name(setting: SettingSource, matches: &ArgMatches) -> String {
    let SettingSource { flag, variable } = setting;
    let id = setting.id();
    let file_id = format!("{id}_file");
    // A command without the flag for a file does not know its id.
    let file_source = match matches.try_contains_id(&file_id) {
        Ok(_) => matches.value_source(&file_id),
        Err(_) => None,
    };
    match (matches.value_source(&id), file_source) {
        (Some(ValueSource::CommandLine), _) => flag.to_owned(),
        (_, Some(ValueSource::CommandLine)) => format!("{flag}-file"),
        (None, Some(_)) => format!("{variable}_FILE"),
        (Some(_) | None, _) => variable.to_owned(),
    }
}

/// Returns a secret that is given by flag or variable, either itself or as the file that holds it.
/// A flag goes before a variable.
pub(super) fn secret(
    setting: SettingSource,
    matches: &ArgMatches,
) -> Result<Option<SecretString>, Error> {
    let SettingSource { flag, variable } = setting;
    let id = setting.id();
    let file_id = format!("{id}_file");
    let has_flag = is_from_flag(&id, matches);
    let secret = match (optional_text(&id, matches), optional_text(&file_id, matches)) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) if has_flag == is_from_flag(&file_id, matches) => {
            return Err(Error(format!(
                "{flag} and {flag}-file ({variable}, {variable}_FILE) are both given: remove one"
            )));
        }
        (Some(text), None) => text.clone(),
        (Some(text), Some(_)) if has_flag => text.clone(),
        (Some(_) | None, Some(file)) => match secret_file(file) {
            Ok(text) => text,
            Err(error) => {
                return Err(Error(format!("{flag}-file ({variable}_FILE): {file}: {error}")));
            }
        },
    };
    match secret.trim_matches(|char: char| char == BYTE_ORDER_MARK || char.is_whitespace()) {
        "" => Err(Error(format!("{setting} is empty"))),
        secret => Ok(Some(secret.into())),
    }
}

/// Reports whether a setting is given by a flag.
fn is_from_flag(id: &str, matches: &ArgMatches) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Reads a file that holds a secret.
fn secret_file(path: &str) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(
            "it is UTF-16, as Windows PowerShell writes it with `>`; write it as UTF-8".to_owned()
        );
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// Checks a token and removes quotation marks and `Bearer` around it. It must consist of characters
/// that can be sent (RFC 6750 §2.1) and be too long to guess.
pub(super) fn token(
    setting: &dyn fmt::Display,
    token: SecretString,
) -> Result<SecretString, Error> {
    let written = token.expose_secret();
    let (bare, _) = unwrap_token(written.as_bytes());
    let text = std::str::from_utf8(bare).unwrap_or(written);
    if is_header(text) {
        return Err(Error(format!(
            "{setting} holds a whole HTTP header: write the token alone, without \
             `Authorization: Bearer` in front"
        )));
    }
    if text.contains(char::is_whitespace) {
        return Err(Error(format!(
            "{setting} has characters that cannot be sent: it contains a space or a line break"
        )));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error(format!(
            "{setting} has characters that cannot be sent; use letters and digits"
        )));
    }
    if text.len() < MIN_TOKEN_BYTES {
        return Err(Error(format!(
            "{setting} is shorter than {MIN_TOKEN_BYTES} characters; make one with `openssl \
             rand -hex 32`"
        )));
    }
    Ok(text.into())
}

/// Reports whether a text is `Authorization: …`.
fn is_header(text: &str) -> bool {
    const NAME: &str = "Authorization";
    let Some((name, rest)) = text.split_at_checked(NAME.len()) else { return false };
    name.eq_ignore_ascii_case(NAME) && rest.trim_start().starts_with([':', '='])
}

/// Parses a duration above zero.
pub(super) fn duration(setting: SettingSource, text: &str) -> Result<Duration, Error> {
    if let Ok(signed) = text.trim().parse::<SignedDuration>()
        && let Ok(duration) = Duration::try_from(signed)
        && !duration.is_zero()
        && duration <= MAX_DURATION
    {
        return Ok(duration);
    }
    Err(Error(format!(
        "{setting}: invalid duration `{text}`: expected 1s to 366 days, for example `30s`, `5m` or \
         `24h`"
    )))
}

/// Parses a share in percent, with or without the sign. Returns a fraction of 1.
pub(super) fn percent(setting: SettingSource, text: &str) -> Result<f64, Error> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Ok(_) | Err(_) => Err(Error(format!(
            "{setting}: invalid share `{text}`: expected 0% to 100%, for example `20%`"
        ))),
    }
}

/// Parses the page size limit.
pub(super) fn max_results(text: &str) -> Result<usize, Error> {
    match text.trim().parse::<usize>() {
        Ok(number) if number >= MIN_MAX_RESULTS => Ok(number),
        Ok(_) | Err(_) => Err(Error(format!(
            "{MAX_RESULTS}: invalid number `{text}`: expected at least {MIN_MAX_RESULTS}; with less, \
             some clients take a full page for the last one"
        ))),
    }
}

/// Parses a whole number within a range.
pub(super) fn number(
    setting: SettingSource,
    text: &str,
    range: RangeInclusive<usize>,
) -> Result<usize, Error> {
    match text.trim().parse::<usize>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(Error(format!(
            "{setting}: invalid number `{text}`: expected {} to {}",
            range.start(),
            range.end()
        ))),
    }
}

/// Parses an address to listen on.
pub(super) fn address(setting: SettingSource, text: &str) -> Result<SocketAddr, Error> {
    if let Ok(mut addresses) = text.trim().to_socket_addrs()
        && let Some(address) = addresses.next()
    {
        return Ok(address);
    }
    Err(Error(format!(
        "{setting}: invalid address `{text}`: expected an address and a port, for example \
         `127.0.0.1:8080` or `0.0.0.0:8080`"
    )))
}

/// Parses one of the accepted words, in upper or lower case.
pub(super) fn word(
    setting: SettingSource,
    text: &str,
    words: &[&'static str],
) -> Result<&'static str, Error> {
    let lower = text.trim().to_lowercase();
    for &word in words {
        if word == lower {
            return Ok(word);
        }
    }
    let did_you_mean = suggestion::did_you_mean(&lower, words);
    Err(Error(format!(
        "{setting}: invalid value `{text}`: expected one of {}{did_you_mean}",
        words.join(", ")
    )))
}

/// Parses a switch: on or off.
pub(super) fn switch(setting: SettingSource, text: &str) -> Result<bool, Error> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Error(format!("{setting}: invalid value `{text}`: expected `on` or `off`"))),
    }
}

/// Parses the value of `X-Personio-App-ID`, the header that names this program to Personio.
pub(super) fn app_id(text: &str) -> Result<HeaderValue, Error> {
    let text = non_empty(APP_ID, Some(text))?.unwrap_or_default();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    match HeaderValue::from_str(&text) {
        Ok(value) if is_plain => Ok(value),
        Ok(_) | Err(_) => Err(Error(format!(
            "{APP_ID}: invalid name: expected capital letters, digits and underscores, for example \
             `PERSONIO_SCIM`"
        ))),
    }
}

/// Parses the base URL of Personio's API. It must use TLS, because requests carry the credential.
pub(super) fn personio_url(text: &str) -> Result<Url, Error> {
    let url = guarded_url(&BASE_URL, text)?;
    if url.path().ends_with("/v2") {
        return Err(Error(format!("{BASE_URL}: leave out /v2")));
    }
    Ok(url)
}

/// Parses the public URL of this server.
pub(super) fn public_url(text: &str) -> Result<Url, Error> {
    let url = plain_url(&PUBLIC_URL, text)?;
    if url.path().ends_with("/scim/v2") {
        return Err(Error(format!("{PUBLIC_URL}: leave out /scim/v2")));
    }
    Ok(url)
}

/// Parses the URL of the trace collector. Plain HTTP is accepted, because traces contain nothing
/// confidential.
#[cfg(feature = "otlp")]
pub(super) fn otlp_endpoint(text: &str) -> Result<Url, Error> {
    let url = plain_url(&OTLP_ENDPOINT, text)?;
    if url.path().ends_with("/v1/traces") {
        return Err(Error(format!("{OTLP_ENDPOINT}: leave out /v1/traces")));
    }
    Ok(url)
}

/// Parses the URL of an issuer's keys. It must use TLS, because an attacker who can change the keys
/// on the way can create tokens.
pub(super) fn keys_url(place: &dyn fmt::Display, text: &str) -> Result<Url, Error> {
    guarded_url(place, text)
}

/// Parses a URL with TLS, or on this machine.
fn guarded_url(place: &dyn fmt::Display, text: &str) -> Result<Url, Error> {
    let url = plain_url(place, text)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(Error(format!(
            "{place}: plain http is accepted for this machine only; write https://"
        )));
    }
    Ok(url)
}

/// Parses an http or https URL that consists of scheme, host and path only. A slash at its end is
/// removed.
fn plain_url(setting: &dyn fmt::Display, text: &str) -> Result<Url, Error> {
    let text = text.trim();
    // `localhost:8080` would parse as a URL with the scheme `localhost`.
    if !text.contains("://") && !text.contains('@') && !text.is_empty() {
        // Programs on the same machine seldom speak TLS.
        let http = Url::parse(&format!("http://{text}"));
        let scheme = if http.is_ok_and(|url| is_loopback(&url)) { "http://" } else { "https://" };
        return Err(Error(format!(
            "{setting}: invalid URL `{text}`: write {scheme} in front, `{scheme}{text}`"
        )));
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            return Err(Error(format!("{setting}: invalid URL `{text}`: {error}")));
        }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(Error(format!(
            "{setting}: invalid URL `{text}`: it does not begin with https://"
        )));
    }
    // Such a text may contain a password, so it is not repeated.
    let has_credential = !url.username().is_empty() || url.password().is_some();
    if has_credential || url.query().is_some() || url.fragment().is_some() {
        return Err(Error(format!(
            "{setting}: invalid URL: a user name, a password, `?` and `#` are not allowed"
        )));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// Reports whether the host of a URL is this machine.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Reads the configuration file.
pub(super) fn file(path: &str) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|error| Error(format!("{CONFIG}: {path}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_have_no_extra_parts_and_use_tls() {
        for (text, expected) in [
            ("https://api.personio.de", Ok("https://api.personio.de/")),
            ("https://api.personio.de/", Ok("https://api.personio.de/")),
            ("https://proxy.example.com/personio/", Ok("https://proxy.example.com/personio")),
            ("http://127.0.0.1:8081", Ok("http://127.0.0.1:8081/")),
            ("http://localhost:1/", Ok("http://localhost:1/")),
            ("http://[::1]:1", Ok("http://[::1]:1/")),
            ("http://api.personio.de", Err("plain http")),
            ("http://127.0.0.1.example.com", Err("plain http")),
            ("api.personio.de", Err("write https:// in front, `https://api.personio.de`")),
            ("localhost:8081", Err("write http:// in front, `http://localhost:8081`")),
            ("127.0.0.2:8081", Err("write http:// in front, `http://127.0.0.2:8081`")),
            ("[::1]:8081", Err("write http:// in front, `http://[::1]:8081`")),
            ("localhost.example.com", Err("write https:// in front")),
            ("ftp://api.personio.de", Err("does not begin")),
            ("https://me:secret@api.personio.de", Err("a user name")),
            ("https://api.personio.de?x=1", Err("a user name")),
            ("https://api.personio.de/v2/", Err("leave out /v2")),
        ] {
            match (personio_url(text), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
                (Err(error), Err(part)) => {
                    assert!(
                        error.0.contains(part) && !error.0.contains("secret"),
                        "{text}: {error}"
                    );
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        assert!(
            public_url("https://scim.example.com/scim/v2")
                .unwrap_err()
                .0
                .contains("leave out /scim/v2")
        );
    }

    #[test]
    fn durations_need_a_unit_and_are_above_zero() {
        for (text, seconds) in
            [("5m", 300), ("10s", 10), ("24h", 86_400), ("1h30m", 5400), (" 90s ", 90)]
        {
            assert_eq!(duration(CACHE_TTL, text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "0s", "-5m", "5 parsecs", "1y", "9000000h"] {
            let error = duration(CACHE_TTL, text).unwrap_err().0;
            assert!(error.starts_with("--cache-ttl (SCIM_CACHE_TTL):"), "{error}");
        }
    }

    #[test]
    fn token_is_sendable_and_long_enough() {
        let check = |text: &str| {
            let token = token(&BEARER_TOKEN, text.to_owned().into());
            token.map(|token| token.expose_secret().to_owned()).map_err(|error| error.0)
        };
        for written in [
            "0123456789abcdef",
            "Bearer 0123456789abcdef",
            "Bearer: 0123456789abcdef",
            "\"0123456789abcdef\"",
            "'Bearer 0123456789abcdef'",
            "\u{feff}0123456789abcdef\r\n",
        ] {
            assert_eq!(check(written).as_deref(), Ok("0123456789abcdef"), "{written:?}");
        }
        for header in ["Authorization: Bearer 0123456789abcdef", "'authorization:0123456789abcdef'"]
        {
            let error = check(header).unwrap_err();
            assert!(
                error.contains("write the token alone, without `Authorization: Bearer`"),
                "{error}"
            );
        }
        assert_eq!(check("authorization-0123").as_deref(), Ok("authorization-0123"));
        assert!(check("\"0123456789abcde\"").unwrap_err().contains("shorter than 16"));
        assert!(check("Bearer").unwrap_err().contains("shorter than 16"));
        assert!(
            check("0123456789abcdef\n0123456789abcdef")
                .unwrap_err()
                .contains("it contains a space or a line break")
        );
        assert!(check("short").unwrap_err().contains("shorter than 16"));
        assert!(check("with spaces and so on").unwrap_err().contains("cannot be sent"));
        assert!(check("schlüsselschlüssel").unwrap_err().contains("cannot be sent"));
    }
}
