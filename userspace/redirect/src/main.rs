// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `flowspec-receiver`: exit 0 stopped by a signal, 2 could not run.

use anyhow::{Context, Result, bail};
use clap::Parser;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use telesteer_fam::time::SECOND;
use telesteer_redirect::bgp::Neighbour;
use telesteer_redirect::flowspec::receiver::{Meet, Receiver, Settings, Way};
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{PathName, Target};

const HELP: &str = "\
Example, beside a gobgpd of AS 64512 that waits at 127.0.0.1:1790:
  ip route add default encap mpls 200 via 10.9.2.2 table 101
  flowspec-receiver --connect 127.0.0.1:1790 --asn 64512 --id 192.0.2.2 --path science,64512:101,101,101
  gobgp global rib add -a ipv4-flowspec match destination 10.2.0.0/24 source 10.1.0.0/24 \\
      then redirect 64512:101

Only routes that match a 5-tuple, a pair of hosts or a pair of networks (/24, /64) and do nothing but
redirect to one of the paths are followed; all others are counted and left. SIGTERM ends the session,
takes the entries away and prints the counts. Exit: 0 stopped; 2 could not run.";

/// Takes BGP FlowSpec routes from one speaker and redirects what they match, by an nftables map in the
/// network namespace it is started in. Needs root and `nft`.
#[derive(Parser)]
#[command(version, after_help = HELP)]
struct Cli {
    /// Where the speaker waits for us.
    #[arg(long, value_name = "ADDR:PORT", required_unless_present = "listen")]
    connect: Option<SocketAddr>,
    /// Where we wait for the speaker instead.
    #[arg(long, value_name = "ADDR:PORT", requires = "from", conflicts_with = "connect")]
    listen: Option<SocketAddr>,
    /// The speaker's address; connections from others are closed.
    #[arg(long, value_name = "ADDR", requires = "listen")]
    from: Option<IpAddr>,
    /// Our AS.
    #[arg(long, value_name = "AS")]
    asn: u32,
    /// The speaker's AS. Default: ours.
    #[arg(long, value_name = "AS")]
    peer_asn: Option<u32>,
    /// Our BGP identifier, which no other speaker has.
    #[arg(long, value_name = "ADDR")]
    id: Ipv4Addr,
    /// The speaker is dead after so many seconds of silence; 0, or at least 3.
    #[arg(long, default_value_t = 90, value_name = "SECONDS")]
    hold: u16,
    /// A path: its name, what routes to it redirect to (route target or address), its packet mark, its
    /// routing table. May be given more than once.
    #[arg(long = "path", required = true, value_name = "NAME,TARGET,MARK,TABLE", value_parser = way)]
    ways: Vec<Way>,
    /// Routes that are followed at most.
    #[arg(long, default_value_t = telesteer_redirect::nft::LIMIT, value_name = "N")]
    limit: usize,
    /// The kernel is read as a whole, and mended, every so many seconds.
    #[arg(long, default_value_t = 5, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..))]
    check: u32,
    /// Entries that are there at the start stay until the session is quiet, or for so many seconds.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    grace: u32,
    /// Print the counts as one JSON object.
    #[arg(long)]
    json: bool,
}

/// Reads a path.
fn way(text: &str) -> Result<Way, String> {
    let [path, redirect, mark, table] = text.split(',').collect::<Vec<_>>()[..] else {
        return Err("NAME,TARGET,MARK,TABLE is four things".to_owned());
    };
    let number = |what: &str, text: &str| {
        text.parse::<u32>().map_err(|error| format!("{what} `{text}`: {error}"))
    };
    Ok(Way {
        path: PathName::new(path).map_err(|error| error.to_string())?,
        redirect: redirect.parse().map_err(|error| format!("{error}, and no address"))?,
        target: Target { mark: number("mark", mark)?, table: number("table", table)? },
    })
}

impl Cli {
    fn settings(self) -> Result<Settings> {
        let meet = match (self.connect, self.listen, self.from) {
            (Some(addr), _, _) => Meet::Connect(addr),
            (None, Some(at), Some(from)) => Meet::Listen { at, from },
            _ => bail!("--connect, or --listen and --from"),
        };
        if matches!(self.hold, 1 | 2) {
            bail!("--hold {}: 0, or at least 3", self.hold);
        }
        let redirects: BTreeSet<_> = self.ways.iter().map(|way| way.redirect).collect();
        if redirects.len() < self.ways.len() {
            bail!("--path: two paths have the same target");
        }
        let (local_as, peer_as) = (self.asn, self.peer_asn.unwrap_or(self.asn));
        Ok(Settings {
            neighbour: Neighbour { local_as, id: self.id, peer_as, hold: self.hold },
            meet,
            ways: self.ways,
            limit: self.limit,
            check: i64::from(self.check) * SECOND,
            grace: i64::from(self.grace) * SECOND,
        })
    }
}

fn run(cli: Cli) -> Result<()> {
    let json = cli.json;
    let settings = cli.settings()?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("signal handler")?;
    }
    let device = Nft::with_limit("nft", settings.limit)?;
    let meet = settings.meet;
    let mut receiver = Receiver::new(settings, device).context("--path")?;
    let mut say = |text: &str| eprintln!("flowspec-receiver: {text}");
    receiver.run(&stop, &mut say).with_context(|| format!("waiting for the speaker: {meet:?}"))?;
    let counts = serde_json::to_value(receiver.counters())?;
    if json {
        println!("{counts}");
    } else {
        print!("{}", table("", &counts));
    }
    Ok(())
}

/// A line a count, with the name of what it is in before it.
fn table(prefix: &str, counts: &serde_json::Value) -> String {
    let all = counts.as_object().into_iter().flatten();
    all.map(|(name, value)| match value {
        serde_json::Value::Object(_) => table(&format!("{name}."), value),
        number => format!("{:24}{number:>12}\n", format!("{prefix}{name}")),
    })
    .collect()
}

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flowspec-receiver: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const BASE: [&str; 5] = ["flowspec-receiver", "--asn", "64512", "--id", "192.0.2.2"];

    fn settings(more: &[&str]) -> Result<Settings> {
        Cli::try_parse_from(BASE.iter().chain(more))?.settings()
    }

    #[test]
    fn words_become_settings() {
        Cli::command().debug_assert();
        let path = "--path=a,64512:101,5,101";
        let all = settings(&["--connect", "127.0.0.1:1790", path, "--path=b,192.0.2.9,6,102"]);
        let all = all.unwrap();
        assert_eq!(all.meet, Meet::Connect("127.0.0.1:1790".parse().unwrap()));
        assert_eq!((all.ways.len(), all.ways[0].target), (2, Target { mark: 5, table: 101 }));
        assert_eq!((all.neighbour.peer_as, all.check), (64_512, 5 * SECOND));
        let wait = ["--listen", "[::1]:179", "--from", "::1", path, "--peer-asn", "1"];
        let waiting = settings(&wait).unwrap();
        assert!(matches!(waiting.meet, Meet::Listen { .. }) && waiting.neighbour.peer_as == 1);
    }

    #[test]
    fn slips_name_the_word() {
        let connect = ["--connect", "127.0.0.1:1790"];
        let told =
            |more: &[&str]| settings(&[&connect[..], more].concat()).unwrap_err().to_string();
        assert!(told(&[]).contains("--path"));
        assert!(told(&["--path", "a,64512:101,5"]).contains("four things"));
        assert!(told(&["--path", "a,here,5,6"]).contains("`here` is no route target"));
        assert!(told(&["--path", "a,1:1,x,6"]).contains("mark `x`"));
        assert!(told(&["--path", "a,1:1,5,6", "--hold", "2"]).contains("--hold 2"));
        assert!(told(&["--path", "a,1:1,5,6", "--path", "b,1:1,7,8"]).contains("same target"));
        assert!(settings(&["--listen", "127.0.0.1:1", "--path", "a,1:1,5,6"]).is_err());
    }
}
