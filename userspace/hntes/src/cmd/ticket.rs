// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `hntes ticket`: announces a transfer to the loop.

mod token;
mod when;

use crate::tables::{Cell, Table};
use anyhow::{Context, Result, anyhow, bail};
use std::fs;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::time::Duration;
use telesteer_control::http::client::{Client, Failed};
use telesteer_control::ticket::show::ShownTicket;
use telesteer_control::ticket::{Draft, TicketId};
use when::{Length, When};

/// Where the token is, if no file is named.
const TOKEN: &str = "HNTES_TOKEN";

/// The server, if none is named.
const SERVER: (&str, &str) = ("HNTES_SERVER", "http://127.0.0.1:8642");

const EXAMPLES: &str = "\
Examples:
  hntes ticket token mover --file tokens             a token for the holder `mover`, on standard output
  export HNTES_TOKEN=hntes_...                       or --token-file FILE
  hntes ticket create --from 192.0.2.10 --to 198.51.100.20 --protocol tcp --destination-ports 5001 --for 2h
  hntes ticket create --from 192.0.2.0/24 --to 198.51.100.0/24 --start 2026-11-26T22:00:00Z --for 8h
  hntes ticket list
  hntes ticket extend t17 --for 1h                   its end is an hour from now
  hntes ticket cancel t17 t18

A ticket makes `hntes run` prepare a path before the first byte comes. Requests of one holder for some of
the same traffic at touching times are one service: each keeps its own end. `exact: no` says that other
traffic between these hosts or networks goes the same way, since routers match 5-tuples, pairs of hosts
and pairs of /24 (/64). See docs/tickets.md.
Exit: 0 done; 1 the server refused; 2 could not run, or the server did not answer. Data is on standard
output, talk on standard error.";

/// Announce transfers to the loop, so that their path is there before their first byte.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
    /// Where `hntes run` listens. Default: HNTES_SERVER, else http://127.0.0.1:8642.
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// File that holds the token and nothing else. Default: the token is HNTES_TOKEN.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Longest wait for an answer.
    #[arg(long, global = true, default_value = "30s", value_name = "DURATION")]
    wait: Length,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    /// Ask for a ticket.
    Create(Box<Create>),
    /// Show a ticket.
    Show {
        /// Such as t17.
        #[arg(value_name = "TICKET")]
        id: TicketId,
    },
    /// List your tickets.
    List {
        /// Finished ones too, as far as the loop keeps them.
        #[arg(long)]
        finished: bool,
    },
    /// Move the end of a ticket. No route and no circuit is set anew.
    Extend {
        /// Such as t17.
        #[arg(value_name = "TICKET")]
        id: TicketId,
        #[command(flatten)]
        until: Until,
    },
    /// End tickets.
    Cancel {
        /// Such as t17.
        #[arg(required = true, value_name = "TICKET")]
        ids: Vec<TicketId>,
    },
    /// Make a token. It is printed once and kept nowhere; the loop's file holds its hash.
    Token(token::Args),
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct Until {
    /// The end: RFC 3339, or +DURATION from now.
    #[arg(long, value_name = "TIME")]
    end: Option<When>,
    /// The end, counted from the start, or from now if it is past: such as 90m or 2h30m.
    #[arg(long = "for", value_name = "DURATION")]
    length: Option<Length>,
}

#[derive(clap::Args, Debug)]
struct Create {
    /// Sources: addresses or prefixes, /24 to /32 or /64 to /128; more with commas.
    #[arg(long = "from", required = true, value_delimiter = ',', value_name = "PREFIX")]
    sources: Vec<String>,
    /// Destinations; each source to each destination is a pair.
    #[arg(long = "to", required = true, value_delimiter = ',', value_name = "PREFIX")]
    destinations: Vec<String>,
    /// tcp, udp, sctp, dccp, udplite, any, or a number.
    #[arg(long, value_name = "NAME|N")]
    protocol: Option<String>,
    /// A port, a range such as 5000-5100, or any.
    #[arg(long, value_name = "PORTS")]
    source_ports: Option<String>,
    /// The same of destinations.
    #[arg(long, value_name = "PORTS")]
    destination_ports: Option<String>,
    /// DSCP of the transfer's packets. It is kept and shown; no router matches it, so routes carry packets
    /// of any DSCP (`exact: no`).
    #[arg(long, value_name = "0..63")]
    dscp: Option<u32>,
    /// The start: RFC 3339, or +DURATION from now. Default: now.
    #[arg(long, value_name = "TIME")]
    start: Option<When>,
    #[command(flatten)]
    until: Until,
    /// Mb/s to reserve for all pairs together. Default: none is reserved.
    #[arg(long, value_name = "MBPS")]
    rate: Option<u64>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
}

impl Until {
    /// As the server takes it. A length counts from `start`.
    fn text(&self, start: Option<&When>) -> Result<String> {
        let now = jiff::Timestamp::now();
        match (&self.end, &self.length) {
            (Some(end), _) => end.text(now),
            (None, Some(length)) => {
                let start = start.map_or(Ok(now), |start| start.at(now))?;
                length.after(start.max(now))
            }
            (None, None) => bail!("--end or --for is needed"),
        }
    }
}

impl Create {
    fn draft(&self) -> Result<Draft> {
        let now = jiff::Timestamp::now();
        Ok(Draft {
            sources: self.sources.clone(),
            destinations: self.destinations.clone(),
            protocol: self.protocol.clone(),
            source_ports: self.source_ports.clone(),
            destination_ports: self.destination_ports.clone(),
            dscp: self.dscp,
            start: self.start.as_ref().map(|start| start.text(now)).transpose()?,
            end: self.until.text(self.start.as_ref())?,
            rate_mbps: self.rate,
            note: self.note.clone(),
        })
    }
}

/// Does it. `false` if the server refused.
pub fn run(args: &Args) -> Result<bool> {
    if let Verb::Token(token) = &args.verb {
        return token::run(token, args.json).map(|()| true);
    }
    let client = args.client()?;
    let done = match &args.verb {
        Verb::Create(create) => client.create(&create.draft()?).map(|one| args.one(&one)),
        Verb::Show { id } => client.show(*id).map(|one| args.one(&one)),
        Verb::List { finished } => client.list(*finished).map(|all| args.all(&all)),
        Verb::Extend { id, until } => {
            client.extend(*id, &until.text(None)?).map(|one| args.one(&one))
        }
        Verb::Cancel { ids } => return args.cancel(&client, ids),
        Verb::Token(_) => return Ok(true),
    };
    match done {
        Ok(text) => print(&text?).map(|()| true),
        Err(failed) => refused(&failed),
    }
}

/// `false` if it was refused, an error if it could not be asked.
fn refused(failed: &Failed) -> Result<bool> {
    match failed {
        Failed::Problem(problem) if problem.status < 500 => {
            eprintln!("hntes: {failed}");
            Ok(false)
        }
        _ => Err(anyhow!("{failed}")),
    }
}

fn print(text: &str) -> Result<()> {
    stdout().lock().write_all(text.as_bytes()).context("writing to standard output")
}

impl Args {
    fn client(&self) -> Result<Client> {
        let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let server = self.server.clone().or_else(|| env(SERVER.0));
        let server = server.unwrap_or_else(|| SERVER.1.to_owned());
        let token = match &self.token_file {
            Some(path) => fs::read_to_string(path)
                .with_context(|| format!("--token-file {}", path.display()))?,
            None => {
                env(TOKEN).with_context(|| format!("no token: --token-file FILE, or {TOKEN}"))?
            }
        };
        let token = token.trim();
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!(
                "the token is empty or has odd characters: one made by `hntes ticket token` has not"
            );
        }
        let wait = Duration::try_from(self.wait.0).context("--wait")?;
        Ok(Client::new(&server, token, wait)?)
    }

    /// Each is tried, whatever becomes of the others.
    fn cancel(&self, client: &Client, ids: &[TicketId]) -> Result<bool> {
        let mut all = true;
        for id in ids {
            match client.cancel(*id) {
                Ok(ticket) => print(&self.one(&ticket)?)?,
                Err(failed) => all &= refused(&failed)?,
            }
        }
        Ok(all)
    }

    fn one(&self, ticket: &ShownTicket) -> Result<String> {
        if self.json {
            return Ok(serde_json::to_string(ticket)? + "\n");
        }
        Ok(table(std::slice::from_ref(ticket)).to_text())
    }

    fn all(&self, tickets: &[ShownTicket]) -> Result<String> {
        if self.json {
            return Ok(serde_json::to_string(&serde_json::json!({"tickets": tickets}))? + "\n");
        }
        Ok(table(tickets).to_text())
    }
}

const COLUMNS: [&str; 12] = [
    "ticket", "state", "from", "to", "protocol", "ports", "start", "end", "mbps", "service",
    "exact", "note",
];

fn table(tickets: &[ShownTicket]) -> Table {
    let mut table = Table::new("tickets", "Tickets", &COLUMNS);
    let join = |prefixes: &[telesteer_fam::Prefix]| {
        prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    };
    for ticket in tickets {
        table.push([
            ticket.id.to_string().into(),
            ticket.state.name().into(),
            join(&ticket.sources).into(),
            join(&ticket.destinations).into(),
            ticket.protocol.to_string().into(),
            format!("{} {}", ticket.source_ports, ticket.destination_ports).into(),
            ticket.start.as_str().into(),
            ticket.end.as_str().into(),
            ticket.rate_mbps.map_or(Cell::None, Cell::Count),
            ticket.service.map_or(Cell::None, |id| id.to_string().into()),
            if ticket.routes.exact { "yes" } else { "no" }.into(),
            ticket.note.as_deref().map_or(Cell::None, Cell::from),
        ]);
    }
    table
}
