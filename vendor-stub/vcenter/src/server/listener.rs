//! TLS and the loop that accepts connections.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lab::Lab;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::{State, http};
use crate::Error;

/// A client that does not finish its handshake or its headers is dropped.
const PATIENCE: Duration = Duration::from_secs(30);

/// TLS 1.2 and 1.3 with the certificate of the lab, HTTP/1.1 only.
pub(super) fn acceptor(lab: &Lab) -> Result<TlsAcceptor, Error> {
    let unusable = |problem: String| Error::Certificate { problem };
    let chain = CertificateDer::pem_slice_iter(lab.certificate_pem()?.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| unusable(error.to_string()))?;
    let key = PrivateKeyDer::from_pem_slice(lab.private_key_pem()?.as_bytes())
        .map_err(|error| unusable(error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable(error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Accepts connections until `stop` changes.
pub(super) async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    state: Arc<State>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&state));
                tokio::spawn(connection(stream, acceptor, state));
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                // Out of file descriptors: give others a moment to close some.
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, state: Arc<State>) {
    let Ok(peer) = stream.peer_addr() else {
        return;
    };
    // Small answers to small requests: waiting for more only adds latency.
    let _ = stream.set_nodelay(true);
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, %peer, "handshake failed"),
        Err(_) => return tracing::debug!(%peer, "handshake not finished"),
    };
    let service = service_fn(move |request| http::handle(Arc::clone(&state), peer, request));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, %peer, "connection ended");
    }
}
