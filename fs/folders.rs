//! The functions of `std::fs` that create and remove folders.
//!
//! Like those of `paths.rs`, each makes one call of std on a thread of the pool. Options for a new folder are in
//! `open_options.rs`.

use super::call::call;
use std::io;
use std::path::Path;

/// Creates a folder, whose parent exists.
///
/// # Errors
///
/// Returns the errors of mkdir(2).
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-create-dir-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let cache = folder.join("cache");
/// runtime::fs::create_dir(&cache).await?;
/// let error = runtime::fs::create_dir(&cache).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    call("fs::create_dir", move || std::fs::create_dir(path)).await
}

/// Creates a folder and all of its parents that do not exist. It is no error if the folder exists.
///
/// # Errors
///
/// Returns the errors of mkdir(2). Some of the parents may have been created.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-create-dir-all-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let logs = folder.join("var/log/service");
/// runtime::fs::create_dir_all(&logs).await?;
/// runtime::fs::create_dir_all(&logs).await?;
/// assert!(runtime::fs::metadata(&logs).await?.is_dir());
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    call("fs::create_dir_all", move || std::fs::create_dir_all(path)).await
}

/// Removes an empty folder.
///
/// # Errors
///
/// Returns the errors of rmdir(2), for example if the folder is not empty.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-remove-dir-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let spool = folder.join("spool");
/// runtime::fs::create_dir_all(spool.join("job")).await?;
/// let error = runtime::fs::remove_dir(&spool).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::DirectoryNotEmpty);
/// runtime::fs::remove_dir(spool.join("job")).await?;
/// runtime::fs::remove_dir(&spool).await?;
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    call("fs::remove_dir", move || std::fs::remove_dir(path)).await
}

/// Removes a folder with everything in it. Does not follow symbolic links.
///
/// # Errors
///
/// Returns the first error. Some of the contents may have been removed.
///
/// # Examples
///
/// ```
/// # let folder = std::env::temp_dir().join(format!("runtime-doc-fs-remove-dir-all-{}", std::process::id()));
/// # std::fs::create_dir(&folder).unwrap();
/// # runtime::block_on(async {
/// let build = folder.join("build");
/// runtime::fs::create_dir_all(build.join("debug/deps")).await?;
/// runtime::fs::remove_dir_all(&build).await?;
/// assert!(!runtime::fs::try_exists(&build).await?);
/// # std::fs::remove_dir_all(&folder)
/// # }).unwrap();
/// ```
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    call("fs::remove_dir_all", move || std::fs::remove_dir_all(path)).await
}
