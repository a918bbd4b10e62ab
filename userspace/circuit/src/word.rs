// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Short words that stand in the names of circuits: whose one is, and for whom it is reserved.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A word: 1 to 24 letters, digits, `-` and `_`, all ASCII.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Word(String);

/// This is no word.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no word: 1 to 24 letters, digits, - and _")]
pub struct BadWord(pub String);

impl Word {
    /// Longest one. Providers have little room for the name of a circuit.
    pub const LONGEST: usize = 24;

    /// The word that is this text.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn new(text: &str) -> Result<Self, BadWord> {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if text.is_empty() || text.len() > Self::LONGEST || !text.chars().all(fits) {
            return Err(BadWord(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Word {
    type Error = BadWord;

    fn try_from(text: String) -> Result<Self, BadWord> {
        Self::new(&text)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_short_and_plain() {
        assert_eq!(serde_json::from_str::<Word>("\"site-a_1\"").unwrap().as_str(), "site-a_1");
        let long = "x".repeat(25);
        for text in ["", "a b", "a.b", "a+b", "ä", long.as_str()] {
            assert_eq!(Word::new(text), Err(BadWord(text.to_owned())));
        }
    }
}
