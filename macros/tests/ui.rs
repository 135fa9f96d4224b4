//! Tests of programs that must not compile, and of the compiler's messages about them.
//!
//! Each file of `tests/ui/` is a program. Most show an error of the macros. Those named `law_…` show a rule
//! of the library that its types enforce. The `.stderr` file beside a program is the complete output of the
//! compiler, so that a second error caused by the first, or a wrong span, fails the test. After an intended
//! change, run `TRYBUILD=overwrite cargo test --test ui` and read the difference.
//!
//! The messages differ between compiler versions. They are compared only on the version that the files were
//! written with.

use std::process::Command;

/// The version of the compiler whose messages the files have.
const COMPARED_VERSION: &str = "1.95";

#[test]
#[cfg_attr(miri, ignore = "starts the compiler")]
fn messages() {
    let output = Command::new("rustc").arg("--version").output();
    let output = String::from_utf8(output.expect("rustc starts").stdout).expect("rustc speaks UTF-8");
    let version = output.split(' ').nth(1).expect("rustc tells its version");
    if !version.starts_with(&format!("{COMPARED_VERSION}.")) || version.contains('-') {
        eprintln!("the messages are those of Rust {COMPARED_VERSION}, and are not compared on {version}");
        return;
    }
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
