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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::file::File;
    use telesteer_circuit::request::{Best, Name, Pair, Rate};
    use telesteer_circuit::time::Span;

    /// It notes what the journal has open when a call is made.
    struct Noting {
        inner: File,
        journal: Arc<Mutex<Journal>>,
        open: Mutex<Vec<String>>,
    }

    impl Noting {
        fn note<'a, T: 'a>(&'a self, call: Answer<'a, T>) -> Answer<'a, T> {
            Box::pin(async move {
                let open: Vec<String> = {
                    let journal = self.journal.lock().unwrap();
                    journal.state().open.values().map(ToString::to_string).collect()
                };
                self.open.lock().unwrap().extend(open);
                call.await
            })
        }
    }

    impl Circuits for Noting {
        fn server(&self) -> &str {
            self.inner.server()
        }

        fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held> {
            self.note(self.inner.reserve(request))
        }

        fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
            self.note(self.inner.commit(id))
        }

        fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
            self.note(self.inner.provision(id))
        }

        fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()> {
            self.note(self.inner.extend(id, until))
        }

        fn release<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
            self.note(self.inner.release(id))
        }

        fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
            self.note(self.inner.terminate(id))
        }

        fn list(&self) -> Answer<'_, Vec<Remote>> {
            self.inner.list()
        }

        fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
            self.inner.notices()
        }
    }

    #[tokio::test]
    async fn a_call_is_made_when_it_is_written_down_and_not_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), 1 << 20, Crash::default()).unwrap().0;
        let journal = Arc::new(Mutex::new(journal));
        let (inner, open) = (File::new(None), Mutex::default());
        let noting = Arc::new(Noting { inner, journal: Arc::clone(&journal), open });
        let made: Arc<dyn Circuits> = noting.clone();
        let witness = Witness::new(made, Some(Arc::clone(&journal)), Crash::default());
        let name = Name::of(&Pair::new("r1", "r2"), At(7)).unwrap();
        let span = Span { from: At(7), until: None };
        let (best, rate) = (Best::Hops, Rate::Unlimited);
        let request =
            Request { name: name.clone(), rate, span, best, off_ip_path: false, both: true };
        assert_eq!(witness.listed(), None);
        let Held { id, .. } = witness.reserve(&request).await.unwrap();
        witness.commit(&id).await.unwrap();
        witness.provision(&id).await.unwrap();
        witness.extend(&id, Some(At(99))).await.unwrap();
        witness.release(&id).await.unwrap();
        let calls = ["Reserve", "Commit", "Provision", "Extend", "Release"];
        let expected = calls.map(|call| format!("{call} of circuit {name}"));
        assert_eq!(*noting.open.lock().unwrap(), expected);
        assert!(journal.lock().unwrap().state().open.is_empty());
        journal.lock().unwrap().fill();
        let said = witness.terminate(&id).await.unwrap_err().to_string();
        assert!(said.contains("it could not be written down"), "{said}");
        assert_eq!(noting.open.lock().unwrap().len(), 5, "nobody was asked");
        assert_eq!((witness.list().await.unwrap().len(), witness.listed().is_some()), (1, true));
    }
}
