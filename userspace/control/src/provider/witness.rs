// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A provider whose every call is written down before it is made, and its outcome after.

use crate::clock::now;
use crate::crash::{Crash, Point, Side};
use crate::journal::Journal;
use crate::record::Intent;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use telesteer_circuit::circuits::{Answer, Circuits, Held, Id, Notice, Remote};
use telesteer_circuit::error::{Error, Why};
use telesteer_circuit::life::Call;
use telesteer_circuit::request::Request;
use telesteer_circuit::time::At;
use telesteer_fam::Ns;

/// The provider inside, with its intents in the journal.
pub struct Witness {
    inner: Arc<dyn Circuits>,
    journal: Option<Arc<Mutex<Journal>>>,
    crash: Crash,
    /// When the newest list was asked for of those that came; before the first, the least there is.
    listed: AtomicI64,
}

impl Witness {
    /// Wraps a provider. Without a journal nothing is written down, as befits one that does nothing.
    pub fn new(
        inner: Arc<dyn Circuits>,
        journal: Option<Arc<Mutex<Journal>>>,
        crash: Crash,
    ) -> Self {
        Self { inner, journal, crash, listed: AtomicI64::new(Ns::MIN) }
    }

    /// Since when it is known what it has, if it has told at all: what was asked for later may be there
    /// too.
    pub fn listed(&self) -> Option<Ns> {
        Some(self.listed.load(Ordering::Acquire)).filter(|at| *at != Ns::MIN)
    }

    fn journal(&self) -> Option<MutexGuard<'_, Journal>> {
        Some(self.journal.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes a call between its intent and its result. Not written down, not made.
    async fn between<T>(
        &self,
        (call, point, word): (Call, Point, &'static str),
        name: &str,
        id: Option<&Id>,
        made: Answer<'_, T>,
    ) -> Result<T, Error> {
        let id = id.map(Id::to_string);
        let intent = Intent::Circuit { call, name: name.to_owned(), id };
        let begun = self.journal().map(|mut journal| journal.begin(intent)).transpose();
        let number = begun.map_err(|bad| {
            let why = Why::Refused(format!("it could not be written down: {bad}"));
            Error::new(self.inner.server(), word, name, why)
        })?;
        self.crash.pass(point, Side::Before);
        let result = made.await;
        self.crash.pass(point, Side::After);
        let said = result.as_ref().err().map(Error::to_string);
        // It was made all the same; what stays open is looked at after a restart.
        if let (Some(mut journal), Some(number)) = (self.journal(), number) {
            let _ = journal.end(number, said);
        }
        result
    }

    fn of<'a>(
        &'a self,
        what: (Call, Point, &'static str),
        id: &'a Id,
        made: Answer<'a, ()>,
    ) -> Answer<'a, ()> {
        Box::pin(self.between(what, &id.0, Some(id), made))
    }
}

impl Circuits for Witness {
    fn server(&self) -> &str {
        self.inner.server()
    }

    fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held> {
        let what = (Call::Reserve, Point::Reserve, "reserve");
        let made = self.inner.reserve(request);
        Box::pin(self.between(what, request.name.as_str(), None, made))
    }

    fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        self.of((Call::Commit, Point::Commit, "commit"), id, self.inner.commit(id))
    }

    fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        self.of((Call::Provision, Point::Provision, "provision"), id, self.inner.provision(id))
    }

    fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()> {
        self.of((Call::Extend, Point::Extend, "extend"), id, self.inner.extend(id, until))
    }

    fn release<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        self.of((Call::Release, Point::Release, "release"), id, self.inner.release(id))
    }

    fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        self.of((Call::Terminate, Point::Terminate, "terminate"), id, self.inner.terminate(id))
    }

    fn list(&self) -> Answer<'_, Vec<Remote>> {
        Box::pin(async move {
            self.crash.pass(Point::List, Side::Before);
            let asked = now();
            let result = self.inner.list().await;
            self.crash.pass(Point::List, Side::After);
            if result.is_ok() {
                self.listed.fetch_max(asked, Ordering::Release);
            }
            result
        })
    }

    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
        self.inner.notices()
    }
}
