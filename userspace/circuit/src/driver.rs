// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Drives a [`Book`] with a provider: makes its calls, brings it what is heard.

use crate::book::{Action, Book};
use crate::circuits::{Circuits, Id, Notice, Remote};
use crate::clock::now;
use crate::error::Error;
use crate::life::{Call, Event, Step};
use crate::request::Name;
use crate::time::At;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// Most calls under way; others wait their turn.
const AT_ONCE: usize = 16;
/// Most circuits remembered as given back.
const GONE: usize = 256;
/// Most messages kept for who asks.
const SAID: usize = 256;

enum Done {
    Called(Action, Result<Option<(Id, Option<At>)>, Error>),
    Listed(At, Result<Vec<Remote>, Error>),
    Noticed(Result<Vec<(Id, Notice)>, Error>),
}

/// The driver.
pub struct Driver {
    /// What is wanted and what there is.
    pub book: Book,
    circuits: Arc<dyn Circuits>,
    calls: JoinSet<Done>,
    places: Arc<Semaphore>,
    list_every_ms: u64,
    /// Not by the clock on the wall: that may step.
    list_at: Instant,
    listing: bool,
    noticing: bool,
    /// The provider has told once what it has.
    listed: bool,
    said: Vec<String>,
    /// Messages nobody fetched in time.
    unsaid: u64,
    foreign: Vec<Id>,
    /// Given back lately, and when: a list asked for before may still have them.
    gone: VecDeque<(Id, At)>,
}

impl Driver {
    /// Asks the provider for all its circuits first, then every `list_every_ms` and after whatever is
    /// in doubt.
    pub fn new(book: Book, circuits: Arc<dyn Circuits>, list_every_ms: u64) -> Self {
        Self {
            book,
            circuits,
            calls: JoinSet::new(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
            list_every_ms,
            list_at: Instant::now(),
            listing: false,
            noticing: false,
            listed: false,
            said: Vec::new(),
            unsaid: 0,
            foreign: Vec::new(),
            gone: VecDeque::new(),
        }
    }

    /// What went wrong since the last call; the last line tells of messages there was no room for.
    pub fn said(&mut self) -> Vec<String> {
        let mut said = std::mem::take(&mut self.said);
        if self.unsaid > 0 {
            said.push(format!("{} more messages were dropped", std::mem::take(&mut self.unsaid)));
        }
        said
    }

    /// Circuits at the provider that are not ours.
    pub fn foreign(&self) -> &[Id] {
        &self.foreign
    }

    /// Takes what came and makes the calls that are due. Does not wait for them. Returns what changed.
    pub async fn turn(&mut self) -> Vec<(Name, Step)> {
        while let Some(done) = self.calls.try_join_next() {
            self.done(done);
        }
        self.look().await;
        if Instant::now() >= self.list_at && !self.listing {
            self.listing = true;
            let (circuits, asked) = (self.circuits.clone(), now());
            self.calls.spawn(async move { Done::Listed(asked, circuits.list().await) });
        }
        // Before the first list, a call could make the twin of a circuit that is there.
        if self.listed {
            for action in self.book.actions(now()) {
                let (circuits, places) = (self.circuits.clone(), self.places.clone());
                self.calls.spawn(async move {
                    let _place = places.acquire_owned().await;
                    let result = call(&*circuits, &action).await;
                    Done::Called(action, result)
                });
            }
        }
        self.book.steps()
    }

    /// Takes what the provider told by itself. Mostly that is here; who must ask for it is not waited for.
    async fn look(&mut self) {
        if self.noticing {
            return;
        }
        let circuits = self.circuits.clone();
        let mut asked = Box::pin(async move { circuits.notices().await });
        match poll_fn(|context| Poll::Ready(asked.as_mut().poll(context))).await {
            Poll::Ready(notices) => self.noticed(notices),
            Poll::Pending => {
                self.noticing = true;
                self.calls.spawn(async move { Done::Noticed(asked.await) });
            }
        }
    }

    fn noticed(&mut self, notices: Result<Vec<(Id, Notice)>, Error>) {
        match notices {
            Ok(notices) => notices.into_iter().for_each(|(id, notice)| self.notice(&id, notice)),
            Err(error) => self.say(error.to_string()),
        }
    }

    /// Waits until a call has ended, or for `ms`.
    pub async fn rest(&mut self, ms: u64) {
        let wait = Duration::from_millis(ms);
        match timeout(wait, self.calls.join_next()).await {
            Ok(Some(done)) => self.done(done),
            Ok(None) => sleep(wait).await,
            Err(_) => {}
        }
    }

    fn say(&mut self, text: String) {
        if self.said.len() < SAID {
            self.said.push(text);
        } else {
            self.unsaid += 1;
        }
    }

    fn done(&mut self, done: Result<Done, JoinError>) {
        match done {
            Ok(Done::Called(action, Ok(held))) => {
                let name = action.request.name.clone();
                if let Some((id, _)) = &held {
                    self.book.identify(&name, id.clone(), now());
                }
                if let (Call::Terminate, Some(id)) = (action.call, &action.id) {
                    if self.gone.len() >= GONE {
                        self.gone.pop_front();
                    }
                    self.gone.push_back((id.clone(), now()));
                }
                let event = match action.call {
                    Call::Reserve => Event::Reserved(held.and_then(|(_, until)| until)),
                    Call::Commit => Event::Committed,
                    Call::Provision => Event::Provisioned,
                    Call::Extend => Event::Extended(action.until),
                    Call::Release => Event::Released,
                    Call::Terminate => Event::Terminated,
                };
                self.hear(&name, event);
            }
            Ok(Done::Called(action, Err(error))) => {
                if error.in_doubt() {
                    self.list_at = Instant::now();
                }
                self.say(error.to_string());
                self.hear(&action.request.name, Event::Refused(error.to_string()));
            }
            Ok(Done::Listed(asked, result)) => {
                self.listing = false;
                match result {
                    Ok(mut remotes) => {
                        let gone =
                            |id: &Id| self.gone.iter().any(|(one, at)| one == id && *at >= asked);
                        remotes.retain(|remote| !gone(&remote.id));
                        // Of a later list they are not in doubt any more.
                        self.gone.retain(|(_, at)| *at >= asked);
                        self.foreign = self.book.reconcile(&remotes, asked, now());
                        self.listed = true;
                        self.list_at = later(self.list_every_ms);
                    }
                    Err(error) => {
                        self.say(error.to_string());
                        self.list_at = later(self.list_every_ms / 4);
                    }
                }
            }
            Ok(Done::Noticed(notices)) => {
                self.noticing = false;
                self.noticed(notices);
            }
            // Its circuit waits until its time is over.
            Err(error) => {
                (self.listing, self.noticing) = (false, false);
                self.say(format!("a call broke off: {error}"));
            }
        }
    }

    fn notice(&mut self, id: &Id, notice: Notice) {
        let Some(name) = self.book.name_of(id) else { return };
        let event = match notice {
            Notice::Active => Event::Active,
            Notice::Inactive => Event::Inactive,
            Notice::HoldExpired => Event::HoldExpired,
            Notice::Ended(said) => Event::Ended(said),
            // The data plane is not, or may not be, there; the wait for it bounds the rest.
            Notice::Error(said) => {
                self.list_at = Instant::now();
                self.say(format!("{}: {id}: {said}", self.circuits.server()));
                Event::Inactive
            }
        };
        self.hear(&name, event);
    }

    fn hear(&mut self, name: &Name, event: Event) {
        self.book.hear(name, event, now());
    }
}

/// In `ms`, a day at most.
fn later(ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(ms.min(86_400_000))
}

async fn call(circuits: &dyn Circuits, action: &Action) -> Result<Option<(Id, Option<At>)>, Error> {
    let Some(id) = &action.id else {
        if action.call == Call::Reserve {
            let held = circuits.reserve(&action.request).await?;
            return Ok(Some((held.id, held.until)));
        }
        // Nobody told us an id, but there may be one.
        let named = |remote: &Remote| remote.name.as_ref() == Some(&action.request.name);
        for remote in circuits.list().await?.iter().filter(|remote| named(remote)) {
            circuits.terminate(&remote.id).await?;
        }
        return Ok(None);
    };
    match action.call {
        Call::Reserve => {
            let held = circuits.reserve(&action.request).await?;
            return Ok(Some((held.id, held.until)));
        }
        Call::Commit => circuits.commit(id).await?,
        Call::Provision => circuits.provision(id).await?,
        Call::Extend => circuits.extend(id, action.until).await?,
        Call::Release => circuits.release(id).await?,
        Call::Terminate => circuits.terminate(id).await?,
    }
    Ok(None)
}

#[cfg(test)]
#[path = "driver_tests.rs"]
mod tests;
