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
    /// Returns a warning if the certificate is not valid at this moment.
    pub(super) fn doubt(&self, now: Timestamp) -> Option<String> {
        let now = now.to_zoned(TimeZone::UTC).datetime();
        if now > self.not_after {
            return Some(format!("expired at {}Z, and clients refuse it", self.not_after));
        }
        (now < self.not_before).then(|| format!("is not valid before {}Z, and clients refuse it", self.not_before))
    }
}

/// Returns the validity period of a DER-encoded certificate, if it can be found.
pub(super) fn of(certificate: &[u8]) -> Option<Validity> {
    let (_, certificate, _) = element(certificate)?;
    let (_, fields, _) = element(certificate)?;
    let (first, _, behind_first) = element(fields)?;
    let serial_number = if first == VERSION { behind_first } else { fields };
    let (_, _, signature) = element(serial_number)?;
    let (_, _, issuer) = element(signature)?;
    let (_, _, validity) = element(issuer)?;
    let (_, validity, _) = element(validity)?;
    let (tag, text, rest) = element(validity)?;
    let not_before = time(tag, text)?;
    let (tag, text, _) = element(rest)?;
    Some(Validity { not_before, not_after: time(tag, text)? })
}

/// Splits off the first element: returns its tag, its content and the bytes after it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, length], rest) = der.split_first_chunk()?;
    let (length, rest) = match length {
        ..=0x7f => (usize::from(length), rest),
        // The low bits are the number of bytes that hold the length. Four are enough for a
        // certificate.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

fn time(tag: u8, text: &[u8]) -> Option<DateTime> {
    let text = std::str::from_utf8(text).ok()?;
    let text = match tag {
        // A year of two digits below 50 is in the 21st century (RFC 5280 §4.1.2.5.1).
        UTC_TIME if text < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    DateTime::strptime("%Y%m%d%H%M%SZ", text).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(years: (i32, i32)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (date_time_ymd(years.0, 2, 3), date_time_ymd(years.1, 12, 31));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_times_of_a_certificate_are_found() {
        // Dates from 2050 on are encoded as GeneralizedTime.
        for (years, now, doubt) in [
            ((2020, 2030), "2026-11-23T10:00:00Z", None),
            ((2020, 2026), "2026-12-31T00:00:00Z", None),
            ((2020, 2026), "2026-12-31T00:00:01Z", Some("expired at 2026-12-31T00:00:00Z, and clients refuse it")),
            ((1999, 2000), "2026-11-23T10:00:00Z", Some("expired at 2000-12-31T00:00:00Z, and clients refuse it")),
            (
                (2027, 2051),
                "2026-11-23T10:00:00Z",
                Some("is not valid before 2027-02-03T00:00:00Z, and clients refuse it"),
            ),
            ((2020, 9999), "2060-01-01T00:00:00Z", None),
        ] {
            let validity = of(&certificate(years)).unwrap();
            assert_eq!(validity.doubt(now.parse().unwrap()).as_deref(), doubt, "{years:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_there_nothing_breaks(bytes: Vec<u8>, at in 0..200_usize, byte: u8) {
            let _ = of(&bytes);
            let mut certificate = certificate((2020, 2030));
            certificate[at] = byte;
            let _ = of(&certificate);
            certificate.truncate(at);
            prop_assert_eq!(of(&certificate), None);
        }
    }
}
