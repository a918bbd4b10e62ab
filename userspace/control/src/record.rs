// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the loop must know after a restart, and the records that it is made of.
//!
//! Routers and providers are asked what they hold, so none of that is here. What is: which alpha flows
//! lived, which entries were waiting to age, the offline table in force, tickets, and which calls to
//! the outside were begun and not known to have ended.

use crate::table::Table;
use crate::ticket::{Ticket, TicketId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use telesteer_circuit::life::Call;
use telesteer_circuit::request::Pair;
use telesteer_fam::{FiveTuple, Ns};
use telesteer_redirect::Match;

/// Version of records.
pub const VERSION: u32 = 1;

/// An alpha flow that lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Live {
    /// Who told of it, unless nobody knows.
    pub exporter: Option<IpAddr>,
    /// Since when it is known.
    pub since: Ns,
    /// How fast it was when that was last told, bit/s; 0 if nobody said.
    #[serde(default)]
    pub rate: u64,
}

/// An entry whose flows are over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idle {
    /// Where its packets come in and leave.
    pub pair: Pair,
    /// Since when.
    pub since: Ns,
}

/// A call to the outside that is about to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    /// A provider of circuits is asked.
    Circuit {
        /// For this.
        call: Call,
        /// Our name of the circuit.
        name: String,
        /// The provider's, if it has given one.
        id: Option<String>,
    },
    /// A router is changed.
    Routes {
        /// This one.
        router: String,
        /// Rules to come.
        add: usize,
        /// Rules to go.
        remove: usize,
        /// What is amiss goes too.
        purge: bool,
    },
}

impl fmt::Display for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Circuit { call, name, .. } => write!(f, "{call:?} of circuit {name}"),
            Self::Routes { router, add, remove, .. } => {
                write!(f, "{add} rules onto and {remove} off router {router}")
            }
        }
    }
}

/// One thing that is written down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Record {
    /// The first record of a file.
    Version(u32),
    /// All there is.
    Whole(Box<State>),
    /// A flow is alpha.
    Flow(FiveTuple, Live),
    /// It is over.
    Over(FiveTuple),
    /// The last flow of an entry is over.
    Idle(Match, Idle),
    /// The entry has aged, or has flows again.
    NotIdle(Match),
    /// The table in force.
    Table(Box<Table>),
    /// A ticket, in place of what was known of it.
    Ticket(Box<Ticket>),
    /// A ticket is forgotten.
    NoTicket(TicketId),
    /// A day has been analysed.
    Night(String),
    /// A call is about to be made, by its number.
    Intent(u64, Intent),
    /// It has ended: nothing said, or this.
    Result(u64, Option<String>),
}

/// All there is to know.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Alpha flows that live.
    #[serde(with = "pairs")]
    pub flows: BTreeMap<FiveTuple, Live>,
    /// Entries that wait to age.
    #[serde(with = "pairs")]
    pub idle: BTreeMap<Match, Idle>,
    /// The table in force.
    pub table: Table,
    /// Tickets.
    #[serde(with = "pairs")]
    pub tickets: BTreeMap<TicketId, Ticket>,
    /// The last number of a ticket: none is given twice.
    pub last_ticket: u64,
    /// The last day that was analysed.
    pub night: Option<String>,
    /// Calls that were begun and have not ended.
    #[serde(with = "pairs")]
    pub open: BTreeMap<u64, Intent>,
}

impl State {
    /// Takes a record in. The same records give the same state.
    pub fn apply(&mut self, record: &Record) {
        match record {
            Record::Version(_) => {}
            Record::Whole(state) => *self = (**state).clone(),
            Record::Flow(flow, live) => drop(self.flows.insert(*flow, *live)),
            Record::Over(flow) => drop(self.flows.remove(flow)),
            Record::Idle(matching, idle) => drop(self.idle.insert(*matching, idle.clone())),
            Record::NotIdle(matching) => drop(self.idle.remove(matching)),
            Record::Table(table) => self.table = (**table).clone(),
            Record::Ticket(ticket) => {
                self.last_ticket = self.last_ticket.max(ticket.id.0);
                self.tickets.insert(ticket.id, (**ticket).clone());
            }
            Record::NoTicket(id) => {
                self.last_ticket = self.last_ticket.max(id.0);
                self.tickets.remove(id);
            }
            Record::Night(day) => self.night = Some(day.clone()),
            Record::Intent(number, intent) => drop(self.open.insert(*number, intent.clone())),
            Record::Result(number, _) => drop(self.open.remove(number)),
        }
    }
}

/// Maps whose keys are no texts, as lists of pairs.
mod pairs {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::collections::BTreeMap;

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K, V, D>(from: D) -> Result<BTreeMap<K, V>, D::Error>
    where
        K: Deserialize<'de> + Ord,
        V: Deserialize<'de>,
        D: Deserializer<'de>,
    {
        Ok(Vec::<(K, V)>::deserialize(from)?.into_iter().collect())
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Records for tests.

    use super::*;
    use proptest::prelude::*;
    use telesteer_fam::{Prefix, PrefixFlow, Width};

    pub(crate) fn flow(n: u8, port: u16) -> FiveTuple {
        let (src, dst) = ([10, 1, n, 1].into(), [10, 2, n, 1].into());
        FiveTuple { src, dst, proto: 6, src_port: port, dst_port: 5201 }
    }

    pub(crate) fn net(n: u8) -> Match {
        let of = |site| Prefix::of([10, site, n, 0].into(), Width::NET);
        Match::pair(PrefixFlow { src: of(1), dst: of(2) }).unwrap()
    }

    pub(crate) fn records() -> impl Strategy<Value = Vec<Record>> {
        let record = (0..9_u8, 0..4_u8, 0..1000_i64).prop_map(|(kind, n, at)| {
            let pair = Pair::new("r1", "r2");
            match kind {
                0 | 1 => Record::Flow(flow(n, 7), Live { exporter: None, since: at, rate: 9 }),
                2 => Record::Over(flow(n, 7)),
                3 => Record::Idle(net(n), Idle { pair, since: at }),
                4 => Record::NotIdle(net(n)),
                5 => Record::Night(format!("day {at}")),
                6 => Record::Intent(
                    n.into(),
                    Intent::Routes { router: "r1".into(), add: 1, remove: 0, purge: false },
                ),
                7 => Record::Result(n.into(), None),
                _ => Record::NoTicket(TicketId(n.into())),
            }
        });
        proptest::collection::vec(record, 0..12)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::records;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_whole_stands_for_all_before_it(before in records(), after in records()) {
            let (mut long, mut short) = (State::default(), State::default());
            before.iter().for_each(|record| long.apply(record));
            let text = serde_json::to_string(&Record::Whole(Box::new(long.clone()))).unwrap();
            short.apply(&Record::Night("forgotten".into()));
            short.apply(&serde_json::from_str(&text).unwrap());
            for record in &after {
                long.apply(record);
                short.apply(record);
            }
            prop_assert_eq!(long, short);
        }
    }
}
