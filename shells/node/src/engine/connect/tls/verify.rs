//! Whether a server is who it should be, with the verdicts that Node.js gives.

use core::error::Error;
use core::fmt;
use core::net::IpAddr;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{
    WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor, verify_server_name,
};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertRevocationListError, CertificateError, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};

use super::der::{self, Certificate};
use crate::engine::failure::Failure;
use crate::engine::options::TlsOptions;

/// Whom to trust.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) roots: Arc<RootCertStore>,
    /// The same certificates as they came: a server that presents one of them is trusted, as
    /// OpenSSL does, whatever else could be said about it as a server's certificate.
    pub(super) known: Vec<CertificateDer<'static>>,
}

/// Why a server is not trusted, in the terms of Node.js.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Untrusted {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// Of a name that does not match: why, and which.
    pub(super) reason: String,
    pub(super) host: String,
    /// That certificate.
    pub(super) certificate: Option<Box<[u8]>>,
}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Untrusted {}

impl Untrusted {
    fn new(code: &'static str, message: &str) -> Self {
        let message = message.to_owned();
        let (reason, host) = (String::new(), String::new());
        Self { code, message, reason, host, certificate: None }
    }
}

/// Verifies servers for one configuration.
#[derive(Debug)]
pub(super) struct Verifier {
    trust: Arc<Trust>,
    /// Follows chains where there are lists of revoked certificates.
    revocation: Option<Arc<WebPkiServerVerifier>>,
    algorithms: WebPkiSupportedAlgorithms,
    rejects: bool,
    /// Whether a certificate is for the name is decided here.
    names: bool,
}

impl Verifier {
    pub(super) fn new(
        trust: Arc<Trust>,
        provider: &Arc<CryptoProvider>,
        tls: &TlsOptions,
        revoked: Vec<CertificateRevocationListDer<'static>>,
    ) -> Result<Self, Box<Failure>> {
        let (rejects, names) = (tls.reject_unauthorized, tls.asks_identity.is_none());
        let algorithms = super::algorithms(provider);
        let revocation = revocation(&trust, provider, revoked)?;
        Ok(Self { trust, revocation, algorithms, rejects, names })
    }

    /// Follows the chain to a root.
    fn follow(
        &self,
        end_entity: &CertificateDer<'_>,
        parsed: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let Some(revocation) = &self.revocation else {
            let (roots, all) = (&self.trust.roots, self.algorithms.all);
            return verify_server_cert_signed_by_trust_anchor(
                parsed,
                roots,
                intermediates,
                now,
                all,
            );
        };
        match revocation.verify_server_cert(end_entity, intermediates, name, &[], now) {
            // It looks at the name last, which is not its affair.
            Ok(_)
            | Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Untrusted> {
        let cert = Certificate::parse(end_entity)
            .ok_or_else(|| Untrusted::new("ERR_SSL_ASN1_LIB", "malformed certificate"))?;
        let parsed = ParsedCertificate::try_from(end_entity);
        let chain = parsed
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|parsed| self.follow(end_entity, parsed, intermediates, name, now));
        if let Err(error) = chain {
            let known = self.trust.known.iter().any(|known| known == end_entity);
            match self.revocation {
                None if known => in_time(&cert, now)?,
                // It is its own issuer, and has no list.
                Some(_) if known && cert.is_self_issued() => return Err(no_list()),
                _ => return Err(untrusted(&error, &cert, intermediates)),
            }
        }
        if !self.names || parsed.is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok()) {
            return Ok(());
        }
        named_otherwise(&cert, name).map_err(|untrusted| Untrusted {
            certificate: Some(end_entity.as_ref().into()),
            ..untrusted
        })
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.rejects {
            self.verify(end_entity, intermediates, name, now)
                .map_err(|untrusted| CertificateError::Other(OtherError(Arc::new(untrusted))))?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// What follows chains with these lists; without any, nothing.
fn revocation(
    trust: &Trust,
    provider: &Arc<CryptoProvider>,
    lists: Vec<CertificateRevocationListDer<'static>>,
) -> Result<Option<Arc<WebPkiServerVerifier>>, Box<Failure>> {
    if lists.is_empty() {
        return Ok(None);
    }
    let roots = Arc::clone(&trust.roots);
    WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider))
        .with_crls(lists)
        .enforce_revocation_expiration()
        .build()
        .map(Some)
        .map_err(|error| super::invalid(error.to_string()))
}

fn in_time(cert: &Certificate<'_>, now: UnixTime) -> Result<(), Untrusted> {
    if now.as_secs() < cert.not_before {
        return Err(too_early());
    }
    if now.as_secs() > cert.not_after {
        return Err(too_late());
    }
    Ok(())
}

fn too_early() -> Untrusted {
    Untrusted::new("CERT_NOT_YET_VALID", "certificate is not yet valid")
}

fn no_list() -> Untrusted {
    Untrusted::new("UNABLE_TO_GET_CRL", "unable to get certificate CRL")
}

fn too_late() -> Untrusted {
    Untrusted::new("CERT_HAS_EXPIRED", "certificate has expired")
}

/// A chain that leads to no root, or is wrong otherwise.
fn untrusted(
    error: &rustls::Error,
    leaf: &Certificate<'_>,
    intermediates: &[CertificateDer<'_>],
) -> Untrusted {
    if matches!(
        error,
        rustls::Error::InvalidCertRevocationList(CertRevocationListError::BadSignature)
    ) {
        return Untrusted::new("CRL_SIGNATURE_FAILURE", "CRL signature failure");
    }
    let rustls::Error::InvalidCertificate(error) = error else {
        return Untrusted::new("ERR_SSL_CERTIFICATE_VERIFY_FAILED", &error.to_string());
    };
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => too_late(),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => too_early(),
        CertificateError::Revoked => Untrusted::new("CERT_REVOKED", "certificate revoked"),
        CertificateError::UnknownRevocationStatus => no_list(),
        CertificateError::ExpiredRevocationList
        | CertificateError::ExpiredRevocationListContext { .. } => {
            Untrusted::new("CRL_HAS_EXPIRED", "CRL has expired")
        }
        CertificateError::BadSignature => {
            Untrusted::new("CERT_SIGNATURE_FAILURE", "certificate signature failure")
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            Untrusted::new("INVALID_PURPOSE", "unsuitable certificate purpose")
        }
        _ => unknown_issuer(leaf, intermediates),
    }
}

fn unknown_issuer(leaf: &Certificate<'_>, intermediates: &[CertificateDer<'_>]) -> Untrusted {
    if leaf.is_self_issued() {
        return Untrusted::new("DEPTH_ZERO_SELF_SIGNED_CERT", "self-signed certificate");
    }
    let mut sent = intermediates.iter().filter_map(|cert| Certificate::parse(cert));
    if sent.any(|cert| cert.is_self_issued()) {
        let message = "self-signed certificate in certificate chain";
        return Untrusted::new("SELF_SIGNED_CERT_IN_CHAIN", message);
    }
    if intermediates.is_empty() {
        let message = "unable to verify the first certificate";
        return Untrusted::new("UNABLE_TO_VERIFY_LEAF_SIGNATURE", message);
    }
    Untrusted::new("UNABLE_TO_GET_ISSUER_CERT_LOCALLY", "unable to get local issuer certificate")
}

/// The name is in no alternative name. Without any, the common name counts, as in Node.js.
fn named_otherwise(cert: &Certificate<'_>, name: &ServerName<'_>) -> Result<(), Untrusted> {
    let host = name.to_str().into_owned();
    let names = cert.names();
    let addressed = host.parse::<IpAddr>().is_ok();
    let reason = if addressed {
        let listed: Vec<_> = names.iter().filter_map(der::Name::address).collect();
        format!("IP: {host} is not in the cert's list: {}", listed.join(", "))
    } else if names.iter().any(der::Name::is_dns) {
        let listed: Vec<_> = names.iter().map(ToString::to_string).collect();
        format!("Host: {host}. is not in the cert's altnames: {}", listed.join(", "))
    } else {
        match cert.common_name() {
            Some(common) if der::matches(&common, &host) => return Ok(()),
            Some(common) => format!("Host: {host}. is not cert's CN: {common}"),
            None => "Cert does not contain a DNS name".to_owned(),
        }
    };
    Err(Untrusted {
        code: "ERR_TLS_CERT_ALTNAME_INVALID",
        message: format!("Hostname/IP does not match certificate's altnames: {reason}"),
        reason,
        host,
        certificate: None,
    })
}
