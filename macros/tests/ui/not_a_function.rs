//! The error points to the word that shows that the item is not a function.

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
