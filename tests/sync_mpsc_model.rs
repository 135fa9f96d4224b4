//! Mpsc channels against tokio's: random stories of many senders, permits and futures that are dropped at any time give the
//! same results in both, step by step. Besides, no future of ours is left asleep that would be ready.

mod common;

use common::hooked::Hooked;
use proptest::prelude::*;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Clone, Copy, Debug)]
enum Step {
    CloneSender(usize),
    DropSender(usize),
    Downgrade(usize),
    Upgrade(usize),
    DropWeak(usize),
    TrySend(usize),
    Send(usize),
    Reserve(usize),
    /// Reserves some, and sends one less.
    ReserveMany(usize, usize),
    TryReserve(usize),
    TryReserveMany(usize, usize),
    Closed(usize),
    Poll(usize),
    PollAll,
    DropFuture(usize),
    UsePermit(usize),
    ReleasePermit(usize),
    DropPermit(usize),
    Recv,
    RecvMany(usize),
    TryRecv,
    Close,
    DropReceiver,
}

/// Makes a step from two numbers: a choice by weights, and what it is about.
fn step((choice, n): (u8, u8)) -> Step {
    let (which, count) = (usize::from(n % 6), usize::from(n / 6 % 5));
    match choice % 72 {
        0..2 => Step::CloneSender(which),
        2 => Step::DropSender(which),
        3 => Step::Downgrade(which),
        4 => Step::Upgrade(which),
        5 => Step::DropWeak(which),
        6..10 => Step::TrySend(which),
        10..18 => Step::Send(which),
        18..21 => Step::Reserve(which),
        21..24 => Step::ReserveMany(which, count),
        24..26 => Step::TryReserve(which),
        26..28 => Step::TryReserveMany(which, count),
        28 => Step::Closed(which),
        29..41 => Step::Poll(which),
        41..43 => Step::PollAll,
        43..46 => Step::DropFuture(which),
        46..48 => Step::UsePermit(which),
        48 => Step::ReleasePermit(which),
        49 => Step::DropPermit(which),
        50..60 => Step::Recv,
        60..63 => Step::RecvMany(count),
        63..67 => Step::TryRecv,
        67 => Step::Close,
        68 => Step::DropReceiver,
        _ => Step::Recv,
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(any::<(u8, u8)>(), 1..80)
        .prop_map(|numbers| numbers.into_iter().map(step).collect())
}

/// The outcome of a future of a world.
enum Output<Permit> {
    Said(String),
    Permit(Permit),
}

/// A future that waits, and whether it has been woken since its last poll.
struct Waiting<Permit> {
    future: Pin<Box<dyn Future<Output = Output<Permit>>>>,
    hooked: Rc<Hooked>,
    waker: Waker,
    /// The number of its wakes when it was last pending, or `None` if it was never polled.
    wakes: Option<usize>,
}

impl<Permit> Waiting<Permit> {
    fn new(future: impl Future<Output = Output<Permit>> + 'static) -> Waiting<Permit> {
        let (hooked, waker) = Hooked::new();
        Waiting { future: Box::pin(future), hooked, waker, wakes: None }
    }

    fn poll(&mut self) -> Poll<Output<Permit>> {
        let polled = self.future.as_mut().poll(&mut Context::from_waker(&self.waker));
        self.wakes = Some(self.hooked.wakes());
        polled
    }

    /// Fails if the future would be ready, and nobody has woken it.
    fn must_not_be_ready_in_its_sleep(&mut self) {
        if self.wakes == Some(self.hooked.wakes()) {
            assert!(self.poll().is_pending(), "a wake was lost");
        }
    }
}

/// A number that knows how many of its kind there are.
#[derive(Debug)]
#[allow(dead_code, reason = "printed, and counted")]
struct Message(u32, Rc<()>);

fn pick<T>(of: &[T], which: usize) -> Option<usize> {
    (!of.is_empty()).then(|| which % of.len())
}

macro_rules! world {
    ($name:ident, $mpsc:path) => {
        mod $name {
            use super::*;
            use $mpsc as mpsc;

            pub(super) struct World {
                senders: Vec<mpsc::Sender<Message>>,
                weak: Vec<mpsc::WeakSender<Message>>,
                receiver: Option<mpsc::Receiver<Message>>,
                futures: Vec<Waiting<mpsc::OwnedPermit<Message>>>,
                permits: Vec<mpsc::OwnedPermit<Message>>,
                receiving: (Rc<Hooked>, Waker, Option<usize>),
                live: Rc<()>,
                sent: u32,
            }

            #[allow(dead_code, reason = "some are for one of the worlds")]
            impl World {
                pub(super) fn new(room: usize) -> World {
                    let (sender, receiver) = mpsc::channel(room);
                    let (hooked, waker) = Hooked::new();
                    World {
                        senders: vec![sender],
                        weak: Vec::new(),
                        receiver: Some(receiver),
                        futures: Vec::new(),
                        permits: Vec::new(),
                        receiving: (hooked, waker, None),
                        live: Rc::new(()),
                        sent: 0,
                    }
                }

                fn message(&mut self) -> Message {
                    self.sent += 1;
                    Message(self.sent, self.live.clone())
                }

                fn poll_future(&mut self, which: usize) -> String {
                    match self.futures[which].poll() {
                        Poll::Pending => String::from("pending"),
                        Poll::Ready(output) => {
                            drop(self.futures.remove(which));
                            match output {
                                Output::Said(said) => said,
                                Output::Permit(permit) => {
                                    self.permits.push(permit);
                                    String::from("a permit")
                                }
                            }
                        }
                    }
                }

                pub(super) fn step(&mut self, step: Step) -> Option<String> {
                    let message = self.message();
                    let said = match step {
                        Step::CloneSender(which) => {
                            let sender = self.senders[pick(&self.senders, which)?].clone();
                            self.senders.push(sender);
                            String::new()
                        }
                        Step::DropSender(which) => {
                            drop(self.senders.remove(pick(&self.senders, which)?));
                            String::new()
                        }
                        Step::Downgrade(which) => {
                            self.weak.push(self.senders[pick(&self.senders, which)?].downgrade());
                            String::new()
                        }
                        Step::Upgrade(which) => {
                            let sender = self.weak[pick(&self.weak, which)?].upgrade();
                            let said = format!("{}", sender.is_some());
                            self.senders.extend(sender);
                            said
                        }
                        Step::DropWeak(which) => {
                            drop(self.weak.remove(pick(&self.weak, which)?));
                            String::new()
                        }
                        Step::TrySend(which) => {
                            format!("{:?}", self.senders[pick(&self.senders, which)?].try_send(message))
                        }
                        Step::Send(which) => {
                            let sender = self.senders[pick(&self.senders, which)?].clone();
                            self.futures.push(Waiting::new(async move {
                                Output::Said(format!(
                                    "{:?}",
                                    sender.send(message).await.map_err(|error| error.0)
                                ))
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        Step::Reserve(which) => {
                            let sender = self.senders[pick(&self.senders, which)?].clone();
                            self.futures.push(Waiting::new(async move {
                                match sender.reserve_owned().await {
                                    Ok(permit) => Output::Permit(permit),
                                    Err(error) => Output::Said(format!("{error:?}")),
                                }
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        Step::ReserveMany(which, count) => {
                            let sender = self.senders[pick(&self.senders, which)?].clone();
                            let live = self.live.clone();
                            self.futures.push(Waiting::new(async move {
                                let mut permits = match sender.reserve_many(count).await {
                                    Ok(permits) => permits,
                                    Err(error) => return Output::Said(format!("{error:?}")),
                                };
                                assert_eq!(permits.len(), count);
                                if !sender.is_closed() {
                                    for permit in permits.by_ref().take(count.saturating_sub(1)) {
                                        permit.send(Message(0, live.clone()));
                                    }
                                }
                                Output::Said(format!("{} left", permits.len()))
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        Step::TryReserve(which) => {
                            let sender = self.senders[pick(&self.senders, which)?].clone();
                            match sender.try_reserve_owned() {
                                Ok(permit) => {
                                    self.permits.push(permit);
                                    String::from("a permit")
                                }
                                Err(mpsc::error::TrySendError::Full(_)) => String::from("full"),
                                Err(mpsc::error::TrySendError::Closed(_)) => String::from("closed"),
                            }
                        }
                        Step::TryReserveMany(which, count) => {
                            let sender = &self.senders[pick(&self.senders, which)?];
                            match sender.try_reserve_many(count) {
                                Ok(mut permits) => {
                                    if let Some(permit) = permits.next() {
                                        permit.send(message);
                                    }
                                    format!("{:?}", permits.size_hint())
                                }
                                Err(error) => format!("{error:?}"),
                            }
                        }
                        Step::Closed(which) => {
                            let sender = self.senders[pick(&self.senders, which)?].clone();
                            self.futures.push(Waiting::new(async move {
                                sender.closed().await;
                                Output::Said(String::from("closed"))
                            }));
                            self.poll_future(self.futures.len() - 1)
                        }
                        Step::Poll(which) => self.poll_future(pick(&self.futures, which)?),
                        Step::PollAll => {
                            let mut said = String::new();
                            let mut next = 0;
                            while next < self.futures.len() {
                                let count = self.futures.len();
                                said += &self.poll_future(next);
                                next += usize::from(self.futures.len() == count);
                            }
                            said
                        }
                        Step::DropFuture(which) => {
                            drop(self.futures.remove(pick(&self.futures, which)?));
                            String::new()
                        }
                        Step::UsePermit(which) => {
                            // Without a receiver, tokio keeps the message.
                            self.receiver.as_ref()?;
                            let permit = self.permits.remove(pick(&self.permits, which)?);
                            self.senders.push(permit.send(message));
                            String::new()
                        }
                        Step::ReleasePermit(which) => {
                            let permit = self.permits.remove(pick(&self.permits, which)?);
                            self.senders.push(permit.release());
                            String::new()
                        }
                        Step::DropPermit(which) => {
                            drop(self.permits.remove(pick(&self.permits, which)?));
                            String::new()
                        }
                        Step::Recv => {
                            let (hooked, waker, wakes) = &mut self.receiving;
                            let received = self.receiver.as_mut()?.poll_recv(&mut Context::from_waker(waker));
                            *wakes = received.is_pending().then(|| hooked.wakes());
                            format!("{received:?}")
                        }
                        Step::RecvMany(limit) => {
                            let (hooked, waker, wakes) = &mut self.receiving;
                            let mut buffer = vec![message];
                            let mut cx = Context::from_waker(waker);
                            let received =
                                self.receiver.as_mut()?.poll_recv_many(&mut cx, &mut buffer, limit);
                            if limit > 0 {
                                *wakes = received.is_pending().then(|| hooked.wakes());
                            }
                            format!("{received:?} {buffer:?}")
                        }
                        Step::TryRecv => format!("{:?}", self.receiver.as_mut()?.try_recv()),
                        Step::Close => {
                            self.receiver.as_mut()?.close();
                            String::new()
                        }
                        Step::DropReceiver => {
                            self.receiver.take()?;
                            String::new()
                        }
                    };
                    Some(said)
                }

                /// The state that can be read without a change.
                pub(super) fn look(&self) -> impl std::fmt::Debug + use<> {
                    let sender = self.senders.first().map(|sender| {
                        (
                            sender.capacity(),
                            sender.max_capacity(),
                            sender.is_closed(),
                            sender.strong_count(),
                            sender.weak_count(),
                        )
                    });
                    let receiver = self.receiver.as_ref().map(|receiver| {
                        let counts = (receiver.sender_strong_count(), receiver.sender_weak_count());
                        (
                            receiver.len(),
                            receiver.is_empty(),
                            receiver.is_closed(),
                            receiver.capacity(),
                            counts,
                        )
                    });
                    let weak = self.weak.first().map(|weak| (weak.strong_count(), weak.weak_count()));
                    (sender, receiver, weak, Rc::strong_count(&self.live))
                }

                pub(super) fn must_not_sleep(&mut self) {
                    self.futures.iter_mut().for_each(Waiting::must_not_be_ready_in_its_sleep);
                    let (hooked, waker, wakes) = &mut self.receiving;
                    if let (Some(receiver), Some(wakes)) = (&mut self.receiver, wakes)
                        && *wakes == hooked.wakes()
                    {
                        let received = receiver.poll_recv(&mut Context::from_waker(waker));
                        assert!(received.is_pending(), "a wake was lost: {received:?}");
                    }
                }

                /// Ends everything, after which nothing is left.
                pub(super) fn end(mut self) {
                    let hooked: Vec<_> =
                        self.futures.drain(..).map(|waiting| waiting.hooked.clone()).collect();
                    self.receiver = None;
                    assert!(hooked.iter().all(|hooked| hooked.live() == 0));
                    assert_eq!(self.receiving.0.live(), 1);
                    self.permits.clear();
                    self.senders.clear();
                    assert_eq!(Rc::strong_count(&self.live), 1, "a message was not dropped");
                }
            }
        }
    };
}

world!(ours, runtime::sync::mpsc);
world!(theirs, tokio::sync::mpsc);

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(common::rounds(100_000, 12_000, 1) as u32) })]

    #[test]
    fn any_story_of_a_bounded_channel_goes_as_with_tokio(room in 1..4usize, steps in steps()) {
        let (mut ours, mut theirs) = (ours::World::new(room), theirs::World::new(room));
        for (number, step) in steps.into_iter().enumerate() {
            prop_assert_eq!(ours.step(step), theirs.step(step), "{:?}", step);
            prop_assert_eq!(format!("{:?}", ours.look()), format!("{:?}", theirs.look()), "after {:?}", step);
            // Not each time, which would take most of the time.
            if number % 4 == 3 {
                ours.must_not_sleep();
            }
        }
        ours.must_not_sleep();
        ours.end();
    }
}
