//! The macros work whatever names the items of the user have, and the names that the macros use are not visible in
//! the user's code.
//!
//! Each module has items with names that an expansion might use, and functions of each shape.

#![allow(
    dead_code,
    unused_macros,
    unused_imports,
    non_upper_case_globals,
    non_camel_case_types,
    reason = "they are only there"
)]

/// Defines functions of each shape, and a test that calls them. They use the crate's path from the root, since a
/// module may have its own `runtime`.
macro_rules! functions {
    () => {
        #[::runtime::main]
        async fn main() -> ::core::result::Result<u8, ::std::boxed::Box<dyn ::std::error::Error>> {
            ::runtime::task::yield_now().await;
            ::core::result::Result::Ok(1)
        }

        #[::runtime::main(event_interval = 7, selector = "poll")]
        async fn entry(
            argument: u8,
        ) -> ::core::result::Result<u8, ::std::boxed::Box<dyn ::std::error::Error>> {
            ::runtime::task::yield_now().await;
            ::core::result::Result::Ok(argument)
        }

        #[::runtime::main(crate = ::runtime)]
        async fn unit(_: u8) {
            ::runtime::task::yield_now().await;
        }

        #[::runtime::test(start_paused = true)]
        async fn test() {
            ::runtime::time::sleep(::core::time::Duration::from_secs(1)).await;
        }

        async fn branches() -> ::core::result::Result<u8, u8> {
            let futures = async { 1 };
            ::runtime::pin!(futures);
            ::runtime::pin! {
                let second = async { 2 };
            }
            let three = ::runtime::select! {
                one = &mut futures, if true => one + second.await,
                0 = async { 1 } => 0,
                else => 0,
            };
            let three = ::runtime::select! {
                biased;
                4 = async { 3 } => 0,
                three = async { three }, if three > 0 => { three }
            };
            let (four, five) = ::runtime::join!(async { 4 }, ::core::future::ready(5));
            let (six, seven) = ::runtime::try_join!(
                biased;
                async { ::core::result::Result::<u8, u8>::Ok(6) },
                async { ::core::result::Result::<u8, u8>::Ok(7) },
            )?;
            ::core::result::Result::Ok(three + four + five + six + seven)
        }

        #[::runtime::test]
        async fn branches_of_one_task() {
            ::core::assert!(branches().await.unwrap() == 25);
        }

        #[::core::prelude::v1::test]
        fn functions() {
            ::core::assert_eq!(main().unwrap() + entry(2).unwrap(), 3);
            unit(0);
        }
    };
}

mod statics {
    static runtime: u8 = 0;
    static value: u8 = 0;
    static future: u8 = 0;
    static builder: u8 = 0;
    static body: u8 = 0;
    static result: u8 = 0;
    static output: u8 = 0;
    static cx: u8 = 0;
    static poll: u8 = 0;
    static select: u8 = 0;
    static join: u8 = 0;
    static number: u8 = 0;
    static tuple: u8 = 0;
    static is_match: u8 = 0;
    static values: u8 = 0;
    static field: u8 = 0;
    functions!();
}

mod constants {
    const runtime: u8 = 0;
    const value: u8 = 0;
    const future: u8 = 0;
    const builder: u8 = 0;
    const body: u8 = 0;
    const result: u8 = 0;
    const output: u8 = 0;
    const cx: u8 = 0;
    const poll: u8 = 0;
    const select: u8 = 0;
    const join: u8 = 0;
    const number: u8 = 0;
    const tuple: u8 = 0;
    const is_match: u8 = 0;
    const values: u8 = 0;
    const field: u8 = 0;
    functions!();
}

mod unit_structs {
    struct runtime;
    struct value;
    struct future;
    struct builder;
    struct body;
    struct result;
    struct output;
    struct cx;
    struct poll;
    struct select;
    struct join;
    struct number;
    struct tuple;
    struct is_match;
    struct values;
    struct field;
    functions!();
}

mod modules {
    mod core {}
    mod std {}
    mod alloc {}
    mod runtime {}
    mod selector {}
    mod future {}
    mod option {}
    mod task {}
    mod pin {}
    mod result {}
    functions!();
}

mod types {
    struct Option;
    struct Result;
    struct Box;
    struct Pin;
    struct Builder;
    struct Runtime;
    struct Poll;
    struct Context;
    struct Select;
    struct Join;
    struct Branch;
    struct MaybeDone;
    struct Out2;
    trait IntoFuture {}
    trait Future {}
    trait Drop {}
    enum Variants {
        Some,
        None,
        Ok,
        Err,
        Ready,
        Pending,
        B0,
        Chosen,
    }
    use Variants::*;
    functions!();
}

mod macros {
    macro_rules! theirs {
        ($($name:ident)*) => {$(
            macro_rules! $name { ($any:tt) => { compile_error!("a macro of the user's") }; }
        )*};
    }
    theirs! {
        pin panic unreachable expect block_on main matches select join try_join concat stringify compile_error
        __branch_list __select_branches __select_expand __join_branches __join_expand __pinned_field
    }
    functions!();
}

/// A trait with methods that every value has.
mod methods {
    #[allow(clippy::wrong_self_convention, reason = "as blanket traits may have them")]
    trait Methods: Sized {
        fn enable_all(self) {}
        fn event_interval(self, _: u32) {}
        fn selector<K>(self, _: K) {}
        fn start_paused(self, _: bool) {}
        fn build(self) {}
        fn expect(self, _: &str) {}
        fn unwrap_or(self) {}
        fn block_on<F>(self, _: F) {}
        fn poll<C>(self, _: C) {}
        fn take(self) {}
        fn as_mut(self) {}
        fn into_future(self) {}
        fn len(self) {}
    }
    impl<T> Methods for T {}
    functions!();
}

/// Functions, and local variables of the same names.
mod functions {
    fn poll_fn() {}
    fn ready() {}
    fn pin() {}
    fn futures() {}
    fn output() {}
    fn no_branch_left() {}
    functions!();
}

mod nothing_at_all {
    #![no_implicit_prelude]
    functions!();
}

/// The body of a function does not see the names that the expansion adds around it.
mod bodies {
    fn __async_main() -> u8 {
        7
    }

    #[runtime::main]
    async fn main() -> u8 {
        __async_main()
    }

    fn __async_test() -> u8 {
        8
    }

    #[runtime::test]
    async fn test() {
        assert_eq!(__async_test(), 8);
    }

    #[test]
    fn the_names_are_those_of_the_user() {
        assert_eq!(main(), 7);
    }
}
