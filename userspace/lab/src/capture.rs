// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Captures on links: tcpdump reads a packet socket; what it lost fails the run.

use crate::error::{Result, odd};
use crate::process::{Process, until};
use crate::space::Space;
use rustix::process::Signal;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Kernel buffer in KiB.
const BUFFER_KIB: &str = "65536";
/// Octets of a frame that are kept: headers, labels, the number.
const CUT: &str = "96";
/// Patience on an emulated machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// After the last packet: the kernel hands captured packets over by the block, at most so late.
const SETTLE: Duration = Duration::from_millis(2500);

/// A running capture of what comes in at a link.
#[derive(Debug)]
pub(crate) struct Capture {
    process: Process,
    file: PathBuf,
}

impl Capture {
    /// Begins to capture what comes in at `link` into `dir/NAME.pcap`.
    pub(crate) fn start(space: &Space, link: &str, dir: &Path, name: &str) -> Result<Self> {
        let file = dir.join(format!("{name}.pcap"));
        let path = file.to_string_lossy();
        let argv = [
            "tcpdump", "-Z", "root", "-n", "-i", link, "-Q", "in", "-s", CUT, "-B", BUFFER_KIB,
            "-w", &path,
        ];
        let name = format!("tcpdump-{name}");
        let mut process = Process::start(&name, Some(&space.name), dir, &argv)?;
        until(&name, PATIENCE, || {
            process.must_run()?;
            Ok(process.said().contains("listening on"))
        })?;
        Ok(Self { process, file })
    }

    fn finish(mut self) -> Result<PathBuf> {
        self.process.stop(Signal::INT, PATIENCE);
        let said = self.process.said();
        match dropped(&said) {
            Some(0) => Ok(self.file),
            Some(lost) => Err(odd(
                self.file.display().to_string(),
                format!("the capture lost {lost} packets"),
            )),
            None => Err(odd("tcpdump's last words", said)),
        }
    }
}

/// Ends captures once all that was sent is in them; gives their files in the same order.
pub(crate) fn finish<const N: usize>(captures: [Capture; N]) -> Result<[PathBuf; N]> {
    std::thread::sleep(SETTLE);
    let mut files: [PathBuf; N] = std::array::from_fn(|_| PathBuf::default());
    for (file, capture) in files.iter_mut().zip(captures) {
        *file = capture.finish()?;
    }
    Ok(files)
}

/// Packets that tcpdump says it lost.
fn dropped(said: &str) -> Option<u64> {
    let words = ["packets dropped by kernel", "packet dropped by kernel"];
    said.lines().find_map(|line| {
        words.iter().find_map(|words| line.trim().strip_suffix(words)?.trim().parse().ok())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_lost_is_read_and_silence_is_not_zero() {
        let said = "listening on x\n518 packets captured\n7 packets dropped by kernel\n";
        assert_eq!(dropped(said), Some(7));
        assert_eq!(dropped("1 packet captured\n1 packet dropped by kernel"), Some(1));
        assert_eq!(dropped("listening on x\n"), None);
    }
}
