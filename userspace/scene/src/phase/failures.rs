// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What happens to collectors in a phase: one crashes, comes back, another one is drained.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::json;

use super::{PATIENCE_S, Phase};
use crate::collectors::{Member, Queues, busiest};
use crate::error::{Error, Result};
use crate::sockets::{self, Tables};
use crate::timeline::now_us;

/// Unread bytes that show that a session has been waiting: a few messages, not the start of one.
const HANG_BYTES: u64 = 512;

/// Time added to a policy's deadline: it counts in ticks.
const AFTER: Duration = Duration::from_millis(750);

impl Phase<'_> {
    /// As a watchdog deals with a hung daemon: SIGSTOP stands for the hang, SIGKILL ends it.
    pub(super) fn crash(&mut self) -> Result<Member> {
        let victim = busiest(&self.collectors, &[])?.member;
        let index = self.index(victim)?;
        let pid = self.collectors[index].process.pid();
        let who = victim.json(pid);
        let stop_us = now_us();
        self.collectors[index].process.signal(Signal::STOP);
        self.timeline.event_at(stop_us, "stop_signal", who.clone());
        // A stopped process keeps its files, so they are looked up once.
        let inodes = sockets::inodes(pid);
        self.until("unread bytes in three quarters of the victim's sessions", |_| {
            let queues = Queues::of(&inodes, &Tables::tcp(pid));
            let (sessions, unread) = (queues.sessions(), queues.unread_at_least(HANG_BYTES));
            Ok((unread * 4 >= sessions * 3, format!("{unread} of {sessions}")))
        })?;
        self.timeline.event("queues", who);
        let queues = Queues::of(&inodes, &Tables::all(pid));
        let (kill_us, after_us) = self.collectors[index].process.kill();
        self.crashed = true;
        let mut kill = victim.json(pid);
        kill["after_us"] = after_us.into();
        self.timeline.event_at(kill_us, "kill", kill);
        let mut dead = self.collectors.remove(index);
        dead.process.reap(Duration::from_secs(PATIENCE_S));
        self.timeline.event("killed", victim.json(pid));
        self.write_queues(
            "kill.json",
            queues.json(),
            json!({ "server": victim.server, "instance": victim.instance, "pid": pid, "stop_us": stop_us, "kill_us": kill_us, "after_us": after_us }),
        )?;
        self.step(&format!(
            "collector {victim} killed with unread bytes in {} of its {} sessions",
            queues.unread(),
            queues.sessions()
        ));
        if !self.spec.refuses {
            self.all_connected()?;
        }
        self.rounds()?;
        self.timeline.event("crash_settled", json!({}));
        Ok(victim)
    }

    /// The dead one comes back under its old id; then time passes until every exporter is back.
    pub(super) fn comeback(&mut self, member: Member) -> Result<()> {
        self.start_collector(member, 2, "return_start")?;
        let last = self.collectors.len() - 1;
        self.await_ready(last, "return_ready")?;
        let ready = Instant::now();
        self.all_connected()?;
        let deadline = self.deadline();
        if !deadline.is_zero() {
            self.rounds()?;
            self.timeline.event("return_settled", member.json(0));
            self.until("the deadline of the policy", |_| {
                let passed = ready.elapsed();
                Ok((passed > deadline + AFTER, format!("{} s", passed.as_secs())))
            })?;
        }
        self.timeline.event("mapped", member.json(0));
        self.rounds()?;
        let state = self.state();
        self.step(&format!("collector {member} is back: {state}"));
        Ok(())
    }

    /// Another one is told to leave.
    pub(super) fn drain(&mut self, killed: Member) -> Result<Member> {
        let member = busiest(&self.collectors, &[killed])?.member;
        let index = self.index(member)?;
        self.save_status(index, "before-drain")?;
        let pid = self.collectors[index].process.pid();
        let queues = self.collectors[index].queues(&Tables::all(pid));
        let Member { server, instance } = member;
        let drain_us = now_us();
        self.collectors[index].process.signal(Signal::TERM);
        self.timeline.event_at(drain_us, "drain_start", member.json(pid));
        let mut leaving = self.collectors.remove(index);
        let status = leaving.process.reap(Duration::from_secs(PATIENCE_S));
        let exit = status.and_then(|status| status.code());
        let mut end = member.json(pid);
        end["exit"] = exit.into();
        self.timeline.event("drain_end", end);
        self.write_queues(
            "drain.json",
            queues.json(),
            json!({ "server": server, "instance": instance, "pid": pid, "drain_us": drain_us }),
        )?;
        if exit != Some(0) {
            let what = format!("collector {member} after SIGTERM");
            return Err(Error::Odd {
                what,
                why: format!("{status:?}: {}", leaving.process.talk()),
            });
        }
        if !self.spec.refuses {
            self.all_connected()?;
        }
        self.rounds()?;
        self.timeline.event("drain_settled", json!({}));
        let state = self.state();
        self.step(&format!("collector {member} drained: {state}"));
        Ok(member)
    }
}
