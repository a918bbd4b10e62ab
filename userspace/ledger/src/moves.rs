// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which collector received an exporter's telemetry before and after each event.

use crate::scene::Timeline;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// A stretch of a phase in which nothing is done to the collectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Steady state, up to the kill.
    Before = 0,
    /// From the death to the return.
    Without = 1,
    /// From the return to the drain.
    Returned = 2,
    /// After the drain.
    Drained = 3,
    /// The part of [`Window::Returned`] in which every exporter is back where it belongs.
    Mapped = 4,
    /// The part of [`Window::Returned`] in which a policy keeps every live exporter where it is.
    Kept = 5,
}

/// Time left out before a policy's deadline: it counts in ticks, and datagrams are on their way.
const BEFORE_DEADLINE_US: i64 = 1_000_000;

impl Window {
    /// The window a time lies in; `None` while something is being done.
    pub fn of(timeline: &Timeline, ts_us: i64) -> Option<Self> {
        let spans = [
            (Self::Before, timeline.steady_us, timeline.kill_us),
            (Self::Without, timeline.reaped_us, timeline.return_start_us),
            (Self::Returned, timeline.return_ready_us, timeline.drain_start_us),
            (Self::Drained, timeline.drain_end_us, timeline.senders_stop_us),
        ];
        spans.iter().find(|(_, from, to)| (*from..*to).contains(&ts_us)).map(|(window, ..)| *window)
    }

    /// The part of [`Window::Returned`] a time lies in, for a policy with this deadline.
    pub fn part(timeline: &Timeline, deadline_us: i64, ts_us: i64) -> Option<Self> {
        let mapped = timeline.mapped_us.map(|from| (from, timeline.drain_start_us));
        let kept = timeline.return_settled_us.map(|to| {
            let end = timeline.return_start_us + deadline_us - BEFORE_DEADLINE_US;
            (timeline.return_ready_us, to.min(end))
        });
        [(Self::Mapped, mapped), (Self::Kept, kept)]
            .into_iter()
            .find(|(_, span)| span.is_some_and(|(from, to)| (from..to).contains(&ts_us)))
            .map(|(part, _)| part)
    }
}

/// Receivers of one flow of telemetry in one window.
#[derive(Clone, Debug, Default)]
struct Receivers {
    all: BTreeSet<u64>,
    last: Option<(i64, u64)>,
}

/// A flow of telemetry: one transport flow of datagrams, or all BMP sessions of an exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Flow {
    exporter: IpAddr,
    port: u16,
    local_port: u16,
}

/// Exporters of a phase and their receivers.
#[derive(Debug, Default)]
pub struct Moves {
    flows: BTreeMap<Flow, [Receivers; 6]>,
}

/// Exporters counted over one event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// Whose receiver changed.
    pub all: u64,
    /// Of these: who had not been with the instance the event was about.
    pub bystanders: u64,
    /// Of these: whose new receiver is not the instance the event was about.
    pub elsewhere: u64,
    /// Who had been with the instance the event was about.
    pub owned: u64,
    /// Heard before the event, not heard after it.
    pub silent: u64,
}

impl Moves {
    /// `instance` received something from an exporter. `port` is 0 for BMP, whose sessions may
    /// come back from another port.
    pub fn seen(
        &mut self,
        window: Window,
        (exporter, port, local_port): (IpAddr, u16, u16),
        ts_us: i64,
        instance: u64,
    ) {
        let flow = Flow { exporter, port, local_port };
        let receivers = &mut self.flows.entry(flow).or_default()[window as usize];
        receivers.all.insert(instance);
        if receivers.last.is_none_or(|(last, _)| ts_us >= last) {
            receivers.last = Some((ts_us, instance));
        }
    }

    /// Whether anything of an exporter was received.
    pub fn heard(&self, exporter: IpAddr) -> bool {
        self.flows.keys().any(|flow| flow.exporter == exporter)
    }

    /// Flows of datagrams heard in `before`, and those of them whose receiver in `after` is another
    /// or none.
    pub fn differ(&self, before: Window, after: Window) -> (u64, u64) {
        let owner = |windows: &[Receivers; 6], window| {
            windows[window as usize].last.map(|(_, instance)| instance)
        };
        let (mut compared, mut different) = (0, 0);
        for (_, windows) in self.flows.iter().filter(|(flow, _)| flow.port != 0) {
            let Some(was) = owner(windows, before) else { continue };
            compared += 1;
            different += u64::from(owner(windows, after) != Some(was));
        }
        (compared, different)
    }

    /// Flows of datagrams heard in both windows, and those of them with another receiver in `after`.
    pub fn strayed(&self, before: Window, after: Window) -> (u64, u64) {
        let (mut compared, mut strayed) = (0, 0);
        for (_, windows) in self.flows.iter().filter(|(flow, _)| flow.port != 0) {
            let Some((_, owner)) = windows[before as usize].last else { continue };
            let all = &windows[after as usize].all;
            compared += u64::from(!all.is_empty());
            strayed += u64::from(all.iter().any(|one| *one != owner));
        }
        (compared, strayed)
    }

    /// Routers that speak BMP and send datagrams in `window`, and those of them whose two do not
    /// reach the same collector.
    pub fn meet(&self, window: Window) -> (u64, u64) {
        let mut routers: BTreeMap<IpAddr, [BTreeSet<u64>; 2]> = BTreeMap::new();
        for (flow, windows) in &self.flows {
            let sort = usize::from(flow.port != 0);
            routers.entry(flow.exporter).or_default()[sort].extend(&windows[window as usize].all);
        }
        let both = routers.values().filter(|[bmp, rest]| !bmp.is_empty() && !rest.is_empty());
        both.fold((0, 0), |(all, split), [bmp, rest]| (all + 1, split + u64::from(bmp != rest)))
    }

    /// Compares two windows around an event that was about `instance`.
    pub fn between(&self, before: Window, after: Window, instance: u64) -> Moved {
        let mut exporters: BTreeMap<IpAddr, [bool; 6]> = BTreeMap::new();
        for (flow, windows) in &self.flows {
            let Some((_, owner)) = windows[before as usize].last else { continue };
            let heirs = &windows[after as usize].all;
            let changed = heirs.iter().any(|heir| *heir != owner);
            let marks = exporters.entry(flow.exporter).or_default();
            marks[0] |= changed;
            marks[1] |= changed && owner != instance;
            marks[2] |= heirs.iter().any(|heir| *heir != owner && *heir != instance);
            marks[3] |= owner == instance;
            marks[4] |= !heirs.is_empty();
        }
        let count = |mark: usize| exporters.values().filter(|marks| marks[mark]).count() as u64;
        Moved {
            all: count(0),
            bystanders: count(1),
            elsewhere: count(2),
            owned: count(3),
            silent: exporters.len() as u64 - count(4),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(moves: &mut Moves, host: u8, window: Window, ts: i64, instance: u64) {
        moves.seen(window, (IpAddr::from([10, 0, 0, host]), 5, 4739), ts, instance);
    }

    #[test]
    fn who_moved() {
        let mut moves = Moves::default();
        let (before, without) = (Window::Before, Window::Without);
        for (host, owner, heir) in [(1, 1, Some(3)), (2, 2, Some(2)), (3, 2, Some(3)), (4, 1, None)]
        {
            see(&mut moves, host, before, 10, owner);
            if let Some(heir) = heir {
                see(&mut moves, host, without, 20, heir);
            }
        }
        let moved = moves.between(before, without, 1);
        let expected = Moved { all: 2, bystanders: 1, elsewhere: 2, owned: 2, silent: 1 };
        assert_eq!(moved, expected);
    }

    #[test]
    fn one_stray_datagram_is_a_move() {
        let mut moves = Moves::default();
        see(&mut moves, 1, Window::Before, 10, 2);
        see(&mut moves, 1, Window::Without, 20, 2);
        see(&mut moves, 1, Window::Without, 21, 3);
        see(&mut moves, 1, Window::Without, 22, 2);
        assert_eq!(moves.between(Window::Before, Window::Without, 1).bystanders, 1);
    }

    #[test]
    fn maps_differ_by_flow_and_a_missing_one_differs() {
        let mut moves = Moves::default();
        let (before, mapped) = (Window::Before, Window::Mapped);
        for (host, owner, later) in [(1, 1, Some(1)), (2, 2, Some(3)), (3, 2, None)] {
            see(&mut moves, host, before, 10, owner);
            if let Some(later) = later {
                see(&mut moves, host, mapped, 20, later);
            }
        }
        assert_eq!(moves.differ(before, mapped), (3, 2));
    }

    #[test]
    fn one_stray_datagram_after_a_join_is_told() {
        let mut moves = Moves::default();
        let (without, kept) = (Window::Without, Window::Kept);
        for (host, owner) in [(1, 1), (2, 2), (3, 3)] {
            see(&mut moves, host, without, 10, owner);
        }
        see(&mut moves, 1, kept, 20, 1);
        see(&mut moves, 2, kept, 20, 3);
        see(&mut moves, 2, kept, 21, 2);
        assert_eq!(moves.strayed(without, kept), (2, 1));
    }

    #[test]
    fn parts_of_the_return_end_with_the_deadline() {
        let timeline = Timeline {
            return_start_us: 20_000_000,
            return_ready_us: 21_000_000,
            return_settled_us: Some(30_000_000),
            mapped_us: Some(41_000_000),
            drain_start_us: 50_000_000,
            ..Timeline::default()
        };
        let part = |seconds: i64, deadline: i64| {
            Window::part(&timeline, deadline * 1_000_000, seconds * 1_000_000)
        };
        assert_eq!(
            [20, 21, 29, 30].map(|s| part(s, 20)),
            [None, Some(Window::Kept), Some(Window::Kept), None]
        );
        assert_eq!([25, 26].map(|s| part(s, 7)), [Some(Window::Kept), None]);
        assert_eq!([40, 41, 50].map(|s| part(s, 20)), [None, Some(Window::Mapped), None]);
    }

    #[test]
    fn a_router_meets_itself_on_one_collector_or_is_split() {
        let mut moves = Moves::default();
        for (host, bmp, datagrams) in [(1, Some(1), 1), (2, Some(1), 2), (3, None, 2)] {
            see(&mut moves, host, Window::Before, 10, datagrams);
            if let Some(bmp) = bmp {
                let exporter = IpAddr::from([10, 0, 0, host]);
                moves.seen(Window::Before, (exporter, 0, 1790), 10, bmp);
            }
        }
        assert_eq!(moves.meet(Window::Before), (2, 1));
    }

    #[test]
    fn windows_leave_events_out() {
        let timeline = Timeline {
            steady_us: 0,
            kill_us: 10,
            reaped_us: 12,
            return_start_us: 20,
            return_ready_us: 25,
            drain_start_us: 30,
            drain_end_us: 33,
            senders_stop_us: 40,
            ..Timeline::default()
        };
        let windows: Vec<_> =
            [5, 11, 12, 22, 29, 31, 39, 40].map(|ts| Window::of(&timeline, ts)).into();
        let expected = [
            Some(Window::Before),
            None,
            Some(Window::Without),
            None,
            Some(Window::Returned),
            None,
            Some(Window::Drained),
            None,
        ];
        assert_eq!(windows, expected);
    }
}
