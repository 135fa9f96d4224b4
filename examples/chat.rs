//! Chat: a server that sends each line of a client to all other clients.
//!
//! The tasks of all clients share one room, an `Rc<RefCell<…>>`. Tasks of a single-threaded runtime need no lock:
//! between two `await`s of a task, no other task runs.
//!
//! ```text
//! cargo run --example chat                         # on 127.0.0.1:7001
//! cargo run --example chat -- 0.0.0.0:7001         # or elsewhere
//! nc 127.0.0.1 7001                                # in two or more other terminals
//! ```
//!
//! A client sends its name first, and then its lines. A client that reads too slowly must not delay the others, and
//! must not make the server store more and more lines for it. So the only queue for a client is the send buffer of
//! its socket in the kernel, and the server disconnects a client whose send buffer is full.
//!
//! Ctrl-C ends the server and all connections.

use runtime::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use runtime::net::{TcpListener, TcpStream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::process::ExitCode;
use std::rc::Rc;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7001";

/// The longest line in bytes. A longer line is split, so that no client can make the server store a line without end.
const LONGEST_LINE: u64 = 1000;

#[runtime::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
    match TcpListener::bind(&address).await {
        Ok(listener) => serve(listener).await,
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
                drop(runtime::spawn(async move { chat(&stream.into(), &room).await }));
            }
            // The process may have no more descriptors. The listener waits by itself before the next attempt.
            Err(error) => eprintln!("chat: cannot accept for now: {error}"),
        }
    }
}

/// Serves one client until it disconnects.
async fn chat(stream: &Rc<TcpStream>, room: &Rc<Room>) -> io::Result<()> {
    let mut lines = BufReader::new(&**stream);
    send(stream, "What is your name?\n");
    let member = loop {
        let Some(name) = next_line(&mut lines).await? else { return Ok(()) };
        match Member::join(room, &name, stream) {
            Some(member) => break member,
            None => send(stream, "That name is empty or taken. What else may we call you?\n"),
        }
    };
    while let Some(line) = next_line(&mut lines).await? {
        if !line.is_empty() {
            room.tell_others(&member.name, &format!("{}: {line}\n", member.name));
        }
    }
    Ok(())
}

/// Returns the next line without its end and without control characters, which could move the cursors of other clients'
/// terminals. Returns `None` when the client has disconnected.
async fn next_line(lines: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if lines.take(LONGEST_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let printable: String =
        String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
    Ok(Some(printable.trim().to_owned()))
}

/// The members by name.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<String, Rc<TcpStream>>>,
}

impl Room {
    fn tell_others(&self, name: &str, line: &str) {
        // There is no `await` under this borrow, so no client joins or leaves meanwhile.
        for (_, stream) in self.members.borrow().iter().filter(|(other, _)| *other != name) {
            send(stream, line);
        }
    }
}

/// Sends a whole line without waiting. If that is not possible, shuts the connection down, and the client's task then
/// reads the end of the stream.
fn send(stream: &TcpStream, line: &str) {
    if !matches!(stream.try_write(line.as_bytes()), Ok(count) if count == line.len()) {
        // An error would mean that the connection is closed already.
        let _ = stream.shutdown_std(Shutdown::Both);
    }
}

/// A client that is in the room. Dropping it removes the client from the room.
struct Member {
    room: Rc<Room>,
    name: String,
}

impl Member {
    fn join(room: &Rc<Room>, name: &str, stream: &Rc<TcpStream>) -> Option<Member> {
        let mut members = room.members.borrow_mut();
        if name.is_empty() || members.contains_key(name) {
            return None;
        }
        let others: Vec<&str> = members.keys().map(String::as_str).collect();
        let others = if others.is_empty() { "nobody yet".to_owned() } else { others.join(", ") };
        send(stream, &format!("Welcome, {name}. Here are: {others}\n"));
        members.insert(name.to_owned(), stream.clone());
        drop(members);
        room.tell_others(name, &format!("* {name} has come\n"));
        Some(Member { room: room.clone(), name: name.to_owned() })
    }
}

/// Removes the client from the room, however its task ends: by the client, by an error or by a panic.
impl Drop for Member {
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.name);
        self.room.tell_others(&self.name, &format!("* {} has left\n", self.name));
    }
}
