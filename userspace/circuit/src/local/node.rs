// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The other end of an agent: starts it in its namespace, asks, waits so long and no longer.

use crate::local::agent::{Ask, LINE, Told};
use crate::local::item::Item;
use crate::pool::Range;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

/// Bound of an answer.
const WAIT: Duration = Duration::from_secs(30);

struct Agent {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _child: Child,
}

/// A node. Its agent is started when it is needed, and again when it broke off.
pub(crate) struct Node {
    command: Vec<String>,
    agent: Option<Agent>,
}

impl Node {
    /// The node that is a network namespace, or the one this runs in.
    pub(crate) fn new(program: &Path, netns: Option<&str>) -> Self {
        let mut command: Vec<String> = Vec::new();
        if let Some(netns) = netns {
            command.extend(["ip", "netns", "exec", netns].map(str::to_owned));
        }
        command.push(program.display().to_string());
        Self { command, agent: None }
    }

    fn start(&self) -> std::io::Result<Agent> {
        let (program, arguments) =
            self.command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(std::io::ErrorKind::BrokenPipe.into());
        };
        Ok(Agent { stdin, stdout: BufReader::new(stdout), _child: child })
    }

    async fn ask(&mut self, ask: &Ask) -> Result<Told, String> {
        let whose = |said: String| format!("`{}`: {said}", self.command.join(" "));
        let mut agent = match self.agent.take() {
            Some(agent) => agent,
            None => self.start().map_err(|error| whose(error.to_string()))?,
        };
        let exchange = async {
            let mut text = serde_json::to_vec(ask)?;
            text.push(b'\n');
            agent.stdin.write_all(&text).await?;
            agent.stdin.flush().await?;
            let mut line = Vec::new();
            (&mut agent.stdout).take(LINE).read_until(b'\n', &mut line).await?;
            if line.is_empty() {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
            Ok(serde_json::from_slice::<Told>(&line)?)
        };
        // Without a whole answer the agent is let go: the next one begins anew.
        let told = match timeout(WAIT, exchange).await {
            Ok(Ok(told)) => told,
            Ok(Err(error)) => return Err(whose(error.to_string())),
            Err(_) => return Err(whose(format!("no answer in {} s", WAIT.as_secs()))),
        };
        self.agent = Some(agent);
        match told {
            Told::Failed { said } => Err(whose(said)),
            told => Ok(told),
        }
    }

    /// Puts items there.
    pub(crate) async fn add(&mut self, items: Vec<Item>) -> Result<(), String> {
        self.ask(&Ask::Add { items }).await.map(drop)
    }

    /// Takes items away.
    pub(crate) async fn remove(&mut self, items: Vec<Item>) -> Result<(), String> {
        self.ask(&Ask::Remove { items }).await.map(drop)
    }

    /// Our items there, and what is foreign.
    pub(crate) async fn read(
        &mut self,
        labels: Range,
        tables: Range,
    ) -> Result<(Vec<Item>, Vec<String>), String> {
        match self.ask(&Ask::Read { labels, tables }).await? {
            Told::There { items, foreign } => Ok((items, foreign)),
            told => Err(format!("{told:?} is no answer to that")),
        }
    }
}
