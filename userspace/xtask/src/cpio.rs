// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A writer for the `newc` cpio format the kernel unpacks as initramfs.

/// An archive under construction.
#[derive(Debug, Default)]
pub(crate) struct Cpio {
    bytes: Vec<u8>,
    inode: u32,
}

const DIR: u32 = 0o040_755;
const FILE: u32 = 0o100_755;

impl Cpio {
    /// Adds a folder.
    pub(crate) fn dir(self, name: &str) -> Self {
        self.entry(name, DIR, &[])
    }

    /// Adds an executable file.
    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(name, FILE, data)
    }

    /// Ends the archive.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]).bytes
    }

    fn entry(mut self, name: &str, mode: u32, data: &[u8]) -> Self {
        self.inode += 1;
        // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name length, checksum
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        let name_len = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        let fields = [self.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_len, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(data);
        self.pad();
        self
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_aligned_and_sized() {
        let bytes = Cpio::default().dir("bin").file("init", b"hello").finish();
        assert_eq!(bytes.len() % 4, 0);
        assert_eq!(&bytes[..6], b"070701");
        let second = 110 + 4 + 2; // header, "bin\0", padding to four
        assert_eq!(&bytes[second..second + 6], b"070701");
        assert_eq!(&bytes[second + 6 + 6 * 8..second + 6 + 7 * 8], b"00000005");
        assert_eq!(&bytes[second + 110..second + 115], b"init\0");
        assert!(bytes.windows(10).any(|window| window == b"TRAILER!!!"));
    }
}
