//! Programs that use files, as they are written for tokio, and one line that makes them run on this crate: a log that
//! rotates and is opened again at `SIGHUP`, a search through a folder, and a server of files.
#![cfg(not(miri))] // Miri has neither signals nor sockets.
#![allow(clippy::arc_with_non_send_sync, reason = "with tokio, these types are shared between threads")]

mod common;

extern crate runtime as tokio;

use common::temp_path::TempPath;
use common::watchdog;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{
    self, AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter, SeekFrom,
};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::{JoinSet, LocalSet};

/// A log file. When it is full, it becomes `log.1`, and `log.1` becomes `log.2`.
struct Log {
    path: PathBuf,
    out: BufWriter<File>,
    size: usize,
}

/// The size of a full log, in bytes.
const FULL: usize = 130;

impl Log {
    async fn open(path: PathBuf) -> io::Result<Log> {
        let file = Log::append_to(&path).await?;
        let size = file.metadata().await?.len() as usize;
        Ok(Log { path, out: BufWriter::with_capacity(64, file), size })
    }

    async fn append_to(path: &Path) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).mode(0o600).open(path).await
    }

    async fn line(&mut self, text: &str) -> io::Result<()> {
        if self.size + text.len() + 1 > FULL {
            self.rotate().await?;
        }
        self.out.write_all(text.as_bytes()).await?;
        self.out.write_u8(b'\n').await?;
        self.size += text.len() + 1;
        Ok(())
    }

    async fn rotate(&mut self) -> io::Result<()> {
        let names = [self.path.clone(), self.path.with_extension("1"), self.path.with_extension("2")];
        for pair in names.windows(2).rev() {
            match fs::rename(&pair[0], &pair[1]).await {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.reopen().await
    }

    async fn reopen(&mut self) -> io::Result<()> {
        self.out.shutdown().await?;
        self.out.get_ref().sync_all().await?;
        *self = Log::open(self.path.clone()).await?;
        Ok(())
    }
}

enum Message {
    Line(String),
    Flush(oneshot::Sender<()>),
}

/// Writes messages to a log until there are no more senders. Reports when it listens, and when it has opened the log again.
async fn write_log(
    path: PathBuf,
    mut messages: mpsc::Receiver<Message>,
    opened: mpsc::Sender<()>,
) -> io::Result<()> {
    let mut log = Log::open(path).await?;
    let mut hangup = signal(SignalKind::hangup())?;
    let _ = opened.send(()).await;
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some(Message::Line(text)) => log.line(&text).await?,
                Some(Message::Flush(done)) => {
                    log.out.flush().await?;
                    let _ = done.send(());
                }
                None => return log.out.flush().await,
            },
            _ = hangup.recv() => {
                log.reopen().await?;
                let _ = opened.send(()).await;
            }
        }
    }
}

async fn lines(path: impl AsRef<Path>) -> io::Result<Vec<String>> {
    let mut lines = BufReader::new(File::open(path).await?).lines();
    let mut all = Vec::new();
    while let Some(line) = lines.next_line().await? {
        all.push(line);
    }
    Ok(all)
}

#[tokio::test]
async fn a_log_rotates_and_is_opened_again_at_a_signal() -> io::Result<()> {
    let _watchdog = watchdog();
    let folder = TempPath::folder();
    let path = folder.join("log");
    let (messages, receiver) = mpsc::channel(16);
    let (opened, mut is_open) = mpsc::channel(1);
    let log = tokio::spawn(write_log(path.clone(), receiver, opened));
    let flush = async || {
        let (done, is_done) = oneshot::channel();
        assert!(messages.send(Message::Flush(done)).await.is_ok());
        is_done.await.unwrap();
    };
    let write = async |text: &str| assert!(messages.send(Message::Line(text.to_owned())).await.is_ok());

    is_open.recv().await;
    for number in 0..30 {
        write(&format!("event number {number}")).await;
    }
    flush().await;
    let range = async |name: &str| {
        let all = lines(folder.join(name)).await.unwrap();
        (all[0].clone(), all[all.len() - 1].clone())
    };
    assert_eq!(range("log.2").await, ("event number 8".to_owned(), "event number 15".to_owned()));
    assert_eq!(range("log.1").await, ("event number 16".to_owned(), "event number 23".to_owned()));
    assert_eq!(range("log").await, ("event number 24".to_owned(), "event number 29".to_owned()));

    // Another program moves the log away, and says so.
    fs::rename(&path, folder.join("moved")).await?;
    write("to the moved file").await;
    flush().await;
    assert!(!fs::try_exists(&path).await?);
    let id = std::process::id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().await?.success());
    is_open.recv().await;
    write("to the new file").await;
    drop(messages);
    log.await??;
    assert_eq!(lines(folder.join("moved")).await?[6], "to the moved file");
    assert_eq!(lines(&path).await?, ["to the new file"]);
    assert_eq!(fs::metadata(&path).await?.permissions().mode() & 0o777, 0o600);

    let mut file = File::open(&path).await?;
    assert_eq!(file.seek(SeekFrom::End(-5)).await?, 11);
    let mut tail = String::new();
    file.read_to_string(&mut tail).await?;
    assert_eq!((tail.as_str(), file.stream_position().await?), ("file\n", 16));
    Ok(())
}

/// Sends the path of each text file in a folder and in the folders below it.
fn find<'a>(
    folder: &'a Path,
    found: &'a mpsc::UnboundedSender<PathBuf>,
) -> Pin<Box<dyn Future<Output = io::Result<()>> + 'a>> {
    Box::pin(async move {
        let mut entries = fs::read_dir(folder).await?;
        while let Some(entry) = entries.next_entry().await? {
            let (path, file_type) = (entry.path(), entry.file_type().await?);
            if file_type.is_dir() {
                find(&path, found).await?;
            } else if file_type.is_file() && path.extension().is_some_and(|extension| extension == "txt") {
                let _ = found.send(path);
            }
        }
        Ok(())
    })
}

/// The number of files that are open, and the highest number so far.
#[derive(Default)]
struct Open {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// Returns the numbers of the lines that contain a word.
async fn grep(
    path: PathBuf,
    word: &str,
    limit: Arc<Semaphore>,
    open: Arc<Open>,
) -> io::Result<(PathBuf, Vec<usize>)> {
    let _permit = limit.acquire().await.expect("the semaphore is never closed");
    open.most.fetch_max(open.now.fetch_add(1, SeqCst) + 1, SeqCst);
    let mut reader = BufReader::new(File::open(&path).await?);
    let (mut line, mut number, mut hits) = (Vec::new(), 0, Vec::new());
    while reader.read_until(b'\n', &mut line).await? > 0 {
        number += 1;
        if String::from_utf8_lossy(&line).contains(word) {
            hits.push(number);
        }
        line.clear();
    }
    open.now.fetch_sub(1, SeqCst);
    Ok((path, hits))
}

#[tokio::test]
async fn a_search_opens_at_most_fifty_files_at_once() -> io::Result<()> {
    let _watchdog = watchdog();
    let folder = TempPath::folder();
    let mut expected = Vec::new();
    for number in 0..400 {
        let below = folder.join(format!("{}/{}", number % 7, number % 3));
        fs::create_dir_all(&below).await?;
        let path = below.join(format!("{number}.{}", if number % 10 == 0 { "bin" } else { "txt" }));
        let needle = if number % 11 == 0 { "a needle\n" } else { "" };
        fs::write(&path, format!("one\n{needle}three\nno end of line, but a needle")).await?;
        let hits = if needle.is_empty() { vec![3] } else { vec![2, 4] };
        expected.extend((number % 10 != 0).then_some((path, hits)));
    }
    fs::write(folder.join("latin.txt"), b"a needle \xe9\n").await?;
    expected.push((folder.join("latin.txt"), vec![1]));
    fs::symlink(&folder, folder.join("loop")).await?;

    let (found, mut paths) = mpsc::unbounded_channel();
    let (limit, open) = (Arc::new(Semaphore::new(50)), Arc::new(Open::default()));
    let mut searches = JoinSet::new();
    let (walked, ()) = tokio::join!(
        async {
            let found = found;
            find(&folder, &found).await
        },
        async {
            while let Some(path) = paths.recv().await {
                searches.spawn(grep(path, "needle", limit.clone(), open.clone()));
            }
        }
    );
    walked?;
    let mut hits = Vec::new();
    while let Some(search) = searches.join_next().await {
        hits.push(search??);
    }
    hits.sort();
    expected.sort();
    assert_eq!(hits, expected);
    assert!((2..=50).contains(&open.most.load(SeqCst)));
    assert_eq!(open.now.load(SeqCst), 0);
    let error = fs::read_to_string(folder.join("latin.txt")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    Ok(())
}

/// Answers each line with the file of that name, after a line with its length. `PUT name length` stores the bytes that follow.
async fn answer(mut stream: TcpStream, root: &Path) -> io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut requests = BufReader::new(reader).lines();
    while let Some(name) = requests.next_line().await? {
        if let Some(put) = name.strip_prefix("PUT ") {
            let (name, length) = put.rsplit_once(' ').ok_or(io::ErrorKind::InvalidInput)?;
            let length =
                length.parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
            let mut file = File::create(root.join(name)).await?;
            let count = io::copy(&mut requests.get_mut().take(length), &mut file).await?;
            file.flush().await?;
            writer.write_all(format!("stored {count}\n").as_bytes()).await?;
            continue;
        }
        match File::open(root.join(name)).await {
            Ok(mut file) => {
                let length = file.metadata().await?.len();
                writer.write_all(format!("{length}\n").as_bytes()).await?;
                io::copy(&mut file, &mut writer).await?;
            }
            Err(error) => writer.write_all(format!("{:?}\n", error.kind()).as_bytes()).await?,
        }
    }
    writer.shutdown().await
}

async fn serve(listener: TcpListener, root: Rc<PathBuf>) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let root = root.clone();
        tokio::task::spawn_local(async move {
            if let Err(error) = answer(stream, &root).await {
                eprintln!("{error}");
            }
        });
    }
}

/// Returns the files, or what the server answers instead.
async fn get(addr: impl ToSocketAddrs, names: &[&str]) -> io::Result<Vec<Result<Vec<u8>, String>>> {
    let mut stream = BufReader::new(TcpStream::connect(addr).await?);
    let mut files = Vec::new();
    for name in names {
        stream.write_all(name.as_bytes()).await?;
        stream.write_all(b"\n").await?;
        let mut head = String::new();
        stream.read_line(&mut head).await?;
        files.push(match head.trim_end().parse() {
            Ok(length) => {
                let mut bytes = vec![0; length];
                stream.read_exact(&mut bytes).await?;
                Ok(bytes)
            }
            Err(_) => Err(head),
        });
    }
    Ok(files)
}

#[tokio::test]
async fn a_server_sends_and_stores_files() -> io::Result<()> {
    let _watchdog = watchdog();
    let folder = TempPath::folder();
    let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i * 7 % 251) as u8).collect();
    fs::write(folder.join("big"), &big).await?;
    fs::write(folder.join("empty"), "").await?;
    fs::write(folder.join("small"), "hello").await?;
    let set = LocalSet::new();
    let served = set.run_until(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let server = tokio::task::spawn_local(serve(listener, Rc::new(folder.to_path_buf())));
        let (mixed, twice) =
            tokio::try_join!(get(addr, &["small", "none", "big", "empty"]), get(addr, &["big", "big"]))?;
        let missing = Err("NotFound\n".to_owned());
        assert!(mixed == [Ok(b"hello".to_vec()), missing, Ok(big.clone()), Ok(Vec::new())]);
        assert!(twice == [Ok(big.clone()), Ok(big.clone())]);

        let mut stream = TcpStream::connect(addr).await?;
        stream.write_all(format!("PUT copy {}\n", big.len()).as_bytes()).await?;
        let sent = io::copy(&mut File::open(folder.join("big")).await?, &mut stream).await?;
        stream.shutdown().await?;
        let mut stored = String::new();
        stream.read_to_string(&mut stored).await?;
        assert_eq!((sent, stored.as_str()), (3_000_000, "stored 3000000\n"));
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
        io::Result::Ok(())
    });
    served.await?;
    assert!(fs::read(folder.join("copy")).await? == big);
    Ok(())
}
