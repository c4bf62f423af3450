//! Encrypted file for some bytes, which survives restarts and protects the bytes from other readers
//! of the disk. It is replaced as a whole or not at all. A file that cannot be used is moved aside
//! and never deleted.
//!
//! The meaning and the age of the bytes are up to the caller. All functions block.

#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use aws_lc_rs::aead::Tag;
use rustix::fs::OFlags;
use rustix::io::Errno;
use secrecy::SecretString;

use crate::directory::persistence::encryption::{HEADER_BYTES, StateCipher, UnusableFile};

/// Permissions of the file: only the user that the server runs as may read and write it.
const FILE_MODE: u32 = 0o600;
/// Maximum number of files that are set aside next to each other.
const MAX_FILES_SET_ASIDE: u32 = 10_000;

/// Reason why the state was not written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation of the file system failed.
    #[error("the state file {} cannot be written: {step}: {error}", path.display())]
    Write {
        /// Path of the state file.
        path: PathBuf,
        /// Failed step.
        step: &'static str,
        /// Error of the file system.
        error: io::Error,
    },
    /// Another server is writing the same file.
    #[error("the state file {} is being written by another server", path.display())]
    Busy {
        /// Path of the state file.
        path: PathBuf,
    },
    /// The existing file cannot be used and cannot be moved aside either.
    #[error(
        "the state file {} {reason}; it cannot be set aside ({error}), so it is left as it is, and \
         no state is written",
        path.display()
    )]
    Occupied {
        /// Path of the state file.
        path: PathBuf,
        /// Reason why the file cannot be used.
        reason: String,
        /// Error of the file system.
        error: io::Error,
    },
    /// The cryptographic library failed, as it does without a source of random numbers.
    #[error("the state cannot be encrypted")]
    Encrypt,
}

/// Encrypted state file.
pub struct StateFile {
    path: PathBuf,
    cipher: StateCipher,
    /// Flag set when the existing file could neither be used nor moved aside.
    is_occupied: AtomicBool,
}

impl StateFile {
    /// Creates a handle of the file at `path`, encrypted with `key`. A file of another `owner` is
    /// not opened.
    #[must_use]
    pub fn new(path: PathBuf, key: &SecretString, owner: &str) -> Self {
        Self { path, cipher: StateCipher::new(key, owner), is_occupied: AtomicBool::new(false) }
    }

    /// Returns the content that was written last. A file that cannot be used is logged and set
    /// aside.
    #[must_use]
    pub fn read(&self) -> Option<Vec<u8>> {
        match self.read_content() {
            Ok(Some(content)) => Some(content),
            Ok(None) => {
                tracing::info!("there is no state file {} yet", self.path.display());
                None
            }
            Err(unusable) => {
                self.set_aside(&unusable.to_string());
                None
            }
        }
    }

    /// Replaces the file. A reader finds either the old content or the new, even after a crash. A
    /// vector is encrypted in place; other content is copied once.
    ///
    /// # Errors
    /// Returns an error when the file still has its old content, or may have it again if the
    /// machine loses power now.
    pub fn write(&self, content: impl Into<Vec<u8>>) -> Result<(), Error> {
        let mut content = content.into();
        let (header, tag) = self.cipher.encrypt(&mut content).map_err(|_| Error::Encrypt)?;
        let new_path = sibling(&self.path, ".new");
        let _lock = self.lock()?;
        let file = self.create_new_file(&new_path)?;
        self.set_aside_unusable()?;
        if let Err(error) = write_all_parts(&file, &header, &content, &tag) {
            // The partly written file is emptied, so that it takes no room on a full disk.
            let _ = file.set_len(0);
            return Err(self.write_error("writing the new file", error));
        }
        fs::rename(&new_path, &self.path)
            .map_err(|error| self.write_error("putting the new file in its place", error))?;
        let folder = File::open(parent(&self.path)).and_then(|folder| folder.sync_all());
        folder.map_err(|error| self.write_error("syncing the folder of the new file", error))
    }

    /// Moves the file aside and logs the `reason`, a phrase such as "is damaged".
    pub fn set_aside(&self, reason: &str) {
        if let Err(error) = self.try_set_aside(reason) {
            tracing::warn!("{error}");
        }
    }

    fn try_set_aside(&self, reason: &str) -> Result<(), Error> {
        let moved = move_aside(&self.path);
        self.is_occupied.store(moved.is_err(), Ordering::Relaxed);
        match moved {
            Ok(None) => Ok(()),
            Ok(Some(aside)) => {
                let path = self.path.display();
                let aside = aside.display();
                tracing::warn!("the state file {path} {reason}; it has been set aside as {aside}");
                Ok(())
            }
            Err(error) => {
                let reason = reason.to_owned();
                Err(Error::Occupied { path: self.path.clone(), reason, error })
            }
        }
    }

    fn read_content(&self) -> Result<Option<Vec<u8>>, UnusableFile> {
        let Some((mut file, header)) = self.open_checked()? else { return Ok(None) };
        // The buffer gets its full size at once; growing it would copy the content several times.
        let length = file
            .metadata()
            .map_err(UnusableFile::Unreadable)?
            .len()
            .saturating_sub(HEADER_BYTES as u64);
        let mut ciphertext = Vec::new();
        let capacity = usize::try_from(length).unwrap_or(usize::MAX);
        ciphertext
            .try_reserve_exact(capacity)
            .map_err(|_| UnusableFile::Unreadable(io::ErrorKind::OutOfMemory.into()))?;
        // The limit holds even if the file grows in the meantime.
        (&mut file).take(length).read_to_end(&mut ciphertext).map_err(UnusableFile::Unreadable)?;
        self.cipher.decrypt(&header, ciphertext).map(Some)
    }

    /// Opens the file, if there is one, and checks its header. Returns the file, positioned after
    /// the header, and the header.
    fn open_checked(&self) -> Result<Option<(File, Vec<u8>)>, UnusableFile> {
        let mut file =
            match OpenOptions::new().read(true).custom_flags(safe_open_flags()).open(&self.path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if is_not_regular(&error) => return Err(UnusableFile::NotRegular),
                Err(error) => return Err(UnusableFile::Unreadable(error)),
            };
        let metadata = file.metadata().map_err(UnusableFile::Unreadable)?;
        if !metadata.is_file() {
            return Err(UnusableFile::NotRegular);
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        (&mut file)
            .take(HEADER_BYTES as u64)
            .read_to_end(&mut header)
            .map_err(UnusableFile::Unreadable)?;
        self.cipher.check_header(&header, metadata.len())?;
        Ok(Some((file, header)))
    }

    /// Moves a file aside that must not be overwritten: one that could not be used when it was
    /// read, or one that another program has put there since.
    fn set_aside_unusable(&self) -> Result<(), Error> {
        if self.is_occupied.load(Ordering::Relaxed) {
            return self.try_set_aside("could not be used when it was read");
        }
        match self.open_checked() {
            Ok(_) => Ok(()),
            Err(unusable) => self.try_set_aside(&unusable.to_string()),
        }
    }

    /// Takes the lock that a server holds while it writes. It ends with the returned file. The lock
    /// file has no content and stays: a server that removed it would take it from another one.
    fn lock(&self) -> Result<File, Error> {
        let file = open_private(&sibling(&self.path, ".lock"))
            .map_err(|error| self.write_error("opening the lock file", error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Busy { path: self.path.clone() }),
            Err(TryLockError::Error(error)) => {
                Err(self.write_error("locking the lock file", error))
            }
        }
    }

    /// Opens the new file and empties it. A file that a crash left behind is overwritten.
    fn create_new_file(&self, new_path: &Path) -> Result<File, Error> {
        let file = open_private(new_path)
            .map_err(|error| self.write_error("creating the new file", error))?;
        file.set_len(0).map_err(|error| self.write_error("emptying the new file", error))?;
        file.set_permissions(Permissions::from_mode(FILE_MODE))
            .map_err(|error| self.write_error("protecting the new file", error))?;
        Ok(file)
    }

    fn write_error(&self, step: &'static str, error: io::Error) -> Error {
        Error::Write { path: self.path.clone(), step, error }
    }
}

fn write_all_parts(mut file: &File, header: &[u8], content: &[u8], tag: &Tag) -> io::Result<()> {
    file.write_all(header)?;
    file.write_all(content)?;
    file.write_all(tag.as_ref())?;
    file.sync_all()
}

/// Opens a regular file to write it, and creates it for the user of the server alone if there is
/// none. Its content stays.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(FILE_MODE);
    let file = options.custom_flags(safe_open_flags()).open(path)?;
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Returns the flags to open a path that may be anything: a link is not followed, and a pipe does
/// not block.
fn safe_open_flags() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

/// Reports whether opening failed because the path is a link, or a socket or pipe without another
/// end.
fn is_not_regular(error: &io::Error) -> bool {
    let errors = [Errno::LOOP, Errno::NXIO];
    errors.iter().any(|known| error.raw_os_error() == Some(known.raw_os_error()))
}

/// Renames the file to a free name next to it and returns that name, or `None` without a file.
fn move_aside(path: &Path) -> io::Result<Option<PathBuf>> {
    let is_folder = match fs::symlink_metadata(path) {
        Ok(of_path) => of_path.is_dir(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    for number in 1..=MAX_FILES_SET_ASIDE {
        let aside = sibling(path, &format!(".set-aside-{number}"));
        // An empty file or folder reserves the name first, and the rename replaces it. Otherwise
        // two servers that look for a free name at the same time could find the same one.
        let reserved =
            if is_folder { fs::create_dir(&aside) } else { File::create_new(&aside).map(drop) };
        match reserved {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        return match fs::rename(path, &aside) {
            Ok(()) => Ok(Some(aside)),
            Err(error) => {
                let _ = if is_folder { fs::remove_dir(&aside) } else { fs::remove_file(&aside) };
                if error.kind() == io::ErrorKind::NotFound { Ok(None) } else { Err(error) }
            }
        };
    }
    Err(io::Error::other(format!("{MAX_FILES_SET_ASIDE} files are set aside there already")))
}

fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = path.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    path.with_file_name(name)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}
