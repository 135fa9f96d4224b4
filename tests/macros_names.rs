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
    functions!();
}

mod types {
    struct Option;
    struct Result;
    struct Box;
    struct Pin;
    struct Builder;
    struct Runtime;
    trait Future {}
    trait Drop {}
    enum Variants {
        Some,
        None,
        Ok,
        Err,
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
    theirs! { pin panic unreachable expect block_on main matches }
    functions!();
}

/// A trait with methods that every value has.
mod methods {
    trait Methods: Sized {
        fn enable_all(self) {}
        fn event_interval(self, _: u32) {}
        fn selector<K>(self, _: K) {}
        fn start_paused(self, _: bool) {}
        fn build(self) {}
        fn expect(self, _: &str) {}
        fn unwrap_or(self) {}
        fn block_on<F>(self, _: F) {}
    }
    impl<T> Methods for T {}
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
