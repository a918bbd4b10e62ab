// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the scene is run to show. Each claim is met or FAILED; none is skipped.

use crate::phase::Phase;
use serde::Serialize;

/// Smallest scene that counts.
#[derive(Clone, Copy, Debug)]
pub struct Least {
    /// Exporter addresses.
    pub exporters: u64,
    /// BMP sessions open at the kill.
    pub sessions: u64,
}

/// A claim about a phase.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    /// The phase; empty for the scene as a whole.
    pub phase: String,
    /// What is claimed.
    pub claim: String,
    /// Whether it is so.
    pub met: bool,
    /// The numbers behind it.
    pub found: String,
}

/// Judges a scene.
pub fn judge(phases: &[Phase], complete: bool, least: Least) -> Vec<Claim> {
    let mut book = Book { phase: String::new(), claims: Vec::new() };
    book.put("the scene came to its end", complete, String::new());
    for name in ["stock", "bpf-modulo", "telesteer"] {
        let ran = phases.iter().any(|phase| phase.name == name);
        book.put(&format!("phase {name} ran"), ran, String::new());
    }
    for phase in phases {
        book.phase.clone_from(&phase.name);
        measured(&mut book, phase, least);
        match phase.name.as_str() {
            "stock" => stock(&mut book, phase),
            "telesteer" => telesteer(&mut book, phase),
            _ => {}
        }
    }
    book.claims
}

struct Book {
    phase: String,
    claims: Vec<Claim>,
}

impl Book {
    fn put(&mut self, claim: &str, met: bool, found: String) {
        let (phase, claim) = (self.phase.clone(), claim.to_string());
        self.claims.push(Claim { phase, claim, met, found });
    }

    fn zero(&mut self, claim: &str, found: u64) {
        self.put(claim, found == 0, found.to_string());
    }

    fn at_least(&mut self, claim: &str, found: u64, least: u64) {
        self.put(claim, found >= least, format!("{found} of at least {least}"));
    }
}

/// That a phase was measured as it must be.
fn measured(book: &mut Book, p: &Phase, least: Least) {
    book.zero("the capture lost no packet", p.capture_drops);
    book.zero("the capture is whole", p.capture_cut + p.bmp_streams_unprovable);
    book.zero("every output line can be read", p.output_lines_bad);
    book.zero("every BMP line holds the captured bytes", p.bmp_lines_wrong + p.bmp_lines_unknown);
    book.zero("every BMP line holds its bytes", p.bmp_lines_without_raw);
    book.zero("every journalled datagram was sent", p.datagrams_phantom);
    book.put("the scene met no error", p.scene_errors.is_empty(), p.scene_errors.join("; "));
    book.at_least("exporters", p.exporters, least.exporters);
    let families = p.exporters_ipv4.min(p.exporters_ipv6);
    book.at_least("exporters of each address family", families, 1);
    book.at_least("BMP sessions open at the kill", p.bmp_sessions, least.sessions);
    let of_dead = p.sessions_of_dead;
    book.at_least("BMP sessions of the dead collector", of_dead, 1);
    let half = of_dead.div_ceil(2).max(1);
    let unread = p.sessions_with_unread_bytes_at_kill;
    book.at_least("its sessions with unread bytes at the kill (half)", unread, half);
    let tenth = of_dead.div_ceil(10).max(1);
    let inside = p.sessions_mid_message_at_kill;
    book.at_least("its sessions ending inside a message at the kill (a tenth)", inside, tenth);
    book.at_least("exporters of the dead collector", p.exporters_of_dead, 1);
    book.at_least("exporters of the drained collector", p.exporters_of_drained, 1);
}

/// That without help the scene hurts; otherwise it proves nothing.
fn stock(book: &mut Book, p: &Phase) {
    book.at_least("stock resets sessions", p.bmp_sessions_reset, 1);
    book.at_least("stock loses BMP messages", p.bmp_messages_lost, 1);
    book.at_least("stock takes BMP and datagrams of a router apart", p.routers_split, 1);
}

/// What telesteer promises.
fn telesteer(book: &mut Book, p: &Phase) {
    book.zero("no session is reset", p.bmp_sessions_reset);
    book.zero("no RST", p.rst_seen);
    book.zero("no FIN", p.fin_seen);
    book.zero("no BMP message is lost", p.bmp_messages_lost);
    let identical = p.bmp_streams_identical == p.bmp_streams && p.bmp_streams > 0;
    let streams = format!("{} of {} streams", p.bmp_streams_identical, p.bmp_streams);
    book.put("after dedup every stream is byte-identical", identical, streams);
    book.zero("outputs agree about message boundaries", p.bmp_lines_overlapping);
    let taken = format!("{} of {}", p.takeovers, p.sessions_of_dead);
    let all = p.takeovers == p.sessions_of_dead;
    book.put("every session of the dead collector was taken over", all, taken);
    book.zero("no record is undecodable", p.records_undecodable);
    book.zero("no record was made up", p.records_unexpected);
    book.zero("every decoded record was written down", p.flow_lines_missing);
    book.zero("no datagram is lost in steady state", p.datagrams_lost_steady);
    let after = p.datagrams_lost_by_crash.saturating_sub(p.datagrams_died_unread);
    book.zero("the crash loses only datagrams in the dead one's sockets", after);
    book.zero("the drain loses no datagram", p.datagrams_lost_by_drain);
    let bystanders = p.exporters_moved_by_crash_not_of_dead;
    book.zero("the crash moves only exporters of the dead collector", bystanders);
    let elsewhere = p.exporters_moved_by_return_elsewhere;
    book.zero("the return moves exporters only to the returned collector", elsewhere);
    let bystanders = p.exporters_moved_by_drain_not_of_drained;
    book.zero("the drain moves only exporters of the drained collector", bystanders);
    if p.policy_deadline_ms > 0 {
        book.at_least("live flows compared after the return", p.flows_kept, 1);
        let elsewhere = p.flows_kept_elsewhere;
        book.zero("before the deadline the return moves no live flow", elsewhere);
    }
    book.at_least("flows compared after the deadline", p.flows_mapped, 1);
    let elsewhere = p.flows_mapped_elsewhere;
    book.zero("after the deadline the map equals the one before the kill", elsewhere);
    let left = format!("{} new, {} offered", p.new_to_drained, p.offered_to_drained);
    let tried = p.drained_said_it_left && p.offered_to_drained > 0;
    let nothing = tried && p.new_to_drained == 0;
    book.put("a draining member gets nothing new", nothing, left);
    book.at_least("routers with BMP and datagrams", p.routers_with_both, 1);
    book.zero("BMP and datagrams of a router meet on one instance", p.routers_split);
    let (heard, silent) = (p.programs.join(", "), p.programs_silent.join(", "));
    let found = if silent.is_empty() { heard } else { format!("not {silent}") };
    let all = !p.programs.is_empty() && p.programs_silent.is_empty();
    book.put("every real router and exporter was received", all, found);
    book.zero("no exporter falls silent", p.exporters_silent_after_crash);
    book.zero("no exporter is refused", p.exporters_refused);
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: Least = Least { exporters: 2, sessions: 10 };

    fn good(name: &str) -> Phase {
        let mut phase = Phase {
            name: name.to_string(),
            exporters: 2,
            exporters_ipv4: 1,
            exporters_ipv6: 1,
            exporters_of_dead: 1,
            exporters_of_drained: 1,
            policy_deadline_ms: 20_000,
            flows_kept: 2,
            flows_mapped: 2,
            routers_with_both: 1,
            drained_said_it_left: true,
            offered_to_drained: 2,
            programs: vec!["frr".to_string()],
            bmp_sessions: 10,
            bmp_streams: 10,
            bmp_streams_identical: 10,
            sessions_of_dead: 10,
            sessions_with_unread_bytes_at_kill: 5,
            sessions_mid_message_at_kill: 1,
            takeovers: 10,
            datagrams_lost_by_crash: 3,
            datagrams_died_unread: 3,
            ..Phase::default()
        };
        if name == "stock" {
            phase.bmp_sessions_reset = 3;
            phase.bmp_messages_lost = 3;
            phase.routers_split = 1;
        }
        phase
    }

    fn failed(change: impl FnOnce(&mut [Phase])) -> Vec<String> {
        let mut phases = ["stock", "bpf-modulo", "telesteer"].map(good);
        change(&mut phases);
        let claims = judge(&phases, true, LEAST);
        claims.into_iter().filter(|claim| !claim.met).map(|claim| claim.claim).collect()
    }

    #[test]
    fn a_good_scene() {
        assert_eq!(failed(|_| {}), Vec::<String>::new());
    }

    #[test]
    fn each_claim_can_fail() {
        type Change = fn(&mut [Phase]);
        let twins: [(&str, Change); 24] = [
            ("no session is reset", |p| p[2].bmp_sessions_reset = 1),
            ("no RST", |p| p[2].rst_seen = 1),
            ("no FIN", |p| p[2].fin_seen = 1),
            ("no BMP message is lost", |p| p[2].bmp_messages_lost = 1),
            ("after dedup every stream is byte-identical", |p| p[2].bmp_streams_identical = 9),
            ("every session of the dead collector was taken over", |p| p[2].takeovers = 9),
            ("no record is undecodable", |p| p[2].records_undecodable = 1),
            ("the drain loses no datagram", |p| p[2].datagrams_lost_by_drain = 1),
            ("the crash loses only datagrams in the dead one's sockets", |p| {
                p[2].datagrams_lost_by_crash = 4;
            }),
            ("the crash moves only exporters of the dead collector", |p| {
                p[2].exporters_moved_by_crash_not_of_dead = 1;
            }),
            ("live flows compared after the return", |p| p[2].flows_kept = 0),
            ("before the deadline the return moves no live flow", |p| {
                p[2].flows_kept_elsewhere = 1;
            }),
            ("after the deadline the map equals the one before the kill", |p| {
                p[2].flows_mapped_elsewhere = 1;
            }),
            ("a draining member gets nothing new", |p| p[2].new_to_drained = 1),
            ("a draining member gets nothing new", |p| p[2].drained_said_it_left = false),
            ("a draining member gets nothing new", |p| p[2].offered_to_drained = 0),
            ("BMP and datagrams of a router meet on one instance", |p| p[2].routers_split = 1),
            ("every real router and exporter was received", |p| {
                p[2].programs_silent = vec!["bird".to_string()];
            }),
            ("no exporter is refused", |p| p[2].exporters_refused = 1),
            ("stock loses BMP messages", |p| p[0].bmp_messages_lost = 0),
            ("stock takes BMP and datagrams of a router apart", |p| p[0].routers_split = 0),
            ("its sessions with unread bytes at the kill (half)", |p| {
                p[1].sessions_with_unread_bytes_at_kill = 4;
            }),
            ("its sessions ending inside a message at the kill (a tenth)", |p| {
                p[2].sessions_mid_message_at_kill = 0;
            }),
            ("the capture lost no packet", |p| p[0].capture_drops = 1),
        ];
        for (claim, change) in twins {
            assert_eq!(failed(change), [claim]);
        }
    }

    #[test]
    fn a_missing_phase_or_end_fails() {
        let claims = judge(&[good("telesteer")], false, LEAST);
        let failed: Vec<_> = claims.iter().filter(|c| !c.met).map(|c| c.claim.as_str()).collect();
        let expected = ["the scene came to its end", "phase stock ran", "phase bpf-modulo ran"];
        assert_eq!(failed, expected);
    }
}
