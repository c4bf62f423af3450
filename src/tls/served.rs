//! Certificate in force. New connections use the newest certificate; open connections are not
//! affected by a change.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::clock::Clock;
use crate::tls::{CertifiedKeyPair, validity};

/// Certificate and key in force.
pub struct ServedCertificate {
    pair: ArcSwap<CertifiedKeyPair>,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for ServedCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pair.load().fmt(f)
    }
}

impl ResolvesServerCert for ServedCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.pair.load().certified))
    }
}

impl ServedCertificate {
    /// Creates a resolver that serves this certificate, and logs a warning if it is outside its
    /// validity period.
    #[must_use]
    pub fn new(pair: CertifiedKeyPair, clock: Arc<dyn Clock>) -> Arc<Self> {
        let certificate = Arc::new(Self { pair: ArcSwap::from_pointee(pair), clock });
        certificate.warn_if_invalid();
        certificate
    }

    /// Returns the configuration of a server with this certificate: TLS 1.2 and 1.3, without client
    /// certificates.
    ///
    /// # Errors
    /// Returns an error when the cryptography provider does not support these versions.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, rustls::Error> {
        let resolver = Arc::clone(self) as Arc<dyn ResolvesServerCert>;
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        Ok(builder.with_no_client_auth().with_cert_resolver(resolver))
    }

    /// Returns the end of the certificate's validity period, if it can be found.
    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        validity::parse(self.pair.load().certified.cert.first()?)?.end()
    }

    /// Replaces the certificate, unless it is the same.
    pub fn replace(&self, pair: CertifiedKeyPair) {
        if self.pair.load().digest == pair.digest {
            return;
        }
        self.pair.store(Arc::new(pair));
        tracing::info!("a new certificate is served to new connections");
        self.warn_if_invalid();
    }

    /// Spawns a task that reads the files again at this interval, until the certificate is dropped.
    pub fn watch_files(self: &Arc<Self>, every: Duration) {
        tokio::spawn(watch(Arc::downgrade(self), Arc::clone(&self.clock), every));
    }

    /// Logs a warning when the certificate is outside its validity period. Clients refuse such a
    /// certificate, and their error messages do not reach the operator.
    fn warn_if_invalid(&self) {
        let pair = self.pair.load();
        let Some(certificate) = pair.certified.cert.first() else { return };
        let Some(validity) = validity::parse(certificate) else { return };
        if let Some(doubt) = validity.warning(self.clock.now()) {
            tracing::warn!("{}: the certificate {doubt}", pair.files.certificate.display());
        }
    }
}

/// Reads the files at this interval until the certificate is dropped.
///
/// A file may be half written when it is read: it is invalid, or its chain is incomplete. A changed
/// certificate is therefore adopted when two reads in a row find the same contents, and an error is
/// logged when two reads in a row fail. Each error is logged once.
async fn watch(certificate: Weak<ServedCertificate>, clock: Arc<dyn Clock>, every: Duration) {
    // Digest of a changed certificate that the last read found.
    let mut last_digest = None;
    // Number of failed reads in a row.
    let mut failures = 0;
    let mut logged_error = None;
    loop {
        clock.wait(every).await;
        let Some(certificate) = certificate.upgrade() else { return };
        let pair = certificate.pair.load_full();
        // A read may block for long, for example on a network file system that hangs.
        let Ok(read) = tokio::task::spawn_blocking(move || pair.read_if_changed()).await else {
            return;
        };
        match read {
            Ok(new) => {
                failures = 0;
                logged_error = None;
                let digest = new.as_ref().map(|pair| pair.digest.clone());
                if let Some(pair) = new
                    && digest == last_digest
                {
                    certificate.replace(pair);
                }
                last_digest = digest;
            }
            Err(error) => {
                last_digest = None;
                failures += 1;
                if failures >= 2 && logged_error.as_ref() != Some(&error) {
                    tracing::warn!("the certificate was not replaced: {error}");
                    logged_error = Some(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;
    use std::sync::Mutex;

    use rcgen::{CertificateParams, KeyPair};
    use tempfile::TempDir;

    use super::*;
    use crate::clock::test_clock::TestClock;
    use crate::tls::CertificateFiles;

    const READ_INTERVAL: Duration = Duration::from_secs(10);

    #[derive(Clone, Default)]
    struct CapturedLog(Arc<Mutex<Vec<u8>>>);

    impl Write for CapturedLog {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl CapturedLog {
        /// Returns the lines that were logged since the last call.
        fn take(&self) -> Vec<String> {
            let text = std::mem::take(&mut *self.0.lock().unwrap());
            String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
        }
    }

    fn generate_pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn write(folder: &TempDir, certificate: &str, key: &str) -> CertificateFiles {
        let files = CertificateFiles {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
        };
        fs::write(&files.certificate, certificate).unwrap();
        fs::write(&files.key, key).unwrap();
        files
    }

    /// Lets time pass until this number of further reads has happened.
    async fn read_times(clock: &TestClock, number: u32) {
        clock.settle(1).await;
        for _ in 0..number {
            clock.pass(READ_INTERVAL);
            clock.settle(1).await;
        }
    }

    #[tokio::test]
    async fn invalid_files_are_reported_once_and_half_written_files_never() {
        let lines = CapturedLog::default();
        let writer = lines.clone();
        let subscriber =
            tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
        let _logged = tracing::subscriber::set_default(subscriber);
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (generate_pair(), generate_pair());
        let files = write(&folder, &first.0, &first.1);
        let clock = TestClock::at("2026-11-23T10:00:00Z");
        let certificate = ServedCertificate::new(
            CertifiedKeyPair::read(&files).unwrap(),
            Arc::new(clock.clone()),
        );
        certificate.watch_files(READ_INTERVAL);
        read_times(&clock, 5).await;
        assert_eq!(lines.take(), Vec::<String>::new(), "nothing has changed");

        // The certificate is replaced before the key.
        write(&folder, &second.0, &first.1);
        read_times(&clock, 1).await;
        assert_eq!(lines.take(), Vec::<String>::new());
        write(&folder, &second.0, &second.1);
        read_times(&clock, 1).await;
        assert_eq!(lines.take(), Vec::<String>::new(), "the chain may not be whole yet");
        read_times(&clock, 5).await;
        let [line] = &*lines.take() else { panic!("one line") };
        assert!(line.contains("INFO") && line.contains("a new certificate is served"), "{line}");

        for (certificate, key, why) in [
            (&first.0, &second.1, "tls.key: does not belong to the certificate in "),
            (&first.0, &first.0, "tls.key: holds no private key"),
        ] {
            write(&folder, certificate, key);
            read_times(&clock, 10).await;
            let [line] = &*lines.take() else { panic!("one line: {why}") };
            assert!(line.contains("WARN"), "{line}");
            assert!(line.contains("the certificate was not replaced: "), "{line}");
            assert!(line.contains(why), "{line}");
        }
        write(&folder, &second.0, &second.1);
        read_times(&clock, 3).await;
        assert_eq!(lines.take(), Vec::<String>::new(), "it is what is served");
        write(&folder, &first.0, &second.1);
        read_times(&clock, 3).await;
        assert_eq!(
            lines.take().len(),
            1,
            "an error that was corrected and made again is logged again"
        );
        assert!(
            certificate.pair.load().digest
                == CertifiedKeyPair::read(&write(&folder, &second.0, &second.1)).unwrap().digest
        );
    }

    #[tokio::test]
    async fn reads_end_when_the_certificate_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = generate_pair();
        let files = write(&folder, &certificate, &key);
        let clock = TestClock::at("2026-11-23T10:00:00Z");
        let certificate = ServedCertificate::new(
            CertifiedKeyPair::read(&files).unwrap(),
            Arc::new(clock.clone()),
        );
        let watching = tokio::spawn(watch(
            Arc::downgrade(&certificate),
            Arc::new(clock.clone()),
            READ_INTERVAL,
        ));
        read_times(&clock, 3).await;
        assert!(!watching.is_finished());
        drop(certificate);
        clock.pass(READ_INTERVAL);
        watching.await.unwrap();
    }
}
