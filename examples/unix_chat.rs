//! Chat on one machine: a server on a Unix socket that sends each line of a client to all other clients.
//!
//! ```text
//! cargo run --example unix_chat                    # a server and three clients, in one process
//! cargo run --example unix_chat -- serve           # or a server by itself, until Ctrl-C or Ctrl-D…
//! cargo run --example unix_chat -- join Ada        # …and clients, in other terminals
//! ```
//!
//! The path of the socket may follow after `serve`, or after the name.
//!
//! A Unix socket is a file, which continues to exist after its process has ended. The server removes its file when it
//! ends. A file may be left over from a crash. The server detects that by connecting to it, and
//! replaces it. The server need not trust what a client says about itself: the kernel reports the client's user and
//! process.
//!
//! A client that reads too slowly must not delay the others, and must not make the server store more and more lines
//! for it. So the only queue for a client is the buffer of its socket in the kernel, and the server disconnects a
//! client whose buffer is full.

use futures_lite::future::{or, try_zip};
use runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use runtime::net::unix::{UCred, pipe};
use runtime::net::{UnixListener, UnixStream};
use runtime::signal;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// The longest line in bytes. A longer line is split, so that no client can make the server store a line without end.
const LONGEST_LINE: u64 = 1000;

#[runtime::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        [] => demo().await,
        ["serve"] => serve_until_ended(&default_path()).await,
        ["serve", path] => serve_until_ended(Path::new(path)).await,
        ["join", name] => join_by_keyboard(&default_path(), name).await,
        ["join", name, path] => join_by_keyboard(Path::new(path), name).await,
        _ => {
            Err(io::Error::new(ErrorKind::InvalidInput, "usage: unix_chat [serve [PATH] | join NAME [PATH]]"))
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("unix_chat: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns a path in the private folder of this user if there is one, and in the folder for temporary files otherwise.
fn default_path() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join("unix_chat.socket")
}

async fn serve_until_ended(path: &Path) -> io::Result<()> {
    let shutdown = signal::shutdown();
    let (listener, _file) = listen(path).await?;
    println!("unix_chat: listening at {}, until Ctrl-C. Join it: unix_chat join NAME", path.display());
    // The file is removed in either case.
    or(async { shutdown.await.map(drop) }, serve(listener, keyboard()?)).await
}

/// Listens at a path, even if a server that has ended has left its socket there.
async fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path).await? => {
            // Careful: if two servers start at the same moment, one of them could remove the file of the other. If
            // that may happen, hold a lock (`File::try_lock`) from here on.
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(|error| named(error, "cannot listen at", path))?;
    Ok((listener, SocketFile(path.to_owned())))
}

/// Returns `true` if there is a socket at the path, and no process listens on it.
async fn is_stale(path: &Path) -> io::Result<bool> {
    // A file of another kind is not a leftover of this program, and must not be removed.
    let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
    let connected = UnixStream::connect(path).await;
    Ok(is_socket && connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

fn named(error: io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// The file of a listener. It is removed on drop.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("unix_chat: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Serves until the end of the input.
async fn serve(listener: UnixListener, mut input: pipe::Receiver) -> io::Result<()> {
    let room = Rc::new(Room::default());
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let room = room.clone();
                    // Dropping its `Member` removes the client from the room, however the connection ends.
                    drop(runtime::spawn(async move { chat(&stream.into(), &room).await }));
                }
                // The process may have no more descriptors. The listener waits by itself before the next attempt.
                Err(error) => eprintln!("unix_chat: cannot accept for now: {error}"),
            }
        }
    };
    or(accepting, async { input.read_to_end(&mut Vec::new()).await.map(drop) }).await
}

/// Serves one client until it disconnects: reads its name, and then its lines.
async fn chat(stream: &Rc<UnixStream>, room: &Rc<Room>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let mut lines = BufReader::new(&**stream);
    let Some(name) = next_line(&mut lines).await? else { return Ok(()) };
    let member = Member::join(room, format!("{name} ({})", who(peer)), stream);
    while let Some(line) = next_line(&mut lines).await? {
        if !line.is_empty() {
            room.tell_others(member.number, &format!("{}: {line}\n", member.name));
        }
    }
    Ok(())
}

fn who(peer: UCred) -> String {
    match peer.pid() {
        Some(pid) => format!("user {}, process {pid}", peer.uid()),
        None => format!("user {}", peer.uid()),
    }
}

/// Returns the next line without its end and without control characters, which could move the cursors of other clients'
/// terminals. Returns `None` when the client has disconnected.
async fn next_line(lines: &mut BufReader<&UnixStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if lines.take(LONGEST_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let printable: String =
        String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
    Ok(Some(printable.trim().to_owned()))
}

/// The members by number.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<u64, Rc<UnixStream>>>,
}

impl Room {
    fn tell_others(&self, number: u64, line: &str) {
        // There is no `await` under this borrow, so no client joins or leaves meanwhile.
        for (_, stream) in self.members.borrow().iter().filter(|(other, _)| **other != number) {
            send(stream, line);
        }
    }
}

/// Sends a whole line without waiting. If that is not possible, shuts the connection down, and the client's task then
/// reads the end of the stream.
fn send(stream: &UnixStream, line: &str) {
    if !matches!(stream.try_write(line.as_bytes()), Ok(count) if count == line.len()) {
        // An error would mean that the connection is closed already.
        let _ = stream.shutdown_std(Shutdown::Both);
    }
}

/// A client that is in the room. Dropping it removes the client from the room.
struct Member {
    room: Rc<Room>,
    number: u64,
    name: String,
}

impl Member {
    fn join(room: &Rc<Room>, name: String, stream: &Rc<UnixStream>) -> Member {
        let mut members = room.members.borrow_mut();
        let number = members.last_key_value().map_or(0, |(last, _)| last + 1);
        send(stream, &format!("* welcome, {name}; with you there are {}\n", members.len() + 1));
        members.insert(number, stream.clone());
        drop(members);
        room.tell_others(number, &format!("* {name} has come\n"));
        Member { room: room.clone(), number, name }
    }
}

/// Removes the client from the room, however its task ends: by the client, by an error or by a panic.
impl Drop for Member {
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.number);
        self.room.tell_others(self.number, &format!("* {} has left\n", self.name));
    }
}

/// Returns a pipe from which the typed lines can be read. Reading a terminal or a file may block, so a thread reads
/// them and writes them to the pipe.
fn keyboard() -> io::Result<pipe::Receiver> {
    let (sender, receiver) = pipe::pipe()?;
    let mut sender = std::fs::File::from(sender.into_blocking_fd()?);
    // The thread ends with the process, or when it writes after the receiver has been dropped.
    std::thread::spawn(move || io::copy(&mut io::stdin(), &mut sender));
    Ok(receiver)
}

/// Runs a client that sends the typed lines, until Ctrl-D or until the server ends.
async fn join_by_keyboard(path: &Path, name: &str) -> io::Result<()> {
    let mut typed = keyboard()?;
    let stream = UnixStream::connect(path).await.map_err(|error| named(error, "cannot join at", path))?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(format!("{name}\n").as_bytes()).await?;
    let sending = async { runtime::io::copy(&mut typed, &mut writer).await.map(drop) };
    or(sending, receive(reader, |line| println!("{line}"))).await
}

/// Calls `handle` with each line that arrives, until the server ends.
async fn receive(
    reader: impl runtime::io::AsyncRead + Unpin,
    mut handle: impl FnMut(&str),
) -> io::Result<()> {
    let (mut lines, mut line) = (BufReader::new(reader), String::new());
    while lines.read_line(&mut line).await? > 0 {
        handle(line.trim_end());
        line.clear();
    }
    Ok(())
}

/// Runs a server and three clients in one process.
async fn demo() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("unix_chat-{}.socket", std::process::id()));
    let (listener, _file) = listen(&path).await?;
    // The input of the server ends when this end of the pipe is dropped.
    let (running, input) = pipe::pipe()?;
    let clients = async {
        let (mut listening, mut writers) = (Vec::new(), Vec::new());
        for (name, line) in [("Ada", "is anybody there?"), ("Bob", "me"), ("Cleo", "and me!")] {
            let (reader, mut writer) = UnixStream::connect(&path).await?.into_split();
            listening.push(runtime::spawn(receive(reader, move |line| println!("{name:>4} hears {line}"))));
            writer.write_all(format!("{name}\n{line}\n").as_bytes()).await?;
            writers.push(writer);
            // Let the clients speak one after the other.
            runtime::time::sleep(Duration::from_millis(100)).await;
        }
        // Close the clients' directions. The server then closes its directions too.
        drop(writers);
        for task in listening {
            task.await.expect("a client panicked")?;
        }
        drop(running);
        Ok(())
    };
    try_zip(serve(listener, input), clients).await?;
    Ok(())
}
