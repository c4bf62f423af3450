//! Open connections: limits on their number, on the time for which a peer can keep each waiting,
//! and on the memory of each. The module knows neither requests nor tokens. It only distinguishes
//! connections that have presented a valid token.
//!
//! - `registry` decides which connections stay open.
//! - `stream` enforces the deadlines of one connection and passes on one request at a time.
//! - `exchange` ties a request and its response to the connection.
//! - `flow` is the state that a stream and a request share.
//! - `protocol` distinguishes TLS from HTTP by the first byte.
//! - `open_files` raises the limit of open files.
//! - `server` combines these parts with an HTTP server.

mod exchange;
mod flow;
mod open_files;
mod protocol;
mod registry;
mod server;
mod stream;

use std::time::Duration;

pub use crate::connections::exchange::accept_token;
pub use crate::connections::open_files::{OpenFiles, raise_limit};
pub use crate::connections::registry::{ConnectionLimits, ConnectionRegistry, IsExempt};
pub use crate::connections::server::{ServerSocket, start};

/// Time limit for a TLS handshake. The time for the first head of a request begins after it.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time limit for the head of a request. It runs from the first byte, or for the first head from
/// the start of HTTP on the connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which an idle connection between two requests is closed. It is long enough for
/// clients that poll.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time without progress after which a peer that does not read its response is disconnected.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which a connection that is to be closed still reads what the peer sends. The peer can
/// then read the response before its system reports a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
