//! `#[runtime::main]` and `#[runtime::test]`, and the functions that they generate.
//!
//! A recorder stands in for the crate by `crate = recorder`, and records the calls on the builder. The tests of the
//! builder itself show that the calls do what they say.

use runtime::Handle;
use runtime::selector::Kind;
use runtime::time::{Instant, sleep};
use std::error::Error;
use std::fmt::{Debug, Display};
use std::future::ready;
use std::time::Duration;

/// A crate `recorder`, whose `block_on` returns the calls that were made besides the result.
mod recorder {
    pub(crate) mod runtime {
        use std::cell::RefCell;
        use std::fmt::Debug;
        use std::future::Future;

        thread_local! {
            static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
        }

        pub(crate) struct Builder;
        pub(crate) struct Runtime;

        pub(crate) fn calls() -> Vec<String> {
            CALLS.take()
        }

        fn record(call: &str, value: &dyn Debug) {
            CALLS.with_borrow_mut(|calls| calls.push(format!("{call} {value:?}")));
        }

        impl Builder {
            pub(crate) fn new_current_thread() -> Builder {
                record("new_current_thread", &());
                Builder
            }
            pub(crate) fn enable_all(&mut self) -> &mut Builder {
                record("enable_all", &());
                self
            }
            pub(crate) fn start_paused(&mut self, value: bool) -> &mut Builder {
                record("start_paused", &value);
                self
            }
            pub(crate) fn auto_advance_grace(&mut self, value: std::time::Duration) -> &mut Builder {
                record("auto_advance_grace", &value);
                self
            }
            pub(crate) fn event_interval(&mut self, value: u32) -> &mut Builder {
                record("event_interval", &value);
                self
            }
            pub(crate) fn max_io_events_per_tick(&mut self, value: usize) -> &mut Builder {
                record("max_io_events_per_tick", &value);
                self
            }
            pub(crate) fn timer_slack(&mut self, value: std::time::Duration) -> &mut Builder {
                record("timer_slack", &value);
                self
            }
            pub(crate) fn name(&mut self, value: &str) -> &mut Builder {
                record("name", &value);
                self
            }
            pub(crate) fn max_blocking_threads(&mut self, value: usize) -> &mut Builder {
                record("max_blocking_threads", &value);
                self
            }
            pub(crate) fn thread_keep_alive(&mut self, value: std::time::Duration) -> &mut Builder {
                record("thread_keep_alive", &value);
                self
            }
            pub(crate) fn build(&mut self) -> std::io::Result<Runtime> {
                record("build", &());
                Ok(Runtime)
            }
        }

        impl Runtime {
            pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
                record("block_on", &());
                super::super::poll_once(future)
            }
        }
    }
}

/// Returns the output of a future that is ready at once.
fn poll_once<F: Future>(future: F) -> F::Output {
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut cx) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the recorder polls once"),
    }
}

#[test]
fn without_arguments_the_defaults_are_kept() {
    #[runtime::main(crate = recorder)]
    async fn main() {}

    main();
    assert_eq!(
        recorder::runtime::calls(),
        ["new_current_thread ()", "enable_all ()", "build ()", "block_on ()"]
    );
}

#[test]
fn options_are_calls_on_the_builder_in_their_order() {
    const INTERVAL: u32 = 31;
    fn largest<A, B>(_: A, _: B) -> usize {
        size_of::<A>().max(size_of::<B>())
    }

    #[runtime::main(
        flavor = "current_thread",
        thread_keep_alive = Duration::from_secs(10) / 2,
        name = concat!("ma", "in"),
        crate = recorder,
        event_interval = INTERVAL * 2,
        max_io_events_per_tick = largest::<u8, u16>(1, 2),
        timer_slack = { let micros = 50; Duration::from_micros(micros) },
        max_blocking_threads = <Vec<(u8, u8)> as IntoIterator>::into_iter(vec![(1, 2)]).count(),
        start_paused = 1 < 2,
        auto_advance_grace = Duration::MAX.min(Duration::from_secs(1)),
    )]
    async fn main() {}

    main();
    assert_eq!(
        recorder::runtime::calls(),
        [
            "new_current_thread ()",
            "enable_all ()",
            "thread_keep_alive 5s",
            "name \"main\"",
            "event_interval 62",
            "max_io_events_per_tick 2",
            "timer_slack 50µs",
            "max_blocking_threads 1",
            "start_paused true",
            "auto_advance_grace 1s",
            "build ()",
            "block_on ()",
        ]
    );
}

#[test]
fn the_crate_is_a_path_or_a_string() {
    #[runtime::main(crate = self::recorder)]
    async fn path() -> u8 {
        1
    }
    #[runtime::main(crate = "crate::recorder")]
    async fn string() -> u8 {
        2
    }
    #[runtime::main(crate = r#"recorder"#)]
    async fn raw_string() -> u8 {
        3
    }
    #[runtime::main(crate = ::runtime)]
    async fn global() -> u8 {
        4
    }

    assert_eq!((path(), string(), raw_string()), (1, 2, 3));
    assert_eq!(recorder::runtime::calls().len(), 12);
    assert_eq!(global(), 4);
    assert_eq!(recorder::runtime::calls(), [""; 0]);
}

mod renamed {
    /// A dependency under another name: `runtime = { package = …, … }`.
    use runtime as other;

    #[other::test(crate = other)]
    async fn the_attribute_follows_the_crate() {
        other::task::yield_now().await;
    }
}

// These are the forms that `main` may have.

#[test]
fn main_runs_on_a_runtime_and_returns_the_value() {
    #[runtime::main]
    async fn main() -> u32 {
        runtime::spawn(async { 40 }).await.unwrap() + 2
    }

    assert_eq!(main(), 42);
    assert_eq!(main(), 42); // each call has a runtime of its own
}

#[test]
fn the_return_type_is_known_in_the_body() {
    #[runtime::main]
    async fn main() -> Result<u64, Box<dyn Error>> {
        if std::hint::black_box(false) {
            return Err(Box::new(std::fmt::Error)); // the type of the error is converted
        }
        let number = ready("7").await.parse()?; // the type is inferred
        Ok(number)
    }
    #[runtime::main]
    async fn entry(text: &str) -> Result<u64, Box<dyn Error>> {
        if text.is_empty() {
            return Err(Box::new(std::fmt::Error));
        }
        let number = ready(text).await.parse()?;
        Ok(number)
    }

    assert_eq!(main().unwrap(), 7);
    assert_eq!(entry("7").unwrap(), 7);
    assert!(entry("").unwrap_err().is::<std::fmt::Error>());
    assert!(entry("x").unwrap_err().is::<std::num::ParseIntError>());
}

#[test]
fn impl_trait_is_returned() {
    #[runtime::main]
    async fn main() -> impl Iterator<Item = impl Display> {
        ready(1..3).await
    }
    #[runtime::main]
    async fn entry(end: i32) -> Result<impl Iterator<Item = i32>, Box<dyn Error>> {
        Ok(ready(1..end).await)
    }

    assert_eq!(main().map(|item| item.to_string()).collect::<String>(), "12");
    assert_eq!(entry(3).unwrap().sum::<i32>(), 3);
}

#[test]
fn a_function_that_never_returns() {
    #[runtime::main]
    async fn main() -> ! {
        ready(()).await;
        std::panic::panic_any("main")
    }
    #[runtime::main]
    async fn entry(message: &'static str) -> ! {
        ready(()).await;
        std::panic::panic_any(message)
    }

    let panic = std::panic::catch_unwind(|| main()).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"main"));
    let panic = std::panic::catch_unwind(|| entry("entry")).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"entry"));
}

#[test]
fn an_entry_point_of_another_name_has_arguments() {
    struct Server<T> {
        name: T,
    }

    impl<T: Display> Server<T> {
        /// A function inside of this one could name neither `Self` nor `T`.
        #[runtime::main]
        async fn new(name: T) -> Self {
            let name: T = ready(name).await;
            Self { name }
        }

        #[runtime::main]
        #[must_use]
        pub(crate) async fn run(&self, mut rounds: usize, (a, _): (&str, u8)) -> String
        where
            T: Debug,
        {
            #![allow(clippy::needless_return)]
            let mut line = String::new();
            while rounds > 0 {
                runtime::task::yield_now().await;
                line += &format!("{} {:?} {a};", self.name, self.name);
                rounds -= 1;
            }
            return line;
        }
    }

    #[runtime::main]
    async fn longest<'a, T: AsRef<str> + ?Sized, F: Fn(&'a T) -> usize, const N: usize>(
        all: [&'a T; N],
        len: F,
    ) -> &'a str
    where
        [&'a T; N]: Copy,
    {
        ready(all).await.into_iter().max_by_key(|item| len(item)).map_or("", AsRef::as_ref)
    }

    assert_eq!(Server::new("x").run(2, ("y", 0)), "x \"x\" y;x \"x\" y;");
    assert_eq!(longest(["a", "ccc", "bb"], |item| item.len()), "ccc");
}

#[test]
fn arguments_are_dropped_inside_of_the_runtime() {
    struct Guard;
    impl Drop for Guard {
        fn drop(&mut self) {
            runtime::spawn(async {}).abort(); // panics if there is no runtime
        }
    }

    #[runtime::main]
    async fn entry(guard: Guard) {
        let _: &Guard = &guard;
        runtime::task::yield_now().await;
    }

    entry(Guard);
}

#[test]
fn names_of_the_expansion_meet_no_others() {
    #[runtime::main(crate = recorder, event_interval = value)]
    async fn entry(value: u32, future: u32) -> u32 {
        value + future
    }
    #[runtime::main]
    async fn r#main() -> u32 {
        fn value() -> u32 {
            3
        }
        value()
    }
    #[runtime::main]
    async fn r#try(n: u32) -> u32 {
        if n == 0 { n } else { std::thread::spawn(move || r#try(n - 1) + 1).join().unwrap() }
    }

    assert_eq!(entry(1, 2), 3);
    assert_eq!(recorder::runtime::calls()[2], "event_interval 1");
    assert_eq!(r#main(), 3);
    assert_eq!(r#try(2), 2);
}

/// The value of a `macro_rules!` variable arrives in an invisible group.
macro_rules! generate {
    ($(#[$meta:meta])* $visibility:vis $name:ident, $output:ty, $interval:expr, $flavor:literal, $root:path,
     $body:block) => {
        #[runtime::main(event_interval = $interval, flavor = $flavor, crate = $root)]
        $(#[$meta])*
        $visibility async fn $name() -> $output $body
    };
    ($name:ident) => {
        #[runtime::main(crate = $crate::recorder)]
        async fn $name() -> &'static str {
            stringify!($name)
        }
    };
    ($item:item) => {
        #[runtime::main]
        $item
    };
}

#[test]
fn functions_made_by_macros() {
    generate!(
        #[must_use]
        pub(crate) main, Vec<u8>, 60 + 1, "current_thread", recorder, { vec![1] }
    );
    generate!(private, u8, 62, r"current_thread", self::recorder, { 2 });
    generate!(
        /// A function with a doc comment.
        async fn item() -> u8 {
            3
        }
    );

    generate!(name);

    assert_eq!((main(), private(), item(), name()), (vec![1], 2, 3, "name"));
    let calls = recorder::runtime::calls();
    assert_eq!((&*calls[2], &*calls[7]), ("event_interval 61", "event_interval 62"));
}

// The tests of `#[test]` begin here.

#[runtime::test]
async fn a_test_runs_on_a_runtime() {
    assert_eq!(runtime::spawn(async { 1 }).await.unwrap(), 1);
}

#[runtime::test]
async fn a_test_may_return_a_result() -> Result<(), Box<dyn Error>> {
    let number: u8 = ready("1").await.parse()?;
    assert_eq!(number, 1);
    Ok(())
}

#[runtime::test]
async fn a_test_may_return_impl_trait() -> impl std::process::Termination {
    std::process::ExitCode::SUCCESS
}

#[runtime::test]
#[should_panic = "as it should"]
async fn a_test_may_be_one_that_panics() {
    ready(()).await;
    panic!("as it should");
}

#[runtime::test]
#[ignore = "must not run: the attribute is kept"]
async fn a_test_may_be_ignored() {
    panic!("the attribute was lost");
}

#[runtime::test]
#[cfg(any())]
async fn a_test_may_be_left_out() {
    compile_error!("the attribute was lost");
}

#[runtime::test]
async fn a_test_may_have_types_that_say_self() {
    #![allow(dead_code)]
    struct Unit;
    impl Unit {
        fn new() -> Self {
            Self
        }
    }
    let Unit = ready(Unit::new()).await;
}

#[runtime::test(start_paused = true)]
async fn a_test_may_start_with_the_clock_paused() {
    let start = (Instant::now(), std::time::Instant::now());
    sleep(Duration::from_secs(3600)).await;
    assert!(start.0.elapsed() >= Duration::from_secs(3600));
    assert!(start.1.elapsed() < Duration::from_secs(60));
}

#[runtime::test(
    flavor = "current_thread",
    start_paused = false,
    event_interval = 7,
    max_io_events_per_tick = 16,
    timer_slack = Duration::from_micros(10),
    name = "test",
    max_blocking_threads = 2,
    thread_keep_alive = Duration::from_millis(1)
)]
async fn the_builder_has_every_option() {
    sleep(Duration::from_micros(1)).await;
    assert_eq!(runtime::task::spawn_blocking(|| 1).await.unwrap(), 1);
}

#[test]
fn a_selector_is_named_in_quotes_or_by_an_expression() {
    const KIND: Kind = Kind::Select;

    #[runtime::main(selector = "poll", crate = runtime)]
    async fn quoted() -> Kind {
        Handle::current().selector()
    }

    #[runtime::main(selector = KIND)]
    async fn expressed() -> Kind {
        Handle::current().selector()
    }

    assert_eq!((quoted(), expressed()), (Kind::Poll, Kind::Select));
}
