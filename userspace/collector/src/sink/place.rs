// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Where the files go: a folder, or a bucket where the program was built for buckets.
//!
//! A file appears whole or not at all. A bucket does that itself. In a folder it is written in
//! `_staging`, which readers of partitioned files do not look into, and renamed. What a killed
//! collector leaves in `_staging` is removed at the next start once it is a day old: younger files
//! may be a sibling's work.

use std::ffi::OsString;
use std::fs;
use std::path::Path as FilePath;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use bytes::Bytes;
use object_store::{
    ObjectStore, ObjectStoreExt, ObjectStoreScheme, local::LocalFileSystem, parse_url_opts,
    path::Path,
};
use url::Url;

/// Where a folder's files are written before they appear.
const STAGING: &str = "_staging";
/// Age of what is removed from there.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// A folder or a bucket.
pub(super) struct Place {
    store: Box<dyn ObjectStore>,
    /// Path inside the store.
    prefix: Path,
    /// A rename is needed to make a file appear.
    staged: bool,
    /// As it was told, for messages.
    told: String,
}

impl Place {
    /// Opens what `--parquet` says.
    pub(super) fn open(told: &str) -> anyhow::Result<Self> {
        match told.contains("://").then(|| Url::parse(told)) {
            None => Self::folder(FilePath::new(told)),
            Some(Err(error)) => bail!("{told}: {error}"),
            Some(Ok(url)) => match ObjectStoreScheme::parse(&url) {
                Ok((ObjectStoreScheme::Local, _)) => match url.to_file_path() {
                    Ok(dir) => Self::folder(&dir),
                    Err(()) => bail!("{told}: no folder of this host"),
                },
                // What is only in memory is gone at the end.
                Ok((ObjectStoreScheme::Memory, _)) | Err(_) => {
                    bail!("{told}: none of file://, s3://, gs://, az://")
                }
                Ok(_) if !cfg!(feature = "cloud") => bail!(
                    "{told}: this telesteer was built for folders only; \
                     cargo build --features cloud makes one for buckets"
                ),
                Ok(_) => Self::bucket(told, &url),
            },
        }
    }

    fn folder(dir: &FilePath) -> anyhow::Result<Self> {
        let at = || format!("{}", dir.display());
        let staging = dir.join(STAGING);
        fs::create_dir_all(&staging).with_context(|| staging.display().to_string())?;
        sweep(&staging);
        // The files are history: they must be there after a power cut, too.
        let store = LocalFileSystem::new_with_prefix(dir).with_context(at)?.with_fsync(true);
        Ok(Self { store: Box::new(store), prefix: Path::default(), staged: true, told: at() })
    }

    /// Credentials, region and endpoint come from the environment, under the names of each cloud.
    fn bucket(told: &str, url: &Url) -> anyhow::Result<Self> {
        let text = |(name, value): (OsString, OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        let variables = std::env::vars_os().filter_map(text);
        let (store, prefix) = parse_url_opts(url, variables).context(told.to_owned())?;
        Ok(Self { store, prefix, staged: false, told: told.trim_end_matches('/').to_owned() })
    }

    /// How messages call a file.
    pub(super) fn display(&self, name: &str) -> String {
        format!("{}/{name}", self.told)
    }

    /// Stores a file under a name with `/` between its parts. A second try replaces what a first
    /// one may have left.
    pub(super) async fn put(&self, name: &str, file: Bytes) -> object_store::Result<()> {
        let to = self.within(name);
        if !self.staged {
            return self.store.put(&to, file.into()).await.map(drop);
        }
        let base = name.rsplit('/').next().unwrap_or(name);
        let staging = self.within(&format!("{STAGING}/{base}"));
        self.store.put(&staging, file.into()).await?;
        let renamed = self.store.rename(&staging, &to).await;
        if renamed.is_err() {
            // Whatever is wrong is told by the rename.
            let _ = self.store.delete(&staging).await;
        }
        renamed
    }

    fn within(&self, name: &str) -> Path {
        name.split('/').fold(self.prefix.clone(), |path, part| path.join(part))
    }
}

/// Removes old files. Failing to is no reason not to collect.
fn sweep(staging: &FilePath) {
    for entry in fs::read_dir(staging).into_iter().flatten().flatten() {
        let written = entry.metadata().and_then(|about| about.modified());
        let age = written.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age >= STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(told: &str) -> String {
        match Place::open(told) {
            Ok(_) => panic!("{told} was taken"),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn what_is_no_place_is_said() {
        assert!(refused("memory:///x").contains("memory:///x: none of file://, s3://"));
        assert!(refused("ftp://host/x").contains("ftp://host/x: none of file://"));
        if !cfg!(feature = "cloud") {
            assert!(refused("s3://bucket/x").contains("--features cloud"));
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(refused(file.to_str().unwrap()).contains("file/_staging"));
    }

    #[tokio::test]
    async fn a_file_appears_under_its_name_only() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join(STAGING).join("old");
        for told in [dir.path().display().to_string(), format!("file://{}", dir.path().display())] {
            fs::create_dir_all(old.parent().unwrap()).unwrap();
            let aged = fs::File::create(&old).unwrap();
            aged.set_modified(SystemTime::now() - STALE).unwrap();
            let place = Place::open(&told).unwrap();
            assert!(!old.exists(), "leftovers go after a day");
            for text in ["one", "two"] {
                let name = "date=2023-11-14/hour=22/1-2-3.parquet";
                place.put(name, Bytes::from_static(text.as_bytes())).await.unwrap();
                assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), text);
            }
            assert_eq!(fs::read_dir(dir.path().join(STAGING)).unwrap().count(), 0);
        }
    }
}
