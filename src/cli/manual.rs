//! Help, `completions` and `man`, generated from one description of the arguments.

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Failure;
use crate::cli::stdout::{print, unless_closed};
use crate::config::{Args, CompletionsArgs, ManArgs};

const NAME: &str = "personio-scim";

/// Prints the help or the version.
///
/// # Errors
/// Returns an error when standard output cannot be written, unless its reader has closed it.
pub fn help(help: &clap::Error) -> Result<(), Failure> {
    unless_closed(help.print())
}

pub(super) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    // The script is not written to standard output directly, because the crate panics when that is
    // closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), NAME, &mut script);
    print(&script)
}

pub(super) fn man(args: &ManArgs) -> Result<(), Failure> {
    let command = Args::command().name(NAME);
    if let Some(folder) = &args.dir {
        let written = clap_mangen::generate_to(command, folder);
        return written
            .map_err(|error| Failure::Usage(format!("--dir: {}: {error}", folder.display())));
    }
    let mut page = Vec::new();
    Man::new(command).render(&mut page)?;
    print(&page)
}
