// SPDX-License-Identifier: Apache-2.0 OR MIT
//! What the guests run under `xtask test`: kernel selftests, and the scripts in `vm/tests/`.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::guest::Step;
use crate::kernel::{Flavour, Kernel, OUT, SRC};
use crate::ktap::{self, Tally};
use crate::run::{say, step};
use crate::source::version;
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// Seconds a test may take on the plain kernel unless its header says otherwise.
const TIMEOUT: u64 = 120;
/// Seconds for a crate's integration tests.
const RUST_TIMEOUT: u64 = 600;
/// How much slower the debug kernel may be.
const DEBUG_FACTOR: u64 = 4;
/// Processors unless the header says otherwise.
const CPUS: usize = 2;

/// What tests must have in common to share a guest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Boot {
    /// Processors.
    pub(crate) cpus: usize,
    /// Words for the kernel command line.
    pub(crate) append: Vec<String>,
}

impl Default for Boot {
    fn default() -> Self {
        Boot { cpus: CPUS, append: Vec::new() }
    }
}

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cpus", self.cpus)?;
        self.append.iter().try_for_each(|word| write!(f, ", {word}"))
    }
}

/// One program for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    /// File name without suffix.
    pub(crate) name: String,
    /// Kernels it runs on.
    pub(crate) kernels: Vec<Flavour>,
    /// Seconds it may take on the plain kernel.
    pub(crate) timeout: u64,
    /// The guest it needs.
    pub(crate) boot: Boot,
    /// Its output must be the same on all its kernels.
    pub(crate) same_output: bool,
    /// The program.
    pub(crate) program: PathBuf,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Where it starts; the checkout if none.
    pub(crate) dir: Option<PathBuf>,
}

impl Test {
    /// The step that runs it on `flavour`.
    pub(crate) fn step(&self, workspace: &Workspace, flavour: Flavour) -> Step {
        let factor = if flavour == Flavour::Debug { DEBUG_FACTOR } else { 1 };
        Step {
            name: self.name.clone(),
            dir: self.dir.clone().unwrap_or_else(|| workspace.root.clone()),
            argv: std::iter::once(self.program.to_string_lossy().into_owned())
                .chain(self.arguments.iter().cloned())
                .collect(),
            timeout: self.timeout * factor,
        }
    }
}

/// Reads the executable scripts of `vm/tests/`.
///
/// Their leading comment lines may hold `# kernels: plain debug unpatched`, `# timeout: SECONDS`,
/// `# cpus: N`, `# append: WORDS` for the kernel command line, and `# same-output: yes`.
pub(crate) fn scripts(workspace: &Workspace) -> Result<Vec<Test>> {
    let dir = workspace.vm("tests");
    let mut tests = Vec::new();
    for path in files(&dir)? {
        let executable =
            fs::metadata(&path).is_ok_and(|data| data.permissions().mode() & 0o111 != 0);
        if !executable {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        tests.push(header(&path, &text)?);
    }
    Ok(tests)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    if !dir.exists() {
        return Ok(Vec::new());
    }
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .with_context(|| format!("reading {}", dir.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    Ok(files)
}

fn header(path: &Path, text: &str) -> Result<Test> {
    let mut test = Test {
        name: stem(path),
        kernels: vec![Flavour::Plain, Flavour::Debug],
        timeout: TIMEOUT,
        boot: Boot::default(),
        same_output: false,
        program: path.to_path_buf(),
        arguments: Vec::new(),
        dir: None,
    };
    for line in text.lines().take_while(|line| line.starts_with('#')) {
        let Some((key, value)) = line.trim_start_matches('#').split_once(':') else { continue };
        let number = || {
            value
                .trim()
                .parse::<u64>()
                .with_context(|| format!("{}: {}: not a number", path.display(), line))
        };
        match key.trim() {
            "kernels" => {
                test.kernels = value
                    .split_whitespace()
                    .map(Flavour::parse)
                    .collect::<Result<_>>()
                    .with_context(|| path.display().to_string())?;
            }
            "timeout" => test.timeout = number()?,
            "cpus" => test.boot.cpus = usize::try_from(number()?).context("too many processors")?,
            "append" => test.boot.append = value.split_whitespace().map(str::to_owned).collect(),
            "same-output" => test.same_output = value.trim() == "yes",
            _ => {}
        }
    }
    if test.kernels.is_empty() || test.boot.cpus == 0 || test.timeout == 0 {
        bail!("{}: a test needs a kernel, a processor and a second", path.display());
    }
    Ok(test)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// Builds `selftests/` with its own Makefile, statically, against the patched kernel's headers.
///
/// Its `TEST_GEN_PROGS` are the tests, its `settings` file holds their time limit.
pub(crate) fn selftests(
    workspace: &Workspace,
    toolbox: &Toolbox,
    kernel: &Kernel,
) -> Result<Vec<Test>> {
    let home = workspace.root.join("selftests");
    let makefile = home.join("Makefile");
    let text =
        fs::read_to_string(&makefile).with_context(|| format!("reading {}", makefile.display()))?;
    let out = workspace.target.join("selftests");
    fs::create_dir_all(&out).with_context(|| format!("making {}", out.display()))?;
    headers(workspace, toolbox, kernel)?;
    let mut binds = Binds::new();
    binds.bind(&kernel.tree, SRC);
    binds.bind(&kernel.out, OUT);
    let argv = [
        "make".to_owned(),
        "-C".to_owned(),
        home.to_string_lossy().into_owned(),
        format!("KSRC={SRC}"),
        format!("KHDR={OUT}/usr/include"),
        format!("OUTPUT={}", out.display()),
        "LDFLAGS=-static".to_owned(),
        "CC=gcc -Werror".to_owned(),
    ];
    let log = workspace.logs().join("selftests.log");
    toolbox.command(&binds, Path::new("/"), argv)?.logged(&log, "selftests", |_, _| {})?;
    let settings = fs::read_to_string(home.join("settings")).unwrap_or_default();
    let timeout = settings
        .lines()
        .find_map(|line| line.strip_prefix("timeout=")?.trim().parse().ok())
        .unwrap_or(TIMEOUT);
    Ok(programs(&text)
        .into_iter()
        .map(|name| Test {
            kernels: vec![Flavour::Plain, Flavour::Debug],
            timeout,
            boot: Boot::default(),
            same_output: false,
            program: out.join(&name),
            arguments: Vec::new(),
            dir: None,
            name,
        })
        .collect())
}

/// The words of `TEST_GEN_PROGS` in a Makefile, continuation lines included.
fn programs(makefile: &str) -> Vec<String> {
    makefile
        .replace("\\\n", " ")
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("TEST_GEN_PROGS"))
        .filter_map(|rest| rest.trim_start().trim_start_matches([':', '+']).strip_prefix('='))
        .flat_map(str::split_whitespace)
        .map(str::to_owned)
        .collect()
}

/// The kernel's user headers, in its build folder.
pub(crate) fn headers(workspace: &Workspace, toolbox: &Toolbox, kernel: &Kernel) -> Result<()> {
    let log = workspace.logs().join("kernel-headers.log");
    kernel.make(toolbox, &["headers".to_owned()])?.logged(&log, "kernel headers", |_, _| {})
}

/// An integration test of one of our crates, built on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RustTest {
    /// `crate folder/target`.
    pub(crate) name: String,
    /// The program.
    pub(crate) program: PathBuf,
    /// Where cargo would start it.
    pub(crate) dir: PathBuf,
}

/// Builds the tests of `crates`, words for cargo, and lists the integration tests among them.
pub(crate) fn rust_tests(workspace: &Workspace, crates: &[&str]) -> Result<Vec<RustTest>> {
    let text = workspace
        .cargo()
        .args(["test", "--release", "--no-run", "--message-format=json", "--quiet"])
        .args(crates)
        .output()?;
    // Guests see the target folder, not the cache.
    let dir = workspace.target.join("tests");
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    let mut tests: Vec<RustTest> = text.lines().filter_map(artifact).collect();
    for test in &mut tests {
        let program = dir.join(test.name.replace('/', "-"));
        fs::copy(&test.program, &program)
            .with_context(|| format!("copying {}", test.program.display()))?;
        test.program = program;
    }
    Ok(tests)
}

fn artifact(line: &str) -> Option<RustTest> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let target = &message["target"];
    if message["reason"] != "compiler-artifact" || target["kind"] != serde_json::json!(["test"]) {
        return None;
    }
    let program = PathBuf::from(message["executable"].as_str()?);
    let dir = Path::new(message["manifest_path"].as_str()?).parent()?.to_path_buf();
    let name = format!("{}/{}", stem(&dir), target["name"].as_str()?);
    Some(RustTest { name, program, dir })
}

/// The integration tests of a crate that mean something in a guest: they talk to the kernel.
struct OnKernels {
    /// What the crate's tests are called begins so.
    prefix: &'static str,
    /// Only tests with one of these in their names; all if there is none. A namespace costs seconds in
    /// a guest, and what needs nothing of ours or of the toolbox has been run on the host already.
    only: &'static [&'static str],
    /// On these kernels.
    kernels: &'static [Flavour],
}

const fn all(prefix: &'static str) -> OnKernels {
    OnKernels { prefix, only: &[], kernels: &Flavour::ALL }
}

/// Some of a crate's tests, which ask for nothing that our series changes.
const fn some(prefix: &'static str, only: &'static [&'static str]) -> OnKernels {
    OnKernels { prefix, only, kernels: &[Flavour::Plain] }
}

const ON_KERNELS: [OnKernels; 7] = [
    // MPLS, which hosts seldom have.
    some("circuit/", &["packets_of_a_table", "a_rate_has_its_queue"]),
    all("collector/"),
    some("hntes/", &["an_interface_is_a_mirror", "no_packet_is_lost_when_it_is_killed"]),
    // Every device once, with the daemons of the toolbox; packets past FlowSpec and nft; NETCONF by
    // the toolbox's client.
    some(
        "redirect/",
        &[
            "installs_and_reads_back",
            "narrow_entries_win_with_flowspec",
            "what_frr_only_says",
            "an_independent_client",
        ],
    ),
    some("ruler/", &[]),
    all("sys/"),
    all("scene/"),
];

/// The integration tests that also run in guests.
pub(crate) fn guest_tests(built: &[RustTest]) -> Vec<Test> {
    let guest = |test: &RustTest| {
        let on = ON_KERNELS.iter().find(|on| test.name.starts_with(on.prefix))?;
        let mut arguments = vec!["--test-threads=2".to_owned()];
        arguments.extend(on.only.iter().map(|name| (*name).to_owned()));
        Some(Test {
            name: test.name.clone(),
            kernels: on.kernels.to_vec(),
            timeout: RUST_TIMEOUT,
            boot: Boot::default(),
            same_output: false,
            program: test.program.clone(),
            arguments,
            dir: Some(test.dir.clone()),
        })
    };
    built.iter().filter_map(guest).collect()
}

/// Compares the contract crate with the patched headers; the toolbox has bindgen.
pub(crate) fn contract(toolbox: &Toolbox, kernel: &Kernel, built: &[RustTest]) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut binds = Binds::new();
    binds.bind(&kernel.out, OUT);
    for test in built.iter().filter(|test| test.name.starts_with("uapi/")) {
        let (status, said) = toolbox
            .command(&binds, &test.dir, [test.program.as_os_str()])?
            .env("TELESTEER_KHEADERS", format!("{OUT}/usr/include"))
            .verdict()?;
        let counted = ktap::cargo(&said).unwrap_or_default();
        if !status.success() {
            say(format!("{} against the patched headers:\n{}", test.name, said.trim_end()));
        }
        tally.add(if status.success() == (counted.failed == 0) { counted } else { Tally::FAIL });
    }
    Ok(tally)
}

/// Builds the canary module against `kernel`, outside the checkout's source folder.
pub(crate) fn canary(workspace: &Workspace, toolbox: &Toolbox, kernel: &Kernel) -> Result<PathBuf> {
    let dir = workspace.target.join("canary").join(kernel.flavour.name());
    fs::create_dir_all(&dir).with_context(|| format!("making {}", dir.display()))?;
    for name in ["Kbuild", "canary.c"] {
        let (from, to) = (workspace.vm("canary").join(name), dir.join(name));
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display()))?;
    }
    let log = workspace.logs().join(format!("canary-{}.log", kernel.flavour.name()));
    step(&format!("canary module for {} ({})", kernel.release, version(&kernel.tree)?), || {
        kernel.make(toolbox, &[format!("M={}", dir.display()), "modules".to_owned()])?.logged(
            &log,
            "canary",
            |_, _| {},
        )
    })?;
    Ok(dir.join("canary.ko"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_header_is_data() {
        let text = "#!/bin/sh\n# SPDX-License-Identifier: MIT\n# kernels: plain unpatched\n# timeout: 7\n# cpus: 4\n# append: a b=c\n# same-output: yes\nset -e\n# timeout: 9\n";
        let test = header(Path::new("vm/tests/x.sh"), text).unwrap();
        assert_eq!(test.kernels, [Flavour::Plain, Flavour::Unpatched]);
        assert_eq!(
            (test.name.as_str(), test.timeout, test.boot.cpus, test.same_output),
            ("x", 7, 4, true)
        );
        assert_eq!(test.boot.to_string(), "4 cpus, a, b=c");
    }

    #[test]
    fn programs_are_read_from_the_makefile() {
        let text = "TEST_GEN_PROGS := a \\\n\tb\nTEST_GEN_PROGS += c\nTEST_GEN_FILES := d\nX := $(TEST_GEN_PROGS)\n";
        assert_eq!(programs(text), ["a", "b", "c"]);
    }

    #[test]
    fn integration_tests_are_read_from_cargo() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/c/userspace/collector/Cargo.toml","target":{"kind":["test"],"name":"it"},"executable":"/t/it-1"}"#;
        let test = artifact(line).unwrap();
        assert_eq!(
            (test.name.as_str(), test.dir.as_path()),
            ("collector/it", Path::new("/c/userspace/collector"))
        );
        assert_eq!(guest_tests(&[test])[0].kernels.len(), 3);
        let line = line.replace("collector", "circuit");
        let some = &guest_tests(&[artifact(&line).unwrap()])[0];
        assert_eq!((some.kernels.len(), some.arguments.len()), (1, 3));
        assert_eq!(artifact(&line.replace("[\"test\"]", "[\"bin\"]")), None);
        assert_eq!(artifact("not json"), None);
    }

    /// A test that gets another name must not drop out of the guests unseen.
    #[test]
    fn what_guests_run_of_a_crate_is_there() {
        for on in ON_KERNELS.iter().filter(|on| !on.only.is_empty()) {
            let tests =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(on.prefix).join("tests/it");
            let below = fs::read_dir(&tests).unwrap().flatten().map(|entry| entry.path());
            let text: String = below
                .filter(|path| path.is_dir())
                .chain([tests.clone()])
                .flat_map(|dir| files(&dir).unwrap())
                .map(|file| fs::read_to_string(file).unwrap())
                .collect();
            for name in on.only {
                assert!(text.contains(&format!("fn {name}")), "{}: {name}", on.prefix);
            }
        }
    }

    #[test]
    fn a_bad_header_names_the_file() {
        let error = header(Path::new("vm/tests/x"), "# kernels: fast\n").unwrap_err();
        assert!(format!("{error:#}").contains("vm/tests/x"));
        let error = header(Path::new("vm/tests/x"), "# timeout: soon\n").unwrap_err();
        assert!(format!("{error:#}").contains("soon"));
        assert!(header(Path::new("vm/tests/x"), "# kernels:\n").is_err());
    }
}
