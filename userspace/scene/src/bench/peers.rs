// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The receivers: how each is started, when it is ready, and what it wrote down.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{cpu, flows};
use crate::storm::load;

/// Port of the BMP receivers.
pub(crate) const BMP_PORT: u16 = 1790;
/// Receive buffer asked for by every receiver; what Linux grants without privileges may be less.
const BUFFER: &str = "4194304";

/// Which program a receiver is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Telesteer,
    Nfcapd,
    Nfacctd,
    Pmbmpd,
}

/// A program to be measured.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    /// Its name in the table.
    pub(crate) name: &'static str,
    kind: Kind,
    program: PathBuf,
    bmp: bool,
}

/// Receivers of flows, ours first.
pub(crate) fn flow_receivers(telesteer: &Path) -> Vec<Receiver> {
    let peer = |name: &'static str, kind| Receiver { name, kind, program: name.into(), bmp: false };
    let ours = Receiver {
        name: "telesteer",
        kind: Kind::Telesteer,
        program: telesteer.to_path_buf(),
        bmp: false,
    };
    vec![ours, peer("nfcapd", Kind::Nfcapd), peer("nfacctd", Kind::Nfacctd)]
}

/// Receivers of BMP, ours first.
pub(crate) fn bmp_receivers(telesteer: &Path) -> Vec<Receiver> {
    let ours = Receiver {
        name: "telesteer",
        kind: Kind::Telesteer,
        program: telesteer.to_path_buf(),
        bmp: true,
    };
    vec![ours, Receiver { name: "pmbmpd", kind: Kind::Pmbmpd, program: "pmbmpd".into(), bmp: true }]
}

/// A receiver at work.
#[derive(Debug)]
pub(crate) struct Running {
    /// What it is.
    pub(crate) receiver: Receiver,
    child: Child,
    dir: PathBuf,
}

impl Receiver {
    /// Whether its program can be found.
    pub(crate) fn is_installed(&self) -> bool {
        if self.program.components().count() > 1 {
            return self.program.is_file();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(&self.program).is_file())
    }

    /// Starts it with its output in `dir`; returns when its port is open.
    pub(crate) fn start(&self, dir: &Path, most: Duration) -> Result<Running> {
        let mut command = self.command(dir)?;
        let log = dir.join("receiver.log");
        let talk = File::create(&log).with_context(|| log.display().to_string())?;
        let says = talk.try_clone().context("log")?;
        command.stdin(Stdio::null()).stdout(says).stderr(talk);
        let child = command.spawn().with_context(|| self.name.to_string())?;
        let mut running = Running { receiver: self.clone(), child, dir: dir.to_path_buf() };
        let deadline = Instant::now() + most;
        while !self.is_open()? {
            let ended = running.child.try_wait().context("waitpid")?;
            if ended.is_some() || Instant::now() >= deadline {
                let said = std::fs::read_to_string(&log).unwrap_or_default();
                bail!("{} does not open its port: {}", self.name, said.trim());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    fn is_open(&self) -> Result<bool> {
        let (file, port) =
            if self.bmp { ("/proc/net/tcp", BMP_PORT) } else { ("/proc/net/udp", flows::PORT) };
        let text = std::fs::read_to_string(file).context(file)?;
        let suffix = format!(":{port:04X}");
        let own = |line: &str| line.split_whitespace().nth(1).is_some_and(|a| a.ends_with(&suffix));
        Ok(text.lines().any(own))
    }

    fn command(&self, dir: &Path) -> Result<Command> {
        let mut command = Command::new(&self.program);
        let flow_port = flows::PORT.to_string();
        match self.kind {
            Kind::Telesteer => {
                let (bmp, ipfix) = if self.bmp { ("1790", "0") } else { ("0", &flow_port[..]) };
                command.args(["collect", "--listen", "127.0.0.1", "--takeover", "off"]);
                command.args(["--steering", "none", "--bmp-port", bmp, "--ipfix-port", ipfix]);
                command.args(["--netflow-port", "0", "--notif-port", "0", "--rcvbuf", BUFFER]);
                command.arg("--out").arg(dir.join("out"));
                let out = dir.join("out");
                std::fs::create_dir_all(&out).with_context(|| out.display().to_string())?;
            }
            Kind::Nfcapd => {
                let files = dir.join("nfcapd");
                std::fs::create_dir_all(&files).with_context(|| files.display().to_string())?;
                command.args(["-b", "127.0.0.1", "-p", &flow_port, "-B", BUFFER]);
                command.arg("-w").arg(files);
            }
            Kind::Nfacctd => {
                let text = format!(
                    "daemonize: false\nnfacctd_ip: 127.0.0.1\nnfacctd_port: {flow_port}\n\
                     nfacctd_pipe_size: {BUFFER}\nplugins: print\nplugin_pipe_size: 67108864\n\
                     plugin_buffer_size: 65536\nprint_refresh_time: 3\nprint_output: csv\n\
                     print_output_file: {}/print.csv\nprint_output_file_append: true\n\
                     aggregate: src_host, dst_host, src_port, dst_port, proto, tos, in_iface, \
                     out_iface, src_as, dst_as\nnfacctd_as: netflow\n",
                    dir.display()
                );
                command.arg("-f").arg(settings(dir, &text)?);
            }
            Kind::Pmbmpd => {
                let text = format!(
                    "daemonize: false\nbmp_daemon_ip: 127.0.0.1\nbmp_daemon_port: {BMP_PORT}\n\
                     bmp_daemon_max_peers: 64\nbmp_daemon_msglog_file: {}/bmp.json\n\
                     bmp_daemon_msglog_output: json\n",
                    dir.display()
                );
                command.arg("-f").arg(settings(dir, &text)?);
            }
        }
        Ok(command)
    }
}

fn settings(dir: &Path, text: &str) -> Result<PathBuf> {
    let path = dir.join("receiver.conf");
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    Ok(path)
}

impl Running {
    /// CPU time used so far, children included.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu::of_tree(self.child.id())
    }

    /// Waits until nothing waits in its sockets and it has come to rest.
    pub(crate) fn rest(&self, most: Duration) -> Result<()> {
        let deadline = Instant::now() + most;
        let mut before = self.cpu()?;
        while Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(300));
            let (now, waiting) = (
                self.cpu()?,
                if self.receiver.bmp {
                    cpu::tcp_waiting(BMP_PORT)?
                } else {
                    cpu::udp_waiting(flows::PORT)?
                },
            );
            if waiting == 0 && now.saturating_sub(before) <= Duration::from_millis(20) {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// Ends it in its own way, so that everything is written.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let signal = match self.receiver.kind {
            Kind::Telesteer | Kind::Nfcapd => Signal::TERM,
            Kind::Nfacctd | Kind::Pmbmpd => Signal::INT,
        };
        if let Some(pid) = Pid::from_raw(self.child.id() as i32) {
            let _ = kill_process(pid, signal);
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().context("waitpid")?.is_none() {
            if Instant::now() >= deadline {
                self.child.kill().context("kill")?;
                bail!("{} does not end", self.receiver.name);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The last lines of what it said.
    pub(crate) fn talk(&self) -> String {
        let text = std::fs::read_to_string(self.dir.join("receiver.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// What it wrote down, after it was stopped: flow records; BMP messages (telesteer) or routes
    /// (pmbmpd, which writes one line for each route).
    pub(crate) fn counted(&self) -> Result<u64> {
        let out = self.dir.join("out");
        match self.receiver.kind {
            Kind::Telesteer if self.receiver.bmp => lines(&out, "bmp-", b"\"type\":\"bmp\""),
            Kind::Telesteer => lines(&out, "flow-", b"\"type\":\"flow\""),
            Kind::Nfcapd => nfdump(&self.dir.join("nfcapd")),
            // The last plugin process may still be writing its last lines.
            Kind::Nfacctd => settled(|| packets(&self.dir.join("print.csv"))),
            Kind::Pmbmpd => lines(&self.dir, "bmp.json", b"\"ip_prefix\""),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Messages or routes a receiver should have written for a stream's group.
pub(crate) fn expected(receiver: &Receiver, group: &load::Count) -> u64 {
    if receiver.kind == Kind::Pmbmpd { group.routes } else { group.messages }
}

/// Lines that hold `what` in the files of `folder` whose names start with `prefix`.
fn lines(folder: &Path, prefix: &str, what: &[u8]) -> Result<u64> {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())?.flatten()
    {
        if !entry.file_name().to_string_lossy().starts_with(prefix) {
            continue;
        }
        let path = entry.path();
        let mut input = BufReader::new(File::open(&path).context("open")?);
        let mut line = Vec::new();
        while input.read_until(b'\n', &mut line).with_context(|| path.display().to_string())? > 0 {
            count += u64::from(line.windows(what.len()).any(|window| window == what));
            line.clear();
        }
    }
    Ok(count)
}

/// Flows in nfcapd's files, as nfdump counts them.
fn nfdump(folder: &Path) -> Result<u64> {
    let output =
        Command::new("nfdump").arg("-I").arg("-R").arg(folder).output().context("nfdump")?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("Flows:"));
    let line = line.with_context(|| format!("nfdump says no number of flows: {text}"))?;
    line.trim().parse().context("nfdump's number of flows")
}

/// Sum of the PACKETS column of nfacctd's lines; every record sent carries one packet.
fn packets(path: &Path) -> Result<u64> {
    let (mut column, mut sum) = (None, 0);
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    for line in text.lines() {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        if let Some(at) = fields.iter().position(|field| *field == "PACKETS") {
            column = Some(at);
        } else if let Some(at) = column {
            sum += fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Asks until the answer stays the same for three seconds.
fn settled(mut ask: impl FnMut() -> Result<u64>) -> Result<u64> {
    let (mut last, mut same) = (ask().unwrap_or(0), 0);
    for _ in 0..60 {
        std::thread::sleep(Duration::from_millis(500));
        let now = ask().unwrap_or(0);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == 6 {
            break;
        }
    }
    Ok(last)
}
