// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Building kernels: source + series + config fragments, one build folder a flavour.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::key::{Key, stamp, stamped, unstamp};
use crate::lock::CacheLock;
use crate::mend::Mark;
use crate::run::{Cmd, clock, say};
use crate::series::{self, Patch};
use crate::source::{Source, room, version};
use crate::toolbox::{Binds, Toolbox};
use crate::workspace::Workspace;

/// Where the toolbox sees the kernel tree. Always the same, so that flavours share ccache and no
/// path of a host gets into an object file.
pub(crate) const SRC: &str = "/telesteer/src";
/// Where the toolbox sees the build folder.
pub(crate) const OUT: &str = "/telesteer/build";
/// The file in the build folder that tells ccache the configuration.
const SHARED: &str = ".telesteer-shared-config";
/// The file in the build folder that tells what its configuration was made from.
const REQUEST: &str = ".telesteer-request";
/// GiB a cold cache needs: toolbox 3, source 4, worktrees 3, builds 3, ccache and archives 2.
const ROOM_GIB: u64 = 16;
/// Objects in a build, before the first build has counted them.
const OBJECTS_GUESS: usize = 2000;

/// Which kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Flavour {
    /// The series on the base, no detectors.
    Plain,
    /// The series on the base, every detector on.
    Debug,
    /// The base without the series.
    Unpatched,
}

impl Flavour {
    /// All of them, in building order.
    pub(crate) const ALL: [Flavour; 3] = [Flavour::Plain, Flavour::Unpatched, Flavour::Debug];

    /// The name on the command line and in test headers.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Flavour::Plain => "plain",
            Flavour::Debug => "debug",
            Flavour::Unpatched => "unpatched",
        }
    }

    /// Parses [`Flavour::name`].
    pub(crate) fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|flavour| flavour.name() == name)
            .with_context(|| format!("no kernel {name:?}: one of plain, debug, unpatched"))
    }

    fn fragments(self) -> &'static [&'static str] {
        match self {
            Flavour::Plain => &["kernel.config", "series.config"],
            Flavour::Debug => &["kernel.config", "series.config", "debug.config"],
            Flavour::Unpatched => &["kernel.config"],
        }
    }
}

/// Where the source comes from, for every verb that needs a kernel.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Options {
    /// Use this kernel git tree at its HEAD as base instead of Debian's newest 7.3.
    #[arg(long, value_name = "DIR", env = "TELESTEER_KERNEL_SRC")]
    pub(crate) kernel_src: Option<PathBuf>,
}

/// A finished kernel.
#[derive(Debug, Clone)]
pub(crate) struct Kernel {
    /// Which one.
    pub(crate) flavour: Flavour,
    /// Version with flavour, as `uname -r` says.
    pub(crate) release: String,
    /// Build folder on the host (KDIR).
    pub(crate) out: PathBuf,
    /// Source tree on the host.
    pub(crate) tree: PathBuf,
    /// Name of the base source.
    pub(crate) base: String,
    /// The image QEMU starts.
    pub(crate) image: PathBuf,
}

impl Kernel {
    /// Somebody's own image, built elsewhere.
    pub(crate) fn own(flavour: Flavour, image: &Path) -> Result<Self> {
        let image =
            fs::canonicalize(image).with_context(|| format!("--image {}", image.display()))?;
        let folder = image.parent().unwrap_or(Path::new("/")).to_path_buf();
        let release = image.display().to_string();
        Ok(Kernel {
            flavour,
            release,
            out: folder.clone(),
            tree: folder,
            base: "own".to_owned(),
            image,
        })
    }

    /// The stamp of a finished build: its content changes with what the kernel is made from.
    pub(crate) fn stamp(&self) -> PathBuf {
        self.out.join(".telesteer-done")
    }

    /// A `make` in the toolbox on this kernel, for building modules and headers.
    pub(crate) fn make(&self, toolbox: &Toolbox, targets: &[String]) -> Result<Cmd> {
        make(toolbox, &self.tree, &self.out, self.flavour, targets)
    }
}

/// Builds `flavours` (or finds them built) and returns them in the same order.
pub(crate) fn ensure(
    workspace: &Workspace,
    toolbox: &Toolbox,
    options: &Options,
    flavours: &[Flavour],
) -> Result<Vec<Kernel>> {
    let patches = series::patches(&workspace.root.join("linux-patches"))?;
    let inputs = Inputs { workspace, toolbox, patches: &patches };
    // What is built already needs neither the lock nor a look at the trees.
    if options.kernel_src.is_none()
        && let Some(source) = Source::current(workspace)
    {
        let found: Result<Option<Vec<_>>> =
            flavours.iter().map(|flavour| inputs.built(&source, *flavour)).collect();
        if let Some(kernels) = found? {
            return Ok(kernels);
        }
    }
    let _lock = CacheLock::take(&workspace.cache, "kernels")?;
    if !workspace.cache.join("src").exists() {
        room(&workspace.cache, ROOM_GIB)?;
    }
    let source = Source::ensure(workspace, toolbox, options.kernel_src.as_deref())?;
    flavours.iter().map(|flavour| inputs.build(&source, *flavour)).collect()
}

/// The worktree of a flavour.
fn tree_path(workspace: &Workspace, source: &Source, flavour: Flavour) -> PathBuf {
    // A source fetched by us is checked out at its base already.
    if flavour == Flavour::Unpatched && source.repo.join("Makefile").is_file() {
        return source.repo.clone();
    }
    let suffix = if flavour == Flavour::Unpatched { "base" } else { "series" };
    workspace.cache.join("trees").join(format!("{}-{suffix}", source.name))
}

/// The worktree of a flavour, brought up to date. Needs the cache lock.
pub(crate) fn tree(workspace: &Workspace, source: &Source, flavour: Flavour) -> Result<PathBuf> {
    let tree = tree_path(workspace, source, flavour);
    let trees = workspace.cache.join("trees");
    fs::create_dir_all(&trees).with_context(|| format!("making {}", trees.display()))?;
    let patches = match flavour {
        Flavour::Unpatched => Vec::new(),
        _ => series::patches(&workspace.root.join("linux-patches"))?,
    };
    series::apply(source, &tree, &patches)?;
    Ok(tree)
}

/// What a resolved config must grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Every request.
    All,
    /// What the tree knows: in the middle of the series symbols are still missing.
    Known,
}

/// Everything a kernel is made from, apart from the source.
pub(crate) struct Inputs<'a> {
    /// The checkout.
    pub(crate) workspace: &'a Workspace,
    /// What compiles.
    pub(crate) toolbox: &'a Toolbox,
    /// The whole series.
    pub(crate) patches: &'a [Patch],
}

impl Inputs<'_> {
    /// Configures `kernel` anew for a tree that may hold a part of the series only.
    pub(crate) fn configure_step(&self, kernel: &Kernel) -> Result<()> {
        let request = self.request(kernel.flavour)?;
        let _ = fs::remove_file(kernel.out.join(REQUEST));
        configure(self.workspace, self.toolbox, kernel, &request, Asked::Known)?;
        self.share(kernel)
    }

    fn key(&self, source: &Source, flavour: Flavour, request: &str) -> Key {
        let key = Key::new().text(&source.base).text(request).text(&self.toolbox.key.hex());
        match flavour {
            Flavour::Unpatched => key,
            _ => self.patches.iter().fold(key, |key, patch| key.text(&patch.hash)),
        }
    }

    fn kernel(&self, source: &Source, flavour: Flavour) -> Result<Kernel> {
        let tree = tree_path(self.workspace, source, flavour);
        let out =
            self.workspace.cache.join("build").join(format!("{}-{}", source.name, flavour.name()));
        let release = format!("{}-telesteer-{}", version(&tree)?, flavour.name());
        let image = out.join("vmlinux");
        Ok(Kernel { flavour, release, out, tree, base: source.name.clone(), image })
    }

    /// The kernel, if it is built from exactly these inputs.
    fn built(&self, source: &Source, flavour: Flavour) -> Result<Option<Kernel>> {
        if !tree_path(self.workspace, source, flavour).is_dir() {
            return Ok(None);
        }
        let kernel = self.kernel(source, flavour)?;
        let key = self.key(source, flavour, &self.request(flavour)?);
        Ok((stamped(&kernel.stamp(), &key) && kernel.image.is_file()).then_some(kernel))
    }

    fn build(&self, source: &Source, flavour: Flavour) -> Result<Kernel> {
        tree(self.workspace, source, flavour)?;
        if let Some(kernel) = self.built(source, flavour)? {
            say(format!("kernel {}: up to date", kernel.release));
            return Ok(kernel);
        }
        let kernel = self.kernel(source, flavour)?;
        let request = self.request(flavour)?;
        fs::create_dir_all(&kernel.out)
            .with_context(|| format!("making {}", kernel.out.display()))?;
        unstamp(&kernel.stamp())?;
        let start = Instant::now();
        let mark = Mark::set(&kernel.out)?;
        configure(self.workspace, self.toolbox, &kernel, &request, Asked::All)?;
        self.share(&kernel)?;
        build(self.workspace, self.toolbox, &kernel)?;
        drop(mark);
        stamp(&kernel.stamp(), &self.key(source, flavour, &request))?;
        say(format!("kernel {}: built in {}", kernel.release, clock(start.elapsed())));
        Ok(kernel)
    }

    /// Writes what ccache takes for the configuration.
    ///
    /// Each object includes autoconf.h, so one symbol that only the series knows would make every
    /// object of the unpatched kernel another one. ccache looks at this file instead: the resolved
    /// config without those symbols. Code that uses one of them is in patched files only, and
    /// their value is hashed for all flavours alike.
    fn share(&self, kernel: &Kernel) -> Result<()> {
        let own = self.own_symbols()?;
        let config = kernel.out.join(".config");
        let config =
            fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))?;
        let path = self.workspace.vm("series.config");
        let mut text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        text.push_str(&shared_part(&config, &own));
        let path = kernel.out.join(SHARED);
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Symbols the series brings.
    fn own_symbols(&self) -> Result<Vec<String>> {
        let mut own = Vec::new();
        for patch in self.patches {
            let text = fs::read(&patch.path)
                .with_context(|| format!("reading {}", patch.path.display()))?;
            let text = String::from_utf8_lossy(&text);
            own.extend(
                text.lines()
                    .filter_map(|line| line.strip_prefix("+config "))
                    .map(|name| format!("CONFIG_{}", name.trim())),
            );
        }
        Ok(own)
    }

    /// All config fragments of a flavour as one text.
    fn request(&self, flavour: Flavour) -> Result<String> {
        let mut text = String::new();
        for name in flavour.fragments() {
            // A series that does not bring its symbol yet cannot be asked for it.
            if *name == "series.config" && !self.brings_policy()? {
                continue;
            }
            let path = self.workspace.vm(name);
            let fragment =
                fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            // Words around the requests may change without making another kernel.
            for line in fragment.lines().filter(|line| symbols(line).len() == 1) {
                text += line;
                text.push('\n');
            }
        }
        text += &format!("CONFIG_LOCALVERSION=\"-telesteer-{}\"\n", flavour.name());
        text += "# CONFIG_LOCALVERSION_AUTO is not set\n";
        Ok(text)
    }

    fn brings_policy(&self) -> Result<bool> {
        for patch in self.patches {
            let text = fs::read(&patch.path)
                .with_context(|| format!("reading {}", patch.path.display()))?;
            if String::from_utf8_lossy(&text).contains("\n+config REUSEPORT_POLICY_SOURCE") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// tinyconfig + fragments, then checks that what was asked for was granted.
fn configure(
    workspace: &Workspace,
    toolbox: &Toolbox,
    kernel: &Kernel,
    request: &str,
    asked: Asked,
) -> Result<()> {
    let flavour = kernel.flavour.name();
    let wanted = kernel.out.join(REQUEST);
    let config = kernel.out.join(".config");
    if config.is_file() && fs::read_to_string(&wanted).is_ok_and(|old| old == request) {
        return Ok(());
    }
    say(format!("kernel {flavour}: configuring"));
    let log = workspace.logs().join(format!("kernel-{flavour}-config.log"));
    // Kconfig asks the compiler hundreds of questions each time, so the base is made once.
    let tiny = kernel.out.with_file_name(format!("{}-{}.tiny", kernel.base, toolbox.key.short()));
    let merge = "set -e
        cp \"$2/.telesteer-request.new\" /tmp/request
        if [ ! -e \"$3\" ]; then
            make -C \"$1\" O=\"$2\" LLVM=1 tinyconfig
            cp \"$2/.config\" \"$3.new\" && mv \"$3.new\" \"$3\"
        fi
        cd \"$2\" && \"$1/scripts/kconfig/merge_config.sh\" -m -O \"$2\" \"$3\" /tmp/request
        make -C \"$1\" O=\"$2\" LLVM=1 olddefconfig";
    let new = kernel.out.join(".telesteer-request.new");
    fs::write(&new, request).with_context(|| format!("writing {}", new.display()))?;
    toolbox
        .command(
            &binds(&kernel.tree, &kernel.out),
            Path::new(OUT),
            ["sh", "-c", merge, "sh", SRC, OUT, &*tiny.to_string_lossy()],
        )?
        .shown(format!("merge_config.sh for the {flavour} kernel"))
        .logged(&log, "configuring", |_, _| {})?;
    let got =
        fs::read_to_string(&config).with_context(|| format!("reading {}", config.display()))?;
    let refused = refused(request, &got);
    if asked == Asked::All && !refused.is_empty() {
        fs::remove_file(&config).context("removing the unwanted .config")?;
        bail!("the {flavour} kernel's config did not take: {}", refused.join(", "));
    }
    fs::rename(&new, &wanted).with_context(|| format!("renaming {}", new.display()))
}

/// Requests that the resolved config does not grant; a later request replaces an earlier one.
fn refused(request: &str, config: &str) -> Vec<String> {
    let got = symbols(config);
    symbols(request)
        .into_iter()
        .filter(|(name, value)| got.get(name).map_or("n", |value| *value) != *value)
        .map(|(name, value)| {
            format!("{name}={value} (is {})", got.get(name).copied().unwrap_or("not set"))
        })
        .collect()
}

/// Symbols and values of a config; "is not set" is the value `n`.
fn symbols(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .filter_map(|line| match line.strip_prefix("# ") {
            Some(comment) => comment.strip_suffix(" is not set").map(|name| (name, "n")),
            None => line.split_once('='),
        })
        .filter(|(name, _)| name.starts_with("CONFIG_"))
        .collect()
}

/// The lines of a config that mean the same with and without the series.
fn shared_part(config: &str, own: &[String]) -> String {
    let mut text = String::new();
    for (name, value) in symbols(config) {
        if value != "n" && name != "CONFIG_LOCALVERSION" && !own.iter().any(|own| own == name) {
            text += &format!("{name}={value}\n");
        }
    }
    text
}

fn build(workspace: &Workspace, toolbox: &Toolbox, kernel: &Kernel) -> Result<()> {
    let flavour = kernel.flavour.name();
    let count_file = kernel.out.join(".telesteer-objects");
    let about = fs::read_to_string(&count_file)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(OBJECTS_GUESS);
    let log = workspace.logs().join(format!("kernel-{flavour}.log"));
    let mut objects = 0;
    let targets = ["vmlinux", "modules"].map(str::to_owned);
    kernel.make(toolbox, &targets)?.logged(&log, &format!("kernel {flavour}"), |line, note| {
        let line = line.trim_start();
        if line.starts_with("CC ") || line.starts_with("AS ") {
            objects += 1;
            *note = format!("{objects} objects compiled (a full build has about {about})");
        } else if ["LD ", "AR ", "OBJCOPY", "ZSTD", "GZIP"]
            .iter()
            .any(|word| line.starts_with(word))
        {
            *note = format!(
                "{objects} objects compiled, {}",
                line.split_whitespace().collect::<Vec<_>>().join(" ")
            );
        }
    })?;
    if objects > about / 2 {
        fs::write(&count_file, objects.to_string()).context("remembering the object count")?;
    }
    Ok(())
}

fn binds(tree: &Path, out: &Path) -> Binds {
    let mut binds = Binds::new();
    binds.bind(tree, SRC);
    binds.bind(out, OUT);
    binds
}

fn make(
    toolbox: &Toolbox,
    tree: &Path,
    out: &Path,
    flavour: Flavour,
    targets: &[String],
) -> Result<Cmd> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let words =
        ["make", "-C", SRC, &format!("O={OUT}"), "LLVM=1", "CC=ccache clang", &format!("-j{jobs}")]
            .map(str::to_owned);
    Ok(toolbox
        .command(
            &binds(tree, out),
            Path::new(OUT),
            words.into_iter().chain(targets.iter().cloned()),
        )?
        .env("LOCALVERSION", "")
        .env("KBUILD_BUILD_USER", "telesteer")
        .env("KBUILD_BUILD_HOST", "toolbox")
        .env("KBUILD_BUILD_TIMESTAMP", "Thu Jan  1 00:00:00 UTC 2026")
        .env("CCACHE_MAXSIZE", "4G")
        // The compiler already writes what it read (-MMD): a miss need not preprocess twice.
        .env("CCACHE_DEPEND", "1")
        .env("CCACHE_EXTRAFILES", format!("{OUT}/{SHARED}"))
        .env(
            "CCACHE_IGNOREHEADERS",
            [".", OUT].map(|dir| format!("{dir}/include/generated/autoconf.h")).join(":"),
        )
        .shown(format!("make {} for the {} kernel", targets.join(" "), flavour.name())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_was_not_granted_is_named() {
        let request =
            "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=y\nCONFIG_N=1\nCONFIG_N=2\n# text\n";
        let config = "CONFIG_A=y\n# CONFIG_C is not set\nCONFIG_N=2\n";
        assert_eq!(refused(request, config), ["CONFIG_C=y (is n)"]);
        assert_eq!(
            refused("CONFIG_D=y\n# CONFIG_A is not set\n", config),
            ["CONFIG_A=n (is y)", "CONFIG_D=y (is not set)"]
        );
    }

    #[test]
    fn kernels_share_what_the_series_does_not_touch() {
        let own = ["CONFIG_OURS".to_owned()];
        let with = "CONFIG_A=y\nCONFIG_OURS=y\nCONFIG_LOCALVERSION=\"-x\"\n# CONFIG_B is not set\n";
        let without = "CONFIG_A=y\nCONFIG_LOCALVERSION=\"-y\"\n";
        assert_eq!(shared_part(with, &own), shared_part(without, &own));
        assert_ne!(shared_part(with, &[]), shared_part(without, &[]));
    }

    #[test]
    fn flavours_parse_by_their_names() {
        for flavour in Flavour::ALL {
            assert_eq!(Flavour::parse(flavour.name()).unwrap(), flavour);
        }
        assert!(Flavour::parse("fast").unwrap_err().to_string().contains("unpatched"));
    }
}
