//! Calls of std that block, on a thread of the pool.
//!
//! If the future of a call is dropped before a thread has begun with it, the call is not made.

use crate::runtime::join::spawn::spawn_file_call;
use crate::task::AbortOnDropHandle;
use std::io;

/// Makes a call on behalf of the function `function`, whose name is used if there is no runtime.
pub(super) async fn call<T: Send + 'static>(
    function: &str,
    call: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    AbortOnDropHandle::new(spawn_file_call(function, call)).await?
}
