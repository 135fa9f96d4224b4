//! Replaces `tokio_traits.rs` if the feature `tokio-io` is off. The macros then implement nothing.
#![allow(unused_imports, reason = "other features decide which streams are compiled and use these macros")]

macro_rules! no_trait {
    ($($anything:tt)*) => {};
}

pub(crate) use {no_trait as tokio_read_by_futures, no_trait as tokio_write_by_futures};
