//! Validity period of a certificate (RFC 5280 §4.1.2.5), for a warning in the log. Nothing else of
//! a certificate is read here. Clients check the validity themselves.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Tag of the version, `[0]`. This field may be missing.
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// First and last moment of the validity period, in UTC.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Validity {
    not_before: DateTime,
    not_after: DateTime,
}

impl Validity {
    /// Returns the last moment of the validity period.
    pub(super) fn end(&self) -> Option<Timestamp> {
        Some(self.not_after.to_zoned(TimeZone::UTC).ok()?.timestamp())
    }

    /// Returns a warning if the certificate is not valid at this moment.
    pub(super) fn warning(&self, now: Timestamp) -> Option<String> {
        let now = now.to_zoned(TimeZone::UTC).datetime();
        if now > self.not_after {
            return Some(format!("expired at {}Z, and clients refuse it", self.not_after));
        }
        if now < self.not_before {
            let start = self.not_before;
            return Some(format!("is not valid before {start}Z, and clients refuse it"));
        }
        None
    }
}

/// Returns the validity period of a DER-encoded certificate, if it can be found.
pub(super) fn parse(certificate: &[u8]) -> Option<Validity> {
    let certificate = Element::first(certificate)?.content;
    let fields = Element::first(certificate)?.content;
    let first = Element::first(fields)?;
    let serial_number = if first.tag == VERSION { first.rest } else { fields };
    let signature = Element::first(serial_number)?.rest;
    let issuer = Element::first(signature)?.rest;
    let validity = Element::first(issuer)?.rest;
    let validity = Element::first(validity)?.content;
    let not_before = Element::first(validity)?;
    let not_after = Element::first(not_before.rest)?;
    Some(Validity { not_before: not_before.parse_time()?, not_after: not_after.parse_time()? })
}

/// Element of DER, with the bytes after it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    /// Splits off the first element.
    fn first(der: &'a [u8]) -> Option<Self> {
        let (&[tag, length], rest) = der.split_first_chunk()?;
        let (length, rest) = match length {
            ..=0x7f => (usize::from(length), rest),
            // The low bits are the number of bytes that hold the length. Four are enough for a
            // certificate.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (big_endian(bytes), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        Some(Self { tag, content, rest })
    }

    fn parse_time(&self) -> Option<DateTime> {
        let text = std::str::from_utf8(self.content).ok()?;
        let text = match self.tag {
            // A year of two digits below 50 is in the 21st century (RFC 5280 §4.1.2.5.1).
            UTC_TIME if text < "50" => format!("20{text}"),
            UTC_TIME => format!("19{text}"),
            GENERALIZED_TIME => text.to_owned(),
            _ => return None,
        };
        DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()
    }
}

fn big_endian(bytes: &[u8]) -> usize {
    let mut number = 0;
    for byte in bytes {
        number = number << 8 | usize::from(*byte);
    }
    number
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(years: (i32, i32)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (date_time_ymd(years.0, 2, 3), date_time_ymd(years.1, 12, 31));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn validity_period_is_parsed_and_checked() {
        // Dates from 2050 on are encoded as GeneralizedTime.
        for (years, now, doubt) in [
            ((2020, 2030), "2026-11-23T10:00:00Z", None),
            ((2020, 2026), "2026-12-31T00:00:00Z", None),
            (
                (2020, 2026),
                "2026-12-31T00:00:01Z",
                Some("expired at 2026-12-31T00:00:00Z, and clients refuse it"),
            ),
            (
                (1999, 2000),
                "2026-11-23T10:00:00Z",
                Some("expired at 2000-12-31T00:00:00Z, and clients refuse it"),
            ),
            (
                (2027, 2051),
                "2026-11-23T10:00:00Z",
                Some("is not valid before 2027-02-03T00:00:00Z, and clients refuse it"),
            ),
            ((2020, 9999), "2060-01-01T00:00:00Z", None),
        ] {
            let validity = parse(&certificate(years)).unwrap();
            assert_eq!(validity.warning(now.parse().unwrap()).as_deref(), doubt, "{years:?}");
        }
    }

    proptest! {
        #[test]
        fn damaged_certificates_do_not_panic(bytes: Vec<u8>, at in 0..200_usize, byte: u8) {
            let _ = parse(&bytes);
            let mut certificate = certificate((2020, 2030));
            certificate[at] = byte;
            let _ = parse(&certificate);
            certificate.truncate(at);
            prop_assert_eq!(parse(&certificate), None);
        }
    }
}
