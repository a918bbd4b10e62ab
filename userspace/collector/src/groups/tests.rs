// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Groups made of sockets that no kernel told of.

use telesteer_sys::{
    diag::Reuseport,
    reuseport::{ReuseportMember, ReuseportMemberStats},
};

use super::*;

fn socket(local: &str, inode: u32, told: Option<(u32, u64)>) -> DiagSocket {
    let local: SocketAddr = local.parse().unwrap();
    DiagSocket {
        local,
        remote: SocketAddr::new(local.ip(), 0),
        only_v6: true,
        interface: 0,
        state: 10,
        receive_queue: 4,
        uid: 1000,
        inode,
        cookie: u64::from(inode),
        reuseport: told.map(|(group, id)| Reuseport {
            group,
            members: 3,
            policy: Some("source".to_owned()),
            member: (id != 0).then(|| ReuseportMemberStats {
                member: ReuseportMember { id, weight: 2, flags: u32::from(id == 2) },
                selections: 10 * id,
            }),
        }),
    }
}

fn found(sockets: &[(Protocol, DiagSocket)]) -> Found {
    let mut found = Found::default();
    for (protocol, socket) in sockets {
        found.add(*protocol, socket.clone());
    }
    found
}

const ADDR: &str = "127.0.0.1:1790";

#[test]
fn told_groups_are_sorted_by_id() {
    let sockets = [
        (Protocol::Tcp, socket(ADDR, 1, Some((5, 2)))),
        (Protocol::Tcp, socket(ADDR, 2, Some((5, 0)))),
        (Protocol::Tcp, socket(ADDR, 3, Some((5, 1)))),
        (Protocol::Udp, socket("127.0.0.1:53", 4, None)),
    ];
    let groups = found(&sockets).groups(false);
    assert_eq!(groups.len(), 1);
    let ids: Vec<_> = groups[0].members.iter().map(|member| member.id).collect();
    assert_eq!(ids, [Some(1), Some(2), None]);
    assert_eq!((groups[0].group, groups[0].sockets), (Some(5), 3));

    let text = table::render(&groups);
    assert!(text.starts_with("tcp 127.0.0.1:1790  group 5, policy source, 3 members\n"), "{text}");
    let line = |n: usize| text.lines().nth(n).unwrap().split_whitespace().collect::<Vec<_>>();
    assert_eq!(line(2), ["1", "2", "-", "10", "-", "-", "4", "-"]);
    assert_eq!(line(3), ["2", "2", "drain", "20", "-", "-", "4", "-"]);
    assert_eq!(line(4), ["-", "-", "no-handle", "-", "-", "-", "4", "-"]);
}

#[test]
fn a_guess_takes_two_sockets_with_all_in_common() {
    let mut other = socket(ADDR, 3, None);
    other.uid = 0;
    let sockets = [
        (Protocol::Tcp, socket(ADDR, 1, None)),
        (Protocol::Tcp, socket(ADDR, 2, None)),
        (Protocol::Tcp, other),
        (Protocol::Udp, socket(ADDR, 4, None)),
    ];
    assert!(found(&sockets).groups(false).is_empty());
    let groups = found(&sockets).groups(true);
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].group, groups[0].members.len()), (None, 2));
    assert!(table::render(&groups).starts_with("tcp 127.0.0.1:1790  by its address, 2 members\n"));
}

fn session(local: &str, remote: &str, inode: u32) -> DiagSocket {
    DiagSocket { remote: remote.parse().unwrap(), ..socket(local, inode, None) }
}

#[test]
fn sessions_go_to_the_group_of_their_address() {
    let sockets = [
        (Protocol::Tcp, socket("0.0.0.0:1790", 1, Some((5, 1)))),
        (Protocol::Tcp, socket(ADDR, 2, Some((6, 1)))),
        (Protocol::Tcp, socket("[::]:1790", 3, Some((7, 1)))),
        (Protocol::Udp, socket("0.0.0.0:1791", 4, Some((8, 1)))),
    ];
    let groups = found(&sockets).groups(false);
    let mut sessions = Sessions::default();
    for (local, remote, inode) in [
        (ADDR, "192.0.2.1:1", 10),
        (ADDR, "192.0.2.1:2", 10),
        ("127.0.0.2:1790", "192.0.2.2:1", 11),
        ("[::ffff:127.0.0.1]:1790", "[::ffff:192.0.2.3]:1", 0),
        ("127.0.0.1:1791", "192.0.2.4:1", 12),
        ("127.0.0.1:22", "192.0.2.5:1", 13),
    ] {
        sessions.add(&groups, &session(local, remote, inode));
    }
    let count = |local: &str, inode| {
        let index = groups.iter().position(|group| group.local.to_string() == local).unwrap();
        sessions.by_group.get(&(index, inode)).map_or(0, Vec::len)
    };
    assert_eq!(count(ADDR, 10), 2);
    assert_eq!(count("0.0.0.0:1790", 11), 1);
    assert_eq!(count("[::]:1790", 0), 1);
    assert_eq!(sessions.counted, 4, "neither of UDP nor of other ports");
    let mut inodes: Vec<u32> = sessions.inodes().collect();
    inodes.sort_unstable();
    assert_eq!(inodes, [10, 11]);
}
