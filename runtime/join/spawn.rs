//! The functions that start work: a task on this thread's loop, a task on the loop of another thread, or a blocking
//! call on the pool.

use crate::runtime::context::{self, Context};
use crate::runtime::executor::task_ref::TaskRef;
use crate::runtime::join::JoinHandle;
use crate::runtime::join::error::{JoinError, UnreadHook};
use crate::runtime::join::packet::{self, Calling, SendOutput};
use crate::runtime::remote::Remote;
use crate::runtime::remote::blocking::{Class, Job};
use crate::runtime::remote::blocking_call::{self, Home};
use crate::runtime::unwind;
use crate::task::origin::Origin;
use crate::task::outside;
use std::io;
use std::sync::Arc;

/// Spawns a task on the runtime of this thread, and returns a handle that awaits its output.
///
/// The task runs from the next turn of the loop on, even if its handle is never awaited. The future need not be
/// `Send`.
///
/// A panic in the task ends only that task, and the handle returns it. The task is dropped when it ends, when it is
/// aborted, or when its runtime is dropped, always on this thread.
///
/// # Panics
///
/// Panics if no runtime is entered on this thread.
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
// Inlined, because the future is then built in its final place. Not in debug builds, where that makes the stack frames
// large.
#[cfg_attr(not(debug_assertions), inline(always))]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    spawn_for("spawn", future)
}

/// Spawns a task on behalf of the function `function`, whose name is used if this panics.
#[cfg_attr(not(debug_assertions), inline(always))]
#[track_caller]
pub(crate) fn spawn_for<F>(function: &str, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    JoinHandle::local(spawn_task(function, future, Origin::caller()))
}

/// Spawns a task on the given runtime, which belongs to this thread.
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn spawn_on<F>(context: &Context, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let of = context.spawn(context.boxed(future), Origin::caller());
    if of.is_refused() {
        let refused = context.tasks.borrow_mut().take_refused();
        refused.into_iter().for_each(|task| unwind::contain(|| drop(task)));
    }
    JoinHandle::local(of)
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

/// Spawns a task on the runtime's thread, from any thread.
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn spawn_remote<F>(remote: &Remote, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (handle, start) = spawn_later(future, true, remote.on_unread().cloned());
    if context::is_current(remote.id()) {
        start();
    } else if context::local(remote.id()).is_some() {
        // The runtime belongs to this thread, so its loop is not running now and cannot make room.
        drop(remote.call(Box::new(start)));
    } else {
        drop(remote.call_when_room(Box::new(start)));
    }
    // If the runtime has been dropped, the call was dropped here, and the sender in it has reported a cancellation.
    handle
}

/// Returns a join handle, and a closure that spawns its task on the thread and in the runtime where it is called.
/// `elsewhere` says that this will be another thread. If the closure is dropped instead, the handle gets a
/// cancellation. `on_unread` is called with a panic that the handle does not return.
#[cfg_attr(debug_assertions, track_caller)]
pub(crate) fn spawn_later<F>(
    future: F,
    elsewhere: bool,
    on_unread: Option<UnreadHook>,
) -> (JoinHandle<F::Output>, impl FnOnce())
where
    F: Future + 'static,
    F::Output: 'static,
{
    let (sender, packet) = packet::packet(elsewhere, on_unread);
    let control = packet.control().clone();
    let future = SendOutput::new(future, sender);
    let origin = Origin::caller();
    let start = move || {
        let of = spawn_task("spawn", future, origin);
        // The packet carries the result.
        context::detach(of);
        control.runs_as(of);
    };
    (JoinHandle::remote(packet), start)
}

/// Runs a call that may block on a thread of the runtime's pool, so that the loop is not held up.
///
/// Threads are started as calls need them, up to [`max_blocking_threads`](crate::Builder::max_blocking_threads);
/// further calls wait for a free thread. The handle may be awaited on any thread. A call that has begun cannot be
/// aborted, and dropping the runtime does not wait for it.
///
/// Inside the call, [`Handle::current`](crate::Handle::current) returns the runtime's handle, through which tasks can
/// be spawned and awaited, and [`task::id`](crate::task::id) returns the id of the call itself. `spawn` panics there,
/// since it works only on the runtime's own thread.
///
/// If no thread can be started and none exists, the handle returns an error that gives the reason, and for which
/// [`is_cancelled`](crate::task::JoinError::is_cancelled) returns `true`.
///
/// # Panics
///
/// Panics if no runtime is entered on this thread and the thread does not belong to the pool of one. A panic in the
/// call itself is returned by the handle.
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

/// Runs a blocking call on behalf of the function `function`, whose name is used if this panics.
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

/// Runs a call that looks up a host name, which may take long, on a thread of the pool. Unlike with
/// [`spawn_blocking`], the number of such calls that run at once is limited, which leaves threads to other calls.
#[cfg(feature = "net")]
#[track_caller]
pub(crate) fn spawn_look_up<F, T>(call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::home() {
        Some(home) => spawn_by(&home, |job| home.pool.spawn(Class::LookUp, job), call),
        None => outside::called("lookup_host"),
    }
}

/// Runs an operation on files, on behalf of the function `function`, whose name is used if this panics. The number of
/// such calls that run at once is limited.
#[cfg(feature = "fs")]
pub(crate) fn spawn_file_call<F, T>(function: &str, call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_by_home(function, |home, job| home.pool.spawn(Class::File, job), call)
}

/// Panics on behalf of the function `function` if [`spawn_by_home`] would.
#[cfg(feature = "fs")]
#[inline]
pub(crate) fn check_home(function: &str) {
    if !context::is_entered() && context::home().is_none() {
        outside::called(function);
    }
}

/// Makes a job of a blocking call, and has `spawn` pass it to a thread of the pool.
#[cfg(feature = "fs")]
pub(crate) fn spawn_by_home<F, T>(
    function: &str,
    spawn: impl FnOnce(&Home, Job) -> io::Result<()>,
    call: F,
) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    match context::home() {
        Some(home) => spawn_by(&home, |job| spawn(&home, job), call),
        None => outside::called(function),
    }
}

pub(crate) fn spawn_on_pool<F, T>(home: &Home, call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    spawn_by(home, |job| home.pool.spawn(Class::Call, job), call)
}

fn spawn_by<F, T>(home: &Home, spawn: impl FnOnce(Job) -> io::Result<()>, call: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let (sender, packet) = packet::packet(true, home.remote.on_unread().cloned());
    let sender = Arc::new(sender);
    let (at, id) = (home.clone(), sender.control().id());
    let calling = Calling::new(
        move || {
            // Dropped before the result is sent, since that wakes the task or the thread that awaits it.
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
