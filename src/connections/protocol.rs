//! Detection of TLS and HTTP by the first byte of a connection. It gives a reason, to the client or
//! in the log, when a client uses the wrong one of them.

/// First byte of a TLS connection: the record type `handshake` (RFC 8446 §5.1).
const TLS_HANDSHAKE: u8 = 22;

/// Response to HTTP without TLS at an address that speaks TLS.
pub(super) const USE_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain; charset=utf-8\r\n\
    Content-Length: 62\r\nConnection: close\r\n\r\n\
    This address speaks TLS: use https:// instead of http:// here.";

/// Reports whether a connection begins with TLS.
pub(super) fn is_tls(first: u8) -> bool {
    first == TLS_HANDSHAKE
}

/// Reports whether a connection begins with an HTTP method (RFC 9110 §9.1). No TLS record type is a
/// letter.
pub(super) fn is_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_byte_distinguishes_tls_from_http() {
        for (first, tls, http) in [
            (22, true, false),
            (b'G', false, true),
            (b'P', false, true),
            (0, false, false),
            (20, false, false),
            (b'g', false, false),
            (0x80, false, false),
        ] {
            assert_eq!((is_tls(first), is_http(first)), (tls, http), "{first}");
        }
    }

    #[test]
    fn response_has_the_length_in_its_header() {
        let response = std::str::from_utf8(USE_TLS).unwrap();
        let (head, body) = response.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{response}");
    }
}
