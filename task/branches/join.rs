//! `join!` and `try_join!`.
//!
//! Both keep the futures of their branches in a tuple of [`MaybeDone`](super::MaybeDone)s, pinned on the stack. The
//! macros only number the branches. What is done with the numbers is in `order.rs`.

/// Waits for several futures at once, in one task, and returns their outputs as a tuple.
///
/// ```text
/// join!(future, future, …)
/// join!(biased; future, future, …)
/// ```
///
/// The futures run alternately and not in parallel: while one of them is polled, the others wait. To run them as tasks
/// of their own, pass each to [`spawn`](crate::spawn) and join the handles.
///
/// Each future is dropped as soon as it is ready, with all that it owns, and not when all are ready. It is never polled
/// again. Up to 128 futures can be joined.
///
/// Each time the macro is polled it begins with another future, so that a future that uses up the budget of the task
/// does not keep the others from running. With `biased;` it always begins with the first one, and polls in the order in
/// which the futures are written. Then the futures that finish fast should come first.
///
/// The macro has to be used inside of an `async` function or block.
///
/// # Cancel safety
///
/// If the surrounding future is dropped, all futures are dropped, and so are the outputs of those that are ready.
///
/// # Examples
///
/// ```
/// async fn name() -> &'static str {
///     "Ada"
/// }
///
/// async fn born() -> u32 {
///     1815
/// }
///
/// # runtime::block_on(async {
/// let (name, born) = runtime::join!(name(), born());
/// assert_eq!((name, born), ("Ada", 1815));
/// # });
/// ```
#[macro_export]
macro_rules! join {
    (biased; $($future:expr),* $(,)?) => { $crate::__join_branches! { join biased $($future,)* } };
    ($($future:expr),* $(,)?) => { $crate::__join_branches! { join rotating $($future,)* } };
    ($($misuse:tt)*) => { $crate::__join_misuse! { "join!" $($misuse)* } };
}

/// Waits for several futures at once, in one task, until all have returned `Ok` or one has returned `Err`.
///
/// ```text
/// try_join!(future, future, …)
/// try_join!(biased; future, future, …)
/// ```
///
/// The macro returns `Ok` with a tuple of the values, or the first `Err`. After an error it drops the other futures at
/// once, wherever they are, together with the values of those that are ready. All futures have the same type of errors.
///
/// In everything else it works like [`join!`](crate::join).
///
/// # Cancel safety
///
/// If the surrounding future is dropped, all futures are dropped, and so are the values of those that are ready.
///
/// # Examples
///
/// ```
/// use std::num::ParseIntError;
///
/// async fn parse(text: &str) -> Result<u32, ParseIntError> {
///     text.parse()
/// }
///
/// # runtime::block_on(async {
/// assert_eq!(runtime::try_join!(parse("1"), parse("2")), Ok((1, 2)));
/// assert!(runtime::try_join!(parse("1"), parse("two")).is_err());
/// # });
/// ```
#[macro_export]
macro_rules! try_join {
    (biased; $($future:expr),* $(,)?) => { $crate::__join_branches! { try_join biased $($future,)* } };
    ($($future:expr),* $(,)?) => { $crate::__join_branches! { try_join rotating $($future,)* } };
    ($($misuse:tt)*) => { $crate::__join_misuse! { "try_join!" $($misuse)* } };
}

/// Numbers the branches. The numbers come from a list, and each round takes eight branches, or else one, so that
/// expanding many branches stays within the compiler's limit on recursion.
#[doc(hidden)]
#[macro_export]
macro_rules! __join_branches {
    // Without a branch, only the context is checked: the macro needs an `async` function here, too.
    (join $order:ident) => { async {}.await };
    (try_join $order:ident) => { async { $crate::task::branches::Ok(()) }.await };

    ($kind:ident $order:ident $($future:expr,)+) => {
        $crate::__join_branches! { @ $kind $order [
            0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
            32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60
            61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89
            90 91 92 93 94 95 96 97 98 99 100 101 102 103 104 105 106 107 108 109 110 111 112 113
            114 115 116 117 118 119 120 121 122 123 124 125 126 127
        ] {} $($future,)+ }
    };
    (@ $kind:ident $order:ident $numbers:tt { $($branch:tt)+ }) => {
        $crate::__join_expand! { $kind $order $($branch)+ }
    };
    (@ $kind:ident $order:ident
        [$n0:tt $n1:tt $n2:tt $n3:tt $n4:tt $n5:tt $n6:tt $n7:tt $($numbers:tt)*] { $($branch:tt)* }
        $f0:expr, $f1:expr, $f2:expr, $f3:expr, $f4:expr, $f5:expr, $f6:expr, $f7:expr, $($future:expr,)*
    ) => {
        $crate::__join_branches! { @ $kind $order [$($numbers)*] {
            $($branch)* ($n0 $f0) ($n1 $f1) ($n2 $f2) ($n3 $f3) ($n4 $f4) ($n5 $f5) ($n6 $f6) ($n7 $f7)
        } $($future,)* }
    };
    (@ $kind:ident $order:ident
        [$number:tt $($numbers:tt)*] { $($branch:tt)* } $next:expr, $($future:expr,)*
    ) => {
        $crate::__join_branches! { @ $kind $order [$($numbers)*] { $($branch)* ($number $next) } $($future,)* }
    };
    (@ $kind:ident $order:ident [] $branches:tt $($future:expr,)+) => {
        $crate::task::branches::compile_error! { "at most 128 futures can be joined at once" }
    };
}

/// Expands the numbered branches.
///
/// The names of items in the caller's scope must not matter. A macro's variable that has the name of such a static or
/// constant would be an error, hence the underscores.
#[doc(hidden)]
#[macro_export]
macro_rules! __join_expand {
    (join $order:ident $(($number:tt $future:expr))+) => {{
        let __futures = ($($crate::task::branches::MaybeDone::new($future),)+);
        let mut __futures = $crate::task::branches::pin!(__futures);
        let mut __join = $crate::task::branches::Join::$order([$($number),+]);
        $crate::task::branches::poll_fn(|__cx| {
            let __poll = $crate::task::branches::Join::poll(&mut __join, __cx, |__number, __cx| match __number {
                $($number => $crate::task::branches::MaybeDone::poll(
                    $crate::__pinned_field!(__futures, $number),
                    __cx,
                ),)+
                _ => $crate::task::branches::unreachable!(),
            });
            match __poll {
                #[allow(unreachable_code)]
                $crate::task::branches::Poll::Ready(_) => $crate::task::branches::Poll::Ready(
                    ($($crate::task::branches::MaybeDone::take($crate::__pinned_field!(__futures, $number)),)+)
                ),
                $crate::task::branches::Poll::Pending => $crate::task::branches::Poll::Pending,
            }
        })
        .await
    }};
    (try_join $order:ident $(($number:tt $future:expr))+) => {{
        let __futures = ($($crate::task::branches::MaybeDone::new($future),)+);
        let mut __futures = $crate::task::branches::pin!(__futures);
        let mut __join = $crate::task::branches::Join::$order([$($number),+]);
        $crate::task::branches::poll_fn(|__cx| {
            let __poll = $crate::task::branches::Join::poll(&mut __join, __cx, |__number, __cx| match __number {
                $($number => $crate::task::branches::MaybeDone::try_poll(
                    $crate::__pinned_field!(__futures, $number),
                    __cx,
                ),)+
                _ => $crate::task::branches::unreachable!(),
            });
            match __poll {
                #[allow(unreachable_code)]
                $crate::task::branches::Poll::Ready($crate::task::branches::Ok(())) => {
                    $crate::task::branches::Poll::Ready($crate::task::branches::Ok(
                        ($($crate::task::branches::MaybeDone::take($crate::__pinned_field!(__futures, $number)),)+)
                    ))
                }
                #[allow(unreachable_code)]
                $crate::task::branches::Poll::Ready($crate::task::branches::Err(__error)) => {
                    $crate::task::branches::Poll::Ready($crate::task::branches::Err(__error))
                }
                $crate::task::branches::Poll::Pending => $crate::task::branches::Poll::Pending,
            }
        })
        .await
    }};
}

/// Says what is wrong in a `join!` that no rule matches.
#[doc(hidden)]
#[macro_export]
macro_rules! __join_misuse {
    ($name:literal biased $($rest:tt)*) => {
        $crate::task::branches::compile_error! {
            $crate::task::branches::concat!("`", $name, "` takes futures that are separated by commas, after `biased;`")
        }
    };
    ($name:literal $word:ident; $($rest:tt)*) => {
        $crate::task::branches::compile_error! { $crate::task::branches::concat!(
            "`", $name, "` does not know the word `", $crate::task::branches::stringify!($word),
            "`: the only word before the futures is `biased;`"
        ) }
    };
    ($name:literal $($rest:tt)*) => {
        $crate::task::branches::compile_error! {
            $crate::task::branches::concat!("`", $name, "` takes futures that are separated by commas")
        }
    };
}
