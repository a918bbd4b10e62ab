// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `rust-module/` built for a kernel, and laid out so that a guest finds it by alias.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::kernel::{Flavour, Kernel, OUT, SRC};
use crate::key::{Key, stamp, stamped, unstamp};
use crate::lock::CacheLock;
use crate::run::step;
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// The module, without its suffix.
pub(crate) const NAME: &str = "reuseport_stable";
/// What the build folder of the kernel tells `modprobe`.
const LISTS: [&str; 3] = ["modules.order", "modules.builtin", "modules.builtin.modinfo"];

/// The module's sources and build files, sorted, relative to `rust-module/`.
pub(crate) fn sources(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let home = workspace.root.join("rust-module");
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = home.join(&folder);
        let list = fs::read_dir(&path).with_context(|| format!("reading {}", path.display()))?;
        for entry in list.flatten() {
            let name = folder.join(entry.file_name());
            if entry.path().is_dir() {
                folders.push(name);
            } else if name.extension().is_some_and(|ext| ext == "rs") || name.ends_with("Kbuild") {
                found.push(name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Copies the sources to where the build may write beside them.
pub(crate) fn copy(workspace: &Workspace, to: &Path) -> Result<Key> {
    let home = workspace.root.join("rust-module");
    let mut key = Key::new();
    for name in sources(workspace)? {
        let (from, to) = (home.join(&name), to.join(&name));
        key = key.text(&name.to_string_lossy()).file(&from)?;
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        // What is the same keeps its time, so that it is not built again.
        let text = fs::read(&from).with_context(|| format!("reading {}", from.display()))?;
        if fs::read(&to).is_ok_and(|old| old == text) {
            continue;
        }
        fs::write(&to, text).with_context(|| format!("writing {}", to.display()))?;
    }
    Ok(key)
}

/// The folder that is to be `/lib/modules/RELEASE` in a guest; none for kernels without the series.
pub(crate) fn ensure(
    workspace: &Workspace,
    toolbox: &Toolbox,
    kernel: &Kernel,
) -> Result<Option<PathBuf>> {
    if kernel.flavour == Flavour::Unpatched || kernel.base == "own" {
        return Ok(None);
    }
    let home = workspace.target.join("module").join(kernel.flavour.name());
    let build = home.join("build");
    let installed = home.join("lib/modules").join(&kernel.release);
    let _lock = CacheLock::take(&home, "the module")?;
    let key = copy(workspace, &build)?.text(&kernel.release).file(&kernel.stamp())?;
    let done = home.join("done");
    if stamped(&done, &key) {
        return Ok(Some(installed));
    }
    unstamp(&done)?;
    let what = format!("module {NAME} for {}", kernel.release);
    step(&what, || {
        let log = workspace.logs().join(format!("module-{}.log", kernel.flavour.name()));
        let make = [format!("M={}", build.display()), "modules".to_owned()];
        kernel.make(toolbox, &make)?.logged(&log, NAME, |_, _| {})?;
        no_panics(toolbox, &build.join(format!("{NAME}.ko")))?;
        install(toolbox, kernel, &build, &home, &installed)
    })?;
    stamp(&done, &key)?;
    Ok(Some(installed))
}

/// What runs for each packet or member must not be able to panic.
fn no_panics(toolbox: &Toolbox, module: &Path) -> Result<()> {
    let words = ["llvm-objdump", "-dr", "--no-show-raw-insn", &module.to_string_lossy()];
    let said = toolbox.command(&Binds::new(), Path::new("/"), words)?.output()?;
    let found = panics(&said);
    if !found.is_empty() {
        bail!("{} can panic in {}", module.display(), found.join(", "));
    }
    Ok(())
}

/// Functions of a disassembly that call the panic machinery; those that only run in process context
/// when a policy is set (the allocation of vectors) or in unit tests may.
fn panics(disassembly: &str) -> Vec<&str> {
    const MAY: [&str; 3] = ["5tests", "5alloc4kvec", "13init_callback"];
    let mut found = Vec::new();
    let mut function = "";
    for line in disassembly.lines() {
        if let Some(name) = line.strip_suffix(">:").and_then(|head| head.split_once('<')) {
            function = name.1;
        } else if line.contains("9panicking")
            && found.last() != Some(&function)
            && !MAY.iter().any(|part| function.contains(part))
        {
            found.push(function);
        }
    }
    found
}

fn install(
    toolbox: &Toolbox,
    kernel: &Kernel,
    build: &Path,
    home: &Path,
    installed: &Path,
) -> Result<()> {
    let updates = installed.join("updates");
    fs::create_dir_all(&updates).with_context(|| format!("making {}", updates.display()))?;
    let put = |from: PathBuf, to: PathBuf| {
        fs::copy(&from, &to).with_context(|| format!("copying {}", from.display())).map(drop)
    };
    put(build.join(format!("{NAME}.ko")), updates.join(format!("{NAME}.ko")))?;
    for name in LISTS {
        put(kernel.out.join(name), installed.join(name))?;
    }
    let mut binds = Binds::new();
    binds.bind(&kernel.tree, SRC);
    binds.bind(&kernel.out, OUT);
    let home = home.to_string_lossy();
    toolbox
        .command(&binds, Path::new("/"), ["depmod", "-b", &home, &kernel.release])?
        .output()
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_found_by_their_function() {
        let call = "\t\t0000000000000008:  R_X86_64_PLT32\t_RNvNtCs1_4core9panicking5panic-0x4\n";
        let text = format!(
            "0000000000000010 <_RNv_16reuseport_stable5tests3one>:\n{call}\
             0000000000000020 <_RNv_6kernel5alloc4kvec4push>:\n{call}\
             0000000000000030 <_RNv_16reuseport_stable5steer6select>:\n      30:  retq\n"
        );
        assert!(panics(&text).is_empty());
        assert_eq!(
            panics(&format!("{text}{call}{call}")),
            ["_RNv_16reuseport_stable5steer6select"]
        );
    }

    #[test]
    fn the_module_is_found_with_all_its_files() {
        let workspace = Workspace::find().unwrap();
        let found = sources(&workspace).unwrap();
        for name in ["Kbuild", "reuseport_stable.rs", "steer/table.rs"] {
            assert!(found.iter().any(|path| path == Path::new(name)), "{name}");
        }
    }
}
