//! Socket for `approve`: the server's end, on which `approve` reads the held change and names the
//! change to publish.
//!
//! The socket has a name in Linux's abstract namespace and no file, so that it works without a
//! writable folder. The kernel reports the user of the process at the other end: the server answers
//! only its own user and root, and `approve` accepts responses of a process of another user only if
//! it is the server itself. The socket cannot be reached from another machine or another network
//! namespace.

use std::io;

use rustix::process::geteuid;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};

use crate::directory::{ApprovalOutcome, Directory};

/// Request of `approve`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ApprovalRequest {
    /// Request for the held change.
    Show,
    /// Request to publish the change with this id.
    Approve(String),
}

/// Response of the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ApprovalResponse {
    /// The held change.
    Held(HeldChangeReport),
    /// No change is held.
    NothingHeld,
    /// The change is published. This is the number of users.
    Published(usize),
    /// Another change is held than the requested one. This is its id.
    Another(String),
    /// The change could not be published.
    Failed(String),
}

/// Held change, without any value of a user.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct HeldChangeReport {
    pub(super) id: String,
    /// Number of users that this change would affect, by kind of loss.
    pub(super) own: String,
    /// Number of users that the guard counted, by kind of loss: those of this change and of the
    /// last hours.
    pub(super) losses: String,
    pub(super) users: Vec<AffectedUserReport>,
}

/// User that a held change would affect, and the losses of this user.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AffectedUserReport {
    pub(super) id: String,
    pub(super) changes: String,
}

/// Starts a task that answers requests of `approve` for as long as the process runs.
pub(super) fn listen(directory: Directory) -> io::Result<()> {
    let listener = bind(std::process::id())?;
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // The likely reason is that the limit on open files is reached.
                tokio::time::sleep(wire::TIMEOUT).await;
                continue;
            };
            // Requests are answered one at a time, because there is one operator.
            if let Err(error) = respond(stream, &directory).await {
                tracing::warn!("no response was sent to `approve`: {error}");
            }
        }
    });
    Ok(())
}

async fn respond(mut stream: UnixStream, directory: &Directory) -> io::Result<()> {
    require_own_user(&stream)?;
    let request = wire::read(&mut stream, wire::TIMEOUT).await?;
    let response = match request {
        ApprovalRequest::Show => held_change(directory),
        ApprovalRequest::Approve(id) => match directory.approve(&id).await {
            ApprovalOutcome::Published(users) => ApprovalResponse::Published(users),
            ApprovalOutcome::NothingHeld => ApprovalResponse::NothingHeld,
            ApprovalOutcome::AnotherHeld(id) => ApprovalResponse::Another(id.to_string()),
            ApprovalOutcome::Failed(reason) => ApprovalResponse::Failed(reason),
        },
    };
    wire::write(&mut stream, &response).await
}

fn held_change(directory: &Directory) -> ApprovalResponse {
    let Some(held) = directory.held_change() else { return ApprovalResponse::NothingHeld };
    // Another change has replaced the held change just now.
    let Some(affected) = directory.affected_users(held.id) else {
        return ApprovalResponse::Another(held.id.to_string());
    };
    let mut users = Vec::with_capacity(affected.len());
    for user in affected {
        let changes: Vec<&str> = user.kinds.iter().map(|kind| kind.description()).collect();
        users.push(AffectedUserReport { id: user.id.into(), changes: changes.join(", ") });
    }
    ApprovalResponse::Held(HeldChangeReport {
        id: held.id.to_string(),
        own: held.own_losses.to_string(),
        losses: held.losses.to_string(),
        users,
    })
}

/// Returns an error unless the process at the other end runs as the same user or as root.
fn require_own_user(stream: &UnixStream) -> io::Result<()> {
    let user = stream.peer_cred()?.uid();
    if user == geteuid().as_raw() || user == 0 {
        return Ok(());
    }
    let message = format!("user {user} is neither the user of this process nor root");
    Err(io::Error::new(io::ErrorKind::PermissionDenied, message))
}

#[cfg(target_os = "linux")]
fn address(pid: u32) -> io::Result<std::os::unix::net::SocketAddr> {
    use std::os::linux::net::SocketAddrExt;
    std::os::unix::net::SocketAddr::from_abstract_name(format!("personio-scim.approve.{pid}"))
}

#[cfg(target_os = "linux")]
fn bind(pid: u32) -> io::Result<UnixListener> {
    let listener = std::os::unix::net::UnixListener::bind_addr(&address(pid)?)?;
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

/// Connects to the server with this process id.
///
/// # Errors
/// If no process listens, or a process of another user than this one has taken the server's name.
#[cfg(target_os = "linux")]
pub(super) fn connect(pid: u32) -> io::Result<UnixStream> {
    let stream = std::os::unix::net::UnixStream::connect_addr(&address(pid)?)?;
    stream.set_nonblocking(true)?;
    let stream = UnixStream::from_std(stream)?;
    let listener = stream.peer_cred()?.pid();
    if listener != i32::try_from(pid).ok() {
        require_own_user(&stream)?;
    }
    Ok(stream)
}

#[cfg(not(target_os = "linux"))]
fn bind(_: u32) -> io::Result<UnixListener> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Connects to the server with this process id.
#[cfg(not(target_os = "linux"))]
pub(super) fn connect(_: u32) -> io::Result<UnixStream> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Wire format: one JSON value in each direction. The sender closes its direction after the value.
pub(super) mod wire {
    use std::io;
    use std::time::Duration;

    use serde::Serialize;
    use serde::de::DeserializeOwned;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;
    use tokio::time::timeout;

    /// Time limit for sending or receiving a value.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
    /// Maximum size of a message in bytes: enough for a million users with a few words each.
    const MAX_BYTES: u64 = 256 << 20;

    pub(crate) async fn read<T: DeserializeOwned>(
        stream: &mut UnixStream,
        wait: Duration,
    ) -> io::Result<T> {
        let mut bytes = Vec::new();
        timeout(wait, stream.take(MAX_BYTES).read_to_end(&mut bytes)).await??;
        Ok(serde_json::from_slice(&bytes)?)
    }

    pub(crate) async fn write<T: Serialize>(stream: &mut UnixStream, value: &T) -> io::Result<()> {
        let bytes = serde_json::to_vec(value)?;
        timeout(TIMEOUT, stream.write_all(&bytes)).await??;
        stream.shutdown().await
    }
}
