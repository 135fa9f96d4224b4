//! An entry point cannot have these qualifiers. Arrows among the generics and braces in the return
//! type do not confuse the macro.

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
