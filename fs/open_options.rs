//! Options with which a file is opened, and a folder is created.

use super::File;
use super::call::call;
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Options with which a file is opened. They are those of [`std::fs::OpenOptions`].
///
/// # Examples
///
/// ```
/// use runtime::fs::OpenOptions;
/// use runtime::io::AsyncWriteExt;
///
/// # runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("runtime-doc-options-{}", std::process::id()));
/// let mut log = OpenOptions::new().append(true).create(true).open(&path).await?;
/// log.write_all(b"started\n").await?;
/// log.flush().await?;
/// # std::fs::remove_file(path)
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct OpenOptions(std::fs::OpenOptions);

/// Implements the methods that set one option.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {$(
        $(#[$doc])*
        pub fn $name(&mut self, $name: $type) -> &mut OpenOptions {
            self.0.$name($name);
            self
        }
    )*};
}

impl OpenOptions {
    /// Returns options that are all `false`.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "tokio and std have no default either")]
    pub fn new() -> OpenOptions {
        OpenOptions(std::fs::OpenOptions::new())
    }

    options! {
        /// Sets whether the file can be read.
        read: bool;
        /// Sets whether the file can be written.
        write: bool;
        /// Sets whether every write goes to the end of the file. This implies `write`.
        append: bool;
        /// Sets whether the contents of an existing file are removed. This needs `write`.
        truncate: bool;
        /// Sets whether the file is created if it does not exist. This needs `write` or `append`.
        create: bool;
        /// Sets whether a file is created, and opening fails if it exists. `create` and `truncate` are then ignored.
        create_new: bool;
        /// Sets the permissions of a file that is created, from which the umask is subtracted. The default is `0o666`.
        mode: u32;
        /// Sets further flags of open(2), such as `libc::O_NOFOLLOW`.
        custom_flags: i32;
    }

    /// Opens the file.
    ///
    /// Opening a FIFO waits until another process opens its other end, and occupies a thread for this time, even if
    /// the future is dropped. Use `net::unix::pipe` for FIFOs (feature `unix`).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file may have been created or truncated. It does not stay open.
    ///
    /// # Errors
    ///
    /// Returns the errors of open(2), and [`InvalidInput`](io::ErrorKind::InvalidInput) for options that contradict each
    /// other.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        call("OpenOptions::open", move || options.open(path)).await.map(File::from_std)
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> OpenOptions {
        OpenOptions(options)
    }
}

/// Options with which a folder is created. They are those of [`std::fs::DirBuilder`].
///
/// # Examples
///
/// ```
/// use runtime::fs::DirBuilder;
///
/// # runtime::block_on(async {
/// # let path = std::env::temp_dir().join(format!("runtime-doc-builder-{}", std::process::id()));
/// DirBuilder::new().recursive(true).mode(0o700).create(path.join("private/keys")).await?;
/// # std::fs::remove_dir_all(path)
/// # }).unwrap();
/// ```
#[derive(Debug, Default)]
pub struct DirBuilder {
    is_recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// Returns options that create one folder with the default permissions.
    pub fn new() -> DirBuilder {
        DirBuilder::default()
    }

    /// Sets whether parents that do not exist are created as well, and whether the folder may exist already.
    pub fn recursive(&mut self, recursive: bool) -> &mut DirBuilder {
        self.is_recursive = recursive;
        self
    }

    /// Sets the permissions of the folder, from which the umask is subtracted. The default is `0o777`.
    pub fn mode(&mut self, mode: u32) -> &mut DirBuilder {
        self.mode = Some(mode);
        self
    }

    /// Creates the folder.
    ///
    /// # Errors
    ///
    /// Returns the errors of mkdir(2). Some of the parents may have been created.
    ///
    /// # Panics
    ///
    /// Panics if no runtime is entered on this thread.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.is_recursive);
        if let Some(mode) = self.mode {
            builder.mode(mode);
        }
        let path = path.as_ref().to_owned();
        call("DirBuilder::create", move || builder.create(path)).await
    }
}
