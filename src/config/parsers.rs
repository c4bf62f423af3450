//! Parsers of values. An error has the text that was found, unless it is secret, and what was
//! expected.

use std::net::{SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use jiff::SignedDuration;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::auth::unwrap_token;
use crate::config::setting::InvalidValue;
use crate::config::suggestion;

/// Longest accepted duration.
const MAX_DURATION: Duration = Duration::from_secs(366 * 24 * 3600);
/// Minimum length of a token. A shorter one can be guessed.
const MIN_TOKEN_BYTES: usize = 16;
/// Smallest accepted page size limit. Clients that request 200 or 500 users at once take a shorter
/// page for the last one.
const MIN_MAX_RESULTS: usize = 1000;

/// Parses a text that must not be empty, and removes the white space around it.
pub(super) fn non_empty(text: &str) -> Result<String, InvalidValue> {
    match text.trim() {
        "" => Err(InvalidValue::predicate("is empty")),
        text => Ok(text.to_owned()),
    }
}

/// Parses a path, which is used as it is written.
pub(super) fn path(text: &str) -> Result<PathBuf, InvalidValue> {
    Ok(PathBuf::from(text))
}

/// Parses a path, and removes the white space around it.
pub(super) fn trimmed_path(text: &str) -> Result<PathBuf, InvalidValue> {
    Ok(PathBuf::from(text.trim()))
}

/// Parses a token and removes quotation marks and `Bearer` around it. It must consist of characters
/// that can be sent (RFC 6750 §2.1) and be too long to guess.
pub(super) fn token(token: &SecretString) -> Result<SecretString, InvalidValue> {
    let written = token.expose_secret();
    let (bare, _) = unwrap_token(written.as_bytes());
    let text = std::str::from_utf8(bare).unwrap_or(written);
    if is_header(text) {
        return Err(InvalidValue::predicate(
            "holds a whole HTTP header: write the token alone, without `Authorization: Bearer` in \
             front",
        ));
    }
    if text.contains(char::is_whitespace) {
        return Err(InvalidValue::predicate(
            "has characters that cannot be sent: it contains a space or a line break",
        ));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(InvalidValue::predicate(
            "has characters that cannot be sent; use letters and digits",
        ));
    }
    if text.len() < MIN_TOKEN_BYTES {
        return Err(InvalidValue::predicate(format_args!(
            "is shorter than {MIN_TOKEN_BYTES} characters; make one with `openssl rand -hex 32`"
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
pub(super) fn duration(text: &str) -> Result<Duration, InvalidValue> {
    if let Ok(signed) = text.trim().parse::<SignedDuration>()
        && let Ok(duration) = Duration::try_from(signed)
        && !duration.is_zero()
        && duration <= MAX_DURATION
    {
        return Ok(duration);
    }
    Err(InvalidValue::reason(format_args!(
        "invalid duration `{text}`: expected 1s to 366 days, for example `30s`, `5m` or `24h`"
    )))
}

/// Parses a share in percent, with or without the sign. Returns a fraction of 1.
pub(super) fn percent(text: &str) -> Result<f64, InvalidValue> {
    let number = text.trim().trim_end_matches('%').trim_end();
    match number.parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Ok(_) | Err(_) => Err(InvalidValue::reason(format_args!(
            "invalid share `{text}`: expected 0% to 100%, for example `20%`"
        ))),
    }
}

/// Parses the page size limit.
pub(super) fn max_results(text: &str) -> Result<usize, InvalidValue> {
    match text.trim().parse::<usize>() {
        Ok(number) if number >= MIN_MAX_RESULTS => Ok(number),
        Ok(_) | Err(_) => Err(InvalidValue::reason(format_args!(
            "invalid number `{text}`: expected at least {MIN_MAX_RESULTS}; with less, some clients \
             take a full page for the last one"
        ))),
    }
}

/// Returns a parser of whole numbers within a range.
pub(super) fn number_in(
    range: RangeInclusive<usize>,
) -> impl Fn(&str) -> Result<usize, InvalidValue> + Clone + Send + Sync + 'static {
    move |text| match text.trim().parse::<usize>() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(InvalidValue::reason(format_args!(
            "invalid number `{text}`: expected {} to {}",
            range.start(),
            range.end()
        ))),
    }
}

/// Parses an address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, InvalidValue> {
    if let Ok(mut addresses) = text.trim().to_socket_addrs()
        && let Some(address) = addresses.next()
    {
        return Ok(address);
    }
    Err(InvalidValue::reason(format_args!(
        "invalid address `{text}`: expected an address and a port, for example `127.0.0.1:8080` or \
         `0.0.0.0:8080`"
    )))
}

/// Parses one of the accepted words, in upper or lower case.
pub(super) fn word(text: &str, words: &[&'static str]) -> Result<&'static str, InvalidValue> {
    let lower = text.trim().to_lowercase();
    for &word in words {
        if word == lower {
            return Ok(word);
        }
    }
    let did_you_mean = suggestion::did_you_mean(&lower, words);
    Err(InvalidValue::reason(format_args!(
        "invalid value `{text}`: expected one of {}{did_you_mean}",
        words.join(", ")
    )))
}

/// Parses a switch: on or off.
pub(super) fn switch(text: &str) -> Result<bool, InvalidValue> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(InvalidValue::reason(format_args!(
            "invalid value `{text}`: expected `on` or `off`"
        ))),
    }
}

/// Parses the value of `X-Personio-App-ID`, the header that names this program to Personio.
pub(super) fn app_id(text: &str) -> Result<HeaderValue, InvalidValue> {
    let text = non_empty(text)?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    match HeaderValue::from_str(&text) {
        Ok(value) if is_plain => Ok(value),
        Ok(_) | Err(_) => Err(InvalidValue::reason(
            "invalid name: expected capital letters, digits and underscores, for example \
             `PERSONIO_SCIM`",
        )),
    }
}

/// Parses the base URL of Personio's API. It must use TLS, because requests carry the credential.
pub(super) fn personio_url(text: &str) -> Result<Url, InvalidValue> {
    url_without_end(guarded_url(text)?, "/v2")
}

/// Parses the public URL of this server.
pub(super) fn public_url(text: &str) -> Result<Url, InvalidValue> {
    url_without_end(plain_url(text)?, "/scim/v2")
}

/// Parses the URL of the trace collector. Plain HTTP is accepted, because traces contain nothing
/// confidential.
#[cfg(feature = "otlp")]
pub(super) fn otlp_endpoint(text: &str) -> Result<Url, InvalidValue> {
    url_without_end(plain_url(text)?, "/v1/traces")
}

/// Refuses a URL with an end that the program adds itself.
fn url_without_end(url: Url, end: &str) -> Result<Url, InvalidValue> {
    if url.path().ends_with(end) {
        return Err(InvalidValue::reason(format_args!("leave out {end}")));
    }
    Ok(url)
}

/// Parses the URL of an issuer's keys. It must use TLS, because an attacker who can change the keys
/// on the way can create tokens.
pub(super) fn keys_url(text: &str) -> Result<Url, InvalidValue> {
    guarded_url(text)
}

/// Parses a URL with TLS, or on this machine.
fn guarded_url(text: &str) -> Result<Url, InvalidValue> {
    let url = plain_url(text)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err(InvalidValue::reason(
            "plain http is accepted for this machine only; write https://",
        ));
    }
    Ok(url)
}

/// Parses an http or https URL that consists of scheme, host and path only. A slash at its end is
/// removed.
fn plain_url(text: &str) -> Result<Url, InvalidValue> {
    let text = text.trim();
    // `localhost:8080` would parse as a URL with the scheme `localhost`.
    if !text.contains("://") && !text.contains('@') && !text.is_empty() {
        // Programs on the same machine seldom speak TLS.
        let http = Url::parse(&format!("http://{text}"));
        let scheme = if http.is_ok_and(|url| is_loopback(&url)) { "http://" } else { "https://" };
        return Err(InvalidValue::reason(format_args!(
            "invalid URL `{text}`: write {scheme} in front, `{scheme}{text}`"
        )));
    }
    let mut url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            return Err(InvalidValue::reason(format_args!("invalid URL `{text}`: {error}")));
        }
    };
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(InvalidValue::reason(format_args!(
            "invalid URL `{text}`: it does not begin with https://"
        )));
    }
    // Such a text may contain a password, so it is not repeated.
    let has_credential = !url.username().is_empty() || url.password().is_some();
    if has_credential || url.query().is_some() || url.fragment().is_some() {
        return Err(InvalidValue::reason(
            "invalid URL: a user name, a password, `?` and `#` are not allowed",
        ));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Error;

    /// Returns the message of an invalid value of the setting `name`.
    fn message(name: &str, invalid: InvalidValue) -> String {
        let Error(message) = invalid.of(name);
        message
    }

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
                (Err(invalid), Err(part)) => {
                    let error = message("--url", invalid);
                    assert!(error.starts_with("--url: "), "{error}");
                    assert!(error.contains(part) && !error.contains("secret"), "{text}: {error}");
                }
                (found, _) => panic!("{text}: {found:?}"),
            }
        }
        let invalid = public_url("https://scim.example.com/scim/v2").unwrap_err();
        assert_eq!(message("--public-url", invalid), "--public-url: leave out /scim/v2");
    }

    #[test]
    fn durations_need_a_unit_and_are_above_zero() {
        for (text, seconds) in
            [("5m", 300), ("10s", 10), ("24h", 86_400), ("1h30m", 5400), (" 90s ", 90)]
        {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "5", "0s", "-5m", "5 parsecs", "1y", "9000000h"] {
            let error = message("--cache-ttl", duration(text).unwrap_err());
            let expected = format!("--cache-ttl: invalid duration `{text}`: expected 1s to");
            assert!(error.starts_with(&expected), "{error}");
        }
    }

    #[test]
    fn token_is_sendable_and_long_enough() {
        let check = |text: &str| match token(&text.to_owned().into()) {
            Ok(token) => Ok(token.expose_secret().to_owned()),
            Err(invalid) => Err(message("--bearer-token", invalid)),
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
