//! Oneshot channels: one value, its receipt, and the end of either half.

mod common;

use common::hooked::{Call, Hooked, poll_with};
use common::{Count, CountOnDrop, OnDrop, panic_quietly, run, watchdog};
use proptest::prelude::*;
use runtime::sync::oneshot::{self, Receiver, Sender, error::TryRecvError};
use runtime::task::coop;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[test]
fn a_task_receives_what_another_one_sends() {
    run(async {
        let (sender, receiver) = oneshot::channel();
        let receiving = runtime::spawn(receiver);
        runtime::task::yield_now().await;
        sender.send("value").unwrap();
        assert_eq!(receiving.await.unwrap(), Ok("value"));
    });
}

#[test]
fn a_sender_that_is_dropped_ends_the_wait_with_an_error() {
    run(async {
        let (sender, receiver) = oneshot::channel::<u32>();
        let receiving = runtime::spawn(receiver);
        runtime::task::yield_now().await;
        drop(sender);
        assert_eq!(receiving.await.unwrap().unwrap_err().to_string(), "channel closed");
    });
}

#[test]
fn try_recv_tells_an_empty_channel_from_a_closed_one() {
    let (sender, mut receiver) = oneshot::channel();
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(receiver.is_empty() && !receiver.is_terminated());
    sender.send(1).unwrap();
    assert!(!receiver.is_empty());
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    assert!(receiver.is_empty() && receiver.is_terminated());
    receiver.close();

    let (sender, mut receiver) = oneshot::channel::<u32>();
    drop(sender);
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_closed_receiver_gets_what_was_sent_before_and_nothing_after() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    receiver.close();
    assert_eq!(receiver.try_recv(), Ok(1));

    let (sender, mut receiver) = oneshot::channel();
    receiver.close();
    assert!(sender.is_closed());
    assert_eq!(sender.send(1), Err(1));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn closed_ends_when_the_receiver_goes_or_closes() {
    run(async {
        let (mut sender, receiver) = oneshot::channel::<u32>();
        let waiting = runtime::spawn(async move { sender.closed().await });
        runtime::task::yield_now().await;
        drop(receiver);
        waiting.await.unwrap();

        let (mut sender, mut receiver) = oneshot::channel::<u32>();
        let waiting = runtime::spawn(async move { sender.closed().await });
        runtime::task::yield_now().await;
        receiver.close();
        waiting.await.unwrap();
        assert!(receiver.await.is_err());
    });
}

#[test]
#[should_panic(expected = "called after complete")]
fn a_receiver_that_is_polled_after_its_end_panics() {
    let (sender, mut receiver) = oneshot::channel();
    sender.send(1).unwrap();
    assert_eq!(poll_with(&mut receiver, Waker::noop()), Poll::Ready(Ok(1)));
    let _ = poll_with(&mut receiver, Waker::noop());
}

#[test]
fn the_latest_waker_is_woken_once_and_an_equal_one_is_not_cloned() {
    let (sender, mut receiver) = oneshot::channel();
    let (first, first_waker) = Hooked::new();
    let (second, second_waker) = Hooked::new();
    for _ in 0..common::rounds(10_000, 10_000, 100) {
        assert!(poll_with(&mut receiver, &first_waker).is_pending());
    }
    assert_eq!((first.clones(), first.live()), (1, 2));
    assert!(poll_with(&mut receiver, &second_waker).is_pending());
    assert_eq!(first.live(), 1);
    sender.send(1).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (0, 1));
    assert_eq!(poll_with(&mut receiver, &second_waker), Poll::Ready(Ok(1)));
}

#[test]
fn a_half_that_is_dropped_takes_its_waker_along() {
    let (hooked, waker) = Hooked::new();
    let mut cx = Context::from_waker(&waker);

    let (sender, mut receiver) = oneshot::channel::<u32>();
    assert!(poll_with(&mut receiver, &waker).is_pending());
    assert_eq!(hooked.live(), 2);
    drop(receiver);
    assert_eq!(
        (hooked.live(), hooked.wakes()),
        (1, 0),
        "the sender keeps the waker of a receiver that is gone"
    );
    drop(sender);

    // A receiver that is closed gives up without a value, while the sender stays.
    let (sender, mut receiver) = oneshot::channel::<u32>();
    assert!(poll_with(&mut receiver, &waker).is_pending());
    receiver.close();
    assert!(poll_with(&mut receiver, &waker).is_ready());
    assert_eq!(hooked.live(), 1);
    drop((sender, receiver));

    let (mut sender, receiver) = oneshot::channel::<u32>();
    {
        let mut closed = pin!(sender.closed());
        assert!(closed.as_mut().poll(&mut cx).is_pending());
        assert_eq!(hooked.live(), 2);
    }
    assert_eq!(hooked.live(), 1, "the channel keeps the waker of a future that is gone");
    for send in [true, false] {
        let (mut sender, receiver) = oneshot::channel::<u32>();
        assert!(sender.poll_closed(&mut cx).is_pending());
        assert_eq!(hooked.live(), 2);
        if send {
            sender.send(1).unwrap()
        } else {
            drop(sender)
        }
        assert_eq!(hooked.live(), 1, "the receiver keeps the waker of a sender that is gone");
        drop(receiver);
    }
    drop(receiver);
    assert_eq!(hooked.wakes(), 1, "only a receiver that is closed is woken");
}

#[test]
fn a_value_whose_receiver_is_dropped_by_the_wake_of_its_sending_is_dropped_by_the_receiver() {
    let (sender, mut receiver) = oneshot::channel();
    let (hooked, waker) = Hooked::new();
    assert!(poll_with(&mut receiver, &waker).is_pending());
    let drops = Count::default();
    let seen = drops.clone();
    hooked.once(Call::Wake, move || {
        drop(receiver);
        assert_eq!(seen.get(), 1, "dropped with the receiver, and not later within send");
    });
    assert!(sender.send(CountOnDrop(drops.clone())).is_ok());
    assert_eq!((drops.get(), hooked.wakes()), (1, 1));
}

#[test]
fn a_clone_of_the_waker_that_sends_the_value_is_not_slept_through() {
    let (sender, mut receiver) = oneshot::channel();
    let (hooked, waker) = Hooked::new();
    hooked.once(Call::Clone, move || sender.send(7).unwrap());
    assert_eq!(poll_with(&mut receiver, &waker), Poll::Ready(Ok(7)));
    assert_eq!(hooked.live(), 1);

    let (mut sender, receiver) = oneshot::channel::<u32>();
    let (hooked, waker) = Hooked::new();
    hooked.once(Call::Clone, move || drop(receiver));
    assert!(sender.poll_closed(&mut Context::from_waker(&waker)).is_ready());
    assert_eq!(hooked.live(), 1);
}

#[test]
fn a_waker_that_panics_loses_nothing() {
    for call in [Call::Clone, Call::Wake, Call::Drop] {
        let (sender, mut receiver) = oneshot::channel();
        let (hooked, waker) = Hooked::new();
        hooked.once(call, || panic_quietly("a hostile waker"));
        let polled = catch_unwind(AssertUnwindSafe(|| poll_with(&mut receiver, &waker)));
        assert_eq!(polled.is_err(), call == Call::Clone);
        if polled.is_err() {
            assert!(poll_with(&mut receiver, &waker).is_pending());
        }
        if call == Call::Drop {
            // Another waker takes its place.
            assert!(poll_with(&mut receiver, Waker::noop()).is_pending());
        }
        sender.send(call as u8).unwrap();
        assert_eq!(poll_with(&mut receiver, Waker::noop()), Poll::Ready(Ok(call as u8)));
        hooked.on_call(|_| {});
    }
}

#[test]
fn a_value_that_panics_when_it_is_dropped_does_not_reach_those_who_drop_the_receiver() {
    let (mut sender, receiver) = oneshot::channel();
    let (hooked, waker) = Hooked::new();
    assert!(sender.poll_closed(&mut Context::from_waker(&waker)).is_pending());
    sender.send(OnDrop::new(|| panic_quietly("a hostile value"))).unwrap_or_else(|_| unreachable!());
    drop(receiver);
    assert_eq!(hooked.wakes(), 0, "the sender was gone");
}

#[test]
fn a_task_that_receives_from_ready_channels_yields_now_and_then() {
    run(async {
        let other = runtime::spawn(async {});
        for number in 0..1000 {
            let (sender, receiver) = oneshot::channel();
            sender.send(number).unwrap();
            assert_eq!(receiver.await, Ok(number));
        }
        assert!(other.is_finished(), "the loop got no turn");
    });
}

#[test]
fn polls_of_pending_receivers_cost_no_budget() {
    run(async {
        runtime::task::yield_now().await;
        let mut pending: Vec<_> = (0..300).map(|_| oneshot::channel::<u32>()).collect();
        let (sender, receiver) = oneshot::channel();
        sender.send(1).unwrap();
        let mut receiver = pin!(receiver);
        let polled = std::future::poll_fn(|cx| {
            for (_, receiver) in &mut pending {
                assert!(std::pin::Pin::new(receiver).poll(cx).is_pending());
            }
            assert!(coop::has_budget_remaining());
            Poll::Ready(receiver.as_mut().poll(cx))
        });
        assert_eq!(polled.await, Poll::Ready(Ok(1)));
    });
}

#[test]
fn a_channel_in_a_thread_local_is_dropped_in_silence_when_the_thread_ends() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    let _watchdog = watchdog();
    let thread = std::thread::spawn(|| {
        KEPT.with_borrow_mut(|kept| kept.push(Box::new(())));
        runtime::block_on(async {
            let (sender, receiver) = oneshot::channel::<Rc<u32>>();
            let (other, waiting) = oneshot::channel::<Rc<u32>>();
            runtime::spawn(waiting);
            runtime::task::yield_now().await;
            sender.send(Rc::new(1)).unwrap();
            KEPT.with_borrow_mut(|kept| kept.push(Box::new((receiver, other))));
        });
    });
    thread.join().unwrap();
}

#[derive(Clone, Debug)]
enum Step {
    Send,
    DropSender,
    PollClosed,
    PollReceiver,
    TryRecv,
    Close,
    DropReceiver,
}

fn step(choice: u8) -> Step {
    match choice % 13 {
        0 => Step::Send,
        1 => Step::DropSender,
        2..5 => Step::PollClosed,
        5..8 => Step::PollReceiver,
        8..11 => Step::TryRecv,
        11 => Step::Close,
        _ => Step::DropReceiver,
    }
}

/// The state of a channel in plain words.
#[derive(Default)]
struct Model {
    value: Option<Rc<()>>,
    sender_gone: bool,
    closed: bool,
    received: bool,
}

fn tell(steps: &[Step]) {
    let (sender, receiver) = oneshot::channel::<Rc<()>>();
    let (mut sender, mut receiver): (Option<Sender<_>>, Option<Receiver<_>>) = (Some(sender), Some(receiver));
    let mut model = Model::default();
    let value = Rc::new(());
    let (of_sender, sender_waker) = Hooked::new();
    let (of_receiver, receiver_waker) = Hooked::new();
    // The number of wakes that each half has waited for, if it waits.
    let (mut sender_waits, mut receiver_waits) = (None, None);
    for step in steps {
        match step {
            Step::Send => {
                let Some(sender) = sender.take() else { continue };
                let sent = sender.send(value.clone());
                assert_eq!(sent.is_err(), model.closed);
                model.value = (!model.closed).then(|| value.clone());
                model.sender_gone = true;
            }
            Step::DropSender => {
                model.sender_gone |= sender.take().is_some();
            }
            Step::PollClosed => {
                let Some(sender) = &mut sender else { continue };
                let closed = sender.poll_closed(&mut Context::from_waker(&sender_waker));
                assert_eq!(closed.is_ready(), model.closed);
                assert_eq!(sender.is_closed(), model.closed);
                sender_waits = closed.is_pending().then(|| of_sender.wakes());
            }
            Step::PollReceiver => {
                let Some(receiver) = receiver.as_mut().filter(|receiver| !receiver.is_terminated()) else {
                    continue;
                };
                let expected = match &model.value {
                    Some(_) => Poll::Ready(true),
                    None if model.sender_gone || model.closed => Poll::Ready(false),
                    None => Poll::Pending,
                };
                let polled = poll_with(receiver, &receiver_waker).map(|received| received.is_ok());
                assert_eq!(polled, expected);
                receiver_waits = polled.is_pending().then(|| of_receiver.wakes());
                if polled.is_ready() {
                    model.value = None;
                    (model.received, model.closed) = (true, true);
                }
            }
            Step::TryRecv => {
                let Some(receiver) = &mut receiver else { continue };
                let expected = match &model.value {
                    Some(_) => Ok(()),
                    None if model.sender_gone || model.closed => Err(TryRecvError::Closed),
                    None => Err(TryRecvError::Empty),
                };
                assert_eq!(receiver.is_empty(), model.value.is_none());
                assert_eq!(receiver.try_recv().map(|_| ()), expected);
                if expected != Err(TryRecvError::Empty) {
                    model.value = None;
                    (model.received, model.closed) = (true, true);
                }
                assert_eq!(receiver.is_terminated(), model.received);
            }
            Step::Close => {
                let Some(receiver) = &mut receiver else { continue };
                receiver.close();
                model.closed = true;
            }
            Step::DropReceiver => {
                if receiver.take().is_some() {
                    model.value = None;
                    model.closed = true;
                }
            }
        }
        // A future that waits for something that has happened has been woken, exactly once.
        if let Some(wakes) = sender_waits.filter(|_| sender.is_some()) {
            assert_eq!(of_sender.wakes() - wakes, usize::from(model.closed));
        }
        if let Some(wakes) = receiver_waits.filter(|_| receiver.is_some()) {
            assert_eq!(of_receiver.wakes() - wakes, usize::from(model.sender_gone || model.closed));
        }
        let expected = 1 + 2 * usize::from(model.value.is_some());
        assert_eq!(Rc::strong_count(&value), expected, "the value is where it should be");
    }
    drop((sender, receiver));
    assert_eq!((of_sender.live(), of_receiver.live()), (1, 1), "all wakers are given back");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(common::rounds(200_000, 50_000, 2) as u32) })]

    #[test]
    fn any_story_of_both_halves_agrees_with_the_model(
        steps in prop::collection::vec(any::<u8>().prop_map(step), 1..12),
    ) {
        tell(&steps);
    }
}
