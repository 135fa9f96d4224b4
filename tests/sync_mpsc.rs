//! Mpsc channels: room, order, permits, and the end of either side.

mod common;

use common::hooked::{Call, Hooked, poll_with};
use common::{Count, CountOnDrop, OnDrop, Trace, panic_quietly, poll_once, run, run_paused, watchdog};
use proptest::prelude::*;
use runtime::spawn;
use runtime::sync::mpsc::error::{SendTimeoutError, TryRecvError, TrySendError};
use runtime::sync::{mpsc, oneshot};
use runtime::task::{coop, yield_now};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[test]
fn waiting_senders_are_served_in_the_order_in_which_they_began_to_wait() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.send(0).await.unwrap();
        for number in 1..100 {
            let sender = sender.clone();
            spawn(async move { sender.send(number).await.unwrap() });
        }
        drop(sender);
        yield_now().await;
        let mut received = Vec::new();
        while let Some(number) = receiver.recv().await {
            received.push(number);
        }
        assert!(received.into_iter().eq(0..100));
    });
}

#[test]
fn nobody_overtakes_a_sender_that_waits() {
    let (sender, mut receiver) = mpsc::channel(1);
    sender.try_send(1).unwrap();
    let mut waiting = Box::pin(sender.send(2));
    assert!(poll_with(&mut waiting, Waker::noop()).is_pending());
    assert_eq!(receiver.try_recv(), Ok(1));
    // The room is the waiting sender's, although it has not run yet.
    assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
    assert_eq!(sender.capacity(), 0);
    assert_eq!(poll_with(&mut waiting, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(receiver.try_recv(), Ok(2));
}

#[test]
fn a_sender_that_gives_up_its_wait_hands_the_room_on() {
    let (sender, mut receiver) = mpsc::channel(4);
    (0..3).for_each(|number| sender.try_send(number).unwrap());
    let mut large = Box::pin(sender.reserve_many(3));
    assert!(poll_with(&mut large, Waker::noop()).is_pending());
    let (hooked, waker) = Hooked::new();
    let mut small = Box::pin(sender.send(3));
    assert!(poll_with(&mut small, &waker).is_pending());
    drop(large);
    assert_eq!(hooked.wakes(), 1, "the smaller request fits now");
    assert!(poll_with(&mut small, &waker).is_ready());
    assert_eq!((receiver.len(), sender.capacity()), (4, 0));

    // The same, if the room was granted and not taken yet.
    let mut first = Box::pin(sender.send(4));
    let mut second = Box::pin(sender.send(5));
    assert!(poll_with(&mut first, Waker::noop()).is_pending());
    assert!(poll_with(&mut second, &waker).is_pending());
    receiver.try_recv().unwrap();
    drop(first);
    assert_eq!(hooked.wakes(), 2);
    assert!(poll_with(&mut second, &waker).is_ready());
}

#[test]
fn a_message_sent_without_budget_is_not_overtaken_by_a_later_one() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(0).unwrap();
        let mut first = Box::pin(sender.send(1));
        let mut second = Box::pin(sender.send(2));
        yield_now().await;
        std::future::poll_fn(|cx| {
            while coop::has_budget_remaining() {
                assert!(pin!(coop::consume_budget()).poll(cx).is_ready());
            }
            assert!(first.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        yield_now().await;
        assert_eq!(poll_once(&mut second).await, None);
        assert_eq!(receiver.recv().await, Some(0));
        assert_eq!(poll_once(&mut second).await, None, "it is not its turn");
        assert_eq!(poll_once(&mut first).await, Some(Ok(())));
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(poll_once(&mut second).await, Some(Ok(())));
    });
}

#[test]
fn a_send_that_times_out_returns_the_message() {
    run_paused(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let second = Duration::from_secs(1);
        assert_eq!(sender.send_timeout(1, second).await, Ok(()));
        assert_eq!(sender.send_timeout(2, second).await, Err(SendTimeoutError::Timeout(2)));
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(sender.capacity(), 1);
        drop(receiver);
        assert_eq!(sender.send_timeout(3, second).await, Err(SendTimeoutError::Closed(3)));
    });
}

#[test]
fn a_closed_receiver_gets_what_the_permits_of_before_still_send() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(3);
        let permit = sender.try_reserve().unwrap();
        let unused = sender.clone().try_reserve_owned().unwrap();
        receiver.close();
        assert_eq!(sender.try_send(1), Err(TrySendError::Closed(1)));
        assert!(sender.is_closed() && receiver.is_closed());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty), "a message may still come");
        permit.send(2);
        assert_eq!(receiver.recv().await, Some(2));

        let (hooked, waker) = Hooked::new();
        {
            let mut receiving = pin!(receiver.recv());
            assert!(receiving.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
            drop(unused);
            assert_eq!(hooked.wakes(), 1, "no permit is left");
            assert_eq!(receiving.poll(&mut Context::from_waker(&waker)), Poll::Ready(None));
        }
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Disconnected));
    });
}

#[test]
fn a_wait_for_room_that_ends_after_the_close_does_not_leave_the_receiver_asleep() {
    let (sender, mut receiver) = mpsc::channel::<u32>(2);
    let permit = sender.try_reserve().unwrap();
    // It has a half of what it wants.
    let mut waiting = Box::pin(sender.reserve_many(2));
    assert!(poll_with(&mut waiting, Waker::noop()).is_pending());
    receiver.close();
    drop(permit);
    let (hooked, waker) = Hooked::new();
    let mut receiving = Box::pin(receiver.recv());
    assert!(poll_with(&mut receiving, &waker).is_pending());
    drop(waiting);
    assert_eq!(hooked.wakes(), 1);
    assert_eq!(poll_with(&mut receiving, &waker), Poll::Ready(None));
}

#[test]
fn what_waits_in_a_channel_goes_with_the_receiver_also_if_that_unwinds() {
    for unwind in [false, true] {
        for bounded in [false, true] {
            let (reply, mut waiting) = oneshot::channel::<u32>();
            let keep: Box<dyn std::any::Any> = if bounded {
                let (sender, receiver) = mpsc::channel(1);
                sender.try_send(reply).unwrap();
                let _ = catch_unwind(AssertUnwindSafe(move || {
                    let _receiver = receiver;
                    if unwind {
                        panic_quietly("unwinds");
                    }
                }));
                Box::new(sender)
            } else {
                let (sender, receiver) = mpsc::unbounded_channel();
                sender.send(reply).unwrap();
                let _ = catch_unwind(AssertUnwindSafe(move || {
                    let _receiver = receiver;
                    if unwind {
                        panic_quietly("unwinds");
                    }
                }));
                Box::new(sender)
            };
            assert_eq!(waiting.try_recv(), Err(oneshot::error::TryRecvError::Closed));
            drop(keep);
        }
    }
}

#[test]
fn a_message_sent_by_a_permit_after_the_receiver_is_gone_is_dropped_at_once() {
    let drops = Count::default();
    let (sender, receiver) = mpsc::channel(2);
    let (permit, owned) = (sender.try_reserve().unwrap(), sender.clone().try_reserve_owned().unwrap());
    drop(receiver);
    permit.send(CountOnDrop(drops.clone()));
    assert_eq!(drops.get(), 1);
    let sender = owned.send(CountOnDrop(drops.clone()));
    assert_eq!((drops.get(), sender.capacity()), (2, 2));
}

#[test]
fn messages_that_panic_when_they_are_dropped_do_not_keep_the_others() {
    let drops = Count::default();
    let (sender, receiver) = mpsc::unbounded_channel();
    for number in 0..10 {
        let counted = CountOnDrop(drops.clone());
        let message = OnDrop::new(move || {
            drop(counted);
            if number % 3 == 0 {
                panic_quietly("a hostile message");
            }
        });
        sender.send(message).unwrap_or_else(|_| unreachable!());
    }
    drop(receiver);
    assert_eq!(drops.get(), 10);
}

#[test]
fn a_message_may_send_to_its_own_channel_and_drop_it_while_it_is_dropped() {
    let (sender, receiver) = mpsc::unbounded_channel();
    let sent = sender.clone();
    let seen = Count::default();
    let counted = seen.clone();
    let message: Box<dyn FnOnce()> = Box::new(move || {
        assert!(sent.is_closed());
        assert!(sent.send(None).is_err());
        counted.add();
    });
    sender.send(Some(OnDrop::new(message))).unwrap_or_else(|_| unreachable!());
    drop(sender);
    drop(receiver);
    assert_eq!(seen.get(), 1);
}

#[test]
fn halves_that_are_dropped_take_their_wakers_along() {
    let (hooked, waker) = Hooked::new();
    let (sender, receiver) = mpsc::channel::<u32>(1);
    let mut receiver = Box::new(receiver);
    assert!(receiver.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    let mut closed = Box::pin(sender.closed());
    assert!(poll_with(&mut closed, &waker).is_pending());
    assert_eq!(hooked.live(), 3);
    drop(closed);
    assert_eq!(hooked.live(), 2);
    sender.try_send(1).unwrap();
    assert_eq!((hooked.live(), hooked.wakes()), (1, 1));
    let mut sending = Box::pin(sender.send(2));
    assert!(poll_with(&mut sending, &waker).is_pending());
    drop(sending);
    assert_eq!(hooked.live(), 1);
    receiver.try_recv().unwrap();
    assert!(receiver.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    drop(receiver);
    assert_eq!((hooked.live(), hooked.wakes()), (1, 1));
}

#[test]
fn a_future_that_is_polled_again_and_again_keeps_one_waker() {
    let (sender, mut receiver) = mpsc::channel(1);
    let (hooked, waker) = Hooked::new();
    {
        let mut receiving = Box::pin(receiver.recv());
        (0..common::rounds(10_000, 10_000, 100))
            .for_each(|_| assert!(poll_with(&mut receiving, &waker).is_pending()));
        assert_eq!((hooked.clones(), hooked.live()), (1, 2));
    }
    sender.try_send(1).unwrap();
    let mut sending = Box::pin(sender.send(2));
    (0..common::rounds(10_000, 10_000, 100))
        .for_each(|_| assert!(poll_with(&mut sending, &waker).is_pending()));
    assert_eq!((hooked.clones(), hooked.live()), (2, 2));
    assert_eq!(receiver.try_recv(), Ok(1));
    assert_eq!(hooked.wakes(), 2);
}

#[test]
fn a_waker_that_sends_receives_or_drops_the_channel_finds_it_consistent() {
    // The clone sends: the receiver does not sleep through it.
    let (sender, mut receiver) = mpsc::channel(2);
    let (hooked, waker) = Hooked::new();
    let by_clone = sender.clone();
    hooked.once(Call::Clone, move || by_clone.try_send(1).unwrap());
    assert_eq!(receiver.poll_recv(&mut Context::from_waker(&waker)), Poll::Ready(Some(1)));
    assert_eq!(hooked.live(), 1);

    // The wake sends once more, and is not called again.
    assert!(receiver.poll_recv(&mut Context::from_waker(&waker)).is_pending());
    let by_wake = sender.clone();
    hooked.once(Call::Wake, move || by_wake.try_send(3).unwrap());
    sender.try_send(2).unwrap();
    assert_eq!((receiver.len(), hooked.wakes()), (2, 1));

    // The wake of a waiting sender drops the other senders, while the receiver is dropped.
    let mut sending = Box::pin(sender.send(4));
    let (hooked, waker) = Hooked::new();
    assert!(poll_with(&mut sending, &waker).is_pending());
    let others: Vec<_> = (0..3).map(|_| sender.clone()).collect();
    hooked.once(Call::Wake, move || {
        assert!(others[0].is_closed());
        drop(others);
    });
    drop(receiver);
    assert_eq!((hooked.wakes(), sender.strong_count()), (1, 1));
    assert_eq!(poll_with(&mut sending, &waker), Poll::Ready(Err(mpsc::error::SendError(4))));
}

#[test]
fn weak_senders_upgrade_as_long_as_there_is_a_sender_whatever_the_receiver_does() {
    let (sender, mut receiver) = mpsc::channel::<u32>(1);
    let weak = sender.downgrade();
    let other = weak.clone();
    assert_eq!((sender.strong_count(), sender.weak_count()), (1, 2));
    receiver.close();
    let upgraded = weak.upgrade().unwrap();
    assert!(upgraded.same_channel(&sender) && upgraded.is_closed());
    drop(receiver);
    drop(sender);
    assert!(other.upgrade().is_some());
    drop(upgraded);
    assert!(weak.upgrade().is_none());
    assert_eq!((weak.strong_count(), other.weak_count()), (0, 2));
}

#[test]
fn the_last_sender_that_goes_wakes_the_receiver() {
    run(async {
        let trace = Trace::default();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let seen = trace.clone();
        let receiving = spawn(async move {
            while let Some(message) = receiver.recv().await {
                seen.push(message);
            }
            seen.push("end");
        });
        let weak = sender.downgrade();
        sender.send("one").unwrap();
        yield_now().await;
        weak.upgrade().unwrap().send("two").unwrap();
        drop(sender);
        receiving.await.unwrap();
        assert_eq!(trace.take(), ["one", "two", "end"]);
    });
}

#[test]
fn recv_many_takes_what_is_there_up_to_the_limit_and_makes_room() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(4);
        (0..4).for_each(|number| sender.try_send(number).unwrap());
        let mut buffer = vec![9];
        assert_eq!(receiver.recv_many(&mut buffer, 0).await, 0);
        assert_eq!(receiver.recv_many(&mut buffer, 3).await, 3);
        assert_eq!((buffer.as_slice(), sender.capacity()), ([9, 0, 1, 2].as_slice(), 3));
        assert_eq!(receiver.recv_many(&mut buffer, 10).await, 1);
        drop(sender);
        assert_eq!(receiver.recv_many(&mut buffer, 10).await, 0);
    });
}

#[test]
fn more_permits_than_the_channel_has_room_for_are_refused() {
    run(async {
        let (sender, _receiver) = mpsc::channel::<u32>(2);
        assert!(sender.reserve_many(3).await.is_err());
        assert_eq!(sender.try_reserve_many(3).unwrap_err(), TrySendError::Full(()));
        let mut permits = sender.reserve_many(2).await.unwrap();
        assert_eq!(permits.size_hint(), (2, Some(2)));
        let permit = permits.next().unwrap();
        drop(permits);
        assert_eq!(sender.capacity(), 1);
        drop(permit);
        assert_eq!((sender.capacity(), sender.max_capacity()), (2, 2));
    });
}

#[test]
fn owned_permits_know_their_channel_and_keep_it_open() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(2);
        let (other, _other_receiver) = mpsc::channel::<u32>(2);
        let permit = sender.clone().reserve_owned().await.unwrap();
        let second = sender.clone().reserve_owned().await.unwrap();
        assert!(permit.same_channel(&second) && permit.same_channel_as_sender(&sender));
        assert!(!permit.same_channel_as_sender(&other));
        drop(sender);
        drop(second.release());
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
        drop(permit.send(1));
        assert_eq!(receiver.recv().await, Some(1));
        assert_eq!(receiver.recv().await, None);
    });
}

#[test]
fn a_task_whose_channel_is_never_empty_or_full_yields_now_and_then() {
    run(async {
        let (sender, mut receiver) = mpsc::channel(1);
        let other = spawn(async {});
        for number in 0..1000 {
            sender.send(number).await.unwrap();
            assert_eq!(receiver.recv().await, Some(number));
        }
        assert!(other.is_finished(), "the loop got no turn");
    });
}

#[test]
fn three_hundred_pending_receivers_do_not_keep_a_task_from_the_ready_one() {
    run(async {
        let mut pending: Vec<_> = (0..300).map(|_| mpsc::channel::<u32>(1)).collect();
        let (sender, mut receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        yield_now().await;
        let polled = std::future::poll_fn(|cx| {
            assert!(pending.iter_mut().all(|(_, receiver)| receiver.poll_recv(cx).is_pending()));
            Poll::Ready(receiver.poll_recv(cx))
        });
        assert_eq!(polled.await, Poll::Ready(Some(1)));
    });
}

#[test]
fn a_million_messages_are_dropped_on_a_small_stack() {
    struct Link(#[allow(dead_code, reason = "dropped")] Option<mpsc::UnboundedSender<Link>>);
    let _watchdog = watchdog();
    let count = common::rounds(1_000_000, 1_000_000, 1_000);
    let thread = std::thread::Builder::new().stack_size(128 * 1024);
    let thread = thread.spawn(move || {
        // Each message holds the only sender of the next channel.
        let (first, mut receivers) = {
            let (first, receiver) = mpsc::unbounded_channel();
            (first, vec![receiver])
        };
        let mut sender = first;
        for _ in 0..count / 10 {
            let (next, receiver) = mpsc::unbounded_channel();
            sender.send(Link(Some(next.clone()))).unwrap_or_else(|_| unreachable!());
            sender = next;
            receivers.push(receiver);
        }
        (0..count).for_each(|_| sender.send(Link(None)).unwrap_or_else(|_| unreachable!()));
        drop(sender);
        receivers.truncate(receivers.len() / 2);
        drop(receivers);
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn a_channel_in_a_thread_local_is_dropped_in_silence_when_the_thread_ends() {
    thread_local! {
        static KEPT: RefCell<Vec<Box<dyn std::any::Any>>> = const { RefCell::new(Vec::new()) };
    }
    let _watchdog = watchdog();
    let thread = std::thread::spawn(|| {
        // Made first, and so dropped after what the runtime uses.
        KEPT.with_borrow_mut(|kept| kept.push(Box::new(())));
        runtime::block_on(async {
            let (sender, mut receiver) = mpsc::channel::<Rc<u32>>(1);
            sender.send(Rc::new(1)).await.unwrap();
            let waiting = sender.clone();
            spawn(async move { waiting.send(Rc::new(2)).await });
            yield_now().await;
            let (unbounded, mut closing) = mpsc::unbounded_channel::<Rc<u32>>();
            spawn(async move { closing.recv().await });
            yield_now().await;
            KEPT.with_borrow_mut(|kept| kept.push(Box::new((sender, unbounded))));
            receiver.recv().await.unwrap();
            KEPT.with_borrow_mut(|kept| kept.push(Box::new(receiver)));
        });
    });
    thread.join().unwrap();
}

#[test]
#[should_panic(expected = "mpsc bounded channel requires buffer > 0")]
fn a_channel_without_room_panics() {
    let _ = mpsc::channel::<u32>(0);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(common::rounds(100_000, 20_000, 2) as u32)
    })]

    #[test]
    fn any_story_of_an_unbounded_channel_agrees_with_a_queue(steps in prop::collection::vec(any::<u8>(), 1..60)) {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (mut sender, mut receiver) = (Some(sender), Some(receiver));
        let (hooked, waker) = Hooked::new();
        let (mut model, mut is_closed, mut asleep, mut sent) = (VecDeque::new(), false, None, 0);
        let live = Rc::new(());
        for step in steps {
            let end = if sender.is_none() || is_closed { Poll::Ready(None) } else { Poll::Pending };
            match step % 32 {
                0 => {
                    sender = None;
                }
                1 => {
                    let Some(receiver) = &mut receiver else { continue };
                    receiver.close();
                    is_closed = true;
                }
                2 => {
                    receiver = None;
                    is_closed = true;
                    model.clear();
                }
                3..16 => {
                    let Some(sender) = &sender else { continue };
                    sent += 1;
                    prop_assert_eq!(sender.send((sent, live.clone())).is_ok(), !is_closed);
                    model.extend((!is_closed).then_some(sent));
                }
                16..26 => {
                    let Some(receiver) = &mut receiver else { continue };
                    let received = receiver.poll_recv(&mut Context::from_waker(&waker));
                    asleep = received.is_pending().then(|| hooked.wakes());
                    let expected = model.pop_front().map_or(end, |number| Poll::Ready(Some(number)));
                    prop_assert_eq!(received.map(|message| message.map(|(number, _)| number)), expected);
                }
                26..29 => {
                    let Some(receiver) = &mut receiver else { continue };
                    let expected = match model.pop_front() {
                        Some(number) => Ok(number),
                        None if end.is_ready() => Err(TryRecvError::Disconnected),
                        None => Err(TryRecvError::Empty),
                    };
                    prop_assert_eq!(receiver.try_recv().map(|(number, _)| number), expected);
                }
                limit => {
                    let Some(receiver) = &mut receiver else { continue };
                    let limit = usize::from(limit - 28);
                    let mut buffer = Vec::new();
                    let received = receiver.poll_recv_many(&mut Context::from_waker(&waker), &mut buffer, limit);
                    asleep = received.is_pending().then(|| hooked.wakes());
                    let expected: Vec<_> = model.drain(..limit.min(model.len())).collect();
                    let ends = if expected.is_empty() { end.map(|_| 0) } else { Poll::Ready(expected.len()) };
                    prop_assert_eq!(received, ends);
                    prop_assert!(buffer.into_iter().map(|(number, _)| number).eq(expected));
                }
            }
            if let Some(receiver) = &receiver {
                prop_assert_eq!(receiver.len(), model.len());
                let has_news = !model.is_empty() || sender.is_none() || is_closed;
                if let Some(wakes) = asleep {
                    prop_assert_eq!(hooked.wakes() - wakes, usize::from(has_news));
                    asleep = asleep.filter(|_| !has_news);
                }
            }
            prop_assert_eq!(Rc::strong_count(&live), model.len() + 1);
        }
        drop((sender, receiver));
        prop_assert_eq!(hooked.live(), 1);
    }
}
