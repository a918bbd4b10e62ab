// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The loop: look at the collectors and at the speaker, decide, do, say.

use std::{
    io::Write,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant, SystemTime},
};

use serde_json::{Value, json};

use super::{
    decision::{Act, Decision, Limits, Present, Why},
    health::{self, Health, Needs},
    prefix::Prefix,
    speaker::{Speaker, summary},
};

/// Everything the loop needs.
#[derive(Debug)]
pub struct Watch {
    /// What is announced.
    pub prefixes: Vec<Prefix>,
    /// Through whom.
    pub speaker: Speaker,
    /// What must be so.
    pub needs: Needs,
    /// Hysteresis.
    pub limits: Limits,
    /// Time between two looks.
    pub interval: Duration,
    /// Time between two questions to a speaker that has nothing to do.
    pub audit: Duration,
    /// How long a command of the speaker may take.
    pub command: Duration,
    /// How long a drain may try to withdraw.
    pub drain: Duration,
    /// Time between the confirmed withdrawal and the end.
    pub linger: Duration,
    /// Events as JSON lines on standard output, instead of words on standard error.
    pub json: bool,
}

impl Watch {
    /// Runs until something comes from `leave`, then withdraws.
    ///
    /// Gives whether the prefixes are withdrawn: false if the speaker did not obey in time.
    pub fn run(mut self, leave: &Receiver<()>) -> bool {
        let begun = Instant::now();
        let mut decision = Decision::new(self.limits);
        let mut said = None;
        let names: Vec<String> = self.prefixes.iter().map(ToString::to_string).collect();
        self.event("start", &format!("watching for {}", names.join(" ")), json!({}));
        let mut deadline = None;
        // Told, and not yet seen to be so.
        let mut told = false;
        let mut asked: Option<(Instant, Vec<Option<bool>>)> = None;
        loop {
            let draining = deadline.is_some();
            // A server that leaves does not ask how it is.
            let health = if draining { Health::default() } else { health::look(&self.needs) };
            if !draining && said.as_ref() != Some(&health) {
                let well = if health.well { "well" } else { "ill" };
                self.event("health", &format!("{well}: {}", health.words()), health.json());
                said = Some(health.clone());
            }
            // A question is a program to start, so a quiet speaker is asked now and then only.
            let has = match &asked {
                Some((at, has)) if !draining && at.elapsed() < self.audit => has.clone(),
                _ => {
                    let has = self.ask();
                    asked = Some((Instant::now(), has.clone()));
                    has
                }
            };
            let present = summary(&has);
            let act = decision.look(begun.elapsed(), health.well, present);
            match act {
                Act::Keep => {}
                Act::Announce(why) => self.set(&has, true, why),
                Act::Withdraw(why) => self.set(&has, false, why),
            }
            if act != Act::Keep || present == Present::Unknown {
                asked = None;
            }
            told |= act != Act::Keep;
            let wanted = if decision.wanted() { Present::All } else { Present::None };
            if told && !draining && present == wanted {
                told = false;
                let state = if decision.wanted() { "announced" } else { "withdrawn" };
                let words = format!("{} {state}", names.join(" "));
                self.event("confirmed", &words, json!({ "state": state }));
            }
            match deadline {
                Some(_) if act == Act::Keep && present == Present::None => break,
                Some(deadline) if Instant::now() > deadline => {
                    self.event("error", "still announced, giving up", json!({}));
                    return false;
                }
                Some(_) => {}
                None => {}
            }
            // What was just told is confirmed at once, not an interval later.
            let pause = if act == Act::Keep { self.interval } else { Duration::ZERO };
            match leave.recv_timeout(pause.max(Duration::from_millis(1))) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) if deadline.is_none() => {
                    decision.drain();
                    deadline = Some(Instant::now() + self.drain);
                    self.event("drain", "told to leave", json!({}));
                }
                // Told twice: the limit of the drain holds.
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(pause),
            }
        }
        self.event("withdrawn", "no route is announced any more", json!({}));
        std::thread::sleep(self.linger);
        self.event("end", "the collectors may be drained now", json!({}));
        true
    }

    /// What the speaker has; `None` where it did not say.
    fn ask(&self) -> Vec<Option<bool>> {
        let ask = |&prefix: &Prefix| match self.speaker.has(prefix, self.command) {
            Ok(has) => Some(has),
            Err(error) => {
                self.event("error", &error.to_string(), json!({ "prefix": prefix.to_string() }));
                None
            }
        };
        self.prefixes.iter().map(ask).collect()
    }

    /// Announces or withdraws what is not yet as it should be.
    fn set(&mut self, has: &[Option<bool>], on: bool, why: Why) {
        let event = if on { "announce" } else { "withdraw" };
        let why = match why {
            Why::Health => "health",
            Why::Differs => "differs",
            Why::Drain => "drain",
        };
        for (&prefix, has) in self.prefixes.clone().iter().zip(has) {
            if *has == Some(on) {
                continue;
            }
            let name = prefix.to_string();
            match self.speaker.set(prefix, on, self.command) {
                Ok(command) => self.event(
                    event,
                    &format!("{name} ({why}): {command}"),
                    json!({ "prefix": name, "why": why, "command": command }),
                ),
                Err(error) => {
                    self.event("error", &error.to_string(), json!({ "prefix": name }));
                }
            }
        }
    }

    fn event(&self, event: &str, words: &str, more: Value) {
        if !self.json {
            eprintln!("telesteer: {event}: {words}");
            return;
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mut line = json!({ "ts_us": now.as_micros() as u64, "event": event, "words": words });
        if let (Some(line), Value::Object(more)) = (line.as_object_mut(), more) {
            line.extend(more);
        }
        let mut out = std::io::stdout().lock();
        // Nobody reads it any more: the work goes on.
        let _ = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}
