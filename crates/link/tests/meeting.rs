//! Who gets through to whom: the key that was pinned, and nobody else, whatever their certificate says.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{HeaderMap, Method, Request, Response};
use keepwell_link::{Caller, Identity, Limits, LinkError, Stranger, serve};
use keepwell_wire::pairing::{Between, Side};
use keepwell_wire::{KeyName, Token};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig, version};

const SILENCE: Duration = Duration::from_secs(60);

fn identity() -> Identity {
    Identity::of(&Identity::make().unwrap()).unwrap()
}

/// A receiver that answers with the name of who asks, its proof of pairing, and what came.
async fn receiver() -> (String, KeyName) {
    let identity = identity();
    let name = identity.name();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let answer = move |stranger: Stranger, request: Request<hyper::body::Incoming>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let between = Between { source: stranger.name, receiver: name, exporter: stranger.pair };
            let proof = between.proof(&Token::from_bytes([9; 16]), Side::Receiver, &body);
            let said = [&stranger.name.0[..], &proof, &body].concat();
            Response::new(Full::new(Bytes::from(said)))
        };
        serve(listener, &identity, Limits::default(), answer, std::future::pending()).await.unwrap();
    });
    (address, name)
}

#[tokio::test]
async fn both_know_whom_they_speak_to_and_bind_proofs_to_it() {
    let (address, name) = receiver().await;
    let mine = identity();
    let caller = Caller::connect(&address, &mine, name, SILENCE).await.unwrap();
    let other = Caller::connect(&address, &mine, name, SILENCE).await.unwrap();
    let body = Bytes::from(vec![7; 5_000_000]);
    let answered = caller.ask(Method::POST, "/v1/x", HeaderMap::new(), body.clone()).await.unwrap();
    assert_eq!(answered.body[..32], mine.name().0);
    assert_eq!(answered.body[64..], body);
    let proof: [u8; 32] = answered.body[32..64].try_into().unwrap();
    assert!(caller.pairing().is_proven(&Token::from_bytes([9; 16]), Side::Receiver, &body, &proof));
    assert!(!other.pairing().is_proven(&Token::from_bytes([9; 16]), Side::Receiver, &body, &proof), "another connection of the same two");
}

#[tokio::test]
async fn somebody_with_another_key_is_told_as_that() {
    let (address, _) = receiver().await;
    let refused = Caller::connect(&address, &identity(), identity().name(), SILENCE).await.unwrap_err();
    assert!(matches!(refused, LinkError::OtherKey { .. }), "{refused:?}");
}

#[tokio::test]
async fn nobody_there_is_told_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let refused = Caller::connect(&address, &identity(), identity().name(), SILENCE).await.unwrap_err();
    assert!(matches!(refused, LinkError::Unreachable { .. }), "{refused:?}");
}

/// A client as anybody has one: which protocols it offers, which versions, and no certificate.
async fn handshake(address: &str, protocols: &[&[u8]], versions: &[&'static tokio_rustls::rustls::SupportedProtocolVersion]) -> bool {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trusting::Anybody))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let tcp = TcpStream::connect(address).await.unwrap();
    let connected = TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("example.org").unwrap(), tcp).await;
    // In TLS 1.3 a client hears of a refused certificate with the first thing that it reads.
    match connected {
        Err(_) => false,
        Ok(mut tls) => {
            use tokio::io::AsyncReadExt as _;
            matches!(tls.read(&mut [0; 1]).await, Ok(1))
        }
    }
}

#[tokio::test]
async fn without_a_key_with_an_older_tls_or_another_protocol_nobody_gets_in() {
    let (address, _) = receiver().await;
    assert!(!handshake(&address, &[b"keepwell/1"], &[&version::TLS13]).await, "no certificate");
    assert!(!handshake(&address, &[b"keepwell/1"], &[&version::TLS12]).await, "TLS 1.2");
    assert!(!handshake(&address, &[b"keepwell/0"], &[&version::TLS13]).await, "an older protocol");
    assert!(!handshake(&address, &[b"h2"], &[&version::TLS13]).await, "plain HTTP/2");
}

#[tokio::test]
async fn a_certificate_that_a_trusted_authority_signed_opens_nothing() {
    // Somebody between the two, with a certificate that every browser would take: it is another key.
    let mut root = rcgen::CertificateParams::new(vec![]).unwrap();
    root.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let key = rcgen::KeyPair::generate().unwrap();
    let authority = root.self_signed(&key).unwrap();
    let issuer = rcgen::Issuer::new(root, key);
    let leaf_key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["keepwell.invalid".to_owned()]).unwrap().signed_by(&leaf_key, &issuer).unwrap();
    let mut trusted = RootCertStore::empty();
    trusted.add(authority.der().clone()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], leaf_key.serialize_der().try_into().unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"keepwell/1".to_vec()];
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let _ = tokio_rustls::TlsAcceptor::from(Arc::new(config)).accept(stream).await;
    });
    let refused = Caller::connect(&address, &identity(), identity().name(), SILENCE).await.unwrap_err();
    assert!(matches!(refused, LinkError::OtherKey { .. }), "{refused:?}");
}

/// A client that believes everything, to see what the receiver does.
mod trusting {
    use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
    use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use tokio_rustls::rustls::{DigitallySignedStruct, Error, SignatureScheme};

    #[derive(Debug)]
    pub(crate) struct Anybody;

    impl ServerCertVerifier for Anybody {
        fn verify_server_cert(
            &self,
            _: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: &ServerName<'_>,
            _: &[u8],
            _: UnixTime,
        ) -> Result<ServerCertVerified, Error> {
            Ok(ServerCertVerified::assertion())
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Ok(HandshakeSignatureValid::assertion())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            default_provider().signature_verification_algorithms.supported_schemes()
        }
    }
}
