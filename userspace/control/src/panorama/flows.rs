// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which entry decides of a flow, which ticket announced it, and over which routers a circuit goes.

use super::{Panorama, Promised};
use telesteer_circuit::request::Name;
use telesteer_fam::{FiveTuple, Ns, PrefixFlow, Width};
use telesteer_redirect::life::State;
use telesteer_redirect::{Match, PathName};

/// An entry of a router, as it was found and as it is wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Entry<'p> {
    pub(super) state: Option<&'p State>,
    pub(super) path: Option<&'p PathName>,
}

impl Entry<'_> {
    /// It was read back.
    pub(super) fn is_there(&self) -> bool {
        self.state.is_some_and(State::is_installed)
    }
}

/// What an entry may be that holds a flow, the strongest first.
fn holding(flow: &FiveTuple) -> impl Iterator<Item = Match> {
    let pair = |width: Width| Match::pair(PrefixFlow::of(flow, width)).ok();
    [Match::flow(*flow).ok(), pair(Width::HOST), pair(Width::NET)].into_iter().flatten()
}

/// The ticket that announces a flow at an instant, or the flow back.
fn announced<'p>(promised: &'p Promised, flow: &FiveTuple, at: Ns) -> Option<&'p str> {
    let now = |(from, until, _): &&(Ns, Ns, String)| *from <= at && at < *until;
    let of = |one: Match| {
        let both = [one, one.reverse()];
        both.iter().find_map(|one| promised.get(one)?.iter().find(now))
    };
    holding(flow).find_map(of).map(|(_, _, ticket)| ticket.as_str())
}

impl Panorama<'_> {
    /// The entry by which a router decides of a flow: the strongest that is there, else the strongest
    /// that is wanted.
    pub(super) fn entry(&self, flow: &FiveTuple, router: &str) -> Option<Entry<'_>> {
        let report = self.stations.get(router);
        let wish = self.conductor.wish(router);
        let entry = |matching: Match| {
            let state = report.and_then(|report| report.states.get(&matching));
            let path = wish.and_then(|wish| wish.entries.get(&matching));
            (state.is_some() || path.is_some()).then_some(Entry { state, path })
        };
        let all: Vec<Entry<'_>> = holding(flow).filter_map(entry).collect();
        all.iter().find(|one| one.is_there()).or(all.first()).copied()
    }

    /// The ticket that announced a flow, or the flow back.
    pub(super) fn ticket(&self, flow: &FiveTuple) -> Option<String> {
        announced(self.promised, flow, self.now).map(str::to_owned)
    }

    /// The routers of a circuit in one direction; its ends if nobody knows more.
    pub(super) fn hops(&self, name: &Name, from: &str, to: &str) -> Vec<String> {
        let courses = self.office.courses.get(name).into_iter().flatten();
        let is = |course: &&Vec<String>| {
            course.first().is_some_and(|first| first == from)
                && course.last().is_some_and(|last| last == to)
        };
        let told = courses.into_iter().find(is).cloned();
        told.unwrap_or_else(|| vec![from.to_owned(), to.to_owned()])
    }
}
