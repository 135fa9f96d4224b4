//! Files and folders, without blocking the loop.
//!
//! The names and meanings are those of [`std::fs`]. Most systems cannot tell when a file is ready, so a thread of the
//! blocking pool makes each call, and the task waits for it. The exception are reads of a [`File`], which Linux answers
//! at once if it has the bytes in memory.
//!
//! A call costs a hand-over to a thread and back, some 10 to 20 µs. So read or write a whole file by one call ([`read`],
//! [`write()`]) if it is small, and pass large buffers otherwise, for example by a `BufReader` or a `BufWriter`.
//!
//! # Threads
//!
//! Calls of this module occupy at most half of the threads of the pool
//! ([`Builder::max_blocking_threads`](crate::Builder::max_blocking_threads), 512 by default), and fewer if there are
//! fewer than 16. Further calls wait in a queue. So a disk that does not answer does not stop other blocking calls, and
//! slow look-ups of host names, which have a limit of their own, do not stop the calls of this module.
//!
//! A call that has begun cannot be stopped. Opening a FIFO lasts until another process opens its other end: as many such
//! calls as the limit stop all calls of this module. Use `net::unix::pipe` for FIFOs.
//!
//! # Cancel safety
//!
//! If the future of a function is dropped, a call that has not begun is not made. A call that has begun goes on, and its
//! result is dropped. No call uses memory of the caller: buffers and paths are copied, or moved to the thread and back.
//!
//! # Panics
//!
//! All functions panic if they are polled where no runtime is entered.
//!
//! # Examples
//!
//! ```
//! use runtime::fs::{self, File};
//! use runtime::io::{AsyncBufReadExt, BufReader};
//!
//! # runtime::block_on(async {
//! let length = fs::metadata("Cargo.toml").await?.len();
//! let mut lines = BufReader::new(File::open("Cargo.toml").await?).lines();
//! let mut count = 0;
//! while let Some(line) = lines.next_line().await? {
//!     count += line.len() as u64 + 1;
//! }
//! assert_eq!(count, length);
//! # std::io::Result::Ok(()) }).unwrap();
//! ```

mod call;
mod file;
mod folders;
mod open_options;
mod paths;
mod read_dir;

pub use file::File;
pub use folders::{create_dir, create_dir_all, remove_dir, remove_dir_all};
pub use open_options::{DirBuilder, OpenOptions};
pub use paths::{
    canonicalize, copy, hard_link, metadata, read, read_link, read_to_string, remove_file, rename,
    set_permissions, symlink, symlink_metadata, try_exists, write,
};
pub use read_dir::{DirEntry, ReadDir, read_dir};
#[doc(no_inline)]
pub use std::fs::FileTimes;
