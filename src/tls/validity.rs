//! Validity period of a certificate (RFC 5280 §4.1.2.5), for a warning in the log and a metric.
//! Clients check the validity themselves.

use std::time::Duration;

use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// First and last moment of the validity period.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Validity {
    not_before: Timestamp,
    /// Last moment. `None` for a certificate without a well-defined end, which RFC 5280 dates to
    /// the last second of the year 9999.
    not_after: Option<Timestamp>,
}

impl Validity {
    /// Returns the last moment of the validity period.
    pub(super) fn end(&self) -> Option<Timestamp> {
        self.not_after
    }

    /// Returns a warning if the certificate is not valid at this moment.
    pub(super) fn warning(&self, now: Timestamp) -> Option<String> {
        if let Some(end) = self.not_after
            && now > end
        {
            return Some(format!("expired at {end}, and clients refuse it"));
        }
        if now < self.not_before {
            let start = self.not_before;
            return Some(format!("is not valid before {start}, and clients refuse it"));
        }
        None
    }
}

/// Returns the validity period of a DER-encoded certificate, if it can be parsed.
pub(super) fn parse(certificate: &[u8]) -> Option<Validity> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(Validity {
        not_before: timestamp(validity.not_before.to_unix_duration())?,
        not_after: timestamp(validity.not_after.to_unix_duration()),
    })
}

/// Returns the time this long after the Unix epoch, if a timestamp can hold it.
fn timestamp(since_epoch: Duration) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(since_epoch.as_secs()).ok()?).ok()
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
