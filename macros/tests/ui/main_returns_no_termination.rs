//! `main` can return what a `main` can return.

#[runtime::main]
async fn main() -> u32 {
    5
}
