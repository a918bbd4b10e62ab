// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The bpf file system of a phase that steers by a BPF program.

use std::fs;
use std::path::{Path, PathBuf};

use crate::collectors::Spec;
use crate::error::{Result, at};
use crate::process::run;

/// A bpf file system for pinned maps; unmounting it frees them.
#[derive(Debug)]
pub(crate) struct BpfFs(Option<PathBuf>);

impl BpfFs {
    /// Mounts one for the phases that pin maps.
    pub(crate) fn mount(spec: Spec) -> Result<Self> {
        if spec.steering != "bpf-modulo" {
            return Ok(Self(None));
        }
        let path = PathBuf::from(format!("/run/telesteer-bpf-{}", std::process::id()));
        fs::create_dir_all(&path).map_err(at(&path))?;
        run(&["mount", "-t", "bpf", "bpf", &path.to_string_lossy()])?;
        Ok(Self(Some(path)))
    }

    /// Where maps are pinned.
    pub(crate) fn path(&self) -> &Path {
        self.0.as_deref().unwrap_or(Path::new("/sys/fs/bpf"))
    }
}

impl Drop for BpfFs {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let done = run(&["umount", &path.to_string_lossy()]).map(|_| fs::remove_dir(path));
            if let Err(error) = done {
                eprintln!("telesteer-scene: {error}");
            }
        }
    }
}
