// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Content keys and stamps: what a thing was made from, so that nothing stale is used.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// FNV-1a with 128 bits over everything fed in. Guards against accidents, not against malice.
#[derive(Debug, Clone)]
pub(crate) struct Key(u128);

impl Key {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    /// An empty key.
    pub(crate) fn new() -> Self {
        Key(Self::OFFSET)
    }

    /// Feeds bytes, preceded by their length so that neighbours cannot run into each other.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(Self::PRIME);
        }
        self
    }

    /// Feeds a text.
    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Feeds a file's content (not its name).
    pub(crate) fn file(self, path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        Ok(self.bytes(&bytes))
    }

    /// All 128 bits in hex.
    pub(crate) fn hex(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// The first 48 bits in hex, for folder names.
    pub(crate) fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

/// Whether the stamp at `path` was written for `key`.
pub(crate) fn stamped(path: &Path, key: &Key) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.trim() == key.hex())
}

/// Writes the stamp; called after success only.
pub(crate) fn stamp(path: &Path, key: &Key) -> Result<()> {
    fs::write(path, key.hex() + "\n").with_context(|| format!("writing {}", path.display()))
}

/// Removes the stamp; called before work starts, so that a torn run never looks finished.
pub(crate) fn unstamp(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_do_not_run_together() {
        let ab_c = Key::new().text("ab").text("c").hex();
        let a_bc = Key::new().text("a").text("bc").hex();
        assert_ne!(ab_c, a_bc);
        assert_eq!(ab_c, Key::new().text("ab").text("c").hex());
    }

    #[test]
    fn stamp_holds_for_its_key_only() {
        let path = std::env::temp_dir().join(format!("xtask-stamp-{}", std::process::id()));
        let (one, two) = (Key::new().text("1"), Key::new().text("2"));
        assert!(!stamped(&path, &one));
        stamp(&path, &one).unwrap();
        assert!(stamped(&path, &one) && !stamped(&path, &two));
        unstamp(&path).unwrap();
        unstamp(&path).unwrap();
        assert!(!stamped(&path, &one));
    }
}
