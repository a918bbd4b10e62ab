// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Routes as the kernel has them: the next hops of a prefix.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::process::run;

/// A next hop: gateway and link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hop {
    /// The gateway.
    pub gateway: String,
    /// The link to it.
    pub dev: String,
}

/// The usable next hops of `prefix` in `table`; `space` is a namespace, or ours.
pub(crate) fn hops(space: Option<&str>, prefix: &str, table: &str) -> Result<Vec<Hop>> {
    let family = if prefix.contains(':') { "-6" } else { "-4" };
    let mut argv = vec!["ip", "-j", family];
    if let Some(space) = space {
        argv.extend(["-n", space]);
    }
    argv.extend(["route", "show", prefix, "table", table]);
    let text = match run(&argv) {
        Ok(text) => text,
        // A table that never held a route is not there.
        Err(Error::Failed { talk, .. }) if talk.contains("table does not exist") => String::new(),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let routes: Value = serde_json::from_str(&text)
        .map_err(|error| Error::Odd { what: argv.join(" "), why: format!("{error}: {text}") })?;
    Ok(parse(&routes))
}

fn parse(routes: &Value) -> Vec<Hop> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for route in list(routes) {
        let many = list(&route["nexthops"]);
        for hop in if many.is_empty() { vec![route] } else { many } {
            let flags = list(&hop["flags"]);
            let unusable = |flag: &Value| matches!(flag.as_str(), Some("dead" | "linkdown"));
            let (Some(gateway), Some(dev)) = (hop["gateway"].as_str(), hop["dev"].as_str()) else {
                continue;
            };
            if !flags.iter().any(unusable) {
                found.push(Hop { gateway: gateway.to_owned(), dev: dev.to_owned() });
            }
        }
    }
    found.sort();
    // A twin is the same next hop.
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_and_several_next_hops_are_read_and_dead_ones_left_out() {
        let hop = |gateway: &str, dev: &str| Hop { gateway: gateway.into(), dev: dev.into() };
        let one = json!([{ "dst": "192.0.2.1", "gateway": "10.9.21.2", "dev": "s1", "flags": [] }]);
        assert_eq!(parse(&one), [hop("10.9.21.2", "s1")]);
        let many = json!([{ "dst": "192.0.2.1", "nhid": 7, "flags": [], "nexthops": [
            { "gateway": "10.9.22.2", "dev": "s2", "weight": 1, "flags": [] },
            { "gateway": "10.9.23.2", "dev": "s3", "weight": 1, "flags": ["dead", "linkdown"] },
            { "gateway": "10.9.21.2", "dev": "s1", "weight": 1, "flags": [] } ] }]);
        assert_eq!(parse(&many), [hop("10.9.21.2", "s1"), hop("10.9.22.2", "s2")]);
        assert_eq!(parse(&json!([])), []);
    }
}
