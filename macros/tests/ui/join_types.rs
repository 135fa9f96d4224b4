//! Errors of types are those of the compiler, and point to what the user wrote.

use std::future::ready;

async fn not_a_future() {
    runtime::join!(ready(1), 2);
}

async fn not_a_result() {
    let _: Result<_, ()> = runtime::try_join!(ready(1), ready(Ok::<_, ()>(2)));
}

async fn errors_of_different_types() {
    let _: Result<_, u8> = runtime::try_join!(ready(Ok::<_, u8>(1)), ready(Ok::<_, u16>(2)));
}

fn main() {}
