//! Without the feature `tokio-io` there are no traits of tokio's, and nothing is implemented.
#![allow(unused_imports, unused_macros, reason = "which of them are used is a matter of other features")]

macro_rules! no_trait {
    ($($anything:tt)*) => {};
}

pub(crate) use {
    no_trait as tokio_read, no_trait as tokio_read_by_futures, no_trait as tokio_write,
    no_trait as tokio_write_by_futures,
};
