//! The error stands on the word that shows it.

#[runtime::main]
struct Server;

#[runtime::main]
pub(crate) mod server {}

#[runtime::test]
const CALL: fn() = || {};

#[runtime::test]
impl Server {}

trait Entry {
    #[runtime::main]
    async fn entry();
}

fn main() {}
