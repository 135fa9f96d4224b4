//! The messages: a byte that says which one, and its parts, each with its length in front.
//!
//! Numbers are big-endian, as in most protocols. Lengths are limited, so that nobody can make the other side allocate
//! memory without end.

use runtime::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use std::io::{self, ErrorKind};

/// The longest key or value in bytes.
const LONGEST: u32 = 1 << 20;

pub(crate) enum Request {
    Get(String),
    Set(String, Vec<u8>),
    Delete(String),
    /// Answers with each value that the key gets, until the connection is closed.
    Watch(String),
}

pub(crate) enum Response {
    Value(Vec<u8>),
    Done,
    Missing,
    Refused(String),
}

impl Request {
    /// Reads a request. Returns `None` at the end of the stream.
    pub(crate) async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Request>> {
        let Some(kind) = read_kind(reader).await? else { return Ok(None) };
        let key = read_text(reader).await?;
        Ok(Some(match kind {
            b'g' => Request::Get(key),
            b's' => Request::Set(key, read_bytes(reader).await?),
            b'd' => Request::Delete(key),
            b'w' => Request::Watch(key),
            _ => return Err(invalid(format!("unknown request {kind:#04x}"))),
        }))
    }

    pub(crate) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let (kind, key) = match self {
            Request::Get(key) => (b'g', key),
            Request::Set(key, _) => (b's', key),
            Request::Delete(key) => (b'd', key),
            Request::Watch(key) => (b'w', key),
        };
        writer.write_u8(kind).await?;
        write_bytes(writer, key.as_bytes()).await?;
        if let Request::Set(_, value) = self {
            write_bytes(writer, value).await?;
        }
        writer.flush().await
    }
}

impl Response {
    /// Reads a response. Returns `None` at the end of the stream.
    pub(crate) async fn read(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Response>> {
        let Some(kind) = read_kind(reader).await? else { return Ok(None) };
        Ok(Some(match kind {
            b'v' => Response::Value(read_bytes(reader).await?),
            b'd' => Response::Done,
            b'm' => Response::Missing,
            b'r' => Response::Refused(read_text(reader).await?),
            _ => return Err(invalid(format!("unknown response {kind:#04x}"))),
        }))
    }

    pub(crate) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        match self {
            Response::Value(value) => {
                writer.write_u8(b'v').await?;
                write_bytes(writer, value).await?;
            }
            Response::Done => writer.write_u8(b'd').await?,
            Response::Missing => writer.write_u8(b'm').await?,
            Response::Refused(reason) => {
                writer.write_u8(b'r').await?;
                write_bytes(writer, reason.as_bytes()).await?;
            }
        }
        writer.flush().await
    }
}

/// Reads the first byte of a message. Returns `None` if the stream ends in front of it.
async fn read_kind(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<u8>> {
    match reader.read_u8().await {
        Ok(kind) => Ok(Some(kind)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

async fn read_bytes(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let len = reader.read_u32().await?;
    if len > LONGEST {
        return Err(invalid(format!("a length of {len} bytes, and at most {LONGEST} are allowed")));
    }
    let mut bytes = vec![0; len as usize];
    reader.read_exact(&mut bytes).await?;
    Ok(bytes)
}

async fn read_text(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    String::from_utf8(read_bytes(reader).await?).map_err(invalid)
}

async fn write_bytes(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).ok().filter(|len| *len <= LONGEST);
    let len = len.ok_or_else(|| invalid(format!("more than {LONGEST} bytes")))?;
    writer.write_u32(len).await?;
    writer.write_all(bytes).await
}

fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
