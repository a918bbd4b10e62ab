// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Starts collectors and waits for what they do.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// Longest wait for a condition; only a broken program needs it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// A loopback address nobody else uses.
pub(crate) fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU16 = AtomicU16::new(1);
    let [high, low] = NEXT.fetch_add(1, Relaxed).to_be_bytes();
    let pid = std::process::id();
    Ipv4Addr::new(127, 64 + (pid % 128) as u8, (pid / 128 % 256) as u8 ^ high, low)
}

/// Waits until `done` gives something.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = done() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "never happened: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What each thread of a process waits for, for whoever reads a failure.
fn threads(pid: u32) -> String {
    let mut text = String::new();
    for task in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        for file in ["comm", "wchan", "syscall", "stack"] {
            let found = fs::read_to_string(task.path().join(file)).unwrap_or_default();
            text += &format!("{file}: {}\n", found.trim_end());
        }
    }
    text
}

/// A running collector.
pub(crate) struct Collector {
    pub(crate) child: Child,
    pub(crate) addr: Ipv4Addr,
    pub(crate) out: PathBuf,
    stderr: Arc<Mutex<String>>,
    metrics: SocketAddr,
    _dir: Option<tempfile::TempDir>,
}

/// How to start one.
pub(crate) struct Start {
    pub(crate) addr: Ipv4Addr,
    pub(crate) instance: u64,
    pub(crate) state: Option<PathBuf>,
    pub(crate) args: Vec<String>,
    /// A command that runs the collector, to change its limits.
    pub(crate) wrapper: Vec<String>,
}

impl Start {
    pub(crate) fn new(args: &[&str]) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self { addr: own_address(), instance: 1, state: None, args, wrapper: Vec::new() }
    }

    pub(crate) fn run(self) -> Collector {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let binary = env!("CARGO_BIN_EXE_telesteer");
        let mut words = self.wrapper.clone();
        words.push(binary.to_owned());
        let metrics = SocketAddr::from((self.addr, 9900 + self.instance as u16));
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .args(["collect", "--listen", &self.addr.to_string()])
            .args(["--instance", &self.instance.to_string()])
            .args(["--metrics", &metrics.to_string(), "--journal"])
            .arg("--out")
            .arg(&out)
            .args(&self.args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        if let Some(state) = &self.state {
            command.arg("--state").arg(state);
        }
        let mut child = command.spawn().unwrap();
        let pipe = BufReader::new(child.stderr.take().unwrap());
        let stderr = Arc::new(Mutex::new(String::new()));
        let said = Arc::clone(&stderr);
        thread::spawn(move || {
            for line in pipe.lines().map_while(Result::ok) {
                let mut said = said.lock().unwrap();
                said.push_str(&line);
                said.push('\n');
            }
        });
        let mut started =
            Collector { child, addr: self.addr, out, stderr, metrics, _dir: Some(dir) };
        let begun = Instant::now();
        loop {
            let said = started.stderr();
            if let Some(status) = started.child.try_wait().unwrap() {
                panic!("ended with {status}: {said}");
            }
            if said.contains("telesteer: ready instance=") {
                return started;
            }
            let where_it_is = || threads(started.child.id());
            assert!(begun.elapsed() < PATIENCE, "never ready: {said}\n{}", where_it_is());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Collector {
    pub(crate) fn start(args: &[&str]) -> Self {
        Start::new(args).run()
    }

    pub(crate) fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((self.addr, 1790)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// An exporter that sends to `port`.
    pub(crate) fn exporter(&self, port: u16) -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.connect((self.addr, port)).unwrap();
        socket
    }

    /// The whole lines of one kind of output.
    pub(crate) fn lines(&self, kind: &str) -> Vec<Value> {
        lines(&self.out, kind)
    }

    /// Waits until there are `count` lines of one kind.
    pub(crate) fn wait_lines(&self, kind: &str, count: usize) -> Vec<Value> {
        wait_for(&format!("{count} {kind} lines; {}", self.stderr()), || {
            let lines = self.lines(kind);
            (lines.len() >= count).then_some(lines)
        })
    }

    /// A resource of the metrics server.
    pub(crate) fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let (head, body) = reply.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        body.to_owned()
    }

    /// A counter or a gauge of `/status`.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let status: Value = serde_json::from_str(&self.get("/status")).unwrap();
        status["counters"][name]
            .as_u64()
            .or_else(|| status["gauges"][name].as_u64())
            .unwrap_or_else(|| panic!("no counter {name}"))
    }

    pub(crate) fn wait_counter(&self, name: &str, least: u64) {
        wait_for(&format!("{name} reaches {least}"), || {
            (self.counter(name) >= least).then_some(())
        });
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM; gives the exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        wait_for("the end after SIGTERM", || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole lines of one kind of output in a folder; a torn last one is left out.
pub(crate) fn lines(out: &Path, kind: &str) -> Vec<Value> {
    let mut all = Vec::new();
    for file in fs::read_dir(out).into_iter().flatten() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with(&format!("{kind}-")) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        all.extend(whole.lines().map(|line| {
            serde_json::from_str::<Value>(line).unwrap_or_else(|e| panic!("{e} in {line}"))
        }));
    }
    all
}
