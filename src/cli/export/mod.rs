//! `export`: writes the whole directory once. It accepts the query parameters of the server. The
//! directory is loaded completely before the first byte is written.

mod progress_bar;
mod table;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use tempfile::NamedTempFile;

use crate::app::{Reader, Tuning};
use crate::cli::export::table::Table;
use crate::cli::stdout::unless_closed;
use crate::cli::{Failure, start_logs};
use crate::clock::SystemClock;
use crate::config;
use crate::config::{ExportArgs, Format, Reading};
use crate::directory::Progress;
use crate::scim::filter::Limits;
use crate::scim::{
    InvalidQuery, ListQuery, ListResponse, Listed, Paging, Projection, ResourceType, SearchRequest,
    Selected,
};

/// Limits on filters: the largest that a server can be configured with, because an export runs in
/// its own process.
const LIMITS: Limits = Limits { length: 100_000, depth: 250 };

pub(super) async fn run(args: &ExportArgs, matches: &ArgMatches) -> Result<(), Failure> {
    let reading = Reading::export(args, matches)?;
    let _logs = start_logs(&args.logs)?;
    let reader = Reader::new(reading, Arc::new(SystemClock::new()), Tuning::default())?;
    let kind = &reader.types().user;
    // All arguments are checked before the first request, because a load can take long.
    let request = request(args)?;
    let paging = Paging::parse(None, request.count.as_deref(), usize::MAX).map_err(refused)?;
    let query = ListQuery::new(&request, &[kind], LIMITS, paging).map_err(refused)?;
    let table = match args.format {
        Format::Csv => Some(Table::new(kind, &request).map_err(refused)?),
        Format::Ndjson | Format::Json => None,
    };
    warn_of_unknown(kind, &request);
    let file = match &args.output {
        Some(path) => Some(beside(path)?),
        None => None,
    };

    let progress = Arc::new(Progress::default());
    let bar = progress_bar::show(&progress);
    let snapshot = reader.read(&progress).await;
    bar.end().await;
    let snapshot = snapshot.map_err(|error| Failure::Failed(error.to_string()))?;

    let found = query.select(&[snapshot.users()]);
    let users = ExportedUsers { found, table, format: args.format };
    let (Some(file), Some(path)) = (file, &args.output) else {
        return unless_closed(flushed(io::stdout().lock(), &users));
    };
    put(file, path, &users)?;
    let users = match users.found.resources().len() {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    };
    // Standard output holds users and nothing else.
    unless_closed(writeln!(io::stderr(), "{users} written to {}", path.display()))
}

/// Users of an export, and the format in which they are written.
struct ExportedUsers<'s> {
    found: ListResponse<Selected<'s>>,
    table: Option<Table>,
    format: Format,
}

impl ExportedUsers<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match (&self.table, self.format) {
            (Some(table), _) => table.write(self.found.resources(), out),
            (None, Format::Json) => {
                out.write_all(&self.found.to_json())?;
                out.write_all(b"\n")
            }
            (None, Format::Ndjson | Format::Csv) => lines(self.found.resources(), out),
        }
    }
}

/// Builds the search request from the query parameters of the server.
fn request(args: &ExportArgs) -> Result<SearchRequest, Failure> {
    let parameters = [
        ("filter", &args.filter),
        ("attributes", &args.attributes),
        ("excludedAttributes", &args.excluded_attributes),
        ("sortBy", &args.sort_by),
        ("sortOrder", &args.sort_order),
        ("count", &args.count),
    ];
    let mut given = Vec::new();
    for (name, value) in parameters {
        if let Some(value) = value {
            given.push((name, value.as_str()));
        }
    }
    SearchRequest::from_parameters(given).map_err(refused)
}

/// Returns the error that a server would respond with, as an error in the arguments.
fn refused(error: InvalidQuery) -> Failure {
    let word = serde_json::to_value(error.scim_type).unwrap_or_default();
    Failure::Usage(format!("{} ({})", error.detail, word.as_str().unwrap_or_default()))
}

/// Logs a warning for each unknown attribute. A server ignores such names (RFC 7644 §3.9), but a
/// person at a terminal may have mistyped one.
fn warn_of_unknown(kind: &ResourceType, request: &SearchRequest) {
    for name in request.attributes.iter().chain(&request.excluded_attributes) {
        let alone = Projection::new(kind, std::slice::from_ref(name), &[]);
        let nothing = Projection::new(kind, &["none".to_owned()], &[]);
        if kind.attribute(name).is_none() && alone == nothing {
            let paths = kind.paths();
            let meant = match config::nearest(name, &paths) {
                Some(path) => format!("; did you mean `{path}`?"),
                None => String::new(),
            };
            tracing::warn!("there is no attribute `{}`: it is ignored{meant}", name.escape_debug());
        }
    }
}

fn lines(users: &[impl Listed], out: &mut dyn Write) -> io::Result<()> {
    let mut line = Vec::new();
    for user in users {
        line.clear();
        user.write(&mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

/// Creates a temporary file that later replaces the file at `path`. Only its owner can read it,
/// because it contains personal data.
fn beside(path: &Path) -> Result<NamedTempFile, Failure> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    if path.is_dir() {
        return Err(unusable(path, "is a folder; name a file in it"));
    }
    if !folder.is_dir() {
        let reason = format!("there is no folder {}; make it first", folder.display());
        return Err(unusable(path, &reason));
    }
    match tempfile::Builder::new().prefix(".personio-scim-").tempfile_in(folder) {
        Ok(file) => Ok(file),
        Err(error) => {
            Err(unusable(path, &format!("no file can be written there: {}", error.kind())))
        }
    }
}

/// Returns the error of an output path that cannot be used.
fn unusable(path: &Path, reason: &str) -> Failure {
    Failure::Usage(format!("--output: {}: {reason}", path.display()))
}

/// Writes the users to the temporary file, and moves it to `path`.
fn put(file: NamedTempFile, path: &Path, users: &ExportedUsers<'_>) -> Result<(), Failure> {
    try_put(file, path, users)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
}

fn try_put(file: NamedTempFile, path: &Path, users: &ExportedUsers<'_>) -> io::Result<()> {
    flushed(file.as_file(), users)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn flushed(out: impl Write, users: &ExportedUsers<'_>) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    users.write(&mut out)?;
    out.flush()
}
