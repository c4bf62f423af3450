//! Command line as it is given: the commands and their help.

use clap::{Parser, Subcommand};

use crate::config::args::{
    ApproveArgs, CheckArgs, CompletionsArgs, DemoArgs, ExportArgs, HealthcheckArgs, ManArgs,
    ServeArgs, SimulatorArgs, TokenArgs,
};
use crate::config::examples;

/// Serves the people of a Personio company over SCIM 2.0, read-only.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = examples::ALL)]
pub struct Args {
    /// Command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve SCIM from a real Personio
    #[command(after_help = examples::SERVE)]
    Serve(Box<ServeArgs>),
    /// Serve SCIM from an embedded Personio simulator, to try it out
    #[command(after_help = examples::DEMO)]
    Demo(Box<DemoArgs>),
    /// Check the settings and the access to Personio, and report what to change
    ///
    /// Sends a few dozen requests to Personio: for a token, a page of persons, some employments and
    /// all names. Reports what can be read, what is missing and what to do about it. Nothing is
    /// written, neither to Personio nor to this machine. The exit code is 0 if what a server needs
    /// can be read from Personio, 1 if a server would serve nothing, and 64 if a setting is wrong.
    /// Warnings do not change it; one of them names the settings that `serve` still needs to start.
    #[command(after_help = examples::CHECK)]
    Check(Box<CheckArgs>),
    /// Read the whole directory once and write it to a file or standard output
    ///
    /// The command needs the same settings as `serve` for Personio and the mapping, opens no port,
    /// and accepts the filters, attributes and sort orders that the server accepts. An export that
    /// fails writes nothing.
    #[command(after_help = examples::EXPORT)]
    Export(Box<ExportArgs>),
    /// Make a random token for a SCIM client, or hash one
    #[command(subcommand_required = true, after_help = examples::TOKEN)]
    Token(TokenArgs),
    /// Run the Personio simulator alone
    #[command(after_help = examples::SIMULATOR)]
    Simulator(SimulatorArgs),
    /// Check that the server on this machine is alive; exit code 0 if so
    #[command(after_help = examples::HEALTHCHECK)]
    Healthcheck(HealthcheckArgs),
    /// Publish the change that the server on this machine holds back
    ///
    /// A load that would change suspiciously many users at once is held back, and the server
    /// continues to serve the data before it. /health/ready and the log report the change. This
    /// command shows the change, asks for confirmation, and has the server publish it. A change
    /// that has replaced it in the meantime stays held back. The command must run where the server
    /// runs, as the server's user or as root. If no change is held back, it does nothing.
    #[command(after_help = examples::APPROVE)]
    Approve(ApproveArgs),
    /// Print a script that completes commands and flags in a shell
    #[command(after_help = examples::COMPLETIONS)]
    Completions(CompletionsArgs),
    /// Print the manual page, or write one page for each command
    #[command(after_help = examples::MAN)]
    Man(ManArgs),
}
