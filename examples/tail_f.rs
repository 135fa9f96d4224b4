//! Follows a file, as `tail -f` does: prints its last lines, and then what is appended to it.
//!
//! ```text
//! cargo run --release --example tail_f -- /var/log/syslog
//! cargo run --release --example tail_f -- -n 3 server.log
//! ```
//!
//! It looks at the length of the file every quarter of a second, which works on every system and every file system. (On
//! Linux, inotify through `AsyncFd` would report changes at once, but not those of other machines on a network file
//! system.) If the file becomes shorter, it is read again from the start. If another file gets its name, as when logs
//! are rotated, the rest of the old one is printed, and then the new one.
//!
//! Ctrl-C or SIGTERM ends it.

use futures_lite::future::or;
use runtime::fs::{self, File};
use runtime::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom, copy, stdout};
use runtime::signal;
use runtime::time::{Duration, MissedTickBehavior, interval};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The number of lines that are printed at first.
const LINES: usize = 10;

/// The file is searched backwards for the last lines in pieces of this size, in bytes.
const PIECE: u64 = 16 * 1024;

#[runtime::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (path, lines) = match arguments[..] {
        [path] if path != "-n" => (path, Ok(LINES)),
        ["-n", lines, path] => (path, lines.parse()),
        _ => ("", "".parse()),
    };
    let Ok(lines) = lines else {
        eprintln!("usage: tail_f [-n LINES] FILE");
        return ExitCode::from(2);
    };
    let stopped = async { signal::shutdown().await.map(drop) };
    match or(stopped, follow(Path::new(path), lines)).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tail_f: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn follow(path: &Path, lines: usize) -> io::Result<()> {
    let mut file = File::open(path).await?;
    let start = start_of_last(&mut file, lines).await?;
    file.seek(SeekFrom::Start(start)).await?;
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut out = stdout();
    loop {
        looks.tick().await;
        // Careful: asked before the file is read, so that what is written to the old file before it is replaced is read.
        let newest = fs::metadata(path).await;
        copy(&mut file, &mut out).await?;
        let metadata = file.metadata().await?;
        match newest {
            Ok(newest) if (newest.dev(), newest.ino()) != (metadata.dev(), metadata.ino()) => {
                eprintln!("tail_f: {} is a new file", path.display());
                file = File::open(path).await?;
            }
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {
                if metadata.len() < file.stream_position().await? {
                    eprintln!("tail_f: {} has become shorter", path.display());
                    file.rewind().await?;
                }
            }
        }
        out.flush().await?;
    }
}

/// Returns the position at which the last lines begin.
async fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let mut end = file.metadata().await?.len();
    let length = end;
    let mut left = lines;
    let mut piece = Vec::new();
    while end > 0 {
        let start = end.saturating_sub(PIECE);
        file.seek(SeekFrom::Start(start)).await?;
        piece.resize((end - start) as usize, 0);
        file.read_exact(&mut piece).await?;
        for (index, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let line_start = start + index as u64 + 1;
            // The end of the last line begins no line.
            if line_start < length {
                left = left.saturating_sub(1);
            }
            if left == 0 {
                return Ok(line_start);
            }
        }
        end = start;
    }
    Ok(0)
}
