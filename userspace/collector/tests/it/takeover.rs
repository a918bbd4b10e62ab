// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Two collectors, one killed: the sibling inherits the sessions. Needs the patched kernel; on a
//! stock one the test says so and has nothing to do.

use std::{
    collections::HashMap,
    io::Write,
    net::{IpAddr, Ipv4Addr, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use crate::{
    collector::{Collector, Start, own_address, wait_for},
    messages::{initiation, peer_up, route},
};

const SESSIONS: usize = 24;
/// Between two messages of a router: what is sent must also be read, on an emulated debug kernel too.
const PACE: Duration = Duration::from_millis(20);

/// The address of a router.
fn source(n: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, 0, n as u8 + 1)
}

fn kernel_can() -> bool {
    let can = telesteer_sys::features::probe().unwrap().takeover;
    if !can {
        eprintln!("skipped: this kernel lacks TCP_TAKEOVER");
    }
    // In our own guest a skip would hide that the series is not there.
    assert!(can || std::env::var_os("TELESTEER_GUEST").is_none(), "the guest lacks TCP_TAKEOVER");
    can
}

/// A router: sends whole messages cut at odd places until told to stop, and says how many.
fn router(
    mut stream: TcpStream,
    name: usize,
    stop: Arc<AtomicBool>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut sent = [initiation(&format!("r{name}")), peer_up(1)].concat();
        stream.write_all(&sent).unwrap();
        let mut n = 0_u16;
        while !stop.load(Relaxed) {
            let message = route(1, n);
            // Cut inside the message, so that some session is always in the middle of one.
            let at = usize::from(n) % message.len();
            stream.write_all(&message[..at]).unwrap();
            thread::yield_now();
            stream.write_all(&message[at..]).unwrap();
            sent.extend_from_slice(&message);
            n = n.wrapping_add(1);
            thread::sleep(PACE);
        }
        sent
    })
}

/// The stream put together from `raw` of the merged outputs, by router.
fn merged(collectors: &[&Collector]) -> (HashMap<IpAddr, Vec<u8>>, String) {
    let files: Vec<PathBuf> = collectors
        .iter()
        .flat_map(|collector| std::fs::read_dir(&collector.out).unwrap())
        .map(|file| file.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("bmp-"))
        .collect();
    let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_telesteer"))
        .arg("dedup")
        .args(&files)
        .output()
        .unwrap();
    let report = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    let mut streams = HashMap::<IpAddr, Vec<u8>>::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line.get("error"), None, "{line}");
        let hex = line["raw"].as_str().unwrap();
        let bytes =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
        let source = line["exporter"].as_str().unwrap().parse().unwrap();
        streams.entry(source).or_default().extend(bytes);
    }
    (streams, report)
}

/// 1. Two collectors with one store; routers send all the time, cut inside messages.
/// 2. One ends, by SIGKILL or by a drain. No router sees an error.
/// 3. After the routers stop, the merged outputs are the streams they sent, byte by byte, and
///    everything was decoded with the context of the predecessor.
fn sessions_move(end: impl Fn(&mut Collector)) {
    if !kernel_can() {
        return;
    }
    let store = tempfile::tempdir().unwrap();
    let addr = own_address();
    let start = |instance| {
        let state = Some(store.path().to_owned());
        Start { addr, instance, state, ..Start::new(&["--raw"]) }.run()
    };
    let (mut first, second) = (start(1), start(2));
    let stop = Arc::new(AtomicBool::new(false));
    // All from one port, as chance may have it: a router is known by its address.
    let port = TcpListener::bind((source(0), 0)).unwrap().local_addr().unwrap().port();
    let routers: Vec<_> = (0..SESSIONS)
        .map(|n| {
            let source = source(n);
            let socket =
                socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
            socket.bind(&std::net::SocketAddr::from((source, port)).into()).unwrap();
            socket.connect(&std::net::SocketAddr::from((addr, 1790)).into()).unwrap();
            let stream = TcpStream::from(socket);
            stream.set_nodelay(true).unwrap();
            (IpAddr::from(source), router(stream, n, Arc::clone(&stop)))
        })
        .collect();
    wait_for("all sessions are accepted and busy", || {
        let accepted = first.counter("sessions_accepted") + second.counter("sessions_accepted");
        let messages = first.counter("bmp_messages").min(second.counter("bmp_messages"));
        (accepted == SESSIONS as u64 && messages > 200).then_some(())
    });
    let moving = first.counter("sessions_open");
    assert!(moving > 0, "the policy gave everything to one");
    end(&mut first);
    second.wait_counter("sessions_inherited", moving);
    let before = second.counter("bmp_messages");
    second.wait_counter("bmp_messages", before + 200);
    stop.store(true, Relaxed);
    let sent: Vec<(IpAddr, Vec<u8>)> =
        routers.into_iter().map(|(source, router)| (source, router.join().unwrap())).collect();
    let total: usize = sent.iter().map(|(_, bytes)| bytes.len()).sum();
    wait_for("everything is in the outputs", || {
        let (streams, _) = merged(&[&first, &second]);
        (streams.values().map(Vec::len).sum::<usize>() >= total).then_some(())
    });
    let (streams, report) = merged(&[&first, &second]);
    for (source, bytes) in sent {
        assert!(streams[&source] == bytes, "the stream from {source} differs; {report}");
    }
    assert_eq!(second.counter("sessions_without_checkpoint"), 0);
    let heirs = second.lines("events").into_iter().filter(|line| line["event"] == "heir");
    assert_eq!(heirs.count() as u64, moving);
}

#[test]
fn a_killed_collector_loses_no_byte() {
    sessions_move(Collector::kill);
}

#[test]
fn a_drained_collector_loses_no_byte() {
    sessions_move(|collector| assert_eq!(collector.terminate(), Some(0)));
}
