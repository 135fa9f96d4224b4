//! The error type [`Elapsed`], under the path that tokio uses.

#[doc(no_inline)]
pub use super::timeout::Elapsed;
