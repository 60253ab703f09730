//! Where the journal keeps its files: a small trait, so that the simulation can tear writes, fail
//! syncs and crash at any byte.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Named files with an append that becomes durable by a sync.
pub trait Storage: Send + Sync {
    /// The names of all files, sorted.
    ///
    /// # Errors
    /// What the system says.
    fn list(&self) -> io::Result<Vec<String>>;
    /// A whole file.
    ///
    /// # Errors
    /// What the system says; `NotFound` if there is none.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;
    /// A part of a file.
    ///
    /// # Errors
    /// What the system says; `UnexpectedEof` if it ends early.
    fn read_at(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>>;
    /// Appends, creating the file if there is none. Durable only after [`Storage::sync`].
    ///
    /// # Errors
    /// What the system says. After an error nothing is known about the file's tail.
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended to a file durable, its name included.
    ///
    /// # Errors
    /// What the system says. After an error nothing is known about what was appended.
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Replaces a whole file at once and durably: before it the old content holds, after it the new.
    ///
    /// # Errors
    /// What the system says; the old content then still holds, or the new.
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;
}

impl<S: Storage + ?Sized> Storage for Arc<S> {
    fn list(&self) -> io::Result<Vec<String>> {
        (**self).list()
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        (**self).read(name)
    }
    fn read_at(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        (**self).read_at(name, at, len)
    }
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).append(name, bytes)
    }
    fn sync(&self, name: &str) -> io::Result<()> {
        (**self).sync(name)
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        (**self).replace(name, bytes)
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A folder of a file system. One process at a time may write to it: an advisory lock on the
/// folder's `lock` file sees to that.
#[derive(Debug)]
pub struct DirStorage {
    dir: PathBuf,
    open: Mutex<HashMap<String, (File, bool)>>,
    _lock: Option<File>,
}

impl DirStorage {
    /// The folder, created if there is none, locked against other writers.
    ///
    /// # Errors
    /// What the system says; `WouldBlock` if another process has it.
    pub fn new(dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(dir.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(io::Error::new(
                    io::ErrorKind::WouldBlock,
                    "another process writes to this journal",
                ));
            }
            Err(std::fs::TryLockError::Error(error)) => return Err(error),
        }
        Ok(Self {
            dir: dir.to_owned(),
            open: Mutex::default(),
            _lock: Some(lock),
        })
    }

    /// The folder for reading only, while another process may write to it.
    #[must_use]
    pub fn read_only(dir: &Path) -> Self {
        Self {
            dir: dir.to_owned(),
            open: Mutex::default(),
            _lock: None,
        }
    }

    fn writable(&self) -> io::Result<()> {
        if self._lock.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "the journal was opened for reading only",
            ));
        }
        Ok(())
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }
}

impl Storage for DirStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Some(name) = entry.file_name().to_str()
                && name != "lock"
                && !name.ends_with(".part")
            {
                names.push(name.to_owned());
            }
        }
        names.sort();
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        std::fs::read(self.dir.join(name))
    }

    fn read_at(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut file = File::open(self.dir.join(name))?;
        file.seek(io::SeekFrom::Start(at))?;
        let mut bytes = vec![0; len];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        let mut open = lock(&self.open);
        if !open.contains_key(name) {
            let path = self.dir.join(name);
            let new = !path.exists();
            let file = OpenOptions::new().append(true).create(true).open(path)?;
            open.insert(name.to_owned(), (file, new));
        }
        match open.get_mut(name) {
            Some((file, _)) => file.write_all(bytes),
            None => Err(io::Error::other("the file was closed")),
        }
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let mut open = lock(&self.open);
        let Some((file, new)) = open.get_mut(name) else {
            return Ok(());
        };
        file.sync_data()?;
        if *new {
            self.sync_dir()?;
            *new = false;
        }
        Ok(())
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.writable()?;
        lock(&self.open).remove(name);
        let part = self.dir.join(format!("{name}.part"));
        let mut file = File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&part, self.dir.join(name))?;
        self.sync_dir()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.writable()?;
        lock(&self.open).remove(name);
        std::fs::remove_file(self.dir.join(name))?;
        self.sync_dir()
    }
}

/// Files in memory, for tests. Everything appended is at once durable.
#[derive(Debug, Clone, Default)]
pub struct MemStorage {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl MemStorage {
    /// No file at all.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Storage for MemStorage {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(lock(&self.files).keys().cloned().collect())
    }
    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        lock(&self.files)
            .get(name)
            .cloned()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
    fn read_at(&self, name: &str, at: u64, len: usize) -> io::Result<Vec<u8>> {
        let files = lock(&self.files);
        let file = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let at = usize::try_from(at).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        file.get(at..)
            .and_then(|rest| rest.get(..len))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
    fn append(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        lock(&self.files)
            .entry(name.to_owned())
            .or_default()
            .extend_from_slice(bytes);
        Ok(())
    }
    fn sync(&self, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        lock(&self.files).insert(name.to_owned(), bytes.to_vec());
        Ok(())
    }
    fn remove(&self, name: &str) -> io::Result<()> {
        lock(&self.files).remove(name);
        Ok(())
    }
}
