//! Files with certificates or keys. They may have to be read before the process gives up its rights.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A PEM file. Only its path is ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    path: PathBuf,
    /// What was in it, where it was read before.
    pem: Option<Arc<[u8]>>,
}

impl From<PathBuf> for PemFile {
    /// A file that is read when it is needed.
    fn from(path: PathBuf) -> Self {
        Self { path, pem: None }
    }
}

impl PemFile {
    /// The file, read now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: PathBuf) -> io::Result<Self> {
        let pem = fs::read(&path)?;
        Ok(Self {
            path,
            pem: Some(pem.into()),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is in it, or was when it was read.
    pub(crate) fn text(&self) -> io::Result<Arc<[u8]>> {
        match &self.pem {
            Some(pem) => Ok(Arc::clone(pem)),
            None => fs::read(&self.path).map(Into::into),
        }
    }
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.fmt(f)
    }
}
