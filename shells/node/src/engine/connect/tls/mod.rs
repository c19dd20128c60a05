//! TLS: what a client's options make of rustls, kept for all clients that share them.

mod der;
mod fault;
mod verify;

use core::cell::RefCell;
use std::sync::{Arc, Weak};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tokio_rustls::TlsConnector;

use crate::engine::ask::Asker;
use crate::engine::client::Wish;
use crate::engine::event::Question;
use crate::engine::failure::{Failure, Kind};
use crate::engine::options::{ClientOptions, Protocol, TlsOptions};
use crate::engine::stream::Stream;

pub(in crate::engine) use fault::failure;
use fault::of_handshake;
use verify::{Trust, Verifier};

/// Whom a connection is for.
pub(super) struct Peer<'a> {
    pub(super) host: &'a str,
    pub(super) tls: &'a TlsOptions,
    pub(super) protocols: &'static [&'static [u8]],
}

/// What ALPN offers.
pub(super) const fn protocols(options: &ClientOptions, wish: &Wish) -> &'static [&'static [u8]] {
    match options.protocol {
        _ if wish.no_h2 => HTTP1,
        Protocol::H2Prior => &[b"h2"],
        Protocol::Alpn => &[b"http/1.1", b"h2"],
        Protocol::AlpnPreferH2 => &[b"h2", b"http/1.1"],
        Protocol::Http1 => HTTP1,
    }
}

/// What is offered to proxies, and where HTTP/2 is not wanted.
pub(super) const HTTP1: &[&[u8]] = &[b"http/1.1"];

/// Secures a stream: the new one, and whether HTTP/2 was chosen.
pub(super) async fn secure(
    asker: &Asker<'_>,
    stream: Stream,
    options: &Arc<ClientOptions>,
    peer: Peer<'_>,
    servername: Option<&str>,
) -> Result<(Stream, bool), Box<Failure>> {
    let name = servername.or(peer.tls.servername.as_deref());
    let hides = name == Some("");
    let name = name.filter(|name| !name.is_empty()).unwrap_or(peer.host);
    let config = config(options, &peer, hides)?;
    let server = ServerName::try_from(name.to_owned()).map_err(|_| {
        let message = format!("invalid servername: {name}");
        Box::new(Failure::new(Kind::InvalidArgument).with_message(message))
    })?;
    let secured = TlsConnector::from(config).connect(server, stream).await;
    let secured = secured.map_err(|error| Box::new(of_handshake(&error)))?;
    let session = secured.get_ref().1;
    let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
    if peer.tls.asks_identity.is_some() && peer.tls.reject_unauthorized && !resumed {
        let certificates = session.peer_certificates().unwrap_or_default();
        let chain: Vec<_> = certificates.iter().map(|one| one.as_ref().to_vec()).collect();
        asker.ask(Question::Identity { host: name, chain: &chain }).await?;
    }
    let h2 = session.alpn_protocol() == Some(b"h2");
    Ok((Stream::Tls(Box::new(secured)), h2))
}

/// Configurations by what they were made from.
#[derive(Default)]
struct Made {
    configs: Vec<(Weak<ClientOptions>, ConfigKey, Arc<ClientConfig>)>,
    trusts: Vec<(Weak<[String]>, Arc<Trust>)>,
}

/// What beside the options decides: the TLS options of origin or proxy, what is offered, and
/// whether the name is told.
type ConfigKey = (usize, &'static [&'static [u8]], bool);

std::thread_local! {
    static MADE: RefCell<Made> = RefCell::default();
}

/// The configuration for a peer. All clients with the same options share it, and with it the
/// sessions to resume.
fn config(
    options: &Arc<ClientOptions>,
    peer: &Peer<'_>,
    hides: bool,
) -> Result<Arc<ClientConfig>, Box<Failure>> {
    let key: ConfigKey = (core::ptr::from_ref(peer.tls).addr(), peer.protocols, hides);
    MADE.with_borrow_mut(|made| {
        made.configs.retain(|(options, ..)| options.strong_count() > 0);
        let found = made
            .configs
            .iter()
            .find(|(of, with, _)| core::ptr::eq(of.as_ptr(), Arc::as_ptr(options)) && *with == key);
        if let Some((.., config)) = found {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(make(made, peer, hides)?);
        made.configs.push((Arc::downgrade(options), key, Arc::clone(&config)));
        Ok(config)
    })
}

fn make(made: &mut Made, peer: &Peer<'_>, hides: bool) -> Result<ClientConfig, Box<Failure>> {
    let tls = peer.tls;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let trust = made.trust(&tls.ca)?;
    let verifier = Verifier::new(trust, &provider, tls, revocation_lists(&tls.crl)?)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions(tls))
        .map_err(|error| invalid(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = if tls.cert.is_empty() {
        builder.with_no_client_auth()
    } else {
        let chain = certificates(&tls.cert)?;
        let key = PrivateKeyDer::from_pem_slice(tls.key.as_bytes())
            .map_err(|error| invalid(format!("invalid key: {error}")))?;
        let provided = builder.with_client_auth_cert(chain, key);
        provided.map_err(|error| invalid(format!("invalid cert or key: {error}")))?
    };
    config.alpn_protocols = peer.protocols.iter().map(|name| name.to_vec()).collect();
    config.enable_sni = !hides;
    config.resumption = match tls.max_cached_sessions {
        0 => Resumption::disabled(),
        count => Resumption::in_memory_sessions(count as usize),
    };
    Ok(config)
}

fn versions(tls: &TlsOptions) -> &'static [&'static SupportedProtocolVersion] {
    static ONLY_13: [&SupportedProtocolVersion; 1] = [&TLS13];
    static ONLY_12: [&SupportedProtocolVersion; 1] = [&TLS12];
    static BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match (tls.min_version, tls.max_version) {
        (13.., _) => &ONLY_13,
        (_, ..=12) => &ONLY_12,
        (..=12, 13..) => &BOTH,
    }
}

impl Made {
    /// What these roots make of trust; a hundred of them are not read for each connection.
    fn trust(&mut self, ca: &Arc<[String]>) -> Result<Arc<Trust>, Box<Failure>> {
        self.trusts.retain(|(ca, _)| ca.strong_count() > 0);
        let found =
            self.trusts.iter().find(|(of, _)| of.upgrade().is_some_and(|of| Arc::ptr_eq(&of, ca)));
        if let Some((_, trust)) = found {
            return Ok(Arc::clone(trust));
        }
        let mut roots = RootCertStore::empty();
        let mut known = Vec::new();
        for pem in ca.iter() {
            known.extend(certificates(pem)?);
        }
        // What cannot be a root for rustls can still be trusted as it is.
        roots.add_parsable_certificates(known.iter().cloned());
        let trust = Arc::new(Trust { roots: Arc::new(roots), known });
        self.trusts.push((Arc::downgrade(ca), Arc::clone(&trust)));
        Ok(trust)
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, Box<Failure>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match found {
        Ok(found) if found.is_empty() => Err(invalid("no certificate in PEM".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(invalid(format!("invalid certificate: {error}"))),
    }
}

fn revocation_lists(
    pems: &[String],
) -> Result<Vec<CertificateRevocationListDer<'static>>, Box<Failure>> {
    let mut lists = Vec::new();
    for pem in pems {
        let found: Result<Vec<_>, _> =
            CertificateRevocationListDer::pem_slice_iter(pem.as_bytes()).collect();
        match found {
            Ok(found) if found.is_empty() => return Err(invalid("no crl in PEM".to_owned())),
            Ok(found) => lists.extend(found),
            Err(error) => return Err(invalid(format!("invalid crl: {error}"))),
        }
    }
    Ok(lists)
}

fn invalid(message: String) -> Box<Failure> {
    Box::new(Failure::new(Kind::InvalidArgument).with_message(message))
}

/// The algorithms that signatures may use.
fn algorithms(provider: &CryptoProvider) -> rustls::crypto::WebPkiSupportedAlgorithms {
    provider.signature_verification_algorithms
}
