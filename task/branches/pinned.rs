//! Pinning on the stack: the macro [`pin!`](crate::pin), and the pinned fields of a tuple.
#![expect(unsafe_code, reason = "the pinned fields of a tuple")]

use std::pin::Pin;

/// Returns a field of a pinned tuple, pinned.
///
/// # Safety
///
/// `tuple` is a tuple, and `field` returns a reference to one of its fields.
// SAFETY: the contract is that of the documentation.
pub unsafe fn field<T, F>(tuple: Pin<&mut T>, field: impl FnOnce(&mut T) -> &mut F) -> Pin<&mut F> {
    // SAFETY: a field of a pinned tuple may be pinned. A tuple has no destructor that could move its fields, and is
    // `Unpin` only if all of its fields are. By the contract, `field` moves nothing either.
    unsafe { tuple.map_unchecked_mut(field) }
}

/// Expands to the pinned field `$number` of the tuple that the variable `$tuple`, a `Pin`, points to.
#[doc(hidden)]
#[macro_export]
macro_rules! __pinned_field {
    ($tuple:ident, $number:tt) => {
        // SAFETY: the variable points to a tuple, and the closure returns a field of it.
        unsafe {
            $crate::task::branches::field($crate::task::branches::Pin::as_mut(&mut $tuple), |__tuple| {
                &mut __tuple.$number
            })
        }
    };
}

/// Pins futures on the stack.
///
/// `pin!(future)` replaces the variable `future` by a variable of the same name and of the type `Pin<&mut F>`. The
/// future itself can no longer be named, so it cannot be moved. It is dropped at the end of the block.
///
/// A future has to be pinned to be polled by reference, for example by `select!` in a loop. Unlike
/// [`std::pin::pin!`], which is an expression, this macro is a statement. It takes several variables at once, and with
/// `let` it declares them.
///
/// # Examples
///
/// ```
/// use runtime::time::{Duration, sleep};
///
/// # runtime::block_on(async {
/// async fn answer() -> u32 {
///     42
/// }
///
/// let answer = answer();
/// runtime::pin!(answer);
/// assert_eq!((&mut answer).await, 42);
///
/// runtime::pin! {
///     let short = sleep(Duration::from_millis(1));
///     let long = sleep(Duration::from_secs(1));
/// }
/// runtime::select! {
///     () = &mut short => {}
///     () = &mut long => unreachable!(),
/// }
/// # });
/// ```
#[macro_export]
macro_rules! pin {
    ($($future:ident),* $(,)?) => { $(
        #[allow(unused_mut)]
        let mut $future = $crate::task::branches::pin!($future);
    )* };
    ($( let $future:ident = $value:expr; )*) => { $(
        let $future = $value;
        $crate::pin!($future);
    )* };
}
