// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Looks at the collectors of this server: does each say that it is ready, and how many sockets
//! are in the group. A collector that hangs does not answer, so it is not ready.

use std::{
    fmt, fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    str::FromStr,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

/// Longest head of an answer that is read.
const ANSWER_MAX: u64 = 4 << 10;
/// TCP state of a listener and of an unconnected UDP socket in `/proc/net`.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

/// A reuseport group whose members are counted: `tcp:1790` or `udp:4739`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    tcp: bool,
    port: u16,
}

impl FromStr for Group {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not like tcp:1790 or udp:4739");
        let (transport, port) = text.split_once(':').ok_or_else(wrong)?;
        let tcp = match transport {
            "tcp" => true,
            "udp" => false,
            _ => return Err(wrong()),
        };
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
        Ok(Self { tcp, port })
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", if self.tcp { "tcp" } else { "udp" }, self.port)
    }
}

/// What must be so for the server to be well.
#[derive(Debug, Clone)]
pub struct Needs {
    /// `--metrics` addresses of the collectors.
    pub watch: Vec<SocketAddr>,
    /// How many of them must be ready.
    pub min_ready: usize,
    /// Groups to count.
    pub groups: Vec<Group>,
    /// Members each must have, in each address family that is announced.
    pub min_members: usize,
    /// Address families that are announced: IPv4, IPv6.
    pub families: [bool; 2],
    /// How long a collector may take to answer.
    pub patience: Duration,
}

/// One look.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Everything is as it must be.
    pub well: bool,
    /// Collectors that are ready.
    pub ready: usize,
    /// The others, each with its reason.
    pub ill: Vec<String>,
    /// Members of each group: name, IPv4, IPv6.
    pub members: Vec<(String, [usize; 2])>,
}

impl Health {
    /// For an event.
    pub fn json(&self) -> Value {
        let members: Value = self
            .members
            .iter()
            .map(|(name, [v4, v6])| (name.clone(), json!({ "ipv4": v4, "ipv6": v6 })))
            .collect();
        json!({ "well": self.well, "ready": self.ready, "ill": self.ill, "members": members })
    }

    /// For people.
    pub fn words(&self) -> String {
        let mut words = format!("{} ready", self.ready);
        for (name, [v4, v6]) in &self.members {
            words.push_str(&format!(", {name} has {v4} IPv4 and {v6} IPv6 members"));
        }
        for ill in &self.ill {
            words.push_str(&format!("; {ill}"));
        }
        words
    }
}

/// Looks once. The collectors are asked at the same time, so one that hangs delays no other.
pub fn look(needs: &Needs) -> Health {
    let answers: Vec<(SocketAddr, Result<(), String>)> = thread::scope(|scope| {
        let asked: Vec<_> = needs
            .watch
            .iter()
            .map(|&addr| (addr, scope.spawn(move || ready(addr, needs.patience))))
            .collect();
        let broken = |_| Err("the look broke off".to_owned());
        asked.into_iter().map(|(addr, one)| (addr, one.join().unwrap_or_else(broken))).collect()
    });
    let members = needs.groups.iter().map(|group| (group.to_string(), members(*group))).collect();
    judge(needs, &answers, members)
}

/// What the answers mean.
fn judge(
    needs: &Needs,
    answers: &[(SocketAddr, Result<(), String>)],
    members: Vec<(String, [usize; 2])>,
) -> Health {
    let ready = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    let ill = answers
        .iter()
        .filter_map(|(addr, answer)| Some(format!("{addr}: {}", answer.as_ref().err()?)))
        .collect();
    let enough = members.iter().all(|(_, counts)| {
        let families = counts.iter().zip(needs.families);
        families.into_iter().all(|(count, wanted)| !wanted || *count >= needs.min_members)
    });
    let well = (answers.is_empty() || ready >= needs.min_ready) && enough;
    Health { well, ready, ill, members }
}

/// Whether the collector at `addr` says that it is ready.
fn ready(addr: SocketAddr, patience: Duration) -> Result<(), String> {
    let head = ask(addr, patience).map_err(|error| error.to_string())?;
    match head.split(' ').nth(1) {
        Some("200") => Ok(()),
        Some("503") => Err("draining".to_owned()),
        _ => Err(format!("answers {:?}", head.lines().next().unwrap_or_default())),
    }
}

fn ask(addr: SocketAddr, patience: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, patience)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))?;
    write!(stream, "GET /ready HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sockets of a group, IPv4 and IPv6. The collector opens one of each.
fn members(group: Group) -> [usize; 2] {
    let (files, state) = if group.tcp {
        (["/proc/net/tcp", "/proc/net/tcp6"], LISTEN)
    } else {
        (["/proc/net/udp", "/proc/net/udp6"], UNCONNECTED)
    };
    files.map(|file| count(&fs::read_to_string(file).unwrap_or_default(), group.port, state))
}

fn count(table: &str, port: u16, state: &str) -> usize {
    let port = format!(":{port:04X}");
    table
        .lines()
        .skip(1)
        .filter(|line| {
            let mut words = line.split_whitespace().skip(1);
            words.next().is_some_and(|local| local.ends_with(&port)) && words.nth(1) == Some(state)
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    fn needs(min_ready: usize, min_members: usize) -> Needs {
        Needs {
            watch: Vec::new(),
            min_ready,
            groups: Vec::new(),
            min_members,
            families: [true, false],
            patience: Duration::from_millis(500),
        }
    }

    #[test]
    fn groups_are_read() {
        let group: Group = "tcp:1790".parse().unwrap();
        assert_eq!(group.to_string(), "tcp:1790");
        for wrong in ["1790", "tcp:0", "sctp:1", "udp:70000"] {
            assert!(wrong.parse::<Group>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_minimum_counts_and_only_families_that_are_announced() {
        let addr: SocketAddr = "127.0.0.1:9101".parse().unwrap();
        let answers = [(addr, Ok(())), (addr, Err("draining".to_owned()))];
        let group = |v4, v6| vec![("tcp:1790".to_owned(), [v4, v6])];
        assert!(judge(&needs(1, 1), &answers, Vec::new()).well);
        assert!(!judge(&needs(2, 1), &answers, Vec::new()).well);
        assert!(judge(&needs(1, 2), &answers, group(2, 0)).well);
        assert!(!judge(&needs(1, 2), &answers, group(1, 3)).well);
        let both = Needs { families: [true, true], ..needs(1, 1) };
        assert!(!judge(&both, &answers, group(1, 0)).well);
        let words = judge(&needs(1, 1), &answers, group(1, 0)).words();
        assert_eq!(
            words,
            "1 ready, tcp:1790 has 1 IPv4 and 0 IPv6 members; 127.0.0.1:9101: draining"
        );
    }

    #[test]
    fn only_listeners_of_the_port_are_members() {
        let table = "  sl  local_address rem_address   st tx_queue\n   \
            0: 010200C0:06FE 00000000:0000 0A 00000000:00000000\n   \
            1: 010200C0:06FE 0100080A:9C41 01 00000000:00000000\n   \
            2: 010200C0:06FF 00000000:0000 0A 00000000:00000000\n";
        assert_eq!(count(table, 1790, LISTEN), 1);
        assert_eq!(count(table, 1790, UNCONNECTED), 0);
    }

    #[test]
    fn own_listener_is_counted_and_a_silent_one_is_not_ready() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let group: Group = format!("tcp:{}", addr.port()).parse().unwrap();
        let hung = Needs { watch: vec![addr], groups: vec![group], ..needs(1, 1) };
        // It accepts by its backlog but never answers, as a stopped process does.
        let health = look(&hung);
        assert!(!health.well);
        assert_eq!((health.ready, health.members[0].1[0]), (0, 1));
        assert!(look(&Needs { watch: Vec::new(), ..hung }).well);
    }
}
