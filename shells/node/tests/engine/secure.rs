//! TLS: who is trusted, what is told of who is not, sessions that are resumed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use forebay_node::engine::options::{Protocol, TlsOptions};
use forebay_node::engine::{ClientOptions, Command, Failure, Kind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::support::{Ask, Harness, Server, options};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// A certificate and its key, as PEM.
pub(crate) struct Identity {
    chain: Vec<String>,
    key: String,
}

/// An authority that signs.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("an authority")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        Self { issuer }
    }

    pub(crate) fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub(crate) fn sign(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let issuer: &Issuer<'_, KeyPair> = &self.issuer;
        let cert = params(names, change).signed_by(&key, issuer).expect("a certificate");
        Identity { chain: vec![cert.pem()], key: key.serialize_pem() }
    }
}

fn params(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("good names");
    params.distinguished_name.push(DnType::CommonName, "a server");
    change(&mut params);
    params
}

fn self_signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let cert = params(names, change).self_signed(&key).expect("a certificate");
    Identity { chain: vec![cert.pem()], key: key.serialize_pem() }
}

impl Identity {
    pub(crate) fn config(&self, clients: Option<&str>) -> Arc<ServerConfig> {
        let chain = self.chain.iter().map(|pem| der(pem)).collect();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots.add(der(ca)).expect("a root");
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().expect("a verifier"))
            }
        };
        Arc::new(builder.with_single_cert(chain, key).expect("a good key"))
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

type Secure = StreamOwned<ServerConnection, TcpStream>;

/// A server that answers requests over TLS; `seen` hears of each connection.
fn serve(config: Arc<ServerConfig>, seen: impl Fn(&Secure) + Send + Sync + 'static) -> Server {
    Server::start(move |_, peer| {
        let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
        let mut stream = StreamOwned::new(connection, peer.stream);
        let mut buf = [0; 4096];
        while stream.read(&mut buf).is_ok_and(|len| len > 0) {
            seen(&stream);
            if stream.write_all(OK).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    })
}

fn secure(server: &Server, tls: TlsOptions) -> ClientOptions {
    ClientOptions { host: "localhost".to_owned(), tls: Some(tls), ..options(server.address) }
}

pub(crate) fn trusting(ca: &str) -> TlsOptions {
    TlsOptions {
        ca: Arc::from([ca.to_owned()]),
        reject_unauthorized: true,
        max_cached_sessions: 100,
        min_version: 12,
        max_version: 13,
        ..TlsOptions::default()
    }
}

/// The failure of a connection to a server with this identity.
fn refusal(identity: &Identity, tls: TlsOptions) -> Failure {
    let server = serve(identity.config(None), |_| ());
    let mut harness = Harness::new();
    harness.open(secure(&server, tls));
    let id = harness.dispatch(Ask::get("/"));
    let failure = harness.connection_failure();
    assert_eq!(harness.response(id).expect_err("no response").kind, Kind::Connect);
    assert_eq!(failure.kind, Kind::Tls, "{failure:?}");
    failure
}

#[test]
fn a_server_of_a_known_authority_is_trusted() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| ());
    let server = serve(identity.config(None), |stream| {
        assert_eq!(stream.conn.server_name(), Some("localhost"));
        assert_eq!(stream.conn.alpn_protocol(), None, "this server chooses none");
    });
    let mut harness = Harness::new();
    harness.open(secure(&server, trusting(&authority.pem())));
    for _ in 0..2 {
        let id = harness.dispatch(Ask::get("/"));
        assert_eq!(harness.response(id).expect("a response").1, b"hello");
    }
}

#[test]
fn each_lack_of_trust_has_its_code() {
    let authority = Authority::new();
    let other = Authority::named("another authority");
    let ca = authority.pem();
    let code = |identity: &Identity| refusal(identity, trusting(&ca)).code;
    assert_eq!(code(&self_signed(&["localhost"], |_| ())), "DEPTH_ZERO_SELF_SIGNED_CERT");
    let mut foreign = other.sign(&["localhost"], |_| ());
    assert_eq!(code(&foreign), "UNABLE_TO_VERIFY_LEAF_SIGNATURE");
    foreign.chain.push(other.pem());
    assert_eq!(code(&foreign), "SELF_SIGNED_CERT_IN_CHAIN");
    let expired = authority.sign(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    assert_eq!(code(&expired), "CERT_HAS_EXPIRED");
    let early = authority.sign(&["localhost"], |params| {
        params.not_before = rcgen::date_time_ymd(2090, 1, 1);
        params.not_after = rcgen::date_time_ymd(2091, 1, 1);
    });
    assert_eq!(code(&early), "CERT_NOT_YET_VALID");
}

#[test]
fn another_name_is_told_with_the_names_there_are() {
    let authority = Authority::new();
    let identity = authority.sign(&["a.do", "*.b.do"], |_| ());
    let failure = refusal(&identity, trusting(&authority.pem()));
    assert_eq!(failure.code, "ERR_TLS_CERT_ALTNAME_INVALID");
    assert_eq!(failure.address, "localhost");
    let reason = "Host: localhost. is not in the cert's altnames: DNS:a.do, DNS:*.b.do";
    assert_eq!(failure.detail, reason);
    let message = format!("Hostname/IP does not match certificate's altnames: {reason}");
    assert_eq!(failure.message, message);
}

#[test]
fn a_known_certificate_is_trusted_as_it_is() {
    // As OpenSSL does: self-signed, an authority by its own word, and with a common name alone.
    let identity = self_signed(&[], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "localhost");
    });
    let server = serve(identity.config(None), |_| ());
    let mut harness = Harness::new();
    harness.open(secure(&server, trusting(&identity.chain[0])));
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect("a response");
}

#[test]
fn whoever_it_is_without_verification() {
    let identity = self_signed(&["x.do"], |_| ());
    let server = serve(identity.config(None), |_| ());
    let mut harness = Harness::new();
    let tls = TlsOptions { reject_unauthorized: false, ..trusting(&identity.chain[0]) };
    harness.open(secure(&server, tls));
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect("a response");
}

#[test]
fn another_servername_gets_another_connection() {
    let authority = Authority::new();
    let identity = authority.sign(&["one.do", "two.do"], |_| ());
    let (sender, receiver) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = serve(identity.config(None), move |stream| {
        let name = stream.conn.server_name().map(str::to_owned);
        sender.lock().expect("alone").send(name).expect("the test listens");
    });
    let mut harness = Harness::new();
    harness.open(secure(&server, trusting(&authority.pem())));
    for name in ["one.do", "one.do", "two.do"] {
        let id = harness.dispatch(Ask { servername: Some(name.into()), ..Ask::get("/") });
        harness.response(id).expect("a response");
        assert_eq!(receiver.recv().expect("a name").as_deref(), Some(name));
    }
    let id = harness.dispatch(Ask { servername: Some("three.do".into()), ..Ask::get("/") });
    assert_eq!(harness.response(id).expect_err("not its name").kind, Kind::Connect);
}

#[test]
fn a_client_shows_its_certificate() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| ());
    let me = authority.sign(&["me"], |_| ());
    let server = serve(identity.config(Some(&authority.pem())), |stream| {
        assert_eq!(stream.conn.peer_certificates().map(<[_]>::len), Some(1));
    });
    let mut harness = Harness::new();
    let tls = TlsOptions { cert: me.chain[0].clone(), key: me.key, ..trusting(&authority.pem()) };
    let client = harness.open(secure(&server, tls));
    let id = harness.dispatch(Ask::get("/"));
    harness.response(id).expect("a response");
    harness.tell(Command::Close { client });
    drop(harness);
    let mut harness = Harness::new();
    harness.open(secure(&server, trusting(&authority.pem())));
    let id = harness.dispatch(Ask::get("/"));
    let failure = harness.response(id).expect_err("no certificate");
    assert_eq!(failure.code, "ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED", "{failure:?}");
}

#[test]
fn sessions_are_resumed() {
    let authority = Authority::new();
    let identity = authority.sign(&["localhost"], |_| ());
    let (sender, receiver) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let server = serve(identity.config(None), move |stream| {
        let kind = stream.conn.handshake_kind();
        sender.lock().expect("alone").send(kind).expect("the test listens");
    });
    let mut harness = Harness::new();
    let options = ClientOptions { pipelining: 0, ..secure(&server, trusting(&authority.pem())) };
    harness.open(options);
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let id = harness.dispatch(Ask::get("/"));
        harness.response(id).expect("a response");
        assert_eq!(receiver.recv().expect("a handshake"), Some(expected));
    }
}

#[test]
fn plain_text_is_not_tls() {
    let server = Server::answering(OK);
    let authority = Authority::new();
    let mut harness = Harness::new();
    let tls = secure(&server, trusting(&authority.pem()));
    let server = Server::start(|_, mut peer| peer.write(OK));
    harness.open(ClientOptions { port: server.address.port(), ..tls });
    harness.dispatch(Ask::get("/"));
    assert_eq!(harness.connection_failure().code, "ERR_SSL_WRONG_VERSION_NUMBER");
}

#[test]
fn a_stream_that_ends_in_the_handshake_is_a_reset() {
    let server = Server::start(|_, mut peer| peer.end());
    let mut harness = Harness::new();
    harness.open(secure(&server, trusting(&Authority::new().pem())));
    harness.dispatch(Ask::get("/"));
    let failure = harness.connection_failure();
    assert_eq!((failure.kind, &*failure.code), (Kind::Tls, "ECONNRESET"));
    assert!(failure.message.starts_with("Client network socket disconnected before secure TLS"));
}

#[test]
fn what_is_no_certificate_is_told() {
    let server = Server::answering(OK);
    let ca = Authority::new().pem();
    for tls in [
        TlsOptions { ca: Arc::from(["nothing".to_owned()]), ..trusting(&ca) },
        TlsOptions { cert: ca.clone(), key: "no key".to_owned(), ..trusting(&ca) },
    ] {
        let mut harness = Harness::new();
        harness.open(ClientOptions { protocol: Protocol::Alpn, ..secure(&server, tls) });
        harness.dispatch(Ask::get("/"));
        assert_eq!(harness.connection_failure().kind, Kind::InvalidArgument);
    }
}
