//! No caller could pass arguments to `main`. The body is still checked, with its arguments in scope.

#[runtime::main]
async fn main(count: usize, name: &str) -> Result<(), std::io::Error> {
    println!("{count} {name}");
    std::fs::read(name)?;
    Ok(())
}
