// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Answers that say no, as RFC 9457 has them.

use crate::http::board::Denied;
use crate::ticket::Refused;
use hyper::StatusCode;
use serde::{Deserialize, Serialize};

/// The type of such an answer (RFC 9457, section 3).
pub const KIND: &str = "application/problem+json";

/// A problem. Its type is `about:blank`, so its title is that of the status; what it is, programs learn
/// from `code`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank` (RFC 9457, section 4.2.1).
    #[serde(rename = "type")]
    pub kind: Box<str>,
    /// The status in words.
    pub title: Box<str>,
    /// The status.
    pub status: u16,
    /// What is wrong this time.
    pub detail: Box<str>,
    /// For programs; it does not change.
    pub code: Box<str>,
    /// The field of the request that is meant, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<Box<str>>,
}

impl Problem {
    /// A problem of a status.
    pub fn new(status: StatusCode, code: &str, detail: impl Into<Box<str>>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Unknown").into(),
            status: status.as_u16(),
            detail: detail.into(),
            code: code.into(),
            field: None,
        }
    }

    /// The same, of a field.
    #[must_use]
    pub fn of_field(mut self, field: impl Into<Box<str>>) -> Self {
        self.field = Some(field.into());
        self
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match &refused {
            Refused::Unknown(_) => StatusCode::NOT_FOUND,
            Refused::Finished(_) | Refused::NotLater { .. } => StatusCode::CONFLICT,
            Refused::Tickets { .. } | Refused::HolderPairs { .. } => StatusCode::CONFLICT,
            Refused::Full { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refused::Invalid { .. }
            | Refused::Pairs { .. }
            | Refused::Long { .. }
            | Refused::Ahead { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let problem = Self::new(status, refused.code(), refused.to_string());
        match refused {
            Refused::Invalid { field, .. } => problem.of_field(field),
            Refused::Long { .. } | Refused::NotLater { .. } => problem.of_field("end"),
            Refused::Ahead { .. } => problem.of_field("start"),
            _ => problem,
        }
    }
}

impl From<Denied> for Problem {
    fn from(denied: Denied) -> Self {
        let text = denied.to_string();
        match denied {
            Denied::Refused(refused) => refused.into(),
            Denied::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", text),
            Denied::Stopping => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", text),
            Denied::Store(_) => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "store", text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::TicketId;

    #[test]
    fn a_problem_says_status_code_and_field() {
        let refused = Refused::Invalid { field: "dscp".to_owned(), why: "64 is more".to_owned() };
        let problem = Problem::from(Denied::from(refused));
        assert_eq!((problem.status, &*problem.code), (422, "invalid"));
        assert_eq!(&*problem.detail, "dscp: 64 is more");
        let text = serde_json::to_string(&problem).unwrap();
        assert!(text.contains(r#""type":"about:blank","title":"Unprocessable"#), "{text}");
        assert!(text.ends_with(r#""field":"dscp"}"#), "{text}");
        let unknown = Problem::from(Refused::Unknown(TicketId(3)));
        assert_eq!((unknown.status, unknown.field), (404, None));
        assert!(!serde_json::to_string(&Problem::from(Denied::Busy)).unwrap().contains("field"));
    }
}
