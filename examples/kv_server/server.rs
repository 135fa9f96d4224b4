//! The server: a task for each connection, and a store that all of them share.

use crate::protocol::{Request, Response};
use runtime::io::{AsyncRead, AsyncWrite, BufReader, BufWriter};
use runtime::net::{TcpListener, TcpStream};
use runtime::sync::broadcast::{self, error::RecvError};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, ErrorKind};
use std::rc::Rc;

/// The changes that a connection may be behind before it misses some.
const CHANGES: usize = 64;

/// The values by key, and the channel of their changes.
struct Store {
    values: RefCell<HashMap<String, Rc<[u8]>>>,
    changes: broadcast::Sender<(String, Option<Rc<[u8]>>)>,
}

/// Accepts connections without end, and spawns a task for each of them.
pub(crate) async fn serve<T>(listener: TcpListener) -> T {
    let store = Rc::new(Store { values: RefCell::default(), changes: broadcast::channel(CHANGES).0 });
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let store = store.clone();
                drop(runtime::spawn(async move {
                    if let Err(error) = talk(stream, &store).await {
                        eprintln!("kv_server: {peer}: {error}");
                    }
                }));
            }
            // The process may have no more descriptors. The listener waits by itself before the next attempt.
            Err(error) => eprintln!("kv_server: cannot accept for now: {error}"),
        }
    }
}

/// Answers the requests of one client until it closes the connection.
async fn talk(mut stream: TcpStream, store: &Store) -> io::Result<()> {
    let (reader, writer) = stream.split();
    let (mut reader, mut writer) = (BufReader::new(reader), BufWriter::new(writer));
    loop {
        let response = match Request::read(&mut reader).await {
            Ok(Some(Request::Watch(key))) => return watch(&key, store, &mut reader, &mut writer).await,
            Ok(Some(request)) => store.answer(request),
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                // The rest of the stream cannot be parsed, so the connection is closed after the answer.
                return Response::Refused(error.to_string()).write(&mut writer).await;
            }
            Err(error) => return Err(error),
        };
        response.write(&mut writer).await?;
    }
}

/// Sends each value of a key, beginning with the present one, until the client closes the connection.
async fn watch(
    key: &str,
    store: &Store,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
) -> io::Result<()> {
    // Subscribed before the present value is read, so that no change is missed between the two.
    let mut changes = store.changes.subscribe();
    let present = store.get(key);
    present.write(writer).await?;
    loop {
        let response = runtime::select! {
            change = changes.recv() => match change {
                Ok((changed, value)) if changed == key => value.map_or(Response::Missing, to_response),
                Ok(_) => continue,
                // Too many changes came at once. The present value is all that counts.
                Err(RecvError::Lagged(_)) => store.get(key),
                Err(RecvError::Closed) => return Ok(()),
            },
            // A client that watches sends nothing more, so this is the end of the connection.
            request = Request::read(reader) => return request.map(drop),
        };
        response.write(writer).await?;
    }
}

impl Store {
    fn answer(&self, request: Request) -> Response {
        match request {
            Request::Get(key) | Request::Watch(key) => self.get(&key),
            Request::Set(key, value) => {
                let value: Rc<[u8]> = value.into();
                self.values.borrow_mut().insert(key.clone(), value.clone());
                self.tell(key, Some(value));
                Response::Done
            }
            Request::Delete(key) => {
                let removed = self.values.borrow_mut().remove(&key);
                if removed.is_none() {
                    return Response::Missing;
                }
                self.tell(key, None);
                Response::Done
            }
        }
    }

    fn get(&self, key: &str) -> Response {
        self.values.borrow().get(key).cloned().map_or(Response::Missing, to_response)
    }

    fn tell(&self, key: String, value: Option<Rc<[u8]>>) {
        // An error means that no connection watches.
        let _ = self.changes.send((key, value));
    }
}

fn to_response(value: Rc<[u8]>) -> Response {
    Response::Value(value.to_vec())
}
