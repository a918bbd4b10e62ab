// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Exporters on loopback addresses, and where their datagrams end up.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU8, Ordering};

use telesteer_ruler::group::Group;
use telesteer_ruler::guest;
use telesteer_ruler::steering::Steering;
use telesteer_sys::datagram::Batch;

/// How many there are.
pub(crate) const EXPORTERS: u8 = 120;
/// Port of the groups.
const PORT: u16 = 4739;

/// Home of each exporter: `None` if its datagram reached nobody.
pub(crate) type Homes = BTreeMap<Ipv4Addr, Option<usize>>;

/// A loopback address that no other test uses.
pub(crate) fn own_address() -> SocketAddr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    (Ipv4Addr::new(127, 77, NEXT.fetch_add(1, Ordering::Relaxed), 1), PORT).into()
}

/// Sends a datagram from every exporter and looks who got it. Loopback delivers before `send`
/// returns, so what has not arrived then never will.
pub(crate) fn homes(group: &Group) -> Homes {
    let mut homes = Homes::new();
    for n in 1..=EXPORTERS {
        let from = Ipv4Addr::new(127, 78, 0, n);
        let socket = UdpSocket::bind((from, 0)).unwrap();
        // Refused by a program: an ICMP error, which is the exporter's to see.
        let _ = socket.send_to(b"x", group.addr());
        homes.insert(from, None);
    }
    let mut batch = Batch::new(32);
    for (member, senders) in group.read(&mut batch).unwrap() {
        for sender in senders {
            if let SocketAddr::V4(sender) = sender {
                assert_eq!(homes.insert(*sender.ip(), Some(member)), Some(None), "{sender}");
            }
        }
    }
    homes
}

/// Exporters of a member.
pub(crate) fn of(homes: &Homes, member: usize) -> usize {
    homes.values().filter(|home| **home == Some(member)).count()
}

/// Exporters that reached nobody.
pub(crate) fn refused(homes: &Homes) -> usize {
    homes.values().filter(|home| home.is_none()).count()
}

/// Exporters whose home changed, by the home they had.
pub(crate) fn moved_from(before: &Homes, after: &Homes) -> BTreeMap<Option<usize>, usize> {
    let mut moved = BTreeMap::new();
    for (exporter, home) in before {
        if after.get(exporter) != Some(home) {
            *moved.entry(*home).or_insert(0) += 1;
        }
    }
    moved
}

/// A group of `members`, or `None`, with the reason on stderr, where this machine cannot steer so.
/// In a guest of ours with the series nothing may be missing but a module that was not built.
pub(crate) fn group(steering: &Steering, members: usize, slots: usize) -> Option<Group> {
    if let Some(policy) = steering.policy()
        && let Some(why) = guest::lacks(policy).unwrap()
    {
        let ours = std::env::var_os("TELESTEER_GUEST").is_some();
        assert!(!ours || policy != "source", "{why}");
        eprintln!("skipped: {steering}: {why}");
        return None;
    }
    let mut group = match Group::new(steering, false, own_address(), slots) {
        Ok(group) => group,
        Err(error) if std::env::var_os("TELESTEER_VM").is_none() => {
            eprintln!("skipped: {steering}: {error:#}");
            return None;
        }
        Err(error) => panic!("{steering}: {error:#}"),
    };
    for at in 0..members {
        group.join(at).unwrap();
    }
    Some(group)
}
