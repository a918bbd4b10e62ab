// SPDX-License-Identifier: Apache-2.0 OR MIT
//! KVM or emulation: KVM only where a kernel of ours has really booted on it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::guest::{Guest, Step};
use crate::kernel::Kernel;
use crate::key::Key;
use crate::run::{cmd, say};
use crate::toolbox::Toolbox;
use crate::workspace::Workspace;

/// How the guest's instructions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accel {
    /// On the processor.
    Kvm,
    /// Translated by QEMU.
    Tcg,
}

/// Seconds a boot on working KVM may take; it takes two.
const PROBE: u64 = 20;

impl Accel {
    /// The name in reports.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Accel::Kvm => "kvm",
            Accel::Tcg => "tcg",
        }
    }

    /// Chooses, trying KVM once per host kernel and base kernel.
    ///
    /// `$TELESTEER_ACCEL` (`kvm` or `tcg`) overrides.
    pub(crate) fn choose(
        workspace: &Workspace,
        toolbox: &Toolbox,
        kernel: &Kernel,
    ) -> Result<Self> {
        match std::env::var("TELESTEER_ACCEL").as_deref() {
            Ok("kvm") => return Ok(Accel::Kvm),
            Ok("tcg") => return Ok(Accel::Tcg),
            _ => {}
        }
        let opened = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm");
        if opened.is_err() {
            return Ok(Accel::Tcg);
        }
        let host = cmd("uname").arg("-rv").output()?;
        let key = Key::new().text(&host).text(&kernel.base).text(&toolbox.key.hex());
        let memory = workspace.cache.join("accel").join(key.short());
        if let Ok(text) = fs::read_to_string(&memory) {
            return Ok(if text.trim() == "kvm" { Accel::Kvm } else { Accel::Tcg });
        }
        say("/dev/kvm is there; trying once whether a stock kernel boots on it");
        let guest = Guest {
            workspace,
            toolbox,
            kernel,
            accel: Accel::Kvm,
            cpus: 1,
            memory: 1024,
            icount: false,
            stream: false,
            append: Vec::new(),
        };
        let accel = if boots(&guest) { Accel::Kvm } else { Accel::Tcg };
        say(match accel {
            Accel::Kvm => "it does: guests run on KVM",
            Accel::Tcg => "it does not: guests are emulated",
        });
        let dir = memory.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
        fs::write(&memory, accel.name())
            .with_context(|| format!("writing {}", memory.display()))?;
        Ok(accel)
    }
}

fn boots(guest: &Guest<'_>) -> bool {
    let step =
        Step { name: "probe".into(), dir: "/".into(), argv: vec!["true".into()], timeout: PROBE };
    guest
        .run_within("kvm-probe", &[step], std::time::Duration::from_secs(PROBE))
        .is_ok_and(|report| report.died.is_none() && report.steps[0].status == Some(0))
}
