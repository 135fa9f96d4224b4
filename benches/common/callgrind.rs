//! User-space instructions, counted by valgrind's callgrind.
//!
//! The count does not depend on the load of the machine, but a program runs some fifty times as long. A count is of a
//! whole process. So a bench counts a process that does few operations and one that does many, and divides the
//! difference by the number of operations between them.

use std::env;
use std::io;
use std::process::{Command, Stdio};

/// Returns whether valgrind is installed.
pub(crate) fn is_installed() -> bool {
    let version =
        Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Returns a command that runs this executable again, under callgrind. Its standard error is a pipe.
pub(crate) fn command() -> io::Result<Command> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(env::current_exe()?);
    command.stderr(Stdio::piped());
    Ok(command)
}

/// Finds the number of instructions in what callgrind wrote to standard error.
///
/// # Panics
///
/// Panics if it is not there.
#[track_caller]
pub(crate) fn collected(text: &str) -> i64 {
    // "==1234== Collected : 12345678"
    let number = text.lines().find_map(|line| line.split_once("Collected : "));
    let number = number.and_then(|(_, number)| number.trim().parse().ok());
    number.unwrap_or_else(|| panic!("no count in valgrind's words:\n{text}"))
}
