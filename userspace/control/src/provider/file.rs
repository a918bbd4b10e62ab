// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A provider that is a file, for rehearsals and dry runs: it grants everything, outlives the loop, and
//! no network is touched. The file is a JSON list of circuits; it may be read while the loop runs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use telesteer_circuit::circuits::{Answer, Circuits, Held, Id, Notice, Remote, Seen};
use telesteer_circuit::error::{Error, Why};
use telesteer_circuit::request::{Name, Request};
use telesteer_circuit::time::At;

/// Most circuits.
pub const CIRCUITS: usize = 4096;

/// A circuit as it is in the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Circuit {
    /// What was asked for.
    pub request: Request,
    /// How far it is.
    pub seen: Seen,
}

/// The file; without a path, what would be in it.
#[derive(Debug)]
pub struct File {
    path: Option<PathBuf>,
    server: String,
    held: Mutex<BTreeMap<Name, Circuit>>,
    notices: Mutex<Vec<(Id, Notice)>>,
}

type All = BTreeMap<Name, Circuit>;

impl File {
    /// The file at `path`, which need not be there yet; without one, nothing is kept.
    pub fn new(path: Option<PathBuf>) -> Self {
        let server = match &path {
            Some(path) => format!("file {}", path.display()),
            None => "rehearsal".to_owned(),
        };
        Self { path, server, held: Mutex::default(), notices: Mutex::default() }
    }

    fn read(&self) -> Result<All, String> {
        let Some(path) = &self.path else {
            return Ok(self.held.lock().unwrap_or_else(PoisonError::into_inner).clone());
        };
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(All::new()),
            other => other.map_err(|error| error.to_string())?,
        };
        let all: Vec<Circuit> =
            serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
        Ok(all.into_iter().map(|one| (one.request.name.clone(), one)).collect())
    }

    fn write(&self, all: All) -> Result<(), String> {
        let Some(path) = &self.path else {
            *self.held.lock().unwrap_or_else(PoisonError::into_inner) = all;
            return Ok(());
        };
        let all: Vec<Circuit> = all.into_values().collect();
        let bytes = serde_json::to_vec_pretty(&all).map_err(|error| error.to_string())?;
        let mut beside = path.clone().into_os_string();
        beside.push(".new");
        let done = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, path));
        done.map_err(|error| error.to_string())
    }

    /// Changes a circuit, or takes it away.
    fn change(
        &self,
        word: &'static str,
        id: &Id,
        change: impl FnOnce(Option<Circuit>) -> Result<Option<Circuit>, String>,
    ) -> Result<(), Error> {
        let refused = |said: String| Error::new(&self.server, word, id, Why::Refused(said));
        let name = Name::parse(&id.0).ok_or_else(|| refused("there is none".into()))?;
        let mut all = self.read().map_err(refused)?;
        match change(all.remove(&name)).map_err(refused)? {
            Some(_) if all.len() >= CIRCUITS => {
                return Err(refused(format!("{CIRCUITS} circuits are enough")));
            }
            Some(circuit) => drop(all.insert(name, circuit)),
            None => {}
        }
        self.write(all).map_err(refused)
    }

    fn to(&self, word: &'static str, id: &Id, seen: Seen) -> Result<(), Error> {
        self.change(word, id, |circuit| {
            let circuit = circuit.ok_or("there is none")?;
            Ok(Some(Circuit { seen, ..circuit }))
        })
    }

    fn tell(&self, id: &Id, notice: Notice) {
        let mut notices = self.notices.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever does not take them lists.
        if notices.len() < CIRCUITS {
            notices.push((id.clone(), notice));
        }
    }
}

impl Circuits for File {
    fn server(&self) -> &str {
        &self.server
    }

    fn reserve<'a>(&'a self, request: &'a Request) -> Answer<'a, Held> {
        Box::pin(async move {
            let id = Id(request.name.to_string());
            self.change("reserve", &id, |there| {
                let new = || Circuit { request: request.clone(), seen: Seen::Held };
                Ok(Some(there.unwrap_or_else(new)))
            })?;
            Ok(Held { id, until: None })
        })
    }

    fn commit<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(async move { self.to("commit", id, Seen::Committed) })
    }

    fn provision<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(async move {
            self.to("provision", id, Seen::Up)?;
            self.tell(id, Notice::Active);
            Ok(())
        })
    }

    fn extend<'a>(&'a self, id: &'a Id, until: Option<At>) -> Answer<'a, ()> {
        Box::pin(async move {
            self.change("extend", id, |circuit| {
                let mut circuit = circuit.ok_or("there is none")?;
                circuit.request.span.until = until;
                Ok(Some(circuit))
            })
        })
    }

    fn release<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(async move { self.to("release", id, Seen::Committed) })
    }

    fn terminate<'a>(&'a self, id: &'a Id) -> Answer<'a, ()> {
        Box::pin(async move { self.change("terminate", id, |_| Ok(None)) })
    }

    fn list(&self) -> Answer<'_, Vec<Remote>> {
        Box::pin(async move {
            let all = self.read().map_err(|said| {
                Error::new(&self.server, "list", "circuits", Why::Unreachable(said))
            })?;
            let remote = |Circuit { request, seen }: Circuit| Remote {
                id: Id(request.name.to_string()),
                name: Some(request.name),
                seen,
                rate: request.rate,
                until: request.span.until,
            };
            Ok(all.into_values().map(remote).collect())
        })
    }

    fn notices(&self) -> Answer<'_, Vec<(Id, Notice)>> {
        Box::pin(async move {
            Ok(std::mem::take(&mut *self.notices.lock().unwrap_or_else(PoisonError::into_inner)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use telesteer_circuit::request::{Best, Pair, Rate};
    use telesteer_circuit::time::Span;

    #[tokio::test]
    async fn a_file_remembers_circuits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("circuits.json");
        let name = Name::of(&Pair::new("r1", "r2"), At(7)).unwrap();
        let span = Span { from: At(7), until: Some(At(9)) };
        let (best, rate) = (Best::Hops, Rate::Unlimited);
        let request =
            Request { name: name.clone(), rate, span, best, off_ip_path: false, both: true };
        for kept in [Some(path.clone()), None] {
            let file = File::new(kept.clone());
            let Held { id, .. } = file.reserve(&request).await.unwrap();
            file.commit(&id).await.unwrap();
            file.provision(&id).await.unwrap();
            assert_eq!(file.notices().await.unwrap(), [(id.clone(), Notice::Active)]);
            file.extend(&id, None).await.unwrap();
            let other = if kept.is_some() { File::new(kept) } else { file };
            let list = other.list().await.unwrap();
            let expected = (Seen::Up, None, Some(name.clone()));
            assert_eq!((list[0].seen, list[0].until, list[0].name.clone()), expected);
            other.release(&id).await.unwrap();
            other.terminate(&id).await.unwrap();
            other.terminate(&id).await.unwrap();
            assert!(other.commit(&id).await.is_err());
            assert!(other.list().await.unwrap().is_empty());
        }
        fs::write(&path, "x").unwrap();
        let said = File::new(Some(path)).list().await.unwrap_err().to_string();
        assert!(said.contains("circuits.json"), "{said}");
    }
}
