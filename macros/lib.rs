//! The attribute macros of `runtime`: [`macro@main`] and [`macro@test`].
//!
//! Use them as `#[runtime::main]` and `#[runtime::test]`: the crate `runtime` re-exports both, and
//! what they write names it. Nothing of it is known here but those names, the builder's path and
//! its methods; a wrong value for an option is found by the compiler, at the builder.
//!
//! The tokens are read by hand, with what the compiler supplies and without `syn` and `quote`: to
//! build those takes several times as long as to build this, and every user would wait for it.
//! That is within reason because only the top level of a function has to be understood.
//!
//! ```text
//! the attribute's arguments ─► options.rs ─┐
//!                                          ├─► expand.rs ─► template.rs ─► the new function
//! the function ─────────────► item.rs ─────┘        └─────► error.rs ────► compile_error!
//! ```
//!
//! A macro can only be tried from outside: behaviour in `tests/macros.rs`, messages in `tests/ui/`.

mod error;
mod expand;
mod item;
mod options;
mod template;

use expand::{Macro, expand};
use proc_macro::TokenStream;

/// Makes an `async fn` a plain one, which builds a runtime and blocks on the body.
///
/// The function keeps its attributes, visibility, generics and return type; `?` and `return` mean
/// in the body what they mean in any `async fn`. The body need not be `Send`. What it has spawned
/// and not awaited is dropped with the runtime when it returns.
///
/// The name need not be `main`. A function of another name may have arguments, may be a method,
/// and can be called any number of times, each time with a runtime of its own, from any thread
/// that is not already inside of one.
///
/// # Options
///
/// `#[runtime::main(name = value, …)]`. A value is any expression of the right type.
///
/// | option | meaning |
/// |---|---|
/// | `start_paused`, `auto_advance_grace`, `event_interval`, `max_io_events_per_tick`, `timer_slack`, `name`, `max_blocking_threads`, `thread_keep_alive` | that of the builder's method of the same name |
/// | `crate` | where the crate `runtime` is found, if under another name: a path, or a string with one |
/// | `selector` | that of the builder's method; also a name in quotes: `"epoll"`, `"epoll-level"`, `"kqueue"`, `"poll"`, `"select"` |
/// | `flavor` | may be `"current_thread"` or `"local"`: both name the only one there is |
///
/// # Panics
///
/// The function panics if the runtime cannot be built, for want of file descriptors for instance,
/// and if it is called inside of another runtime on the same thread.
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
/// That is short for:
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

/// Makes an `async fn` a test, which runs on a runtime of its own.
///
/// It stands in the place of `#[test]`; `#[should_panic]` and `#[ignore]` go with it, and a
/// `Result` may be returned as from any test. The options are those of [`macro@main`]. With
/// `start_paused = true` the clock stands still while anything can run, and jumps to the next
/// deadline when nothing can: a test of timeouts takes no time. While a socket or a blocking call is waited for, it
/// jumps after 10 ms of real time; `auto_advance_grace` sets another limit.
///
/// # Panics
///
/// As for [`macro@main`].
///
/// # Examples
///
/// ```
/// # /* What is in a test module is not compiled here, so that the same is tried as a `main`.
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
