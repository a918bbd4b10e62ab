// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A folder that collectors write into: each of them, and each after its restart, has a file of its own,
//! and all of them are one input. What is handed on are whole lines, in the order in which they are seen.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Error, ErrorKind, Read, Result, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Between two looks at a folder in which nothing grows.
const LOOK: Duration = Duration::from_millis(100);
/// Octets of a file that are read before others have their turn; a longer line is handed on in parts.
const TURN: usize = 1 << 20;
/// Of files that are there at the start at most so many octets are read, the last ones.
const BACK: u64 = 16 << 20;
/// Most files. One more is an error: whoever keeps so many has to take some away.
const FILES: usize = 4096;

/// How far a file has been read.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: (u64, u64),
    offset: u64,
    /// Up to the next line break nothing is handed on: where reading began there was a line.
    inside: bool,
}

/// The files that are read, and how far.
#[derive(Debug)]
pub struct Folder {
    dir: PathBuf,
    places: BTreeMap<PathBuf, Place>,
    begun: bool,
}

/// Whether a collector's flow records are in a file of this name.
fn holds_flows(name: &str) -> bool {
    name.starts_with("flow-") && name.ends_with(".jsonl")
}

impl Folder {
    /// A folder of which nothing was read.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::read_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), places: BTreeMap::new(), begun: false })
    }

    /// Hands whole lines on until `stop` says so, or `take` wants no more.
    ///
    /// # Errors
    ///
    /// If the folder cannot be read, or has too many files.
    pub fn follow(
        &mut self,
        stop: impl Fn() -> bool,
        mut take: impl FnMut(&[u8]) -> bool,
    ) -> Result<()> {
        let mut chunk = vec![0; TURN];
        loop {
            let Some(more) = self.turn(&mut chunk, &mut take)? else { return Ok(()) };
            if stop() {
                return Ok(());
            }
            if !more {
                thread::sleep(LOOK);
            }
        }
    }

    /// Reads on in each file once. Whether anything was new; nothing if no more is wanted.
    fn turn(
        &mut self,
        chunk: &mut [u8],
        take: &mut impl FnMut(&[u8]) -> bool,
    ) -> Result<Option<bool>> {
        let (mut found, mut more) = (BTreeMap::new(), false);
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if !holds_flows(&entry.file_name().to_string_lossy()) {
                continue;
            }
            // One that is being taken away is no loss.
            let about = match entry.metadata() {
                Ok(about) => about,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            found.insert(entry.path(), ((about.dev(), about.ino()), about.len()));
        }
        if found.len() > FILES {
            let said = format!("{} files of flow records, {FILES} at most", found.len());
            return Err(Error::other(said));
        }
        self.places
            .retain(|path, place| found.get(path).is_some_and(|(file, _)| *file == place.file));
        for (path, (file, length)) in found {
            let begin = if self.begun { 0 } else { length.saturating_sub(BACK) };
            let fresh = Place { file, offset: begin, inside: begin > 0 };
            let place = self.places.entry(path.clone()).or_insert(fresh);
            if length < place.offset {
                *place = Place { file, offset: 0, inside: false };
            }
            if length > place.offset {
                let Some(read) = read_on(&path, place, chunk, take)? else { return Ok(None) };
                more |= read;
            }
        }
        self.begun = true;
        Ok(Some(more))
    }
}

/// Hands on the lines of a file behind its place. Whether there were any; nothing if no more is wanted.
fn read_on(
    path: &Path,
    place: &mut Place,
    chunk: &mut [u8],
    take: &mut impl FnMut(&[u8]) -> bool,
) -> Result<Option<bool>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(false)),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(place.offset))?;
    let mut length = 0;
    while let Some(room) = chunk.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let full = length == chunk.len();
    let octets = chunk.get(..length).unwrap_or_default();
    let whole = match octets.iter().rposition(|octet| *octet == b'\n') {
        Some(last) => last + 1,
        // No line is so long: whoever reads it will say what is wrong with it.
        None if full => length,
        None => return Ok(Some(false)),
    };
    let mut lines = octets.get(..whole).unwrap_or_default();
    place.offset += whole as u64;
    if place.inside {
        let end = lines.iter().position(|octet| *octet == b'\n');
        place.inside = end.is_none();
        lines = end.and_then(|end| lines.get(end + 1..)).unwrap_or_default();
    }
    if lines.is_empty() {
        return Ok(Some(true));
    }
    let broken = if lines.ends_with(b"\n") { &b""[..] } else { &b"\n"[..] };
    Ok((take(lines) && (broken.is_empty() || take(broken))).then_some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn put(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// What one turn hands on.
    fn turn(folder: &mut Folder) -> String {
        let (mut text, mut chunk) = (Vec::new(), vec![0; TURN]);
        let mut take = |lines: &[u8]| {
            text.extend_from_slice(lines);
            true
        };
        folder.turn(&mut chunk, &mut take).unwrap().unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn all_files_are_one_and_lines_stay_whole() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("flow-1-5.jsonl"), dir.path().join("flow-2-5.jsonl"));
        put(&one, "a\nb");
        put(&two, "c\n");
        put(&dir.path().join("bmp-1-5.jsonl"), "not this\n");
        let mut folder = Folder::open(dir.path()).unwrap();
        assert_eq!(turn(&mut folder), "a\nc\n");
        assert_eq!(turn(&mut folder), "");
        put(&one, "B\nd\n");
        assert_eq!(turn(&mut folder), "bB\nd\n");
        // A collector that was started again has another file.
        put(&dir.path().join("flow-1-9.jsonl"), "e\n");
        assert_eq!(turn(&mut folder), "e\n");
        // One that is written anew is read anew, one that is gone is not missed.
        fs::write(&one, "f\n").unwrap();
        fs::remove_file(&two).unwrap();
        assert_eq!(turn(&mut folder), "f\n");
        put(&two, "g\n");
        assert_eq!(turn(&mut folder), "g\n");
        assert!(Folder::open(&dir.path().join("none")).is_err());
    }

    #[test]
    fn of_what_was_there_before_the_end_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let line = "0123456789abcde\n";
        let path = dir.path().join("flow-1-1.jsonl");
        put(&path, &line.repeat(BACK as usize / line.len() + 1000));
        put(&path, "the last\n");
        let mut folder = Folder::open(dir.path()).unwrap();
        let mut text = String::new();
        loop {
            let more = turn(&mut folder);
            if more.is_empty() {
                break;
            }
            text += &more;
        }
        assert!(text.lines().all(|one| one == line.trim() || one == "the last"));
        assert!(text.ends_with("the last\n") && text.len() as u64 <= BACK);
        assert!(text.len() as u64 > BACK - 100);
        // And what comes later is read whole.
        let more = line.repeat(BACK as usize / line.len() + 1000);
        put(&dir.path().join("flow-2-2.jsonl"), &more);
        let mut later = 0;
        loop {
            match turn(&mut folder).len() {
                0 => break,
                length => later += length,
            }
        }
        assert_eq!(later, more.len());
    }

    #[test]
    fn a_line_without_an_end_goes_on_in_parts() {
        let dir = tempfile::tempdir().unwrap();
        put(&dir.path().join("flow-1-1.jsonl"), &"x".repeat(TURN + 5));
        let mut folder = Folder::open(dir.path()).unwrap();
        assert_eq!(turn(&mut folder).len(), TURN + 1);
        assert_eq!(turn(&mut folder), "");
    }
}
