//! `select!`.
//!
//! The macro takes its branches one by one, as the compiler parses patterns and expressions, and gives each a number.
//! If no rule matches, a procedural macro reads the rest of the tokens and points at the mistake
//! (`macros/misuse.rs`): rules can tell that something is wrong, but not where.

/// Waits for several futures at once, until one of them is ready. Then it drops all of them and runs the handler of
/// that branch.
///
/// ```text
/// select! {
///     biased;                                     // optional
///     pattern = future, if condition => handler,  // 1 to 64 branches; the condition is optional
///     else => expression,                         // optional
/// }
/// ```
///
/// The macro works as follows:
///
/// 1. It evaluates all conditions. A branch whose condition is false is disabled.
/// 2. It evaluates the expressions of all futures, also those of disabled branches, but does not poll the latter.
/// 3. It polls the futures until one is ready. If the output does not match the pattern, that branch is disabled, and
///    the others go on.
/// 4. It drops all futures, and then evaluates the handler, in which the variables of the pattern are set.
/// 5. If all branches are disabled, it evaluates `else` instead.
///
/// The value of the handler is the value of the macro, so all handlers have the same type. A handler is a block, or an
/// expression followed by a comma. It is code of the surrounding function: `?`, `return`, `break` and `continue` work, and
/// it may use what other branches have borrowed. The same holds for the conditions and for the expressions of the futures.
/// The macro has to be used inside of an `async` function or block.
///
/// The futures run alternately, in one task and on one thread. If a branch needs to run independently of the others,
/// [`spawn`](crate::spawn) it and wait for its handle.
///
/// # Order and fairness
///
/// Each time it polls, the macro takes the branches in a new random order. Of the branches that are ready each is
/// equally likely to be chosen, whatever other branches are disabled or pending.
/// [`Builder::rng_seed`](crate::Builder::rng_seed) makes the order reproducible.
///
/// With `biased;` it polls the branches from first to last. That costs no random numbers, and the order can express
/// priorities, for example that a shutdown is noticed before the next message is taken. But a branch that is always ready
/// then keeps those after it from ever being polled.
///
/// If the budget of the task is used up (see [`task::coop`](crate::task::coop)), the macro yields to other tasks before
/// it polls a branch.
///
/// # Panics
///
/// The macro panics if all branches are disabled and there is no `else`.
///
/// # Cancel safety
///
/// The futures that are not chosen are dropped, wherever they are. In a loop that is only right for futures that are
/// cancel safe: those lose nothing when they are dropped while they are pending, as the documentation of their functions
/// promises under this heading. Receiving from a channel and `accept` are cancel safe; `read_exact` and `write_all` are not,
/// because what they have transferred so far is lost. Such a future is made before the loop, pinned, and polled by
/// reference, as in the second example.
///
/// # Examples
///
/// A server that accepts connections until it is told to stop:
///
/// ```
/// use runtime::net::TcpListener;
/// use runtime::time::{Duration, sleep};
///
/// # runtime::block_on(async {
/// let listener = TcpListener::bind("127.0.0.1:0").await?;
/// let mut served = 0;
/// let stop = sleep(Duration::from_millis(5));
/// runtime::pin!(stop);
/// loop {
///     runtime::select! {
///         connection = listener.accept() => {
///             let (_stream, _address) = connection?;
///             served += 1;
///         }
///         () = &mut stop => break,
///     }
/// }
/// assert_eq!(served, 0);
/// # std::io::Result::Ok(())
/// # }).unwrap();
/// ```
///
/// A future that goes on from one round of the loop to the next. The condition disables the branch after the future is
/// ready, since it must not be polled again:
///
/// ```
/// use runtime::time::{Duration, interval, sleep};
///
/// async fn download() -> usize {
///     sleep(Duration::from_millis(3)).await;
///     1000
/// }
///
/// # runtime::block_on(async {
/// let download = download();
/// runtime::pin!(download);
/// let mut progress = interval(Duration::from_millis(1));
/// let mut size = None;
/// let mut ticks = 0;
/// while ticks < 5 {
///     runtime::select! {
///         bytes = &mut download, if size.is_none() => size = Some(bytes),
///         _ = progress.tick() => ticks += 1,
///     }
/// }
/// assert_eq!(size, Some(1000));
/// # });
/// ```
///
/// Two streams that end, read until both have ended:
///
/// ```
/// use futures_lite::{StreamExt, stream};
///
/// # runtime::block_on(async {
/// let mut odd = stream::iter([1, 3, 5]);
/// let mut even = stream::iter([2, 4]);
/// let mut sum = 0;
/// loop {
///     let number = runtime::select! {
///         Some(number) = odd.next() => number,
///         Some(number) = even.next() => number,
///         else => break,
///     };
///     sum += number;
/// }
/// assert_eq!(sum, 15);
/// # });
/// ```
#[cfg_attr(docsrs, doc(cfg(feature = "macros")))]
#[macro_export]
macro_rules! select {
    () => {
        $crate::task::branches::compile_error! { "`select!` needs at least one branch: `pattern = future => handler`" }
    };
    (biased;) => {
        $crate::task::branches::compile_error! { "`select!` needs at least one branch: `pattern = future => handler`" }
    };
    (biased; $($branches:tt)+) => {
        $crate::__branch_list! { [$crate::__select_branches] biased Out0 {} ($($branches)+) $($branches)+ }
    };
    ($word:ident; $($branches:tt)*) => {
        $crate::task::branches::select_misuse! { word ($word) }
    };
    ($($branches:tt)+) => {
        $crate::__branch_list! { [$crate::__select_branches] random Out0 {} ($($branches)+) $($branches)+ }
    };
}

/// Takes the next branch from the tokens, or ends.
///
/// Its arguments are the list of the branches that are left, the order, the type of the output for the branches taken so
/// far, these branches, and the tokens, twice: once as a whole. A word that a rule spells out, such as `else`, has lost
/// its place in the source, and the errors have to point to it.
#[doc(hidden)]
#[macro_export]
macro_rules! __select_branches {
    // Careful: a rule that begins to match `else` as a pattern would be an error, so the rules for it come first.
    ($list:tt $order:ident $Output:ident {} $all:tt else => $else:expr $(,)?) => { $else };
    ($list:tt $order:ident $Output:ident { $($branch:tt)+ } $all:tt else => $else:expr $(,)?) => {
        $crate::__select_expand! { $order $Output { $($branch)+ } $else }
    };
    ($list:tt $order:ident $Output:ident { $($branch:tt)+ } ()) => {
        $crate::__select_expand! { $order $Output { $($branch)+ } $crate::task::branches::no_branch_left() }
    };
    ($list:tt $order:ident $Output:ident $branches:tt $all:tt else $($rest:tt)*) => {
        $crate::task::branches::select_misuse! { branch $all }
    };
    ($list:tt $order:ident $Output:ident $branches:tt $all:tt if $($rest:tt)*) => {
        $crate::task::branches::select_misuse! { branch $all }
    };
    ([] $order:ident $Output:ident $branches:tt $all:tt $($rest:tt)*) => {
        $crate::task::branches::select_misuse! { limit $all }
    };

    ([($number:tt $variant:ident $Next:ident) $($list:tt)*] $order:ident $Output:ident { $($branch:tt)* } $all:tt
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:block, $($rest:tt)*
    ) => {
        $crate::__select_branches! { [$($list)*] $order $Next {
            $($branch)* ($number $variant $pattern = $future $(, if $condition)? => $handler)
        } ($($rest)*) $($rest)* }
    };
    ([($number:tt $variant:ident $Next:ident) $($list:tt)*] $order:ident $Output:ident { $($branch:tt)* } $all:tt
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:block $($rest:tt)*
    ) => {
        $crate::__select_branches! { [$($list)*] $order $Next {
            $($branch)* ($number $variant $pattern = $future $(, if $condition)? => $handler)
        } ($($rest)*) $($rest)* }
    };
    ([($number:tt $variant:ident $Next:ident) $($list:tt)*] $order:ident $Output:ident { $($branch:tt)* } $all:tt
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:expr
    ) => {
        $crate::__select_branches! { [$($list)*] $order $Next {
            $($branch)* ($number $variant $pattern = $future $(, if $condition)? => $handler)
        } () }
    };
    ([($number:tt $variant:ident $Next:ident) $($list:tt)*] $order:ident $Output:ident { $($branch:tt)* } $all:tt
        $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:expr, $($rest:tt)*
    ) => {
        $crate::__select_branches! { [$($list)*] $order $Next {
            $($branch)* ($number $variant $pattern = $future $(, if $condition)? => $handler)
        } ($($rest)*) $($rest)* }
    };

    ($list:tt $order:ident $Output:ident $branches:tt $all:tt $($rest:tt)*) => {
        $crate::task::branches::select_misuse! { branch $all }
    };
}

/// Expands the numbered branches.
///
/// The futures live in a block of their own, so that they are dropped, and their borrows end, before a handler runs. They
/// are evaluated by a `let` as they are written, so that `&mut future()` gets the lifetime of the block. They are then
/// moved as a whole into the block that converts them: a tuple that is moved field by field would keep its memory, and
/// the surrounding future would be twice as large.
///
/// To see whether an output matches without taking it apart, the pattern is used with a guard that is never true, but
/// takes note. This also works for patterns with `mut` and `ref`.
///
/// The pattern of a branch whose output has no values, such as `!`, is unreachable, which is no mistake of the caller.
///
/// The names of items in the caller's scope must not matter. A variable of a macro that has the name of such a static or
/// constant would be an error, hence the underscores.
#[doc(hidden)]
#[macro_export]
macro_rules! __select_expand {
    ($order:ident $Output:ident { $((
        $number:tt $variant:ident $pattern:pat = $future:expr $(, if $condition:expr)? => $handler:expr
    ))+ } $else:expr) => {{
        let mut __select = $crate::task::branches::Select::$order([$(true $(&& $condition)?),+]);
        #[allow(unused_mut)]
        let mut __output = {
            let __values = ($($future,)+);
            let __futures = {
                let __values = __values;
                ($($crate::task::branches::IntoFuture::into_future(__values.$number),)+)
            };
            let mut __futures = $crate::task::branches::pin!(__futures);
            $crate::task::branches::poll_fn(|__cx| {
                $crate::task::branches::Select::poll(&mut __select, __cx, |__number, __cx| match __number {
                    $(#[allow(unreachable_code, unreachable_patterns, unused_mut, unused_variables)]
                    $number => {
                        let __future = $crate::__pinned_field!(__futures, $number);
                        match $crate::task::branches::Future::poll(__future, __cx) {
                            $crate::task::branches::Poll::Pending => $crate::task::branches::Branch::Pending,
                            $crate::task::branches::Poll::Ready(mut __output) => {
                                let mut __is_match = false;
                                match __output {
                                    $pattern if { __is_match = true; false } => {
                                        $crate::task::branches::unreachable!()
                                    }
                                    _ => {}
                                }
                                if __is_match {
                                    $crate::task::branches::Branch::Chosen(
                                        $crate::task::branches::$Output::$variant(__output),
                                    )
                                } else {
                                    $crate::task::branches::Branch::Mismatched
                                }
                            }
                        }
                    })+
                    _ => $crate::task::branches::unreachable!(),
                })
            })
            .await
        };
        match __output {
            $(#[allow(unreachable_patterns)]
            $crate::task::branches::Some($crate::task::branches::$Output::$variant($pattern)) => $handler,)+
            $crate::task::branches::None => $else,
            _ => $crate::task::branches::unreachable!(),
        }
    }};
}
