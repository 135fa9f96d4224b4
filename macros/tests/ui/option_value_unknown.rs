//! A name in a value is looked up where the attribute stands.

#[runtime::main(event_interval = INTERVAL)]
async fn main() {
    const INTERVAL: u32 = 61;
}
