// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Real packets through a router with two paths: which link each came by decides, not what anybody
//! says is installed.

use crate::bed::{Bed, settings};
use crate::flowspec::FlowSpecLab;
use crate::matches::{both, entry, name, target};
use crate::net::{LINKS, Net};
use crate::packets::{Came, Flow, Sender, receive};
use crate::space::may;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use telesteer_fam::{FiveTuple, Prefix, PrefixFlow, Width};
use telesteer_redirect::iprule::IpRule;
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{Device, Entry, Match, quick};

/// Between two rounds of datagrams.
const PAUSE: Duration = Duration::from_millis(2);
/// Patience for rounds of datagrams on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(240);

type Open = fn() -> Box<dyn Device>;

fn nft() -> Box<dyn Device> {
    Box::new(Nft::open("router").unwrap())
}

fn iprule() -> Box<dyn Device> {
    Box::new(IpRule::open("router").unwrap())
}

fn flowspec() -> Box<dyn Device> {
    Box::new(FlowSpecLab::device(["science", "back", "main"], 100))
}

/// Calls a test in a new network, in the router's namespace.
fn on(programs: &[&str], test: impl FnOnce(&Net) + Send) {
    if may(programs) {
        let net = Net::new();
        net.router.within(|| test(&net));
    }
}

/// With `science` onto the science path towards the receiver, `back` towards the sender, and `main`
/// onto the plain one.
fn bed(open: Open) -> Bed {
    let mut bed = Bed::bare(open(), settings());
    for (path, number) in [("science", 1), ("back", 2), ("main", 3)] {
        bed.controller.path_up(name(path), target(number)).unwrap();
    }
    bed
}

fn socket(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn flow(from: &str, to: &str) -> Flow {
    Flow { from: socket(from), to: socket(to) }
}

fn tuple(flow: Flow) -> FiveTuple {
    FiveTuple {
        src: flow.from.ip(),
        dst: flow.to.ip(),
        proto: 17,
        src_port: flow.from.port(),
        dst_port: flow.to.port(),
    }
}

fn exact(flow: Flow) -> Match {
    Match::flow(tuple(flow)).unwrap()
}

fn hosts(flow: Flow) -> Match {
    Match::pair(PrefixFlow::of(&tuple(flow), Width::HOST)).unwrap()
}

fn nets(flow: Flow) -> Match {
    Match::pair(PrefixFlow::of(&tuple(flow), Width::NET)).unwrap()
}

/// Sends rounds of datagrams all the while, calls `steps`, and gives what came and how much was sent.
/// A step gets a function that waits until so many more rounds have gone out.
fn under_traffic(
    net: &Net,
    from: Direction,
    flows: &[Flow],
    steps: impl FnOnce(&dyn Fn(u64)),
) -> (Vec<Came>, u64) {
    let (sender, receiver) = match from {
        Direction::Out => (&net.sender, &net.receiver),
        Direction::Back => (&net.receiver, &net.sender),
    };
    let (rounds, halt, end) = (AtomicU64::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let mut ports: Vec<SocketAddr> = flows.iter().map(|flow| flow.to).collect();
    ports.sort();
    ports.dedup();
    thread::scope(|scope| {
        let receiving = receive(scope, receiver, &ports, LINKS, flows.len(), &end);
        let sending = Sender { rounds: &rounds, stop: &halt }.start(scope, sender, flows, PAUSE);
        let wait = |more: u64| {
            let goal = rounds.load(Ordering::Acquire) + more;
            let patience = Instant::now() + PATIENCE;
            while rounds.load(Ordering::Acquire) < goal {
                assert!(Instant::now() < patience && !sending.is_finished(), "nothing is sent");
                thread::sleep(PAUSE);
            }
        };
        wait(20);
        // A step that fails must not leave the others waiting for ever.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            steps(&wait);
            wait(20);
        }));
        halt.store(true, Ordering::Release);
        let sent = sending.join().unwrap();
        end.store(true, Ordering::Release);
        let came = receiving.join().unwrap();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        (came, sent)
    })
}

#[derive(Clone, Copy)]
enum Direction {
    Out,
    Back,
}

/// Every number came once, by whatever link.
fn must_be_complete(came: &Came, sent: u64) {
    let mut all: Vec<u64> = came.values().flatten().copied().collect();
    all.sort_unstable();
    let missing = (0..sent).filter(|number| all.binary_search(number).is_err()).count();
    assert_eq!((missing, all.len() as u64), (0, sent), "lost and received of {sent}");
}

/// The links a flow came by, one after the other, without going back: the last number by one is
/// before the first by the next.
fn order(came: &Came) -> Vec<&'static str> {
    let mut spans: Vec<(u64, u64, &'static str)> = Vec::new();
    let mut all: Vec<(u64, &'static str)> =
        came.iter().flat_map(|(link, all)| all.iter().map(|one| (*one, *link))).collect();
    all.sort_unstable();
    for (number, link) in all {
        match spans.last_mut() {
            Some(last) if last.2 == link => last.1 = number,
            _ => spans.push((number, number, link)),
        }
    }
    spans.into_iter().map(|span| span.2).collect()
}

fn step(bed: &mut Bed, wait: &dyn Fn(u64), change: impl FnOnce(&mut Bed)) {
    change(bed);
    bed.settle();
    bed.must_agree();
    wait(20);
}

fn narrow_entries_win(net: &Net, open: Open) {
    let flows = [
        flow("10.1.1.1:4001", "10.2.1.1:7001"),
        flow("10.1.1.1:4002", "10.2.1.1:7001"),
        flow("10.1.1.2:4003", "10.2.1.1:7001"),
        flow("10.1.2.1:4004", "10.2.1.1:7001"),
    ];
    let mut bed = bed(open);
    let lsp_before = net.sent("lsp2");
    let (came, sent) = under_traffic(net, Direction::Out, &flows, |wait| {
        let want = |bed: &mut Bed, entry: Entry| bed.controller.want(entry, bed.now).unwrap();
        // A 5-tuple moves one flow.
        step(&mut bed, wait, |bed| want(bed, entry(exact(flows[0]), "science")));
        step(&mut bed, wait, |bed| bed.controller.unwant(&exact(flows[0])));
        // A pair of networks moves three of the four.
        step(&mut bed, wait, |bed| want(bed, entry(nets(flows[0]), "science")));
        // A pair of hosts goes before it, back onto the plain path.
        step(&mut bed, wait, |bed| want(bed, entry(hosts(flows[0]), "main")));
        // And a 5-tuple before that.
        step(&mut bed, wait, |bed| want(bed, entry(exact(flows[0]), "science")));
        // Withdrawal moves all back.
        step(&mut bed, wait, |bed| {
            for one in [exact(flows[0]), hosts(flows[0]), nets(flows[0])] {
                bed.controller.unwant(&one);
            }
        });
    });
    came.iter().for_each(|came| must_be_complete(came, sent));
    let [plain, lsp] = LINKS;
    assert_eq!(order(&came[0]), [plain, lsp, plain, lsp, plain, lsp, plain]);
    assert_eq!(order(&came[1]), [plain, lsp, plain], "another flow of the pair");
    assert_eq!(order(&came[2]), [plain, lsp, plain], "another host of the network");
    assert_eq!(order(&came[3]), [plain], "another network");
    // The router's own counter of the link agrees, but for neighbour discovery.
    let by_lsp: usize = came.iter().filter_map(|came| came.get(lsp)).map(Vec::len).sum();
    let counted = net.sent("lsp2") - lsp_before;
    let by_lsp = by_lsp as u64;
    assert!((by_lsp..by_lsp + 50).contains(&counted), "{counted} counted, {by_lsp} came");
}

fn both_directions_move(net: &Net, open: Open) {
    let out = [
        flow("10.1.1.1:4001", "10.2.1.1:7001"),
        flow("[2001:db8:1:1::1]:4001", "[2001:db8:2:1::1]:7001"),
    ];
    let back = out.map(|one| Flow { from: one.to, to: one.from });
    let mut bed = bed(open);
    for one in out {
        bed.controller.want(both(exact(one), "science", "back"), bed.now).unwrap();
    }
    bed.settle();
    bed.must_agree();
    for (direction, flows) in [(Direction::Out, out), (Direction::Back, back)] {
        let (came, sent) = under_traffic(net, direction, &flows, |_| {});
        for one in came {
            must_be_complete(&one, sent);
            assert_eq!(order(&one), [LINKS[1]]);
        }
    }
    let counts = bed.device.counts(bed.controller.paths()).unwrap();
    if let Some(counts) = counts {
        for one in out.into_iter().chain(back) {
            assert!(counts.by_match[&exact(one)].packets >= 40, "{counts:?}");
        }
    }
}

/// Entries of hosts that nobody has, to fill a table with.
fn filler(range: std::ops::Range<u32>, path: &str) -> impl Iterator<Item = Entry> {
    range.map(move |n| {
        let of = |site: u32| {
            let [_, high, middle, low] = n.to_be_bytes();
            let addr = [100 + u8::try_from(site).unwrap(), high, middle, low];
            Prefix::of(addr.into(), Width::HOST)
        };
        let pair = PrefixFlow { src: of(1), dst: of(2) };
        entry(Match::pair(pair).unwrap(), path)
    })
}

fn a_swap_loses_and_misroutes_nothing(net: &Net, open: Open, size: u32) {
    // In the old table only, in both, in the new one only, in none.
    let flows: Vec<Flow> = (1..=4)
        .flat_map(|network| {
            (1..=4).map(move |host| {
                let port = 4000 + 10 * network + host;
                flow(&format!("10.1.{network}.{host}:{port}"), &format!("10.2.{network}.1:7001"))
            })
        })
        .collect();
    let listed = |groups: &[usize]| -> Vec<Entry> {
        let chosen = groups.iter().flat_map(|group| &flows[4 * group..4 * group + 4]);
        chosen.map(|flow| entry(hosts(*flow), "science")).collect()
    };
    let with = |mut own: Vec<Entry>, start: u32| {
        own.extend(filler(start..start + size - 8, "science"));
        assert_eq!(own.len(), size as usize);
        own
    };
    let old = with(listed(&[0, 1]), 1);
    // Half of the filling stays.
    let new = with(listed(&[1, 2]), 1 + size / 2);
    let mut bed = bed(open);
    bed.controller.swap(old, bed.now).unwrap();
    bed.settle();
    bed.must_agree();
    let (came, sent) = under_traffic(net, Direction::Out, &flows, |wait| {
        bed.controller.swap(new, bed.now).unwrap();
        bed.settle();
        bed.must_agree();
        wait(20);
    });
    let [plain, lsp] = LINKS;
    for (group, expected) in
        [&[lsp, plain][..], &[lsp], &[plain, lsp], &[plain]].into_iter().enumerate()
    {
        for came in &came[4 * group..4 * group + 4] {
            must_be_complete(came, sent);
            assert_eq!(order(came), expected, "group {group}");
        }
    }
}

/// One more entry is called installed when it has been looked up, and it moves its flow.
fn an_entry_among_many_moves_its_flow(net: &Net, open: Open, size: u32) {
    let flows = [flow("10.1.1.1:4001", "10.2.1.1:7001"), flow("10.1.1.1:4002", "10.2.1.1:7001")];
    let mut bed = bed(open);
    bed.controller.swap(filler(1..1 + size, "science").collect(), bed.now).unwrap();
    bed.settle();
    let (came, sent) = under_traffic(net, Direction::Out, &flows, |wait| {
        bed.controller.want(entry(exact(flows[0]), "science"), bed.now).unwrap();
        quick(&mut bed.controller, &mut bed.device, bed.now).unwrap();
        assert!(bed.controller.state(&exact(flows[0])).is_installed());
        wait(20);
    });
    came.iter().for_each(|came| must_be_complete(came, sent));
    let [plain, lsp] = LINKS;
    assert_eq!(order(&came[0]), [plain, lsp]);
    assert_eq!(order(&came[1]), [plain], "another flow of the pair");
    bed.must_agree();
    assert_eq!(bed.rules().len(), size as usize + 1);
}

#[test]
fn an_entry_among_10_000_moves_its_flow_with_nft() {
    on(&["ip", "nft"], |net| an_entry_among_many_moves_its_flow(net, nft, 10_000));
}

#[test]
fn narrow_entries_win_with_nft() {
    on(&["ip", "nft"], |net| narrow_entries_win(net, nft));
}

#[test]
fn narrow_entries_win_with_iprule() {
    on(&["ip"], |net| narrow_entries_win(net, iprule));
}

#[test]
fn narrow_entries_win_with_flowspec() {
    on(&["ip", "nft", "gobgp", "gobgpd"], |net| {
        let _lab = FlowSpecLab::start();
        narrow_entries_win(net, flowspec);
    });
}

#[test]
fn both_directions_move_with_nft() {
    on(&["ip", "nft"], |net| both_directions_move(net, nft));
}

#[test]
fn both_directions_move_with_iprule() {
    on(&["ip"], |net| both_directions_move(net, iprule));
}

#[test]
fn a_swap_of_1548_entries_loses_and_misroutes_nothing_with_nft() {
    on(&["ip", "nft"], |net| a_swap_loses_and_misroutes_nothing(net, nft, 1548));
}

#[test]
fn a_swap_of_200_entries_loses_and_misroutes_nothing_with_iprule() {
    on(&["ip"], |net| a_swap_loses_and_misroutes_nothing(net, iprule, 200));
}
