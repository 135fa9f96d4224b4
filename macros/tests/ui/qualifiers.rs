//! What an entry point cannot be. Arrows among the generics and braces in the return type confuse
//! nobody.

struct Array<const N: usize>;

#[runtime::main]
pub async unsafe extern "C" fn entry<F: Fn() -> u8>(call: F) -> Array<{ 1 + 1 }>
where
    F: Clone,
{
    call();
    Array
}

#[runtime::main]
const async fn main() {}
