//! Answers to `--help` and to unknown arguments, for benches that read their own arguments.

use std::fmt::Display;
use std::process::exit;

/// Prints the usage, and ends the process.
pub(crate) fn help(usage: &str) -> ! {
    println!("{usage}");
    exit(0)
}

/// Says what is wrong with the arguments, and ends the process.
pub(crate) fn refuse(message: impl Display, usage: &str) -> ! {
    eprintln!("{message}\n\n{usage}");
    exit(2)
}
