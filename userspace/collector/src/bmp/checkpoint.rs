// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What an heir must know of a session.
//!
//! A check-point is written before the bytes that led to it are committed, so the heir may find the
//! stream at either side of them. It therefore holds two states, each with the offset it is for, and
//! the heir takes the one that fits where the kernel says the stream stands.

use serde::{Deserialize, Serialize};
use telesteer_wire::bmp::Context;

/// Version of the file.
const FORMAT: u32 = 1;

/// The state of a session at one stream offset.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Stream offset it is for.
    pub offset: u64,
    /// Up to here the stream is kept raw, whatever it looks like.
    pub raw_until: u64,
    /// Initiation and Peer Ups.
    pub context: Context,
}

#[derive(Debug, Serialize, Deserialize)]
struct File<T> {
    format: u32,
    /// Newest first.
    states: Vec<T>,
}

/// The file for `newer` and, if there is one, the state before it.
pub(super) fn encode(newer: &State, older: Option<&State>) -> Vec<u8> {
    let file = File {
        format: FORMAT,
        states: older.into_iter().fold(vec![newer], |mut all, s| {
            all.push(s);
            all
        }),
    };
    // These types have no value that JSON cannot hold.
    serde_json::to_vec(&file).unwrap_or_default()
}

/// The state in `file` for a stream that stands at `offset`.
pub(super) fn decode(file: &[u8], offset: u64) -> Option<State> {
    let file: File<State> = serde_json::from_slice(file).ok()?;
    if file.format != FORMAT {
        return None;
    }
    // A state holds from its offset on until the next one.
    file.states.into_iter().find(|state| state.offset <= offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(offset: u64, peers: usize) -> State {
        let context = Context { initiation: None, peer_ups: vec![vec![3]; peers] };
        State { offset, raw_until: 0, context }
    }

    #[test]
    fn the_state_that_fits_the_offset_is_found() {
        let file = encode(&state(100, 2), Some(&state(40, 1)));
        assert_eq!(decode(&file, 100), Some(state(100, 2)));
        assert_eq!(decode(&file, 250), Some(state(100, 2)));
        // Written, not committed: the heir starts before.
        assert_eq!(decode(&file, 40), Some(state(40, 1)));
        assert_eq!(decode(&file, 99), Some(state(40, 1)));
        assert_eq!(decode(&file, 39), None);
    }

    #[test]
    fn other_formats_and_torn_files_are_no_state() {
        let file = encode(&state(1, 1), None);
        assert_eq!(decode(&file[..file.len() - 1], 5), None);
        let other = String::from_utf8(file).unwrap().replace("\"format\":1", "\"format\":2");
        assert_eq!(decode(other.as_bytes(), 5), None);
    }
}
