//! A channel between the tasks of one thread that holds one value. Receivers see the latest value.
//!
//! A sender replaces or changes the value. Each [`Receiver`] is told that there is a new one, and looks at it in
//! place. It sees the latest value and not each of them. This is the channel for a configuration that is loaded anew, or for
//! the state of a connection.
//!
//! # Borrowed values
//!
//! [`Receiver::borrow`] returns a reference to the value in the channel. While a task holds one, no other task can send.
//! Keep it for a short time and not across an `.await`: clone the value instead. A send in the meantime panics, where with
//! tokio the thread would wait for itself for ever.
//!
//! # Examples
//!
//! ```
//! use runtime::sync::watch;
//!
//! # runtime::block_on(async {
//! let (sender, mut receiver) = watch::channel("starting");
//! let watching = runtime::spawn(async move {
//!     let mut seen = Vec::new();
//!     while receiver.changed().await.is_ok() {
//!         seen.push(*receiver.borrow_and_update());
//!     }
//!     seen
//! });
//! sender.send("listening").unwrap();
//! runtime::task::yield_now().await;
//! sender.send("stopping").unwrap();
//! sender.send("stopped").unwrap();
//! drop(sender);
//! assert_eq!(watching.await.unwrap(), ["listening", "stopped"]);
//! # });
//! ```

// `shared.rs` has what the handles share; `sender.rs` and `receiver.rs` are the handles.

pub mod error;
mod receiver;
mod sender;
mod shared;

pub use receiver::Receiver;
pub use sender::Sender;
pub use shared::Ref;
use shared::Shared;
use std::rc::Rc;

/// Creates a channel with a first value, which the receiver has seen already.
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let shared = Rc::new(Shared::new(init));
    let sender = Sender::from_shared(shared.clone());
    let receiver = Receiver::from_shared(shared.version(), shared);
    (sender, receiver)
}
