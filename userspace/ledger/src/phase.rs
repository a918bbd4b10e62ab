// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One phase of the scene: its captures and outputs joined into one row of the report.

use crate::datagrams::{Datagrams, Rates};
use crate::error::{Error, Result};
use crate::fragment::Fragments;
use crate::members::Member;
use crate::moves::{Moves, Window};
use crate::outputs::{self, Read};
use crate::packet::{self, Transport};
use crate::pcap::Reader;
use crate::scene::{CaptureStats, Exporter, PhaseInfo, Ports, Timeline, read_json};
use crate::sessions::Sessions;
use crate::stream::{Connections, Tuple};
use crate::{datagrams, sessions};
use serde::Serialize;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

/// One element of `phases` in report.json. Times are in ms, `null` when there was no takeover.
#[derive(Clone, Debug, Default, Serialize)]
#[expect(missing_docs, reason = "the issue's field names; the others say what they count")]
pub struct Phase {
    pub name: String,
    pub policy: String,
    pub bmp_sessions: u64,
    pub bmp_connections: u64,
    pub bmp_sessions_reset: u64,
    pub rst_seen: u64,
    pub fin_seen: u64,
    pub bmp_messages_sent: u64,
    pub bmp_messages_acked: u64,
    pub bmp_messages_delivered: u64,
    pub bmp_messages_lost: u64,
    pub bmp_messages_duplicated: u64,
    pub bmp_lines_wrong: u64,
    pub bmp_lines_overlapping: u64,
    pub bmp_lines_unknown: u64,
    pub bmp_lines_without_raw: u64,
    pub bmp_lines_undecoded: u64,
    pub bmp_streams: u64,
    pub bmp_streams_identical: u64,
    pub bmp_streams_unprovable: u64,
    pub bmp_bytes_sent: u64,
    pub exporters: u64,
    pub exporters_ipv4: u64,
    pub exporters_ipv6: u64,
    pub programs: Vec<String>,
    pub programs_silent: Vec<String>,
    pub exporters_of_dead: u64,
    pub exporters_moved_by_crash: u64,
    pub exporters_moved_by_crash_not_of_dead: u64,
    pub exporters_moved_by_return: u64,
    pub exporters_moved_by_return_elsewhere: u64,
    pub exporters_of_drained: u64,
    pub exporters_moved_by_drain: u64,
    pub exporters_moved_by_drain_not_of_drained: u64,
    pub exporters_silent_after_crash: u64,
    pub policy_deadline_ms: i64,
    pub flows_kept: u64,
    pub flows_kept_elsewhere: u64,
    pub flows_mapped: u64,
    pub flows_mapped_elsewhere: u64,
    pub routers_with_both: u64,
    pub routers_split: u64,
    pub new_to_drained: u64,
    pub offered_to_drained: u64,
    pub drained_said_it_left: bool,
    pub exporters_refused: u64,
    pub datagrams_sent: u64,
    pub datagrams_received: u64,
    pub datagrams_lost_steady: u64,
    pub datagrams_lost_by_crash: u64,
    pub datagrams_died_unread: u64,
    pub datagrams_lost_by_drain: u64,
    pub datagrams_phantom: u64,
    pub records_sent: u64,
    pub records_undecodable: u64,
    pub records_unexpected: u64,
    pub flow_lines_missing: u64,
    pub flow_lines_missing_of_dead: u64,
    pub sessions_of_dead: u64,
    pub sessions_with_unread_bytes_at_kill: u64,
    pub unread_bytes_at_kill: u64,
    pub sessions_mid_message_at_kill: u64,
    pub takeovers: u64,
    pub takeover_ms_p50: Option<f64>,
    pub takeover_ms_p99: Option<f64>,
    pub drain_takeovers: u64,
    pub drain_takeover_ms_p50: Option<f64>,
    pub drain_takeover_ms_p99: Option<f64>,
    pub capture_packets: u64,
    pub capture_drops: u64,
    pub capture_cut: u64,
    pub output_lines: u64,
    pub output_lines_bad: u64,
    pub output_lines_torn: u64,
    pub scene_errors: Vec<String>,
    pub members: Vec<Member>,
}

/// What the plot of a phase needs; times in Unix microseconds.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// (begin, end) of each established connection.
    pub sessions: Vec<(i64, i64)>,
    /// Journal lines per second and instance.
    pub rates: Rates,
    /// When things happened.
    pub timeline: Timeline,
    /// First packet.
    pub begin_us: i64,
}

/// What a capture holds.
struct Capture {
    connections: Connections,
    datagrams: Datagrams,
    refused: BTreeSet<IpAddr>,
    packets: u64,
    cut: u64,
    begin_us: i64,
}

/// Accounts for the phase in `folder`, holding at most `max_bytes` of streams.
pub fn account(name: &str, folder: &Path, ports: Ports, max_bytes: u64) -> Result<(Phase, Series)> {
    let timeline = Timeline::read(&folder.join("timeline.jsonl"))?;
    let info: PhaseInfo = read_json(&folder.join("phase.json"))?;
    let stats: CaptureStats = read_json(&folder.join("capture.json"))?;
    let capture = capture(&folder.join("exporters.pcap"), ports, &timeline, max_bytes)?;
    let Capture { connections, mut datagrams, refused, packets, cut, begin_us } = capture;

    let (mut read, mut moves) = (Read::default(), Moves::default());
    let mut left_us = None;
    let mut sessions = Sessions::new(&connections, &timeline);
    for file in outputs::files(&folder.join("out"))? {
        outputs::read(&file, &mut read, |line| match &*line.kind {
            "bmp" => {
                let ts = line.ts_us();
                if let (Some(exporter), Some(window)) = (line.exporter(), Window::of(&timeline, ts))
                {
                    moves.seen(window, (exporter, 0, ports.bmp), ts, line.instance);
                }
                sessions.message(line);
            }
            "event" if line.event == "drain_left" && line.instance == timeline.drained => {
                left_us.get_or_insert(line.ts_us());
            }
            "event" if line.event == "accept" || line.event == "heir" => sessions.accepted(line),
            "datagram" | "late" => datagrams.journal(line),
            "flow" => datagrams.flow_line(line),
            _ => {}
        })?;
    }

    let talkers = connections.all.iter().map(|connection| connection.tuple.exporter);
    let exporters: BTreeSet<IpAddr> = talkers.chain(datagrams.exporters()).collect();
    let end_us = timeline.end_us;
    let series = Series {
        sessions: connections
            .all
            .iter()
            .filter_map(|c| Some((c.established_us?, c.end_us().unwrap_or(end_us))))
            .collect(),
        rates: datagrams.rates().clone(),
        timeline: timeline.clone(),
        begin_us,
    };
    let left = left_us.unwrap_or(i64::MAX);
    let bmp = sessions.settle(left);
    let deadline_us = info.deadline_ms * 1000;
    let sources = info.exporters.clone();
    let udp = datagrams.settle(&timeline, (left, deadline_us), &mut moves);
    let mut phase = Phase {
        name: name.to_string(),
        members: info.members.clone(),
        policy_deadline_ms: info.deadline_ms,
        policy: policy(info),
        new_to_drained: bmp.new_to_drained + udp.new_to_drained,
        offered_to_drained: udp.offered_to_drained,
        drained_said_it_left: left_us.is_some(),
        exporters: exporters.len() as u64,
        exporters_ipv4: exporters.iter().filter(|address| address.is_ipv4()).count() as u64,
        exporters_ipv6: exporters.iter().filter(|address| address.is_ipv6()).count() as u64,
        exporters_refused: refused.len() as u64,
        capture_packets: packets,
        capture_drops: stats.dropped_by_kernel + stats.dropped_by_interface,
        capture_cut: cut,
        output_lines: read.lines,
        output_lines_bad: read.bad,
        output_lines_torn: read.torn,
        scene_errors: timeline.errors.clone(),
        ..Phase::default()
    };
    phase.put_moves(&moves, &timeline);
    let real = sources.into_iter().filter(|one| one.by != "replay");
    let (heard, silent): (Vec<_>, Vec<_>) = real.partition(|one| moves.heard(one.addr));
    let names = |list: Vec<Exporter>| list.into_iter().map(|one| one.by).collect();
    (phase.programs, phase.programs_silent) = (names(heard), names(silent));
    phase.put_sessions(&bmp);
    phase.put_datagrams(&udp);
    Ok((phase, series))
}

impl Phase {
    fn put_moves(&mut self, moves: &Moves, timeline: &Timeline) {
        let crash = moves.between(Window::Before, Window::Without, timeline.killed);
        self.exporters_of_dead = crash.owned;
        self.exporters_moved_by_crash = crash.all;
        self.exporters_moved_by_crash_not_of_dead = crash.bystanders;
        self.exporters_silent_after_crash = crash.silent;
        let back = moves.between(Window::Without, Window::Returned, timeline.killed);
        self.exporters_moved_by_return = back.all;
        self.exporters_moved_by_return_elsewhere = back.elsewhere;
        let drain = moves.between(Window::Returned, Window::Drained, timeline.drained);
        self.exporters_of_drained = drain.owned;
        self.exporters_moved_by_drain = drain.all;
        self.exporters_moved_by_drain_not_of_drained = drain.bystanders;
        (self.flows_kept, self.flows_kept_elsewhere) = moves.strayed(Window::Without, Window::Kept);
        (self.flows_mapped, self.flows_mapped_elsewhere) =
            moves.differ(Window::Before, Window::Mapped);
        (self.routers_with_both, self.routers_split) = moves.meet(Window::Before);
    }

    fn put_sessions(&mut self, bmp: &sessions::Totals) {
        self.bmp_sessions = bmp.at_kill;
        self.bmp_connections = bmp.connections;
        self.bmp_sessions_reset = bmp.reset;
        self.rst_seen = bmp.rst;
        self.fin_seen = bmp.fin;
        self.bmp_messages_sent = bmp.sent;
        self.bmp_messages_acked = bmp.acked;
        self.bmp_messages_delivered = bmp.delivered;
        self.bmp_messages_lost = bmp.lost();
        self.bmp_messages_duplicated = bmp.duplicated;
        self.bmp_lines_wrong = bmp.wrong;
        self.bmp_lines_overlapping = bmp.overlapping;
        self.bmp_lines_unknown = bmp.unknown;
        self.bmp_lines_without_raw = bmp.without_raw;
        self.bmp_lines_undecoded = bmp.undecoded;
        self.bmp_streams = bmp.with_messages;
        self.bmp_streams_identical = bmp.identical;
        self.bmp_streams_unprovable = bmp.unprovable;
        self.bmp_bytes_sent = bmp.bytes;
        self.sessions_of_dead = bmp.of_victim;
        self.sessions_with_unread_bytes_at_kill = bmp.unread;
        self.unread_bytes_at_kill = bmp.unread_bytes;
        self.sessions_mid_message_at_kill = bmp.mid_message;
        self.takeovers = bmp.takeover_ms.len() as u64;
        self.takeover_ms_p50 = quantile(&bmp.takeover_ms, 0.50);
        self.takeover_ms_p99 = quantile(&bmp.takeover_ms, 0.99);
        self.drain_takeovers = bmp.drain_takeover_ms.len() as u64;
        self.drain_takeover_ms_p50 = quantile(&bmp.drain_takeover_ms, 0.50);
        self.drain_takeover_ms_p99 = quantile(&bmp.drain_takeover_ms, 0.99);
    }

    fn put_datagrams(&mut self, udp: &datagrams::Totals) {
        self.datagrams_sent = udp.sent;
        self.datagrams_received = udp.received;
        self.datagrams_lost_steady = udp.lost_steady;
        self.datagrams_lost_by_crash = udp.lost_by_crash;
        self.datagrams_died_unread = udp.died_unread;
        self.datagrams_lost_by_drain = udp.lost_by_drain;
        self.datagrams_phantom = udp.phantom;
        self.records_sent = udp.records_sent;
        self.records_undecodable = udp.undecodable;
        self.records_unexpected = udp.unexpected;
        self.flow_lines_missing = udp.missing_lines;
        self.flow_lines_missing_of_dead = udp.missing_lines_of_victim;
    }
}

/// What steers, as a collector said when it was ready, without its own number.
fn policy(info: PhaseInfo) -> String {
    let text = info.policy.or(info.steering).unwrap_or_default();
    let words = text.split_whitespace().filter(|word| !word.starts_with("instance="));
    words.collect::<Vec<_>>().join(" ")
}

/// Reads a capture front to back.
fn capture(path: &Path, ports: Ports, timeline: &Timeline, max_bytes: u64) -> Result<Capture> {
    let mut reader = Reader::open(path)?;
    let link = reader.link();
    let mut fragments = Fragments::default();
    let mut into = Capture {
        connections: Connections::default(),
        datagrams: Datagrams::new(ports),
        refused: BTreeSet::new(),
        packets: 0,
        cut: 0,
        begin_us: i64::MAX,
    };
    while let Some(record) = reader.record()? {
        into.packets += 1;
        into.begin_us = into.begin_us.min(record.ts_us);
        into.cut += u64::from(record.wire_len > record.data.len());
        let Some(packet) = packet::ip(link, record.data) else { continue };
        let whole;
        let body = match packet.fragment {
            None => packet.body,
            Some(_) => match fragments.add(&packet) {
                Some(body) => {
                    whole = body;
                    &whole[..]
                }
                None => continue,
            },
        };
        let ends = (packet.src, packet.dst);
        into.take(ends, packet.protocol, body, record.ts_us, (ports, timeline));
        if into.connections.bytes > max_bytes {
            return Err(Error::TooLarge(max_bytes));
        }
    }
    into.cut += u64::from(reader.torn()) + fragments.incomplete();
    Ok(into)
}

impl Capture {
    fn take(
        &mut self,
        (src, dst): (IpAddr, IpAddr),
        protocol: u8,
        body: &[u8],
        ts_us: i64,
        (ports, timeline): (Ports, &Timeline),
    ) {
        let running = ts_us < timeline.senders_stop_us;
        match packet::transport(protocol, body) {
            Some(Transport::Tcp(tcp)) if tcp.dport == ports.bmp => {
                let (port, local_port) = (tcp.sport, tcp.dport);
                let tuple = Tuple { exporter: src, port, local: dst, local_port };
                self.connections.from_exporter(tuple, ts_us, &tcp);
            }
            Some(Transport::Tcp(tcp)) if tcp.sport == ports.bmp => {
                let (port, local_port) = (tcp.dport, tcp.sport);
                let tuple = Tuple { exporter: dst, port, local: src, local_port };
                if tcp.rst && running && !self.connections.established(tuple) {
                    self.refused.insert(dst);
                }
                self.connections.from_collector(tuple, ts_us, &tcp);
            }
            Some(Transport::Udp(udp)) if ports.is_datagram(udp.dport) => {
                self.datagrams.sent((src, udp.sport, udp.dport), ts_us, udp.data);
            }
            Some(Transport::Refused { exporter, port }) => {
                if running && (ports.is_datagram(port) || port == ports.bmp) {
                    self.refused.insert(exporter);
                }
            }
            Some(_) => {}
            None => self.cut += 1,
        }
    }
}

/// The value below which a share `q` of `sorted` lies (nearest rank).
fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::claims::{Least, judge};
    use crate::testing::frame::{self, FIN, RST, Seg};
    use crate::testing::play::{LOCAL, Play, SECOND};

    /// The good phase with one thing broken.
    fn broken(change: impl FnOnce(&mut Play)) -> Phase {
        let mut play = Play::good();
        change(&mut play);
        play.frames.sort_by_key(|(ts, _)| *ts);
        play.account().0
    }

    /// Claims of the phase itself that it fails.
    fn failed(phase: &Phase) -> Vec<String> {
        let least = Least { exporters: 4, sessions: 2 };
        let claims = judge(std::slice::from_ref(phase), true, least);
        let own = claims.into_iter().filter(|claim| !claim.met && !claim.phase.is_empty());
        own.map(|claim| claim.claim).collect()
    }

    #[test]
    fn all_is_well() {
        let (phase, series) = Play::good().account();
        assert_eq!(failed(&phase), Vec::<String>::new(), "{phase:#?}");
        assert_eq!((phase.bmp_sessions, phase.sessions_of_dead), (2, 1));
        assert_eq!((phase.bmp_messages_sent, phase.bmp_messages_lost), (58, 0));
        assert_eq!(phase.bmp_messages_acked, 58);
        assert_eq!(phase.sessions_with_unread_bytes_at_kill, 1);
        assert_eq!(phase.unread_bytes_at_kill, 59 + 9);
        assert_eq!(phase.sessions_mid_message_at_kill, 1);
        assert_eq!(phase.takeover_ms_p50, Some(250.0));
        assert_eq!(phase.drain_takeover_ms_p99, Some(1000.0));
        assert_eq!((phase.exporters_of_dead, phase.exporters_moved_by_crash), (2, 2));
        assert_eq!(phase.exporters_moved_by_return, 2);
        assert_eq!((phase.exporters_of_drained, phase.exporters_moved_by_drain), (2, 2));
        assert_eq!((phase.datagrams_sent, phase.datagrams_received), (171, 167));
        assert_eq!((phase.datagrams_lost_by_crash, phase.datagrams_died_unread), (4, 4));
        assert_eq!((phase.records_sent, phase.records_undecodable), (336, 0));
        assert_eq!((phase.flows_mapped, phase.flows_mapped_elsewhere), (3, 0));
        assert_eq!((phase.routers_with_both, phase.routers_split), (1, 0));
        assert_eq!((phase.new_to_drained, phase.drained_said_it_left), (0, true));
        assert_eq!(phase.offered_to_drained, 1);
        let plot = crate::svg::draw(&[(phase, series)]);
        assert!(plot.contains("telesteer: BMP sessions alive") && plot.ends_with("</svg>\n"));
    }

    #[test]
    fn a_datagram_to_a_member_that_drains_is_seen() {
        let phase = broken(|play| {
            // Its first one after the collector has left the selection.
            let parts = ["\"type\":\"datagram\"", "2001:db8:8::4", "\"instance\":3"];
            let line = play.find(0, &parts);
            play.lines[line] = play.lines[line].replace("\"instance\":3", "\"instance\":2");
        });
        assert_eq!((phase.offered_to_drained, phase.new_to_drained), (2, 1));
        assert!(failed(&phase).contains(&"a draining member gets nothing new".to_owned()));
    }

    #[test]
    fn a_deleted_line_is_a_lost_message() {
        let phase = broken(|play| {
            let line = play.find(5, &["\"type\":\"bmp\""]);
            play.lines.remove(line);
        });
        assert_eq!((phase.bmp_messages_lost, phase.bmp_streams_identical), (1, 1));
        let claims = ["no BMP message is lost", "after dedup every stream is byte-identical"];
        assert_eq!(failed(&phase), claims);
    }

    #[test]
    fn an_altered_byte_is_a_wrong_line() {
        let phase = broken(|play| {
            let line = play.find(5, &["\"type\":\"bmp\""]);
            play.lines[line] = play.lines[line].replace("1010", "1011");
        });
        assert_eq!((phase.bmp_lines_wrong, phase.bmp_messages_lost), (1, 1));
    }

    #[test]
    fn a_line_at_another_offset_is_wrong() {
        let phase = broken(|play| {
            let line = play.find(0, &["\"type\":\"bmp\"", "\"offset\":0"]);
            play.lines[line] = play.lines[line].replace("\"offset\":0", "\"offset\":1");
        });
        assert_eq!((phase.bmp_lines_wrong, phase.bmp_messages_lost), (1, 1));
    }

    #[test]
    fn an_undecoded_message_is_told_and_delivered() {
        let phase = broken(|play| {
            let line = play.find(5, &["\"type\":\"bmp\""]);
            play.lines[line] = play.lines[line].replace("\"raw\":", "\"error\":\"why\",\"raw\":");
        });
        assert_eq!((phase.bmp_lines_undecoded, phase.bmp_messages_lost), (1, 0));
    }

    #[test]
    fn a_line_of_nobody_is_unknown() {
        let phase = broken(|play| {
            let line = play.find(5, &["\"type\":\"bmp\""]);
            play.lines[line] = play.lines[line].replace("\"port\":40000", "\"port\":40001");
        });
        assert_eq!((phase.bmp_lines_unknown, phase.bmp_messages_lost), (1, 1));
    }

    #[test]
    fn a_repeated_line_is_a_duplicate_and_no_harm() {
        let phase = broken(|play| {
            let line = play.find(5, &["\"type\":\"bmp\""]);
            play.lines.push(play.lines[line].clone());
        });
        assert_eq!((phase.bmp_messages_duplicated, failed(&phase).len()), (1, 0));
    }

    #[test]
    fn a_line_that_is_no_json_is_bad_and_its_message_lost() {
        let phase = broken(|play| {
            let line = play.find(28, &["\"type\":\"bmp\""]);
            play.lines[line] = play.lines[line].replace("\"raw\":", "\"raw\"");
        });
        assert_eq!((phase.output_lines_bad, phase.bmp_messages_lost), (1, 1));
    }

    #[test]
    fn ends_of_the_collectors_side() {
        for (flag, rst, fin) in [(RST, 1, 0), (FIN, 0, 1)] {
            let end = frame::tcp(LOCAL, 1790, "10.8.0.2", 40_000, Seg::flag(2, flag));
            let at = |second: i64| {
                let end = end.clone();
                broken(move |play| play.frames.push((second * SECOND, end)))
            };
            let phase = at(39);
            assert_eq!((phase.rst_seen, phase.fin_seen, phase.bmp_sessions_reset), (rst, fin, 1));
            let phase = at(41);
            assert_eq!((phase.rst_seen, phase.fin_seen, phase.bmp_sessions_reset), (0, 0, 0));
        }
    }

    #[test]
    fn refusals() {
        let phase = broken(|play| {
            let icmp = frame::unreachable("10.8.0.3", 5000, LOCAL, 4739);
            play.frames.push((21 * SECOND, icmp.clone()));
            play.frames.push((22 * SECOND, icmp));
            let syn = frame::tcp("10.8.0.9", 7, LOCAL, 1790, Seg::flag(1, frame::SYN));
            let rst = frame::tcp(LOCAL, 1790, "10.8.0.9", 7, Seg::flag(0, RST));
            play.frames.push((22 * SECOND, syn));
            play.frames.push((22 * SECOND + 1, rst));
        });
        assert_eq!((phase.exporters_refused, phase.rst_seen), (2, 0));
    }

    #[test]
    fn a_datagram_without_a_journal_line_is_lost_where_it_belongs() {
        let lost = |second: &str| {
            broken(|play| {
                let ts = format!("\"ts\":{second}");
                let line = play.find(0, &["\"type\":\"datagram\"", &ts, "2001:"]);
                play.lines.remove(line);
            })
        };
        assert_eq!(lost("12.").datagrams_lost_steady, 1);
        let phase = lost("21.");
        assert_eq!((phase.datagrams_lost_by_crash, phase.datagrams_died_unread), (5, 4));
        assert_eq!(lost("30.").datagrams_lost_by_drain, 1);
    }

    #[test]
    fn a_bystander_that_moves() {
        let phase = broken(|play| {
            let line = play.find(0, &["\"type\":\"datagram\"", "\"ts\":22.", "2001:"]);
            play.lines[line] = play.lines[line].replace("\"instance\":2", "\"instance\":3");
        });
        assert_eq!(phase.exporters_moved_by_crash_not_of_dead, 1);
    }

    #[test]
    fn records_that_were_not_decoded() {
        let phase = broken(|play| {
            let line = play.find(9, &["\"type\":\"datagram\"", "\"records\":2"]);
            play.lines[line] = play.lines[line]
                .replace("\"records\":2", "\"records\":0")
                .replace("\"ok\"", "\"waiting_template\"");
        });
        assert_eq!(phase.records_undecodable, 2);
        // Decoded late, they are fine.
        let phase = broken(|play| {
            let line = play.find(9, &["\"type\":\"datagram\"", "\"records\":2"]);
            let late = play.lines[line].replace("\"datagram\"", "\"late\"");
            play.lines[line] = play.lines[line].replace("\"records\":2", "\"records\":0");
            play.lines.push(late);
        });
        assert_eq!(phase.records_undecodable, 0);
        let phase = broken(|play| {
            let line = play.find(9, &["\"type\":\"flow\"", "2001:"]);
            play.lines.remove(line);
        });
        assert_eq!(phase.flow_lines_missing, 1);
    }

    #[test]
    fn a_capture_that_misses_something_proves_nothing() {
        let phase = broken(|play| {
            play.capture = r#"{"captured":1,"dropped_by_kernel":3}"#.into();
        });
        assert_eq!(phase.capture_drops, 3);
        // A segment in the middle, then the SYN.
        let phase = broken(|play| {
            let middle = play.frames.iter().position(|(ts, _)| *ts == 15 * SECOND).unwrap();
            play.frames.remove(middle);
        });
        assert_eq!(phase.bmp_streams_unprovable, 1);
        let phase = broken(|play| {
            let syn = play.frames.iter().position(|(ts, _)| *ts == 5 * SECOND).unwrap();
            play.frames.remove(syn);
        });
        assert_eq!(phase.bmp_streams_unprovable, 1);
    }

    #[test]
    fn bounded_memory() {
        let folder = tempfile::tempdir().unwrap();
        Play::good().write(folder.path());
        let outcome = account("telesteer", folder.path(), Ports::default(), 100);
        assert!(matches!(outcome, Err(Error::TooLarge(100))));
    }

    #[test]
    fn nearest_rank() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&values, 0.50), Some(50.0));
        assert_eq!(quantile(&values, 0.99), Some(99.0));
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
