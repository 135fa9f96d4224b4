//! Child processes: starting programs, their standard streams, and their end.
//!
//! [`Command`] has the methods of [`std::process::Command`]. [`spawn`](Command::spawn) starts the program and returns a
//! [`Child`], [`status`](Command::status) waits for its end, and [`output`](Command::output) also collects what it
//! prints.
//!
//! # Examples
//!
//! ```
//! use runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//! use runtime::process::Command;
//! use std::process::Stdio;
//!
//! # runtime::block_on(async {
//! let mut child = Command::new("sort").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
//! let mut stdin = child.stdin.take().expect("it is piped");
//! let stdout = child.stdout.take().expect("it is piped");
//!
//! stdin.write_all(b"pear\napple\n").await?;
//! drop(stdin); // The child reads the end of its input.
//!
//! let mut lines = BufReader::new(stdout).lines();
//! assert_eq!(lines.next_line().await?.as_deref(), Some("apple"));
//! assert_eq!(lines.next_line().await?.as_deref(), Some("pear"));
//! assert!(child.wait().await?.success());
//! # std::io::Result::Ok(()) }).unwrap();
//! ```
//!
//! # The end of a child
//!
//! The kernel keeps the exit status of a child, and with it the process id, until the parent has *reaped* the child.
//! [`Child::wait`], [`Child::try_wait`] and the methods that use them do so. Until then the id is that of the child and of
//! no other process, and afterwards no signal is sent to it any more.
//!
//! A [`Child`] that is dropped continues to run, unless [`kill_on_drop`](Command::kill_on_drop) is set. A task of the
//! runtime that is entered then waits for its end and reaps it. If there is no such runtime, or if it is dropped before
//! the end of the child, the child stays a *zombie* after its end until any thread of this program next spawns or drops a
//! child, or until this program ends.
//!
//! When `main` returns, the runtime is dropped and with it all tasks and their children. Those with
//! [`kill_on_drop`](Command::kill_on_drop) are killed. The others continue to run without a parent.
//!
//! # How the end is noticed
//!
//! On Linux the runtime watches a pidfd of the child, and on macOS and the BSDs a kqueue. Each running child takes a
//! descriptor. If the kernel (before Linux 5.3) or a sandbox has no pidfds, and on Android, `SIGCHLD` is listened for, as
//! a stream of [`signal`](crate::signal) does. Each child that has not been reaped takes a descriptor there too, which the
//! program keeps for later children and streams. No thread is started, and no other children of this program are waited
//! for.
//!
//! While a child is waited for, a paused clock waits as it does for a socket: see
//! [`auto_advance_grace`](crate::Builder::auto_advance_grace).
//!
//! Code that waits for *all* children of the program, as `waitpid(-1)` does, or that ignores `SIGCHLD`, takes away the exit
//! status. Then [`Child::wait`] returns the error `ECHILD`.
//!
//! Where children are watched by `SIGCHLD`, code that replaces the handler of this signal by `SIG_IGN` or `SIG_DFL` makes
//! [`Child::wait`] fail as soon as it is polled. A wait that is in progress then, and is not polled again, does not end.

// Three layers. `command.rs`, `child.rs` and `stdio.rs` are the public types, and hold no system calls. `guard.rs` knows
// whether a child has been reaped. `running.rs` is a child that has not been reaped; it is owned by a guard, or else by a
// task or the list in `orphans.rs`. `exit/` is how the system reports the end of one process.

mod child;
mod command;
mod command_unix;
mod exit;
mod guard;
mod orphans;
mod output;
mod running;
mod stdio;

pub use child::Child;
pub use command::Command;
pub use stdio::{ChildStderr, ChildStdin, ChildStdout};
