//! `select!`: which branch is chosen, what is evaluated and polled until then, and what the handlers may do.

mod common;

use common::{
    Count, CountingWaker, OnDrop, Trace, TraceOnDrop, poll_to_end, rounds, run, run_paused, traced,
};
use futures_lite::{StreamExt, stream};
use runtime::task::coop::{consume_budget, has_budget_remaining};
use runtime::time::{Duration, Instant, sleep, sleep_until};
use runtime::{pin, select, spawn};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::{IntoFuture, Ready, pending, poll_fn, ready};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin as pinned;
use std::task::{Context, Poll};

#[test]
fn the_handler_of_the_branch_that_is_ready_gives_the_value() {
    run(async {
        let value = select! {
            number = async { 7 } => number + 1,
            _ = pending::<()>() => 0,
        };
        assert_eq!(value, 8);
    });
}

#[test]
fn handlers_are_blocks_or_expressions_with_commas() {
    run(async {
        async fn choose(n: usize) -> &'static str {
            let is = |m| if n == m { ready(()).left() } else { ready(()).right() };
            select! {
                () = is(0) => { "a block" }
                () = is(1) => { "a block with a comma" },
                () = is(2), if n < 9 => { "a block after a condition" }
                () = is(3), if n < 9 => { "a block with a comma after a condition" },
                () = is(4) => "an expression",
                () = is(5), if n < 9 => "an expression after a condition",
                () = is(6) => match n { 6 => "an expression with braces", _ => "" },
                () = is(7) => HashMap::<u8, &str>::from_iter([(7, "commas between angle brackets")])[&7],
                () = is(8) => "the last, without a comma"
            }
        }
        let mut seen = Vec::new();
        for n in 0..9 {
            seen.push(choose(n).await);
        }
        assert_eq!(seen.iter().filter(|text| text.contains("block")).count(), 4);
        assert_eq!(seen[7], "commas between angle brackets");
        assert_eq!(seen[8], "the last, without a comma");
    });
}

/// A future that is ready, or that never is.
trait Sides: Sized {
    fn left(self) -> Side;
    fn right(self) -> Side;
}

struct Side(bool);

impl Sides for Ready<()> {
    fn left(self) -> Side {
        Side(true)
    }
    fn right(self) -> Side {
        Side(false)
    }
}

impl Future for Side {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.0 { Poll::Ready(()) } else { Poll::Pending }
    }
}

#[test]
fn patterns_take_outputs_apart() {
    struct Point {
        x: i32,
        y: i32,
    }
    run(async {
        select! {
            Point { x, y: 2 } = async { Point { x: 1, y: 2 } } => assert_eq!(x, 1),
        }
        select! {
            (mut text, ref number) = async { (String::from("a"), 5) } => {
                text.push('b');
                assert_eq!((text.as_str(), *number), ("ab", 5));
            }
        }
        select! {
            Ok(n) | Err(n) = async { Err::<u8, u8>(3) } => assert_eq!(n, 3),
        }
        select! {
            all @ [first, .., last] = async { [1, 2, 3] } => assert_eq!((all, first, last), ([1, 2, 3], 1, 3)),
        }
        select! {
            1..=9 = async { 5 } => {}
        }
        select! {
            Some(ref mut inside) = async { Some(Box::new(1)) } => {
                **inside += 1;
                assert_eq!(**inside, 2);
            }
        }
        // A pattern may look through a reference, and the branch may lend what it has borrowed.
        let mut lent = Some(1);
        select! {
            Some(inside) = async { &mut lent } => *inside = 2,
            else => {}
        }
        assert_eq!(lent, Some(2));
    });
}

#[test]
fn a_disabled_branch_is_evaluated_and_never_polled() {
    let trace = Trace::default();
    let note = |word: &'static str, value: bool| {
        trace.push(word);
        value
    };
    poll_to_end(async {
        let future = |name| {
            trace.push(format!("make {name}"));
            traced(&trace, name, 1)
        };
        select! {
            biased;
            _ = future("first"), if note("condition 1", false) => unreachable!(),
            name = future("second"), if note("condition 2", true) => assert_eq!(name, "second"),
            _ = future("third"), if note("condition 3", false) => unreachable!(),
        }
    });
    let expected = [
        "condition 1",
        "condition 2",
        "condition 3",
        "make first",
        "make second",
        "make third",
        "poll second",
        "first",
        "second",
        "third",
    ];
    assert_eq!(trace.take(), expected);
}

#[test]
fn a_branch_that_does_not_match_is_disabled_and_the_others_go_on() {
    let trace = Trace::default();
    let chosen = poll_to_end(async {
        select! {
            biased;
            "none" = traced(&trace, "first", 1) => "first",
            "second" = traced(&trace, "second", 3) => "second",
            else => "else",
        }
    });
    assert_eq!(chosen, "second");
    let polls: Vec<_> = trace.take().into_iter().filter(|event| event.starts_with("poll")).collect();
    assert_eq!(polls, ["poll first", "poll second", "poll second", "poll second"]);
}

#[test]
fn else_runs_when_all_branches_are_disabled() {
    run(async {
        let by_condition = select! {
            () = pending(), if false => "branch",
            else => "else",
        };
        let by_pattern = select! {
            Some(()) = async { None } => "branch",
            1 = async { 2 } => "branch",
            else => "else"
        };
        let in_a_later_poll = select! {
            Some(()) = async { runtime::task::yield_now().await; None } => "branch",
            else => { "else" }
        };
        let alone = select! { else => "else" };
        assert_eq!([by_condition, by_pattern, in_a_later_poll, alone], ["else"; 4]);
    });
}

#[test]
fn without_else_the_panic_points_to_the_line_of_the_macro() {
    thread_local! {
        static LINE: Cell<u32> = const { Cell::new(0) };
    }
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let location = info.location().filter(|location| location.file() == file!());
        LINE.set(location.map_or(0, |location| location.line()));
        hook(info);
    }));
    let line = line!() + 2;
    let future = async {
        select! {
            Some(()) = async { None } => {}
            () = pending(), if false => {}
        }
    };
    let panic = catch_unwind(AssertUnwindSafe(|| poll_to_end(future))).unwrap_err();
    assert!(common::message(&*panic).contains("no `else` branch"), "{}", common::message(&*panic));
    assert_eq!(LINE.get(), line);
}

#[test]
fn all_futures_are_dropped_in_order_before_the_handler_runs() {
    let trace = Trace::default();
    poll_to_end(async {
        select! {
            biased;
            _ = traced(&trace, "first", 9) => {}
            _ = traced(&trace, "second", 1) => trace.push("handler"),
            _ = traced(&trace, "third", 9) => {}
        }
    });
    assert_eq!(trace.take(), ["poll first", "poll second", "first", "second", "third", "handler"]);
}

#[test]
fn handlers_use_what_the_branches_have_borrowed() {
    run(async {
        let mut count = 1;
        let mut list = vec![1, 2];
        select! {
            sum = async { list.iter().sum::<i32>() + count } => {
                list.push(sum);
                count += 1;
            }
            () = async { pending::<()>().await; assert!(list.is_empty()) }, if count < 5 => {
                count += 1;
                list.clear();
            }
        }
        assert_eq!((list, count), (vec![1, 2, 4], 2));
    });
}

#[test]
fn question_mark_return_break_and_continue_work_in_every_part() {
    async fn question_mark(handler: bool) -> Result<u32, std::num::ParseIntError> {
        let number = select! {
            text = async { if handler { "x" } else { "1" } } => text.parse::<u32>()?,
        };
        let ready = select! {
            number = ready("2".parse::<u32>()?), if "3".parse::<u32>()? == 3 => number,
        };
        Ok(number + ready)
    }
    async fn returns(early: bool) -> u32 {
        select! {
            () = async {}, if early => return 1,
            else => {}
        }
        2
    }
    run(async {
        assert_eq!(question_mark(false).await, Ok(3));
        assert!(question_mark(true).await.is_err());
        assert_eq!((returns(true).await, returns(false).await), (1, 2));
        let mut rounds = 0;
        let value = 'outer: loop {
            loop {
                rounds += 1;
                select! {
                    () = async {}, if rounds < 3 => continue,
                    () = async {}, if rounds == 3 => continue 'outer,
                    () = async {}, if rounds == 4 => break,
                    else => break 'outer rounds,
                }
            }
        };
        assert_eq!(value, 5);
        let awaited = select! {
            number = ready(async { 1 }.await), if async { true }.await => async { number + 1 }.await,
        };
        assert_eq!(awaited, 2);
    });
}

#[test]
fn a_future_by_reference_goes_on_in_the_next_round_of_a_loop() {
    run_paused(async {
        let start = Instant::now();
        let long = sleep(Duration::from_millis(95));
        pin!(long);
        let mut short = 0;
        loop {
            select! {
                () = &mut long => break,
                () = sleep(Duration::from_millis(10)) => short += 1,
            }
        }
        assert_eq!(short, 9);
        assert_eq!(start.elapsed().as_millis(), 95);
    });
}

/// A value that is not a future, but can become one.
struct Answer;

impl IntoFuture for Answer {
    type Output = u32;
    type IntoFuture = Ready<u32>;

    fn into_future(self) -> Ready<u32> {
        ready(42)
    }
}

#[test]
fn temporaries_live_as_in_a_let() {
    run(async {
        // A reference to a temporary future gets the lifetime of the block,
        select! {
            () = &mut sleep(Duration::from_micros(1)) => {}
        }
        // and a guard that is only needed to make the future is dropped before anything is polled.
        let cell = RefCell::new(3);
        let make = |number: &mut i32| ready(*number);
        select! {
            number = make(&mut cell.borrow_mut()), if *cell.borrow() == 3 => assert_eq!(number, 3),
            number = async { *cell.borrow_mut() } => assert_eq!(number, 3),
        }
        select! {
            number = Answer => assert_eq!(number, 42),
        }
    });
}

#[test]
fn an_output_is_dropped_when_its_branch_does_not_match_and_after_the_handler_if_it_does() {
    let trace = Trace::default();
    poll_to_end(async {
        select! {
            biased;
            None = async { Some(TraceOnDrop(trace.clone(), "mismatch")) } => {}
            _ = async { TraceOnDrop(trace.clone(), "ignored") } => trace.push("handler"),
        }
    });
    assert_eq!(trace.take(), ["mismatch", "handler", "ignored"]);
}

#[test]
#[allow(unreachable_patterns, reason = "these branches are never chosen")]
fn a_branch_may_have_no_output_at_all() {
    run(async {
        async fn forever() -> ! {
            pending().await
        }
        let chosen = select! {
            never = pending::<Infallible>() => match never {},
            _ = forever() => 1,
            () = async {} => 2,
        };
        assert_eq!(chosen, 2);
    });
}

#[test]
fn selects_are_nested() {
    run(async {
        let value = select! {
            inner = async { select! { n = async { 1 } => n, () = pending() => 0 } } => {
                select! { n = async { inner + 1 } => select! { m = async { n + 1 } => m } }
            }
        };
        assert_eq!(value, 3);
    });
}

#[test]
fn a_spent_budget_makes_the_macro_yield_before_it_polls_a_branch() {
    run(async {
        let polls = Count::default();
        let select = async {
            select! {
                () = poll_fn(|_| { polls.add(); Poll::Ready(()) }) => {}
            }
        };
        let task = async {
            // The whole budget, in this poll.
            while has_budget_remaining() {
                consume_budget().await;
            }
            let mut select = pinned!(select);
            let first = poll_fn(|cx| Poll::Ready(select.as_mut().poll(cx))).await;
            assert!(first.is_pending());
            assert_eq!(polls.get(), 0);
            select.await;
            assert_eq!(polls.get(), 1);
        };
        task.await;
    });
}

#[test]
fn a_loop_over_something_that_is_always_ready_lets_other_tasks_run() {
    run(async {
        let stop = std::rc::Rc::new(Cell::new(false));
        let stopper = stop.clone();
        spawn(async move { stopper.set(true) });
        while !stop.get() {
            select! {
                biased;
                () = consume_budget() => {}
                () = pending() => {}
            }
        }
    });
}

#[test]
fn a_waker_that_any_branch_keeps_wakes_the_whole() {
    let (counting, waker) = CountingWaker::new();
    let mut cx = Context::from_waker(&waker);
    let slot = common::WakerSlot::default();
    let polls = Count::default();
    let mut future = pinned!(async {
        select! {
            () = slot.wait(&polls) => {}
            () = pending() => {}
        }
    });
    assert!(future.as_mut().poll(&mut cx).is_pending());
    slot.get().wake();
    assert_eq!((counting.wakes(), polls.get()), (1, 1));
    assert!(future.as_mut().poll(&mut cx).is_pending());
    assert_eq!(polls.get(), 2);
}

#[test]
fn a_panic_in_a_branch_drops_all_branches() {
    let dropped = Count::default();
    let future = async {
        let guard = || {
            let dropped = dropped.clone();
            OnDrop::new(move || _ = dropped.add())
        };
        let (first, third) = (guard(), guard());
        select! {
            biased;
            () = async { let _first = first; pending().await } => {}
            () = async { common::panic_quietly("meant") } => {}
            () = async move { let _third = third; pending().await } => {}
        }
    };
    assert!(catch_unwind(AssertUnwindSafe(|| poll_to_end(future))).is_err());
    assert_eq!(dropped.get(), 2);
}

/// A select once took twice the memory of its futures: the values from which they were made kept theirs.
#[test]
fn a_select_takes_the_memory_of_its_futures_and_little_more() {
    async fn big() -> u8 {
        let bytes = [1u8; 1000];
        runtime::task::yield_now().await;
        bytes[500]
    }
    let alone = size_of_val(&big());
    let both = size_of_val(&async {
        select! {
            _ = big() => {}
            _ = big() => {}
        }
    });
    assert!(both <= 2 * alone + 64, "{both} bytes for two futures of {alone}");
}

/// Connections are made, and timers fire, at random times. Each connection is accepted, or is still in the backlog: a
/// dropped `accept` never takes one along.
#[cfg(not(miri))]
#[test]
fn accepting_beside_a_timer_loses_no_connection() {
    use common::temp_path::TempPath;
    use runtime::net::{UnixListener, UnixStream};
    use std::rc::Rc;

    let rounds = rounds(100_000, 5_000, 0);
    run(async move {
        let path = TempPath::new();
        let listener = UnixListener::bind(&*path).unwrap();
        let connected = Rc::new(Cell::new(0));
        let random = |state: &mut u32| {
            *state ^= *state << 13;
            *state ^= *state >> 17;
            *state ^= *state << 5;
            Duration::from_micros(u64::from(*state % 32))
        };
        let counter = connected.clone();
        let client = spawn(async move {
            let mut state = 1;
            for _ in 0..rounds {
                sleep(random(&mut state)).await;
                drop(UnixStream::connect(&*path).await.unwrap());
                counter.set(counter.get() + 1);
            }
        });
        let (mut accepted, mut fired, mut state) = (0, 0, 2);
        while !client.is_finished() {
            select! {
                stream = listener.accept() => {
                    drop(stream.unwrap());
                    accepted += 1;
                }
                () = sleep(random(&mut state)) => fired += 1,
            }
        }
        client.await.unwrap();
        // The kernel is asked for the backlog, since the loop may not have seen the last events yet.
        let backlog = listener.into_std().unwrap();
        backlog.set_nonblocking(true).unwrap();
        let queued = backlog.incoming().take_while(Result::is_ok).count();
        assert_eq!(connected.get(), rounds);
        assert_eq!(accepted + queued, rounds);
        assert!(accepted > 0 && fired > 0, "{accepted} accepted, {fired} timers");
    });
}

// The examples of tokio's documentation.

#[test]
fn two_handles_of_tasks() {
    run(async {
        let one = spawn(async { 1 });
        let two = spawn(pending::<u32>());
        let value = select! {
            one = one => one.unwrap(),
            two = two => two.unwrap(),
        };
        assert_eq!(value, 1);
    });
}

#[test]
fn collecting_two_streams() {
    run(async {
        let mut first = stream::iter(vec![1, 2, 3]);
        let mut second = stream::iter(vec![4, 5, 6]);
        let mut values = Vec::new();
        loop {
            select! {
                v = first.next(), if values.len() < 100 => match v { Some(v) => values.push(v), None => break },
                Some(v) = second.next() => values.push(v),
                else => break,
            }
        }
        while let Some(v) = second.next().await {
            values.push(v);
        }
        values.sort_unstable();
        assert_eq!(values, [1, 2, 3, 4, 5, 6]);
    });
}

#[test]
fn a_deadline_that_is_checked_in_the_condition() {
    run_paused(async {
        let deadline = sleep_until(Instant::now() + Duration::from_millis(50));
        pin!(deadline);
        let mut work = 0;
        while !deadline.is_elapsed() {
            select! {
                _ = &mut deadline, if !deadline.is_elapsed() => {}
                _ = sleep(Duration::from_millis(20)) => work += 1,
            }
        }
        assert_eq!(work, 2);
    });
}

#[test]
fn a_count_down_in_order() {
    run(async {
        let mut count = 0u8;
        loop {
            select! {
                biased;
                _ = async {}, if count < 1 => { count += 1; assert_eq!(count, 1); }
                _ = async {}, if count < 2 => { count += 1; assert_eq!(count, 2); }
                _ = async {}, if count < 3 => { count += 1; assert_eq!(count, 3); }
                _ = async {}, if count < 4 => { count += 1; assert_eq!(count, 4); }
                else => break,
            }
        }
        assert_eq!(count, 4);
    });
}

/// A server never ends by itself: its output has no values.
#[test]
#[deny(warnings)]
fn a_branch_that_never_ends_needs_no_other_output() {
    async fn serve() -> ! {
        loop {
            sleep(Duration::from_millis(10)).await;
        }
    }
    let code = run_paused(async {
        select! {
            () = sleep(Duration::from_millis(25)) => 7,
            never = serve() => never,
        }
    });
    assert_eq!(code, 7);
}
