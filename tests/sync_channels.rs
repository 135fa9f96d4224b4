//! Properties that all channels of `sync` share with tokio's, besides their behaviour: the words of their errors, and the
//! traits of their handles. Also the end of a channel when the process exits.

mod common;

use runtime::sync as ours;
use std::error::Error;
use std::fmt::Debug;
use std::panic::{RefUnwindSafe, UnwindSafe};
use tokio::sync as theirs;

fn text(error: &dyn Error) -> String {
    format!("{error} {error:?} {error:#?}")
}

macro_rules! same {
    ($($error:expr),+ $(,)?) => {
        $({
            let our = { use ours as sync; $error };
            let their = { use theirs as sync; $error };
            assert_eq!(text(&our), text(&their), "{}", stringify!($error));
        })+
    };
}

#[test]
fn errors_speak_as_those_of_tokio() {
    same![
        sync::mpsc::error::SendError(1),
        sync::mpsc::error::TrySendError::Full(1),
        sync::mpsc::error::TrySendError::Closed(1),
        sync::mpsc::error::TrySendError::from(sync::mpsc::error::SendError(1)),
        sync::mpsc::error::TryRecvError::Empty,
        sync::mpsc::error::TryRecvError::Disconnected,
        sync::oneshot::error::TryRecvError::Empty,
        sync::oneshot::error::TryRecvError::Closed,
        sync::oneshot::channel::<u8>().1.try_recv().unwrap_err(),
        {
            let (sender, receiver) = sync::oneshot::channel::<u8>();
            drop(sender);
            futures_lite::future::block_on(receiver).unwrap_err()
        },
        sync::watch::error::SendError(1),
        {
            let (sender, mut receiver) = sync::watch::channel(1);
            drop(sender);
            futures_lite::future::block_on(receiver.changed()).unwrap_err()
        },
        sync::broadcast::error::SendError(1),
        sync::broadcast::error::RecvError::Closed,
        sync::broadcast::error::RecvError::Lagged(3),
        sync::broadcast::error::TryRecvError::Empty,
        sync::broadcast::error::TryRecvError::Closed,
        sync::broadcast::error::TryRecvError::Lagged(3),
    ];
    let timeout = ours::mpsc::error::SendTimeoutError::Timeout(1);
    assert_eq!(text(&timeout), "timed out waiting on send operation \"Timeout(..)\" \"Timeout(..)\"");
    let closed = ours::mpsc::error::SendTimeoutError::Closed(1);
    assert_eq!(text(&closed), "channel closed \"Closed(..)\" \"Closed(..)\"");
    assert_eq!((timeout.into_inner(), ours::mpsc::error::TrySendError::Full(2).into_inner()), (1, 2));
}

/// A message that is neither `Unpin` nor unwind safe, nor can be printed.
struct Awkward(
    #[allow(dead_code, reason = "for its traits")] (&'static mut dyn FnMut(), std::marker::PhantomPinned),
);

#[test]
fn handles_have_the_traits_of_tokios() {
    fn unwind_safe<T: UnwindSafe + RefUnwindSafe>() {}
    fn unpin<T: Unpin>() {}
    fn debug<T: Debug>() {}
    fn clone<T: Clone>() {}
    macro_rules! all {
        ($check:ident: $($handle:ty),+ $(,)?) => { $($check::<$handle>();)+ };
    }
    use ours::{CancellationToken, broadcast, mpsc, oneshot, watch};
    all![unwind_safe:
        mpsc::Sender<Awkward>, mpsc::WeakSender<Awkward>, mpsc::Receiver<Awkward>, mpsc::OwnedPermit<Awkward>,
        mpsc::Permit<'_, Awkward>, mpsc::PermitIterator<'_, Awkward>,
        mpsc::UnboundedSender<Awkward>, mpsc::WeakUnboundedSender<Awkward>, mpsc::UnboundedReceiver<Awkward>,
        oneshot::Sender<Awkward>, oneshot::Receiver<Awkward>,
        watch::Sender<Awkward>, watch::Receiver<Awkward>,
        broadcast::Sender<Awkward>, broadcast::WeakSender<Awkward>, broadcast::Receiver<Awkward>,
        CancellationToken,
    ];
    all![unpin:
        mpsc::Sender<Awkward>, mpsc::Receiver<Awkward>, mpsc::UnboundedReceiver<Awkward>, oneshot::Sender<Awkward>,
        oneshot::Receiver<Awkward>, watch::Receiver<Awkward>, broadcast::Receiver<Awkward>, CancellationToken,
    ];
    all![debug:
        mpsc::Sender<Awkward>, mpsc::WeakSender<Awkward>, mpsc::Receiver<Awkward>, mpsc::OwnedPermit<Awkward>,
        mpsc::Permit<'_, Awkward>, mpsc::PermitIterator<'_, Awkward>,
        mpsc::UnboundedSender<Awkward>, mpsc::WeakUnboundedSender<Awkward>, mpsc::UnboundedReceiver<Awkward>,
        oneshot::Sender<u8>, oneshot::Receiver<u8>, watch::Sender<u8>, watch::Receiver<u8>, watch::Ref<'_, u8>,
        broadcast::Sender<Awkward>, broadcast::WeakSender<Awkward>, broadcast::Receiver<Awkward>, CancellationToken,
    ];
    all![clone:
        mpsc::Sender<Awkward>, mpsc::WeakSender<Awkward>, mpsc::UnboundedSender<Awkward>,
        mpsc::WeakUnboundedSender<Awkward>, watch::Sender<Awkward>, watch::Receiver<Awkward>,
        broadcast::Sender<Awkward>, broadcast::WeakSender<Awkward>, CancellationToken,
    ];
}

#[test]
fn debug_output_of_handles_shows_their_state_and_no_message() {
    let (sender, receiver) = ours::mpsc::channel(2);
    sender.try_send("secret").unwrap();
    assert_eq!(format!("{sender:?}"), "Sender { is_closed: false, capacity: 1, .. }");
    assert_eq!(format!("{receiver:?}"), "Receiver { is_closed: false, len: 1 }");
    let (sender, receiver) = ours::watch::channel(1);
    let borrowed = receiver.borrow();
    assert_eq!(
        format!("{sender:?} {borrowed:?}"),
        "Sender { value: RefCell { value: 1 }, receiver_count: 1, .. } Ref { value: 1, has_changed: false }"
    );
    drop(borrowed);
    sender.send_modify(|_| assert!(format!("{receiver:?}").contains("<borrowed>")));
    assert_eq!(
        format!("{:?}", ours::broadcast::channel::<u8>(1)),
        "(broadcast::Sender, broadcast::Receiver)"
    );
}

#[cfg(not(miri))] // A process.
#[test]
fn channels_that_wait_in_the_midst_of_a_process_exit_are_silent() {
    use common::process::exit_of_child;

    thread_local! {
        static KEPT: std::cell::RefCell<Vec<Box<dyn std::any::Any>>> = const { std::cell::RefCell::new(Vec::new()) };
    }
    let status = exit_of_child(|| {
        KEPT.with_borrow_mut(Vec::clear);
        runtime::block_on(async {
            let (sender, mut receiver) = ours::mpsc::channel::<u8>(1);
            let (update, mut updated) = ours::watch::channel(1);
            let (cast, mut caught) = ours::broadcast::channel::<u8>(1);
            let (reply, answer) = ours::oneshot::channel::<u8>();
            let token = ours::CancellationToken::new();
            runtime::spawn(async move { receiver.recv().await });
            runtime::spawn(async move { updated.changed().await });
            runtime::spawn(async move { caught.recv().await });
            runtime::spawn(answer);
            runtime::spawn(token.child_token().cancelled_owned());
            runtime::task::yield_now().await;
            KEPT.with_borrow_mut(|kept| kept.push(Box::new((sender, update, cast, reply, token))));
            std::process::exit(0);
        });
    });
    assert!(status.success());
}
