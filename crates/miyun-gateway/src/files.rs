//! The files that a log is written to, behind a trait so that tests can make a disk fail.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
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

impl SegmentFile for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }
    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }
    fn cut(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }
}

impl Files for Disk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(path)?;
        file.sync_all()?;
        sync_dir(path.parent().unwrap_or(path))?;
        Ok(Box::new(file))
    }
    fn resume(&self, path: &Path, length: u64) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()?;
        Ok(Box::new(file))
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
