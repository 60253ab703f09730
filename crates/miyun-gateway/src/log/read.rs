//! Reading batches in order, from any position, across segments, packed or not.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::{Deserialize, Serialize};

use super::format::{BATCH_HEAD, BatchHead, Records, unpack};
use crate::GatewayError;

/// A place in the log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize,
)]
pub struct Position {
    /// Segment, named by its first batch.
    pub segment: u64,
    /// Byte in it; 0 is its beginning.
    pub offset: u64,
}

/// A batch read back.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Its head.
    pub head: BatchHead,
    /// Its records.
    pub body: Vec<u8>,
    /// Where the next batch begins.
    pub end: Position,
}

impl Batch {
    /// Its records.
    #[must_use]
    pub fn records(&self) -> Records<'_> {
        Records(&self.body)
    }
}

pub(super) fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("frames-{number:012}.log"))
}

/// Segments of a log: number and file, in order. Of a packed and an unpacked file of one segment
/// the unpacked one counts.
///
/// # Errors
/// [`GatewayError`] if the folder cannot be read.
pub fn segments(dir: &Path) -> Result<Vec<(u64, PathBuf)>, GatewayError> {
    let mut out: Vec<(u64, PathBuf)> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|e| GatewayError::io(dir, e))? {
        let path = entry.map_err(|e| GatewayError::io(dir, e))?.path();
        let number = path.file_name().and_then(|n| n.to_str()).and_then(|n| {
            let n = n.strip_prefix("frames-")?;
            n.strip_suffix(".log")
                .or_else(|| n.strip_suffix(".log.gz"))?
                .parse()
                .ok()
        });
        if let Some(number) = number {
            out.push((number, path));
        }
    }
    // ".log" sorts before ".log.gz".
    out.sort();
    out.dedup_by_key(|(n, _)| *n);
    Ok(out)
}

/// Where the whole batches of a log end, as the files say: for those who read a log that another
/// process may be writing.
///
/// # Errors
/// [`GatewayError`] if the folder or its last segment cannot be read.
pub fn whole(dir: &Path) -> Result<Position, GatewayError> {
    let mut at = Position::default();
    if let Some((segment, _)) = segments(dir)?.pop() {
        let mut reader = Reader::at(dir, Position { segment, offset: 0 });
        while reader.next_intact()?.is_some() {}
        at = reader.position();
    }
    Ok(at)
}

/// Bytes behind `from` up to the last one that is not zero: what was reserved and never written is
/// not counted.
pub(super) fn written_beyond(path: &Path, from: u64) -> io::Result<u64> {
    let file = File::open(path)?;
    let (mut at, mut last) = (from, from);
    let mut block = vec![0; 1 << 20];
    loop {
        let n = file.read_at(&mut block, at)?;
        if n == 0 {
            return Ok(last - from);
        }
        if let Some(k) = block[..n].iter().rposition(|b| *b != 0) {
            last = at + k as u64 + 1;
        }
        at += n as u64;
    }
}

enum Source {
    Plain(File),
    /// Unpacks forward only.
    Packed(Box<GzDecoder<io::BufReader<File>>>, u64),
}

impl Source {
    fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(if path.extension().is_some_and(|e| e == "gz") {
            Self::Packed(Box::new(GzDecoder::new(io::BufReader::new(file))), 0)
        } else {
            Self::Plain(file)
        })
    }

    fn read_at(&mut self, out: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Self::Plain(f) => f.read_exact_at(out, offset),
            Self::Packed(d, at) => {
                if offset < *at {
                    return Err(io::Error::other("a packed segment is read forward only"));
                }
                io::copy(&mut d.by_ref().take(offset - *at), &mut io::sink())?;
                d.read_exact(out)?;
                *at = offset + out.len() as u64;
                Ok(())
            }
        }
    }
}

/// Reads a log forward.
pub struct Reader {
    dir: PathBuf,
    at: Position,
    source: Option<Source>,
    /// The segment after this one, once it is known.
    next: Option<u64>,
}

impl Reader {
    /// A reader at a position that an earlier reader or a receipt gave.
    #[must_use]
    pub fn at(dir: &Path, at: Position) -> Self {
        Self {
            dir: dir.to_owned(),
            at,
            source: None,
            next: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self) -> Position {
        self.at
    }

    /// The next batch that ends at or before `end`; `None` if there is none yet.
    ///
    /// # Errors
    /// [`GatewayError`] if a file cannot be read or a batch before `end` is damaged.
    pub fn next(&mut self, end: Position) -> Result<Option<Batch>, GatewayError> {
        loop {
            if self.at >= end {
                return Ok(None);
            }
            if self.source.is_none() && !self.enter(self.at)? {
                return Ok(None);
            }
            if self.at >= end {
                return Ok(None);
            }
            if let Some(batch) = self.next_intact()? {
                return Ok(Some(batch));
            }
            // Nothing more here: a later segment, or damage before the end.
            let later = segments(&self.dir)?
                .into_iter()
                .map(|(n, _)| n)
                .find(|n| *n > self.at.segment);
            match later {
                Some(n) if n <= end.segment => {
                    self.source = None;
                    self.at = Position {
                        segment: n,
                        offset: 0,
                    };
                }
                _ => {
                    return Err(GatewayError::Damaged {
                        path: segment_path(&self.dir, self.at.segment),
                        at: self.at.offset,
                        reason: "no whole batch stands here although one was acknowledged; restore the segment from a copy".into(),
                    });
                }
            }
        }
    }

    /// The next whole batch of this segment; `None` at its end or at a torn tail.
    pub(super) fn next_intact(&mut self) -> Result<Option<Batch>, GatewayError> {
        if self.source.is_none() && !self.enter(self.at)? {
            return Ok(None);
        }
        let Some(source) = self.source.as_mut() else {
            return Ok(None);
        };
        let mut head = [0; BATCH_HEAD];
        if source.read_at(&mut head, self.at.offset).is_err() {
            return Ok(None);
        }
        let Some(parsed) = BatchHead::parse(&head) else {
            return Ok(None);
        };
        if self.next.is_some_and(|n| parsed.number >= n) {
            return Ok(None);
        }
        let mut stored = vec![0; parsed.stored_len as usize];
        if source
            .read_at(&mut stored, self.at.offset + BATCH_HEAD as u64)
            .is_err()
            || !BatchHead::intact(&head, &stored)
        {
            return Ok(None);
        }
        let Some(body) = unpack(&parsed, stored) else {
            return Ok(None);
        };
        self.at.offset += BATCH_HEAD as u64 + u64::from(parsed.stored_len);
        Ok(Some(Batch {
            head: parsed,
            body,
            end: self.at,
        }))
    }

    /// Heads only, to the end of the segment: for trees over batch roots.
    pub(super) fn next_head(&mut self) -> Result<Option<BatchHead>, GatewayError> {
        if self.source.is_none() && !self.enter(self.at)? {
            return Ok(None);
        }
        let Some(source) = self.source.as_mut() else {
            return Ok(None);
        };
        let mut head = [0; BATCH_HEAD];
        if source.read_at(&mut head, self.at.offset).is_err() {
            return Ok(None);
        }
        let Some(parsed) = BatchHead::parse(&head) else {
            return Ok(None);
        };
        if self.next.is_some_and(|n| parsed.number >= n) {
            return Ok(None);
        }
        self.at.offset += BATCH_HEAD as u64 + u64::from(parsed.stored_len);
        Ok(Some(parsed))
    }

    /// Opens the segment of `at`, or the first after it; false if there is none.
    fn enter(&mut self, at: Position) -> Result<bool, GatewayError> {
        let all = segments(&self.dir)?;
        let Some(k) = all.iter().position(|(n, _)| *n >= at.segment) else {
            return Ok(false);
        };
        let (number, path) = &all[k];
        self.next = all.get(k + 1).map(|(n, _)| *n);
        let fail = |e| GatewayError::io(path, e);
        let mut source = Source::open(path).map_err(fail)?;
        let mut offset = if *number == at.segment { at.offset } else { 0 };
        if offset == 0 {
            let mut head = [0; 16];
            source.read_at(&mut head, 0).map_err(fail)?;
            offset = 16 + u64::from(u32::from_le_bytes([head[8], head[9], head[10], head[11]]));
        }
        self.at = Position {
            segment: *number,
            offset,
        };
        self.source = Some(source);
        Ok(true)
    }
}

/// Number of the first record at or after `at`; `None` if there is none.
///
/// # Errors
/// [`GatewayError`] if the log cannot be read.
pub fn first_record(dir: &Path, at: Position) -> Result<Option<u64>, GatewayError> {
    Ok(Reader::at(dir, at).next_head()?.map(|h| h.first))
}

/// Time of the first batch at or after `at`; `None` if there is none.
///
/// # Errors
/// [`GatewayError`] if the log cannot be read.
pub fn first_time(dir: &Path, at: Position) -> Result<Option<i64>, GatewayError> {
    Ok(Reader::at(dir, at).next_head()?.map(|h| h.time_ms))
}
