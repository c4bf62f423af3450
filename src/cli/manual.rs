//! Help, `completions` and `man`, generated from one description of the arguments.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::CommandError;
use crate::cli::stdout::{ignore_broken_pipe, print};
use crate::config::{Args, CompletionsArgs, ManArgs};

const COMMAND_NAME: &str = "personio-scim";

/// Prints the help or the version.
///
/// # Errors
/// Returns an error when standard output cannot be written, unless its reader has closed it.
pub fn help(help: &clap::Error) -> Result<(), CommandError> {
    ignore_broken_pipe(help.print())
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), CommandError> {
    // The script is not written to standard output directly, because the crate panics when that is
    // closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), COMMAND_NAME, &mut script);
    print(&script)
}

pub(super) fn man(args: &ManArgs) -> Result<(), CommandError> {
    let command = Args::command().name(COMMAND_NAME);
    if let Some(folder) = &args.dir {
        let written = clap_mangen::generate_to(command, folder);
        return written
            .map_err(|error| CommandError::Usage(format!("--dir: {}: {error}", folder.display())));
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print(&page)
}
