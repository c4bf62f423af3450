//! Settings of the address at which clients reach the server, and of its certificate.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::ValueHint;
use url::Url;

use crate::config::Error;
use crate::config::parsers::{address, is_loopback, public_url, trimmed_path};
use crate::config::setting::{SettingName, setting};
use crate::tls::{CertificateFiles, CertifiedKeyPair, FileRole};

/// Address to listen on.
pub const LISTEN: SettingName = SettingName::new("listen", "SCIM_LISTEN");
pub(in crate::config) const TLS_CERT: SettingName = SettingName::new("tls-cert", "SCIM_TLS_CERT");
const TLS_KEY: SettingName = SettingName::new("tls-key", "SCIM_TLS_KEY");
pub(in crate::config) const PUBLIC_URL: SettingName =
    SettingName::new("public-url", "SCIM_PUBLIC_URL");

/// Default address to listen on. It is reachable from this machine only.
pub(in crate::config) const DEFAULT_LISTEN: &str = "127.0.0.1:8080";

/// Settings of the address at which clients reach the server.
#[derive(Debug, Clone, clap::Args)]
pub struct ListenSettings {
    /// Address and port to listen on
    #[arg(
        long = LISTEN.flag,
        env = LISTEN.variable,
        value_name = "ADDRESS",
        default_value = DEFAULT_LISTEN,
        value_parser = setting(address)
    )]
    pub listen: SocketAddr,
    /// PEM file with the certificate of the server, followed by its chain; with it, the server
    /// speaks TLS
    #[arg(
        long = TLS_CERT.flag,
        env = TLS_CERT.variable,
        value_name = "FILE",
        value_parser = setting(trimmed_path),
        value_hint = ValueHint::Unknown
    )]
    pub tls_cert: Option<PathBuf>,
    /// PEM file with the private key of the certificate
    #[arg(
        long = TLS_KEY.flag,
        env = TLS_KEY.variable,
        value_name = "FILE",
        value_parser = setting(trimmed_path),
        value_hint = ValueHint::Unknown
    )]
    pub tls_key: Option<PathBuf>,
    /// URL under which clients reach this server, without /scim/v2 [default: http:// or, with TLS,
    /// https:// and the listen address]
    #[arg(
        long = PUBLIC_URL.flag,
        env = PUBLIC_URL.variable,
        value_name = "URL",
        value_parser = setting(public_url)
    )]
    pub public_url: Option<Url>,
}

impl ListenSettings {
    /// Reads the certificate and its key, if TLS is configured. Both are given, or neither.
    pub(in crate::config) fn certificate_and_key(&self) -> Result<Option<CertifiedKeyPair>, Error> {
        let files = match (&self.tls_cert, &self.tls_key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => {
                CertificateFiles { certificate: certificate.clone(), key: key.clone() }
            }
            (Some(_), None) => {
                return Err(Error(format!(
                    "{TLS_CERT} is given without {TLS_KEY}: TLS needs both"
                )));
            }
            (None, Some(_)) => {
                return Err(Error(format!(
                    "{TLS_KEY} is given without {TLS_CERT}: TLS needs both"
                )));
            }
        };
        match CertifiedKeyPair::read(&files) {
            Ok(pair) => Ok(Some(pair)),
            Err(error) => {
                let name = match error.role {
                    FileRole::Certificate => TLS_CERT,
                    FileRole::Key => TLS_KEY,
                };
                Err(Error(format!("{name}: {error}")))
            }
        }
    }

    /// Returns warnings about settings that may be a mistake, each with the names of the settings.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        const PLAIN_HTTP_RISK: &str = "so others on the network can read tokens and personal data";
        let proxy = format!("a proxy with TLS and its https:// address as {PUBLIC_URL}");
        let certificate = format!("{TLS_CERT} with {TLS_KEY}");
        let has_tls = self.tls_cert.is_some();
        let is_local = self.listen.ip().is_loopback();
        let mut warnings = Vec::new();
        match &self.public_url {
            None if self.listen.ip().is_unspecified() => warnings.push(format!(
                "no public URL is set ({PUBLIC_URL}), so resources name addresses that clients \
                 cannot reach"
            )),
            Some(url) if url.scheme() == "http" && has_tls => warnings.push(format!(
                "{PUBLIC_URL} begins with http://, but with {TLS_CERT} clients speak TLS: write \
                 https://"
            )),
            Some(url) if url.scheme() == "http" && !is_loopback(url) => {
                warnings.push(format!(
                    "{PUBLIC_URL} begins with http://, {PLAIN_HTTP_RISK}: use {proxy}, or \
                     {certificate}"
                ));
            }
            None | Some(_) => {}
        }
        if !has_tls && self.public_url.is_none() && !is_local {
            warnings.push(format!(
                "clients speak plain HTTP to {} ({LISTEN}), {PLAIN_HTTP_RISK}: use {proxy}, or \
                 {certificate}",
                self.listen
            ));
        }
        warnings
    }
}
