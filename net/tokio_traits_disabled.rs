//! Without the feature `tokio-io`, streams do not have the traits of tokio.

macro_rules! no_trait {
    ($($anything:tt)*) => {};
}

pub(crate) use {no_trait as tokio_read, no_trait as tokio_write};
