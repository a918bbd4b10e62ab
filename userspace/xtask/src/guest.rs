// SPDX-License-Identifier: Apache-2.0 OR MIT
//! One run of a guest: QEMU started in the toolbox, steps run by `vm/guest-init`, verdict taken.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};

use crate::accel::Accel;
use crate::cpio::Cpio;
use crate::kernel::{Flavour, Kernel};
use crate::module;
use crate::run::{Progress, create, say, shell_line, tail};
use crate::splat::{Splat, scan};
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// Where the toolbox sees its own root for sharing, without what is mounted on it.
const SHARED_ROOT: &str = "/telesteer/root";
/// Run folders that are kept for looking at.
const KEPT_RUNS: usize = 24;
/// A run that has not ended after this long never will.
const LONGEST_RUN: Duration = Duration::from_secs(12 * 3600);
/// What a boot and a power-off may take on a busy, emulating host.
const BOOT: Duration = Duration::from_secs(180);
/// More for the debug kernel: slower boot, leak scan at the end.
const BOOT_DEBUG: Duration = Duration::from_secs(480);

/// Something to run in the guest.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    /// Name for people.
    pub(crate) name: String,
    /// Folder to start in; the same path on host and guest.
    pub(crate) dir: PathBuf,
    /// The command.
    pub(crate) argv: Vec<String>,
    /// Seconds it may take.
    pub(crate) timeout: u64,
}

/// The guest's shape.
#[derive(Debug, Clone)]
pub(crate) struct Guest<'a> {
    /// Where everything is.
    pub(crate) workspace: &'a Workspace,
    /// QEMU and the guest's root.
    pub(crate) toolbox: &'a Toolbox,
    /// What it boots.
    pub(crate) kernel: &'a Kernel,
    /// How its instructions run.
    pub(crate) accel: Accel,
    /// Processors.
    pub(crate) cpus: usize,
    /// MiB of memory.
    pub(crate) memory: usize,
    /// Count instructions as nanoseconds: one CPU, deterministic.
    pub(crate) icount: bool,
    /// Copy the steps' output to our own as it comes.
    pub(crate) stream: bool,
    /// Words for the kernel command line.
    pub(crate) append: Vec<String>,
}

/// What came of a step.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// Exit status; none if the guest died first. 124 is a timeout.
    pub(crate) status: Option<i32>,
    /// Standard output.
    pub(crate) out: PathBuf,
    /// Standard error.
    pub(crate) err: PathBuf,
}

/// What came of a run.
#[derive(Debug)]
pub(crate) struct Report {
    /// One for each step.
    pub(crate) steps: Vec<Outcome>,
    /// What the kernel complained about, leaks included.
    pub(crate) splats: Vec<Splat>,
    /// The kernel log.
    pub(crate) console: PathBuf,
    /// Why the guest did not come to its end, if it did not.
    pub(crate) died: Option<String>,
    /// Whether the first step could start at all.
    pub(crate) booted: bool,
    /// Until the first step could start.
    pub(crate) boot: Duration,
    /// Whole run.
    pub(crate) took: Duration,
}

impl Guest<'_> {
    /// Memory that suits a kernel.
    pub(crate) fn default_memory(flavour: Flavour) -> usize {
        if flavour == Flavour::Debug { 4096 } else { 3072 }
    }

    /// Boots, runs the steps, powers off.
    pub(crate) fn run(&self, label: &str, steps: &[Step]) -> Result<Report> {
        let patience = if self.kernel.flavour == Flavour::Debug { BOOT_DEBUG } else { BOOT };
        self.run_within(label, steps, patience)
    }

    /// Like [`Guest::run`], giving up on the boot after `patience`.
    pub(crate) fn run_within(
        &self,
        label: &str,
        steps: &[Step],
        patience: Duration,
    ) -> Result<Report> {
        let folder = self.prepare(label, steps)?;
        let limit =
            patience + Duration::from_secs(steps.iter().map(|step| step.timeout + 15).sum());
        let start = Instant::now();
        let mut qemu = self.start(&folder)?;
        let waited = self.wait(&mut qemu, &folder, steps.len(), start, limit, patience);
        if waited.is_err() {
            qemu.kill().ok();
        }
        qemu.wait().context("waiting for QEMU")?;
        let (boot, died) = waited?;
        self.report(&folder, steps.len(), boot, start.elapsed(), died)
    }

    /// Fills the run folder: init, job, initramfs.
    fn prepare(&self, label: &str, steps: &[Step]) -> Result<PathBuf> {
        let home = self.workspace.target.join("vm");
        prune(&home);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let folder = home.join(format!("{now}-{label}"));
        fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
        let put = |name: &str, data: &[u8]| -> Result<()> {
            create(&folder.join(name))?.write_all(data).with_context(|| format!("writing {name}"))
        };
        let init = fs::read(self.workspace.vm("guest-init")).context("reading vm/guest-init")?;
        put("init", &init)?;
        put("job.sh", job(steps, self.kernel.flavour).as_bytes())?;
        if let Some(modules) = module::ensure(self.workspace, self.toolbox, self.kernel)? {
            put("modules", modules.to_string_lossy().as_bytes())?;
        }
        let busybox = self.toolbox.root.join("usr/bin/busybox");
        let busybox =
            fs::read(&busybox).with_context(|| format!("reading {}", busybox.display()))?;
        let mounts: String = self
            .shares(&folder)
            .iter()
            .map(|(tag, cache, path)| format!("{tag} {cache} {}\n", path.display()))
            .collect();
        let initramfs = Cpio::default()
            .dir("bin")
            .dir("dev")
            .file("bin/busybox", &busybox)
            .file("init", &init)
            .file("mounts", mounts.as_bytes())
            .file("run-folder", folder.to_string_lossy().as_bytes())
            .finish();
        put("initramfs", &initramfs)?;
        Ok(folder)
    }

    /// Host folders the guest sees at their own paths: (tag, cache mode, path), outer ones first.
    fn shares(&self, folder: &Path) -> Vec<(String, &'static str, PathBuf)> {
        let mut list = vec![("checkout".to_owned(), "mmap", self.workspace.root.clone())];
        if !self.workspace.target.starts_with(&self.workspace.root) {
            list.push(("target".to_owned(), "mmap", self.workspace.target.clone()));
        }
        list.push(("run".to_owned(), "none", folder.to_path_buf()));
        list
    }

    fn start(&self, folder: &Path) -> Result<Child> {
        let mut binds = Binds::new();
        binds.own_root(SHARED_ROOT);
        let mut words: Vec<String> = [
            "qemu-system-x86_64",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]
        .map(str::to_owned)
        .to_vec();
        let mut add = |list: &[&str]| words.extend(list.iter().map(|word| (*word).to_owned()));
        add(&["-machine", "q35,usb=off,vmport=off"]);
        match self.accel {
            Accel::Kvm => add(&["-accel", "kvm", "-cpu", "host"]),
            Accel::Tcg if self.icount => {
                add(&["-accel", "tcg,thread=single", "-cpu", "max", "-icount", "shift=0,sleep=off"])
            }
            Accel::Tcg => add(&["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"]),
        }
        let cpus = if self.icount { 1 } else { self.cpus.max(1) };
        add(&["-smp", &cpus.to_string(), "-m", &self.memory.to_string()]);
        add(&["-kernel", &self.kernel.image.to_string_lossy()]);
        add(&["-initrd", &folder.join("initramfs").to_string_lossy()]);
        let mut line = String::from(
            "console=ttyS0,115200 loglevel=7 printk.devkmsg=on panic=-1 no_timer_check random.trust_cpu=on rcupdate.rcu_cpu_stall_timeout=180 mitigations=off nokaslr",
        );
        for word in &self.append {
            line.push(' ');
            line.push_str(word);
        }
        add(&["-append", &line]);
        add(&[
            "-chardev",
            &format!("file,id=console,path={}", folder.join("console.log").display()),
        ]);
        add(&["-serial", "chardev:console", "-device", "virtio-rng-pci"]);
        let root = format!(
            "local,id=root,path={SHARED_ROOT},security_model=none,readonly=on,multidevs=remap"
        );
        add(&["-fsdev", &root, "-device", "virtio-9p-pci,fsdev=root,mount_tag=root"]);
        for (tag, _, path) in self.shares(folder) {
            let share = format!(
                "local,id={tag},path={},security_model=none,multidevs=remap",
                path.display()
            );
            add(&[
                "-fsdev",
                &share,
                "-device",
                &format!("virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
            ]);
        }
        fs::write(folder.join("qemu.txt"), shell_line(&words) + "\n")
            .context("writing qemu.txt")?;
        let log = create(&folder.join("qemu.log"))?;
        let err = log.try_clone().context("cloning qemu.log")?;
        let mut command = self.toolbox.command(&binds, Path::new("/"), words)?.into_inner();
        command.stdout(log).stderr(err).stdin(Stdio::null());
        command.spawn().context("starting QEMU in the toolbox")
    }

    /// Waits for QEMU's end, copying output meanwhile; kills it at the limit.
    fn wait(
        &self,
        qemu: &mut Child,
        folder: &Path,
        steps: usize,
        start: Instant,
        limit: Duration,
        patience: Duration,
    ) -> Result<(Duration, Option<String>)> {
        let mut boot = None;
        let mut progress = Progress::new("guest");
        let mut follow: Vec<(Follow, Follow)> = (0..steps)
            .map(|n| {
                (
                    Follow::new(folder.join(format!("{n}.out"))),
                    Follow::new(folder.join(format!("{n}.err"))),
                )
            })
            .collect();
        loop {
            let ended = qemu.try_wait().context("waiting for QEMU")?.is_some();
            if boot.is_none() && folder.join("booted").exists() {
                boot = Some(start.elapsed());
            }
            if self.stream {
                for (out, err) in &mut follow {
                    out.copy(&mut std::io::stdout().lock())?;
                    err.copy(&mut std::io::stderr().lock())?;
                }
            }
            if !self.stream {
                let done =
                    (0..steps).take_while(|n| folder.join(format!("{n}.status")).exists()).count();
                progress.tick(&format!("{done} of {steps} steps done"));
            }
            let boot_time = boot.unwrap_or_else(|| start.elapsed());
            if ended {
                let died = (!folder.join("ended").exists()).then(|| {
                    if boot.is_some() {
                        "the guest stopped before its steps were done".to_owned()
                    } else {
                        format!(
                            "the guest did not boot; QEMU says: {}",
                            tail(&folder.join("qemu.log"), 5)
                        )
                    }
                });
                return Ok((boot_time, died));
            }
            let late =
                if boot.is_none() { start.elapsed() > patience } else { start.elapsed() > limit };
            if late {
                qemu.kill().context("killing QEMU")?;
                let what = if boot.is_none() { "boot" } else { "finish" };
                return Ok((
                    boot_time,
                    Some(format!(
                        "the guest did not {what} within {} s",
                        start.elapsed().as_secs()
                    )),
                ));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn report(
        &self,
        folder: &Path,
        steps: usize,
        boot: Duration,
        took: Duration,
        died: Option<String>,
    ) -> Result<Report> {
        let console = folder.join("console.log");
        // QEMU may have died before it opened the console.
        let log = fs::read(&console).unwrap_or_default();
        let mut splats = scan(&String::from_utf8_lossy(&log));
        let leaks = fs::read_to_string(folder.join("kmemleak")).unwrap_or_default();
        if !leaks.trim().is_empty() {
            splats.push(Splat { step: None, text: format!("kmemleak:\n{}", leaks.trim_end()) });
        }
        let steps = (0..steps)
            .map(|n| Outcome {
                status: fs::read_to_string(folder.join(format!("{n}.status")))
                    .ok()
                    .and_then(|text| text.trim().parse().ok()),
                out: folder.join(format!("{n}.out")),
                err: folder.join(format!("{n}.err")),
            })
            .collect();
        Ok(Report {
            steps,
            splats,
            console,
            died,
            booted: folder.join("booted").exists(),
            boot,
            took,
        })
    }
}

impl Report {
    /// Prints splats and a death, if any; true if there was nothing to print.
    pub(crate) fn clean(&self) -> bool {
        for splat in &self.splats {
            eprintln!("{}", splat.text);
        }
        if let Some(died) = &self.died {
            say(format!("{died}; end of the kernel log:\n{}", tail(&self.console, 15)));
        }
        if !self.splats.is_empty() {
            say(format!(
                "{} kernel complaint(s), whole log: {}",
                self.splats.len(),
                self.console.display()
            ));
        }
        self.splats.is_empty() && self.died.is_none()
    }
}

/// The shell text the guest's init reads.
fn job(steps: &[Step], flavour: Flavour) -> String {
    let mut text = format!("export TELESTEER_VM={}\n", flavour.name());
    // Tells a test that it must not skip what the series brings.
    if flavour != Flavour::Unpatched {
        text += "export TELESTEER_GUEST=1\n";
    }
    // Tells a test that a smaller number of things will do: what counts here are the detectors.
    if flavour == Flavour::Debug {
        text += "export TELESTEER_SLOW=1\n";
    }
    for (name, value) in std::env::vars() {
        if name == "RUST_BACKTRACE"
            || name == "RUST_LOG"
            || name.starts_with("TELESTEER_") && name != "TELESTEER_VM" && name != "TELESTEER_GUEST"
        {
            text += &format!("export {}\n", shell_line([format!("{name}={value}")]));
        }
    }
    for (number, step) in steps.iter().enumerate() {
        let dir = step.dir.to_string_lossy();
        text += &format!(
            "# {}\nstep {number} {} {} {}\n",
            step.name.replace('\n', " "),
            shell_line([dir.as_ref()]),
            step.timeout,
            shell_line(&step.argv)
        );
    }
    text
}

/// Copies what a file has grown by.
struct Follow {
    path: PathBuf,
    file: Option<File>,
}

impl Follow {
    fn new(path: PathBuf) -> Self {
        Follow { path, file: None }
    }

    fn copy(&mut self, to: &mut impl Write) -> Result<()> {
        if self.file.is_none() {
            self.file = File::open(&self.path).ok();
        }
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut buffer = [0; 65536];
        loop {
            let n = file
                .read(&mut buffer)
                .with_context(|| format!("reading {}", self.path.display()))?;
            if n == 0 {
                return to.flush().context("writing the guest's output");
            }
            to.write_all(&buffer[..n]).context("writing the guest's output")?;
        }
    }
}

/// Removes the oldest run folders, but none that may still be running. Their names start with the
/// time in milliseconds, so they sort by age.
fn prune(home: &Path) {
    let Ok(dir) = fs::read_dir(home) else { return };
    let mut runs: Vec<PathBuf> =
        dir.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    runs.sort();
    let surplus = runs.len().saturating_sub(KEPT_RUNS);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for run in &runs[..surplus] {
        let name = run.file_name().unwrap_or_default().to_string_lossy();
        let started = name.split('-').next().and_then(|time| time.parse().ok()).unwrap_or(0);
        let age = now.saturating_sub(Duration::from_millis(started));
        if run.join("ended").exists() || age > LONGEST_RUN {
            fs::remove_dir_all(run).ok();
        }
    }
}

/// Fails if a path cannot be written into the guest's plain-text mount table.
pub(crate) fn check_paths(workspace: &Workspace) -> Result<()> {
    for path in [&workspace.root, &workspace.target] {
        if path.to_string_lossy().contains([' ', ',', '\n', '\\', ':']) {
            bail!(
                "{}: QEMU cannot share a folder with a blank, comma, colon or backslash in its path",
                path.display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_quotes_its_steps() {
        let step = Step {
            name: "x".into(),
            dir: "/a".into(),
            argv: vec!["sh".into(), "-c".into(), "exit 3".into()],
            timeout: 9,
        };
        assert!(job(std::slice::from_ref(&step), Flavour::Debug).contains("TELESTEER_SLOW=1\n"));
        let text = job(&[step], Flavour::Plain);
        assert!(!text.contains("TELESTEER_SLOW"));
        assert!(text.starts_with("export TELESTEER_VM=plain\n"));
        assert!(text.ends_with("step 0 /a 9 sh -c 'exit 3'\n"));
    }

    #[test]
    fn only_the_newest_runs_and_those_that_may_run_are_kept() {
        let home = std::env::temp_dir().join(format!("xtask-prune-{}", std::process::id()));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let run = |n: usize| home.join(format!("{}-x", now + n as u128));
        for n in 0..KEPT_RUNS + 3 {
            fs::create_dir_all(run(n)).unwrap();
        }
        fs::write(run(1).join("ended"), "").unwrap();
        let old = home.join("1000-x");
        fs::create_dir_all(&old).unwrap();
        prune(&home);
        assert!(run(0).exists(), "may still be running");
        assert!(!run(1).exists(), "ended");
        assert!(!old.exists(), "too old to be running");
        assert!(run(3).exists());
        fs::remove_dir_all(&home).unwrap();
    }
}
