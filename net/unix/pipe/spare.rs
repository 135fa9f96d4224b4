//! Reading into growing buffers.

use super::Receiver;
use crate::net::read_buf::read_buf_method;

read_buf_method! {
    Receiver: receiver => receiver.io;
}
