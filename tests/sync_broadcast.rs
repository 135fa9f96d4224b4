//! Broadcast channels: every message for every receiver, what slow receivers miss, and the end of either side.

mod common;

use common::hooked::{Call, Hooked, poll_with};
use common::{Count, CountOnDrop, OnDrop, panic_quietly, run, watchdog};
use proptest::prelude::*;
use runtime::spawn;
use runtime::sync::broadcast;
use runtime::sync::broadcast::error::{RecvError, TryRecvError};
use runtime::task::yield_now;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[test]
fn every_receiver_gets_every_message_in_order() {
    run(async {
        let (sender, receiver) = broadcast::channel(16);
        let receiving: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.resubscribe();
                spawn(async move {
                    let mut received = Vec::new();
                    while let Ok(number) = receiver.recv().await {
                        received.push(number);
                    }
                    received
                })
            })
            .collect();
        drop(receiver);
        for number in 0..100 {
            assert_eq!(sender.send(number).unwrap(), 3);
            yield_now().await;
        }
        drop(sender);
        for receiving in receiving {
            assert!(receiving.await.unwrap().into_iter().eq(0..100));
        }
    });
}

#[test]
fn the_last_message_is_received_before_the_end_also_with_room_for_one() {
    run(async {
        let (sender, mut receiver) = broadcast::channel(1);
        sender.send("last").unwrap();
        drop(sender);
        assert_eq!(receiver.recv().await, Ok("last"));
        assert_eq!(receiver.recv().await, Err(RecvError::Closed));
        assert_eq!(receiver.try_recv(), Err(TryRecvError::Closed));
    });
}

#[test]
fn a_slow_receiver_learns_how_much_it_has_missed() {
    let (sender, mut receiver) = broadcast::channel(2);
    (1..=7).for_each(|number| assert_eq!(sender.send(number).unwrap(), 1));
    assert_eq!((receiver.len(), sender.len()), (7, 2));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Lagged(5)));
    assert_eq!((receiver.try_recv(), receiver.try_recv()), (Ok(6), Ok(7)));
    assert_eq!(receiver.try_recv(), Err(TryRecvError::Empty));
    assert!(receiver.is_empty() && sender.is_empty());
}

#[test]
fn a_receiver_that_has_lagged_is_dropped_in_peace() {
    let drops = Count::default();
    let (sender, receiver) = broadcast::channel(2);
    let mut other = sender.subscribe();
    for _ in 0..5 {
        assert!(sender.send(Rc::new(CountOnDrop(drops.clone()))).is_ok());
    }
    assert_eq!(drops.get(), 3);
    drop(receiver);
    assert_eq!(drops.get(), 3, "the other one has still to get them");
    assert!(other.try_recv().is_err());
    drop(other.try_recv().unwrap());
    assert_eq!(drops.get(), 4);
    drop(other);
    assert_eq!(drops.get(), 5);
}

#[test]
fn a_message_goes_when_all_have_got_it_and_the_last_one_gets_it_without_a_clone() {
    #[derive(Debug)]
    struct Counted(Rc<Cell<usize>>);
    impl Clone for Counted {
        fn clone(&self) -> Counted {
            self.0.set(self.0.get() + 1);
            Counted(self.0.clone())
        }
    }
    let clones = Rc::new(Cell::new(0));
    let (sender, mut first) = broadcast::channel(4);
    let mut second = sender.subscribe();
    sender.send(Counted(clones.clone())).unwrap();
    drop(first.try_recv().unwrap());
    assert_eq!((clones.get(), sender.len()), (1, 1));
    drop(second.try_recv().unwrap());
    assert_eq!((clones.get(), sender.len()), (1, 0));
}

#[test]
fn a_clone_that_panics_loses_no_message() {
    #[derive(Debug)]
    struct Hostile(Rc<Cell<bool>>);
    impl Clone for Hostile {
        fn clone(&self) -> Hostile {
            if self.0.replace(false) {
                panic_quietly("a hostile message");
            }
            Hostile(self.0.clone())
        }
    }
    let (sender, mut first) = broadcast::channel(4);
    let mut second = sender.subscribe();
    sender.send(Hostile(Rc::new(Cell::new(true)))).unwrap();
    catch_unwind(AssertUnwindSafe(|| first.try_recv().is_ok())).unwrap_err();
    assert!(first.try_recv().is_ok() && second.try_recv().is_ok());
    assert!(sender.is_empty());
}

thread_local! {
    static ACT: RefCell<Option<Box<dyn FnOnce()>>> = const { RefCell::new(None) };
}

/// A message that calls back into the test at its first clone.
#[derive(Debug, PartialEq)]
struct Calling(u32);

impl Clone for Calling {
    fn clone(&self) -> Calling {
        if let Some(act) = ACT.take() {
            act();
        }
        Calling(self.0)
    }
}

#[test]
fn a_clone_may_send_so_much_that_its_message_is_overwritten() {
    let (sender, mut first) = broadcast::channel(2);
    let mut second = sender.subscribe();
    sender.send(Calling(0)).unwrap();
    let by_clone = sender.clone();
    ACT.set(Some(Box::new(move || (1..=3).for_each(|number| drop(by_clone.send(Calling(number)))))));
    assert_eq!(first.try_recv(), Ok(Calling(0)));
    assert_eq!(first.try_recv(), Err(TryRecvError::Lagged(1)));
    assert_eq!(first.try_recv(), Ok(Calling(2)));
    assert_eq!(second.try_recv(), Err(TryRecvError::Lagged(2)));
    assert_eq!((second.try_recv(), second.try_recv()), (Ok(Calling(2)), Ok(Calling(3))));
    assert_eq!(sender.len(), 1);
    assert_eq!(first.try_recv(), Ok(Calling(3)));
    assert!(sender.is_empty());
}

#[test]
fn a_clone_may_drop_the_other_receiver_and_the_senders() {
    let (sender, mut first) = broadcast::channel(2);
    let second = sender.subscribe();
    sender.send(Calling(0)).unwrap();
    let weak = sender.downgrade();
    ACT.set(Some(Box::new(move || drop((sender, second)))));
    assert_eq!(first.try_recv(), Ok(Calling(0)));
    assert_eq!(first.try_recv(), Err(TryRecvError::Closed));
    assert!(weak.upgrade().is_none());
}

#[test]
fn a_message_may_use_the_channel_when_it_is_dropped_and_panic() {
    type Message = Rc<OnDrop<Box<dyn FnOnce()>>>;
    let quiet = || -> Message { Rc::new(OnDrop::new(Box::new(|| {}))) };
    let (sender, mut receiver) = broadcast::channel::<Message>(1);
    let by_drop = sender.clone();
    let lagging = sender.subscribe();
    let next = quiet();
    let hostile: Box<dyn FnOnce()> = Box::new(move || {
        by_drop.send(next).unwrap_or_else(|_| unreachable!());
        panic_quietly("a hostile message");
    });
    assert!(sender.send(Rc::new(OnDrop::new(hostile))).is_ok());
    // It makes room, and sends in turn.
    assert!(sender.send(quiet()).is_ok());
    assert!(matches!(receiver.try_recv(), Err(TryRecvError::Lagged(2))));
    assert!(receiver.try_recv().is_ok());
    drop(lagging);
    assert!(sender.is_empty());
}

#[test]
fn closed_ends_when_the_last_receiver_goes_and_begins_anew_with_a_subscriber() {
    run(async {
        let (sender, receiver) = broadcast::channel::<u32>(1);
        let waiting = sender.clone();
        let closed = spawn(async move { waiting.closed().await });
        yield_now().await;
        drop(receiver);
        let receiver = sender.subscribe();
        yield_now().await;
        assert!(!closed.is_finished());
        drop(receiver);
        closed.await.unwrap();
        assert_eq!(sender.send(1).unwrap_err().0, 1);
        let mut receiver = sender.subscribe();
        assert_eq!(sender.send(2).unwrap(), 1);
        assert_eq!(receiver.try_recv(), Ok(2));
    });
}

#[test]
fn weak_senders_do_not_keep_the_channel_open() {
    let sender = broadcast::Sender::<u32>::new(1);
    let weak = sender.downgrade();
    let receiver = sender.subscribe();
    assert_eq!((sender.strong_count(), weak.weak_count(), receiver.sender_weak_count()), (1, 1, 1));
    let upgraded = weak.upgrade().unwrap();
    assert!(upgraded.same_channel(&sender) && receiver.same_channel(&upgraded.subscribe()));
    drop((sender, upgraded));
    assert!(weak.clone().upgrade().is_none() && receiver.is_closed());
    assert_eq!((weak.strong_count(), receiver.sender_strong_count(), weak.weak_count()), (0, 0, 1));
}

#[test]
fn futures_that_are_dropped_take_their_wakers_along() {
    let (hooked, waker) = Hooked::new();
    let (sender, mut receiver) = broadcast::channel::<u32>(1);
    let mut receiving = Box::pin(receiver.recv());
    (0..common::rounds(10_000, 10_000, 100))
        .for_each(|_| assert!(poll_with(&mut receiving, &waker).is_pending()));
    assert_eq!((hooked.clones(), hooked.live()), (1, 2));
    drop(receiving);
    assert_eq!(hooked.live(), 1);
    let mut closed = Box::pin(sender.closed());
    assert!(poll_with(&mut closed, &waker).is_pending());
    drop(closed);
    drop(receiver);
    assert_eq!((hooked.live(), hooked.wakes()), (1, 0));
}

#[test]
fn wakers_that_send_or_panic_find_the_channel_consistent() {
    let (sender, mut receiver) = broadcast::channel(8);
    let (hooked, waker) = Hooked::new();
    let by_clone = sender.clone();
    hooked.once(Call::Clone, move || drop(by_clone.send(1)));
    let mut receiving = Box::pin(receiver.recv());
    assert_eq!(poll_with(&mut receiving, &waker), Poll::Ready(Ok(1)));
    drop(receiving);
    assert_eq!(hooked.live(), 1);

    let mut others: Vec<_> = (0..10).map(|_| receiver.resubscribe()).collect();
    let hooks: Vec<_> = (0..10).map(|_| Hooked::new()).collect();
    let mut waiting: Vec<_> = others.iter_mut().map(|receiver| Box::pin(receiver.recv())).collect();
    for (waiting, (_, waker)) in waiting.iter_mut().zip(&hooks) {
        assert!(poll_with(waiting, waker).is_pending());
    }
    let by_wake = sender.clone();
    hooks[0].0.once(Call::Wake, move || drop(by_wake.send(3)));
    hooks[1].0.once(Call::Wake, || panic_quietly("a hostile waker"));
    sender.send(2).unwrap();
    assert!(hooks.iter().all(|(hooked, _)| hooked.wakes() == 1));
    for mut waiting in waiting {
        assert_eq!(poll_with(&mut waiting, Waker::noop()), Poll::Ready(Ok(2)));
    }
    assert!(others.iter_mut().all(|receiver| receiver.try_recv() == Ok(3)));
}

#[test]
fn a_task_that_always_finds_a_message_yields_now_and_then() {
    run(async {
        let (sender, mut receiver) = broadcast::channel(1);
        let other = spawn(async {});
        for number in 0..500 {
            sender.send(number).unwrap();
            assert_eq!(receiver.recv().await, Ok(number));
        }
        assert!(other.is_finished(), "the loop got no turn");
    });
}

#[test]
fn a_million_messages_are_dropped_on_a_small_stack() {
    let _watchdog = watchdog();
    let count = common::rounds(1 << 20, 1 << 20, 1 << 10);
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(move || {
        let (sender, receiver) = broadcast::channel(count);
        let drops = Count::default();
        for _ in 0..count {
            assert!(sender.send(Rc::new(CountOnDrop(drops.clone()))).is_ok());
        }
        drop(receiver);
        assert_eq!(drops.get(), count);
    });
    thread.unwrap().join().unwrap();
}

#[test]
fn capacities_that_cannot_be_panic() {
    let new = |capacity| catch_unwind(|| drop(broadcast::channel::<u8>(capacity)));
    let message = common::message(&*new(0).unwrap_err()).to_owned();
    assert_eq!(message, "broadcast channel capacity cannot be zero");
    let message = common::message(&*new(usize::MAX).unwrap_err()).to_owned();
    assert_eq!(message, "broadcast channel capacity exceeded `usize::MAX / 2`");
    // Memory is taken for messages, and not for the capacity.
    assert!(new(usize::MAX / 4).is_ok());
}

/// A step for tokio's channel and ours: an operation, chosen by weights, and its operands.
type Step = (u8, u8);

/// A future that returns a receiver, with whether it was woken since its last poll.
struct Waiting<R> {
    future: Pin<Box<dyn Future<Output = (Option<R>, String)>>>,
    hooked: Rc<Hooked>,
    waker: Waker,
    wakes: Option<usize>,
}

impl<R> Waiting<R> {
    fn new(future: impl Future<Output = (Option<R>, String)> + 'static) -> Waiting<R> {
        let (hooked, waker) = Hooked::new();
        Waiting { future: Box::pin(future), hooked, waker, wakes: None }
    }

    fn poll(&mut self) -> Poll<(Option<R>, String)> {
        let polled = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
        self.wakes = Some(self.hooked.wakes());
        polled
    }
}

/// A number that knows how many of its kind there are.
#[derive(Clone, Debug)]
#[allow(dead_code, reason = "printed, and counted")]
struct Message(u32, Rc<()>);

macro_rules! world {
    ($name:ident, $broadcast:path) => {
        mod $name {
            use super::*;
            use $broadcast as broadcast;

            pub(super) struct World {
                senders: Vec<broadcast::Sender<Message>>,
                weak: Vec<broadcast::WeakSender<Message>>,
                receivers: Vec<broadcast::Receiver<Message>>,
                futures: Vec<Waiting<broadcast::Receiver<Message>>>,
                live: Rc<()>,
                sent: u32,
            }

            impl World {
                pub(super) fn new(capacity: usize) -> World {
                    let (sender, receiver) = broadcast::channel(capacity);
                    World {
                        senders: vec![sender],
                        weak: Vec::new(),
                        receivers: vec![receiver],
                        futures: Vec::new(),
                        live: Rc::new(()),
                        sent: 0,
                    }
                }

                fn poll_future(&mut self, which: usize) -> String {
                    match self.futures[which].poll() {
                        Poll::Pending => String::from("pending"),
                        Poll::Ready((receiver, said)) => {
                            drop(self.futures.remove(which));
                            self.receivers.extend(receiver);
                            said
                        }
                    }
                }

                pub(super) fn step(&mut self, (choice, n): Step) -> Option<String> {
                    let n = usize::from(n);
                    let sender = (!self.senders.is_empty()).then(|| n % self.senders.len());
                    let weak = (!self.weak.is_empty()).then(|| n % self.weak.len());
                    let receiver = (!self.receivers.is_empty()).then(|| n % self.receivers.len());
                    let future = (!self.futures.is_empty()).then(|| n % self.futures.len());
                    self.sent += 1;
                    let message = Message(self.sent, self.live.clone());
                    Some(match choice % 40 {
                        0 => {
                            let sender = self.senders[sender?].clone();
                            self.senders.push(sender);
                            String::new()
                        }
                        1 => {
                            drop(self.senders.remove(sender?));
                            String::new()
                        }
                        2 => {
                            let receiver = self.receivers[receiver?].resubscribe();
                            self.receivers.push(receiver);
                            String::new()
                        }
                        3 => {
                            drop(self.receivers.remove(receiver?));
                            String::new()
                        }
                        4 => {
                            let receiver = self.senders[sender?].subscribe();
                            self.receivers.push(receiver);
                            String::new()
                        }
                        5 => {
                            self.weak.push(self.senders[sender?].downgrade());
                            String::new()
                        }
                        6 => {
                            let upgraded = self.weak.remove(weak?).upgrade();
                            let said = format!("{}", upgraded.is_some());
                            self.senders.extend(upgraded);
                            said
                        }
                        7..18 => format!("{:?}", self.senders[sender?].send(message)),
                        18 => {
                            let sender = self.senders[sender?].clone();
                            self.futures.push(Waiting::new(async move {
                                sender.closed().await;
                                (None, String::from("closed"))
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        19..24 => {
                            let mut receiver = self.receivers.remove(receiver?);
                            self.futures.push(Waiting::new(async move {
                                let said = format!("{:?}", receiver.recv().await);
                                (Some(receiver), said)
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        24..31 => self.poll_future(future?),
                        31 => {
                            drop(self.futures.remove(future?));
                            String::new()
                        }
                        _ => format!("{:?}", self.receivers[receiver?].try_recv()),
                    })
                }

                pub(super) fn look(&self) -> impl std::fmt::Debug + use<> {
                    let sender = self.senders.last().map(|sender| {
                        let counts = (sender.strong_count(), sender.weak_count(), sender.receiver_count());
                        (sender.len(), sender.is_empty(), counts)
                    });
                    let receivers: Vec<_> = self
                        .receivers
                        .iter()
                        .map(|receiver| {
                            let counts = (receiver.sender_strong_count(), receiver.sender_weak_count());
                            (receiver.len(), receiver.is_empty(), receiver.is_closed(), counts)
                        })
                        .collect();
                    (sender, receivers)
                }

                #[allow(dead_code, reason = "for one of the worlds")]
                pub(super) fn must_not_sleep(&mut self) {
                    for waiting in &mut self.futures {
                        if waiting.wakes == Some(waiting.hooked.wakes()) {
                            assert!(waiting.poll().is_pending(), "a wake was lost");
                        }
                    }
                }

                #[allow(dead_code, reason = "for one of the worlds")]
                pub(super) fn messages(&self) -> usize {
                    Rc::strong_count(&self.live) - 1
                }
            }
        }
    };
}

world!(ours, runtime::sync::broadcast);
world!(theirs, tokio::sync::broadcast);

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(common::rounds(100_000, 12_000, 1) as u32)
    })]

    #[test]
    fn any_story_goes_as_with_tokio(
        capacity in 1..6usize, steps in prop::collection::vec(any::<Step>(), 1..80),
    ) {
        let (mut ours, mut theirs) = (ours::World::new(capacity), theirs::World::new(capacity));
        for (number, step) in steps.into_iter().enumerate() {
            prop_assert_eq!(ours.step(step), theirs.step(step), "{:?}", step);
            prop_assert_eq!(format!("{:?}", ours.look()), format!("{:?}", theirs.look()), "after {:?}", step);
            prop_assert!(ours.messages() <= theirs.messages(), "a message was kept longer");
            if number % 4 == 3 {
                ours.must_not_sleep();
            }
        }
        ours.must_not_sleep();
    }
}
