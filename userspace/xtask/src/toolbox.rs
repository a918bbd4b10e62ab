// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The toolbox: a Debian root in the cache that holds every tool the host need not have.
//!
//! It is entered by a private mount namespace and a chroot, so nothing stays mounted. A host root
//! does that directly; anybody else does it as root of a user namespace with a range of sub-ids.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::key::{Key, stamp, stamped, unstamp};
use crate::lock::CacheLock;
use crate::run::{Cmd, cmd, say, shell_line, step, tail, which};
use crate::workspace::Workspace;

/// The Debian release of the toolbox and of the guest's root.
pub(crate) const SUITE: &str = "trixie";

/// A finished toolbox.
#[derive(Debug, Clone)]
pub(crate) struct Toolbox {
    /// Its root folder.
    pub(crate) root: PathBuf,
    /// What it was made from.
    pub(crate) key: Key,
    workspace: Workspace,
}

/// How to become root in a mount namespace of our own.
fn enter() -> Result<Vec<&'static str>> {
    // A process namespace too: when xtask dies, whatever it started dies with it.
    let unshare =
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private"];
    let unshare = [&unshare[..], &["--pid", "--fork", "--kill-child=KILL"]].concat();
    if user_id()? == 0 {
        return Ok(unshare);
    }
    let missing: Vec<&str> =
        ["newuidmap", "newgidmap"].into_iter().filter(|tool| which(tool).is_none()).collect();
    if !missing.is_empty() {
        bail!("without root the toolbox needs {} (Debian package uidmap)", missing.join(" and "));
    }
    let user = [&unshare[..], &["--user", "--map-root-user", "--map-auto"]].concat();
    let (status, said) =
        cmd(user[0]).args(&user[1..]).args(["chown", "1:1", "/dev/null"]).verdict()?;
    // chown of a file the namespace does not own must fail; unshare itself must not.
    if !status.success() && !said.contains("chown:") {
        bail!(
            "without root the toolbox needs user namespaces and a range of sub-ids for this user \
             in /etc/subuid and /etc/subgid: {}",
            said.trim()
        );
    }
    Ok(user)
}

fn user_id() -> Result<u32> {
    cmd("id").arg("-u").output()?.trim().parse().context("reading the output of `id -u`")
}

/// The words of a package list: comments and blank lines dropped.
fn packages(list: &str) -> Vec<&str> {
    list.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(str::split_whitespace)
        .collect()
}

impl Toolbox {
    /// Makes the toolbox if it is not there yet; resumes where a torn run stopped.
    pub(crate) fn ensure(workspace: &Workspace) -> Result<Self> {
        let list =
            fs::read_to_string(workspace.vm("packages.txt")).context("reading the package list")?;
        let packages = packages(&list);
        let key = Key::new().text(SUITE).text(&packages.join(" "));
        let home = workspace.cache.join("toolbox").join(key.short());
        let toolbox = Toolbox { root: home.join("root"), key, workspace: workspace.clone() };
        let done = home.join("done");
        if stamped(&done, &toolbox.key) {
            return Ok(toolbox);
        }
        let _lock = CacheLock::take(&workspace.cache, "the toolbox")?;
        if !stamped(&done, &toolbox.key) {
            toolbox.make(&home, &packages)?;
            stamp(&done, &toolbox.key)?;
        }
        Ok(toolbox)
    }

    fn make(&self, home: &Path, packages: &[&str]) -> Result<()> {
        enter()?; // before anything is fetched
        fs::create_dir_all(home).with_context(|| format!("making {}", home.display()))?;
        let base = home.join("base");
        if !stamped(&base, &self.key) {
            step(&format!("toolbox: Debian {SUITE} base system"), || self.bootstrap(home))?;
            stamp(&base, &self.key)?;
        }
        unstamp(&home.join("done"))?;
        step("toolbox: packages", || self.install(packages))
    }

    /// Runs debootstrap, itself unpacked in the cache unless the host has it.
    fn bootstrap(&self, home: &Path) -> Result<()> {
        let mirror = apt::mirror()?;
        let parts = home.join("bootstrap");
        remove_tree(&self.root)?;
        let keyring = PathBuf::from("/usr/share/keyrings/debian-archive-keyring.gpg");
        let mut wanted = Vec::new();
        if which("debootstrap").is_none() {
            wanted.push("debootstrap");
        }
        if !keyring.is_file() {
            wanted.push("debian-archive-keyring");
        }
        if !wanted.is_empty() {
            apt::unpack(&self.workspace.cache, &wanted, &parts)?;
        }
        let keyring = if keyring.is_file() {
            keyring
        } else {
            parts.join("usr/share/keyrings/debian-archive-keyring.gpg")
        };
        let script = match which("debootstrap") {
            Some(script) => script,
            None => parts.join("usr/sbin/debootstrap"),
        };
        let debs = self.debs()?;
        let log = self.workspace.logs().join("toolbox-base.log");
        let enter = enter()?;
        let mut run = cmd(enter[0]).args(&enter[1..]).arg(&script);
        if wanted.contains(&"debootstrap") {
            run = run.env("DEBOOTSTRAP_DIR", parts.join("usr/share/debootstrap"));
        }
        if enter.contains(&"--user") {
            // Device nodes cannot be made in a user namespace: debootstrap then uses the host's.
            run = run.env("container", "lxc");
        }
        run.arg("--variant=minbase")
            .arg("--include=ca-certificates")
            .arg(format!("--keyring={}", keyring.display()))
            .arg(format!("--cache-dir={}", debs.display()))
            .args([SUITE.as_ref(), self.root.as_os_str(), mirror.as_ref()])
            .env("PATH", path_with_sbin())
            .env("LC_ALL", "C")
            .shown(format!("debootstrap {SUITE}"))
            .logged(&log, "base system", |line, note| {
                if let Some(text) = line.strip_prefix("I: ") {
                    text.clone_into(note);
                }
            })
            .with_context(|| {
                let inner = tail(&self.root.join("debootstrap/debootstrap.log"), 10);
                format!("see also debootstrap/debootstrap.log in the toolbox:\n{inner}")
            })?;
        let suites = ["", "-updates", "-backports"]
            .map(|suffix| format!("deb {mirror} {SUITE}{suffix} main\n"))
            .concat();
        let settings = apt::host_settings()?;
        let write = |name: &str, text: &str| {
            let path = self.root.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
        };
        // Only a user namespace's root may own these files, so write through it when we are not root.
        if enter.contains(&"--user") {
            for (name, text) in
                [("etc/apt/sources.list", &suites), ("etc/apt/apt.conf.d/90host", &settings)]
            {
                let path = self.root.join(name);
                cmd(enter[0])
                    .args(&enter[1..])
                    .args(["sh", "-c", "printf %s \"$1\" >\"$2\"", "sh", text])
                    .arg(path)
                    .output()?;
            }
            return Ok(());
        }
        write("etc/apt/sources.list", &suites)?;
        write("etc/apt/apt.conf.d/90host", &settings)
    }

    /// Installs the packages; services are told not to start.
    fn install(&self, packages: &[&str]) -> Result<()> {
        let script = "printf '#!/bin/sh\\nexit 101\\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d &&
            echo 'APT::Sandbox::User \"root\";' >/etc/apt/apt.conf.d/91sandbox &&
            dpkg --configure -a && apt-get update &&
            apt-get install -y --no-install-recommends -o Dpkg::Options::=--force-unsafe-io \"$@\"";
        let log = self.workspace.logs().join("toolbox-packages.log");
        let (mut got, mut unpacked, mut set_up) = (0, 0, 0);
        self.apt_command(["sh", "-c", script, "sh"].iter().chain(packages))?
            .shown("apt-get install in the toolbox")
            .logged(&log, "packages", |line, note| {
                got += usize::from(line.starts_with("Get:"));
                unpacked += usize::from(line.starts_with("Unpacking "));
                set_up += usize::from(line.starts_with("Setting up "));
                *note = format!("{got} fetched, {unpacked} unpacked, {set_up} set up");
            })
    }

    /// A command that runs apt in the toolbox, with fetched packages kept in the cache.
    pub(crate) fn apt_command<S: AsRef<str>>(
        &self,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Cmd> {
        let resolv = self.workspace.cache.join("resolv.conf");
        fs::copy("/etc/resolv.conf", &resolv).context("copying the host's resolv.conf")?;
        let mut binds = Binds::new();
        binds.bind(self.debs()?, "/var/cache/apt/archives");
        binds.file(&resolv, "/etc/resolv.conf");
        let argv: Vec<OsString> = argv.into_iter().map(|word| word.as_ref().into()).collect();
        Ok(self.command(&binds, Path::new("/"), argv)?.env("DEBIAN_FRONTEND", "noninteractive"))
    }

    /// Where fetched packages are kept, so that a second toolbox need not fetch them again.
    pub(crate) fn debs(&self) -> Result<PathBuf> {
        let debs = self.workspace.cache.join("debs");
        let partial = debs.join("partial");
        fs::create_dir_all(&partial).with_context(|| format!("making {}", partial.display()))?;
        Ok(debs)
    }

    /// A command inside the toolbox, started in `dir`, with the checkout, the target folder and the
    /// cache visible at their own paths and `binds` on top.
    pub(crate) fn command<S: Into<OsString>>(
        &self,
        binds: &Binds,
        dir: &Path,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Cmd> {
        let argv: Vec<OsString> = argv.into_iter().map(Into::into).collect();
        let mut all = Binds::new();
        all.list.push("mount -t proc proc \"$R/proc\"".to_owned());
        all.bind("/dev", "/dev");
        all.bind("/sys", "/sys");
        all.list.push("mount -t tmpfs -o mode=1777 tmpfs \"$R/tmp\"".to_owned());
        fs::create_dir_all(&self.workspace.target)
            .with_context(|| format!("making {}", self.workspace.target.display()))?;
        for path in [&self.workspace.root, &self.workspace.target, &self.workspace.cache] {
            all.bind(path, path);
        }
        all.list.extend(binds.list.iter().cloned());
        let script = format!(
            "set -e; R=$1; shift\n{}\nexec chroot \"$R\" sh -c 'cd \"$0\" && exec \"$@\"' \"$@\"",
            all.list.join("\n")
        );
        let enter = enter()?;
        Ok(cmd(enter[0])
            .args(&enter[1..])
            .args(["--", "sh", "-c", &script, "sh"])
            .arg(&self.root)
            .arg(dir)
            .args(&argv)
            .env("PATH", path_with_sbin())
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", "/root")
            .env("CCACHE_DIR", self.workspace.cache.join("ccache"))
            .shown(format!("{} (in the toolbox)", shell_line(&argv))))
    }

    /// The toolbox's own version of a package, if it has one to install.
    pub(crate) fn candidate(&self, package: &str) -> Result<Option<String>> {
        let text = self.apt_command(["apt-cache", "policy", package])?.output()?;
        Ok(candidate(&text))
    }
}

fn candidate(policy: &str) -> Option<String> {
    let line = policy.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?;
    (line != "(none)").then(|| line.to_owned())
}

/// What to mount into the toolbox for one command.
#[derive(Debug, Default)]
pub(crate) struct Binds {
    list: Vec<String>,
}

impl Binds {
    /// Nothing.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Shows host folder `from` (with everything mounted below it) as `to`.
    pub(crate) fn bind(&mut self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let (from, to) = (quoted(from.as_ref()), quoted(to.as_ref()));
        self.list.push(format!("mkdir -p \"$R\"{to}; mount --rbind {from} \"$R\"{to}"));
    }

    /// Shows the toolbox's own root, without what is mounted on it, as `to`.
    pub(crate) fn own_root(&mut self, to: impl AsRef<Path>) {
        let to = quoted(to.as_ref());
        self.list.push(format!("mkdir -p \"$R\"{to}; mount --bind \"$R\" \"$R\"{to}"));
    }

    /// Shows host file `from` as `to`.
    pub(crate) fn file(&mut self, from: impl AsRef<Path>, to: impl AsRef<Path>) {
        let (from, to) = (quoted(from.as_ref()), quoted(to.as_ref()));
        self.list
            .push(format!("[ -e \"$R\"{to} ] || : >\"$R\"{to}; mount --bind {from} \"$R\"{to}"));
    }
}

fn quoted(path: &Path) -> String {
    shell_line([path])
}

fn path_with_sbin() -> &'static str {
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

/// Removes a root that only a (possibly mapped) root may remove.
pub(crate) fn remove_tree(path: &Path) -> Result<()> {
    if path.exists() {
        say(format!("removing {}", path.display()));
        let enter = enter()?;
        cmd(enter[0])
            .args(&enter[1..])
            .args(["rm", "-rf", "--one-file-system"])
            .arg(path)
            .output()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_list_is_words_without_comments() {
        assert_eq!(packages("# one\na b/trixie # c\n\n d\n"), ["a", "b/trixie", "d"]);
    }

    #[test]
    fn candidate_version_is_read_from_policy() {
        let text = "x:\n  Installed: (none)\n  Candidate: 7.3.4-1~bpo13+1\n  Version table:\n";
        assert_eq!(candidate(text).as_deref(), Some("7.3.4-1~bpo13+1"));
        assert_eq!(candidate("x:\n  Candidate: (none)\n"), None);
        assert_eq!(candidate(""), None);
    }

    #[test]
    fn binds_quote_their_paths() {
        let mut binds = Binds::new();
        binds.bind("/a b", "/c");
        assert_eq!(binds.list, ["mkdir -p \"$R\"/c; mount --rbind '/a b' \"$R\"/c"]);
    }
}
