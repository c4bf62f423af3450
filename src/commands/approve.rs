//! `approve`: tells the server on this machine to publish what it holds back. It does so by a signal:
//! only who may run things as the server's user can send one, and no token can be lost.

use std::fs;
use std::io::Write;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::Failure;
use super::healthcheck::ask;
use crate::config::ApproveArgs;

/// How long the server may take to publish.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to wait before it is asked again.
const PAUSE: Duration = Duration::from_millis(200);
/// What the system calls a process that runs this program.
const PROGRAM: &str = "personio-scim";

pub(super) async fn run(args: &ApproveArgs) -> Result<(), Failure> {
    approve(&args.server.url()?, &mut std::io::stdout(), PATIENCE).await
}

async fn approve(server: &str, out: &mut impl Write, patience: Duration) -> Result<(), Failure> {
    let url = format!("{server}/health/ready");
    let before = ready(&url).await?;
    if !before.holds_back {
        return Ok(writeln!(out, "Nothing is held back: {}", before.detail)?);
    }
    writeln!(out, "Held back: {}", before.detail)?;
    out.flush()?;
    signal(before.pid)?;
    let deadline = Instant::now() + patience;
    loop {
        sleep(PAUSE).await;
        let now = ready(&url).await?;
        if !now.holds_back {
            return Ok(writeln!(out, "Published: {}", now.detail)?);
        }
        if Instant::now() >= deadline {
            let seconds = patience.as_secs();
            return Err(Failure::Failed(format!("still held back after {seconds} s, the server's log may say why")));
        }
    }
}

/// What the server says of itself.
struct Ready {
    pid: Pid,
    holds_back: bool,
    detail: String,
}

async fn ready(url: &str) -> Result<Ready, Failure> {
    // Not ready is an answer, too.
    let (_, text) = ask(url).await?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_default();
    let directory = answer.pointer("/parts/directory").unwrap_or(&Value::Null);
    let pid = answer.get("pid").and_then(Value::as_i64).and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.filter(|pid| *pid > 0).and_then(Pid::from_raw);
    let detail = directory.get("detail").and_then(Value::as_str);
    let (Some(pid), Some(detail)) = (pid, detail) else {
        return Err(Failure::Failed(format!("{url} is not answered by a {PROGRAM} that can hold anything back")));
    };
    let holds_back = directory.get("heldBack").is_some_and(|held_back| !held_back.is_null());
    Ok(Ready { pid, holds_back, detail: detail.to_owned() })
}

/// Sends the signal, but only to a server: whoever does not expect it dies of it.
fn signal(pid: Pid) -> Result<(), Failure> {
    let number = pid.as_raw_nonzero();
    if cfg!(target_os = "linux") {
        let name = fs::read_to_string(format!("/proc/{number}/comm")).unwrap_or_default();
        if !name.starts_with(PROGRAM) {
            return Err(Failure::Failed(format!(
                "process {number} is no {PROGRAM} here; run this where the server runs, for example in its container"
            )));
        }
    }
    kill_process(pid, Signal::USR1)
        .map_err(|error| Failure::Failed(format!("process {number} takes no signal from this user: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wiremock::matchers::{method, path};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// A server that says this of itself: its address.
    async fn server(status: u16, answer: &str) -> (MockServer, String) {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(status).set_body_raw(answer.to_owned(), "application/json");
        Mock::given(method("GET")).and(path("/health/ready")).respond_with(answer).mount(&server).await;
        let address = server.address().to_string();
        (server, address)
    }

    fn answer(pid: impl Into<Value>, held_back: Value) -> String {
        let directory = json!({"status": "degraded", "detail": "3 of 9 users would go", "heldBack": held_back});
        json!({"status": "degraded", "pid": pid.into(), "parts": {"directory": directory}}).to_string()
    }

    async fn run(listen: &str) -> (Result<(), String>, String) {
        let mut out = Vec::new();
        let outcome = approve(&format!("http://{listen}"), &mut out, Duration::ZERO).await;
        (outcome.map_err(|failure| failure.to_string()), String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn with_nothing_held_back_there_is_nothing_to_do() {
        for status in [200, 503] {
            let (_server, address) = server(status, &answer(1, Value::Null)).await;
            let (outcome, out) = run(&address).await;
            assert_eq!((outcome, out.as_str()), (Ok(()), "Nothing is held back: 3 of 9 users would go\n"));
        }
    }

    #[tokio::test]
    async fn a_process_that_is_no_server_gets_no_signal() {
        // This process is one, and would die of it.
        let (_server, address) = server(200, &answer(std::process::id(), json!({"gone": 3}))).await;
        let (outcome, out) = run(&address).await;
        assert!(outcome.unwrap_err().contains("is no personio-scim here"));
        assert_eq!(out, "Held back: 3 of 9 users would go\n");
    }

    #[tokio::test]
    async fn an_answer_without_a_process_is_not_acted_upon() {
        let all = [Value::Null, json!(0), json!(-1), json!(1_u64 << 32), json!(u64::MAX), json!("1"), json!(1.5)];
        let mut answers: Vec<String> = all.into_iter().map(|pid| answer(pid, json!({}))).collect();
        answers.extend(["", "null", "{\"pid\": 1}", "<html>", "[1]"].map(str::to_owned));
        for answer in answers {
            let (_server, address) = server(200, &answer).await;
            let (outcome, out) = run(&address).await;
            assert!(outcome.unwrap_err().contains("is not answered by a personio-scim"), "{answer}");
            assert_eq!(out, "");
        }
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_named() {
        let (outcome, out) = run("127.0.0.1:1").await;
        assert!(outcome.unwrap_err().starts_with("http://127.0.0.1:1/health/ready does not answer"));
        assert_eq!(out, "");
    }
}
