//! A path for a socket, a file or a folder that no other test has. What is there is removed with it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

pub(crate) struct TempPath(PathBuf);

impl TempPath {
    /// Creates a folder.
    pub(crate) fn folder() -> TempPath {
        let path = TempPath::new();
        std::fs::create_dir(&*path).unwrap();
        path
    }

    /// Creates a file.
    pub(crate) fn file(contents: &[u8]) -> TempPath {
        let path = TempPath::new();
        std::fs::write(&*path, contents).unwrap();
        path
    }

    pub(crate) fn new() -> TempPath {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        loop {
            let number = LAST.fetch_add(1, Relaxed);
            let path = std::env::temp_dir().join(format!("runtime-test-{}-{number}", std::process::id()));
            // An earlier process with this number that was killed may have left something behind.
            if path.symlink_metadata().is_err() {
                return TempPath(path);
            }
        }
    }
}

impl AsRef<Path> for TempPath {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Deref for TempPath {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempPath {
    fn drop(&mut self) {
        // There is nothing if the test has made nothing.
        if std::fs::remove_file(&self.0).is_err() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
