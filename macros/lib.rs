//! The attribute macros of `runtime`: [`macro@main`] and [`macro@test`].
//!
//! Use them as `#[runtime::main]` and `#[runtime::test]`. The crate `runtime` re-exports both.
//!
//! The code they generate names that crate. This crate knows only the names, the path of the builder and the
//! names of its methods. The compiler checks the values of options, at the builder.
//!
//! The macros read the tokens by hand, with what the compiler provides and without `syn` and `quote`.
//! Building those crates takes several times as long as building this one, and every user would have to wait
//! for it. Reading by hand is practical because the macros have to understand only the top level of a
//! function.
//!
//! ```text
//! the attribute's arguments ─► options.rs ─┐
//!                                          ├─► expand.rs ─► template.rs ─► the new function
//! the function ─────────────► item.rs ─────┘        └─────► error.rs ────► compile_error!
//! ```
//!
//! `select!` belongs to the library. If it is used wrongly, it calls `misuse.rs`, which finds the mistake.
//!
//! A macro can only be tested from outside: its behaviour in `tests/macros.rs`, its messages in `tests/ui/`.

mod error;
mod expand;
mod item;
mod misuse;
mod options;
mod template;

use expand::{Macro, expand};
use proc_macro::TokenStream;

/// Turns an `async fn` into a plain function that builds a runtime and blocks on the body.
///
/// The function keeps its attributes, visibility, generics and return type. In the body, `?` and `return`
/// work as in any `async fn`. The body need not be `Send`. When the body returns, the runtime is dropped, and
/// with it every task that has not finished.
///
/// The function need not be named `main`. A function with another name may have arguments and may be a
/// method. It can be called any number of times, from any thread that is not already inside of a runtime.
/// Each call builds a new runtime.
///
/// # Options
///
/// The attribute takes options in the form `#[runtime::main(name = value, …)]`. A value is any expression of
/// the right type.
///
/// | option | meaning |
/// |---|---|
/// | `start_paused`, `auto_advance_grace`, `event_interval`, `max_io_events_per_tick`, `timer_slack`, `name`, `max_blocking_threads`, `thread_keep_alive` | the same as the builder's method of that name |
/// | `crate` | the path of the crate `runtime` if it has another name: a path, or a string that contains one |
/// | `selector` | the same as the builder's method, or a name in quotes: `"epoll"`, `"epoll-level"`, `"kqueue"`, `"poll"`, `"select"` |
/// | `flavor` | `"current_thread"` or `"local"`; both name the only flavor there is |
///
/// # Panics
///
/// The function panics if the runtime cannot be built, for example because there are no file descriptors
/// left, and if it is called inside of another runtime on the same thread.
///
/// # Examples
///
/// ```
/// #[runtime::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let answer = runtime::spawn(async { "42".parse::<u32>() });
///     assert_eq!(answer.await??, 42);
///     Ok(())
/// }
/// ```
///
/// The attribute above is short for:
///
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     async fn body() -> Result<(), Box<dyn std::error::Error>> {
///         let answer = runtime::spawn(async { "42".parse::<u32>() });
///         assert_eq!(answer.await??, 42);
///         Ok(())
///     }
///
///     runtime::runtime::Builder::new_current_thread()
///         .enable_all()
///         .build()
///         .expect("cannot build the runtime")
///         .block_on(body())
/// }
/// ```
///
/// With options, and with arguments:
///
/// ```
/// use std::time::Duration;
///
/// #[runtime::main(event_interval = 31, timer_slack = Duration::from_micros(50))]
/// async fn wait(times: u32) -> u32 {
///     for _ in 0..times {
///         runtime::time::sleep(Duration::from_millis(1)).await;
///     }
///     times
/// }
///
/// assert_eq!(wait(3), 3);
/// ```
#[proc_macro_attribute]
pub fn main(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand(Macro::Main, arguments, function)
}

/// Turns an `async fn` into a test that runs on its own runtime.
///
/// The attribute replaces `#[test]`. It can be combined with `#[should_panic]` and `#[ignore]`, and the
/// function may return a `Result` as any test may. The options are the same as for [`macro@main`].
///
/// With `start_paused = true` the clock stands still while anything can run, and jumps to the next deadline
/// when nothing can, so a test of timeouts takes no time. While a task waits for a socket or a blocking call,
/// the clock jumps only after 10 ms of real time. `auto_advance_grace` sets another limit.
///
/// # Panics
///
/// The function panics in the same cases as for [`macro@main`].
///
/// # Examples
///
/// ```
/// # /* A test module is not compiled here, so the example is compiled as a `main` instead.
/// #[runtime::test(start_paused = true)]
/// # */
/// # #[runtime::main(start_paused = true)]
/// async fn an_hour_passes_at_once() -> std::io::Result<()> {
///     use runtime::time::{Instant, sleep};
///     use std::time::Duration;
///
///     let start = Instant::now();
///     sleep(Duration::from_secs(3600)).await;
///     assert!(start.elapsed() >= Duration::from_secs(3600));
///     Ok(())
/// }
/// # an_hour_passes_at_once().unwrap();
/// ```
#[proc_macro_attribute]
pub fn test(arguments: TokenStream, function: TokenStream) -> TokenStream {
    expand(Macro::Test, arguments, function)
}

/// Reports what is wrong in a `select!` that none of the macro's rules matches.
///
/// `select!` calls this macro. It is not meant to be called by hand.
#[doc(hidden)]
#[proc_macro]
pub fn select_misuse(tokens: TokenStream) -> TokenStream {
    misuse::expand(tokens)
}
