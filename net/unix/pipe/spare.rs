//! Reading into buffers that grow.

use super::Receiver;
use crate::io::read_buf::read_buf_method;

read_buf_method! {
    Receiver: receiver => receiver.io;
}
