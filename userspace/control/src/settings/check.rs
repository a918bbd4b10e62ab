// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Whether a configuration makes sense, and the line of a key that does not.

use super::Settings;
use crate::conductor::Reach;
use crate::provider;
use crate::router::settings::{Kind, OpenFlow};
use crate::schedule::Clock;
use std::collections::BTreeMap;
use telesteer_circuit::request::{Name, Pair};
use telesteer_circuit::time::At;

/// The key, and why not.
type Wrong = (String, String);

fn wrong<T>(key: impl Into<String>, why: impl Into<String>) -> Result<T, Wrong> {
    Err((key.into(), why.into()))
}

impl Settings {
    /// Whether it makes sense as a whole.
    pub(super) fn check(&self) -> Result<(), Wrong> {
        if self.routers.is_empty() {
            return wrong("routers", "none");
        }
        self.check_routers()?;
        self.network()
            .or_else(|shared| wrong(format!("routers.{}", shared.second), shared.to_string()))?;
        self.check_paths()?;
        self.check_circuits()?;
        if let Some(collector) = &self.collector {
            collector.check()?;
        }
        self.check_times()?;
        self.check_reach()?;
        if let Some(offline) = &self.offline {
            Clock::new(&offline.at, &offline.zone)
                .or_else(|bad| wrong(format!("offline.{}", bad.key), bad.why))?;
            if ![24, 32].contains(&offline.width) {
                return wrong("offline.width", format!("{}, not 24 or 32", offline.width));
            }
        }
        if self.online.gated && self.offline.is_none() {
            return wrong("online.gated", "there is no [offline], so no flow would ever be let in");
        }
        Ok(())
    }

    fn check_routers(&self) -> Result<(), Wrong> {
        for (name, router) in &self.routers {
            let key = |key: &str| format!("routers.{name}.{key}");
            if let Err(error) = Name::of(&Pair::new(name, "x"), At(0)) {
                return wrong(format!("routers.{name}"), error.to_string());
            }
            let lacks = match router.device {
                Kind::Frr if router.frr.is_none() => Some("frr"),
                Kind::Openflow if router.openflow.is_none() => Some("openflow"),
                Kind::Junos if router.junos.is_none() => Some("junos"),
                Kind::Flowspec if router.flowspec.is_none() => Some("flowspec"),
                Kind::File if router.file.is_none() => Some("file"),
                _ => None,
            };
            if let Some(what) = lacks {
                return wrong(key(what), format!("missing: device is {}", router.device.name()));
            }
            if !(0.01..=86_400.0).contains(&router.read_every_s) {
                return wrong(key("read-every-s"), "not between 0.01 and 86400");
            }
            if !(0.0..=86_400.0).contains(&router.slow_s) {
                return wrong(key("slow-s"), "not between 0 and 86400");
            }
            let named: Vec<&String> = match router.device {
                Kind::Frr => router.frr.iter().flat_map(|frr| frr.vrfs.keys()).collect(),
                Kind::Openflow => router.openflow.iter().flat_map(|of| of.egress.keys()).collect(),
                Kind::Junos => router.junos.iter().flat_map(|of| of.instances.keys()).collect(),
                Kind::Flowspec => router.flowspec.iter().flat_map(|of| of.targets.keys()).collect(),
                Kind::Nft | Kind::IpRule | Kind::File => Vec::new(),
            };
            if let Some(path) = named.into_iter().find(|path| !self.paths.contains_key(*path)) {
                return wrong(key(router.device.name()), format!("no path `{path}` in [paths]"));
            }
            let own = self.paths.values().any(|path| path.from == *name);
            if router.device.wants_fixed_paths() && !own {
                let why = format!("device {} wants paths from it", router.device.name());
                return wrong(format!("paths of {name}"), why);
            }
            if let Some(of) = &router.openflow
                && let Some(why) = of.egress.values().find_map(|egress| egress.octets().err())
            {
                return wrong(key("openflow.egress"), why);
            }
            let timed = |of: &OpenFlow| of.idle_timeout_s > 0 || of.hard_timeout_s > 0;
            if router.openflow.as_ref().is_some_and(timed) && self.online.reach != Reach::Flow {
                let why = "only 5-tuples time out, and online.reach makes none";
                return wrong(key("openflow"), why);
            }
            if router.junos.as_ref().is_some_and(|of| !(1.0..=86_400.0).contains(&of.answer_s)) {
                return wrong(key("junos.answer-s"), "not between 1 and 86400");
            }
        }
        Ok(())
    }

    fn check_paths(&self) -> Result<(), Wrong> {
        for (name, path) in &self.paths {
            for (key, router) in [("from", &path.from), ("to", &path.to)] {
                if !self.routers.contains_key(router) {
                    return wrong(format!("paths.{name}.{key}"), format!("no router `{router}`"));
                }
            }
        }
        provider::settings::check(&self.paths)
            .or_else(|(name, why)| wrong(format!("paths.{name}"), why))
    }

    fn check_circuits(&self) -> Result<(), Wrong> {
        use provider::settings::Kind as Of;
        let circuits = &self.circuits;
        let lacks = match circuits.provider {
            Of::Local if circuits.local.is_none() => Some("local"),
            Of::Nsi if circuits.nsi.is_none() => Some("nsi"),
            Of::Oscars if circuits.oscars.is_none() => Some("oscars"),
            Of::File if circuits.file.is_none() => Some("file"),
            _ => None,
        };
        if let Some(what) = lacks {
            return wrong(format!("circuits.{what}"), "missing: the provider is of that kind");
        }
        if circuits.provider != Of::Local && self.paths.is_empty() {
            return wrong("paths", "none: only the provider local tells how packets get in");
        }
        if !(0.1..=86_400.0).contains(&circuits.list_every_s) {
            return wrong("circuits.list-every-s", "not between 0.1 and 86400");
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), Wrong> {
        let online = &self.online;
        let times = BTreeMap::from([
            ("age-s", online.age_s),
            ("jitter-s", online.jitter_s),
            ("lead-s", online.lead_s),
            ("doubt-s", self.doubt_s()),
            ("start-wait-s", online.start_wait_s),
        ]);
        if let Some((key, _)) = times.iter().find(|(_, value)| !(0.0..=1e8).contains(*value)) {
            return wrong(format!("online.{key}"), "not a number of seconds");
        }
        let Some(collector) = &self.collector else { return Ok(()) };
        // A live flow that is given up before it can be found again loses its route.
        for (key, least) in [("t-s", collector.t_s), ("idle-s", collector.idle_s())] {
            if self.doubt_s() < least {
                let why = format!("{} is less than collector.{key}, {least}", self.doubt_s());
                return wrong("online.doubt-s", why);
            }
        }
        Ok(())
    }

    /// Whether online entries can be on all routers.
    fn check_reach(&self) -> Result<(), Wrong> {
        let mut routers = self.routers.iter();
        // pbrd forgets ports, see the device.
        let portless = routers.find(|(_, router)| router.device == Kind::Frr);
        match portless {
            Some((name, _)) if self.collector.is_some() && self.online.reach == Reach::Flow => {
                let why = format!("flow, but {name} is of device frr, which matches no ports");
                wrong("online.reach", why)
            }
            _ => Ok(()),
        }
    }
}

/// The line where a key like `routers.r1.device` is, or the table it would be in.
pub(super) fn line_of(text: &str, key: &str) -> Option<usize> {
    let parts: Vec<&str> = key.split('.').collect();
    let plain = |word: &str| word.trim().trim_matches(['"', '\'']).to_owned();
    let mut best = None;
    let mut table: Vec<String> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let header = line.strip_prefix('[').and_then(|rest| rest.split(']').next());
        let path: Vec<String> = match header {
            Some(header) => {
                table = header.trim_start_matches('[').split('.').map(plain).collect();
                table.clone()
            }
            None => {
                let Some((name, _)) = line.split_once('=') else { continue };
                table.iter().cloned().chain(name.split('.').map(plain)).collect()
            }
        };
        let common = path.iter().zip(&parts).take_while(|(a, b)| a == b).count();
        let whole = common == path.len();
        if whole && best.is_none_or(|(most, _)| common > most) {
            best = Some((common, number + 1));
        }
    }
    best.map(|(_, line)| line)
}
