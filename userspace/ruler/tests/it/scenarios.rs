// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Leave, return, join, weights and drain, the same code for BPF programs and kernel policies.

use telesteer_ruler::steering::Steering;

use crate::exporters::{EXPORTERS, group, homes, moved_from, of, refused};

/// Those that are to keep what the documents promise. `stable` leaves live exporters where they are
/// for a while when a member joins; that is asked for in the selftests of the module.
fn all() -> Vec<Steering> {
    ["bpf-rendezvous", "bpf-weighted", "source", "source-weighted", "stable", "stable-weighted"]
        .map(|name| name.parse().unwrap())
        .to_vec()
}

/// Members of a group.
const MEMBERS: usize = 4;

#[test]
fn a_death_moves_only_the_exporters_of_the_dead_and_refuses_nobody() {
    for steering in all() {
        let Some(mut group) = group(&steering, MEMBERS, MEMBERS) else { continue };
        let before = homes(&group);
        assert_eq!(refused(&before), 0, "{steering}");
        for dead in [1, 3, 0] {
            let before = homes(&group);
            group.kill(dead).unwrap();
            let after = homes(&group);
            assert_eq!(refused(&after), 0, "{steering}: {dead} is dead");
            let moved = moved_from(&before, &after);
            assert_eq!(
                moved.into_iter().collect::<Vec<_>>(),
                [(Some(dead), of(&before, dead))],
                "{steering}: {dead} is dead"
            );
        }
        assert_eq!(of(&homes(&group), 2), usize::from(EXPORTERS), "{steering}");
    }
}

/// The broken twin: the program that operators use refuses the exporters of the dead.
#[test]
fn modulo_refuses_the_exporters_of_the_dead() {
    let steering = Steering::BpfModulo;
    let Some(mut group) = group(&steering, MEMBERS, MEMBERS) else { return };
    let before = homes(&group);
    group.kill(1).unwrap();
    let after = homes(&group);
    assert!(of(&before, 1) > 0);
    assert_eq!(refused(&after), of(&before, 1));
    assert_eq!(moved_from(&before, &after).len(), 1);
}

/// The other broken twin: the kernel's hash moves exporters whose member lives.
#[test]
fn the_hash_does_not_keep_exporters_together() {
    let Some(group) = group(&Steering::Hash, MEMBERS, MEMBERS) else { return };
    // Every datagram comes from a new port.
    let moved = moved_from(&homes(&group), &homes(&group));
    assert!(moved.values().sum::<usize>() > usize::from(EXPORTERS) / 4, "{moved:?}");
}

#[test]
fn who_returns_gets_back_what_it_had() {
    // `stable` leaves live exporters with who took them, for a while.
    for steering in all().into_iter().filter(|s| !s.to_string().starts_with("stable")) {
        let Some(mut group) = group(&steering, MEMBERS, MEMBERS) else { continue };
        let before = homes(&group);
        group.kill(2).unwrap();
        assert_ne!(homes(&group), before, "{steering}");
        group.join(2).unwrap();
        assert_eq!(homes(&group), before, "{steering}");
    }
}

#[test]
fn a_join_moves_exporters_to_the_new_one_only() {
    for steering in all() {
        let Some(mut group) = group(&steering, MEMBERS, MEMBERS + 1) else { continue };
        let before = homes(&group);
        group.join(MEMBERS).unwrap();
        let after = homes(&group);
        let moved: usize = moved_from(&before, &after).values().sum();
        assert_eq!(moved, of(&after, MEMBERS), "{steering}");
        match steering.to_string().starts_with("stable") {
            true => assert_eq!(moved, 0, "{steering}: they are live"),
            false => assert!(moved > 0, "{steering}"),
        }
    }
}

#[test]
fn shares_follow_the_weights() {
    for steering in all() {
        // Weights 1, 2, 3.
        let Some(group) = group(&steering, 3, 3) else { continue };
        let homes = homes(&group);
        let counts = [0, 1, 2].map(|at| of(&homes, at) as f64 / f64::from(EXPORTERS));
        let all: u32 = (0..3).map(|at| steering.weight(at)).sum();
        for (at, share) in counts.into_iter().enumerate() {
            let due = f64::from(steering.weight(at)) / f64::from(all);
            // Five standard deviations of 120 draws.
            let off = 5.0 * (due * (1.0 - due) / f64::from(EXPORTERS)).sqrt();
            assert!((share - due).abs() < off, "{steering}: {at} has {share}, not {due}");
        }
    }
}

#[test]
fn a_draining_member_gets_nothing_new_and_the_others_keep_theirs() {
    for steering in all() {
        let Some(mut group) = group(&steering, MEMBERS, MEMBERS) else { continue };
        let before = homes(&group);
        group.drain(1).unwrap();
        let after = homes(&group);
        assert_eq!((of(&after, 1), refused(&after)), (0, 0), "{steering}");
        assert_eq!(
            moved_from(&before, &after).keys().collect::<Vec<_>>(),
            [&Some(1)],
            "{steering}"
        );
    }
}
