//! A single-threaded async runtime: one thread turns one loop.
//!
//! An executor runs tasks, a reactor over epoll, kqueue, poll or select wakes the tasks whose sockets are ready, and a
//! timer wheel supplies sleeps and timeouts. Tasks need not be `Send`, so they can share state through `Rc` and
//! `RefCell`, without locks. The crate is for servers, proxies and tools that want the most out of one core, and for
//! programs that run one such loop on each core.
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
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | [`runtime`] | [`Runtime`] and [`Builder`], which make and run a loop, and [`Handle`], which reaches it from other threads |
//! | [`task`] | [`spawn`], join handles and sets of them, `yield_now`, `spawn_blocking` |
//! | [`select!`], [`join!`], [`try_join!`], [`pin!`] | wait for several futures within one task |
//! | [`net`] | TCP, UDP, Unix sockets, pipes, and [`AsyncFd`](net::AsyncFd) for any other descriptor |
//! | [`sync`] | channels and locks between the tasks of one thread |
//! | [`time`] | sleeps, timeouts, intervals, and a clock that tests can pause |
//! | `fs` | files and folders |
//! | `process` | child processes, their streams and their end |
//! | `quinn` | QUIC, by the crate of that name |
//! | `signal` | signals, Ctrl-C, and the shutdown of a program |
//! | `hyper` | what hyper, axum and tower need of a runtime, and a server of HTTP |
//! | `tokio_context` | a context of tokio, for libraries that call tokio by its name |
//! | [`io`] | the traits of streams, with helpers to read, write and copy |
//! | `cores` | `PerCore`, which runs one async function on several threads, with a runtime on each |
//! | [`selector`] | epoll, kqueue, poll and select without async, for programs with a loop of their own |
//!
//! Names and signatures are those of tokio wherever they fit, so a program can often be ported by renaming. Unlike in
//! tokio, [`spawn`] does not need `Send`. `docs/porting-from-tokio.md` in the repository lists every item of tokio and
//! its counterpart here. Streams implement the traits of futures-io, and with the feature `tokio-io` those of tokio. The
//! channels and locks of [`sync`] are local to a thread; those of `tokio::sync` work on this runtime too.
//!
//! # Features
//!
//! | feature | what it adds | default |
//! |---|---|---|
//! | `macros` | `#[runtime::main]`, `#[runtime::test]` and `select!` | yes |
//! | `net` | TCP, and `AsyncFd` | yes |
//! | `sync` | the module `sync` | yes |
//! | `time` | the module `time` | yes |
//! | `udp` | `net::UdpSocket` | |
//! | `unix` | Unix sockets, and pipes | |
//! | `io-util` | `io::AsyncReadExt` and the other extension traits, buffered streams, `copy_bidirectional` and `duplex`; `splice` and `send_file`, with which the kernel moves the bytes | yes |
//! | `io-std` | `io::stdin`, `stdout`, `stderr` | |
//! | `cores` | the module `cores` | |
//! | `fs` | the module `fs` | |
//! | `process` | the module `process` | |
//! | `signal` | the module `signal` | |
//! | `tokio-io` | the traits of `tokio::io`, in addition to those of futures-io; methods that read into a `bytes::BufMut` | |
//! | `full` | all of the above | |
//! | `hyper` | the module `hyper`; not part of `full` | |
//! | `tokio-context` | the module `tokio_context`, which runs a thread of tokio; not part of `full` | |
//! | `hyper-client` | `hyper::Connector`, for the client of hyper-util, which compiles tokio's `net`; not part of `full` | |
//! | `quinn` | the module `quinn`; not part of `full` | |
//!
//! # One thread
//!
//! A runtime belongs to the thread that made it. It starts other threads only for
//! [`spawn_blocking`](task::spawn_blocking), for files and for looking up host names. A program that uses several cores makes a
//! runtime on each of several threads, as `cores` does. Sockets, timers and join handles are `Send`. Sockets and timers
//! may also be created on any thread: a socket is registered with the runtime in which it first has to wait.

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

#[cfg(feature = "fs")]
#[cfg_attr(docsrs, doc(cfg(feature = "fs")))]
pub mod fs;
#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub mod hyper;
pub mod io;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "process")]
#[cfg_attr(docsrs, doc(cfg(feature = "process")))]
pub mod process;
#[cfg(feature = "quinn")]
#[cfg_attr(docsrs, doc(cfg(feature = "quinn")))]
pub mod quinn;
// Without sockets nobody registers a descriptor.
#[cfg_attr(not(feature = "net"), allow(dead_code))]
pub mod runtime;
#[cfg(feature = "signal")]
#[cfg_attr(docsrs, doc(cfg(feature = "signal")))]
pub mod signal;
#[cfg(feature = "sync")]
#[cfg_attr(docsrs, doc(cfg(feature = "sync")))]
pub mod sync;
pub mod task;
#[cfg(feature = "time")]
pub mod time;
// The loop itself needs timers, so without the feature the module is only private.
#[cfg(not(feature = "time"))]
#[allow(dead_code, unused_imports, unreachable_pub)]
mod time;
#[cfg(feature = "tokio-context")]
#[cfg_attr(docsrs, doc(cfg(feature = "tokio-context")))]
pub mod tokio_context;

#[cfg(feature = "cores")]
#[cfg_attr(docsrs, doc(cfg(feature = "cores")))]
pub use runtime::cores;
pub use runtime::selector;
pub use runtime::{Builder, Handle, LocalRuntime, Runtime, block_on};
#[cfg(feature = "macros")]
pub use runtime_macros::{main, test};
pub use task::spawn;
