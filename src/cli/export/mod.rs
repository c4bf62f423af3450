//! `export`: writes the whole directory once. It accepts the query parameters of the server. The
//! directory is loaded completely before the first byte is written.

mod c1;
mod progress_bar;
mod table;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use tempfile::NamedTempFile;

use crate::app::{OneShotReader, Tuning};
use crate::cli::export::table::CsvTable;
use crate::cli::stdout::ignore_broken_pipe;
use crate::cli::{CommandError, start_logs};
use crate::clock::SystemClock;
use crate::config;
use crate::config::{ExportArgs, ExportFormat, ExportQueryArgs, ReadingSettings};
use crate::directory::LoadProgress;
use crate::scim::filter::FilterLimits;
use crate::scim::{
    InvalidQuery, ListItem, ListQuery, ListResponse, PageRequest, Projection, ResourceType,
    SearchRequest, SelectedResource,
};

/// Limits on filters: the largest that a server can be configured with, because an export runs in
/// its own process.
const MAX_FILTER_LIMITS: FilterLimits = FilterLimits { max_bytes: 100_000, max_depth: 250 };

pub(super) async fn run(args: &ExportArgs) -> Result<(), CommandError> {
    let reading = ReadingSettings::for_export(args)?;
    let _logs = start_logs(&args.logs)?;
    let reader = OneShotReader::new(reading, Arc::new(SystemClock::new()), Tuning::default())?;
    let user_type = &reader.types().user;
    // All arguments are checked before the first request, because a load can take long.
    let request = search_request(&args.query)?;
    let paging =
        PageRequest::parse(None, request.count.as_deref(), usize::MAX).map_err(usage_error)?;
    let query =
        ListQuery::new(&request, &[user_type], MAX_FILTER_LIMITS, paging).map_err(usage_error)?;
    let table = match args.format {
        ExportFormat::Csv => Some(CsvTable::new(user_type, &request).map_err(usage_error)?),
        ExportFormat::Ndjson | ExportFormat::Json | ExportFormat::C1 => None,
    };
    check_fixed_columns(args)?;
    warn_of_unknown(user_type, &request);
    let file = match &args.output {
        Some(path) => Some(create_temporary_file(path)?),
        None => None,
    };

    let progress = Arc::new(LoadProgress::default());
    let bar = progress_bar::show(&progress);
    let snapshot = reader.read(&progress).await;
    bar.end().await;
    let snapshot = snapshot.map_err(|error| CommandError::Failed(error.to_string()))?;

    let response = query.select(&[snapshot.users()], None);
    let response = response.map_err(|error| CommandError::Failed(error.to_string()))?;
    let users = ExportedUsers { response, table, format: args.format };
    let (Some(file), Some(path)) = (file, &args.output) else {
        return ignore_broken_pipe(write_buffered(io::stdout().lock(), &users));
    };
    write_file(file, path, &users)?;
    let users = match users.response.resources().len() {
        1 => "1 user".to_owned(),
        count => format!("{count} users"),
    };
    // Standard output holds users and nothing else.
    ignore_broken_pipe(writeln!(io::stderr(), "{users} written to {}", path.display()))
}

/// Users of an export, and the format in which they are written.
struct ExportedUsers<'s> {
    response: ListResponse<SelectedResource<'s>>,
    table: Option<CsvTable>,
    format: ExportFormat,
}

impl ExportedUsers<'_> {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        match (&self.table, self.format) {
            (Some(table), _) => table.write(self.response.resources(), out),
            (None, ExportFormat::Json) => {
                out.write_all(&self.response.to_json())?;
                out.write_all(b"\n")
            }
            (None, ExportFormat::C1) => c1::write(self.response.resources(), out),
            (None, ExportFormat::Ndjson | ExportFormat::Csv) => {
                write_ndjson(self.response.resources(), out)
            }
        }
    }
}

/// Refuses a choice of attributes for a format whose columns are fixed.
fn check_fixed_columns(args: &ExportArgs) -> Result<(), CommandError> {
    if args.format != ExportFormat::C1 {
        return Ok(());
    }
    let choices = [
        ("--attributes", &args.query.attributes),
        ("--excluded-attributes", &args.query.excluded_attributes),
    ];
    for (flag, value) in choices {
        if value.is_some() {
            return Err(CommandError::Usage(format!(
                "--format c1 has fixed columns: remove {flag}"
            )));
        }
    }
    Ok(())
}

/// Builds the search request from the query parameters of the server.
fn search_request(args: &ExportQueryArgs) -> Result<SearchRequest, CommandError> {
    let parameters = [
        ("filter", &args.filter),
        ("attributes", &args.attributes),
        ("excludedAttributes", &args.excluded_attributes),
        ("sortBy", &args.sort_by),
        ("sortOrder", &args.sort_order),
        ("count", &args.count),
    ];
    let mut given_parameters = Vec::new();
    for (name, value) in parameters {
        if let Some(value) = value {
            given_parameters.push((name, value.as_str()));
        }
    }
    SearchRequest::from_parameters(given_parameters).map_err(usage_error)
}

/// Returns the error that a server would respond with, as an error in the arguments.
fn usage_error(error: InvalidQuery) -> CommandError {
    let word = serde_json::to_value(error.scim_type).unwrap_or_default();
    CommandError::Usage(format!("{} ({})", error.detail, word.as_str().unwrap_or_default()))
}

/// Logs a warning for each unknown attribute. A server ignores such names (RFC 7644 §3.9), but a
/// person at a terminal may have mistyped one.
fn warn_of_unknown(user_type: &ResourceType, request: &SearchRequest) {
    for name in request.attributes.iter().chain(&request.excluded_attributes) {
        let alone = Projection::new(user_type, std::slice::from_ref(name), &[]);
        let nothing = Projection::new(user_type, &["none".to_owned()], &[]);
        if user_type.attribute(name).is_none() && alone == nothing {
            let paths = user_type.paths();
            let did_you_mean = match config::suggest_name(name, &paths) {
                Some(path) => format!("; did you mean `{path}`?"),
                None => String::new(),
            };
            tracing::warn!(
                "there is no attribute `{}`: it is ignored{did_you_mean}",
                name.escape_debug()
            );
        }
    }
}

fn write_ndjson(users: &[impl ListItem], out: &mut dyn Write) -> io::Result<()> {
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
fn create_temporary_file(path: &Path) -> Result<NamedTempFile, CommandError> {
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
fn unusable(path: &Path, reason: &str) -> CommandError {
    CommandError::Usage(format!("--output: {}: {reason}", path.display()))
}

/// Writes the users to the temporary file, and moves it to `path`.
fn write_file(
    file: NamedTempFile,
    path: &Path,
    users: &ExportedUsers<'_>,
) -> Result<(), CommandError> {
    try_put(file, path, users)
        .map_err(|error| CommandError::Failed(format!("{}: {error}", path.display())))
}

fn try_put(file: NamedTempFile, path: &Path, users: &ExportedUsers<'_>) -> io::Result<()> {
    write_buffered(file.as_file(), users)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn write_buffered(out: impl Write, users: &ExportedUsers<'_>) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    users.write(&mut out)?;
    out.flush()
}
