//! A single-threaded async runtime: one thread turns one loop.
//!
//! An executor drives a queue of tasks, a reactor over epoll or kqueue wakes them when their sockets are
//! ready, a timer wheel supplies sleeps and timeouts. Tasks need not be `Send`, so they share
//! state by `Rc` and `RefCell`, without locks; and since wakers are plain numbers, the loop runs
//! without a single atomic count.
//!
//! ```no_run
//! use runtime::io::{AsyncReadExt, AsyncWriteExt};
//! use runtime::net::TcpListener;
//!
//! #[runtime::main]
//! async fn main() -> std::io::Result<()> {
//!     let listener = TcpListener::bind("127.0.0.1:7000").await?;
//!     loop {
//!         let (mut stream, _) = listener.accept().await?;
//!         runtime::spawn(async move {
//!             let mut buffer = vec![0; 4096];
//!             while let Ok(count @ 1..) = stream.read(&mut buffer).await {
//!                 if stream.write_all(&buffer[..count]).await.is_err() {
//!                     break;
//!                 }
//!             }
//!         });
//!     }
//! }
//! ```
//!
//! # The map
//!
//! | module | what it has |
//! |---|---|
//! | [`runtime`] | [`Runtime`], [`Builder`], [`Handle`]: making a loop, and reaching it from other threads |
//! | [`task`] | [`spawn`], join handles, `yield_now`, `spawn_blocking` |
//! | [`net`] | TCP, UDP, Unix sockets, pipes, and [`AsyncFd`](net::AsyncFd) for any other descriptor |
//! | [`time`] | sleeps, timeouts, intervals, a clock that can be stopped for tests |
//! | [`io`] | the traits and helpers with which streams are read and written |
//! | `cores` | the same async function on several threads, with a runtime on each |
//! | [`selector`] | the multiplexers by themselves, for those who write their own loop |
//!
//! Names and meanings are tokio's wherever they fit: porting is a rename, and [`spawn`] drops its
//! `Send` bound. Streams implement the traits of futures-io.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `macros` | `#[runtime::main]` and `#[runtime::test]` | yes |
//! | `net` | TCP, and `AsyncFd` | yes |
//! | `time` | the module of that name | yes |
//! | `udp` | `net::UdpSocket` | |
//! | `unix` | Unix sockets, and pipes | |
//! | `io-util` | `io::copy_bidirectional`, `duplex`, and `splice` and `send_file`, by which the kernel moves the bytes | |
//! | `io-std` | `io::stdin`, `stdout`, `stderr` | |
//! | `cores` | the module of that name | |
//! | `tokio-io` | the traits of tokio's `io`, beside those of futures-io; methods with `bytes::BufMut` | |
//! | `full` | all of these | |
//!
//! # One thread
//!
//! A runtime belongs to the thread that made it, and starts no other unless asked (by
//! `spawn_blocking`, or to look up a name). For more cores, make a runtime on each: `cores`. Sockets, timers
//! and join handles are `Send`, and may be made anywhere: a socket binds to the runtime that first
//! polls it.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_pointer_width = "64"))]
compile_error!("`runtime` needs a 64-bit target: a waker is a 64-bit id in the place of a pointer");

#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
compile_error!("`runtime` needs epoll or kqueue: Linux, Android, macOS, iOS or one of the BSDs");

pub mod io;
#[cfg(feature = "net")]
pub mod net;
// Without sockets nobody registers a descriptor.
#[cfg_attr(not(feature = "net"), allow(dead_code))]
pub mod runtime;
pub mod task;
#[cfg(feature = "time")]
pub mod time;
// The loop cannot do without deadlines; only the module's door is closed.
#[cfg(not(feature = "time"))]
#[allow(dead_code, unused_imports, unreachable_pub)]
mod time;

#[cfg(feature = "cores")]
#[cfg_attr(docsrs, doc(cfg(feature = "cores")))]
pub use runtime::cores;
pub use runtime::selector;
pub use runtime::{Builder, Handle, Runtime, block_on};
#[cfg(feature = "macros")]
pub use runtime_macros::{main, test};
pub use task::spawn;
