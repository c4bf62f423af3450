//! HTTP server whose connections are admitted by a registry and have deadlines.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::available_parallelism;

use actix_http::body::MessageBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, Protocol, Request, Response};
use actix_server::{Server, ServerBuilder};
use actix_service::map_config;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service,
};
use actix_web::dev::AppConfig;
use rustls::ServerConfig;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::connections::exchange::{Exchange, SentBody};
use crate::connections::protocol;
use crate::connections::registry::{Activity, CloseReason, ConnectionRegistry};
use crate::connections::stream::{GuardedStream, StreamTransport};
use crate::connections::{HANDSHAKE_TIMEOUT, HEAD_TIMEOUT, KEEP_ALIVE, LINGER_TIMEOUT};

/// Maximum number of connections that are accepted and neither admitted nor refused yet.
const MAX_PENDING_ACCEPTS: usize = 32;
/// Maximum number of connections that the kernel queues until they are accepted.
const LISTEN_BACKLOG: i32 = 1024;
/// Size of the kernel's send buffer of one connection. It counts as memory of a container.
const SEND_BUFFER_BYTES: usize = 256 * 1024;

/// Socket and the settings to serve on it.
pub struct ServerSocket {
    /// Bound socket.
    pub listener: TcpListener,
    /// TLS configuration, or `None` for HTTP without TLS.
    pub tls: Option<ServerConfig>,
    /// Registry of the connections to this socket.
    pub registry: Arc<ConnectionRegistry>,
    /// Number of worker threads. The default is the number of processors.
    pub workers: Option<usize>,
    /// Time in seconds that running requests have on shutdown.
    pub shutdown_timeout: u64,
}

/// Starts a server for `app` on a socket.
///
/// # Errors
/// Returns an error when the socket cannot be used.
pub fn start<F, I, S, B>(listening: ServerSocket, app: F) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let ServerSocket { listener, tls, registry, workers, shutdown_timeout } = listening;
    let address = listener.local_addr()?;
    // The standard library requests a backlog of 128, which a burst of connections fills.
    rustix::net::listen(&listener, LISTEN_BACKLOG)?;
    // Accepted connections inherit the size.
    rustix::net::sockopt::set_socket_send_buffer_size(&listener, SEND_BUFFER_BYTES)?;
    let workers = workers.unwrap_or_else(|| available_parallelism().map_or(1, usize::from));
    let per_worker = registry.limits().all().saturating_add(MAX_PENDING_ACCEPTS).div_ceil(workers);
    let acceptor = tls.map(|mut config| {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    });
    let builder = ServerBuilder::new().workers(workers).max_concurrent_connections(per_worker);
    let builder = builder.shutdown_timeout(shutdown_timeout).disable_signals();
    let shutdown = builder.graceful_shutdown_signal();
    let builder = builder.listen(format!("http {address}"), listener, move || {
        let (registry, acceptor, shutdown) =
            (Arc::clone(&registry), acceptor.clone(), shutdown.clone());
        let application = app().into_factory().map_err(|error| error.into().error_response());
        let application = map_config(application, |()| AppConfig::default());
        let exchange = apply_fn_factory(application, call_application::<_, B>);
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            .keep_alive(KEEP_ALIVE)
            .client_request_timeout(HEAD_TIMEOUT)
            .client_disconnect_timeout(LINGER_TIMEOUT)
            .local_addr(address)
            .on_connect_ext(|stream: &GuardedStream, data| {
                data.insert(stream.connection());
            })
            .finish(exchange);
        let admit =
            fn_service(move |stream| admit(stream, Arc::clone(&registry), acceptor.clone()));
        admit.and_then(http)
    })?;
    Ok(builder.run())
}

/// Connection with its protocol and peer address, as the HTTP service takes it.
type AdmittedConnection = (GuardedStream, Protocol, Option<std::net::SocketAddr>);

/// Admits a connection and performs the TLS handshake on it.
async fn admit(
    stream: TcpStream,
    registry: Arc<ConnectionRegistry>,
    acceptor: Option<TlsAcceptor>,
) -> Result<AdmittedConnection, DispatchError> {
    let peer = stream.peer_addr().ok();
    let mut permit = registry.permit_new().await;
    let Some(admission) = registry.admit(peer.map(|peer| peer.ip())) else {
        return Err(DispatchError::Io(io::ErrorKind::ConnectionRefused.into()));
    };
    // Nagle's algorithm would delay each response by 40 ms.
    stream.set_nodelay(true)?;
    // Only now does the runtime detect whether the peer has sent anything. A request that has
    // arrived is read before this connection can be closed for another one. A health check thus
    // gets its response.
    tokio::task::yield_now().await;
    let transport = match acceptor {
        None => StreamTransport::Plain(stream),
        Some(acceptor) => {
            // The peer decides how long a handshake lasts, so that the permit is returned first.
            drop(permit.take());
            admission.slot.set_activity(Activity::Waiting);
            let handshake = async {
                tokio::select! {
                    accepted = timeout(HANDSHAKE_TIMEOUT, handshake(&acceptor, stream)) => {
                        Some(accepted)
                    }
                    () = admission.slot.closed() => None,
                }
            };
            match handshake.await {
                Some(Ok(HandshakeOutcome::Done(accepted))) => StreamTransport::Tls(accepted),
                Some(Ok(HandshakeOutcome::Failed(error))) => return Err(DispatchError::Io(error)),
                Some(Ok(HandshakeOutcome::NotTls)) => {
                    registry.count_close(CloseReason::PlainAtTls);
                    return Err(DispatchError::Io(io::ErrorKind::InvalidData.into()));
                }
                Some(Err(_)) => {
                    registry.count_close(CloseReason::SlowRequest);
                    return Err(DispatchError::SlowRequestTimeout);
                }
                None => return Err(DispatchError::Io(io::ErrorKind::ConnectionAborted.into())),
            }
        }
    };
    drop(permit);
    Ok((GuardedStream::new(transport, admission), Protocol::Http1, peer))
}

/// Outcome of a TLS handshake.
enum HandshakeOutcome {
    Done(Box<TlsStream<TcpStream>>),
    Failed(io::Error),
    /// The client sent HTTP without TLS and got an error response.
    NotTls,
}

/// Performs a TLS handshake. A client that begins with HTTP gets an error response instead.
async fn handshake(acceptor: &TlsAcceptor, mut stream: TcpStream) -> HandshakeOutcome {
    let mut first = [0];
    match stream.peek(&mut first).await {
        Ok(1) if protocol::is_http(first[0]) => {
            // A failed write is ignored, since the client may have closed the connection.
            let _ = stream.write_all(protocol::USE_TLS).await;
            // The received bytes are read, since closing the socket before that would reset the
            // connection.
            let mut head = [0; 4096];
            let _ = stream.try_read(&mut head);
            let _ = stream.shutdown().await;
            HandshakeOutcome::NotTls
        }
        Err(error) => HandshakeOutcome::Failed(error),
        Ok(_) => match acceptor.accept(stream).await {
            Ok(accepted) => HandshakeOutcome::Done(Box::new(accepted)),
            Err(error) => HandshakeOutcome::Failed(error),
        },
    }
}

/// Calls the application for a request, and ties request and response to their connection.
fn call_application<S, B>(
    mut request: Request,
    application: &S,
) -> impl Future<Output = Result<Response<SentBody<B>>, S::Error>> + use<S, B>
where
    S: Service<Request>,
    S::Response: Into<Response<B>>,
    B: MessageBody,
{
    let exchange = Exchange::begin(&mut request);
    let response = application.call(request);
    async move {
        let response = response.await?.into();
        Ok(exchange.end(response).await)
    }
}
