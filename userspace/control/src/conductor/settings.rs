// SPDX-License-Identifier: Apache-2.0 OR MIT
//! How the conductor decides.

use serde::{Deserialize, Serialize};
use telesteer_circuit::request::Rate;
use telesteer_fam::Ns;
use telesteer_fam::time::SECOND;

/// What an online entry matches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The flow and nothing else.
    #[default]
    Flow,
    /// All from its source to its destination.
    Host,
    /// All from its source's /24 (IPv6 /64) to its destination's.
    Net,
}

/// How the conductor decides. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// An online entry goes so long after its last flow.
    pub age: Ns,
    /// And at a random time within so long after that.
    pub jitter: Ns,
    /// What that randomness is drawn from.
    pub seed: u64,
    /// Only flows of the offline table are redirected online.
    pub gated: bool,
    /// A flow that may become alpha is redirected too.
    pub early: bool,
    /// What online entries match.
    pub reach: Reach,
    /// Both directions are redirected.
    pub both: bool,
    /// Most bytes of a flow that may overtake others of it when its route is set; with more the route
    /// waits until the flow is idle.
    pub overtake: Option<u64>,
    /// Circuits of online flows.
    pub rate: Rate,
    /// Entries of the offline table are put onto routers.
    pub offline_routes: bool,
    /// Circuits for pairs of the offline table are kept without end.
    pub offline_circuits: bool,
    /// Circuits of announced transfers are asked for so long before.
    pub lead: Ns,
    /// A flow nobody looks at any more counts as alive for so long.
    pub doubt: Ns,
    /// Most flows, and most entries without flows that wait to age.
    pub flows: usize,
    /// Most lines kept for who fetches them.
    pub lines: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            age: 60 * SECOND,
            jitter: 30 * SECOND,
            seed: 0,
            gated: false,
            early: false,
            reach: Reach::Flow,
            both: true,
            overtake: None,
            rate: Rate::Unlimited,
            offline_routes: true,
            offline_circuits: true,
            lead: 60 * SECOND,
            doubt: 150 * SECOND,
            flows: 65_536,
            lines: 65_536,
        }
    }
}
