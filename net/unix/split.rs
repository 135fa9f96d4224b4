//! The halves of a borrowed stream.

use super::addr::SocketAddr;
use super::stream::UnixStream;
use crate::net::halves::borrowed_halves;

borrowed_halves! {
    UnixStream, SocketAddr
}
