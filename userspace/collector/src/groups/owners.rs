// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which process holds a socket, from `/proc/PID/fd`.

use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::Path,
};

use serde::Serialize;

/// Processes that can hold one socket and be told.
const PER_SOCKET: usize = 8;

/// A process that holds a socket.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its name as the kernel has it, at most 15 bytes.
    pub comm: String,
}

/// Holders of some sockets.
#[derive(Debug, Default)]
pub struct Owners {
    by_inode: HashMap<u32, Vec<Process>>,
    /// Processes whose descriptors this user may not read.
    pub unreadable: u64,
}

impl Owners {
    /// Looks for the holders of `inodes` in `proc` (the folder `/proc`).
    ///
    /// # Errors
    ///
    /// If there is no `/proc`. Processes that end meanwhile are passed over.
    pub fn find(proc: &Path, inodes: &HashSet<u32>) -> io::Result<Self> {
        let mut owners = Self::default();
        for entry in fs::read_dir(proc)?.flatten() {
            let name = entry.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            match fs::read_dir(entry.path().join("fd")) {
                Ok(fds) => owners.take(pid, &entry.path(), fds, inodes),
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    owners.unreadable += 1;
                }
                Err(_) => {}
            }
        }
        Ok(owners)
    }

    fn take(&mut self, pid: u32, home: &Path, fds: fs::ReadDir, inodes: &HashSet<u32>) {
        let mut comm = None;
        for fd in fds.flatten() {
            let Some(inode) = fs::read_link(fd.path()).ok().and_then(|link| socket(&link)) else {
                continue;
            };
            if !inodes.contains(&inode) {
                continue;
            }
            let holders = self.by_inode.entry(inode).or_default();
            if holders.len() < PER_SOCKET && holders.iter().all(|holder| holder.pid != pid) {
                let comm = comm.get_or_insert_with(|| {
                    fs::read_to_string(home.join("comm")).unwrap_or_default().trim().to_owned()
                });
                holders.push(Process { pid, comm: comm.clone() });
            }
        }
    }

    /// Who holds a socket; nobody if it is not known.
    pub fn of(&self, inode: u32) -> &[Process] {
        self.by_inode.get(&inode).map_or(&[], Vec::as_slice)
    }
}

/// The inode in a link of the form `socket:[123]`.
fn socket(link: &Path) -> Option<u32> {
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn holders_are_found_by_inode() {
        let dir = tempfile::tempdir().unwrap();
        let process = |pid: &str, comm: &str, links: &[&str]| {
            let fd = dir.path().join(pid).join("fd");
            fs::create_dir_all(&fd).unwrap();
            fs::write(dir.path().join(pid).join("comm"), format!("{comm}\n")).unwrap();
            for (n, link) in links.iter().enumerate() {
                symlink(link, fd.join(n.to_string())).unwrap();
            }
        };
        process("12", "telesteer", &["/dev/null", "socket:[7]", "socket:[7]", "socket:[8]"]);
        process("13", "other", &["pipe:[7]", "socket:[9]", "socket:[7]"]);
        process("self", "me", &["socket:[8]"]);
        let owners = Owners::find(dir.path(), &HashSet::from([7, 8])).unwrap();
        let mut of_7 = owners.of(7).to_vec();
        of_7.sort();
        let names: Vec<_> = of_7.iter().map(|p| (p.pid, p.comm.as_str())).collect();
        assert_eq!(names, [(12, "telesteer"), (13, "other")]);
        assert_eq!(owners.of(8).len(), 1);
        assert!(owners.of(9).is_empty(), "nobody asked for it");
        assert_eq!(owners.unreadable, 0);
        assert!(Owners::find(&dir.path().join("none"), &HashSet::new()).is_err());
    }
}
