//! Open connections: how many there may be, how long a peer may keep each of them waiting, and how much memory each
//! may take. Requests and tokens are none of its business, except that a connection that has presented a right token
//! is told from the others.
//!
//! - `registry` decides which connections stay open.
//! - `stream` holds one connection to its deadlines and reads one request at a time from it.
//! - `exchange` ties a request and its answer to the stream that they use.
//! - `protocol` tells TLS from HTTP by the first byte.
//! - `server` puts the three around an HTTP server.

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
pub use crate::connections::registry::{IsExempt, Limits, Registry};
pub use crate::connections::server::{Listening, start};

/// Time for a TLS handshake, and the time for the first head of a request after that.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for each further head of a request, from its first byte.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that a connection stays open between two requests. Clients that poll keep theirs.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Time without any progress after which a peer that does not read its answer is disconnected.
const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which a connection that is to be closed still reads what the peer is sending, so that the peer can read the
/// answer before its system reports a reset.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
