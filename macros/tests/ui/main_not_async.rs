//! The error points to the `fn`, and is the only one: the `.await` counts as allowed.

#[runtime::main]
fn main() {
    std::future::ready(1).await;
}
