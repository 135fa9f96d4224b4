//! Nobody would pass them. The body is checked all the same, with its arguments in place.

#[runtime::main]
async fn main(count: usize, name: &str) -> Result<(), std::io::Error> {
    println!("{count} {name}");
    std::fs::read(name)?;
    Ok(())
}
