//! Watch channels: the latest value, who has seen it, and the end of either side.

mod common;

use common::hooked::{Call, Hooked, poll_with};
use common::{Count, CountOnDrop, message, panic_quietly, run, watchdog};
use proptest::prelude::*;
use runtime::spawn;
use runtime::sync::watch;
use runtime::task::yield_now;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[test]
fn every_receiver_sees_the_latest_value_and_is_told_once() {
    run(async {
        let (sender, receiver) = watch::channel(0);
        let watching: Vec<_> = (0..3)
            .map(|_| {
                let mut receiver = receiver.clone();
                spawn(async move {
                    let mut seen = Vec::new();
                    while receiver.changed().await.is_ok() {
                        seen.push(*receiver.borrow());
                    }
                    seen
                })
            })
            .collect();
        drop(receiver);
        yield_now().await;
        sender.send(1).unwrap();
        sender.send(2).unwrap();
        yield_now().await;
        sender.send(3).unwrap();
        drop(sender);
        for watching in watching {
            assert_eq!(watching.await.unwrap(), [2, 3]);
        }
    });
}

#[test]
fn a_value_counts_as_seen_by_what_has_seen_it() {
    let (sender, mut receiver) = watch::channel('a');
    assert!(!receiver.has_changed().unwrap() && !receiver.borrow().has_changed());
    sender.send('b').unwrap();
    assert!(receiver.has_changed().unwrap() && receiver.borrow().has_changed());
    let mut behind = receiver.clone();
    assert!(receiver.borrow_and_update().has_changed());
    assert!(!receiver.has_changed().unwrap() && behind.has_changed().unwrap());
    behind.mark_unchanged();
    assert!(!behind.has_changed().unwrap());
    behind.mark_changed();
    assert!(behind.has_changed().unwrap());
    assert!(!sender.borrow().has_changed() && !sender.subscribe().has_changed().unwrap());
    drop(sender);
    assert!(behind.is_closed() && behind.has_changed().is_err());
    assert_eq!(*behind.borrow(), 'b');
}

#[test]
fn the_last_value_is_seen_before_the_end() {
    run(async {
        let (sender, mut receiver) = watch::channel(0);
        sender.send(1).unwrap();
        drop(sender);
        assert!(receiver.changed().await.is_ok());
        assert!(receiver.changed().await.is_err());
    });
}

#[test]
fn without_receivers_send_fails_and_send_replace_does_not() {
    let sender = watch::Sender::new(1);
    assert!(sender.is_closed());
    assert_eq!(sender.send(2).unwrap_err().0, 2);
    assert_eq!(*sender.borrow(), 1);
    assert_eq!(sender.send_replace(3), 1);
    sender.send_modify(|value| *value += 1);
    assert!(!sender.send_if_modified(|_| false));
    let receiver = sender.subscribe();
    assert_eq!((*receiver.borrow(), sender.receiver_count(), sender.sender_count()), (4, 1, 1));
    assert!(sender.same_channel(&sender.clone()) && receiver.same_channel(&receiver.clone()));
    assert_eq!(*watch::Sender::<u32>::default().borrow(), 0);
}

#[test]
fn closed_ends_when_the_last_receiver_goes_and_begins_anew_with_a_subscriber() {
    run(async {
        let (sender, receiver) = watch::channel(0);
        let waiting = sender.clone();
        let closed = spawn(async move { waiting.closed().await });
        yield_now().await;
        // Gone and come again before the task looks.
        drop(receiver);
        let receiver = sender.subscribe();
        yield_now().await;
        assert!(!closed.is_finished());
        drop(receiver);
        closed.await.unwrap();
    });
}

#[test]
fn a_send_while_the_value_is_borrowed_panics_and_says_why() {
    let (sender, receiver) = watch::channel(vec![1]);
    let borrowed = receiver.borrow();
    let panic = catch_unwind(AssertUnwindSafe(|| sender.send(vec![2]))).unwrap_err();
    assert!(message(&*panic).contains("is borrowed while another one is sent"), "{}", message(&*panic));
    assert_eq!(*borrowed, [1]);
    drop(borrowed);
    sender.send(vec![3]).unwrap();

    let panic =
        catch_unwind(AssertUnwindSafe(|| sender.send_modify(|_| drop(receiver.borrow())))).unwrap_err();
    assert!(message(&*panic).contains("while it is being changed"), "{}", message(&*panic));
    assert_eq!(*receiver.borrow(), [3]);
}

#[test]
fn a_closure_that_panics_leaves_the_channel_usable_and_tells_nobody() {
    let (sender, mut receiver) = watch::channel(1);
    let change = || {
        sender.send_modify(|value| {
            *value = 2;
            panic_quietly("a hostile closure");
        });
    };
    catch_unwind(AssertUnwindSafe(change)).unwrap_err();
    assert!(!receiver.has_changed().unwrap());
    assert_eq!(*receiver.borrow(), 2, "as the closure has left it");

    let mut waiting = Box::pin(receiver.wait_for(|_| panic_quietly("a hostile condition")));
    catch_unwind(AssertUnwindSafe(|| poll_with(&mut waiting, Waker::noop()).is_ready())).unwrap_err();
    drop(waiting);
    sender.send(3).unwrap();
    assert_eq!(*receiver.borrow_and_update(), 3);
}

#[test]
fn an_earlier_value_is_dropped_after_the_receivers_were_told_and_may_use_the_channel() {
    thread_local! {
        static SENDER: RefCell<Option<watch::Sender<Hostile>>> = const { RefCell::new(None) };
    }
    struct Hostile(u32);
    impl Drop for Hostile {
        fn drop(&mut self) {
            let sender = SENDER.take();
            if let Some(sender) = &sender {
                assert_eq!(sender.borrow().0, self.0 + 1);
                // Dropped in turn, without a sender.
                sender.send(Hostile(9)).unwrap_or_else(|_| unreachable!());
            }
            if sender.is_some() {
                panic_quietly("a hostile value");
            }
        }
    }
    let (sender, mut receiver) = watch::channel(Hostile(1));
    let (hooked, waker) = Hooked::new();
    let mut changed = Box::pin(receiver.changed());
    assert!(poll_with(&mut changed, &waker).is_pending());
    SENDER.set(Some(sender.clone()));
    sender.send(Hostile(2)).unwrap_or_else(|_| unreachable!());
    assert_eq!(hooked.wakes(), 1);
    assert!(poll_with(&mut changed, &waker).is_ready());
    drop(changed);
    assert_eq!(receiver.borrow().0, 9);
}

#[test]
fn futures_that_are_dropped_take_their_wakers_along() {
    let (hooked, waker) = Hooked::new();
    let (sender, mut receiver) = watch::channel(0);
    let mut changed = Box::pin(receiver.changed());
    (0..common::rounds(10_000, 10_000, 100))
        .for_each(|_| assert!(poll_with(&mut changed, &waker).is_pending()));
    assert_eq!((hooked.clones(), hooked.live()), (1, 2));
    drop(changed);
    assert_eq!(hooked.live(), 1);
    let mut waiting = Box::pin(receiver.wait_for(|value| *value > 0));
    assert!(poll_with(&mut waiting, &waker).is_pending());
    drop(waiting);
    let mut closed = Box::pin(sender.closed());
    assert!(poll_with(&mut closed, &waker).is_pending());
    drop(closed);
    drop(receiver);
    assert_eq!((hooked.live(), hooked.wakes()), (1, 0));
}

#[test]
fn wakers_that_send_or_drop_the_channel_find_it_consistent() {
    let (sender, mut receiver) = watch::channel(0);
    let (hooked, waker) = Hooked::new();
    let by_clone = sender.clone();
    hooked.once(Call::Clone, move || by_clone.send(1).unwrap());
    let mut changed = Box::pin(receiver.changed());
    assert!(matches!(poll_with(&mut changed, &waker), Poll::Ready(Ok(()))));
    drop(changed);
    assert_eq!((hooked.live(), *receiver.borrow()), (1, 1));

    // A waker that looks at once sees the value that it is woken for.
    let seen = Count::default();
    let (counted, latest) = (seen.clone(), receiver.clone());
    let (hooked, waker) = Hooked::new();
    hooked.once(Call::Wake, move || {
        if latest.has_changed().unwrap() && *latest.borrow() == 2 {
            counted.add();
        }
    });
    receiver.mark_unchanged();
    let mut changed = Box::pin(receiver.changed());
    assert!(poll_with(&mut changed, &waker).is_pending());
    sender.send(2).unwrap();
    assert_eq!((hooked.wakes(), seen.get()), (1, 1));
    assert!(poll_with(&mut changed, &waker).is_ready());
    drop(changed);

    // The first waker that is woken sends again; each waiter is woken once.
    let mut others: Vec<_> = (0..10).map(|_| receiver.clone()).collect();
    let hooks: Vec<_> = (0..10).map(|_| Hooked::new()).collect();
    let mut waiting: Vec<_> = others.iter_mut().map(|receiver| Box::pin(receiver.changed())).collect();
    for (waiting, (_, waker)) in waiting.iter_mut().zip(&hooks) {
        assert!(poll_with(waiting, waker).is_pending());
    }
    let by_wake = sender.clone();
    hooks[0].0.once(Call::Wake, move || by_wake.send(4).unwrap());
    hooks[1].0.once(Call::Wake, || panic_quietly("a hostile waker"));
    sender.send(3).unwrap();
    assert!(hooks.iter().all(|(hooked, _)| hooked.wakes() == 1));
    drop(waiting);
    assert!(others.iter_mut().all(|receiver| *receiver.borrow_and_update() == 4));
}

#[test]
fn a_task_that_finds_ever_new_values_yields_now_and_then() {
    run(async {
        let (sender, mut receiver) = watch::channel(0);
        let other = spawn(async {});
        for number in 0..500 {
            sender.send(number).unwrap();
            receiver.changed().await.unwrap();
        }
        assert!(other.is_finished(), "the loop got no turn");
        let other = spawn(async {});
        for _ in 0..500 {
            assert_eq!(*receiver.wait_for(|_| true).await.unwrap(), 499);
        }
        assert!(other.is_finished(), "the loop got no turn");
    });
}

#[test]
fn the_value_is_dropped_once_with_the_last_handle() {
    let _watchdog = watchdog();
    let drops = Count::default();
    let (sender, receiver) = watch::channel(CountOnDrop(drops.clone()));
    assert!(sender.send(CountOnDrop(drops.clone())).is_ok());
    assert_eq!(drops.get(), 1);
    drop(sender);
    assert_eq!(drops.get(), 1);
    drop(receiver);
    assert_eq!(drops.get(), 2);
}

/// A step for tokio's channel and ours: an operation, chosen by weights, and its operands.
type Step = (u8, u8);

/// A future with whether it was woken since its last poll.
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

macro_rules! world {
    ($name:ident, $watch:path) => {
        mod $name {
            use super::*;
            use $watch as watch;

            pub(super) struct World {
                senders: Vec<watch::Sender<u32>>,
                receivers: Vec<watch::Receiver<u32>>,
                futures: Vec<Waiting<watch::Receiver<u32>>>,
                sent: u32,
            }

            impl World {
                pub(super) fn new() -> World {
                    let (sender, receiver) = watch::channel(0);
                    World { senders: vec![sender], receivers: vec![receiver], futures: Vec::new(), sent: 0 }
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
                    let receiver = (!self.receivers.is_empty()).then(|| n % self.receivers.len());
                    let future = (!self.futures.is_empty()).then(|| n % self.futures.len());
                    self.sent += 1;
                    let value = self.sent;
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
                            let receiver = self.receivers[receiver?].clone();
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
                        5..10 => format!("{:?}", self.senders[sender?].send(value).map_err(|error| error.0)),
                        10 => format!("{:?}", self.senders[sender?].send_replace(value)),
                        11..13 => {
                            let modified = self.senders[sender?].send_if_modified(|old| {
                                *old = value;
                                n % 2 == 0
                            });
                            format!("{modified}")
                        }
                        13 => {
                            let sender = self.senders[sender?].clone();
                            self.futures.push(Waiting::new(async move {
                                sender.closed().await;
                                (None, String::from("closed"))
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        14..18 => {
                            let mut receiver = self.receivers.remove(receiver?);
                            self.futures.push(Waiting::new(async move {
                                let said = format!("{:?}", receiver.changed().await);
                                (Some(receiver), said)
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        18..22 => {
                            let mut receiver = self.receivers.remove(receiver?);
                            self.futures.push(Waiting::new(async move {
                                let waited = receiver.wait_for(|value| value % 3 == n as u32 % 3).await;
                                let said = waited.map(|value| (*value, value.has_changed()));
                                let said = format!("{said:?}");
                                (Some(receiver), said)
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        22..32 => self.poll_future(future?),
                        32 => {
                            drop(self.futures.remove(future?));
                            String::new()
                        }
                        33 => {
                            self.receivers[receiver?].mark_changed();
                            String::new()
                        }
                        34 => {
                            self.receivers[receiver?].mark_unchanged();
                            String::new()
                        }
                        35..37 => {
                            let value = self.receivers[receiver?].borrow_and_update();
                            format!("{} {}", *value, value.has_changed())
                        }
                        _ => {
                            let value = self.receivers[receiver?].borrow();
                            format!("{} {}", *value, value.has_changed())
                        }
                    })
                }

                pub(super) fn look(&self) -> impl std::fmt::Debug + use<> {
                    let sender = self.senders.last().map(|sender| {
                        let counts = (sender.sender_count(), sender.receiver_count());
                        (*sender.borrow(), sender.borrow().has_changed(), sender.is_closed(), counts)
                    });
                    let receiver = self.receivers.last().map(|receiver| {
                        (*receiver.borrow(), receiver.is_closed(), receiver.has_changed().ok())
                    });
                    (sender, receiver)
                }

                #[allow(dead_code, reason = "for one of the worlds")]
                pub(super) fn must_not_sleep(&mut self) {
                    for waiting in &mut self.futures {
                        if waiting.wakes == Some(waiting.hooked.wakes()) {
                            assert!(waiting.poll().is_pending(), "a wake was lost");
                        }
                    }
                }
            }
        }
    };
}

world!(ours, runtime::sync::watch);
world!(theirs, tokio::sync::watch);

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None, ..ProptestConfig::with_cases(common::rounds(100_000, 12_000, 1) as u32)
    })]

    #[test]
    fn any_story_goes_as_with_tokio(steps in prop::collection::vec(any::<Step>(), 1..80)) {
        let (mut ours, mut theirs) = (ours::World::new(), theirs::World::new());
        for (number, step) in steps.into_iter().enumerate() {
            prop_assert_eq!(ours.step(step), theirs.step(step), "{:?}", step);
            prop_assert_eq!(format!("{:?}", ours.look()), format!("{:?}", theirs.look()), "after {:?}", step);
            if number % 4 == 3 {
                ours.must_not_sleep();
            }
        }
        ours.must_not_sleep();
    }
}
