//! Starting work: a task on this thread's loop, or a blocking call on the pool.

use crate::runtime::context::{self, Context};
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::join::JoinHandle;
use crate::runtime::join::error::JoinError;
use crate::runtime::join::packet::{self, Calling, SendOutput};
use crate::runtime::remote::Remote;
use crate::runtime::remote::blocking::Job;
use crate::runtime::remote::blocking_call::{self, Home};
use crate::task::origin::Origin;
use crate::task::outside;
use std::io;
use std::sync::Arc;

/// Starts a task on the runtime of this thread. It runs from the next turn on, also if its handle
/// is never awaited; the future need not be `Send`.
///
/// A panic in the task ends the task alone, and is delivered by its handle. The task is dropped
/// when it ends, when it is aborted, or with its runtime, always on this thread.
///
/// # Panics
///
/// If no runtime is entered on this thread.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
///
/// runtime::block_on(async {
///     let shared = Rc::new(41);
///     let task = runtime::spawn({
///         let shared = shared.clone();
///         async move { *shared + 1 }
///     });
///     assert_eq!(task.await.unwrap(), 42);
/// });
/// ```
// In line, for then a future is made where it will live. Not while debugging, when that makes large frames.
#[cfg_attr(not(debug_assertions), inline(always))]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_for("spawn", future)
}

/// The same, for a function of that name.
#[cfg_attr(not(debug_assertions), inline(always))]
#[track_caller]
pub(crate) fn spawn_for<F>(function: &str, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    JoinHandle::local(spawn_task(function, future, Origin::caller()))
}

/// The same, on the runtime of this thread that is given.
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn spawn_on<F>(context: &Context, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    JoinHandle::local(context.spawn(context.boxed(future), Origin::caller()))
}

#[cfg_attr(not(debug_assertions), inline(always))]
#[track_caller]
fn spawn_task<F>(function: &str, future: F, origin: Origin) -> TaskRef
where
    F: Future + 'static,
    F::Output: 'static,
{
    let of = context::with_for(function, |context| context.spawn(context.boxed(future), origin));
    if of.is_refused() {
        context::drop_refused();
    }
    of
}

/// Has the runtime's thread start a task, from any thread.
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn spawn_remote<F>(remote: &Remote, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (handle, start) = spawn_later(future, true);
    if context::is_current(remote.id()) {
        start();
    } else if context::local(remote.id()).is_some() {
        // The loop of this thread does not turn now, and makes no room.
        drop(remote.call(Box::new(start)));
    } else {
        drop(remote.call_when_room(Box::new(start)));
    }
    // If the runtime has gone, the call was dropped, and the sender in it has reported a cancellation.
    handle
}

/// A task that is started by a call, on the thread and in the runtime where that is made: on another one if
/// `elsewhere`. Dropped instead, it reports a cancellation to the handle.
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn spawn_later<F>(future: F, elsewhere: bool) -> (JoinHandle<F::Output>, impl FnOnce())
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (sender, packet) = packet::packet(elsewhere);
    let control = packet.control().clone();
    let future = SendOutput::new(future, sender);
    let origin = Origin::caller();
    let start = move || {
        let of = spawn_task("spawn", future, origin);
        // The result goes by the packet.
        context::detach(of);
        control.runs_as(of);
    };
    (JoinHandle::remote(packet), start)
}

/// Makes a call that may block, on a thread of the runtime's pool, so that the loop goes on.
///
/// Threads are started as calls need them, up to
/// [`max_blocking_threads`](crate::Builder::max_blocking_threads); further calls wait for one to be
/// free. The handle may be awaited on any thread. A call that has begun cannot be aborted, and
/// dropping the runtime does not wait for it.
///
/// In the call, [`Handle::current`](crate::Handle::current) gives the runtime's handle, by which tasks are spawned
/// and awaited there, and [`task::id`](crate::task::id) the call's own id. `spawn` needs the runtime's own thread, and
/// panics.
///
/// If no thread can be started and none exists, the handle gives an error that
/// [`is_cancelled`](crate::task::JoinError::is_cancelled) and says so.
///
/// # Panics
///
/// If no runtime is entered on this thread, and it makes no blocking call of one either. A panic in the call is
/// delivered by the handle.
///
/// # Examples
///
/// ```
/// # runtime::block_on(async {
/// let sum = runtime::task::spawn_blocking(|| (1..=1000u64).sum::<u64>());
/// assert_eq!(sum.await.unwrap(), 500_500);
/// # });
/// ```
#[track_caller]
pub fn spawn_blocking<F, T>(call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_blocking_for("spawn_blocking", call)
}

/// The same, for a function of that name.
#[track_caller]
pub(crate) fn spawn_blocking_for<F, T>(function: &str, call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::home() {
        Some(home) => spawn_on_pool(&home, call),
        None => outside::called(function),
    }
}

/// As [`spawn_blocking`], for a call that looks up a name and may take long. There is a limit to how many of them run
/// at once, which leaves threads to other calls.
#[cfg(feature = "net")]
#[track_caller]
pub(crate) fn spawn_look_up<F, T>(call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::home() {
        Some(home) => spawn_by(&home, |job| home.pool.spawn_look_up(job), call),
        None => outside::called("lookup_host"),
    }
}

pub(crate) fn spawn_on_pool<F, T>(home: &Home, call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_by(home, |job| home.pool.spawn(job), call)
}

fn spawn_by<F, T>(home: &Home, spawn: impl FnOnce(Job) -> io::Result<()>, call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (sender, packet) = packet::packet(true);
    let sender = Arc::new(sender);
    let (at, id) = (home.clone(), sender.control().id());
    let calling = Calling::new(
        move || {
            // Over before the result is sent, which wakes whoever waits.
            let _making = blocking_call::begin(at, id);
            call()
        },
        sender.clone(),
    );
    if let Err(error) = spawn(Box::new(move || calling.run())) {
        sender.send(Err(JoinError::no_thread(packet.control().id(), error)));
    }
    JoinHandle::remote(packet)
}
