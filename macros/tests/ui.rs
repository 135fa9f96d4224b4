//! What must not compile, and what the compiler says of it.
//!
//! Each file of `tests/ui/` is a program: most show an error of the macros, those named `law_…` a
//! law of the library that types keep. The `.stderr` beside it is the whole of the compiler's
//! answer, so that a second error that follows from the first, or a span that slips, fails here.
//! After a change that is meant: `TRYBUILD=overwrite cargo test --test ui`, and read the difference.
//!
//! The words change from one compiler to the next. They are compared on the toolchain that
//! `rust-version` names, and on no other.

use std::process::Command;

#[test]
#[cfg_attr(miri, ignore = "starts the compiler")]
fn messages() {
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let output = Command::new("rustc").arg("--version").output();
    let output = String::from_utf8(output.expect("rustc starts").stdout).expect("rustc speaks UTF-8");
    let version = output.split(' ').nth(1).expect("rustc tells its version");
    if !version.starts_with(&format!("{wanted}.")) || version.contains('-') {
        eprintln!("the messages are those of Rust {wanted}, and are not compared on {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
