// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who may hold tickets: names, and SHA-256 of the tokens that go with them.
//!
//! A file of lines `NAME SHA256`, in hexadecimal; `#` begins a comment. Who reads the file cannot use
//! a token: a token is 32 random bytes, so its hash needs no salt and no stretching.

use crate::ticket::record::Holder;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::hint::black_box;

/// Most lines of a file that name somebody.
pub const TOKENS: usize = 1024;
/// Longest token that is looked at.
pub const TOKEN: usize = 256;
/// What tokens begin with, so that one is known where it should not be.
pub const MARK: &str = "hntes_";

/// A line that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong.
    pub why: String,
}

/// Whom to let in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    known: Vec<(Holder, [u8; 32])>,
}

impl Tokens {
    /// Reads a file's text.
    ///
    /// # Errors
    ///
    /// The first line that is none; then nobody is to be let in.
    pub fn parse(text: &str) -> Result<Self, BadLine> {
        let mut known: Vec<(Holder, [u8; 32])> = Vec::new();
        let mut hashes = BTreeSet::new();
        for (at, line) in text.lines().enumerate() {
            let bad = |why: String| BadLine { line: at + 1, why };
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(name), Some(hash), None) = (words.next(), words.next(), words.next()) else {
                return Err(bad("not a name and a hash".to_owned()));
            };
            let name: Holder = name.parse().map_err(|error| bad(format!("{error}")))?;
            let hash = unhex(hash).ok_or_else(|| bad("not 64 hexadecimal digits".to_owned()))?;
            // A holder may have several tokens, to change one for another.
            if !hashes.insert(hash) {
                return Err(bad("a token that another line has".to_owned()));
            }
            if known.len() >= TOKENS {
                return Err(bad(format!("more than {TOKENS} tokens")));
            }
            known.push((name, hash));
        }
        Ok(Self { known })
    }

    /// Whose token it is. Takes as long for one that is nearly right as for any other of its length:
    /// what is compared are hashes, each whole, and all of them.
    pub fn holder(&self, token: &str) -> Option<Holder> {
        if token.len() > TOKEN {
            return None;
        }
        let hash = hash(token);
        let mut found = None;
        for (name, known) in &self.known {
            let differ = known.iter().zip(hash).fold(0u8, |sum, (a, b)| black_box(sum | (a ^ b)));
            if differ == 0 {
                found = Some(name);
            }
        }
        found.cloned()
    }

    /// Whether `holder` has a token.
    pub fn names(&self, holder: &Holder) -> bool {
        self.known.iter().any(|(name, _)| name == holder)
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nobody is let in.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The token of 32 random bytes.
pub fn token(random: &[u8; 32]) -> String {
    format!("{MARK}{}", hex(random))
}

/// The line of a file for a token.
pub fn line(holder: &Holder, token: &str) -> String {
    format!("{holder} {}", hex(&hash(token)))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ticket::testing::holder;

    #[test]
    fn a_token_is_known_by_its_hash() {
        // The hash of "abc" is a published test vector (FIPS 180-2, appendix B.1).
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(line(&holder("a"), "abc"), format!("a {abc}"));
        let one = token(&[7; 32]);
        assert_eq!(one.len(), 70);
        let text = format!("# who\n{}\n\nb {abc} # old\n", line(&holder("mover"), &one));
        let tokens = Tokens::parse(&text).unwrap();
        assert_eq!(tokens.len(), 2);
        assert_eq!(tokens.holder(&one), Some(holder("mover")));
        assert_eq!(tokens.holder("abc"), Some(holder("b")));
        for wrong in ["", "ab", "abcd", abc, &one.to_uppercase(), &"x".repeat(TOKEN + 1)] {
            assert_eq!(tokens.holder(wrong), None, "{wrong}");
        }
        assert_eq!(Tokens::default().holder(""), None);
    }

    #[test]
    fn a_bad_line_is_named() {
        let hash = |n: u64| format!("{n:064x}");
        let bad = |text: String| Tokens::parse(&text).unwrap_err();
        assert_eq!(bad(format!("a {}\nb\n", hash(1))).line, 2);
        assert_eq!(bad(format!("a {} x\n", hash(1))).line, 1);
        assert!(bad("a 12\n".to_owned()).why.contains("64"));
        assert!(bad(format!("a+b {}\n", hash(1))).why.contains("a+b"));
        assert!(bad(format!("a {0}\nb {0}\n", hash(1))).why.contains("another"));
        let many = |n: u64| (0..n).map(|n| format!("a {}\n", hash(n))).collect::<String>();
        assert_eq!(Tokens::parse(&many(1024)).unwrap().len(), TOKENS);
        assert_eq!(bad(many(1025)).line, 1025);
    }
}
