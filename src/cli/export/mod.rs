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
use crate::scim::{InvalidQuery, ListQuery, Listed, Paging, Projection, ResourceType, SearchRequest};

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
    let table = (args.format == Format::Csv).then(|| Table::new(kind, &request)).transpose().map_err(refused)?;
    warn_of_unknown(kind, &request);
    let file = args.output.as_deref().map(beside).transpose()?;

    let progress = Arc::new(Progress::default());
    let bar = progress_bar::show(&progress);
    let snapshot = reader.read(&progress).await;
    bar.end().await;
    let snapshot = snapshot.map_err(|error| Failure::Failed(error.to_string()))?;

    let found = query.select(&[snapshot.users()]);
    let write = |out: &mut dyn Write| match (&table, args.format) {
        (Some(table), _) => table.write(found.resources(), out),
        (None, Format::Json) => out.write_all(&found.to_json()).and_then(|()| out.write_all(b"\n")),
        (None, Format::Ndjson | Format::Csv) => lines(found.resources(), out),
    };
    let (Some(file), Some(path)) = (file, &args.output) else {
        return unless_closed(flushed(io::stdout().lock(), write));
    };
    put(file, path, write)?;
    let users = match found.resources().len() {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    };
    // Standard output holds users and nothing else.
    unless_closed(writeln!(io::stderr(), "{users} written to {}", path.display()))
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
    let given = parameters.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
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
            let meant =
                config::nearest(name, &paths).map_or_else(String::new, |path| format!("; did you mean `{path}`?"));
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
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let failed = |why: &dyn std::fmt::Display| Failure::Usage(format!("--output: {}: {why}", path.display()));
    if path.is_dir() {
        return Err(failed(&"is a folder; name a file in it"));
    }
    if !folder.is_dir() {
        return Err(failed(&format!("there is no folder {}; make it first", folder.display())));
    }
    tempfile::Builder::new()
        .prefix(".personio-scim-")
        .tempfile_in(folder)
        .map_err(|error| failed(&format!("no file can be written there: {}", error.kind())))
}

fn put(file: NamedTempFile, path: &Path, write: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("{}: {error}", path.display()));
    flushed(file.as_file(), write).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

fn flushed(out: impl Write, write: impl Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    write(&mut out)?;
    out.flush()
}
