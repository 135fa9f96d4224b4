//! Chat: a server that sends each line of a client to all other clients.
//!
//! The tasks of all clients share one room, an `Rc<RefCell<…>>`. Tasks of a single-threaded runtime need no lock:
//! between two `await`s of a task, no other task runs. Each client has a channel, and its task waits for a line of the
//! client and for a line of the channel, whichever comes first.
//!
//! ```text
//! cargo run --example chat                         # on 127.0.0.1:7001
//! cargo run --example chat -- 0.0.0.0:7001         # or elsewhere
//! nc 127.0.0.1 7001                                # in two or more other terminals
//! ```
//!
//! A client sends its name first, and then its lines. A client that reads too slowly must not delay the others, and
//! must not make the server store more and more lines for it. So the channel of a client has room for 64 lines, and
//! the server disconnects a client whose channel is full, or that accepts no bytes for ten seconds.
//!
//! Ctrl-C or SIGTERM ends the server and all connections.

use runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use runtime::net::tcp::ReadHalf;
use runtime::net::{TcpListener, TcpStream};
use runtime::signal;
use runtime::sync::mpsc;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7001";

/// The longest line in bytes. A longer line is split, so that no client can make the server store a line without end.
const LONGEST_LINE: u64 = 1000;

/// The number of lines that a client may be behind.
const ROOM_FOR_LINES: usize = 64;

/// The time within which a client has to accept bytes.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

#[runtime::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    let shutdown = signal::shutdown();
    match TcpListener::bind(&address).await {
        Ok(listener) => runtime::select! {
            _ = shutdown => ExitCode::SUCCESS,
            never = serve(listener) => never,
        },
        Err(error) => {
            eprintln!("chat: cannot listen on {address}: {error}");
            eprintln!("usage: chat [ADDRESS], such as {DEFAULT_ADDRESS}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(listener: TcpListener) -> ! {
    if let Ok(bound) = listener.local_addr() {
        println!("chat: listening on {bound}, until Ctrl-C. Join it: nc {} {}", bound.ip(), bound.port());
    }
    let room = Rc::new(Room::default());
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let room = room.clone();
                // Dropping its `Member` removes the client from the room, however the connection ends.
                drop(runtime::spawn(async move { chat(stream, &room).await }));
            }
            // The process may have no more descriptors. The listener waits by itself before the next attempt.
            Err(error) => eprintln!("chat: cannot accept for now: {error}"),
        }
    }
}

/// Serves one client until it disconnects.
async fn chat(mut stream: TcpStream, room: &Rc<Room>) -> io::Result<()> {
    stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
    let (reader, mut writer) = stream.split();
    let mut lines = Lines { reader: BufReader::new(reader), line: Vec::new() };
    writer.write_all(b"What is your name?\n").await?;
    let (member, mut messages) = loop {
        let Some(name) = lines.next().await? else { return Ok(()) };
        match Member::join(room, &name) {
            Some(joined) => break joined,
            None => writer.write_all(b"That name is empty or taken. What else may we call you?\n").await?,
        }
    };
    loop {
        runtime::select! {
            line = lines.next() => match line? {
                Some(line) if line.is_empty() => {}
                Some(line) => room.tell_others(&member.name, &format!("{}: {line}\n", member.name)),
                None => return Ok(()),
            },
            message = messages.recv() => match message {
                Some(message) => writer.write_all(message.as_bytes()).await?,
                // The room has dropped the sender: this client was too slow.
                None => return Ok(()),
            },
        }
    }
}

/// The lines of a client.
struct Lines<'a> {
    reader: BufReader<ReadHalf<'a>>,
    /// The beginning of a line whose end has not arrived yet. It is kept here so that `next` is cancel safe.
    line: Vec<u8>,
}

impl Lines<'_> {
    /// Returns the next line without its end and without control characters, which could move the cursors of other
    /// clients' terminals. Returns `None` when the client has disconnected.
    async fn next(&mut self) -> io::Result<Option<String>> {
        let room = LONGEST_LINE - self.line.len() as u64;
        (&mut self.reader).take(room).read_until(b'\n', &mut self.line).await?;
        if self.line.is_empty() {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.line);
        let printable: String =
            String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
        Ok(Some(printable.trim().to_owned()))
    }
}

/// The channels of the members by name.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<String, mpsc::Sender<Rc<str>>>>,
}

impl Room {
    fn tell_others(&self, name: &str, line: &str) {
        let line: Rc<str> = line.into();
        // A sender that is full is dropped. Its client's task receives what is in the channel, and then ends.
        self.members
            .borrow_mut()
            .retain(|other, sender| other == name || sender.try_send(line.clone()).is_ok());
    }
}

/// A client that is in the room. Dropping it removes the client from the room.
struct Member {
    room: Rc<Room>,
    name: String,
    /// Only the room has a sender. If this cannot be upgraded, the room has dropped it, and the name may belong to
    /// another client.
    sender: mpsc::WeakSender<Rc<str>>,
}

impl Member {
    /// Adds a client to the room, unless the name is empty or taken. The first message in its channel welcomes it.
    fn join(room: &Rc<Room>, name: &str) -> Option<(Member, mpsc::Receiver<Rc<str>>)> {
        let mut members = room.members.borrow_mut();
        if name.is_empty() || members.contains_key(name) {
            return None;
        }
        let others: Vec<&str> = members.keys().map(String::as_str).collect();
        let others = if others.is_empty() { "nobody yet".to_owned() } else { others.join(", ") };
        let (sender, receiver) = mpsc::channel(ROOM_FOR_LINES);
        sender
            .try_send(format!("Welcome, {name}. Here are: {others}\n").into())
            .expect("the channel is empty");
        let weak = sender.downgrade();
        members.insert(name.to_owned(), sender);
        drop(members);
        room.tell_others(name, &format!("* {name} has come\n"));
        Some((Member { room: room.clone(), name: name.to_owned(), sender: weak }, receiver))
    }
}

/// Removes the client from the room, however its task ends: by the client, by an error or by a panic.
impl Drop for Member {
    fn drop(&mut self) {
        if self.sender.upgrade().is_some() {
            self.room.members.borrow_mut().remove(&self.name);
        }
        self.room.tell_others(&self.name, &format!("* {} has left\n", self.name));
    }
}
