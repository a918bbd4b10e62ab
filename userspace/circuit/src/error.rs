// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What can go wrong at a provider of circuits, with who said it of what.

/// A request that did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{server}: {request} {key}: {why}")]
pub struct Error {
    /// Who was asked.
    pub server: String,
    /// For what.
    pub request: &'static str,
    /// About which circuit, link, or key.
    pub key: String,
    /// What happened.
    pub why: Why,
}

/// What happened to a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// It was not carried out, and will not be if it is asked again as it is.
    #[error("refused: {0}")]
    Refused(String),
    /// No answer, so nobody knows.
    #[error("no answer in {0} ms")]
    Silent(u64),
    /// The server was not reached.
    #[error("not reached: {0}")]
    Unreachable(String),
    /// An answer that cannot be understood.
    #[error("an answer that cannot be understood: {0}")]
    Garbled(String),
    /// What was installed is not what is found.
    #[error("installed but not found: {0}")]
    NotThere(String),
    /// A table or queue of ours is full.
    #[error("{0} are enough")]
    Full(usize),
}

impl Error {
    /// Puts it together.
    pub fn new(server: &str, request: &'static str, key: impl ToString, why: Why) -> Self {
        Self { server: server.to_owned(), request, key: key.to_string(), why }
    }

    /// Whether the request may have been carried out all the same.
    pub fn in_doubt(&self) -> bool {
        matches!(self.why, Why::Silent(_) | Why::Garbled(_) | Why::Unreachable(_))
    }
}
