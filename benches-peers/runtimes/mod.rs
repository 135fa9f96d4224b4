//! The peers as contenders, a file for each: every call is the one that a user of that runtime would make.
//!
//! [`Contender`](crate::common::contender::Contender) asks for futures that are `Send`. The peers' futures stay on one
//! thread, so those that are not `Send` get the bound from [`on_one_thread`](crate::common::contender::on_one_thread).
//! Where a runtime has no function that yields, a task wakes itself and is pending once.
//!
//! Each file has an echo server of its own, because the reads of monoio and compio take a buffer and return it. This
//! module does not know what is measured.

mod compio;
mod glommio;
mod monoio;
mod smol;

pub(crate) use self::compio::Compio;
pub(crate) use self::glommio::Glommio;
pub(crate) use self::monoio::Monoio;
pub(crate) use self::smol::Smol;
