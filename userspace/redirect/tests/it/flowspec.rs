// SPDX-License-Identifier: Apache-2.0 OR MIT
//! GoBGP and our receiver in the namespace of the calling thread: what is announced becomes entries of
//! the kernel, and what the kernel holds is read.

use crate::bed::Bed;
use crate::labs::{Lab, NftLab, PlainLab};
use crate::matches::{entry, flow, host, name, net, target, tuple, tuple6};
use crate::space::{Space, may, run};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use telesteer_fam::time::SECOND;
use telesteer_redirect::bgp::Neighbour;
use telesteer_redirect::flowspec::receiver::{Counters, Meet, Receiver, Settings, Way};
use telesteer_redirect::flowspec::{COMMUNITY, FlowSpec, Redirect, RouteTarget, Site};
use telesteer_redirect::nft::Nft;
use telesteer_redirect::{Device, Paths};

/// Patience for a daemon to begin, or for routes to arrive, on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(300);
const API: &str = "127.0.0.1:50051";
const SPEAKER: &str = "127.0.0.1:1790";
/// The router's paths, and the numbers of their targets after 100.
const PATHS: [(&str, u32); 3] = [("a", 1), ("b", 2), ("c", 3)];
/// AS of both.
const ASN: u16 = 64_512;

const CONF: &str = r#"
[global.config]
  as = 64512
  router-id = "192.0.2.1"
  port = 1790
  local-address-list = ["127.0.0.1"]
[[neighbors]]
  [neighbors.config]
    neighbor-address = "127.0.0.1"
    peer-as = 64512
  [neighbors.transport.config]
    passive-mode = true
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-flowspec"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv6-flowspec"
"#;

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} does not come");
        thread::sleep(Duration::from_millis(20));
    }
}

fn gobgp(words: &str) -> String {
    let mut argv = vec!["gobgp"];
    argv.extend(words.split_whitespace());
    run(&argv)
}

fn route_target(number: u32) -> RouteTarget {
    RouteTarget::As2 { asn: ASN, number }
}

/// A router that receives, in a thread of its own.
struct Router {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Counters>>,
}

impl Router {
    fn start(limit: usize) -> Self {
        let way = |(path, n): (&str, u32)| Way {
            path: name(path),
            redirect: Redirect::Target(route_target(100 + n)),
            target: target(n),
        };
        let (id, asn) = (Ipv4Addr::new(192, 0, 2, 2), u32::from(ASN));
        let settings = Settings {
            neighbour: Neighbour { local_as: asn, id, peer_as: asn, hold: 90 },
            meet: Meet::Connect(SPEAKER.parse().unwrap()),
            ways: PATHS.map(way).into(),
            limit,
            check: SECOND,
            grace: 600 * SECOND,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut receiver = Receiver::new(settings, Nft::open("receiver").unwrap()).unwrap();
            receiver.run(&told, &mut |text| eprintln!("receiver: {text}")).unwrap();
            receiver.counters()
        });
        Self { stop, thread: Some(thread) }
    }

    /// Ends it in order.
    fn stop(&mut self) -> Counters {
        self.stop.store(true, Ordering::Release);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A speaker and a router; dropping it ends both.
pub(crate) struct FlowSpecLab {
    router: Option<Router>,
    gobgpd: Child,
    conf: PathBuf,
}

impl FlowSpecLab {
    pub(crate) fn start() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let conf = std::env::temp_dir()
            .join(format!("redirect-gobgpd-{}-{number}.toml", std::process::id()));
        fs::write(&conf, CONF).unwrap();
        let gobgpd = Command::new("gobgpd")
            .args(["-f", conf.to_str().unwrap(), "-l", "error", "--api-hosts", API])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lab = Self { router: None, gobgpd, conf };
        until("gobgpd", || {
            let asked = Command::new("gobgp").arg("global").output().unwrap();
            asked.status.success()
        });
        lab.router = Some(Router::start(1 << 16));
        lab
    }

    /// Another router in place of the one before.
    fn restart(&mut self, limit: usize) {
        self.router.take();
        self.router = Some(Router::start(limit));
    }

    /// A way to the router, for paths with the targets 101, 102 and 103.
    pub(crate) fn device(paths: [&str; 3], limit: usize) -> FlowSpec {
        let site = Site {
            gobgp: vec!["gobgp".to_owned()],
            targets: paths.map(name).into_iter().zip([101, 102, 103].map(route_target)).collect(),
            community: COMMUNITY,
        };
        FlowSpec::open("flowspec", site, Box::new(Nft::open("router").unwrap()), limit).unwrap()
    }
}

impl Drop for FlowSpecLab {
    fn drop(&mut self) {
        self.router.take();
        let _ = self.gobgpd.kill();
        let _ = self.gobgpd.wait();
        let _ = fs::remove_file(&self.conf);
    }
}

/// Entries in the kernel.
fn in_kernel() -> usize {
    let mut paths = Paths::default();
    for (path, n) in PATHS {
        paths.insert(name(path), target(n)).unwrap();
    }
    Nft::open("kernel").unwrap().read_back(&paths, 0).unwrap().rules.len()
}

impl Lab for FlowSpecLab {
    fn open(&self, limit: usize) -> Box<dyn Device> {
        Box::new(Self::device(PATHS.map(|(path, _)| path), limit))
    }

    /// A route of somebody else's, and what somebody else may have in the router.
    fn plant(&self) {
        gobgp("global rib add -a ipv4-flowspec match destination 203.0.113.0/24 then discard");
        NftLab.plant();
    }

    fn planted(&self) -> bool {
        gobgp("global rib -a ipv4-flowspec").contains("203.0.113.0/24") && NftLab.planted()
    }

    /// Takes routes out of the speaker, past everybody.
    fn spoil(&self) {
        let before = in_kernel();
        for site in ["16", "32"] {
            let other = if site == "16" { "32" } else { "16" };
            gobgp(&format!(
                "global rib del -a ipv4-flowspec match destination 10.{site}.1.0/24 \
                 source 10.{other}.1.0/24"
            ));
        }
        until("the withdrawal", || in_kernel() + 2 == before);
    }
}

impl PlainLab for FlowSpecLab {
    fn with(test: impl FnOnce(&dyn Lab) + Send) {
        if may(&["ip", "nft", "gobgp", "gobgpd"]) {
            Space::new("flowspec").within(|| test(&Self::start()));
        }
    }
}

fn with(test: impl FnOnce(&mut FlowSpecLab) + Send) {
    if may(&["ip", "nft", "gobgp", "gobgpd"]) {
        Space::new("flowspec").within(|| test(&mut FlowSpecLab::start()));
    }
}

/// 1. The kernel loses all; nobody at the speaker notices.
/// 2. The receiver, which reads the kernel now and then, sets it right.
#[test]
fn what_the_kernel_loses_the_receiver_sets_again() {
    with(|lab| {
        let mut bed = Bed::new(lab.open(100));
        for one in [flow(tuple(1, 1, 40_000)), host(tuple6(1, 1, 1)), net(tuple(2, 1, 1))] {
            bed.controller.want(entry(one, "a"), bed.now).unwrap();
        }
        bed.settle();
        bed.must_agree();
        run(&["nft", "delete", "table", "inet", "telesteer_hntes"]);
        until("the table", || in_kernel() == 3);
        bed.must_agree();
        assert_eq!(bed.controller.counters().asked, 3, "nobody asked for it again");
    });
}

/// 1. The router stops in order: its entries go, so packets follow IP routing, and the device says that
///    what is announced is not there.
/// 2. It comes again: all is told to it again.
#[test]
fn a_router_that_stops_leaves_nothing_and_learns_all_again() {
    with(|lab| {
        let mut bed = Bed::new(lab.open(100));
        bed.controller.want(entry(net(tuple(1, 1, 1)), "a"), bed.now).unwrap();
        bed.controller.want(entry(flow(tuple(1, 1, 7)), "b"), bed.now).unwrap();
        bed.settle();
        bed.must_agree();
        let counters = lab.router.take().unwrap().stop();
        assert_eq!((counters.sessions, counters.routes.announced), (1, 2));
        assert_eq!((in_kernel(), counters.failed), (0, 0));
        let back = bed.device.read_back(bed.controller.paths(), bed.now).unwrap();
        assert_eq!((back.rules.len(), back.amiss.total), (0, 2));
        lab.restart(100);
        until("the routes", || in_kernel() == 2);
        bed.settle();
        bed.must_agree();
    });
}

/// A route of ours that moves to another path replaces the one before: at no time is there none.
#[test]
fn a_route_that_moves_is_never_away() {
    with(|lab| {
        let mut bed = Bed::new(lab.open(100));
        let one = host(tuple(1, 1, 1));
        bed.controller.want(entry(one, "a"), bed.now).unwrap();
        bed.settle();
        bed.controller.want(entry(one, "b"), bed.now).unwrap();
        bed.settle();
        bed.must_agree();
        drop(bed);
        let counters = lab.router.take().unwrap().stop();
        assert_eq!((counters.routes.announced, counters.routes.withdrawn), (2, 0));
    });
}

/// Routes of others that the router follows, refuses or has no room for are told apart and left.
#[test]
fn routes_of_others_are_left() {
    with(|lab| {
        lab.restart(2);
        let add = "global rib add -a ipv4-flowspec match";
        // One that redirects as ours do, one to nowhere, one that nobody can follow.
        gobgp(&format!("{add} destination 10.9.1.0/24 source 10.9.2.0/24 then redirect 64512:101"));
        gobgp(&format!("{add} destination 10.9.1.0/24 source 10.9.3.0/24 then redirect 64512:999"));
        gobgp(&format!("{add} destination 10.9.1.0/24 port ==80 then redirect 64512:101"));
        let mut bed = Bed::new(lab.open(100));
        until("the first route", || in_kernel() == 1);
        bed.controller.want(entry(net(tuple(1, 1, 1)), "a"), bed.now).unwrap();
        bed.settle();
        bed.must_agree();
        assert_eq!(bed.controller.foreign().total, 4, "{:?}", bed.controller.foreign());
        // There is room for two; messages come in order, so it is refused before ours goes.
        gobgp(&format!("{add} destination 10.9.1.0/24 source 10.9.4.0/24 then redirect 64512:102"));
        bed.controller.swap(Vec::new(), bed.now).unwrap();
        bed.settle();
        assert_eq!(in_kernel(), 1, "theirs stays");
        let routes = lab.router.take().unwrap().stop().routes;
        assert_eq!((routes.unknown, routes.useless, routes.full), (1, 1, 1), "{routes:?}");
    });
}

/// Announced by somebody with our community but not as we do it: it is found amiss and withdrawn.
#[test]
fn what_says_it_is_ours_and_is_not_goes() {
    with(|lab| {
        let add =
            "global rib add -a ipv4-flowspec match destination 10.9.1.0/24 source 10.9.2.0/24";
        // GoBGP makes 65535 of an AS that is too long.
        gobgp(&format!("{add} then redirect 4200000000:101 community 64512:84"));
        let mut bed = Bed::new(lab.open(100));
        bed.controller.want(entry(net(tuple(1, 1, 1)), "a"), bed.now).unwrap();
        bed.settle();
        bed.must_agree();
        assert!(bed.controller.amiss().is_empty());
        assert_eq!(bed.controller.counters().amiss, 1);
        assert!(!gobgp("global rib -a ipv4-flowspec").contains("10.9.1.0/24"));
    });
}
