// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the loop shows to the interface and takes from it.

use crate::audit::Audit;
use crate::bell::Bell;
use crate::clock::now;
use crate::conductor::{Line, What};
use crate::http::{AuditPage, Board, Denied};
use crate::journal::Journal;
use crate::record::Record;
use crate::ticket::{Answer, Book, Holder, Operation};
use crate::view::View;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The loop, as the interface sees it.
pub struct Face {
    view: Mutex<Arc<View>>,
    metrics: Mutex<Arc<str>>,
    audit: Mutex<Audit>,
    tickets: Mutex<Book>,
    journal: Option<Arc<Mutex<Journal>>>,
    bell: Arc<Bell>,
    ending: AtomicBool,
    /// Tickets changed since the loop looked.
    changed: AtomicBool,
    /// Where lines go too.
    echo: Mutex<Option<Box<dyn Write + Send>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Face {
    /// Of a loop that is about to begin.
    pub fn new(
        audit: Audit,
        tickets: Book,
        journal: Option<Arc<Mutex<Journal>>>,
        bell: Arc<Bell>,
        echo: Option<Box<dyn Write + Send>>,
    ) -> Self {
        Self {
            view: Mutex::new(Arc::new(View { version: crate::view::VERSION, ..View::default() })),
            metrics: Mutex::new(Arc::from("")),
            audit: Mutex::new(audit),
            tickets: Mutex::new(tickets),
            journal,
            bell,
            ending: AtomicBool::new(false),
            changed: AtomicBool::new(true),
            echo: Mutex::new(echo),
        }
    }

    /// Shows the loop as it is.
    pub fn show(&self, view: View, metrics: String) {
        *lock(&self.view) = Arc::new(view);
        *lock(&self.metrics) = Arc::from(metrics);
    }

    /// No ticket is taken any more.
    pub fn end(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Writes lines into the audit log.
    pub fn write(&self, lines: &[Line]) {
        let mut audit = lock(&self.audit);
        let mut echo = lock(&self.echo);
        for line in lines {
            let value = audit.write(line);
            // Whoever does not read any more has had enough.
            if let Some(out) = echo.as_mut()
                && writeln!(out, "{value}").and_then(|()| out.flush()).is_err()
            {
                *echo = None;
            }
        }
    }

    /// The audit log.
    pub fn audit(&self) -> MutexGuard<'_, Audit> {
        lock(&self.audit)
    }

    /// Whether tickets changed since the last call.
    pub fn take_changed(&self) -> bool {
        self.changed.swap(false, Ordering::Relaxed)
    }

    /// All tickets.
    pub fn tickets(&self) -> MutexGuard<'_, Book> {
        lock(&self.tickets)
    }
}

impl Board for Face {
    fn view(&self) -> Arc<View> {
        lock(&self.view).clone()
    }

    fn metrics(&self) -> String {
        lock(&self.metrics).to_string()
    }

    fn audit(&self, after: u64, most: usize) -> AuditPage {
        let most = most.min(crate::http::board::AUDIT);
        let (oldest, lines) = lock(&self.audit).after(after, most);
        let last = lines.last().map_or(after, |(number, _)| *number);
        AuditPage { oldest, last, lines: lines.into_iter().map(|(_, line)| line).collect() }
    }

    fn ticket(&self, holder: &Holder, operation: Operation) -> Result<Answer, Denied> {
        if self.ending.load(Ordering::Relaxed) {
            return Err(Denied::Stopping);
        }
        let at = now();
        let mut book = lock(&self.tickets);
        let word = match &operation {
            Operation::Create(_) => "made",
            Operation::Extend(..) => "extended",
            Operation::Cancel(_) => "cancelled",
            Operation::Show(_) | Operation::List { .. } => "shown",
        };
        let before = match &operation {
            Operation::Extend(id, _) | Operation::Cancel(id) => {
                book.tickets().find(|ticket| ticket.id == *id).cloned()
            }
            _ => None,
        };
        let done = book.run(holder, operation, at)?;
        let Some(changed) = done.changed else { return Ok(done.answer) };
        let id = changed.id;
        let mut records = vec![Record::Ticket(Box::new(changed))];
        records.extend(done.forgotten.iter().map(|id| Record::NoTicket(*id)));
        if let Some(journal) = &self.journal
            && let Err(bad) = lock(journal).append(&records)
        {
            match before {
                Some(ticket) => book.restore(ticket),
                None => book.remove(id),
            }
            return Err(Denied::Store(bad.to_string()));
        }
        self.changed.store(true, Ordering::Relaxed);
        drop(book);
        let (subject, reason) = (id.to_string(), format!("{word} by {holder}"));
        let (what, router, path) = (What::Ticket, None, None);
        self.write(&[Line { at, what, subject, router, path, reason }]);
        self.bell.ring();
        Ok(done.answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::Crash;
    use crate::ticket::draft::Draft;
    use crate::ticket::{Limits, State, TicketId, stamp};
    use telesteer_fam::time::SECOND;

    fn create() -> Operation {
        Operation::Create(Box::new(Draft {
            sources: vec!["192.0.2.10".to_owned()],
            destinations: vec!["198.51.100.20".to_owned()],
            end: stamp::text(now() + 3600 * SECOND),
            ..Draft::default()
        }))
    }

    /// A ticket is told when it is stored, and one that cannot be stored is as if nobody had asked.
    #[test]
    fn a_ticket_counts_when_it_is_written_down() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path(), 1 << 20, Crash::default()).unwrap().0;
        let journal = Arc::new(Mutex::new(journal));
        let audit = Audit::open(None, 1 << 20, 1).unwrap();
        let book = Book::new(Limits::default());
        let face = Face::new(audit, book, Some(Arc::clone(&journal)), Arc::default(), None);
        let mover: Holder = "mover".parse().unwrap();
        face.ticket(&mover, create()).unwrap();
        assert_eq!(journal.lock().unwrap().state().tickets.len(), 1);
        let last = || face.audit().newest(1).next().map(|(_, line)| line.clone()).unwrap();
        assert_eq!((&last()["what"], &last()["subject"]), (&"ticket".into(), &"t1".into()));
        assert_eq!(last()["reason"], "made by mover");

        journal.lock().unwrap().fill();
        let before: Vec<_> = face.tickets().tickets().cloned().collect();
        let later = now() + 7200 * SECOND;
        for operation in
            [create(), Operation::Extend(TicketId(1), later), Operation::Cancel(TicketId(1))]
        {
            let denied = face.ticket(&mover, operation).unwrap_err();
            assert!(matches!(denied, Denied::Store(_)), "{denied}");
        }
        assert_eq!(face.tickets().tickets().cloned().collect::<Vec<_>>(), before);
        assert_eq!((before[0].state, before[0].extended), (State::Active, 0));
        assert_eq!(last()["seq"], 1);
    }
}
