// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the thread of the provider does: orders to the book, what the book says to the loop.

use super::office::Orders;
use super::settings::Path;
use super::ways::Provider;
use super::witness::Witness;
use crate::conductor::{Asked, Circuit, Way};
use crate::network::Network;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use telesteer_circuit::book::{Entry, Key};
use telesteer_circuit::clock::now;
use telesteer_circuit::driver::Driver;
use telesteer_circuit::life::{State, Step};
use telesteer_circuit::request::Name;
use telesteer_fam::Ns;

/// Changes of circuits, each with its reason, if there is one.
pub type Steps = Vec<(Name, Step, String)>;

/// What was given up is tried again so often.
const AGAIN: Duration = Duration::from_secs(300);

/// The driver, and what was told of it.
pub(super) struct Desk {
    pub(super) driver: Driver,
    provider: Provider,
    witness: Arc<Witness>,
    asked: Option<Asked>,
    again: Instant,
    ways: BTreeMap<Name, Vec<Way>>,
    /// The routers of each direction of a circuit.
    courses: BTreeMap<Name, Vec<Vec<String>>>,
    /// The report in which each circuit was first told of as it is: usable or not.
    since: BTreeMap<Name, u64>,
    /// Orders that were refused as they are.
    refused: u64,
}

impl Desk {
    pub(super) fn new(provider: Provider, witness: Arc<Witness>, driver: Driver) -> Self {
        Self {
            driver,
            provider,
            witness,
            asked: None,
            again: Instant::now() + AGAIN,
            ways: BTreeMap::new(),
            courses: BTreeMap::new(),
            since: BTreeMap::new(),
            refused: 0,
        }
    }

    /// Brings the book in line with the orders.
    pub(super) fn take(&mut self, orders: &Orders) {
        let again = Instant::now() >= self.again;
        if again {
            self.again = Instant::now() + AGAIN;
            self.driver.book.retry_stuck();
        }
        let none = Asked::default();
        let old = self.asked.as_ref().unwrap_or(&none);
        let new = &orders.asked;
        if again || self.asked.is_none() || old.offline != new.offline {
            self.refused += u64::from(self.driver.book.offline(&new.offline).is_err());
        }
        for (key, flows) in &old.online {
            let still = new.online.get(key);
            for flow in flows {
                if still.is_none_or(|still| !still.contains(flow)) {
                    self.driver.book.flow_over(key, *flow, now());
                }
            }
        }
        for (key, flows) in &new.online {
            let before = old.online.get(key);
            for flow in flows {
                if again || before.is_none_or(|before| !before.contains(flow)) {
                    self.refused += u64::from(self.driver.book.flow(key.clone(), *flow).is_err());
                }
            }
            // The book counts so many on a circuit: others take the places of those that ended, or
            // the circuit would go under them.
            for flow in flows {
                if !self.driver.book.lacks(key, flows.len()) {
                    break;
                }
                self.refused += u64::from(self.driver.book.flow(key.clone(), *flow).is_err());
            }
        }
        self.asked = Some(new.clone());
        let names: Vec<Name> = self.driver.book.entries().keys().cloned().collect();
        for name in names {
            // An order that does not know how the circuit is now cannot say that it is free.
            let known = self.since.get(&name).is_some_and(|since| orders.after >= *since);
            let steered = orders.steered.contains(&name) || !known;
            self.driver.book.steer(&name, steered);
        }
    }

    /// Takes a turn of the driver.
    pub(super) async fn turn(&mut self) -> Steps {
        let steps = self.driver.turn().await;
        let reason = |name: &Name| {
            let entry = self.driver.book.entries().get(name);
            entry.and_then(|entry| Some(entry.life.reason()?.to_string())).unwrap_or_default()
        };
        steps.into_iter().map(|(name, step)| (name.clone(), step, reason(&name))).collect()
    }

    /// All circuits; none before the provider has listed them.
    pub(super) async fn look(
        &mut self,
        paths: &BTreeMap<String, Path>,
        network: &Network,
    ) -> Option<BTreeMap<Name, Circuit>> {
        let entries = self.driver.book.entries();
        self.ways.retain(|name, _| entries.contains_key(name));
        self.courses.retain(|name, _| entries.contains_key(name));
        let mut circuits = BTreeMap::new();
        for (name, entry) in entries {
            let key = Key::of(name, entry.request.rate);
            if self.ways.get(name).is_none_or(Vec::is_empty) {
                let ways = self.provider.ways(&key, entry.id.as_ref(), paths, network).await;
                self.ways.insert(name.clone(), ways);
            }
            if self.courses.get(name).is_none_or(Vec::is_empty) {
                self.courses.insert(name.clone(), self.provider.courses(entry.id.as_ref()).await);
            }
            let ways = self.ways.get(name).cloned().unwrap_or_default();
            circuits.insert(name.clone(), circuit(key, entry, ways));
        }
        self.witness.listed().map(|_| circuits)
    }

    /// When the newest list of circuits was asked for.
    pub(super) fn listed(&self) -> Option<Ns> {
        self.witness.listed()
    }

    /// The routers of each direction of a circuit, as far as the provider tells.
    pub(super) fn courses(&self) -> &BTreeMap<Name, Vec<Vec<String>>> {
        &self.courses
    }

    /// What circuits have booked now of each link, as far as the provider tells.
    pub(super) async fn booked(&self) -> Vec<u64> {
        self.provider.booked().await
    }

    /// The loop is told of circuits, in the report of that number.
    pub(super) fn told(
        &mut self,
        before: Option<&BTreeMap<Name, Circuit>>,
        after: Option<&BTreeMap<Name, Circuit>>,
        number: u64,
    ) {
        let after = after.into_iter().flatten();
        self.since.retain(|name, _| self.driver.book.entries().contains_key(name));
        for (name, circuit) in after {
            let old = before.and_then(|before| before.get(name));
            let same = |old: &Circuit| old.usable == circuit.usable && old.ways == circuit.ways;
            if !old.is_some_and(same) {
                self.since.insert(name.clone(), number);
                // Whoever hears of it may send packets into it.
                self.driver.book.steer(name, true);
            }
        }
    }

    /// Whether a call is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.driver.book.entries().values().any(|entry| entry.life.pending().is_some())
    }

    /// Takes in what was answered last.
    pub(super) fn settle(&mut self) {
        drop(self.driver.book.steps());
    }

    pub(super) fn counters(&self) -> Vec<(&'static str, u64)> {
        let mut counters = self.provider.counters.read();
        counters.push(("orders_refused", self.refused));
        counters
    }
}

fn circuit(key: Key, entry: &Entry, ways: Vec<Way>) -> Circuit {
    let (state, leaving) = (entry.life.state(), entry.is_leaving());
    Circuit {
        pair: key.pair,
        rate: key.rate,
        state,
        id: entry.id.clone(),
        until: entry.life.span().until,
        usable: state == State::Up && !leaving,
        leaving,
        ways,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::Crash;
    use crate::provider::file::File;
    use crate::provider::ways::rehearsal;
    use std::ops::Range;
    use telesteer_circuit::book::Book;
    use telesteer_circuit::manner::Manner;
    use telesteer_circuit::request::{Pair, Rate};

    /// Turns in which a provider that answers at once has done all.
    const TURNS: usize = 60;

    struct Room {
        desk: Desk,
        network: Network,
        told: Option<BTreeMap<Name, Circuit>>,
        number: u64,
    }

    impl Room {
        fn new(provider: Provider) -> Self {
            let manner = Manner { linger_ms: 0, withdraw_ms: 3_600_000, ..Manner::default() };
            let witness = Witness::new(provider.circuits.clone(), None, Crash::default());
            let witness = Arc::new(witness);
            let driver = Driver::new(Book::new(manner), witness.clone(), 60_000);
            let desk = Desk::new(provider, witness, driver);
            Self { desk, network: Network::default(), told: None, number: 0 }
        }

        /// As the thread does, until that is told.
        async fn until(
            &mut self,
            orders: &Orders,
            is: impl Fn(&BTreeMap<Name, Circuit>) -> bool,
        ) -> Option<Steps> {
            let mut steps = Steps::new();
            for _ in 0..TURNS {
                self.desk.take(orders);
                steps.extend(self.desk.turn().await);
                let circuits = self.desk.look(&BTreeMap::new(), &self.network).await;
                if circuits != self.told {
                    self.number += 1;
                    self.desk.told(self.told.as_ref(), circuits.as_ref(), self.number);
                    self.told = circuits;
                }
                if self.told.as_ref().is_some_and(&is) {
                    return Some(steps);
                }
                self.desk.driver.rest(5).await;
            }
            None
        }
    }

    fn wanted() -> Orders {
        let key = Key::shared(Pair::new("r1", "r2"), Rate::Unlimited);
        let asked = Asked { online: [(key, [7].into())].into(), ..Asked::default() };
        Orders { asked, ..Orders::default() }
    }

    /// Orders that were given before the loop heard of a circuit say nothing of packets into it: the
    /// loop may be sending them there just now.
    #[tokio::test]
    async fn orders_from_before_a_report_free_nothing() {
        let mut room = Room::new(rehearsal());
        let up = |all: &BTreeMap<Name, Circuit>| all.values().any(|one| one.usable);
        room.until(&wanted(), up).await.unwrap();
        let unwanted = Orders { after: room.number - 1, ..Orders::default() };
        assert!(room.until(&unwanted, BTreeMap::is_empty).await.is_none());
        let left = room.told.iter().flat_map(BTreeMap::values);
        let left: Vec<_> = left.map(|one| (one.state, one.leaving)).collect();
        assert_eq!(left, [(State::Up, true)]);
        let heard = Orders { after: room.number, ..Orders::default() };
        room.until(&heard, BTreeMap::is_empty).await.unwrap();
    }

    #[tokio::test]
    async fn a_circuit_that_fails_says_why() {
        let dir = tempfile::tempdir().unwrap();
        let mut provider = rehearsal();
        provider.circuits = Arc::new(File::new(Some(dir.path().join("none/circuits.json"))));
        let mut room = Room::new(provider);
        let failed = |all: &BTreeMap<Name, Circuit>| all.values().any(|one| one.leaving);
        let steps = room.until(&wanted(), failed).await.unwrap();
        let (_, step, why) = steps.iter().find(|(_, step, _)| step.to == State::Failed).unwrap();
        assert_eq!(step.from, State::Requested);
        assert!(why.starts_with("Reserve refused") && why.contains("circuits.json"), "{why}");
    }

    #[tokio::test]
    async fn a_circuit_stays_while_any_of_its_flows_lives() {
        let provider = rehearsal();
        let witness = Witness::new(provider.circuits.clone(), None, Crash::default());
        let witness = Arc::new(witness);
        let manner = Manner { flows: 2, linger_ms: 0, ..Manner::default() };
        let driver = Driver::new(Book::new(manner), witness.clone(), 60_000);
        let mut desk = Desk::new(provider, witness, driver);
        let key = Key::shared(Pair::new("r1", "r2"), Rate::Unlimited);
        let orders = |flows: Range<u64>| {
            let online = BTreeMap::from([(key.clone(), flows.collect())]);
            Orders { asked: Asked { online, ..Asked::default() }, ..Orders::default() }
        };
        for flows in [0..5, 2..5, 4..5] {
            desk.take(&orders(flows.clone()));
            for _ in 0..20 {
                desk.turn().await;
                desk.driver.rest(5).await;
            }
            let entries = desk.driver.book.entries();
            let up = |entry: &&Entry| entry.life.state() == State::Up && !entry.is_leaving();
            assert_eq!((entries.len(), entries.values().filter(up).count()), (1, 1), "{flows:?}");
        }
        assert_eq!(desk.driver.book.lost().flows, 3, "told once");
    }
}
