// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What follows a question mark: `after=t17&limit=20`. Values are plain, so nothing is unescaped.

use crate::http::problem::Problem;
use hyper::StatusCode;
use std::fmt::Display;
use std::str::FromStr;

/// Names and values, each name once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query<'q> {
    pairs: Vec<(&'q str, &'q str)>,
}

impl<'q> Query<'q> {
    /// Reads a query whose names are all in `known`.
    ///
    /// # Errors
    ///
    /// A name that is not, or comes twice.
    pub(crate) fn parse(text: Option<&'q str>, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for pair in text.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !known.contains(&name) {
                let known = known.join(", ");
                return Err(bad(name, format_args!("not known here; known are: {known}")));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(name, "given twice"));
            }
            pairs.push((name, value));
        }
        Ok(Self { pairs })
    }

    /// A value, if it is there.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub(crate) fn get<T: FromStr<Err: Display>>(&self, name: &str) -> Result<Option<T>, Problem> {
        let value = self.pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| value.parse());
        value.transpose().map_err(|error: T::Err| bad(name, error))
    }
}

fn bad(name: &str, why: impl Display) -> Problem {
    // What is told back is the client's own, cut short.
    let name: String = name.chars().take(64).collect();
    let detail = format!("query: {name}: {why}");
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail).of_field(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_and_come_once() {
        let known = ["after", "limit"];
        let query = Query::parse(Some("limit=5&&after="), &known).unwrap();
        assert_eq!(query.get::<usize>("limit").unwrap(), Some(5));
        assert_eq!(query.get::<bool>("other").unwrap(), None);
        assert_eq!(query.get::<u64>("after").unwrap_err().field.as_deref(), Some("after"));
        assert!(Query::parse(None, &known).unwrap().pairs.is_empty());
        for text in ["limits=5", "limit=5&limit=6", "=", "limit"] {
            let read =
                Query::parse(Some(text), &known).and_then(|query| query.get::<usize>("limit"));
            assert_eq!(read.unwrap_err().status, 400, "{text}");
        }
    }
}
