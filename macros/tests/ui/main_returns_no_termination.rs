//! `main` can return only what any `main` can return.

#[runtime::main]
async fn main() -> u32 {
    5
}
