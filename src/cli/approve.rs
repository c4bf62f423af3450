//! `approve`: shows the held change of the server on this machine and publishes it. The request
//! names the change by its id, so that the published change is the one that was shown.

use std::io::{self, BufRead, IsTerminal, Write};
use std::time::Duration;

use serde_json::Value;

use crate::cli::CommandError;
use crate::cli::approvals;
use crate::cli::approvals::{ApprovalRequest, ApprovalResponse, HeldChangeReport, wire};
use crate::cli::healthcheck::request;
use crate::config::ApproveArgs;

/// Time limit for the server to publish a change.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(60);

pub(super) async fn run(args: &ApproveArgs) -> Result<(), CommandError> {
    let pid = fetch_process_id(&args.server.url()).await?;
    let mut out = io::stdout();
    let held = match exchange(pid, &ApprovalRequest::Show).await? {
        ApprovalResponse::Held(held) => held,
        ApprovalResponse::NothingHeld => return Ok(writeln!(out, "Nothing is held back.")?),
        other @ (ApprovalResponse::Published(_)
        | ApprovalResponse::Another(_)
        | ApprovalResponse::Failed(_)) => {
            return Err(unexpected_response(&other));
        }
    };
    print(&held, args.show, &mut out)?;
    if !is_confirmed(&held, args, &mut out)? {
        return Ok(writeln!(out, "Not approved.")?);
    }
    match exchange(pid, &ApprovalRequest::Approve(held.id)).await? {
        ApprovalResponse::Published(users) => {
            Ok(writeln!(out, "Published: {users} users are served.")?)
        }
        ApprovalResponse::NothingHeld => Ok(writeln!(out, "Nothing is held back any more.")?),
        other @ (ApprovalResponse::Held(_)
        | ApprovalResponse::Another(_)
        | ApprovalResponse::Failed(_)) => Err(unexpected_response(&other)),
    }
}

fn print(held: &HeldChangeReport, with_users: bool, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Change {}: {}", held.id, held.own)?;
    if held.losses != held.own {
        writeln!(out, "With the losses of the last two hours: {}", held.losses)?;
    }
    if with_users {
        for user in &held.users {
            writeln!(out, "  {}: {}", user.id, user.changes)?;
        }
    }
    out.flush()
}

/// Reports whether the operator confirms this change: by its id, by `--yes` or at a prompt on a
/// terminal.
fn is_confirmed(
    held: &HeldChangeReport,
    args: &ApproveArgs,
    out: &mut impl Write,
) -> Result<bool, CommandError> {
    if let Some(id) = &args.id {
        return if *id == held.id { Ok(true) } else { Err(change_was_replaced(&held.id)) };
    }
    if args.yes {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(CommandError::Usage(format!(
            "standard input is no terminal, so the change cannot be confirmed: name it \
             (`personio-scim approve {}`) or use --yes",
            held.id
        )));
    }
    write!(out, "Publish it? [y/N] ")?;
    out.flush()?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn change_was_replaced(id: &str) -> CommandError {
    CommandError::Failed(format!(
        "not approved: the change that is held back is now {id}; run `personio-scim approve` again"
    ))
}

fn unexpected_response(response: &ApprovalResponse) -> CommandError {
    match response {
        ApprovalResponse::Another(id) => change_was_replaced(id),
        ApprovalResponse::Failed(reason) => {
            CommandError::Failed(format!("the change could not be published: {reason}"))
        }
        ApprovalResponse::Held(_)
        | ApprovalResponse::NothingHeld
        | ApprovalResponse::Published(_) => {
            CommandError::Failed("the server sent an unexpected response".to_owned())
        }
    }
}

async fn exchange(pid: u32, request: &ApprovalRequest) -> Result<ApprovalResponse, CommandError> {
    match try_exchange(pid, request).await {
        Ok(response) => Ok(response),
        Err(error) => Err(CommandError::Failed(format!(
            "process {pid} accepts no approval from this user ({error}); run this command where \
             the server runs and as its user, for example in its container"
        ))),
    }
}

async fn try_exchange(pid: u32, request: &ApprovalRequest) -> io::Result<ApprovalResponse> {
    let mut stream = approvals::connect(pid)?;
    wire::write(&mut stream, request).await?;
    wire::read(&mut stream, PUBLISH_TIMEOUT).await
}

/// Returns the process id of the server, which its health response contains.
async fn fetch_process_id(server: &str) -> Result<u32, CommandError> {
    let url = format!("{server}/health/ready");
    // The response of a server that is not ready contains the process id as well.
    let (_, text) = request(&url).await?;
    let health: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(pid) = health.get("pid").and_then(Value::as_u64)
        && let Ok(pid) = u32::try_from(pid)
    {
        return Ok(pid);
    }
    Err(CommandError::Failed(format!(
        "the response of {url} is not that of a personio-scim server: it contains no process id"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// Starts a server with this response to health checks, and returns it with its URL.
    async fn server(body: &str) -> (MockServer, String) {
        let server = MockServer::start().await;
        let response = ResponseTemplate::new(503).set_body_raw(body.to_owned(), "application/json");
        Mock::given(method("GET"))
            .and(path("/health/ready"))
            .respond_with(response)
            .mount(&server)
            .await;
        let address = format!("http://{}", server.address());
        (server, address)
    }

    #[tokio::test]
    async fn response_without_a_valid_process_id_is_an_error() {
        let all =
            [Value::Null, json!(-1), json!(1_u64 << 32), json!(u64::MAX), json!("1"), json!(1.5)];
        let mut bodies: Vec<String> =
            all.into_iter().map(|pid| json!({"pid": pid}).to_string()).collect();
        bodies.extend(["", "null", "{\"id\": 1}", "<html>", "[1]"].map(str::to_owned));
        for body in bodies {
            let (_server, address) = server(&body).await;
            let failure = fetch_process_id(&address).await.unwrap_err().to_string();
            assert!(failure.contains("is not that of a personio-scim server"), "{body}");
        }
    }

    #[tokio::test]
    async fn error_names_the_address_of_an_unreachable_server() {
        let failure = fetch_process_id("http://127.0.0.1:1").await.unwrap_err().to_string();
        assert!(
            failure.starts_with("http://127.0.0.1:1/health/ready does not answer"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn error_names_a_process_without_an_approval_socket() {
        let failure =
            exchange(std::process::id(), &ApprovalRequest::Show).await.unwrap_err().to_string();
        assert!(failure.contains("accepts no approval from this user"), "{failure}");
    }
}
