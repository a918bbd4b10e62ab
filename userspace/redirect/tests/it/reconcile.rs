// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whatever a device holds and whatever happens in whatever order, it ends up with what is wanted.

use crate::bed::{Bed, settings};
use crate::matches::{entry, flow, host, name, net, target, tuple};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use telesteer_fam::Ns;
use telesteer_redirect::memory::Memory;
use telesteer_redirect::{
    Capabilities, Change, Commit, Device, DeviceError, Entry, Kind, Match, PathName, Paths,
    ReadBack, Rule, round,
};

const PATHS: [&str; 3] = ["p0", "p1", "p2"];
const MATCHES: usize = 12;

/// Match number `n`, of every rank; the upper half are reverses of the lower.
fn matching(n: usize) -> Match {
    let key = tuple(u16::try_from(n % 6 / 3).unwrap(), 1, 40_000);
    let one = [flow(key), host(key), net(key)][n % 3];
    if n < MATCHES / 2 { one } else { one.reverse() }
}

/// A device in memory that fails when its script says so and notes every rule it was asked for.
struct Watched {
    memory: Arc<Mutex<Memory>>,
    fails: VecDeque<bool>,
    asked: Arc<Mutex<Vec<(Rule, Paths)>>>,
}

impl Watched {
    fn new(memory: &Arc<Mutex<Memory>>, fails: Vec<bool>) -> Self {
        Self { memory: Arc::clone(memory), fails: fails.into(), asked: Arc::default() }
    }
}

impl Device for Watched {
    fn name(&self) -> &str {
        "watched"
    }

    fn capabilities(&self) -> Capabilities {
        self.memory.lock().unwrap().capabilities()
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.memory.lock().unwrap().read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        let asked = change.add.iter().map(|rule| (rule.clone(), paths.clone()));
        self.asked.lock().unwrap().extend(asked);
        if self.fails.pop_front().unwrap_or(false) {
            return Err(DeviceError::new("watched", "change", Kind::Unreachable, "not now"));
        }
        self.memory.lock().unwrap().apply(paths, change, now)
    }
}

/// The rules that should be on a device, reckoned without the controller.
fn expected(
    entries: &BTreeMap<usize, (usize, Option<usize>)>,
    up: &[bool],
    able: Capabilities,
) -> BTreeSet<Rule> {
    let mut rules = Vec::new();
    for n in 0..MATCHES {
        let one = matching(n);
        let own = entries.get(&n).map(|(path, _)| *path);
        let other = (n + MATCHES / 2) % MATCHES;
        let back = entries.get(&other).and_then(|(_, back)| *back);
        let path = if own.is_some() { own } else { back };
        if let Some(path) = path.filter(|path| up[*path])
            && (able.ports || one.ports().is_none())
        {
            rules.push(Rule { matching: one, path: name(PATHS[path]) });
        }
    }
    rules.sort_by_key(|rule| (rule.matching.rank(), rule.matching));
    rules.truncate(able.limit);
    rules.into_iter().collect()
}

fn entries() -> impl Strategy<Value = BTreeMap<usize, (usize, Option<usize>)>> {
    btree_map(0..MATCHES, (0..PATHS.len(), proptest::option::of(0..PATHS.len())), 0..MATCHES)
}

fn entry_of(n: usize, path: usize, back: Option<usize>) -> Entry {
    Entry { back: back.map(|path| name(PATHS[path])), ..entry(matching(n), PATHS[path]) }
}

fn path(n: usize) -> PathName {
    name(PATHS[n])
}

#[derive(Clone, Debug)]
enum Event {
    Want(usize, Option<usize>),
    Unwant,
    Up,
    Down,
}

/// What happens to each match, and then to each path, in its own order; always something at the end.
fn histories() -> impl Strategy<Value = Vec<Vec<Event>>> {
    let to_match = prop_oneof![
        3 => (0..PATHS.len(), proptest::option::of(0..PATHS.len()))
            .prop_map(|(path, back)| Event::Want(path, back)),
        1 => Just(Event::Unwant),
    ];
    let to_path = prop_oneof![2 => Just(Event::Up), 1 => Just(Event::Down)];
    (vec(vec(to_match, 0..3), MATCHES), vec(vec(to_path, 0..4), PATHS.len()))
        .prop_map(|(matches, paths)| matches.into_iter().chain(paths).collect())
}

/// Plays histories, interleaved as `picks` says, with a turn of the loop wherever a pick is even.
fn play(histories: &[Vec<Event>], picks: &[usize]) -> (BTreeSet<Rule>, BTreeMap<Match, PathName>) {
    let memory = Arc::new(Mutex::new(Memory::new("m")));
    let mut bed = Bed::bare(Box::new(Watched::new(&memory, Vec::new())), settings());
    let mut left: Vec<(usize, VecDeque<Event>)> =
        histories.iter().map(|one| one.iter().cloned().collect()).enumerate().collect();
    let mut picks = picks.iter().cycle();
    loop {
        left.retain(|(_, events)| !events.is_empty());
        let Some(pick) = picks.next().filter(|_| !left.is_empty()) else { break };
        let at = pick % left.len();
        let (subject, events) = &mut left[at];
        let subject = *subject;
        match events.pop_front().unwrap() {
            Event::Want(path, back) => {
                bed.controller.want(entry_of(subject, path, back), bed.now).unwrap();
            }
            Event::Unwant => bed.controller.unwant(&matching(subject)),
            Event::Up => {
                let n = subject - MATCHES;
                bed.controller.path_up(path(n), target(u32::try_from(n).unwrap())).unwrap();
            }
            Event::Down => bed.controller.path_down(&path(subject - MATCHES)),
        }
        if pick % 2 == 0 {
            round(&mut bed.controller, &mut bed.device, bed.now).unwrap();
            let up = |rule: &Rule| bed.controller.wanted().is_up(&rule.path);
            assert!(memory.lock().unwrap().rules.iter().all(up), "a rule on a path that is down");
        }
        bed.now += 1;
    }
    bed.settle();
    bed.must_agree();
    let wanted = bed.wanted();
    let rules = memory.lock().unwrap().rules.clone();
    (rules, wanted)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn it_converges_from_any_state(
        wishes in entries(),
        up in vec(any::<bool>(), PATHS.len()),
        held in vec((0..MATCHES, 0..=PATHS.len()), 0..30),
        (amiss, foreign) in (0..3_usize, 0..3_usize),
        (ports, atomic, limit) in (any::<bool>(), any::<bool>(), 3..30_usize),
        fails in vec(any::<bool>(), 0..12),
    ) {
        let mut memory = Memory::new("m");
        // It was another controller's, whose paths and bounds were other ones.
        memory.rules = held
            .iter()
            .map(|(n, path)| Rule {
                matching: matching(*n),
                path: name(PATHS.get(*path).unwrap_or(&"ghost")),
            })
            .collect();
        memory.amiss = vec!["broken".to_owned(); amiss];
        memory.foreign = vec!["theirs".to_owned(); foreign];
        let able = Capabilities { ports, ipv6: true, atomic, limit };
        // What is there already may be more than fits; the bound is on what is added.
        memory.capabilities = Capabilities { limit: 100, ..able };
        let memory = Arc::new(Mutex::new(memory));
        let watched = Watched::new(&memory, fails);
        let asked = Arc::clone(&watched.asked);
        let mut bed = Bed::bare(Box::new(Limited(watched, able)), settings());
        for (n, is_up) in up.iter().enumerate() {
            let number = u32::try_from(n).unwrap();
            bed.controller.path_up(path(n), target(number)).unwrap();
            if !is_up {
                bed.controller.path_down(&path(n));
            }
        }
        for (n, (path, back)) in &wishes {
            bed.controller.want(entry_of(*n, *path, *back), bed.now).unwrap();
        }
        bed.settle();
        let memory = memory.lock().unwrap();
        prop_assert_eq!(&memory.rules, &expected(&wishes, &up, able));
        prop_assert_eq!((memory.amiss.len(), memory.foreign.len()), (0, foreign));
        for (rule, _) in asked.lock().unwrap().iter() {
            prop_assert!(bed.controller.wanted().is_up(&rule.path), "asked for {}", rule);
        }
        prop_assert_eq!(bed.controller.counters().failed, 0);
    }

    #[test]
    fn any_order_of_events_gives_the_same_rules(
        histories in histories(),
        first in vec(0..1000_usize, 1..80),
        second in vec(0..1000_usize, 1..80),
    ) {
        let (rules, wanted) = play(&histories, &first);
        let (again, _) = play(&histories, &second);
        prop_assert_eq!(&rules, &again);
        prop_assert_eq!(rules.len(), wanted.len());
    }
}

/// A device with other bounds than the one inside.
struct Limited<D>(D, Capabilities);

impl<D: Device> Device for Limited<D> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.1
    }

    fn read_back(&mut self, paths: &Paths, now: Ns) -> Result<ReadBack, DeviceError> {
        self.0.read_back(paths, now)
    }

    fn apply(&mut self, paths: &Paths, change: &Change, now: Ns) -> Result<Commit, DeviceError> {
        self.0.apply(paths, change, now)
    }
}
