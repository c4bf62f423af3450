//! Token of a request, from the `Authorization` header: by the scheme `Bearer` (RFC 6750 §2.1), or as the password of
//! the scheme `Basic` (RFC 7617). Administrators paste tokens with quotes, a second `Bearer` or no scheme at all into
//! the forms of clients. Where it is clear which part is the token, that part is tried too; what was wrong with the form
//! is in the answer if no token of the request is valid.

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

/// Way in which a token came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `Bearer`.
    Bearer,
    /// Another scheme, or none.
    Other,
}

/// Slip in the form of the `Authorization` header, in words for the client. No variant holds anything of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slip {
    /// `Bearer` or `Basic`, and nothing else.
    SchemeAlone,
    /// A token, and no scheme.
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
    Blank,
    /// Bytes that are not visible ASCII.
    OddCharacters,
    /// `Basic …`, and not Base64 of `user:password`.
    NotBase64,
    /// `Basic` with an empty password.
    TokenAsUserName,
    /// `Basic` with a password that is no token.
    BasicPassword,
}

impl fmt::Display for Slip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SchemeAlone => "the Authorization header has a scheme and no token after it",
            Self::NoScheme => "the Authorization header has no scheme: write `Bearer` and a blank before the token",
            Self::UnknownScheme => "the scheme of the Authorization header is neither Bearer nor Basic",
            Self::TokenScheme => "the scheme of the Authorization header is Token: write `Bearer` instead",
            Self::Colon => "there is a colon or an equals sign after `Bearer`: write a blank instead",
            Self::SchemeTwice => "`Bearer` is there twice: enter the token without it where the client adds it",
            Self::Quotes => "the token is in quotes or angle brackets: leave them out",
            Self::Placeholder => "the token looks like the name of a variable that was not filled in",
            Self::Blank => "there is a blank in the token: it may be two, or one that was broken into lines",
            Self::OddCharacters => "the token has characters that are not visible ASCII: type or copy it again",
            Self::NotBase64 => "what follows `Basic` is not Base64 of a user name, a colon and a password",
            Self::TokenAsUserName => "the password of HTTP Basic is empty: the token is expected there",
            Self::BasicPassword => "of HTTP Basic the password is read as the token, and any user name will do",
        })
    }
}

/// What a request presents.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::server) struct Credentials {
    pub(in crate::server) scheme: Scheme,
    /// Texts that may be the token, the likeliest first; none if there is no token.
    pub(in crate::server) tokens: Vec<Vec<u8>>,
    pub(in crate::server) slip: Option<Slip>,
}

impl Credentials {
    /// Reads the `Authorization` header.
    pub(in crate::server) fn of(request: &HttpRequest) -> Self {
        match request.headers().get(AUTHORIZATION) {
            Some(value) => Self::parse(value.as_bytes()),
            None => Self::none(None),
        }
    }

    fn none(slip: Option<Slip>) -> Self {
        Self { scheme: Scheme::Other, tokens: Vec::new(), slip }
    }

    fn parse(header: &[u8]) -> Self {
        let header = header.trim_ascii();
        if let Some(token) = after_scheme(header, b"Bearer") {
            return Self::token(Scheme::Bearer, token, None);
        }
        if let Some(encoded) = after_scheme(header, b"Basic") {
            return Self::basic(encoded);
        }
        if let Some(token) = after_scheme(header, b"Token") {
            return Self::token(Scheme::Other, token, Some(Slip::TokenScheme));
        }
        let is_scheme = |scheme: &[u8]| header.eq_ignore_ascii_case(scheme);
        if is_scheme(b"Bearer") || is_scheme(b"Bearer:") || is_scheme(b"Basic") || is_scheme(b"Token") {
            return Self::none(Some(Slip::SchemeAlone));
        }
        let has_blank = header.contains(&b' ') || header.contains(&b'\t');
        match stripped(header) {
            (b"", _) => Self::none(None),
            (_, None) if has_blank => Self::none(Some(Slip::UnknownScheme)),
            (_, None) => Self::token(Scheme::Other, header, Some(Slip::NoScheme)),
            (_, slip) => Self::token(Scheme::Other, header, slip),
        }
    }

    /// A token as it is written, and without what is around it. A token may itself begin with a quotation mark.
    fn token(scheme: Scheme, written: &[u8], slip: Option<Slip>) -> Self {
        let (bare, around) = stripped(written);
        let slip = around.or_else(|| inside(bare)).or(slip);
        if bare.is_empty() {
            return Self::none(Some(slip.unwrap_or(Slip::SchemeAlone)));
        }
        let mut tokens = vec![written.to_vec()];
        if bare != written {
            tokens.push(bare.to_vec());
        }
        Self { scheme, tokens, slip }
    }

    /// A password is "what follows the first colon" (RFC 7617 §2). Some clients have a field for a user name only.
    fn basic(encoded: &[u8]) -> Self {
        let Ok(decoded) = BASE64.decode(encoded) else { return Self::none(Some(Slip::NotBase64)) };
        let Some(colon) = decoded.iter().position(|byte| *byte == b':') else {
            return Self::token(Scheme::Other, &decoded, Some(Slip::NotBase64));
        };
        let (user_name, password) = decoded.split_at(colon);
        let password = password.get(1..).unwrap_or_default();
        if !password.trim_ascii().is_empty() {
            return Self::token(Scheme::Other, password, Some(Slip::BasicPassword));
        }
        match user_name.trim_ascii() {
            b"" => Self::none(Some(Slip::TokenAsUserName)),
            user_name => Self::token(Scheme::Other, user_name, Some(Slip::TokenAsUserName)),
        }
    }
}

/// Returns what follows a scheme, whose name has no case (RFC 9110 §11.1), and at least one blank.
fn after_scheme<'h>(header: &'h [u8], scheme: &[u8]) -> Option<&'h [u8]> {
    let (name, rest) = header.split_at_checked(scheme.len())?;
    let is_separated = rest.first().is_some_and(u8::is_ascii_whitespace);
    (name.eq_ignore_ascii_case(scheme) && is_separated).then(|| rest.trim_ascii_start())
}

/// Removes from around a token what is not part of it, and returns the slip of which that is a sign.
fn stripped(written: &[u8]) -> (&[u8], Option<Slip>) {
    let (bare, wrapping) = unwrap_token(written);
    let slip = wrapping.map(|wrapping| match wrapping {
        Wrapping::ByteOrderMark => Slip::OddCharacters,
        Wrapping::Quotes => Slip::Quotes,
        Wrapping::Scheme => Slip::SchemeTwice,
        Wrapping::SchemeWithColon => Slip::Colon,
    });
    (bare, slip)
}

/// Finds in a token what no token has.
fn inside(bare: &[u8]) -> Option<Slip> {
    if bare.starts_with(b"$") || bare.starts_with(b"{{") || bare.starts_with(b"%{") {
        return Some(Slip::Placeholder);
    }
    if !bare.is_ascii() || bare.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        return Some(Slip::OddCharacters);
    }
    bare.iter().any(u8::is_ascii_whitespace).then_some(Slip::Blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEARER: Scheme = Scheme::Bearer;
    const OTHER: Scheme = Scheme::Other;

    #[test]
    fn a_token_is_found_in_whatever_form_it_comes() {
        for (header, scheme, tokens, slip) in [
            ("Bearer 0123456789abcdef", BEARER, &["0123456789abcdef"][..], None),
            ("bearer  0123456789abcdef ", BEARER, &["0123456789abcdef"], None),
            ("BEARER\tx", BEARER, &["x"], None),
            ("Bearer ", OTHER, &[], Some(Slip::SchemeAlone)),
            ("Bearer", OTHER, &[], Some(Slip::SchemeAlone)),
            ("Bearer:", OTHER, &[], Some(Slip::SchemeAlone)),
            ("Bearer \"\"", OTHER, &[], Some(Slip::Quotes)),
            ("Bearer Bearer", OTHER, &[], Some(Slip::SchemeTwice)),
            ("Bearer Bearer x", BEARER, &["Bearer x", "x"], Some(Slip::SchemeTwice)),
            ("Bearer bearer: x", BEARER, &["bearer: x", "x"], Some(Slip::Colon)),
            ("Bearer \"x\"", BEARER, &["\"x\"", "x"], Some(Slip::Quotes)),
            ("Bearer 'x'", BEARER, &["'x'", "x"], Some(Slip::Quotes)),
            ("Bearer <x>", BEARER, &["<x>", "x"], Some(Slip::Quotes)),
            ("Bearer \"Bearer 'x'\"", BEARER, &["\"Bearer 'x'\"", "x"], Some(Slip::Quotes)),
            ("Bearer \"x", BEARER, &["\"x"], None),
            ("Bearer \u{feff}x", BEARER, &["\u{feff}x", "x"], Some(Slip::OddCharacters)),
            ("Bearer x\u{feff}", BEARER, &["x\u{feff}", "x"], Some(Slip::OddCharacters)),
            ("Bearer x y", BEARER, &["x y"], Some(Slip::Blank)),
            ("Bearer pässword", BEARER, &["pässword"], Some(Slip::OddCharacters)),
            ("Bearer $TOKEN", BEARER, &["$TOKEN"], Some(Slip::Placeholder)),
            ("Bearer {{token}}", BEARER, &["{{token}}"], Some(Slip::Placeholder)),
            ("Bearer: x", OTHER, &["Bearer: x", "x"], Some(Slip::Colon)),
            ("bearer:x", OTHER, &["bearer:x", "x"], Some(Slip::Colon)),
            ("Bearer=x", OTHER, &["Bearer=x", "x"], Some(Slip::Colon)),
            ("\"Bearer x\"", OTHER, &["\"Bearer x\"", "x"], Some(Slip::Quotes)),
            ("'x'", OTHER, &["'x'", "x"], Some(Slip::Quotes)),
            ("x", OTHER, &["x"], Some(Slip::NoScheme)),
            ("Bearerx", OTHER, &["Bearerx"], Some(Slip::NoScheme)),
            ("Token x", OTHER, &["x"], Some(Slip::TokenScheme)),
            ("Token", OTHER, &[], Some(Slip::SchemeAlone)),
            ("Digest bWU6c2VjcmV0", OTHER, &[], Some(Slip::UnknownScheme)),
            ("two words", OTHER, &[], Some(Slip::UnknownScheme)),
            // me:secret, :secret, me:se:cret, me:, :, me, me:secret and a line end, me:Bearer secret.
            ("Basic bWU6c2VjcmV0", OTHER, &["secret"], Some(Slip::BasicPassword)),
            ("bASIC   OnNlY3JldA==", OTHER, &["secret"], Some(Slip::BasicPassword)),
            ("Basic bWU6c2U6Y3JldA==", OTHER, &["se:cret"], Some(Slip::BasicPassword)),
            ("Basic bWU6", OTHER, &["me"], Some(Slip::TokenAsUserName)),
            ("Basic Og==", OTHER, &[], Some(Slip::TokenAsUserName)),
            ("Basic bWU=", OTHER, &["me"], Some(Slip::NotBase64)),
            ("Basic bWU6c2U6Y3JldA", OTHER, &["se:cret"], Some(Slip::BasicPassword)),
            ("Basic bWU6c2VjcmV0Cg==", OTHER, &["secret\n", "secret"], Some(Slip::BasicPassword)),
            ("Basic bWU6QmVhcmVyIHNlY3JldA==", OTHER, &["Bearer secret", "secret"], Some(Slip::SchemeTwice)),
            ("Basic me:secret", OTHER, &[], Some(Slip::NotBase64)),
            ("Basic", OTHER, &[], Some(Slip::SchemeAlone)),
            ("", OTHER, &[], None),
            (" \t", OTHER, &[], None),
        ] {
            let found = Credentials::parse(header.as_bytes());
            let tokens: Vec<Vec<u8>> = tokens.iter().map(|token| token.as_bytes().to_vec()).collect();
            assert_eq!(found, Credentials { scheme, tokens, slip }, "{header:?}");
        }
    }
}
