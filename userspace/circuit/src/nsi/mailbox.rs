// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What came to our endpoint: answers go to who waits for them, notifications wait to be taken.

use crate::circuits::{Id, Notice};
use crate::counters::{Counters, count};
use crate::nsi::reply::{Body, Message, Notified};
use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::mem::{Discriminant, discriminant};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Most answers waited for at a time.
pub const WAITING: usize = 256;
/// Most notifications not taken, and most of those remembered to know repeated ones.
pub const NOTICES: usize = 1024;

/// What tells one notification from another. Its number alone does not: some providers give each the
/// same, or begin anew when they are started.
type Key = (String, i64, Option<Timestamp>, Discriminant<Notice>);

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<String, oneshot::Sender<Body>>,
    notices: VecDeque<(Id, Notice)>,
    seen: VecDeque<Key>,
    /// The newest notification of the data plane, by connection. Older ones are late.
    newest: HashMap<String, (Option<Timestamp>, i64)>,
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
            Body::Notified(notified) => self.notify(&mut inner, notified),
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

    fn notify(&self, inner: &mut Inner, notified: Notified) {
        count(&self.counters.notifications);
        let Notified { connection, number, stamp, notice } = notified;
        let key = (connection.clone(), number, stamp, discriminant(&notice));
        if inner.seen.contains(&key) {
            return count(&self.counters.repeated_notifications);
        }
        if inner.seen.len() >= NOTICES {
            inner.seen.pop_front();
        }
        inner.seen.push_back(key);
        if matches!(notice, Notice::Active | Notice::Inactive) {
            let newest = inner.newest.get(&connection);
            if newest.is_some_and(|newest| older((stamp, number), *newest)) {
                return count(&self.counters.repeated_notifications);
            }
            if inner.newest.len() >= NOTICES && !inner.newest.contains_key(&connection) {
                // A late one may then be taken for new; a query puts that right.
                inner.newest.clear();
            }
            inner.newest.insert(connection.clone(), (stamp, number));
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

/// Whether what was written then, or else has this number, is older than that.
fn older(this: (Option<Timestamp>, i64), that: (Option<Timestamp>, i64)) -> bool {
    match (this.0, that.0) {
        (Some(one), Some(other)) if one != other => one < other,
        _ => this.1 < that.1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    fn notified(number: i64, notice: Notice) -> Message {
        stamped(number, None, notice)
    }

    fn stamped(number: i64, second: Option<i64>, notice: Notice) -> Message {
        let stamp = second.map(|second| Timestamp::from_second(second).unwrap());
        let notified = Notified { connection: "c".into(), number, stamp, notice };
        Message { correlation: None, body: Body::Notified(notified) }
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
    fn providers_that_number_all_alike() {
        let mailbox = Mailbox::default();
        let told = [(10, Notice::Active), (20, Notice::Inactive), (20, Notice::Active)];
        for (second, notice) in told {
            mailbox.take(stamped(0, Some(second), notice.clone()));
            mailbox.take(stamped(0, Some(second), notice));
        }
        mailbox.take(stamped(0, Some(15), Notice::Inactive));
        // And one that was started anew.
        mailbox.take(stamped(7, Some(30), Notice::Inactive));
        mailbox.take(stamped(0, Some(40), Notice::Active));
        let taken: Vec<Notice> = mailbox.notices().into_iter().map(|(_, notice)| notice).collect();
        let (on, off) = (Notice::Active, Notice::Inactive);
        assert_eq!(taken, [on.clone(), off.clone(), on.clone(), off, on]);
        assert_eq!(mailbox.counters.repeated_notifications.load(Relaxed), 4);
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
