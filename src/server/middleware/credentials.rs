//! Credentials of a request, from the `Authorization` header: a token by the scheme `Bearer`
//! (RFC 6750 §2.1), or as the password of the scheme `Basic` (RFC 7617).
//!
//! Administrators paste tokens with quotes, a second `Bearer` or no scheme at all into the forms of
//! clients. If it is clear which part of the header is the token, that part is accepted too. If no
//! part is a valid token, the response names the mistake in the form of the header.

use std::fmt;

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use base64::alphabet::STANDARD;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, Engine};

use crate::auth::{Wrapping, unwrap_token};

/// Base64 of the scheme `Basic`. Some clients leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Authentication scheme of a request, as far as the challenge in the response depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthScheme {
    /// `Bearer`.
    Bearer,
    /// Another scheme, or none.
    Other,
}

/// Mistake in the form of the `Authorization` header. The text is for the client. No variant holds
/// anything of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthorizationMistake {
    /// `Bearer` or `Basic` without a token.
    SchemeAlone,
    /// Token without a scheme.
    NoScheme,
    /// `Digest …`, `ApiKey …`.
    UnknownScheme,
    /// `Token …`.
    TokenScheme,
    /// `Bearer: …`
    Colon,
    /// `Bearer Bearer …`
    SchemeTwice,
    /// `"…"`, `'…'`, `<…>`.
    Quotes,
    /// `$TOKEN`, `{{token}}`.
    Placeholder,
    /// `two words`
    Space,
    /// Bytes that are not visible ASCII.
    OddCharacters,
    /// `Basic` without Base64 of `user:password`.
    NotBase64,
    /// `Basic` with an empty password.
    TokenAsUserName,
    /// `Basic` with a password that is not a valid token.
    BasicPassword,
}

impl fmt::Display for AuthorizationMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SchemeAlone => "the Authorization header has a scheme without a token after it",
            Self::NoScheme => {
                "the Authorization header has no scheme: write `Bearer` and a space before the \
                 token"
            }
            Self::UnknownScheme => {
                "the scheme of the Authorization header is neither Bearer nor Basic"
            }
            Self::TokenScheme => {
                "the scheme of the Authorization header is Token: write `Bearer` instead"
            }
            Self::Colon => {
                "there is a colon or an equals sign after `Bearer`: write a space instead"
            }
            Self::SchemeTwice => {
                "`Bearer` appears twice: enter the token without it if the client adds it"
            }
            Self::Quotes => "the token is in quotes or angle brackets: remove them",
            Self::Placeholder => "the token looks like the name of a variable without its value",
            Self::Space => {
                "there is a space in the token: these may be two tokens, or one with a line break"
            }
            Self::OddCharacters => {
                "the token has characters that are not visible ASCII: type or copy it again"
            }
            Self::NotBase64 => {
                "the text after `Basic` is not Base64 of a user name, a colon and a password"
            }
            Self::TokenAsUserName => {
                "the password of HTTP Basic is empty: enter the token as the password"
            }
            Self::BasicPassword => {
                "the password of HTTP Basic must be the token; the user name does not matter"
            }
        })
    }
}

/// Credentials that a request presents.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Credentials {
    pub(in crate::server) scheme: AuthScheme,
    /// Texts that may be the token, the likeliest first. The list is empty without a token.
    pub(in crate::server) tokens: Vec<Vec<u8>>,
    pub(in crate::server) mistake: Option<AuthorizationMistake>,
}

impl Credentials {
    /// Reads the `Authorization` header.
    pub(in crate::server) fn of(request: &HttpRequest) -> Self {
        match request.headers().get(AUTHORIZATION) {
            Some(value) => Self::parse(value.as_bytes()),
            None => Self::without_token(None),
        }
    }

    fn without_token(mistake: Option<AuthorizationMistake>) -> Self {
        Self { scheme: AuthScheme::Other, tokens: Vec::new(), mistake }
    }

    fn parse(header: &[u8]) -> Self {
        let header = header.trim_ascii();
        if let Some(token) = after_scheme(header, b"Bearer") {
            return Self::with_token(AuthScheme::Bearer, token, None);
        }
        if let Some(encoded) = after_scheme(header, b"Basic") {
            return Self::basic(encoded);
        }
        if let Some(token) = after_scheme(header, b"Token") {
            let mistake = AuthorizationMistake::TokenScheme;
            return Self::with_token(AuthScheme::Other, token, Some(mistake));
        }
        for scheme in [&b"Bearer"[..], b"Bearer:", b"Basic", b"Token"] {
            if header.eq_ignore_ascii_case(scheme) {
                return Self::without_token(Some(AuthorizationMistake::SchemeAlone));
            }
        }
        let has_space = header.contains(&b' ') || header.contains(&b'\t');
        match unwrap(header) {
            (b"", _) => Self::without_token(None),
            (_, None) if has_space => {
                Self::without_token(Some(AuthorizationMistake::UnknownScheme))
            }
            (_, None) => {
                let mistake = AuthorizationMistake::NoScheme;
                Self::with_token(AuthScheme::Other, header, Some(mistake))
            }
            (_, mistake) => Self::with_token(AuthScheme::Other, header, mistake),
        }
    }

    /// Returns a token as it is written, and the same without quotes and the like. Both are tried,
    /// because a token may itself begin with a quotation mark.
    fn with_token(
        scheme: AuthScheme,
        written: &[u8],
        mistake: Option<AuthorizationMistake>,
    ) -> Self {
        let (bare, mistake_around) = unwrap(written);
        let mistake = mistake_around.or_else(|| mistake_inside(bare)).or(mistake);
        if bare.is_empty() {
            let mistake = mistake.unwrap_or(AuthorizationMistake::SchemeAlone);
            return Self::without_token(Some(mistake));
        }
        let mut tokens = vec![written.to_vec()];
        if bare != written {
            tokens.push(bare.to_vec());
        }
        Self { scheme, tokens, mistake }
    }

    /// Reads the scheme `Basic`. The password is "what follows the first colon" (RFC 7617 §2). If
    /// it is empty, the user name is the token: some clients have a field for a user name only.
    fn basic(encoded: &[u8]) -> Self {
        let Ok(decoded) = BASE64.decode(encoded) else {
            return Self::without_token(Some(AuthorizationMistake::NotBase64));
        };
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
            let mistake = AuthorizationMistake::NotBase64;
            return Self::with_token(AuthScheme::Other, &decoded, Some(mistake));
        };
        let (user_name, password) = decoded.split_at(colon);
        let password = password.get(1..).unwrap_or_default();
        if !password.trim_ascii().is_empty() {
            let mistake = AuthorizationMistake::BasicPassword;
            return Self::with_token(AuthScheme::Other, password, Some(mistake));
        }
        let mistake = AuthorizationMistake::TokenAsUserName;
        match user_name.trim_ascii() {
            b"" => Self::without_token(Some(mistake)),
            user_name => Self::with_token(AuthScheme::Other, user_name, Some(mistake)),
        }
    }
}

/// Returns the text after a scheme and at least one space. The name of a scheme is case-insensitive
/// (RFC 9110 §11.1).
fn after_scheme<'h>(header: &'h [u8], scheme: &[u8]) -> Option<&'h [u8]> {
    let (name, rest) = header.split_at_checked(scheme.len())?;
    match rest.first() {
        Some(separator) if separator.is_ascii_whitespace() => {}
        Some(_) | None => return None,
    }
    if name.eq_ignore_ascii_case(scheme) { Some(rest.trim_ascii_start()) } else { None }
}

/// Removes quotes, a second scheme and the like from around a token, and returns the mistake that
/// they are a sign of.
fn unwrap(written: &[u8]) -> (&[u8], Option<AuthorizationMistake>) {
    let (bare, wrapping) = unwrap_token(written);
    let mistake = match wrapping {
        None => None,
        Some(Wrapping::ByteOrderMark) => Some(AuthorizationMistake::OddCharacters),
        Some(Wrapping::Quotes) => Some(AuthorizationMistake::Quotes),
        Some(Wrapping::Scheme) => Some(AuthorizationMistake::SchemeTwice),
        Some(Wrapping::SchemeWithColon) => Some(AuthorizationMistake::Colon),
    };
    (bare, mistake)
}

/// Returns the mistake that shows inside a token: characters that no token has.
fn mistake_inside(bare: &[u8]) -> Option<AuthorizationMistake> {
    if bare.starts_with(b"$") || bare.starts_with(b"{{") || bare.starts_with(b"%{") {
        return Some(AuthorizationMistake::Placeholder);
    }
    let mut has_space = false;
    for byte in bare {
        if byte.is_ascii_whitespace() {
            has_space = true;
        } else if !byte.is_ascii() || byte.is_ascii_control() {
            return Some(AuthorizationMistake::OddCharacters);
        }
    }
    if has_space { Some(AuthorizationMistake::Space) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEARER: AuthScheme = AuthScheme::Bearer;
    const OTHER: AuthScheme = AuthScheme::Other;
    type Mistake = AuthorizationMistake;

    #[test]
    fn tokens_are_found_in_headers_with_mistakes() {
        for (header, scheme, tokens, mistake) in [
            ("Bearer 0123456789abcdef", BEARER, &["0123456789abcdef"][..], None),
            ("bearer  0123456789abcdef ", BEARER, &["0123456789abcdef"], None),
            ("BEARER\tx", BEARER, &["x"], None),
            ("Bearer ", OTHER, &[], Some(Mistake::SchemeAlone)),
            ("Bearer", OTHER, &[], Some(Mistake::SchemeAlone)),
            ("Bearer:", OTHER, &[], Some(Mistake::SchemeAlone)),
            ("Bearer \"\"", OTHER, &[], Some(Mistake::Quotes)),
            ("Bearer Bearer", OTHER, &[], Some(Mistake::SchemeTwice)),
            ("Bearer Bearer x", BEARER, &["Bearer x", "x"], Some(Mistake::SchemeTwice)),
            ("Bearer bearer: x", BEARER, &["bearer: x", "x"], Some(Mistake::Colon)),
            ("Bearer \"x\"", BEARER, &["\"x\"", "x"], Some(Mistake::Quotes)),
            ("Bearer 'x'", BEARER, &["'x'", "x"], Some(Mistake::Quotes)),
            ("Bearer <x>", BEARER, &["<x>", "x"], Some(Mistake::Quotes)),
            ("Bearer \"Bearer 'x'\"", BEARER, &["\"Bearer 'x'\"", "x"], Some(Mistake::Quotes)),
            ("Bearer \"x", BEARER, &["\"x"], None),
            ("Bearer \u{feff}x", BEARER, &["\u{feff}x", "x"], Some(Mistake::OddCharacters)),
            ("Bearer x\u{feff}", BEARER, &["x\u{feff}", "x"], Some(Mistake::OddCharacters)),
            ("Bearer x y", BEARER, &["x y"], Some(Mistake::Space)),
            ("Bearer pässword", BEARER, &["pässword"], Some(Mistake::OddCharacters)),
            ("Bearer $TOKEN", BEARER, &["$TOKEN"], Some(Mistake::Placeholder)),
            ("Bearer {{token}}", BEARER, &["{{token}}"], Some(Mistake::Placeholder)),
            ("Bearer: x", OTHER, &["Bearer: x", "x"], Some(Mistake::Colon)),
            ("bearer:x", OTHER, &["bearer:x", "x"], Some(Mistake::Colon)),
            ("Bearer=x", OTHER, &["Bearer=x", "x"], Some(Mistake::Colon)),
            ("\"Bearer x\"", OTHER, &["\"Bearer x\"", "x"], Some(Mistake::Quotes)),
            ("'x'", OTHER, &["'x'", "x"], Some(Mistake::Quotes)),
            ("x", OTHER, &["x"], Some(Mistake::NoScheme)),
            ("Bearerx", OTHER, &["Bearerx"], Some(Mistake::NoScheme)),
            ("Token x", OTHER, &["x"], Some(Mistake::TokenScheme)),
            ("Token", OTHER, &[], Some(Mistake::SchemeAlone)),
            ("Digest bWU6c2VjcmV0", OTHER, &[], Some(Mistake::UnknownScheme)),
            ("two words", OTHER, &[], Some(Mistake::UnknownScheme)),
            // me:secret, :secret, me:se:cret, me:, :, me, me:se:cret without padding, me:secret
            // with a line end, me:Bearer secret.
            ("Basic bWU6c2VjcmV0", OTHER, &["secret"], Some(Mistake::BasicPassword)),
            ("bASIC   OnNlY3JldA==", OTHER, &["secret"], Some(Mistake::BasicPassword)),
            ("Basic bWU6c2U6Y3JldA==", OTHER, &["se:cret"], Some(Mistake::BasicPassword)),
            ("Basic bWU6", OTHER, &["me"], Some(Mistake::TokenAsUserName)),
            ("Basic Og==", OTHER, &[], Some(Mistake::TokenAsUserName)),
            ("Basic bWU=", OTHER, &["me"], Some(Mistake::NotBase64)),
            ("Basic bWU6c2U6Y3JldA", OTHER, &["se:cret"], Some(Mistake::BasicPassword)),
            (
                "Basic bWU6c2VjcmV0Cg==",
                OTHER,
                &["secret\n", "secret"],
                Some(Mistake::BasicPassword),
            ),
            (
                "Basic bWU6QmVhcmVyIHNlY3JldA==",
                OTHER,
                &["Bearer secret", "secret"],
                Some(Mistake::SchemeTwice),
            ),
            ("Basic me:secret", OTHER, &[], Some(Mistake::NotBase64)),
            ("Basic", OTHER, &[], Some(Mistake::SchemeAlone)),
            ("", OTHER, &[], None),
            (" \t", OTHER, &[], None),
        ] {
            let found = Credentials::parse(header.as_bytes());
            let tokens: Vec<Vec<u8>> =
                tokens.iter().map(|token| token.as_bytes().to_vec()).collect();
            assert_eq!(found, Credentials { scheme, tokens, mistake }, "{header:?}");
        }
    }
}
