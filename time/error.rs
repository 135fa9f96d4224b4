//! [`Elapsed`], where tokio has it.

#[doc(no_inline)]
pub use super::timeout::Elapsed;
