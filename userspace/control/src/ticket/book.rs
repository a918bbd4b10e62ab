// SPDX-License-Identifier: Apache-2.0 OR MIT
//! All tickets. No I/O and no clock: the caller passes time in, and stores what changed.
//!
//! Two ways to keep a book: whole ([`Book::save`], [`Book::load`]), or ticket by ticket as they change
//! ([`Done`], [`Book::restore`], [`Book::remove`]).

use crate::ticket::counters::Counters;
use crate::ticket::draft::{Announcement, Draft, lasting};
use crate::ticket::flows::{Derived, Flow};
use crate::ticket::limits::Limits;
use crate::ticket::operation::{Answer, Done, Operation, PAGE};
use crate::ticket::record::{Change, Holder, State, Ticket, TicketId, What};
use crate::ticket::refused::Refused;
use crate::ticket::show::{ShownPage, ShownTicket};
use crate::ticket::stamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use telesteer_fam::Ns;

/// A book as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The number of the next ticket.
    pub next: u64,
    /// All of them.
    pub tickets: Vec<Ticket>,
    /// What happened.
    pub counters: Counters,
}

/// Tickets, finished ones for a while too.
#[derive(Clone, Debug)]
pub struct Book {
    limits: Limits,
    next: u64,
    tickets: BTreeMap<TicketId, Ticket>,
    /// Of holders with unfinished tickets.
    derived: BTreeMap<Holder, Derived>,
    counters: Counters,
}

impl Book {
    /// An empty one.
    pub fn new(limits: Limits) -> Self {
        let (tickets, derived) = (BTreeMap::new(), BTreeMap::new());
        Self { limits, next: 1, tickets, derived, counters: Counters::default() }
    }

    /// One that was stored. Tickets beyond `limits` are kept; call [`Book::due`] for what came while
    /// it was not looked at.
    pub fn load(limits: Limits, saved: Saved) -> Self {
        let mut book = Self { counters: saved.counters, ..Self::new(limits) };
        for ticket in saved.tickets {
            book.next = book.next.max(ticket.id.0.saturating_add(1));
            book.tickets.insert(ticket.id, ticket);
        }
        book.next = book.next.max(saved.next);
        let mut holders: Vec<Holder> = book.tickets.values().map(|t| t.holder.clone()).collect();
        holders.sort_unstable();
        holders.dedup();
        holders.iter().for_each(|holder| book.derive(holder));
        book
    }

    /// To store it.
    pub fn save(&self) -> Saved {
        let tickets = self.tickets.values().cloned().collect();
        Saved { next: self.next, tickets, counters: self.counters.clone() }
    }

    /// Takes a ticket as it was stored, in place of what is known of it.
    pub fn restore(&mut self, ticket: Ticket) {
        self.next = self.next.max(ticket.id.0.saturating_add(1));
        let holder = ticket.holder.clone();
        self.tickets.insert(ticket.id, ticket);
        self.derive(&holder);
    }

    /// Drops a ticket that was stored and then forgotten.
    pub fn remove(&mut self, id: TicketId) {
        self.next = self.next.max(id.0.saturating_add(1));
        if let Some(ticket) = self.tickets.remove(&id) {
            self.derive(&ticket.holder);
        }
    }

    /// Does what a holder asks for.
    ///
    /// # Errors
    ///
    /// If it is refused; nothing changed, and it is counted.
    pub fn run(&mut self, holder: &Holder, operation: Operation, now: Ns) -> Result<Done, Refused> {
        let result = match operation {
            Operation::Create(draft) => self.create(holder, &draft, now),
            Operation::Extend(id, end) => self.extend(holder, id, end, now),
            Operation::Cancel(id) => self.cancel(holder, id, now),
            Operation::Show(id) => self.own(holder, id).map(|ticket| (ticket.id, false)),
            Operation::List { after, most, finished } => {
                let answer = Answer::Page(self.list(holder, after, most, finished));
                return Ok(Done { answer, changed: None, forgotten: Vec::new() });
            }
        };
        let (id, changed) = result.inspect_err(|refused| self.counters.refuse(refused))?;
        let ticket = self.own(holder, id)?;
        let answer = Answer::Ticket(Box::new(self.shown(ticket)));
        let changed = changed.then(|| ticket.clone());
        // Else a holder that makes and cancels tickets all day would fill the book.
        let finished = changed.as_ref().is_some_and(|ticket| ticket.state.is_finished());
        let forgotten = if finished { self.forget() } else { Vec::new() };
        let forgotten = forgotten.into_iter().map(|change| change.id).collect();
        Ok(Done { answer, changed, forgotten })
    }

    fn create(
        &mut self,
        holder: &Holder,
        draft: &Draft,
        now: Ns,
    ) -> Result<(TicketId, bool), Refused> {
        let announcement = draft.check(&self.limits, now)?;
        self.has_room(holder, &announcement)?;
        let id = TicketId(self.next);
        self.next = self.next.saturating_add(1);
        let state = if announcement.start <= now { State::Active } else { State::Waiting };
        let holder = holder.clone();
        let ticket = Ticket {
            id,
            holder: holder.clone(),
            announcement,
            state,
            created: now,
            extended: 0,
            finished: None,
        };
        self.tickets.insert(id, ticket);
        self.derive(&holder);
        let joined = self.derived.get(&holder).is_some_and(|own| !own.joined(id).is_empty());
        self.counters.created += 1;
        self.counters.joined += u64::from(joined);
        Ok((id, true))
    }

    fn has_room(&self, holder: &Holder, new: &Announcement) -> Result<(), Refused> {
        let Limits { tickets, tickets_per_holder, pairs_per_holder, .. } = self.limits;
        let own: Vec<&Ticket> = self.unfinished(holder).collect();
        if own.len() >= tickets_per_holder {
            return Err(Refused::Tickets { limit: tickets_per_holder });
        }
        let pairs = own.iter().map(|ticket| ticket.announcement.pairs());
        if pairs.fold(new.pairs(), usize::saturating_add) > pairs_per_holder {
            return Err(Refused::HolderPairs { limit: pairs_per_holder });
        }
        // Holders have an entry in `derived` as long as they have unfinished tickets.
        let all = self.derived.values().map(|own| own.services.len());
        if all.fold(0, usize::saturating_add) >= tickets {
            return Err(Refused::Full { limit: tickets });
        }
        Ok(())
    }

    fn extend(
        &mut self,
        holder: &Holder,
        id: TicketId,
        end: Ns,
        now: Ns,
    ) -> Result<(TicketId, bool), Refused> {
        let ticket = self.own(holder, id)?;
        let Announcement { start, end: present, .. } = ticket.announcement;
        // Its end may have come since the last look at the clock.
        if ticket.state.is_finished() || present <= now {
            return Err(Refused::Finished(id));
        }
        if end <= present {
            return Err(Refused::NotLater { id, end: stamp::text(present) });
        }
        lasting(start, end, &self.limits, now)?;
        if let Some(ticket) = self.tickets.get_mut(&id) {
            ticket.announcement.end = end;
            ticket.extended = ticket.extended.saturating_add(1);
        }
        self.counters.extended += 1;
        self.derive(holder);
        Ok((id, true))
    }

    /// What has finished stays as it is: a request that is sent twice does no harm.
    fn cancel(
        &mut self,
        holder: &Holder,
        id: TicketId,
        now: Ns,
    ) -> Result<(TicketId, bool), Refused> {
        let ticket = self.own(holder, id)?;
        if ticket.state.is_finished() || ticket.announcement.end <= now {
            return Ok((id, false));
        }
        if let Some(ticket) = self.tickets.get_mut(&id) {
            ticket.state = State::Cancelled;
            ticket.finished = Some(now);
        }
        self.counters.cancelled += 1;
        self.derive(holder);
        Ok((id, true))
    }

    fn list(
        &self,
        holder: &Holder,
        after: Option<TicketId>,
        most: usize,
        finished: bool,
    ) -> ShownPage {
        let most = most.clamp(1, PAGE);
        let first = after.map_or(0, |after| after.0.saturating_add(1));
        let own = self.tickets.range(TicketId(first)..).map(|(_, ticket)| ticket);
        let own = own.filter(|ticket| ticket.holder == *holder);
        let mut own = own.filter(|ticket| finished || !ticket.state.is_finished());
        let tickets: Vec<_> = own.by_ref().take(most).map(|ticket| self.shown(ticket)).collect();
        let more = own.next().is_some();
        let next = tickets.last().map(|ticket| ticket.id).filter(|_| more);
        ShownPage { tickets, next }
    }

    /// What came by `now`: tickets that began or expired, the earliest first, and finished ones that
    /// are forgotten.
    pub fn due(&mut self, now: Ns) -> Vec<Change> {
        let mut changes: Vec<(Ns, Change)> = Vec::new();
        for ticket in self.tickets.values_mut() {
            let Announcement { start, end, .. } = ticket.announcement;
            let mut note = |at, what| {
                let (id, holder) = (ticket.id, ticket.holder.clone());
                changes.push((at, Change { id, holder, what }));
            };
            if ticket.state == State::Waiting && start <= now {
                ticket.state = State::Active;
                note(start, What::Began);
            }
            if ticket.state == State::Active && end <= now {
                ticket.state = State::Expired;
                ticket.finished = Some(end);
                self.counters.expired += 1;
                note(end, What::Expired);
            }
        }
        changes.sort_by_key(|(at, change)| (*at, change.id));
        let mut changes: Vec<Change> = changes.into_iter().map(|(_, change)| change).collect();
        let over = changes.iter().filter(|change| change.what == What::Expired);
        let mut holders: Vec<Holder> = over.map(|change| change.holder.clone()).collect();
        holders.sort_unstable();
        holders.dedup();
        holders.iter().for_each(|holder| self.derive(holder));
        changes.extend(self.forget());
        changes
    }

    /// Forgets finished tickets beyond the bound of their holder, the longest finished first.
    fn forget(&mut self) -> Vec<Change> {
        let mut finished: BTreeMap<&Holder, Vec<(Ns, TicketId)>> = BTreeMap::new();
        for ticket in self.tickets.values() {
            if let Some(at) = ticket.finished {
                finished.entry(&ticket.holder).or_default().push((at, ticket.id));
            }
        }
        let mut gone = Vec::new();
        for (holder, mut own) in finished {
            own.sort_unstable();
            let many = own.len().saturating_sub(self.limits.finished_per_holder);
            let oldest = own.into_iter().take(many);
            gone.extend(oldest.map(|(_, id)| Change {
                id,
                holder: holder.clone(),
                what: What::Forgotten,
            }));
        }
        for change in &gone {
            self.tickets.remove(&change.id);
            self.counters.forgotten += 1;
        }
        gone
    }

    /// When [`Book::due`] has something to say next, if no holder asks for anything before.
    pub fn next_due(&self) -> Option<Ns> {
        let next = |ticket: &Ticket| match ticket.state {
            State::Waiting => Some(ticket.announcement.start),
            State::Active => Some(ticket.announcement.end),
            State::Expired | State::Cancelled => None,
        };
        self.tickets.values().filter_map(next).min()
    }

    /// All announced traffic of unfinished tickets, whenever it is for. A pattern may come more than
    /// once: of different holders, and for times that are apart.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.derived.values().flat_map(|own| &own.flows)
    }

    /// The traffic whose path is to be there at `now`, or is to be made for a start at most `lead`
    /// later.
    pub fn announced(&self, now: Ns, lead: Ns) -> impl Iterator<Item = &Flow> {
        self.flows().filter(move |flow| flow.is_due(now, lead))
    }

    /// All tickets, finished ones that are not forgotten too.
    pub fn tickets(&self) -> impl ExactSizeIterator<Item = &Ticket> {
        self.tickets.values()
    }

    /// What happened.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    fn own(&self, holder: &Holder, id: TicketId) -> Result<&Ticket, Refused> {
        let ticket = self.tickets.get(&id).filter(|ticket| ticket.holder == *holder);
        ticket.ok_or(Refused::Unknown(id))
    }

    fn unfinished<'b>(&'b self, holder: &'b Holder) -> impl Iterator<Item = &'b Ticket> {
        let own = self.tickets.values().filter(move |ticket| ticket.holder == *holder);
        own.filter(|ticket| !ticket.state.is_finished())
    }

    fn shown(&self, ticket: &Ticket) -> ShownTicket {
        let none = Derived::default();
        ShownTicket::of(ticket, self.derived.get(&ticket.holder).unwrap_or(&none))
    }

    fn derive(&mut self, holder: &Holder) {
        let own: Vec<&Ticket> = self.unfinished(holder).collect();
        if own.is_empty() {
            self.derived.remove(holder);
        } else {
            let derived = Derived::of(&own);
            self.derived.insert(holder.clone(), derived);
        }
    }
}
