// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The servers of a phase: their collectors and their routes come, are asked, and go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{PATIENCE_S, Phase, ROUTES_S};
use crate::anycast::routing::{core_hops, hops_to, same_links};
use crate::anycast::server::Announce;
use crate::collectors::{Collector, INSTANCES, Launch, Member};
use crate::error::{Error, Result};
use crate::kernel;

/// How often a collector is asked for its status before it counts as dumb.
const STATUS_TRIES: u32 = 5;

impl Phase<'_> {
    /// Collectors on every server, then its route, until the core leads to all of them.
    pub(super) fn servers(&mut self) -> Result<()> {
        let servers = self.stage.net.servers.len();
        for member in Member::all(servers) {
            self.start_collector(member, 1, "collector_start")?;
        }
        for index in 0..self.collectors.len() {
            self.await_ready(index, "collector_ready")?;
        }
        self.announcers = (0..servers).map(|_| None).collect();
        for server in 1..=servers {
            self.announce(server)?;
        }
        self.routed(&(1..=servers).collect::<Vec<_>>())?;
        self.timeline.event("routed", json!({}));
        Ok(())
    }

    pub(super) fn announce(&mut self, server: usize) -> Result<()> {
        let stage = self.stage;
        let log = self.dir.join(format!("log/announce-s{server}.stderr"));
        let routing = stage.routing.borrow();
        let speaker = &routing.speakers[server - 1];
        let space = &stage.net.servers[server - 1];
        let started = Announce::start(stage.telesteer, space, speaker, &INSTANCES, &log)?;
        self.announcers[server - 1] = Some(started);
        Ok(())
    }

    /// Until the core's routes lead to exactly these servers.
    pub(super) fn routed(&mut self, servers: &[usize]) -> Result<()> {
        let (net, want) = (self.stage.net, hops_to(servers));
        self.until_in(ROUTES_S, "the core's routes", |_| {
            let have = core_hops(net)?;
            Ok((same_links(&have, &want), format!("{have:?}")))
        })
    }

    /// Withdraws every route: the servers leave before their collectors do.
    pub(super) fn leave_all(&mut self) -> Result<()> {
        Announce::leave_all(self.announcers.drain(..).flatten())
    }

    /// Every member as its kernel knows it: policy, id, weight and selections read back.
    pub(super) fn members(&self) -> Vec<Value> {
        let of = |one: &Collector| {
            // A busy collector may need a second try.
            let status = (0..STATUS_TRIES).find_map(|_| one.status()).unwrap_or_default();
            let sockets = status["sockets"].as_array().cloned().unwrap_or_default();
            let of = |name: &'static str| sockets.iter().map(move |socket| &socket[name]);
            let policies: BTreeSet<&str> = of("policy").filter_map(Value::as_str).collect();
            let counts: Vec<u64> = of("selections").filter_map(Value::as_u64).collect();
            let selections = (!counts.is_empty()).then(|| counts.iter().sum::<u64>());
            // One for all its sockets, or none.
            let known = |field: &str| -> Value {
                let mut all: Vec<&Value> =
                    sockets.iter().map(|socket| &socket["member"][field]).collect();
                all.dedup();
                if let [one] = all[..] { one.clone() } else { Value::Null }
            };
            json!({
                "server": one.member.server, "instance": one.member.instance,
                "policies": policies, "id": known("id"), "weight": known("weight"),
                "selections": selections,
            })
        };
        self.collectors.iter().map(of).collect()
    }

    pub(super) fn start_collector(&mut self, member: Member, nth: u32, event: &str) -> Result<()> {
        let launch = Launch {
            servers: &self.stage.net.servers,
            spec: self.spec,
            policy: self.stage.policy,
            dir: &self.dir,
            bpf: self.bpf.path(),
            telesteer: self.stage.telesteer,
        };
        let collector = Collector::start(&launch, member, nth)?;
        self.timeline.event(event, member.json(collector.process.pid()));
        self.collectors.push(collector);
        Ok(())
    }

    pub(super) fn await_ready(&mut self, index: usize, event: &str) -> Result<()> {
        let mut words = String::new();
        let what = format!("collector {} to be ready", self.collectors[index].member);
        self.until(&what, |phase| {
            words = phase.collectors[index].ready()?.unwrap_or_default();
            Ok((!words.is_empty(), phase.collectors[index].process.talk()))
        })?;
        let (member, pid) = (self.collectors[index].member, self.collectors[index].process.pid());
        let mut who = member.json(pid);
        who["words"] = words.clone().into();
        self.timeline.event(event, who);
        self.policy = Some(words);
        Ok(())
    }

    pub(super) fn end_collectors(&mut self) -> Result<()> {
        for index in 0..self.collectors.len() {
            self.save_status(index, "end")?;
        }
        self.timeline.event("collectors_stop", json!({}));
        for collector in &self.collectors {
            collector.process.signal(Signal::TERM);
        }
        for mut collector in std::mem::take(&mut self.collectors) {
            let status = collector.process.reap(Duration::from_secs(PATIENCE_S));
            if status.and_then(|status| status.code()) != Some(0) {
                let what = format!("collector {} after SIGTERM", collector.member);
                return Err(Error::Odd {
                    what,
                    why: format!("{status:?}: {}", collector.process.talk()),
                });
            }
        }
        self.timeline.event("collectors_stopped", json!({}));
        Ok(())
    }

    /// Network counters of every server.
    pub(super) fn counters(&self) -> Value {
        let mut found = BTreeMap::new();
        for one in &self.collectors {
            found
                .entry(format!("s{}", one.member.server))
                .or_insert_with(|| kernel::counters(one.process.pid()));
        }
        json!(found)
    }
}
