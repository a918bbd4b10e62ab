// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A BPF program in a group that has a policy: the program decides first, a drop is a drop, and
//! where it selects nobody the policy does.

use telesteer_ruler::bpf::Program;
use telesteer_ruler::group::Group;
use telesteer_ruler::steering::Steering;

use crate::exporters::{EXPORTERS, group, homes, of, refused};

/// Members of a group.
const MEMBERS: usize = 4;

fn source() -> Steering {
    Steering::Policy("source".to_owned())
}

/// The program of `steering` attached to a group, with these members in its map.
fn attach(group: &Group, steering: &Steering, members: &[usize]) -> Program {
    let mut program = Program::load(steering, MEMBERS).unwrap().unwrap();
    for member in members {
        program.enter(*member, group.socket(*member).unwrap(), 1).unwrap();
    }
    program.attach(group.socket(0).unwrap()).unwrap();
    program
}

#[test]
fn the_program_decides_before_the_policy() {
    let Some(group) = group(&source(), MEMBERS, MEMBERS) else { return };
    let before = homes(&group);
    assert!(of(&before, 3) < usize::from(EXPORTERS));
    let _program = attach(&group, &Steering::BpfRendezvous, &[3]);
    assert_eq!(of(&homes(&group), 3), usize::from(EXPORTERS));
}

#[test]
fn a_program_that_selects_nobody_leaves_it_to_the_policy() {
    let Some(group) = group(&source(), MEMBERS, MEMBERS) else { return };
    let before = homes(&group);
    let _program = attach(&group, &Steering::BpfRendezvous, &[]);
    assert_eq!(homes(&group), before);
}

/// Without a policy the kernel's hash decides, and nobody is refused.
#[test]
fn a_program_that_selects_nobody_leaves_it_to_the_hash() {
    let Some(group) = group(&Steering::Hash, MEMBERS, MEMBERS) else { return };
    let Ok(Some(mut program)) = Program::load(&Steering::BpfRendezvous, MEMBERS) else {
        eprintln!("skipped: no BPF program can be loaded here");
        return;
    };
    program.attach(group.socket(0).unwrap()).unwrap();
    let homes = homes(&group);
    assert_eq!(refused(&homes), 0);
    assert!((0..MEMBERS).all(|member| of(&homes, member) > 0));
}

#[test]
fn a_drop_of_the_program_is_a_drop() {
    let Some(group) = group(&source(), MEMBERS, MEMBERS) else { return };
    let _program = attach(&group, &Steering::BpfModulo, &[]);
    assert_eq!(refused(&homes(&group)), usize::from(EXPORTERS));
}
