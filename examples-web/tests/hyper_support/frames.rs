//! Frames of HTTP/2, written by hand (RFC 9113).

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const CONTINUATION: u8 = 9;

/// The flag of a frame of headers or data that ends its stream.
pub const END_STREAM: u8 = 1;
/// The flag of a frame of headers after which none of `CONTINUATION` follow.
pub const END_HEADERS: u8 = 4;

/// The setting of the window that new streams have.
pub const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];

/// The bytes with which a client begins.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The header block of a request, by the static table of HPACK: GET, http, /, and the authority "h".
pub const GET_HEADERS: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'h'];

/// Returns a frame (4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Returns a whole request without a body.
pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_STREAM | END_HEADERS, stream, GET_HEADERS)
}
