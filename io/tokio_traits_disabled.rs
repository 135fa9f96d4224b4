//! Without the feature `tokio-io`, streams do not have the traits of tokio.
#![allow(unused_imports, reason = "which of the streams are compiled depends on other features")]

macro_rules! no_trait {
    ($($anything:tt)*) => {};
}

pub(crate) use {no_trait as tokio_read_by_futures, no_trait as tokio_write_by_futures};
