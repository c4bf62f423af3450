//! Tests of `export`: it writes the directory once, as a server would serve it, or writes nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};

use personio_scim::scim::{ENTERPRISE_USER_SCHEMA as ENTERPRISE, PERSONIO_USER_SCHEMA as PERSONIO};
use personio_scim::simulator::{FaultAction, InjectedFault, SimulatedEndpoint, Simulator};
use serde_json::Value;

use crate::harness::{Setup, TOKEN};
use crate::process::{Ended, file, get, run, serve};

fn settings(upstream: &str) -> [(&str, &str); 3] {
    [
        ("PERSONIO_CLIENT_ID", "demo"),
        ("PERSONIO_CLIENT_SECRET", "demo-secret"),
        ("PERSONIO_BASE_URL", upstream),
    ]
}

async fn export(simulator: &Simulator, args: &[&str]) -> Ended {
    run(&[&["export"], args].concat(), &settings(&simulator.base_url())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_named_with_its_users_and_a_missing_folder_is_named_before_anything_is_read() {
    let simulator = Setup::persons(20).simulator();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (count, words) in [("100", "20 users"), ("1", "1 user")] {
        let file = path("people.csv");
        let ended =
            export(&simulator, &["--format", "csv", "--output", &file, "--count", count]).await;
        assert_eq!((ended.status.code(), ended.out.as_str()), (Some(0), ""), "{ended:?}");
        assert!(ended.err.ends_with(&format!("{words} written to {file}\n")), "{ended:?}");
    }
    simulator.reset_history();
    let missing = path("missing/people.csv");
    let ended = export(&simulator, &["--output", &missing]).await;
    ended.complains(64, &format!("there is no folder {}", path("missing")));
    assert_eq!(simulator.received_requests().len(), 0);

    let ended = export(&simulator, &["--attributes", "usrName"]).await;
    assert!(
        ended.err.contains("no attribute `usrName`: it is ignored; did you mean `userName`?"),
        "{ended:?}"
    );
}

/// Returns the printed lines and asserts success without messages.
#[track_caller]
fn lines(ended: &Ended) -> Vec<&str> {
    assert_eq!((ended.status.code(), ended.err.as_str()), (Some(0), ""), "{ended:?}");
    ended.out.lines().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_the_user_that_a_server_serves() {
    let simulator = Setup::persons(40).simulator();
    let server = serve(&simulator);
    let base_url = server.base_url().await;
    let public_url = base_url.strip_suffix("/scim/v2").unwrap();
    for (query, args) in [
        ("", vec![]),
        (
            "?filter=active%20eq%20true&sortBy=userName&sortOrder=descending&count=5",
            vec![
                "--filter",
                "active eq true",
                "--sort-by",
                "userName",
                "--sort-order",
                "descending",
                "--count",
                "5",
            ],
        ),
        ("?attributes=userName,emails.value", vec!["--attributes", "userName,emails.value"]),
        ("?excludedAttributes=meta,name", vec!["--excluded-attributes", "meta,name"]),
    ] {
        let list = get(&format!("{base_url}/Users{query}"), TOKEN).await.json();
        let args = [args, vec!["--public-url", public_url]].concat();
        let exported = export(&simulator, &args).await;
        let users: Vec<Value> =
            lines(&exported).into_iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(users.len() >= 5);
        assert_eq!(Value::from(users), list["Resources"], "{query}");
        let exported = export(&simulator, &[args, vec!["--format", "json"]].concat()).await;
        assert_eq!(serde_json::from_str::<Value>(lines(&exported)[0]).unwrap(), list, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_has_the_requested_columns_and_no_formulas() {
    let simulator = Setup::persons(20).simulator();
    simulator.with_world(|world| {
        world.persons[0].last_name = Some("=HYPERLINK(\"x\")".to_owned());
        world.persons[0].first_name = Some("Ann, \"A\"".to_owned());
    });
    let attributes = "name.familyName,name.givenName,emails.value,\
                      urn:ietf:params:scim:schemas:extension:personio:2.0:User:orgUnits.display";
    let exported = export(&simulator, &["--format", "csv", "--attributes", attributes]).await;
    assert_eq!(
        lines(&exported)[0],
        "id,name.familyName,name.givenName,emails.value,orgUnits.display"
    );
    assert_eq!(
        exported.out.matches("\r\n").count(),
        21,
        "RFC 4180 ends lines with CR LF: {:?}",
        exported.out
    );
    let mut rows = csv::Reader::from_reader(exported.out.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let id = simulator.with_world(|world| world.persons[0].id.clone());
    let row = rows.iter().find(|row| row[0] == id).unwrap();
    assert_eq!((&row[1], &row[2]), ("'=HYPERLINK(\"x\")", "Ann, \"A\""));
    assert!(rows.iter().any(|row| row[4].contains(';')), "department and team: {rows:?}");

    let exported =
        export(&simulator, &["--format", "csv", "--excluded-attributes", "emails,title"]).await;
    let heading: Vec<&str> = lines(&exported)[0].split(',').collect();
    for name in
        ["id", "userName", "active", "department", "manager.value", "hireDate", "meta.lastModified"]
    {
        assert!(heading.contains(&name), "{name}: {heading:?}");
    }
    for name in
        ["emails.value", "title", "schemas", "manager.$ref", "meta.version", "orgUnits.type"]
    {
        assert!(!heading.contains(&name), "{name}: {heading:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c1_has_its_columns_with_the_values_that_a_server_serves() {
    let simulator = Setup::persons(40).simulator();
    simulator.with_world(|world| {
        let person = &mut world.persons[0];
        person.last_name = Some("=HYPERLINK(\"x\")".to_owned());
        person.first_name = Some("Ann, \"A\"".to_owned());
        person.email = None;
        // A name with a comma must not become two groups.
        for unit in &mut world.org_units {
            unit.name = unit.name.replace("Engineering", "Engineering, Design");
        }
    });
    let mapping = file(
        "[values.userType]\n\"Employee\" = \"Staff\"\n[groups]\nfrom = [\"department\", \"team\"]\n",
    );
    let config = ["--config", mapping.path().to_str().unwrap()];
    let exported = export(&simulator, &[&["--format", "c1"], &config[..]].concat()).await;
    let table = exported.out.clone();
    assert_eq!(lines(&exported)[0], C1_HEADING);
    assert_eq!(table.matches("\r\n").count(), 41, "RFC 4180 ends lines with CR LF");
    // The page lists the columns.
    for heading in C1_HEADING.split(',') {
        let page = include_str!("../../docs/clients/conductorone.md");
        assert!(page.contains(&format!("| {heading} |")), "{heading}");
    }
    let exported = export(&simulator, &config).await;
    let users: Vec<Value> =
        lines(&exported).into_iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut with_two_groups = 0;
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    for (row, user) in rows.records().map(Result::unwrap).zip(&users) {
        let email = user["emails"].get(0).map_or(&user["userName"], |email| &email["value"]);
        let groups: Vec<String> = user["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|group| match text(&group["display"]) {
                name if name.contains(',') => text(&group["value"]),
                name => name,
            })
            .collect();
        with_two_groups += usize::from(groups.len() == 2);
        let active = if user["active"] == true { "enabled" } else { "disabled" };
        let (enterprise, personio) = (&user[ENTERPRISE], &user[PERSONIO]);
        let expected = [
            text(&user["id"]),
            text(email),
            text(&user["userName"]),
            text(&user["name"]["givenName"]),
            text(&user["name"]["familyName"]).replace('=', "'="),
            text(&user["displayName"]),
            active.to_owned(),
            text(&enterprise["manager"]["value"]),
            text(&personio["managerEmail"]),
            groups.join(", "),
            text(&enterprise["employeeNumber"]),
            text(&enterprise["department"]),
            text(&user["title"]),
            text(&user["userType"]),
            text(&personio["employmentStatus"]),
            text(&personio["hireDate"]),
            text(&personio["endDate"]),
            text(&personio["team"]),
            text(&personio["office"]),
            text(&personio["legalEntity"]),
            text(&enterprise["costCenter"]),
            text(&personio["departmentId"]),
        ];
        assert_eq!(row.iter().collect::<Vec<_>>(), expected);
    }
    assert_eq!(users.len(), 40);
    assert!(with_two_groups > 5, "some are in a department and a team");
    for part in ["disabled", "department-", "Staff", "'=HYPERLINK", "personio-", "Engineering, "] {
        assert!(table.contains(part), "{part}: {table}");
    }
    simulator.reset_history();
    for flag in ["--attributes", "--excluded-attributes"] {
        let ended = export(&simulator, &["--format", "c1", flag, "title"]).await;
        ended.complains(64, &format!("--format c1 has fixed columns: remove {flag}"));
    }
    assert_eq!(simulator.received_requests().len(), 0);
}

/// Columns of `--format c1`.
const C1_HEADING: &str = "User ID,Email Address,Username,First Name,Last Name,Full Name,\
                          User Status,Manager ID,Manager Email,Groups,Employee ID,Department,\
                          Job Title,Employment Type,Employment Status,Start Date,End Date,Team,\
                          Office,Legal Entity,Cost Center,Department ID";

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_query_fails_before_any_request() {
    let simulator = Setup::persons(3).simulator();
    for (args, part) in [
        (vec!["--filter", "userName eq"], "(invalidFilter)"),
        (vec!["--filter", "department pr"], "User:department`? (invalidFilter)"),
        (vec!["--filter", ""], "(invalidFilter)"),
        (
            vec!["--sort-by", "nobody"],
            "sortBy: there is no attribute `nobody` in User (invalidPath)",
        ),
        (vec!["--sort-order", "up"], "sortOrder must be ascending or descending (invalidValue)"),
        (
            vec!["--attributes", "id", "--excluded-attributes", "id"],
            "exclude each other (invalidValue)",
        ),
        (vec!["--count", "many"], "(invalidValue)"),
        (vec!["--format", "xml"], "xml"),
        (
            vec!["--output", "/missing/people.csv"],
            "--output: /missing/people.csv: there is no folder /missing",
        ),
        (vec!["--output", "/"], "--output: /: is a folder"),
        (
            vec!["--config", "/missing/mapping.toml"],
            "--config (SCIM_CONFIG): /missing/mapping.toml",
        ),
    ] {
        export(&simulator, &args).await.complains(64, part);
    }
    assert_eq!(simulator.received_requests().len(), 0);
    let warned = export(&simulator, &["--attributes", "id,tilte"]).await;
    assert!(warned.err.contains("there is no attribute `tilte`"), "{warned:?}");
    assert!(warned.err.lines().count() == 1 && warned.out.lines().count() == 3, "{warned:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_appears_when_it_is_complete_and_a_failure_leaves_the_old_one() {
    let simulator = Setup::persons(30).simulator();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("people.ndjson");
    let output = ["--output", path.to_str().unwrap()];
    let ended = export(&simulator, &output).await;
    let expected = format!("30 users written to {}\n", path.display());
    assert_eq!((ended.status.code(), ended.out.as_str(), ended.err), (Some(0), "", expected));
    let written = fs::read_to_string(&path).unwrap();
    assert_eq!(written.lines().count(), 30);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600,
        "only its owner reads it"
    );

    let hidden = |attribute: &str| {
        simulator.set_quirks(|quirks| quirks.hidden_attributes = vec![attribute.to_owned()]);
    };
    hidden("email");
    let flawed = export(&simulator, &output).await;
    flawed.complains(
        1,
        "30 of 30 persons come without an e-mail address: allow the API credential to read",
    );
    assert!(lines(&export(&simulator, &["--max-change", "100%", "--count", "1"]).await).len() == 1);
    hidden("");
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Persons, FaultAction::Status(401)));
    export(&simulator, &output).await.complains(1, "personio:persons:read");
    simulator.clear_faults();
    simulator.add_fault(InjectedFault::on(SimulatedEndpoint::Token, FaultAction::Status(401)));
    export(&simulator, &output).await.complains(1, "Personio refused the API credential");

    assert_eq!(fs::read_to_string(&path).unwrap(), written);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing half-written is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn export_ends_quietly_when_its_output_is_closed() {
    // The output is larger than the buffer of a pipe.
    let simulator = Setup::persons(300).simulator();
    let url = simulator.base_url();
    let command = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_personio-scim"));
        command.args(args).env_clear().envs(settings(&url)).stderr(Stdio::piped());
        command
    };
    let quiet = |args: &[&str], child: Child| {
        let ended = child.wait_with_output().unwrap();
        let err = String::from_utf8(ended.stderr).unwrap();
        assert_eq!((ended.status.code(), err.as_str()), (Some(0), ""), "{args:?}");
    };
    let mut child = command(&["export"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    serde_json::from_str::<Value>(&line).unwrap();
    quiet(&["export"], child);

    for args in [
        &["export", "--format", "csv"][..],
        &["export", "--format", "json"],
        &["check"],
        &["check", "--json"],
        &["token", "new"],
        &["completions", "zsh"],
        &["man"],
        &["export", "--help"],
        &["--version"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        quiet(args, command(args).stdout(writer).spawn().unwrap());
    }
}
