//! `token`: creates the token of a client, or the hash of a token for the settings.

use std::io::Read;

use aws_lc_rs::{digest, rand};
use secrecy::ExposeSecret;
use serde_json::json;

use crate::cli::CommandError;
use crate::cli::stdout::print;
use crate::config;
use crate::config::{OutputArgs, TokenAction, TokenArgs};

/// Number of random bytes in a token: too many to guess.
const TOKEN_BYTES: usize = 32;
/// Maximum size of a token on standard input in bytes. It bounds the memory for an endless input.
const MAX_INPUT_BYTES: u64 = 64 * 1024;

pub(super) fn run(args: &TokenArgs) -> Result<(), CommandError> {
    match args.action {
        TokenAction::New(output) => new(output),
        TokenAction::Hash(output) => hash(output),
    }
}

fn new(output: OutputArgs) -> Result<(), CommandError> {
    let token = random_token()?;
    let hash = sha256(&token);
    if output.json {
        return print(format!("{}\n", json!({"token": token, "token_sha256": hash})).as_bytes());
    }
    let text = format!(
        "Token, for the client alone; it is not shown again:\n\n  {token}\n\n\
         Lines for the configuration file, where the hash is enough:\n\n\
         [[client]]\nname = \"choose-a-name\"\ntoken_sha256 = \"{hash}\"\n"
    );
    print(text.as_bytes())
}

fn hash(output: OutputArgs) -> Result<(), CommandError> {
    let mut text = String::new();
    if let Err(error) = std::io::stdin().take(MAX_INPUT_BYTES + 1).read_to_string(&mut text) {
        let problem = format!("the token cannot be read from standard input: {error}");
        return Err(CommandError::Usage(problem));
    }
    if text.len() as u64 > MAX_INPUT_BYTES {
        let problem =
            format!("standard input is longer than {MAX_INPUT_BYTES} bytes: expected one token");
        return Err(CommandError::Usage(problem));
    }
    // The token is read as the server reads it from a file: without line break, quotes and
    // `Bearer`.
    let Some(token) = config::client_token(&text) else {
        let expected = "at least 16 letters, digits or signs, without spaces";
        return Err(CommandError::Usage(format!("standard input holds no token: {expected}")));
    };
    let hash = sha256(token.expose_secret());
    if output.json {
        return print(format!("{}\n", json!({"token_sha256": hash})).as_bytes());
    }
    print(format!("token_sha256 = \"{hash}\"\n").as_bytes())
}

/// Creates a random token.
pub(super) fn random_token() -> Result<String, CommandError> {
    let mut bytes = [0; TOKEN_BYTES];
    if rand::fill(&mut bytes).is_err() {
        return Err(CommandError::Failed("cannot generate a random token".to_owned()));
    }
    Ok(hex::encode(bytes))
}

/// Returns the SHA-256 of a token's bytes, in lower-case hexadecimal.
fn sha256(token: &str) -> String {
    hex::encode(digest::digest(&digest::SHA256, token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha256_matches_the_example_of_fips_180_4() {
        // Example of one block in FIPS 180-4.
        assert_eq!(
            sha256("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
