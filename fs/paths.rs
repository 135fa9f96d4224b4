//! The functions of `std::fs` that take a path, except for those that create and remove folders.
//!
//! Each makes one call of std on a thread of the pool. [`fs`](super) says what holds for all of them.

use super::call::call;
use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

/// Reads a whole file.
///
/// # Errors
///
/// Returns the errors of opening and reading the file.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let manifest = runtime::fs::read("Cargo.toml").await?;
/// assert!(manifest.starts_with(b"[workspace]"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref().to_owned();
    call("fs::read", move || std::fs::read(path)).await
}

/// Reads a whole file as text.
///
/// # Errors
///
/// Returns the errors of opening and reading the file, and [`InvalidData`](io::ErrorKind::InvalidData) if it is not
/// UTF-8.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let manifest = runtime::fs::read_to_string("Cargo.toml").await?;
/// assert!(manifest.lines().any(|line| line == "[package]"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref().to_owned();
    call("fs::read_to_string", move || std::fs::read_to_string(path)).await
}

/// Writes a whole file. Creates it if it does not exist, and replaces its contents if it does.
///
/// The contents are copied first.
///
/// # Errors
///
/// Returns the errors of opening and writing the file. It may then hold a part of the contents.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-write-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let path = folder.join("note");
/// runtime::fs::write(&path, "remember").await?;
/// assert_eq!(runtime::fs::read_to_string(&path).await?, "remember");
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let (path, contents) = (path.as_ref().to_owned(), contents.as_ref().to_owned());
    call("fs::write", move || std::fs::write(path, contents)).await
}

/// Copies the contents and the permissions of a file, within the kernel where that is possible. Returns the number of
/// bytes copied.
///
/// # Errors
///
/// Returns the errors of opening, reading and writing the files, and [`InvalidInput`](io::ErrorKind::InvalidInput) if
/// `from` is not a regular file.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-copy-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let saved = folder.join("Cargo.toml.orig");
/// let length = runtime::fs::copy("Cargo.toml", &saved).await?;
/// assert_eq!(runtime::fs::metadata(&saved).await?.len(), length);
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<u64, io::Error> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    let copy = move || {
        // Asked before std does, which opens the file first: opening a FIFO waits for another process.
        if !std::fs::metadata(&from)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "only regular files can be copied"));
        }
        std::fs::copy(from, to)
    };
    call("fs::copy", copy).await
}

/// Returns the metadata of a file or a folder. Follows symbolic links.
///
/// # Errors
///
/// Returns the errors of stat(2).
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let metadata = runtime::fs::metadata("Cargo.toml").await?;
/// assert!(metadata.is_file() && metadata.len() > 0);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    call("fs::metadata", move || std::fs::metadata(path)).await
}

/// Returns the metadata of a file, a folder or a symbolic link.
///
/// # Errors
///
/// Returns the errors of lstat(2).
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-symlink-metadata-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let link = folder.join("link");
/// runtime::fs::symlink("nowhere", &link).await?;
/// assert!(runtime::fs::symlink_metadata(&link).await?.is_symlink());
/// assert!(runtime::fs::metadata(&link).await.is_err());
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    call("fs::symlink_metadata", move || std::fs::symlink_metadata(path)).await
}

/// Returns whether a path exists. Follows symbolic links.
///
/// # Errors
///
/// Returns an error if that cannot be known, for example because a folder on the way cannot be searched.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// assert!(runtime::fs::try_exists("Cargo.toml").await?);
/// assert!(!runtime::fs::try_exists("no-such-file").await?);
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref().to_owned();
    call("fs::try_exists", move || std::fs::exists(path)).await
}

/// Returns the absolute path without symbolic links, `.` and `..`.
///
/// # Errors
///
/// Returns the errors of realpath(3), for example if the path does not exist.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let path = runtime::fs::canonicalize("./tests/../Cargo.toml").await?;
/// assert!(path.is_absolute() && path.ends_with("Cargo.toml"));
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    call("fs::canonicalize", move || std::fs::canonicalize(path)).await
}

/// Returns the path that a symbolic link contains.
///
/// # Errors
///
/// Returns the errors of readlink(2), for example if the path is not a symbolic link.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-read-link-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let link = folder.join("current");
/// runtime::fs::symlink("release-7", &link).await?;
/// assert_eq!(runtime::fs::read_link(&link).await?.to_str(), Some("release-7"));
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    call("fs::read_link", move || std::fs::read_link(path)).await
}

/// Gives a file or a folder another name, and replaces a file of that name.
///
/// # Errors
///
/// Returns the errors of rename(2), for example if the two names are on different file systems.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-rename-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let (draft, finished) = (folder.join("draft"), folder.join("finished"));
/// runtime::fs::write(&draft, "text").await?;
/// runtime::fs::rename(&draft, &finished).await?;
/// assert!(!runtime::fs::try_exists(&draft).await?);
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    call("fs::rename", move || std::fs::rename(from, to)).await
}

/// Gives a file a further name.
///
/// # Errors
///
/// Returns the errors of link(2), for example if the two names are on different file systems.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-hard-link-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let (name, other) = (folder.join("name"), folder.join("other"));
/// runtime::fs::write(&name, "text").await?;
/// runtime::fs::hard_link(&name, &other).await?;
/// runtime::fs::remove_file(&name).await?;
/// assert_eq!(runtime::fs::read(&other).await?, b"text");
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    call("fs::hard_link", move || std::fs::hard_link(original, link)).await
}

/// Creates a symbolic link to a path, which need not exist. A relative path begins at the folder of the link.
///
/// # Errors
///
/// Returns the errors of symlink(2).
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-symlink-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// runtime::fs::write(folder.join("log.2"), "text").await?;
/// runtime::fs::symlink("log.2", folder.join("latest")).await?;
/// assert_eq!(runtime::fs::read(folder.join("latest")).await?, b"text");
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let (original, link) = (original.as_ref().to_owned(), link.as_ref().to_owned());
    call("fs::symlink", move || std::os::unix::fs::symlink(original, link)).await
}

/// Changes the permissions of a file or a folder.
///
/// # Errors
///
/// Returns the errors of chmod(2).
///
/// # Examples
///
/// ```
/// use runtime::fs;
/// use std::fs::Permissions;
/// use std::os::unix::fs::PermissionsExt;
///
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-permissions-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let key = folder.join("key");
/// fs::write(&key, "secret").await?;
/// fs::set_permissions(&key, Permissions::from_mode(0o600)).await?;
/// assert_eq!(fs::metadata(&key).await?.permissions().mode() & 0o777, 0o600);
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn set_permissions(path: impl AsRef<Path>, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    call("fs::set_permissions", move || std::fs::set_permissions(path, perm)).await
}

/// Removes the name of a file. The file is removed with its last name, when it is no longer open.
///
/// # Errors
///
/// Returns the errors of unlink(2).
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-remove-file-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let path = folder.join("lock");
/// runtime::fs::write(&path, "").await?;
/// runtime::fs::remove_file(&path).await?;
/// let error = runtime::fs::remove_file(&path).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    call("fs::remove_file", move || std::fs::remove_file(path)).await
}
