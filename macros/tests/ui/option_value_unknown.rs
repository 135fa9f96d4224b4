//! A name in a value is resolved where the attribute is written.

#[runtime::main(event_interval = INTERVAL)]
async fn main() {
    const INTERVAL: u32 = 61;
}
