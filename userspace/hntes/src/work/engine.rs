// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Who goes over the records of files that are as telesteer stores them.

use anyhow::{Error, Result, bail};
use std::str::FromStr;

/// Who goes over the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// Every row becomes a record, whatever the file.
    Rows,
    /// Columns, where the file is as telesteer stores it.
    #[default]
    Arrow,
    /// DataFusion in this process.
    DataFusion,
    /// A Ballista cluster: the URL of its scheduler.
    Ballista(String),
}

impl FromStr for Engine {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = match text {
            "rows" => Self::Rows,
            "arrow" => Self::Arrow,
            "datafusion" => Self::DataFusion,
            url if url.starts_with("ballista://") => Self::Ballista(url.to_owned()),
            _ => bail!("{text:?} is none of rows, arrow, datafusion, ballista://HOST:PORT"),
        };
        if cfg!(not(feature = "sql")) && !matches!(known, Self::Rows | Self::Arrow) {
            bail!("{text}: this hntes was built without SQL; build it with --features sql");
        }
        Ok(known)
    }
}

#[cfg(feature = "sql")]
pub(super) fn sql(
    engine: &Engine,
    memory: Option<u64>,
    threads: usize,
) -> Result<Option<telesteer_engine::sql::Engine>> {
    use telesteer_engine::sql::{Engine as Sql, Place};
    let place = match engine {
        Engine::Rows | Engine::Arrow => return Ok(None),
        // Half of what there is; the other is for what the analysis itself holds.
        Engine::DataFusion => Place::Here { memory: memory.map(|octets| octets as usize / 2) },
        Engine::Ballista(url) => Place::Cluster(url.clone()),
    };
    Ok(Some(Sql::new(place, threads)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_have_names() {
        assert_eq!("rows".parse::<Engine>().unwrap(), Engine::Rows);
        assert_eq!("arrow".parse::<Engine>().unwrap(), Engine::default());
        assert!("spark".parse::<Engine>().unwrap_err().to_string().contains("ballista://"));
        let cluster = "ballista://127.0.0.1:50050".parse::<Engine>();
        if cfg!(feature = "sql") {
            assert_eq!(cluster.unwrap(), Engine::Ballista("ballista://127.0.0.1:50050".to_owned()));
        } else {
            assert!(cluster.unwrap_err().to_string().contains("--features sql"));
        }
    }
}
