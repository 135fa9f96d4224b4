//! Each mistake has one error, which points to the place where something is missing or too much.

#![allow(unused_imports)]

use std::future::ready;

async fn no_branches() {
    runtime::select! {}
    runtime::select! { biased; }
}

async fn a_word_that_is_not_biased() {
    runtime::select! {
        fair;
        () = ready(()) => {}
    }
}

async fn no_arrow() {
    runtime::select! {
        n = ready(1) { n }
        _ = ready(2) => 2,
    };
    runtime::select! {
        n = ready(1), n,
        _ = ready(2) => 2,
    };
    runtime::select! {
        _ = ready(1) => 1,
        n = ready(2)
    };
    runtime::select! {
        _ = ready(1)
        n = ready(2) => n,
    };
}

async fn no_comma_after_a_handler() {
    runtime::select! {
        n = ready(1) => drop(n)
        n = ready(2) => drop(n),
    }
    runtime::select! {
        n = ready(1) => drop(n)
        (m, 1..=5) = ready((1, 2)), if true => drop(m),
    }
    runtime::select! {
        n = ready(1) => drop(n)
        else => {}
    }
}

async fn no_comma_before_a_condition() {
    runtime::select! {
        () = ready(()) if true => {}
    }
}

async fn no_equals() {
    runtime::select! {
        ready(()) => {}
    }
    runtime::select! {
        ready(()) => {}
        n = ready(1) => drop(n),
    }
    runtime::select! {
        n ready(1)
    }
}

async fn a_guard_of_the_pattern() {
    runtime::select! {
        Some(n) if n >= 1 = ready(Some(1)) => drop(n),
    }
}

async fn else_is_not_last() {
    runtime::select! {
        else => {}
        () = ready(()) => {}
    }
    runtime::select! {
        1 = ready(1) => {}
        else => {},
        2 = ready(2) => {}
    }
}

async fn two_else() {
    runtime::select! {
        1 = ready(1) => {}
        else => {}
        else => {}
    }
    runtime::select! {
        1 = ready(1) => {}
        else => drop(1),
        else => drop(2),
    }
}

async fn else_without_an_arrow() {
    runtime::select! {
        1 = ready(1) => {}
        else {}
    }
}

fn main() {}
