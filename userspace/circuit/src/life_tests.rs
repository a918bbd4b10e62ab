// SPDX-License-Identifier: Apache-2.0 OR MIT
use super::*;
use proptest::prelude::*;

fn life() -> Life {
    Life::new(Span { from: At(0), until: None }, Waits::default())
}

fn up() -> Life {
    let mut life = life();
    for (call, event) in [
        (Call::Reserve, Event::Reserved(None)),
        (Call::Commit, Event::Committed),
        (Call::Provision, Event::Provisioned),
    ] {
        life.ask(call, At(1)).unwrap();
        assert_eq!(life.hear(event, At(2)).len(), 1);
    }
    assert_eq!(life.hear(Event::Active, At(3)).len(), 1);
    assert_eq!(life.state(), State::Up);
    life
}

#[test]
fn up_and_down() {
    let mut life = up();
    assert_eq!(life.hear(Event::Active, At(4)), []);
    assert_eq!((life.ignored(), life.deadline()), (1, None));
    life.ask(Call::Release, At(5)).unwrap();
    life.hear(Event::Inactive, At(6));
    life.hear(Event::Released, At(7));
    assert_eq!(life.state(), State::Released);
    life.ask(Call::Terminate, At(8)).unwrap();
    life.hear(Event::Terminated, At(9));
    assert!(life.state() == State::Down && !life.owes());
}

/// dataPlaneStateChange before provisionConfirmed: both steps are made, in order.
#[test]
fn traffic_before_the_answer() {
    let mut life = life();
    life.ask(Call::Reserve, At(0)).unwrap();
    life.hear(Event::Reserved(None), At(0));
    life.ask(Call::Commit, At(0)).unwrap();
    life.hear(Event::Committed, At(0));
    life.ask(Call::Provision, At(0)).unwrap();
    assert_eq!(life.hear(Event::Active, At(1)), []);
    let steps = life.hear(Event::Provisioned, At(2));
    assert_eq!(
        steps.iter().map(|step| step.to).collect::<Vec<_>>(),
        [State::Provisioned, State::Up]
    );
}

#[test]
fn waits_are_bounded() {
    let waits = Waits::default();
    let mut asked = life();
    asked.ask(Call::Reserve, At(0)).unwrap();
    assert_eq!(asked.tick(At(waits.reserve_ms - 1)), []);
    asked.tick(At(waits.reserve_ms));
    assert_eq!(asked.reason(), Some(&Reason::TimedOut(Call::Reserve)));
    assert!(asked.owes(), "the provider may have held it all the same");

    let mut held = life();
    held.ask(Call::Reserve, At(0)).unwrap();
    held.hear(Event::Reserved(Some(At(50))), At(1));
    held.tick(At(50));
    assert_eq!(held.reason(), Some(&Reason::HoldExpired));

    let mut late = up();
    late.hear(Event::Inactive, At(10));
    assert_eq!(late.deadline(), Some(At(10 + waits.activate_ms)));
    late.tick(At(10 + waits.activate_ms));
    assert_eq!(late.reason(), Some(&Reason::NotActive));

    let mut kept = up();
    kept.ask(Call::Terminate, At(0)).unwrap();
    kept.tick(At(waits.call_ms));
    assert_eq!((kept.state(), kept.pending(), kept.owes()), (State::Up, None, true));
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<Option<u16>>().prop_map(|at| Event::Reserved(at.map(|at| At(at.into())))),
        Just(Event::Committed),
        Just(Event::Provisioned),
        Just(Event::Active),
        Just(Event::Inactive),
        Just(Event::Extended(None)),
        Just(Event::Released),
        Just(Event::Terminated),
        Just(Event::Refused("no".into())),
        Just(Event::HoldExpired),
        Just(Event::Ended("gone".into())),
    ]
}

proptest! {
    /// Whatever is asked, heard and waited for, in any order: every step is one of the diagram,
    /// steps join, and the end is final.
    #[test]
    fn no_state_is_skipped(moves in proptest::collection::vec((0..3_u8, 0..6_usize, event(), 0..100_000_u64), 0..60)) {
        const CALLS: [Call; 6] = [Call::Reserve, Call::Commit, Call::Provision, Call::Extend, Call::Release, Call::Terminate];
        let mut life = life();
        let (mut now, mut at) = (At(0), State::Requested);
        for (kind, call, event, wait) in moves {
            now = now.plus(wait);
            let steps = match kind {
                0 => { let _ = life.ask(CALLS[call], now); Vec::new() }
                1 => life.hear(event, now),
                _ => life.tick(now),
            };
            for step in steps {
                prop_assert_eq!(step.from, at);
                prop_assert!(step.from.next().contains(&step.to), "{:?}", step);
                at = step.to;
            }
            prop_assert_eq!(life.state(), at);
            // A wait that is not for an instant in the future was not bounded by tick.
            life.tick(now);
            at = life.state();
            prop_assert!(life.deadline().is_none_or(|by| by > now));
            prop_assert!(life.state() != State::Down || (life.pending().is_none() && !life.owes()));
        }
    }
}
