// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Steering by the BPF program, as operators do it today. Needs root for a BPF file system.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    collector::{Collector, Start, own_address, wait_for},
    messages::{ipfix, template},
};

/// A BPF file system of our own, gone with the value.
struct BpfFs(tempfile::TempDir);

impl BpfFs {
    /// `None`, with the reason on stderr, where it cannot be mounted.
    fn mount() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let output =
            Command::new("mount").args(["-t", "bpf", "bpf"]).arg(dir.path()).output().unwrap();
        if output.status.success() {
            return Some(Self(dir));
        }
        eprintln!("skipped: {}", String::from_utf8_lossy(&output.stderr).trim());
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn start(addr: Ipv4Addr, instance: u64, size: u32, pin: PathBuf) -> Collector {
    steered("bpf-modulo", addr, instance, size, pin)
}

fn steered(by: &str, addr: Ipv4Addr, instance: u64, size: u32, pin: PathBuf) -> Collector {
    let mut start = Start { addr, instance, ..Start::new(&["--steering", by]) };
    start.args.extend(["--bpf-pin".into(), pin.to_str().unwrap().into()]);
    start.args.extend(["--bpf-size".into(), size.to_string()]);
    start.run()
}

/// Connects from 127.1.0.`n`.
fn connect(from: u8, to: Ipv4Addr) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from(([127, 1, 0, from], 0)).into())?;
    socket.connect_timeout(&SocketAddr::from((to, 1790)).into(), Duration::from_secs(10))?;
    Ok(socket.into())
}

/// The exporters whose sessions a collector has accepted.
fn accepted(collector: &Collector) -> Vec<String> {
    let events = collector.lines("events");
    let mut all: Vec<String> = events
        .iter()
        .filter(|line| line["event"] == "accept")
        .map(|line| line["exporter"].as_str().unwrap().to_owned())
        .collect();
    all.sort();
    all.dedup();
    all
}

/// 1. Two collectors share the slots; 40 exporters, TCP and UDP, are spread over both, each with
///    both transports on one collector.
/// 2. One is killed: its exporters are refused, the others are not.
/// 3. It comes back into its slot and has the same exporters again.
#[test]
fn modulo_spreads_refuses_and_returns() {
    let Some(fs) = BpfFs::mount() else { return };
    let pin = fs.path().join("telesteer");
    let addr = own_address();
    let even = start(addr, 2, 2, pin.clone());
    let mut odd = start(addr, 1, 2, pin.clone());
    let mut open = Vec::new();
    for n in 1..=40 {
        open.push(connect(n, addr).unwrap());
        let exporter = UdpSocket::bind((Ipv4Addr::new(127, 1, 0, n), 0)).unwrap();
        exporter.send_to(&ipfix(1, 0, &[template(256)]), (addr, 4739)).unwrap();
    }
    let (to_even, to_odd) = wait_for("all are accepted", || {
        let both = (accepted(&even), accepted(&odd));
        (both.0.len() + both.1.len() == 40).then_some(both)
    });
    assert!(to_even.len() > 5 && to_odd.len() > 5, "{} and {}", to_even.len(), to_odd.len());
    for (collector, tcp) in [(&even, &to_even), (&odd, &to_odd)] {
        let journal = collector.wait_lines("journal", tcp.len());
        let mut udp: Vec<&str> =
            journal.iter().map(|line| line["exporter"].as_str().unwrap()).collect();
        udp.sort_unstable();
        assert_eq!(&udp, tcp);
    }

    odd.kill();
    for n in 1..=40 {
        let name = format!("127.1.0.{n}");
        let refused = connect(n, addr).is_err();
        assert_eq!(refused, to_odd.contains(&name), "{name}");
    }

    let odd = start(addr, 1, 2, pin.clone());
    for n in 1..=40 {
        open.push(connect(n, addr).unwrap());
    }
    wait_for("the old exporters are back", || (accepted(&odd) == to_odd).then_some(()));

    // Somebody who believes in another N is told.
    let said = assert_cmd::Command::new(env!("CARGO_BIN_EXE_telesteer"))
        .args(["collect", "--steering", "bpf-modulo", "--bpf-size", "3", "--listen"])
        .args([&addr.to_string(), "--out", fs.path().parent().unwrap().to_str().unwrap()])
        .args(["--bpf-pin", pin.to_str().unwrap(), "--state"])
        .arg(tempfile::tempdir().unwrap().path())
        .output()
        .unwrap();
    let said = String::from_utf8(said.stderr).unwrap();
    assert!(said.contains("was made for bpf-size 2, not 3"), "{said}");
}

/// 1. Two collectors draw for 40 exporters, TCP and UDP, each with both transports on one collector.
/// 2. One is killed: nobody is refused, the exporters of the other stay where they are.
/// 3. It comes back and has the same exporters again.
/// 4. The other drains: everything goes to the one that is left, and nobody is refused.
#[test]
fn rendezvous_refuses_nobody_and_moves_only_whom_it_must() {
    let Some(fs) = BpfFs::mount() else { return };
    let pin = fs.path().join("telesteer");
    let addr = own_address();
    let start = |instance| steered("bpf-rendezvous", addr, instance, 4, pin.clone());
    let (mut one, mut two) = (start(1), start(2));
    let mut open = Vec::new();
    for n in 1..=40 {
        open.push(connect(n, addr).unwrap());
        let exporter = UdpSocket::bind((Ipv4Addr::new(127, 1, 0, n), 0)).unwrap();
        exporter.send_to(&ipfix(1, 0, &[template(256)]), (addr, 4739)).unwrap();
    }
    let (to_one, to_two) = wait_for("all are accepted", || {
        let both = (accepted(&one), accepted(&two));
        (both.0.len() + both.1.len() == 40).then_some(both)
    });
    assert!(to_one.len() > 5 && to_two.len() > 5, "{} and {}", to_one.len(), to_two.len());
    for (collector, tcp) in [(&one, &to_one), (&two, &to_two)] {
        let journal = collector.wait_lines("journal", tcp.len());
        let mut udp: Vec<&str> =
            journal.iter().map(|line| line["exporter"].as_str().unwrap()).collect();
        udp.sort_unstable();
        assert_eq!(&udp, tcp);
    }

    two.kill();
    for n in 1..=40 {
        open.push(connect(n, addr).unwrap());
    }
    wait_for("all are with the one that is left", || (accepted(&one).len() == 40).then_some(()));

    let two = start(2);
    for n in 1..=40 {
        open.push(connect(n, addr).unwrap());
    }
    wait_for("the old exporters are back", || (accepted(&two) == to_two).then_some(()));

    assert_eq!(one.terminate(), Some(0));
    for n in 1..=40 {
        open.push(connect(n, addr).unwrap());
    }
    wait_for("all are with the other", || (accepted(&two).len() == 40).then_some(()));
}
