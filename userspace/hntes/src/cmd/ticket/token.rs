// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Makes tokens.

use anyhow::{Context, Result};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write, stdout};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use telesteer_control::ticket::Holder;
use telesteer_control::ticket::token::{Tokens, line, token};

/// Where random bytes come from (random(4)).
const RANDOM: &str = "/dev/urandom";

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Name of the holder: letters, digits, dots, dashes, underscores. A holder may have several tokens.
    #[arg(value_name = "NAME")]
    holder: Holder,
    /// The loop's file of tokens, to which the line is added. Default: the line goes to standard error.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(args: &Args, json: bool) -> Result<()> {
    let mut random = [0; 32];
    let mut source = File::open(RANDOM).context(RANDOM)?;
    source.read_exact(&mut random).context(RANDOM)?;
    let token = token(&random);
    let line = line(&args.holder, &token);
    match &args.file {
        Some(path) => {
            let failed = || format!("--file {}", path.display());
            let mut file = OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .with_context(failed)?;
            let mut text = String::new();
            file.read_to_string(&mut text).with_context(failed)?;
            Tokens::parse(&text).with_context(failed)?;
            // Somebody's editor may have left the last line open.
            let open = !text.is_empty() && !text.ends_with('\n');
            let line = format!("{}{line}\n", if open { "\n" } else { "" });
            file.write_all(line.as_bytes()).with_context(failed)?;
            file.sync_all().with_context(failed)?;
        }
        None => eprintln!("hntes: a line for the loop's file of tokens:\n{line}"),
    }
    let text = if json {
        serde_json::json!({"holder": args.holder, "token": token, "line": line}).to_string()
    } else {
        token
    };
    writeln!(stdout().lock(), "{text}").context("writing to standard output")
}
