//! The listener: plain on loopback, TLS 1.2 and 1.3 elsewhere, bounded connections, and an orderly
//! end.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::{Extension, Router};
use axum_server::accept::Accept;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::{HEADER_TIMEOUT, MAX_CONNECTIONS, SHUTDOWN_GRACE};
use crate::config::{Http, Tls};

/// Why the interface could not be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Binding outside loopback without TLS.
    #[error(
        "cannot listen on {address}: it is outside loopback and there is no TLS\n\
         hint: give [http.tls] certificate and key, or listen on 127.0.0.1"
    )]
    Exposed {
        /// The address.
        address: std::net::SocketAddr,
    },
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {cause}\n\
         hint: choose a free port in [http] listen, or stop the program that uses it"
    )]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The certificate or the key cannot be used.
    #[error(
        "cannot use {file}: {cause}\n\
         hint: give a PEM certificate chain and its private key in [http.tls]"
    )]
    Identity {
        /// The file.
        file: String,
        /// The cause.
        cause: String,
    },
    /// Serving failed.
    #[error("cannot serve the interface: {0}\nhint: see the causes in the log")]
    Serve(#[source] io::Error),
}

/// Serves until `shutdown`, then ends streams, waits for requests in work, and returns.
pub async fn serve(
    config: &Http,
    router: Router,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let address = config.listen;
    if config.tls.is_none() && !address.ip().to_canonical().is_loopback() {
        return Err(ServeError::Exposed { address });
    }
    let tls = config.tls.as_ref().map(identity).transpose()?;
    let listen = |cause| ServeError::Listen { address, cause };
    let listener = std::net::TcpListener::bind(address).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let local = listener.local_addr().map_err(listen)?;

    let (close, closing) = watch::channel(false);
    let handle = axum_server::Handle::new();
    let ending = handle.clone();
    let watcher = tokio::spawn(async move {
        shutdown.await;
        let _ = close.send(true);
        ending.graceful_shutdown(Some(SHUTDOWN_GRACE));
    });

    let router = router.layer(Extension(closing));
    let acceptor = Limited(Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let mut server = axum_server::from_tcp(listener).map_err(listen)?.handle(handle).http1_only();
    server.http_builder().http1().header_read_timeout(HEADER_TIMEOUT);
    tracing::info!(address = %local, tls = tls.is_some(), "interface listening");
    let served = match tls {
        Some(tls) => {
            let router = router.layer(map_response(strict_transport));
            let acceptor = RustlsAcceptor::new(tls).acceptor(acceptor);
            server.acceptor(acceptor).serve(router.into_make_service()).await
        }
        None => server.acceptor(acceptor).serve(router.into_make_service()).await,
    };
    watcher.abort();
    served.map_err(ServeError::Serve)
}

async fn strict_transport(mut response: Response) -> Response {
    let value = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(header::STRICT_TRANSPORT_SECURITY, value);
    response
}

fn identity(tls: &Tls) -> Result<RustlsConfig, ServeError> {
    let refused = |file: &Path, cause: &dyn std::fmt::Display| ServeError::Identity {
        file: file.display().to_string(),
        cause: cause.to_string(),
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&tls.certificate)
        .and_then(Iterator::collect)
        .map_err(|cause| refused(&tls.certificate, &cause))?;
    let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|cause| refused(&tls.key, &cause))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|cause| refused(&tls.certificate, &cause))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|cause| refused(&tls.certificate, &cause))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}

/// Accepts a connection only while there are fewer than the limit.
#[derive(Clone)]
struct Limited(Arc<Semaphore>);

impl<S: Send + 'static> Accept<TcpStream, S> for Limited {
    type Stream = Counted;
    type Service = S;
    type Future = std::future::Ready<io::Result<(Counted, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = match Arc::clone(&self.0).try_acquire_owned() {
            Ok(permit) => {
                let _ = stream.set_nodelay(true);
                Ok((Counted { stream, _permit: permit }, service))
            }
            Err(_) => Err(io::Error::other("too many connections")),
        };
        std::future::ready(accepted)
    }
}

/// A connection that gives its place back when it is dropped.
struct Counted {
    stream: TcpStream,
    _permit: OwnedSemaphorePermit,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
