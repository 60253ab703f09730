//! A disk that fills up, tears writes and fails syncs, and a wall clock that jumps, at moments drawn
//! from a seed.

use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use miyun_gateway::files::{Disk, Files, SegmentFile};

/// SplitMix64.
#[derive(Debug)]
pub struct Random(AtomicU64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    pub fn below(&self, n: u64) -> u64 {
        let s = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        let mut z = s.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// One write or sync in so many fails.
const ONE_IN: u64 = 40;

pub struct Faulty {
    random: std::sync::Arc<Random>,
    /// Until when the disk is full.
    full: std::sync::Arc<Mutex<Option<Instant>>>,
}

impl Faulty {
    pub fn new(seed: u64) -> Self {
        Self {
            random: std::sync::Arc::new(Random::new(seed)),
            full: std::sync::Arc::default(),
        }
    }

    fn wrap(&self, file: Box<dyn SegmentFile>) -> Box<dyn SegmentFile> {
        Box::new(FaultyFile {
            file,
            random: std::sync::Arc::clone(&self.random),
            full: std::sync::Arc::clone(&self.full),
        })
    }
}

struct FaultyFile {
    file: Box<dyn SegmentFile>,
    random: std::sync::Arc<Random>,
    full: std::sync::Arc<Mutex<Option<Instant>>>,
}

impl SegmentFile for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut full = self.full.lock().unwrap();
        if self.random.below(ONE_IN) == 0 {
            *full = Some(Instant::now() + Duration::from_millis(self.random.below(300)));
        }
        if full.is_some_and(|until| Instant::now() < until) {
            // As a full disk does it: a part is written.
            let part = self.random.below(bytes.len() as u64 + 1) as usize;
            self.file.write(&bytes[..part])?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        if self.random.below(ONE_IN) == 0 {
            return Err(io::Error::other("the disk failed to sync"));
        }
        self.file.sync()
    }

    fn cut(&mut self, length: u64) -> io::Result<()> {
        if self.random.below(ONE_IN) == 0 {
            return Err(io::Error::other("the disk failed to cut"));
        }
        self.file.cut(length)
    }
}

impl Files for Faulty {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        Ok(self.wrap(Disk.create(path)?))
    }
    fn resume(&self, path: &Path, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        if self.random.below(ONE_IN) == 0 {
            return Err(io::Error::other("the disk failed to open"));
        }
        Ok(self.wrap(Disk.resume(path, length)?))
    }
}

/// A wall clock that jumps by up to a year, to and fro, about twice a second.
pub fn jumping(seed: u64) -> impl Fn() -> i64 + Send + Sync {
    let random = Random::new(seed);
    let by = Mutex::new((0, Instant::now()));
    move || {
        let mut by = by.lock().unwrap();
        if Instant::now() >= by.1 {
            let year = 31_536_000_000i64;
            by.0 = random.below(2 * year as u64) as i64 - year;
            by.1 = Instant::now() + Duration::from_millis(random.below(1_000));
        }
        miyun_gateway::clock::wall_ms() + by.0
    }
}
