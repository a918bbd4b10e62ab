// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A driver and a provider that is slow to tell what it has.
use super::*;
use crate::circuits::{Answer, Held, Seen};
use crate::error::Why;
use crate::life::State;
use crate::manner::Manner;
use crate::request::{Pair, Rate, Request};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Turns, of which each takes a few milliseconds at most.
const TURNS: usize = 200;

/// It has one circuit of ours, and tells so when it has been asked so often; every other call is noted
/// and refused.
struct Slow {
    name: Name,
    fails: AtomicU64,
    calls: Mutex<Vec<&'static str>>,
    /// Asked what happened by itself, it never answers.
    hangs: bool,
}

impl Slow {
    fn refuse<T: Send + 'static>(&self, call: &'static str) -> Answer<'_, T> {
        self.calls.lock().unwrap().push(call);
        Box::pin(async move { Err(Error::new("slow", call, "x", Why::Refused("no".into()))) })
    }
}

impl Circuits for Slow {
    fn server(&self) -> &str {
        "slow"
    }

    fn reserve<'a>(&'a self, _request: &'a Request) -> Answer<'a, Held> {
        self.refuse("reserve")
    }

    fn commit<'a>(&'a self, _id: &'a Id) -> Answer<'a, ()> {
        self.refuse("commit")
    }

    fn provision<'a>(&'a self, _id: &'a Id) -> Answer<'a, ()> {
        self.refuse("provision")
    }

    fn extend<'a>(&'a self, _id: &'a Id, _until: Option<At>) -> Answer<'a, ()> {
        self.refuse("extend")
    }

    fn release<'a>(&'a self, _id: &'a Id) -> Answer<'a, ()> {
        self.refuse("release")
    }

    fn terminate<'a>(&'a self, _id: &'a Id) -> Answer<'a, ()> {
        self.refuse("terminate")
    }

    fn list(&self) -> Answer<'_, Vec<Remote>> {
        Box::pin(async move {
            let left = self.fails.load(Ordering::Relaxed);
            if left > 0 {
                self.fails.store(left - 1, Ordering::Relaxed);
                return Err(Error::new("slow", "list", "circuits", Why::Silent(1)));
            }
            let (id, name) = (Id("far".into()), Some(self.name.clone()));
            let (seen, rate, until) = (Seen::Up, Rate::Unlimited, None);
            Ok(vec![Remote { id, name, seen, rate, until }])
        })
    }

    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
        Box::pin(async {
            if self.hangs {
                std::future::pending::<()>().await;
            }
            Ok(Vec::new())
        })
    }
}

/// Plays turns until a circuit is there, of a provider that fails to tell so often. Returns what it was
/// asked beside that, the states of circuits, and how much was said.
async fn take_up(fails: u64, hangs: bool) -> (Vec<&'static str>, Vec<State>, usize) {
    let pair = Pair::new("r1", "r2");
    let name = Name::of(&pair, At(7)).unwrap();
    let (fails, calls) = (AtomicU64::new(fails), Mutex::default());
    let slow = Arc::new(Slow { name: name.clone(), fails, calls, hangs });
    let mut driver = Driver::new(Book::new(Manner::default()), slow.clone(), 4);
    driver.book.offline(&[pair].into()).unwrap();
    for _ in 0..TURNS {
        driver.turn().await;
        if driver.book.entries().contains_key(&name) {
            break;
        }
        driver.rest(5).await;
    }
    driver.turn().await;
    let entries = driver.book.entries().values();
    let states = entries.map(|entry| entry.life.state()).collect();
    (slow.calls.lock().unwrap().clone(), states, driver.said().len())
}

/// A circuit that is there from an earlier life is taken up, however late the provider tells of it: to
/// ask for one before would make its twin.
#[tokio::test]
async fn nothing_is_asked_for_before_the_provider_has_told_what_it_has() {
    assert_eq!(take_up(5, false).await, (vec![], vec![State::Up], 5));
}

/// A provider that is asked what happened and does not answer holds nothing else up.
#[tokio::test]
async fn a_turn_does_not_wait_for_what_a_provider_tells_by_itself() {
    let all = take_up(0, true);
    let all = timeout(Duration::from_secs(20), all).await.expect("the driver to go on");
    assert_eq!(all, (vec![], vec![State::Up], 0));
}
