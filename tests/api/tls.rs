//! Tests of the built-in TLS: certificate files, clients, and changes of the files.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use personio_scim::tls::{CertificateFiles, CertifiedKeyPair};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, Issuer, KeyPair, PKCS_RSA_SHA256,
    date_time_ymd,
};
use reqwest::Version;
use tempfile::TempDir;

use crate::harness::{CERTIFICATE_READ_INTERVAL, Setup, TOKEN, wait_until};
use crate::process::{Program, run, serve, settings};

/// Test certificate authority with an intermediate certificate, as public authorities have.
struct Authority {
    root: String,
    below: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let params = |name: &str| {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params
        };
        let root =
            CertifiedIssuer::self_signed(params("root"), KeyPair::generate().unwrap()).unwrap();
        let issuer: &Issuer<'_, KeyPair> = &root;
        let below =
            CertifiedIssuer::signed_by(params("below"), KeyPair::generate().unwrap(), issuer)
                .unwrap();
        Self { root: root.pem(), below }
    }

    /// Issues a certificate for this name that is valid until this year, and returns it with the
    /// intermediate certificate.
    fn certify(&self, name: &str, key: &KeyPair, until: i32) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(until, 1, 1);
        let issuer: &Issuer<'_, KeyPair> = &self.below;
        format!("{}{}", params.signed_by(key, issuer).unwrap().pem(), self.below.pem())
    }

    /// Creates a client that trusts only this authority.
    fn client(&self) -> reqwest::Client {
        trusting(&self.root)
    }
}

fn trusting(root: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(root.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap()
}

/// Folder with a certificate file and a key file.
struct CertificateFolder {
    folder: TempDir,
    files: CertificateFiles,
}

impl CertificateFolder {
    fn with(certificate: &str, key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let files = CertificateFiles {
            certificate: folder.path().join("tls.crt"),
            key: folder.path().join("tls.key"),
        };
        let folder = Self { folder, files };
        folder.write(certificate, key);
        folder
    }

    fn write(&self, certificate: &str, key: &str) {
        fs::write(&self.files.certificate, certificate).unwrap();
        fs::write(&self.files.key, key).unwrap();
    }

    fn certificate(&self) -> &str {
        self.files.certificate.to_str().unwrap()
    }

    fn key(&self) -> &str {
        self.files.key.to_str().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Creates a folder with a valid pair for this machine, which expires in this year.
fn good(authority: &Authority, until: i32) -> CertificateFolder {
    let key = KeyPair::generate().unwrap();
    CertificateFolder::with(&authority.certify("127.0.0.1", &key, until), &key.serialize_pem())
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// Returns the key in its format before PKCS #8: the first octet string of the wrapping (RFC 5208
/// §5).
fn unwrapped(pkcs8: &[u8]) -> Vec<u8> {
    let contents = |der: &[u8]| match der[1] {
        length @ ..=0x7f => (2, usize::from(length)),
        0x81 => (3, usize::from(der[2])),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    };
    // Enter the sequence, and skip the version and the algorithm.
    let mut rest = &pkcs8[contents(pkcs8).0..];
    for _ in 0..2 {
        let (head, length) = contents(rest);
        rest = &rest[head + length..];
    }
    assert_eq!(rest[0], 4);
    let (head, length) = contents(rest);
    rest[head..head + length].to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_read_over_tls_whatever_the_form_of_the_key() {
    let authority = Authority::new();
    let elliptic = KeyPair::generate().unwrap();
    let rsa = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
    let sec1 = pem("EC PRIVATE KEY", &unwrapped(elliptic.serialized_der()));
    let pkcs1 = pem("RSA PRIVATE KEY", &unwrapped(rsa.serialized_der()));
    for (key, text) in [
        (&elliptic, elliptic.serialize_pem()),
        (&elliptic, sec1),
        (&rsa, rsa.serialize_pem()),
        (&rsa, pkcs1),
    ] {
        let folder = CertificateFolder::with(&authority.certify("127.0.0.1", key, 2090), &text);
        let bridge = Setup {
            tls: Some(CertifiedKeyPair::read(&folder.files).unwrap()),
            ..Setup::persons(3)
        }
        .start();
        assert!(bridge.origin.starts_with("https://"));
        let url = format!("{}/scim/v2/Users", bridge.origin);
        let response = authority.client().get(&url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_11));
        let page: serde_json::Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(page["totalResults"], 3);
        assert_eq!(
            page["Resources"][0]["meta"]["location"].as_str().unwrap().rsplit_once('/').unwrap().0,
            url
        );
        let metrics = authority.client().get(format!("{}/metrics", bridge.origin)).send().await;
        let metrics = metrics.unwrap().text().await.unwrap();
        // The first of January 2090.
        let expires = "\npersonio_scim_certificate_expires_timestamp_seconds 3786912000\n";
        assert!(metrics.contains(expires), "{metrics}");
        let refused = trusting(&Authority::new().root).get(&url).bearer_auth(TOKEN).send().await;
        assert!(refused.is_err(), "of another authority");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_without_tls_gets_an_error_and_the_server_continues() {
    let authority = Authority::new();
    let folder = good(&authority, 2090);
    let bridge =
        Setup { tls: Some(CertifiedKeyPair::read(&folder.files).unwrap()), ..Setup::persons(3) }
            .start();
    let plain =
        format!("GET /scim/v2/Users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
    // TLS 1.1: a client hello (RFC 4346 §7.4.1.2) with two ciphers of its time and without
    // extensions.
    let body = [&[3, 2], [7; 32].as_slice(), &[0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    let old = [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], body.as_slice()].concat();
    let said = |first: &[u8]| {
        let mut stream = TcpStream::connect(bridge.origin.trim_start_matches("https://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(first).unwrap();
        let (begun, mut answer) = (Instant::now(), Vec::new());
        // The connection may end or be reset.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
        }
        (answer, begun.elapsed())
    };
    let (answer, _) = said(plain.as_bytes());
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 400 ")
            && answer.ends_with("use https:// instead of http:// here."),
        "{answer}"
    );
    // A fatal alert (RFC 5246 §7.2).
    let (answer, _) = said(&old);
    assert!(matches!(answer.as_slice(), [21, 3, _, 0, 2, 2, 40 | 70]), "{answer:?}");
    // A client that does not complete the handshake is disconnected.
    let slow_clients = std::thread::scope(|scope| {
        [&[][..], &old[..20]]
            .map(|first| scope.spawn(|| said(first)))
            .map(|client| client.join().unwrap())
    });
    for (answer, time) in slow_clients {
        assert!(answer.is_empty() && time < Duration::from_secs(10), "{answer:?} after {time:?}");
    }
    let url = format!("{}/scim/v2/Users", bridge.origin);
    assert_eq!(authority.client().get(url).bearer_auth(TOKEN).send().await.unwrap().status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_at_an_address_without_a_certificate_is_closed_and_counted() {
    let bridge = Setup::persons(3).start();
    let mut stream = TcpStream::connect(bridge.origin.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // First bytes of a client hello.
    stream.write_all(&[22, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"", "no HTTP is sent to a client that expects TLS");
    let metrics = bridge.get("/metrics").await.text;
    assert!(
        metrics.contains("personio_scim_connections_closed_total{reason=\"unexpected TLS\"} 1"),
        "{metrics}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_pair_is_one_line_and_exit_code_64_without_the_key() {
    // Valid settings fail with exit code 1 instead, because this port is taken.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let authority = Authority::new();
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap().serialize_pem());
    let (certificate, key) = (authority.certify("127.0.0.1", &key, 2090), key.serialize_pem());
    let (cert_flag, key_flag) = ("--tls-cert (SCIM_TLS_CERT)", "--tls-key (SCIM_TLS_KEY)");
    let half = &key[..key.len() / 2];
    let old_encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    let rows = [
        ("", key.as_str(), cert_flag, "tls.crt: holds no certificate"),
        (&key, &key, cert_flag, "tls.crt: holds no certificate"),
        (
            &certificate[..certificate.len() / 3],
            &key,
            cert_flag,
            "tls.crt: is cut short or damaged",
        ),
        (
            &pem("CERTIFICATE", b"no certificate"),
            &key,
            cert_flag,
            "tls.crt: its first certificate cannot be read",
        ),
        (&certificate, "", key_flag, "tls.key: holds no private key"),
        (&certificate, &certificate, key_flag, "tls.key: holds no private key"),
        (&certificate, half, key_flag, "tls.key: is cut short or damaged"),
        (
            &certificate,
            &pem("PRIVATE KEY", b"a-secret-that-is-no-key"),
            key_flag,
            "tls.key: holds a key that cannot be used",
        ),
        (
            &certificate,
            &pem("ENCRYPTED PRIVATE KEY", b"a-secret"),
            key_flag,
            "tls.key: holds an encrypted key",
        ),
        (&certificate, old_encrypted, key_flag, "tls.key: holds an encrypted key"),
        (&certificate, &other, key_flag, "tls.key: does not belong to the certificate in "),
    ];
    let said = async |variables: &[(&str, &str)], parts: &[&str]| {
        let mut all = settings("http://127.0.0.1:1");
        all.retain(|(name, _)| *name != "SCIM_LISTEN");
        all.push(("SCIM_LISTEN", &listen));
        all.extend(variables);
        let ended = run(&["serve"], &all).await;
        for text in [&key, &other, &pem("", b"a-secret-that-is-no-key")] {
            for line in text.lines().filter(|line| !line.starts_with("-----")) {
                assert!(!ended.err.contains(&line[..16.min(line.len())]), "{ended:?}");
            }
        }
        parts.iter().for_each(|part| ended.complains(64, part));
    };
    for (certificate, key, setting, part) in rows {
        let folder = CertificateFolder::with(certificate, key);
        said(
            &[("SCIM_TLS_CERT", folder.certificate()), ("SCIM_TLS_KEY", folder.key())],
            &[setting, part],
        )
        .await;
    }
    let folder = CertificateFolder::with(&certificate, &key);
    let missing = folder.path("missing");
    let missing = missing.to_str().unwrap();
    said(
        &[("SCIM_TLS_CERT", missing), ("SCIM_TLS_KEY", folder.key())],
        &[cert_flag, "missing: No such file"],
    )
    .await;
    said(
        &[("SCIM_TLS_CERT", folder.certificate()), ("SCIM_TLS_KEY", missing)],
        &[key_flag, "missing: No such"],
    )
    .await;
    let without = format!("{cert_flag} is given without {key_flag}");
    said(&[("SCIM_TLS_CERT", folder.certificate()), ("SCIM_TLS_KEY", "")], &[&without]).await;
    said(&[("SCIM_TLS_KEY", folder.key())], &[&format!("{key_flag} is given without {cert_flag}")])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_served_to_new_connections_and_running_ones_go_on() {
    let (old, new) = (Authority::new(), Authority::new());
    // Kubernetes replaces a secret like this: a symbolic link points to the folder with both files.
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (good(&old, 2090), good(&new, 2090));
    let link = folder.path().join("data");
    std::os::unix::fs::symlink(first.folder.path(), &link).unwrap();
    let files = CertificateFiles { certificate: link.join("tls.crt"), key: link.join("tls.key") };
    let bridge =
        Setup { tls: Some(CertifiedKeyPair::read(&files).unwrap()), ..Setup::persons(3) }.start();
    let url = format!("{}/scim/v2/Users", bridge.origin);
    let asks =
        async |client: &reqwest::Client| client.get(&url).bearer_auth(TOKEN).send().await.is_ok();
    let kept = old.client();
    assert_eq!((asks(&kept).await, asks(&new.client()).await), (true, false));

    std::os::unix::fs::symlink(second.folder.path(), folder.path().join("next")).unwrap();
    fs::rename(folder.path().join("next"), &link).unwrap();
    // Reads the files a few times: a changed certificate is adopted at the second read.
    let read = async || {
        for _ in 0..3 {
            bridge.clock.age(CERTIFICATE_READ_INTERVAL);
            bridge.clock.settle(2).await;
        }
    };
    read().await;
    assert!(asks(&new.client()).await, "the new one is served");
    assert!(!asks(&old.client()).await, "the old one is not served any more");
    assert!(asks(&kept).await, "a running connection goes on");

    // An invalid pair changes nothing for as long as it is there.
    for (certificate, key) in [
        (first.certificate(), second.key()),
        (second.certificate(), first.key()),
        (second.certificate(), second.certificate()),
    ] {
        let text = |path: &str| fs::read_to_string(path).unwrap();
        let wrong = CertificateFolder::with(&text(certificate), &text(key));
        std::os::unix::fs::symlink(wrong.folder.path(), folder.path().join("next")).unwrap();
        fs::rename(folder.path().join("next"), &link).unwrap();
        read().await;
        assert_eq!((asks(&new.client()).await, asks(&old.client()).await), (true, false));
    }
    fs::remove_file(&link).unwrap();
    read().await;
    assert!(asks(&new.client()).await, "nothing is there, and nothing changes");
    std::os::unix::fs::symlink(first.folder.path(), &link).unwrap();
    read().await;
    assert!(asks(&old.client()).await, "what is right is served again");
}

#[tokio::test(flavor = "multi_thread")]
async fn sighup_reloads_the_certificate_and_an_invalid_one_changes_nothing() {
    let simulator = Setup::persons(3).simulator();
    let upstream = simulator.base_url();
    let (authority, next) = (Authority::new(), Authority::new());
    let folder = good(&authority, 2020);
    let mut variables = settings(&upstream);
    variables.extend([("SCIM_TLS_CERT", folder.certificate()), ("SCIM_TLS_KEY", folder.key())]);
    let program = Program::start(&["serve"], &variables);
    let base_url = program.base_url().await;
    assert!(base_url.starts_with("https://127.0.0.1:"), "{base_url}");
    let said = |level: &str, part: &str| {
        let lines = program.log_at(level);
        lines.iter().filter(|line| line["message"].as_str().unwrap().contains(part)).count()
    };
    assert_eq!(
        said(
            "WARN",
            "tls.crt: the certificate expired at 2020-01-01T00:00:00Z, and clients refuse it"
        ),
        1
    );

    // SIGHUP arrives long before the next periodic check of the files.
    let renewed = good(&next, 2090);
    let read = |path: &str| fs::read_to_string(path).unwrap();
    folder.write(&read(renewed.certificate()), &read(renewed.key()));
    program.signal("HUP");
    let asks = async || {
        next.client().get(format!("{base_url}/Users")).bearer_auth(TOKEN).send().await.is_ok()
    };
    wait_until("the settings are read", async || said("INFO", "the settings were read again") == 1)
        .await;
    assert_eq!(
        said("INFO", "a new certificate is served"),
        1,
        "with them, and not at the next look"
    );
    assert!(asks().await);
    fs::write(&folder.files.key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    program.signal("HUP");
    let mistake = "the settings stay as they were: --tls-key (SCIM_TLS_KEY): ";
    wait_until("that is wrong", async || said("ERROR", mistake) == 1).await;
    assert!(asks().await);
    assert_eq!((said("WARN", ""), said("INFO", "a new certificate is served")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_uses_tls_with_any_name_in_the_certificate() {
    let simulator = Setup::persons(3).simulator();
    let upstream = simulator.base_url();
    let key = KeyPair::generate().unwrap();
    // The certificate is for another name and has expired.
    let folder = CertificateFolder::with(
        &Authority::new().certify("scim.example.com", &key, 2020),
        &key.serialize_pem(),
    );
    let mut variables = settings(&upstream);
    variables.extend([("SCIM_TLS_CERT", folder.certificate()), ("SCIM_TLS_KEY", folder.key())]);
    let program = Program::start(&["serve"], &variables);
    let base_url = program.base_url().await;
    let listen = base_url.trim_start_matches("https://").trim_end_matches("/scim/v2");
    let (listen, over_tls) = (("SCIM_LISTEN", listen), ("SCIM_TLS_CERT", folder.certificate()));
    for args in [&["healthcheck"][..], &["healthcheck", "--ready"]] {
        wait_until("it is well", async || run(args, &[listen, over_tls]).await.status.success())
            .await;
    }
    let nothing = run(&["approve"], &[listen, over_tls]).await;
    assert!(
        nothing.status.success() && nothing.out.starts_with("Nothing is held back"),
        "{nothing:?}"
    );
    run(&["healthcheck"], &[listen, ("SCIM_TLS_CERT", "")]).await.complains(1, "http://127.0.0.1:");
    for command in ["healthcheck", "approve"] {
        run(&[command], &[listen])
            .await
            .complains(1, "it speaks TLS; set the certificate of the server here too");
    }
    let simulator = Setup::persons(1).simulator();
    let plain = serve(&simulator);
    let base_url = plain.base_url().await;
    let listen =
        ("SCIM_LISTEN", base_url.trim_start_matches("http://").trim_end_matches("/scim/v2"));
    let ended = run(&["healthcheck"], &[listen, over_tls]).await;
    ended.complains(1, "it speaks plain HTTP; remove the certificate here");
    let base_url = program.base_url().await;
    // A client that verifies certificates refuses this server.
    assert!(answer_of(&base_url).await.is_err());
}

async fn answer_of(base_url: &str) -> reqwest::Result<()> {
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    client.get(format!("{base_url}/Users")).send().await.map(|_| ())
}
