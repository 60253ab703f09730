//! The files that a log is written to, behind a trait so that tests can make a disk fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// One segment being written.
pub trait SegmentFile: Send {
    /// Writes all of `bytes` at the end.
    ///
    /// # Errors
    /// Those of the disk; a part may have been written.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Returns once everything written is on the disk.
    ///
    /// # Errors
    /// Those of the disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file to `length`.
    ///
    /// # Errors
    /// Those of the disk.
    fn cut(&mut self, length: u64) -> io::Result<()>;
}

/// Where segments are made.
pub trait Files: Send {
    /// A new, empty segment file; its name is durable when this returns.
    ///
    /// # Errors
    /// Those of the disk.
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>>;
    /// An existing segment file, to be continued at `length`.
    ///
    /// # Errors
    /// Those of the disk.
    fn resume(&self, path: &Path, length: u64) -> io::Result<Box<dyn SegmentFile>>;
}

/// The machine's file system.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

/// A segment on the machine's file system. Its blocks are reserved ahead, so that a sync writes
/// data and not the file's growth; what is reserved and not yet written reads as zeros.
#[derive(Debug)]
struct Segment {
    file: File,
    at: u64,
    reserved: u64,
}

/// Bytes reserved at once.
const RESERVE: u64 = 32 << 20;

impl Segment {
    fn new(file: File, at: u64) -> Self {
        Self {
            file,
            at,
            reserved: at,
        }
    }
}

impl SegmentFile for Segment {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.at + bytes.len() as u64;
        if end > self.reserved {
            // Where it cannot be reserved (another file system, a disk that is nearly full) the
            // write itself says whether there is room.
            let more = RESERVE.max(bytes.len() as u64);
            let flags = rustix::fs::FallocateFlags::empty();
            if rustix::fs::fallocate(&self.file, flags, self.at, more).is_ok() {
                self.reserved = self.at + more;
            }
        }
        self.file.write_all_at(bytes, self.at)?;
        self.at = end;
        Ok(())
    }
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.file.set_len(length)?;
        (self.at, self.reserved) = (length, length);
        Ok(())
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().create_new(true).write(true).open(path)?;
        file.sync_all()?;
        sync_dir(path.parent().unwrap_or(path))?;
        Ok(Box::new(Segment::new(file, 0)))
    }
    fn resume(&self, path: &Path, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()?;
        Ok(Box::new(Segment::new(file, length)))
    }
}

/// Makes new names of a folder durable.
///
/// # Errors
/// Those of the disk.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Writes a file so that it is there whole or not at all.
///
/// # Errors
/// Those of the disk.
pub fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    sync_dir(path.parent().unwrap_or(path))
}
