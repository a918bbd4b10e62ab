// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The life of one circuit.
//!
//! ```text
//! requested -> held -> committed -> provisioned <-> up
//!     |          |         |  ^          |          |
//!     |          |         |  +------ released <----+
//!     |          |         |             |          |
//!     +----------+---------+-------------+----------+--> failed
//!     +----------+---------+-------------+----------+------+----> down
//! ```
//!
//! A call that was asked is pending until its answer or its time-out. No state is skipped, whatever
//! order answers and notices come in: what comes early is remembered, what comes twice is ignored.

use crate::time::{At, Span};
use serde::{Deserialize, Serialize};

/// Where a circuit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Asked for, or about to be.
    Requested,
    /// Held by the provider until it is committed.
    Held,
    /// Reserved.
    Committed,
    /// Configured.
    Provisioned,
    /// Traffic passes.
    Up,
    /// Reserved as before, unconfigured again.
    Released,
    /// Will not come up. What is left of it at the provider has to be given back.
    Failed,
    /// Given back. The end.
    Down,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Requested,
        Self::Held,
        Self::Committed,
        Self::Provisioned,
        Self::Up,
        Self::Released,
        Self::Failed,
        Self::Down,
    ];

    /// The states that may follow at once.
    pub fn next(self) -> &'static [Self] {
        match self {
            Self::Requested => &[Self::Held, Self::Failed, Self::Down],
            Self::Held => &[Self::Committed, Self::Failed, Self::Down],
            Self::Committed | Self::Released => &[Self::Provisioned, Self::Failed, Self::Down],
            Self::Provisioned => &[Self::Up, Self::Released, Self::Failed, Self::Down],
            Self::Up => &[Self::Provisioned, Self::Released, Self::Failed, Self::Down],
            Self::Failed => &[Self::Down],
            Self::Down => &[],
        }
    }
}

/// A call to the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Call {
    /// Hold a circuit.
    Reserve,
    /// Keep it.
    Commit,
    /// Configure it.
    Provision,
    /// Move its end.
    Extend,
    /// Unconfigure it.
    Release,
    /// Give it back.
    Terminate,
}

/// Bounds of every wait, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Waits {
    /// For the answer to a reservation.
    pub reserve_ms: u64,
    /// For which a provider that does not say holds a circuit.
    pub hold_ms: u64,
    /// For the answer to any other call.
    pub call_ms: u64,
    /// From provisioned, or from its beginning if that is later, to traffic.
    pub activate_ms: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self { reserve_ms: 180_000, hold_ms: 120_000, call_ms: 120_000, activate_ms: 180_000 }
    }
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It is held, until then if the provider says.
    Reserved(Option<At>),
    /// It is kept.
    Committed,
    /// It is configured.
    Provisioned,
    /// Traffic passes.
    Active,
    /// No traffic passes.
    Inactive,
    /// Its end is moved.
    Extended(Option<At>),
    /// It is unconfigured.
    Released,
    /// It is given back, or is not known there any more.
    Terminated,
    /// The pending call was refused or got no answer.
    Refused(String),
    /// The hold ran out at the provider.
    HoldExpired,
    /// The provider ended it.
    Ended(String),
}

/// Why a circuit failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The provider refused.
    #[error("{0:?} refused: {1}")]
    Refused(Call, String),
    /// No answer.
    #[error("{0:?} without an answer")]
    TimedOut(Call),
    /// The hold ran out.
    #[error("the hold ran out")]
    HoldExpired,
    /// Configured, but no traffic passes.
    #[error("provisioned, but not active in time")]
    NotActive,
    /// The provider ended it.
    #[error("ended by the provider: {0}")]
    Ended(String),
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// From this one.
    pub from: State,
    /// To this one.
    pub to: State,
    /// When.
    pub at: At,
}

/// The call cannot be made in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{call:?} cannot be asked of a circuit that is {state:?}")]
pub struct Illegal {
    /// The call.
    pub call: Call,
    /// The state.
    pub state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pending {
    call: Call,
    by: At,
}

/// The life of a circuit.
#[derive(Clone, Debug)]
pub struct Life {
    state: State,
    span: Span,
    waits: Waits,
    pending: Option<Pending>,
    hold_until: Option<At>,
    active_by: Option<At>,
    /// Traffic passed before the answer to the provision came.
    early: bool,
    /// Something may exist at the provider.
    owes: bool,
    reason: Option<Reason>,
    ignored: u64,
}

impl Life {
    /// A circuit not yet asked for.
    pub fn new(span: Span, waits: Waits) -> Self {
        Self {
            state: State::Requested,
            span,
            waits,
            pending: None,
            hold_until: None,
            active_by: None,
            early: false,
            owes: false,
            reason: None,
            ignored: 0,
        }
    }

    /// A circuit found at a provider, asked for in another life of this program.
    pub fn found(span: Span, waits: Waits, now: At) -> Self {
        let pending = Some(Pending { call: Call::Reserve, by: now.plus(waits.reserve_ms) });
        Self { owes: true, pending, ..Self::new(span, waits) }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// When it is for.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The call under way.
    pub fn pending(&self) -> Option<Call> {
        self.pending.map(|pending| pending.call)
    }

    /// Why it failed.
    pub fn reason(&self) -> Option<&Reason> {
        self.reason.as_ref()
    }

    /// Whether something may exist at the provider that has to be given back.
    pub fn owes(&self) -> bool {
        self.owes && self.state != State::Down
    }

    /// What was heard and changed nothing: repeated, late, or not for this state.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// When [`Life::tick`] has something to do.
    pub fn deadline(&self) -> Option<At> {
        let hold = self.hold_until.filter(|_| self.state == State::Held);
        let active = self.active_by.filter(|_| self.state == State::Provisioned);
        [self.pending.map(|pending| pending.by), hold, active].into_iter().flatten().min()
    }

    /// A call is made now.
    pub fn ask(&mut self, call: Call, now: At) -> Result<(), Illegal> {
        use State::{Committed, Down, Held, Provisioned, Released, Requested, Up};
        let fits = match call {
            Call::Reserve => self.state == Requested && self.pending.is_none(),
            Call::Commit => self.state == Held,
            Call::Provision => matches!(self.state, Committed | Released),
            Call::Extend => matches!(self.state, Committed | Provisioned | Up | Released),
            Call::Release => matches!(self.state, Provisioned | Up),
            Call::Terminate => self.state != Down,
        };
        if !fits || (self.pending.is_some() && call != Call::Terminate) {
            return Err(Illegal { call, state: self.state });
        }
        let wait = if call == Call::Reserve { self.waits.reserve_ms } else { self.waits.call_ms };
        self.pending = Some(Pending { call, by: now.plus(wait) });
        self.owes = true;
        Ok(())
    }

    /// Something was heard. Returns what changed, in order.
    pub fn hear(&mut self, event: Event, now: At) -> Vec<Step> {
        use State::{Committed, Held, Provisioned, Released, Requested, Up};
        let mut steps = Vec::new();
        let state = self.state;
        match event {
            Event::Reserved(until) if state == Requested => {
                self.answered(Call::Reserve);
                self.hold_until = Some(until.unwrap_or(now.plus(self.waits.hold_ms)));
                self.go(Held, now, &mut steps);
            }
            Event::Committed if state == Held => {
                self.answered(Call::Commit);
                self.go(Committed, now, &mut steps);
            }
            Event::Provisioned if matches!(state, Committed | Released) => {
                self.answered(Call::Provision);
                self.active_by = Some(now.max(self.span.from).plus(self.waits.activate_ms));
                self.go(Provisioned, now, &mut steps);
                if std::mem::take(&mut self.early) {
                    self.go(Up, now, &mut steps);
                }
            }
            Event::Active if state == Provisioned => self.go(Up, now, &mut steps),
            Event::Active if self.pending() == Some(Call::Provision) => self.early = true,
            Event::Inactive if state == Up => {
                self.active_by = Some(now.plus(self.waits.activate_ms));
                self.go(Provisioned, now, &mut steps);
            }
            Event::Inactive if self.early => self.early = false,
            Event::Extended(until) if self.pending() == Some(Call::Extend) => {
                self.answered(Call::Extend);
                self.span.until = until;
            }
            Event::Released if matches!(state, Provisioned | Up) => {
                self.answered(Call::Release);
                self.go(Released, now, &mut steps);
            }
            Event::Terminated if state != State::Down => {
                self.pending = None;
                self.go(State::Down, now, &mut steps);
            }
            Event::Refused(said) => match self.pending.take() {
                Some(pending) => self.turned_down(
                    pending.call,
                    Reason::Refused(pending.call, said),
                    now,
                    &mut steps,
                ),
                None => self.ignored += 1,
            },
            Event::HoldExpired if matches!(state, Requested | Held) => {
                self.fail(Reason::HoldExpired, now, &mut steps);
            }
            Event::Ended(said) if !matches!(state, State::Failed | State::Down) => {
                self.fail(Reason::Ended(said), now, &mut steps);
            }
            _ => self.ignored += 1,
        }
        steps
    }

    /// Time passes. Returns what changed.
    pub fn tick(&mut self, now: At) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some(pending) = self.pending.filter(|pending| pending.by <= now) {
            self.pending = None;
            self.turned_down(pending.call, Reason::TimedOut(pending.call), now, &mut steps);
        }
        if self.state == State::Held && self.hold_until.is_some_and(|until| until <= now) {
            self.fail(Reason::HoldExpired, now, &mut steps);
        }
        if self.state == State::Provisioned && self.active_by.is_some_and(|by| by <= now) {
            self.fail(Reason::NotActive, now, &mut steps);
        }
        steps
    }

    /// A failed reserve, commit or provision is the end; the others leave it as it is.
    fn turned_down(&mut self, call: Call, reason: Reason, now: At, steps: &mut Vec<Step>) {
        let fatal = match call {
            Call::Reserve => self.state == State::Requested,
            Call::Commit => self.state == State::Held,
            Call::Provision => matches!(self.state, State::Committed | State::Released),
            Call::Extend | Call::Release | Call::Terminate => false,
        };
        if fatal {
            self.fail(reason, now, steps);
        }
    }

    fn fail(&mut self, reason: Reason, now: At, steps: &mut Vec<Step>) {
        self.pending = None;
        self.reason = Some(reason);
        self.go(State::Failed, now, steps);
    }

    fn answered(&mut self, call: Call) {
        if self.pending() == Some(call) {
            self.pending = None;
        }
    }

    fn go(&mut self, to: State, at: At, steps: &mut Vec<Step>) {
        steps.push(Step { from: self.state, to, at });
        self.state = to;
    }
}

#[cfg(test)]
#[path = "life_tests.rs"]
mod tests;
