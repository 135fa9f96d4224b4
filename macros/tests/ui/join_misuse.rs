//! The messages say what the macros take.

#![allow(unused_imports)]

use std::future::ready;

async fn no_comma() {
    runtime::join!(ready(1) ready(2));
    runtime::try_join!(ready(Ok::<_, ()>(1)) ready(Ok::<_, ()>(2)));
}

async fn a_word_that_is_not_biased() {
    runtime::join!(fair; ready(1), ready(2));
    runtime::try_join!(fair; ready(Ok::<_, ()>(1)));
}

async fn biased_without_a_semicolon() {
    runtime::join!(biased ready(1), ready(2));
}

async fn semicolons() {
    runtime::join!(ready(1); ready(2));
}

fn main() {}
