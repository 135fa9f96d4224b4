//! Replaces `tokio_traits.rs` if the feature `tokio-io` is off. The macros then implement nothing.

macro_rules! nothing {
    ($($anything:tt)*) => {};
}

pub(super) use {nothing as read_buf_method, nothing as tokio_read, nothing as tokio_write};
