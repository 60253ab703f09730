//! Retention and packing of closed segments.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};

use super::format::BATCH_HEAD;
use super::{Position, Reader, segments};
use crate::GatewayError;
use crate::files::{sync_dir, write_whole};

/// How long frames are kept. The segment being written is never touched, nor one that a consumer
/// (lake, relay) has not read to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct Keeping {
    /// Closed segments older than this are packed (gzip); never if absent.
    pub pack_after_days: Option<u32>,
    /// Segments older than this are removed; never if absent. The heads of their batches stay, so
    /// that roots of days remain checkable.
    pub remove_after_days: Option<u32>,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Kept {
    /// Segments packed.
    pub packed: u64,
    /// Segments removed.
    pub removed: u64,
}

impl Keeping {
    /// Packs and removes what is due at `now_ms`; `needed` is the least position that a consumer
    /// still reads from.
    ///
    /// # Errors
    /// [`GatewayError`] if a file cannot be read or written; nothing is lost then.
    pub fn apply(&self, dir: &Path, needed: Position, now_ms: i64) -> Result<Kept, GatewayError> {
        let mut done = Kept::default();
        let all = segments(dir)?;
        for pair in all.windows(2) {
            let [(number, path), (next, _)] = pair else {
                continue;
            };
            if *next > needed.segment {
                break;
            }
            // A segment's last batch is as old as the first of the next one, or older.
            let mut reader = Reader::at(
                dir,
                Position {
                    segment: *next,
                    offset: 0,
                },
            );
            let Some(head) = reader.next_head()? else {
                break;
            };
            let age_days = (now_ms - head.time_ms) / 86_400_000;
            let due = |after: Option<u32>| after.is_some_and(|d| age_days >= i64::from(d));
            if due(self.remove_after_days) {
                remove(dir, *number, path)?;
                done.removed += 1;
            } else if due(self.pack_after_days) && path.extension().is_some_and(|e| e == "log") {
                pack(path)?;
                done.packed += 1;
            }
        }
        Ok(done)
    }
}

/// Removes a segment after its batch heads are on disk.
fn remove(dir: &Path, number: u64, path: &Path) -> Result<(), GatewayError> {
    let mut heads = Vec::new();
    let mut reader = Reader::at(
        dir,
        Position {
            segment: number,
            offset: 0,
        },
    );
    while let Some(h) = reader.next_head()? {
        let at = heads.len();
        h.put(&[], &mut heads);
        debug_assert_eq!(heads.len(), at + BATCH_HEAD);
    }
    let kept = dir.join(format!("frames-{number:012}.heads"));
    write_whole(&kept, &heads).map_err(|e| GatewayError::io(&kept, e))?;
    fs::remove_file(path).map_err(|e| GatewayError::io(path, e))?;
    sync_dir(dir).map_err(|e| GatewayError::io(dir, e))
}

/// Packs a segment; the packed file is compared with the original before that goes.
fn pack(path: &Path) -> Result<(), GatewayError> {
    let packed = path.with_extension("log.gz");
    let temporary = path.with_extension("tmp");
    let work = || -> io::Result<()> {
        let mut from = io::BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut to = GzEncoder::new(
            io::BufWriter::with_capacity(1 << 20, File::create(&temporary)?),
            Compression::fast(),
        );
        io::copy(&mut from, &mut to)?;
        let mut inner = to.finish()?;
        inner.flush()?;
        inner.get_ref().sync_all()?;
        let mut again = flate2::read::GzDecoder::new(io::BufReader::new(File::open(&temporary)?));
        let mut original = io::BufReader::new(File::open(path)?);
        if !same(&mut again, &mut original)? {
            return Err(io::Error::other("the packed copy differs from the segment"));
        }
        fs::rename(&temporary, &packed)?;
        sync_dir(path.parent().unwrap_or(path))?;
        fs::remove_file(path)?;
        sync_dir(path.parent().unwrap_or(path))
    };
    work().map_err(|e| GatewayError::io(path, e))
}

fn same(a: &mut impl io::Read, b: &mut impl io::Read) -> io::Result<bool> {
    let (mut x, mut y) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    loop {
        let n = fill(a, &mut x)?;
        if n != fill(b, &mut y)? || x[..n] != y[..n] {
            return Ok(false);
        }
        if n == 0 {
            return Ok(true);
        }
    }
}

fn fill(from: &mut impl io::Read, out: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < out.len() {
        match from.read(&mut out[n..])? {
            0 => break,
            k => n += k,
        }
    }
    Ok(n)
}
