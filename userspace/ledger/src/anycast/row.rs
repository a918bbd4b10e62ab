// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One way to spread in one address family: who moved and who was reset when a server left, and
//! when it came back.

use super::Mode;
use super::flows::{Capture, Flow, Session, Sort};
use super::timeline::{Timeline, Window};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// Captures by server.
type Servers = BTreeMap<u64, Capture>;

/// A row of the table. "Others" are exporters and sessions that were not on the server that left.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Row {
    /// The way to spread.
    #[serde(flatten)]
    pub mode: Mode,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// Exporters of datagrams.
    pub exporters: u64,
    /// Of these: on the server that left.
    pub exporters_of_leaver: u64,
    /// Who changed servers when it left.
    pub moved_by_withdraw: Vec<IpAddr>,
    /// Of these: others.
    pub others_moved_by_withdraw: u64,
    /// Who changed servers when it came back.
    pub moved_by_return: Vec<IpAddr>,
    /// Heard before an event and not after it.
    pub silent: u64,
    /// BMP sessions open when the server left.
    pub sessions: u64,
    /// Of these: on the server that left.
    pub sessions_of_leaver: u64,
    /// Whose session was reset when it left.
    pub reset_by_withdraw: Vec<IpAddr>,
    /// Of these: others.
    pub others_reset_by_withdraw: u64,
    /// BMP sessions open when it came back.
    pub sessions_at_return: u64,
    /// Whose session was reset when it came back.
    pub reset_by_return: Vec<IpAddr>,
    /// Resets while nothing happened.
    pub reset_in_between: u64,
    /// Routers with both, datagrams and a session, while all servers were there.
    pub routers: u64,
    /// Of these: their session and their datagrams went to different servers.
    pub routers_split: u64,
    /// Datagrams that left the edge.
    pub datagrams_sent: u64,
    /// Of these: seen at no server.
    pub datagrams_lost: u64,
    /// Packets lost by the captures.
    pub capture_drops: u64,
}

/// Counts one family. `edge` is the exporters' side, `leaver` the server that leaves.
pub fn count(edge: &Capture, servers: &Servers, leaver: u64, ipv6: bool) -> Row {
    let of_family = |(address, _): &Flow| address.is_ipv6() == ipv6;
    let mut row = Row { family: if ipv6 { "ipv6" } else { "ipv4" }.to_string(), ..Row::default() };
    let flows: BTreeSet<Flow> = edge.datagrams.keys().copied().filter(of_family).collect();
    for &flow in &flows {
        datagrams(&mut row, servers, leaver, flow);
    }
    for (&flow, session) in edge.sessions.iter().filter(|(flow, _)| of_family(flow)) {
        sessions(&mut row, &edge.timeline, servers, leaver, flow, session);
    }
    split(&mut row, servers, &of_family);
    row.datagrams_sent = seen(edge, of_family);
    let arrived = servers.values().map(|capture| seen(capture, of_family)).sum();
    row.datagrams_lost = row.datagrams_sent.saturating_sub(arrived);
    row
}

/// Datagrams a capture saw.
fn seen(capture: &Capture, of_family: impl Fn(&Flow) -> bool) -> u64 {
    let wanted = capture.datagrams.iter().filter(|(flow, _)| of_family(flow));
    wanted.map(|(_, count)| count).sum()
}

/// The server a flow reached last in a window, and all it reached.
fn reached(
    servers: &Servers,
    sort: Sort,
    flow: Flow,
    window: Window,
) -> Option<(u64, BTreeSet<u64>)> {
    let times = servers
        .iter()
        .filter_map(|(number, capture)| Some((capture.last(sort, flow, window)?, *number)));
    let times: Vec<(i64, u64)> = times.collect();
    let (_, last) = times.iter().max()?;
    Some((*last, times.iter().map(|(_, number)| *number).collect()))
}

fn datagrams(row: &mut Row, servers: &Servers, leaver: u64, flow: Flow) {
    let at = |window| reached(servers, Sort::Datagrams, flow, window);
    row.exporters += 1;
    let (Some((before, _)), Some((without, all)), Some((_, returned))) =
        (at(Window::Before), at(Window::Without), at(Window::Returned))
    else {
        row.silent += 1;
        return;
    };
    row.exporters_of_leaver += u64::from(before == leaver);
    if all.iter().any(|server| *server != before) {
        row.moved_by_withdraw.push(flow.0);
        row.others_moved_by_withdraw += u64::from(before != leaver);
    }
    if returned.iter().any(|server| *server != without) {
        row.moved_by_return.push(flow.0);
    }
}

fn sessions(
    row: &mut Row,
    timeline: &Timeline,
    servers: &Servers,
    leaver: u64,
    flow: Flow,
    session: &Session,
) {
    let Some(established) = session.established_us else { return };
    let end = session.reset_us.or(session.closed_us).unwrap_or(i64::MAX);
    if established < timeline.withdraw_us && end >= timeline.withdraw_us {
        row.sessions += 1;
        let on = reached(servers, Sort::Session, flow, Window::Before);
        let of_leaver = on.is_some_and(|(server, _)| server == leaver);
        row.sessions_of_leaver += u64::from(of_leaver);
        if session.reset_us.is_some_and(|ts| ts < timeline.return_us) {
            row.reset_by_withdraw.push(flow.0);
            row.others_reset_by_withdraw += u64::from(!of_leaver);
        }
    }
    if established < timeline.return_us && end >= timeline.return_us {
        row.sessions_at_return += 1;
        if session.reset_us.is_some_and(|ts| ts < timeline.stop_us) {
            row.reset_by_return.push(flow.0);
        }
    }
    let early = |ts| (timeline.steady_us..timeline.withdraw_us).contains(&ts);
    row.reset_in_between += u64::from(session.reset_us.is_some_and(early));
}

/// Routers whose session and datagrams do not meet.
fn split(row: &mut Row, servers: &Servers, of_family: &impl Fn(&Flow) -> bool) {
    let mut on: BTreeMap<IpAddr, [BTreeSet<u64>; 2]> = BTreeMap::new();
    for (number, capture) in servers {
        for (&(sort, flow), windows) in &capture.seen {
            if of_family(&flow) && windows[Window::Before as usize].is_some() {
                on.entry(flow.0).or_default()[sort as usize].insert(*number);
            }
        }
    }
    for [datagrams, sessions] in on.values() {
        if !datagrams.is_empty() && !sessions.is_empty() {
            row.routers += 1;
            row.routers_split += u64::from(datagrams != sessions);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{Tcp, Transport, Udp};
    use crate::scene::Ports;

    const TIMELINE: Timeline = Timeline {
        steady_us: 0,
        withdraw_us: 100,
        withdrawn_us: 110,
        return_us: 200,
        returned_us: 210,
        stop_us: 300,
    };

    /// A play of one edge and two servers; every packet passes the edge.
    struct Play {
        edge: Capture,
        servers: Servers,
    }

    impl Play {
        fn new() -> Self {
            let empty = Capture { timeline: TIMELINE, ..Capture::default() };
            Self { edge: empty.clone(), servers: [(1, empty.clone()), (2, empty)].into() }
        }

        fn pass(&mut self, ts: i64, server: u64, ends: (IpAddr, IpAddr), packet: &Transport<'_>) {
            self.edge.take(ends, packet, ts, Ports::default());
            if let Some(server) = self.servers.get_mut(&server) {
                server.take(ends, packet, ts, Ports::default());
            }
        }

        fn datagram(&mut self, ts: i64, host: u8, server: u64) {
            let udp = Udp { sport: 5, dport: 4739, data: b"x" };
            self.pass(ts, server, (address(host), anycast()), &Transport::Udp(udp));
        }

        fn segment(&mut self, ts: i64, host: u8, server: u64, data: &[u8]) {
            let tcp = Tcp { sport: 6, dport: 1790, data, ..silent() };
            self.pass(ts, server, (address(host), anycast()), &Transport::Tcp(tcp));
        }

        fn answer(&mut self, ts: i64, host: u8, server: u64, syn: bool, rst: bool) {
            let tcp = Tcp { sport: 1790, dport: 6, syn, rst, ..silent() };
            self.pass(ts, server, (anycast(), address(host)), &Transport::Tcp(tcp));
        }

        fn row(&self) -> Row {
            count(&self.edge, &self.servers, 1, false)
        }
    }

    fn silent() -> Tcp<'static> {
        Tcp { sport: 0, dport: 0, seq: 0, ack: None, syn: false, fin: false, rst: false, data: b"" }
    }

    fn address(host: u8) -> IpAddr {
        [10, 8, 0, host].into()
    }

    fn anycast() -> IpAddr {
        [192, 0, 2, 1].into()
    }

    #[test]
    fn exporters_that_change_servers_moved() {
        let mut play = Play::new();
        // (host, server before, without, after): 1 is the leaver's, 2 stays, 3 is moved for nothing.
        for (host, servers) in [(1, [1, 2, 1]), (2, [2, 2, 2]), (3, [2, 2, 1])] {
            for (ts, server) in [50, 150, 250].into_iter().zip(servers) {
                play.datagram(ts, host, server);
            }
        }
        let row = play.row();
        assert_eq!((row.exporters, row.exporters_of_leaver, row.silent), (3, 1, 0));
        assert_eq!(row.moved_by_withdraw, [address(1)]);
        assert_eq!(row.others_moved_by_withdraw, 0);
        assert_eq!(row.moved_by_return, [address(1), address(3)]);
        assert_eq!((row.datagrams_sent, row.datagrams_lost), (9, 0));
    }

    #[test]
    fn one_stray_datagram_is_a_move_and_silence_is_said() {
        let mut play = Play::new();
        for (ts, server) in [(50, 2), (150, 2), (151, 3), (152, 2), (250, 2)] {
            play.datagram(ts, 1, server);
        }
        assert_eq!(play.row().datagrams_lost, 1);
        play.servers.insert(3, Capture { timeline: TIMELINE, ..Capture::default() });
        play.datagram(153, 1, 3);
        assert_eq!(play.row().others_moved_by_withdraw, 1);
        play.datagram(50, 2, 1);
        assert_eq!(play.row().silent, 1);
    }

    #[test]
    fn sessions_are_reset_by_what_happened_last() {
        let mut play = Play::new();
        for (host, server) in [(1, 1), (2, 2), (3, 2)] {
            play.answer(-10, host, server, true, false);
            play.segment(50, host, server, b"m");
        }
        play.answer(120, 1, 2, false, true);
        play.answer(220, 2, 1, false, true);
        // Refused before it was established: no session.
        play.answer(130, 9, 2, false, true);
        let row = play.row();
        assert_eq!((row.sessions, row.sessions_of_leaver), (3, 1));
        assert_eq!(row.reset_by_withdraw, [address(1)]);
        assert_eq!(row.others_reset_by_withdraw, 0);
        assert_eq!((row.sessions_at_return, row.reset_by_return), (2, vec![address(2)]));
    }

    #[test]
    fn a_router_is_split_if_its_session_and_datagrams_do_not_meet() {
        let mut play = Play::new();
        for (host, server) in [(1, 1), (2, 2), (3, 1)] {
            play.datagram(50, host, server);
        }
        play.segment(50, 1, 1, b"m");
        play.segment(50, 2, 1, b"m");
        let row = play.row();
        assert_eq!((row.routers, row.routers_split), (2, 1));
    }
}
