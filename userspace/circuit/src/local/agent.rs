// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Does on a node what it is asked on its standard input, a JSON line for a JSON line, until that
//! ends. One runs in each network namespace. It keeps nothing: the kernel does.

use crate::local::item::Item;
use crate::local::kernel::{Failed, Kernel, lacks};
use crate::pool::Range;
use serde::{Deserialize, Serialize};
use std::io;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Longest line.
pub const LINE: u64 = 16 << 20;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Ask {
    /// Put these there, in order.
    Add {
        /// These.
        items: Vec<Item>,
    },
    /// Take these away.
    Remove {
        /// These.
        items: Vec<Item>,
    },
    /// What is there of ours, and of others in these ranges?
    Read {
        /// Labels.
        labels: Range,
        /// Routing tables.
        tables: Range,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "told", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Told {
    /// It is done.
    Done,
    /// This is there.
    There {
        /// Ours.
        items: Vec<Item>,
        /// What others have in our ranges.
        foreign: Vec<String>,
    },
    /// It failed, and what was done before it stays.
    Failed {
        /// With what and why.
        said: String,
    },
}

/// Serves standard input until it ends.
pub async fn run() -> Result<(), Failed> {
    let kernel = Kernel::open()?;
    let line = |error: io::Error| Failed {
        what: "standard input or output".into(),
        said: error.to_string(),
    };
    let mut input = BufReader::new(tokio::io::stdin());
    let mut output = tokio::io::stdout();
    loop {
        let mut text = Vec::new();
        let read = (&mut input).take(LINE).read_until(b'\n', &mut text).await.map_err(line)?;
        if read == 0 {
            return Ok(());
        }
        let told = match serde_json::from_slice::<Ask>(&text) {
            Ok(ask) => answer(&kernel, ask)
                .await
                .unwrap_or_else(|error| Told::Failed { said: error.to_string() }),
            Err(error) => Told::Failed { said: format!("a question that is none: {error}") },
        };
        let mut text = serde_json::to_vec(&told).map_err(|error| line(error.into()))?;
        text.push(b'\n');
        output.write_all(&text).await.map_err(line)?;
        output.flush().await.map_err(line)?;
    }
}

async fn answer(kernel: &Kernel, ask: Ask) -> Result<Told, Failed> {
    match ask {
        Ask::Add { items } => {
            let labels = items.iter().any(|item| !matches!(item, Item::Class { .. }));
            if let Some(what) = lacks().filter(|_| labels) {
                return Ok(Told::Failed { said: format!("the kernel lacks {what}") });
            }
            for item in &items {
                kernel.add(item).await?;
            }
            Ok(Told::Done)
        }
        Ask::Remove { items } => {
            for item in &items {
                kernel.remove(item).await?;
            }
            Ok(Told::Done)
        }
        Ask::Read { labels, tables } => {
            let (items, foreign) =
                kernel.read(|label| labels.holds(label), |table| tables.holds(table)).await?;
            Ok(Told::There { items, foreign })
        }
    }
}
