//! Chat on one machine: many clients of a Unix socket, and each line goes to all the others.
//!
//! ```text
//! cargo run --example unix_chat                    # a server and three clients, in one process
//! cargo run --example unix_chat -- serve           # or a server by itself, until Ctrl-D…
//! cargo run --example unix_chat -- join Ada        # …and clients, in other terminals
//! ```
//!
//! Behind `serve`, or the name, there may be the path of the socket.
//!
//! A Unix socket is a file, which outlives who made it. The server removes its own when it ends; one that is
//! left over from a crash (or from Ctrl-C) it finds out by connecting to it, and takes its place. And it
//! need not believe who a client says it is: the kernel tells its user and its process.
//!
//! A client that reads too slowly must neither hold the others up nor make the server keep ever more lines
//! for it: its queue is the socket's buffer in the kernel, and who lets that run full is thrown out.

use futures_lite::future::{or, try_zip};
use runtime::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use runtime::net::unix::{UCred, pipe};
use runtime::net::{UnixListener, UnixStream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

/// A longer line is cut into several: nobody can make the server gather one without end.
const LONGEST_LINE: u64 = 1000;

#[runtime::main]
async fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        [] => demo().await,
        ["serve"] => serve_until_ctrl_d(&default_path()).await,
        ["serve", path] => serve_until_ctrl_d(Path::new(path)).await,
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

/// In the folder of this user alone, if there is one.
fn default_path() -> PathBuf {
    let folder = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    folder.join("unix_chat.socket")
}

async fn serve_until_ctrl_d(path: &Path) -> io::Result<()> {
    let (listener, _file) = listen(path).await?;
    println!("unix_chat: listening at {}, until Ctrl-D. Join it: unix_chat join NAME", path.display());
    serve(listener, keyboard()?).await
}

/// Listens at a path, even if a dead server has left its socket there.
async fn listen(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(path).await? => {
            // Careful: of two servers that start at the same moment, one could remove the other's file.
            // Where that may happen, hold a lock (`File::try_lock`) from here on.
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    };
    let listener = listener.map_err(|error| named(error, "cannot listen at", path))?;
    Ok((listener, SocketFile(path.to_owned())))
}

/// Whether there is a socket, and nobody listens.
async fn is_stale(path: &Path) -> io::Result<bool> {
    // Whatever else is there is not ours to remove.
    let is_socket = std::fs::symlink_metadata(path)?.file_type().is_socket();
    let connected = UnixStream::connect(path).await;
    Ok(is_socket && connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused))
}

fn named(error: io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{what} {}: {error}", path.display()))
}

/// The file of a listener, removed at the end, however that comes.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            eprintln!("unix_chat: cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Serves until there is no more input.
async fn serve(listener: UnixListener, mut input: pipe::Receiver) -> io::Result<()> {
    let room = Rc::new(Room::default());
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let room = room.clone();
                    // Whatever ends a connection, by its end the seat is free: see `Seat`.
                    drop(runtime::spawn(async move { chat(&stream.into(), &room).await }));
                }
                // Out of descriptors, perhaps. The listener rests before it tries again.
                Err(error) => eprintln!("unix_chat: cannot accept for now: {error}"),
            }
        }
    };
    or(accepting, async { input.read_to_end(&mut Vec::new()).await.map(drop) }).await
}

/// The life of one client, as the server sees it: its name, then its lines.
async fn chat(stream: &Rc<UnixStream>, room: &Rc<Room>) -> io::Result<()> {
    let peer = stream.peer_cred()?;
    let mut lines = BufReader::new(&**stream);
    let Some(name) = next_line(&mut lines).await? else { return Ok(()) };
    let seat = Seat::take(room, format!("{name} ({})", who(peer)), stream);
    while let Some(line) = next_line(&mut lines).await? {
        if !line.is_empty() {
            room.tell_others(seat.number, &format!("{}: {line}\n", seat.name));
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

/// The next line without its end, and without what would move the cursors of others about.
/// `None` when the client has gone.
async fn next_line(lines: &mut BufReader<&UnixStream>) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if lines.take(LONGEST_LINE).read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let printable: String =
        String::from_utf8_lossy(&line).chars().filter(|char| !char.is_control()).collect();
    Ok(Some(printable.trim().to_owned()))
}

/// Who is there, by number.
#[derive(Default)]
struct Room {
    members: RefCell<BTreeMap<u64, Rc<UnixStream>>>,
}

impl Room {
    fn tell_others(&self, number: u64, line: &str) {
        // There is no `await` under this borrow, so nobody comes or goes meanwhile.
        for (_, stream) in self.members.borrow().iter().filter(|(other, _)| **other != number) {
            send(stream, line);
        }
    }
}

/// Sends a whole line without waiting, or closes the connection; its task then reads the end of it.
fn send(stream: &UnixStream, line: &str) {
    if !matches!(stream.try_write(line.as_bytes()), Ok(count) if count == line.len()) {
        // An error would mean that it is closed already.
        let _ = stream.shutdown_std(Shutdown::Both);
    }
}

/// A member's place in the room, for as long as its task lives.
struct Seat {
    room: Rc<Room>,
    number: u64,
    name: String,
}

impl Seat {
    fn take(room: &Rc<Room>, name: String, stream: &Rc<UnixStream>) -> Seat {
        let mut members = room.members.borrow_mut();
        let number = members.last_key_value().map_or(0, |(last, _)| last + 1);
        send(stream, &format!("* welcome, {name}; with you there are {}\n", members.len() + 1));
        members.insert(number, stream.clone());
        drop(members);
        room.tell_others(number, &format!("* {name} has come\n"));
        Seat { room: room.clone(), number, name }
    }
}

/// However the task ends: by the client, an error, a panic.
impl Drop for Seat {
    fn drop(&mut self) {
        self.room.members.borrow_mut().remove(&self.number);
        self.room.tell_others(self.number, &format!("* {} has left\n", self.name));
    }
}

/// What is typed. Reading a terminal or a file may block, so a thread does it, and passes it on.
fn keyboard() -> io::Result<pipe::Receiver> {
    let (sender, receiver) = pipe::pipe()?;
    let mut sender = std::fs::File::from(sender.into_blocking_fd()?);
    // It ends with the process, and if nobody receives any more it has nothing to do either.
    std::thread::spawn(move || io::copy(&mut io::stdin(), &mut sender));
    Ok(receiver)
}

/// A client whose lines are typed, until Ctrl-D, or until the server ends.
async fn join_by_keyboard(path: &Path, name: &str) -> io::Result<()> {
    let mut typed = keyboard()?;
    let stream = UnixStream::connect(path).await.map_err(|error| named(error, "cannot join at", path))?;
    let (reader, mut writer) = stream.into_split();
    writer.write_all(format!("{name}\n").as_bytes()).await?;
    let says = async { runtime::io::copy(&mut typed, &mut writer).await.map(drop) };
    or(says, hear(reader, |line| println!("{line}"))).await
}

/// Hands on each line that comes, until the server ends.
async fn hear(reader: impl runtime::io::AsyncRead + Unpin, mut tell: impl FnMut(&str)) -> io::Result<()> {
    let (mut lines, mut line) = (BufReader::new(reader), String::new());
    while lines.read_line(&mut line).await? > 0 {
        tell(line.trim_end());
        line.clear();
    }
    Ok(())
}

/// All in one process: a server, and three who talk to each other over its socket.
async fn demo() -> io::Result<()> {
    let path = std::env::temp_dir().join(format!("unix_chat-{}.socket", std::process::id()));
    let (listener, _file) = listen(&path).await?;
    // As long as this end is open, the server's input goes on.
    let (running, input) = pipe::pipe()?;
    let clients = async {
        let (mut listening, mut writers) = (Vec::new(), Vec::new());
        for (name, line) in [("Ada", "is anybody there?"), ("Bob", "me"), ("Cleo", "and me!")] {
            let (reader, mut writer) = UnixStream::connect(&path).await?.into_split();
            listening.push(runtime::spawn(hear(reader, move |line| println!("{name:>4} hears {line}"))));
            writer.write_all(format!("{name}\n{line}\n").as_bytes()).await?;
            writers.push(writer);
            // One after the other, as people do.
            runtime::time::sleep(Duration::from_millis(100)).await;
        }
        // The end of what they say; the server then ends its side too.
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
