//! Chat: many clients, and each line goes to all of them.
//!
//! The tasks of all clients share one room, an `Rc<RefCell<…>>`: tasks of a single-threaded runtime
//! need no lock, and between two `await`s nobody else runs.
//!
//! ```text
//! cargo run --example chat                         # on 127.0.0.1:7001
//! cargo run --example chat -- 0.0.0.0:7001         # or elsewhere
//! nc 127.0.0.1 7001                                # in two or more other terminals
//! ```
//!
//! A client says its name first, then whatever it likes. One that reads too slowly must neither
//! hold the others up nor make the server keep ever more lines for it: its queue is the socket's
//! send buffer in the kernel, and who lets that run full is thrown out.
//!
//! Ctrl-C ends the server, and with it all connections.

use runtime::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use runtime::net::{TcpListener, TcpStream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::net::Shutdown;
use std::process::ExitCode;
use std::rc::Rc;

const DEFAULT_ADDRESS: &str = "127.0.0.1:7001";

/// A longer line is cut into several: nobody can make the server gather one without end.
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
                // Whatever ends a connection, by its end the seat is free: see `Seat`.
                drop(runtime::spawn(async move { chat(&stream.into(), &room).await }));
            }
            // Out of descriptors, perhaps. The listener rests before it tries again.
            Err(error) => eprintln!("chat: cannot accept for now: {error}"),
        }
    }
}

/// The life of one client.
async fn chat(stream: &Rc<TcpStream>, room: &Rc<Room>) -> io::Result<()> {
    let mut lines = BufReader::new(&**stream);
    send(stream, "What is your name?\n");
    let seat = loop {
        let Some(name) = next_line(&mut lines).await? else { return Ok(()) };
        match Seat::take(room, &name, stream) {
            Some(seat) => break seat,
            None => send(stream, "That name is empty or taken. What else may we call you?\n"),
        }
    };
    while let Some(line) = next_line(&mut lines).await? {
        if !line.is_empty() {
            room.tell_others(&seat.name, &format!("{}: {line}\n", seat.name));
        }
    }
    Ok(())
}

/// The next line without its end, and without what would move the cursors of others about.
/// `None` when the client has gone.
async fn next_line(lines: &mut BufReader<&TcpStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if lines.take(LONGEST_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let printable: String =
        String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
    Ok(Some(printable.trim().to_owned()))
}

/// Who is there, by name.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<String, Rc<TcpStream>>>,
}

impl Room {
    fn tell_others(&self, name: &str, line: &str) {
        // There is no `await` under this borrow, so nobody comes or goes meanwhile.
        for (_, stream) in self.members.borrow().iter().filter(|(other, _)| *other != name) {
            send(stream, line);
        }
    }
}

/// Sends a whole line without waiting, or closes the connection; its task then reads the end of it.
fn send(stream: &TcpStream, line: &str) {
    if !matches!(stream.try_write(line.as_bytes()), Ok(count) if count == line.len()) {
        // An error would mean that it is closed already.
        let _ = stream.shutdown_std(Shutdown::Both);
    }
}

/// A member's place in the room, for as long as its task lives.
struct Seat {
    room: Rc<Room>,
    name: String,
}

impl Seat {
    fn take(room: &Rc<Room>, name: &str, stream: &Rc<TcpStream>) -> Option<Seat> {
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
        Some(Seat { room: room.clone(), name: name.to_owned() })
    }
}

/// However the task ends: by the client, an error, a panic.
impl Drop for Seat {
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.name);
        self.room.tell_others(&self.name, &format!("* {} has left\n", self.name));
    }
}
