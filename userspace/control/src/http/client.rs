// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The other side of the ticket interface: one request at a time, and it waits for the answer.

use crate::http::problem::Problem;
use crate::ticket::draft::Draft;
use crate::ticket::record::TicketId;
use crate::ticket::show::{ShownPage, ShownTicket};
use hyper::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::time::Duration;
use telesteer_circuit::http::{self, Ask};
use tokio::runtime::{Builder, Runtime};

/// Bytes of an answer: a page of the longest tickets is far less.
const ANSWER: usize = 8 << 20;

/// Most pages that are asked for, one after another.
const PAGES: usize = 1000;

/// Why there is no ticket.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The server says no.
    #[error("{} {}: {} ({})", .0.status, .0.title, .0.detail, .0.code)]
    Problem(Problem),
    /// It was not reached, or broke off.
    #[error("{server}: {why}")]
    Server {
        /// Its address.
        server: String,
        /// What happened.
        why: String,
    },
    /// No thread of control for the exchange.
    #[error("cannot start the client: {0}")]
    Runtime(#[from] io::Error),
}

/// A client of one server and one holder.
#[derive(Debug)]
pub struct Client {
    server: String,
    token: String,
    wait: Duration,
    runtime: Runtime,
}

impl Client {
    /// For `http://HOST:PORT`, by a token, with a bound for each exchange.
    ///
    /// # Errors
    ///
    /// If the system gives no descriptors for it.
    pub fn new(server: &str, token: &str, wait: Duration) -> Result<Self, Failed> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let server = server.trim_end_matches('/').to_owned();
        Ok(Self { server, token: token.trim().to_owned(), wait, runtime })
    }

    /// Asks for a ticket.
    ///
    /// # Errors
    ///
    /// If the server refuses, or is not reached. In the second case the ticket may have been made: to
    /// ask again does no harm, since the two would be one service.
    pub fn create(&self, draft: &Draft) -> Result<ShownTicket, Failed> {
        self.ask(Method::POST, "/api/v1/tickets", Some(draft))
    }

    /// A ticket.
    ///
    /// # Errors
    ///
    /// If the server refuses, or is not reached.
    pub fn show(&self, id: TicketId) -> Result<ShownTicket, Failed> {
        self.ask(Method::GET, &format!("/api/v1/tickets/{id}"), None::<&()>)
    }

    /// All tickets of the holder, or all that have not finished.
    ///
    /// # Errors
    ///
    /// If the server refuses, is not reached, or has no end of pages.
    pub fn list(&self, finished: bool) -> Result<Vec<ShownTicket>, Failed> {
        let mut tickets: Vec<ShownTicket> = Vec::new();
        let mut after = String::new();
        for _ in 0..PAGES {
            let path = format!("/api/v1/tickets?finished={finished}{after}");
            let page: ShownPage = self.ask(Method::GET, &path, None::<&()>)?;
            tickets.extend(page.tickets);
            match page.next {
                Some(next) => after = format!("&after={next}"),
                None => return Ok(tickets),
            }
        }
        Err(self.server("its list has no end"))
    }

    /// Moves the end of a ticket, which is RFC 3339.
    ///
    /// # Errors
    ///
    /// If the server refuses, or is not reached.
    pub fn extend(&self, id: TicketId, end: &str) -> Result<ShownTicket, Failed> {
        #[derive(Serialize)]
        struct Extension<'e> {
            end: &'e str,
        }
        let path = format!("/api/v1/tickets/{id}/extend");
        self.ask(Method::POST, &path, Some(&Extension { end }))
    }

    /// Ends a ticket.
    ///
    /// # Errors
    ///
    /// If the server refuses, or is not reached.
    pub fn cancel(&self, id: TicketId) -> Result<ShownTicket, Failed> {
        self.ask(Method::DELETE, &format!("/api/v1/tickets/{id}"), None::<&()>)
    }

    fn server(&self, why: impl ToString) -> Failed {
        Failed::Server { server: self.server.clone(), why: why.to_string() }
    }

    fn ask<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, Failed> {
        let body = body.map(serde_json::to_vec).transpose();
        let body = body.map_err(|error| self.server(error))?;
        let url = format!("{}{path}", self.server);
        let ask = Ask {
            method,
            url: &url,
            headers: vec![("authorization", format!("Bearer {}", self.token))],
            kind: body.is_some().then_some("application/json"),
            body: body.unwrap_or_default(),
            wait: self.wait,
            most: ANSWER,
        };
        let answer = self.runtime.block_on(http::ask(ask));
        let (status, bytes) = answer.map_err(|failed| self.server(failed))?;
        if status.is_success() {
            let odd = |error| self.server(format_args!("an answer of another kind: {error}"));
            return serde_json::from_slice(&bytes).map_err(odd);
        }
        Err(match serde_json::from_slice(&bytes) {
            Ok(problem) => Failed::Problem(problem),
            Err(_) => self.server(format_args!("{status}, and not from this interface")),
        })
    }
}
