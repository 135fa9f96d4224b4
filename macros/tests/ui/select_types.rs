//! Errors of types in the parts of a branch are those of the compiler, and point to what the user wrote.

use std::future::ready;

async fn a_pattern_of_another_type() {
    runtime::select! {
        Some(n) = ready(1) => drop(n),
        _ = ready("2") => {}
    }
}

async fn a_condition_that_is_not_a_bool() {
    runtime::select! {
        n = ready(1), if 5 => drop(n),
        else => {}
    }
}

async fn handlers_of_different_types() -> u32 {
    runtime::select! {
        n = ready(1) => n,
        text = ready("2") => text,
    }
}

async fn not_a_future() {
    runtime::select! {
        n = 5 => drop(n),
    }
}

async fn a_variable_of_another_branch() {
    runtime::select! {
        n = ready(1) => drop(n),
        _ = ready(2), if n > 1 => {}
    }
}

async fn unused() {
    #![deny(unused_variables)]
    runtime::select! {
        unused = ready(1) => {}
    }
}

fn not_async() {
    runtime::select! {
        n = ready(1) => drop(n),
    }
}

fn main() {}
