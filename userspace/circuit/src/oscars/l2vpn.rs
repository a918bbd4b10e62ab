// SPDX-License-Identifier: Apache-2.0 OR MIT
//! L2VPNs as the server's controllers take and give them. What we do not need of an answer is kept as
//! it is, so that a changed one can be sent back.

use crate::circuits::{Id, Remote, Seen};
use crate::oscars::settings::Port;
use crate::request::{Excess, Rate, read_label};
use crate::time::At;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Digits and letters of names.
pub const ALPHABET: &[u8; 22] = b"234679CDFGHJKMNPRTWXYZ";
/// So many of them are digits.
const DIGITS: usize = 6;

/// What has no end gets one so far away: ten years.
const NEVER_MS: u64 = 10 * 365 * 86_400_000;
/// An end further away than this is none.
const FAR_MS: u64 = 5 * 365 * 86_400_000;
/// The last end: a server counts seconds in 32 bits, and tells none beyond the beginning of 2038.
const LAST: At = At(2_145_830_400_000);

/// A circuit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L2vpn {
    /// Four of [`ALPHABET`].
    pub name: String,
    /// Who and what for.
    pub meta: Meta,
    /// When.
    pub schedule: Interval,
    /// How far it is; given, not taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// How much.
    pub qos: Qos,
    /// The rest: `tech`, `bundles`, `endpoints`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// Who and what for.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// At most 80 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// The server sets it.
    #[serde(default)]
    pub username: Option<String>,
    /// What we do not know.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// When, in seconds since 1970.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Interval {
    /// Its first.
    pub beginning: f64,
    /// Its last.
    pub ending: f64,
}

/// How far it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// `HELD`, `RESERVED`, `ARCHIVED`.
    #[serde(default)]
    pub phase: Option<String>,
    /// `WAITING`, `ACTIVE`, `FINISHED`, `FAILED`.
    #[serde(default)]
    pub state: Option<String>,
    /// `UNDEPLOYED`, `DEPLOYED` and those between.
    #[serde(default)]
    pub deployment_state: Option<String>,
    /// What we do not know.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How much.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Qos {
    /// `GUARANTEED`, `BEST_EFFORT`, `SCAVENGER`.
    pub mode: String,
    /// `SCAVENGER`, `BEST_EFFORT`, `DROP`.
    pub excess_action: String,
    /// Mb/s, with `GUARANTEED`.
    pub bandwidth: u64,
}

impl Qos {
    /// Of a rate.
    pub fn of(rate: Rate) -> Self {
        let (mode, excess, bandwidth) = match rate {
            Rate::Unlimited => ("BEST_EFFORT", "BEST_EFFORT", 0),
            Rate::Specified { mbps, excess: Excess::BestEffort } => {
                ("GUARANTEED", "BEST_EFFORT", mbps)
            }
            Rate::Specified { mbps, excess: Excess::Scavenger } => {
                ("GUARANTEED", "SCAVENGER", mbps)
            }
            Rate::Specified { mbps, excess: Excess::Drop } => ("GUARANTEED", "DROP", mbps),
        };
        Self { mode: mode.to_owned(), excess_action: excess.to_owned(), bandwidth }
    }
}

/// Part of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Page {
    /// What is on it.
    #[serde(default)]
    pub l2vpns: Vec<L2vpn>,
}

/// What is free.
#[derive(Clone, Debug, Deserialize)]
pub struct Availability {
    /// Mb/s on the whole path.
    pub available: i64,
}

impl L2vpn {
    /// How far it is.
    pub fn seen(&self) -> Seen {
        let none = Status::default();
        let status = self.status.as_ref().unwrap_or(&none);
        let said = |what: &Option<String>| what.clone().unwrap_or_default();
        match (said(&status.phase).as_str(), said(&status.state).as_str()) {
            ("ARCHIVED", _) | (_, "FINISHED") => return Seen::Gone,
            (_, "FAILED") => return Seen::Failed,
            ("HELD", _) => return Seen::Held,
            ("RESERVED", _) => {}
            _ => return Seen::Requested,
        }
        match (said(&status.deployment_state).as_str(), said(&status.state).as_str()) {
            ("DEPLOYED", _) | ("", "ACTIVE") => Seen::Up,
            ("DEPLOY_FAILED" | "REDEPLOY_FAILED" | "UNDEPLOY_FAILED", _) => Seen::Failed,
            ("UNDEPLOYED" | "" | "WAITING_TO_BE_UNDEPLOYED" | "BEING_UNDEPLOYED", _) => {
                Seen::Committed
            }
            _ => Seen::Provisioned,
        }
    }

    /// As what providers of circuits have in common; an end at `never` or later is none.
    pub fn remote(&self, never: At) -> Remote {
        let label =
            read_label(self.meta.description.as_deref().unwrap_or_default(), self.qos.bandwidth);
        let rate = label.as_ref().map_or(Rate::Unlimited, |(_, rate)| *rate);
        let end = millis(self.schedule.ending);
        Remote {
            id: Id(self.name.clone()),
            name: label.map(|(name, _)| name),
            seen: self.seen(),
            rate,
            until: (end < never).then_some(end),
        }
    }
}

/// Milliseconds of seconds; what is out of range becomes its end.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a float saturates"
)]
pub fn millis(seconds: f64) -> At {
    At((seconds * 1000.0).round() as u64)
}

/// Seconds, as the server takes them.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of the next 200 000 years are exact")]
pub fn seconds(at: At) -> f64 {
    at.0 as f64 / 1000.0
}

/// The end to ask for: so long after its beginning, or after now, at least, and no later than a
/// server can count.
pub fn ending(until: Option<At>, from: At, shortest_ms: u64) -> At {
    until.unwrap_or(from.plus(NEVER_MS)).max(from.plus(shortest_ms)).min(LAST)
}

/// From here on an end is none.
pub fn never(now: At) -> At {
    now.plus(FAR_MS).min(LAST)
}

/// A name for a circuit, the same each time. A server takes none that begins with a digit.
pub fn name(of: &str, salt: u8) -> String {
    let digest = Sha256::new().chain_update(of).chain_update([salt]).finalize();
    let letter = |(at, byte): (usize, &u8)| {
        let from = if at == 0 { &ALPHABET[DIGITS..] } else { &ALPHABET[..] };
        char::from(from[usize::from(*byte) % from.len()])
    };
    digest.iter().take(4).enumerate().map(letter).collect()
}

/// Paths between the devices of two ports. The server makes nothing of a bundle without a primary
/// path, and finds one itself if that is empty.
pub fn bundles(from: &Port, to: &Port) -> Value {
    if from.device == to.device {
        return json!([]);
    }
    json!([{
        "name": format!("{}---{}", from.device, to.device),
        "a": from.device,
        "z": to.device,
        "protection": "LOOSE",
        "constraints": { "include": [], "exclude": [] },
        "lsps": [{ "role": "PRIMARY", "path": [] }],
    }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_that_a_server_takes() {
        let now = At(1_790_000_000_000);
        assert_eq!(ending(Some(now.plus(600_000)), now, 960_000), now.plus(960_000));
        assert_eq!(ending(Some(now.plus(1_000_000)), now, 960_000), now.plus(1_000_000));
        assert!(ending(None, now, 0) >= never(now));
        let late = At(2_000_000_000_000);
        for end in [ending(None, late, 0), ending(Some(late.plus(NEVER_MS)), late, 0)] {
            assert!(end >= never(late) && i32::try_from(end.0 / 1000).is_ok(), "{end}");
        }
    }

    #[test]
    fn names_begin_with_a_letter() {
        for of in 0..200 {
            let name = name(&format!("a>b@{of}"), 0);
            assert!(
                name.len() == 4 && name.starts_with(|c: char| c.is_ascii_uppercase()),
                "{name}"
            );
            assert!(name.bytes().all(|byte| ALPHABET.contains(&byte)), "{name}");
        }
    }
}
