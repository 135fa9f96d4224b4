//! Errors in the body are reported in the body, even if the body became an async block.

use std::error::Error;

#[runtime::main]
async fn last_expression(count: u32) -> u32 {
    std::future::ready(count).await;
    "one"
}

#[runtime::main]
async fn nothing_returned() -> Result<(), Box<dyn Error>> {
    std::fs::read("file")?;
}

#[runtime::main]
async fn semicolon() -> u32 {
    1u32;
}

#[runtime::main]
async fn no_return_type() {
    5
}

#[runtime::main]
async fn never() -> ! {
    std::future::ready(()).await;
}

#[runtime::main]
async fn question_mark() {
    std::fs::read("file")?;
}

fn main() {}
