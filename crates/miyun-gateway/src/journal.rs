//! A small file of JSON lines that people and processes append to: each line names the SHA-256 of
//! the line before, and is on disk before the append returns.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::GatewayError;
use crate::merkle;

/// Longest line taken.
const LINE_MAX: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Line<T> {
    /// SHA-256 of the line before, without its line feed; empty in the first.
    after: String,
    #[serde(flatten)]
    entry: T,
}

/// A journal of entries of type `T`.
#[derive(Debug)]
pub struct Journal<T> {
    path: PathBuf,
    read_to: u64,
    last: String,
    entry: PhantomData<T>,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// The journal at `path`, made if absent. A torn last line is cut.
    ///
    /// # Errors
    /// [`GatewayError`] if the file cannot be used.
    pub fn open(path: &Path) -> Result<Self, GatewayError> {
        let fail = |e| GatewayError::io(path, e);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(fail)?;
        }
        if !path.exists() {
            let file = private(path).map_err(fail)?;
            file.sync_all().map_err(fail)?;
            crate::files::sync_dir(path.parent().unwrap_or(path)).map_err(fail)?;
        }
        Ok(Self {
            path: path.to_owned(),
            read_to: 0,
            last: String::new(),
            entry: PhantomData,
        })
    }

    /// Entries that were appended since the last call, by whomever.
    ///
    /// # Errors
    /// [`GatewayError`] if a line does not parse or does not follow the one before: somebody
    /// changed the past.
    pub fn news(&mut self) -> Result<Vec<T>, GatewayError> {
        let fail = |e| GatewayError::io(&self.path, e);
        let mut file = File::open(&self.path).map_err(fail)?;
        if file.metadata().map_err(fail)?.len() <= self.read_to {
            return Ok(Vec::new());
        }
        file.seek(SeekFrom::Start(self.read_to)).map_err(fail)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(fail)?;
        let mut out = Vec::new();
        let mut rest = bytes.as_slice();
        // What follows the last line feed is being written, or was torn.
        while let Some(end) = rest.iter().position(|b| *b == b'\n') {
            let (line, after) = (&rest[..end], &rest[end + 1..]);
            let parsed: Line<T> =
                serde_json::from_slice(line).map_err(|e| self.damaged(&e.to_string()))?;
            if parsed.after != self.last {
                return Err(self.damaged("a line does not follow the one before it"));
            }
            self.last = hex::encode(merkle::sha256(line));
            self.read_to += end as u64 + 1;
            out.push(parsed.entry);
            rest = after;
        }
        Ok(out)
    }

    /// Appends entries and returns everything that is new since the last [`Journal::news`], these
    /// included, once it is on disk.
    ///
    /// # Errors
    /// [`GatewayError`] if the disk refuses.
    pub fn append(&mut self, entries: &[T]) -> Result<Vec<T>, GatewayError> {
        let path = self.path.clone();
        let fail = |e| GatewayError::io(&path, e);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(&self.path)
            .map_err(fail)?;
        // One writer at a time, over all processes; the lock goes with the file.
        file.lock().map_err(fail)?;
        let mut out = self.news()?;
        file.set_len(self.read_to).map_err(fail)?;
        let mut text = Vec::new();
        let mut last = self.last.clone();
        for entry in entries {
            let line = serde_json::to_vec(&Line { after: last, entry })
                .map_err(|e| self.damaged(&e.to_string()))?;
            if line.len() > LINE_MAX {
                return Err(self.damaged("an entry is longer than a line may be"));
            }
            last = hex::encode(merkle::sha256(&line));
            text.extend_from_slice(&line);
            text.push(b'\n');
        }
        let written = file.write_all(&text).and_then(|()| file.sync_data());
        if let Err(e) = written {
            let _ = file.set_len(self.read_to);
            return Err(fail(e));
        }
        out.extend(self.news()?);
        Ok(out)
    }

    fn damaged(&self, reason: &str) -> GatewayError {
        GatewayError::Damaged {
            path: self.path.clone(),
            at: self.read_to,
            reason: reason.to_owned(),
        }
    }
}

/// A new file that only its owner reads: the registry holds keys.
fn private(path: &Path) -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_writers_one_order_and_a_torn_line_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        let entry = |n: i32| serde_json::json!({ "n": n });
        let mut a: Journal<serde_json::Value> = Journal::open(&path).unwrap();
        let mut b: Journal<serde_json::Value> = Journal::open(&path).unwrap();
        assert_eq!(a.append(&[entry(1)]).unwrap(), [entry(1)]);
        assert_eq!(b.append(&[entry(2)]).unwrap(), [entry(1), entry(2)]);
        assert_eq!(a.news().unwrap(), [entry(2)]);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"after\":\"").unwrap();
        assert!(a.news().unwrap().is_empty());
        a.append(&[entry(3)]).unwrap();
        let mut c: Journal<serde_json::Value> = Journal::open(&path).unwrap();
        assert_eq!(c.news().unwrap(), [entry(1), entry(2), entry(3)]);
    }

    #[test]
    fn a_changed_line_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.jsonl");
        let mut a: Journal<serde_json::Value> = Journal::open(&path).unwrap();
        for n in 1..4 {
            a.append(&[serde_json::json!({ "n": n })]).unwrap();
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"n\":2", "\"n\":7")).unwrap();
        let mut b: Journal<serde_json::Value> = Journal::open(&path).unwrap();
        assert!(matches!(b.news(), Err(GatewayError::Damaged { .. })));
    }
}
