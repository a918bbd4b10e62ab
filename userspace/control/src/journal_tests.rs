// SPDX-License-Identifier: Apache-2.0 OR MIT

use super::*;
use crate::record::Intent;
use crate::record::Live;
use crate::record::testing::{flow, records};
use proptest::prelude::*;

fn open(dir: &Path) -> (Journal, Found) {
    Journal::open(dir, LONG, Crash::default()).unwrap()
}

/// The states that prefixes of the records come to.
fn states(records: &[Record]) -> Vec<State> {
    let mut state = State::default();
    let mut states = vec![state.clone()];
    for record in records {
        state.apply(record);
        states.push(state.clone());
    }
    states
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Cut off anywhere, what is left is what a prefix of the records came to, and the longest that
    /// was whole.
    #[test]
    fn cut_anywhere_it_is_a_prefix_of_the_truth(records in records()) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        for record in &records {
            journal.append(std::slice::from_ref(record)).unwrap();
        }
        drop(journal);
        let bytes = fs::read(dir.path().join(FILE)).unwrap();
        let states = states(&records);
        for cut in 0..=bytes.len() {
            let mut state = State::default();
            let (count, good, _) = fold(&bytes[..cut], &mut state).unwrap();
            let lines = bytes[..cut].iter().filter(|byte| **byte == b'\n').count();
            prop_assert_eq!(count as usize, lines);
            prop_assert!(good <= cut);
            prop_assert_eq!(&state, &states[lines.saturating_sub(1)]);
        }
    }

    /// A byte that is not what was written ends what counts there.
    #[test]
    fn a_changed_byte_ends_it(records in records(), at in 0.0..1.0_f64, bit in 0..8_u8) {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        journal.append(&records).unwrap();
        drop(journal);
        let mut bytes = fs::read(dir.path().join(FILE)).unwrap();
        let at = ((bytes.len() - 1) as f64 * at) as usize;
        bytes[at] ^= 1 << bit;
        let before = bytes[..at].iter().filter(|byte| **byte == b'\n').count();
        let mut state = State::default();
        let (count, ..) = fold(&bytes, &mut state).unwrap();
        prop_assert_eq!(count as usize, before);
        prop_assert_eq!(&state, &states(&records)[before.saturating_sub(1)]);
    }
}

#[test]
fn a_torn_tail_is_set_aside_and_the_rest_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let live = Live { exporter: None, since: 5, rate: 0 };
    let (mut journal, found) = open(dir.path());
    assert_eq!(found, Found::default());
    journal.append(&[Record::Flow(flow(1, 7), live)]).unwrap();
    drop(journal);
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"0123456789abcdef {\"over\":");
    fs::write(&path, &bytes).unwrap();
    let (mut journal, found) = open(dir.path());
    assert_eq!(found, Found { records: 2, torn: 25 });
    journal.append(&[Record::Flow(flow(2, 7), live)]).unwrap();
    drop(journal);
    let (journal, found) = open(dir.path());
    assert_eq!((found.records, found.torn, journal.state().flows.len()), (3, 0, 2));
    assert_eq!(fs::read(dir.path().join("journal.torn")).unwrap().len(), 25);
}

#[test]
fn written_anew_it_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    for n in 0..100 {
        let live = Live { exporter: None, since: n, rate: 0 };
        journal.append(&[Record::Flow(flow(1, 7), live)]).unwrap();
    }
    let intent = Intent::Routes { router: "r1".into(), add: 1, remove: 0, purge: false };
    let number = journal.begin(intent.clone()).unwrap();
    let (before, state) = (journal.length(), journal.state().clone());
    journal.compact().unwrap();
    assert!(journal.length() < before / 10, "{} {before}", journal.length());
    // Left over by one that was killed in the middle of it.
    fs::write(dir.path().join("journal.new"), "rubbish").unwrap();
    drop(journal);
    let (mut journal, _) = open(dir.path());
    assert_eq!(*journal.state(), state);
    journal.compact().unwrap();
    assert_eq!(journal.state().open, [(number, intent)].into());
    journal.end(number, None).unwrap();
    let next =
        journal.begin(Intent::Routes { router: "r2".into(), add: 1, remove: 0, purge: false });
    assert!(next.unwrap() > number);
    drop(journal);
    assert_eq!(open(dir.path()).0.state().open.len(), 1);
}

#[test]
fn one_loop_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = open(dir.path());
    let said = Journal::open(dir.path(), LONG, Crash::default()).unwrap_err().to_string();
    assert!(said.ends_with("lock: another loop has it open"), "{said}");
    drop(journal);
    open(dir.path());
}

#[test]
fn another_version_is_refused_and_left() {
    let dir = tempfile::tempdir().unwrap();
    let (mut text, mut last) = (Vec::new(), SEED.to_owned());
    line(&mut last, &Record::Version(2), &mut text).unwrap();
    fs::write(dir.path().join(FILE), &text).unwrap();
    let said = Journal::open(dir.path(), LONG, Crash::default()).unwrap_err().to_string();
    assert!(said.ends_with("journal: it is of version 2, not 1"), "{said}");
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), text);
}

#[test]
fn a_line_counts_only_behind_those_it_was_written_behind() {
    let dir = tempfile::tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    for n in 0..4 {
        let live = Live { exporter: None, since: n.into(), rate: 0 };
        journal.append(&[Record::Flow(flow(n, 7), live)]).unwrap();
    }
    drop(journal);
    let text = fs::read_to_string(dir.path().join(FILE)).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    let count = |order: &[usize]| {
        let text: String = order.iter().map(|at| format!("{}\n", lines[*at])).collect();
        fold(text.as_bytes(), &mut State::default()).unwrap().0
    };
    assert_eq!(count(&[0, 1, 2, 3, 4]), 5);
    // One left out, two that changed places, one twice, none of the first.
    let broken = [vec![0, 1, 3, 4], vec![0, 1, 3, 2, 4], vec![0, 1, 1, 2], vec![1, 2, 3]];
    assert_eq!(broken.map(|order| count(&order)), [2, 2, 2, 0]);
}
