//! Reading into growing buffers.

use super::{OwnedReadHalf, ReadHalf};
use crate::net::TcpStream;
use crate::net::read_buf::read_buf_method;

read_buf_method! {
    TcpStream: stream => stream.io;
    ReadHalf<'_>: half => half.as_ref().io;
    OwnedReadHalf: half => half.as_ref().io;
}
