// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What came to our endpoint: answers go to who waits for them, notifications wait to be taken.

use crate::circuits::{Id, Notice};
use crate::counters::{Counters, count};
use crate::nsi::reply::{Body, Message};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Most answers waited for at a time.
pub const WAITING: usize = 256;
/// Most notifications not taken, and most of those remembered to know repeated ones.
pub const NOTICES: usize = 1024;

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<String, oneshot::Sender<Body>>,
    notices: VecDeque<(Id, Notice)>,
    seen: VecDeque<(String, i64)>,
    /// Number of the newest notification of the data plane, by connection. Older ones are late.
    newest: HashMap<String, i64>,
}

/// The mailbox.
#[derive(Debug, Default)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    counters: Arc<Counters>,
}

/// Waits for an answer; gives its place back when it is dropped.
#[derive(Debug)]
pub struct Waiting<'a> {
    mailbox: &'a Mailbox,
    correlation: String,
    /// Where it comes.
    pub answer: oneshot::Receiver<Body>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.mailbox.lock().waiting.remove(&self.correlation);
    }
}

impl Mailbox {
    /// An empty one.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self { inner: Mutex::default(), counters }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing between locks leaves it half done.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the answer with this correlation; `None`: too many wait.
    pub fn wait(&self, correlation: &str) -> Option<Waiting<'_>> {
        let (sender, answer) = oneshot::channel();
        let mut inner = self.lock();
        if inner.waiting.len() >= WAITING {
            count(&self.counters.crowded);
            return None;
        }
        inner.waiting.insert(correlation.to_owned(), sender);
        Some(Waiting { mailbox: self, correlation: correlation.to_owned(), answer })
    }

    /// Takes what came.
    pub fn take(&self, message: Message) {
        let mut inner = self.lock();
        match message.body {
            Body::Notified(connection, number, notice) => {
                self.notify(&mut inner, connection, number, notice)
            }
            Body::Undelivered(correlation) => {
                let said = "the provider could not deliver the request".to_owned();
                self.answer(&mut inner, Some(correlation), Body::Error(said));
            }
            body => self.answer(&mut inner, message.correlation, body),
        }
    }

    fn answer(&self, inner: &mut Inner, correlation: Option<String>, body: Body) {
        let waiting = correlation.and_then(|correlation| inner.waiting.remove(&correlation));
        if waiting.is_none_or(|sender| sender.send(body).is_err()) {
            count(&self.counters.unmatched_replies);
        }
    }

    fn notify(&self, inner: &mut Inner, connection: String, number: i64, notice: Notice) {
        count(&self.counters.notifications);
        let key = (connection, number);
        if inner.seen.contains(&key) {
            return count(&self.counters.repeated_notifications);
        }
        if inner.seen.len() >= NOTICES {
            inner.seen.pop_front();
        }
        inner.seen.push_back(key.clone());
        let (connection, number) = key;
        if matches!(notice, Notice::Active | Notice::Inactive) {
            if inner.newest.get(&connection).is_some_and(|newest| *newest > number) {
                return count(&self.counters.repeated_notifications);
            }
            if inner.newest.len() >= NOTICES && !inner.newest.contains_key(&connection) {
                // A late one may then be taken for new; a query puts that right.
                inner.newest.clear();
            }
            inner.newest.insert(connection.clone(), number);
        }
        if inner.notices.len() >= NOTICES {
            inner.notices.pop_front();
            count(&self.counters.dropped_notifications);
        }
        inner.notices.push_back((Id(connection), notice));
    }

    /// Notifications not taken yet, oldest first.
    pub fn notices(&self) -> Vec<(Id, Notice)> {
        self.lock().notices.drain(..).collect()
    }

    /// A connection is gone.
    pub fn forget(&self, id: &Id) {
        self.lock().newest.remove(&id.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    fn notified(number: i64, notice: Notice) -> Message {
        Message { correlation: None, body: Body::Notified("c".into(), number, notice) }
    }

    #[test]
    fn repeated_and_late_notifications() {
        let mailbox = Mailbox::default();
        mailbox.take(notified(2, Notice::Inactive));
        mailbox.take(notified(2, Notice::Inactive));
        mailbox.take(notified(1, Notice::Active));
        mailbox.take(notified(3, Notice::Active));
        let taken: Vec<Notice> = mailbox.notices().into_iter().map(|(_, notice)| notice).collect();
        assert_eq!(taken, [Notice::Inactive, Notice::Active]);
        assert_eq!(mailbox.counters.repeated_notifications.load(Relaxed), 2);
        for number in 10..2000 {
            mailbox.take(notified(number, Notice::Active));
        }
        assert_eq!(mailbox.notices().len(), NOTICES);
    }

    #[test]
    fn answers_find_who_waits_once() {
        let mailbox = Mailbox::default();
        let mut waiting = mailbox.wait("a").unwrap();
        let answer = |correlation: &str| Message {
            correlation: Some(correlation.to_owned()),
            body: Body::Error("no".into()),
        };
        mailbox.take(answer("b"));
        mailbox.take(answer("a"));
        mailbox.take(answer("a"));
        assert_eq!(waiting.answer.try_recv(), Ok(Body::Error("no".into())));
        assert_eq!(mailbox.counters.unmatched_replies.load(Relaxed), 2);
        drop(waiting);
        let places: Vec<_> = (0..WAITING).map(|n| mailbox.wait(&n.to_string()).unwrap()).collect();
        assert!(mailbox.wait("one more").is_none());
        drop(places);
        assert!(mailbox.wait("one more").is_some());
    }
}
