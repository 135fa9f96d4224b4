//! Pipeline: stages that are joined by bounded channels.
//!
//! One task reads lines, several tasks split lines into words, and one task counts the words. Each channel has room for
//! a few messages only. So a stage that is faster than the next one waits for it, and the memory of the program does not
//! depend on the length of the input. When a stage ends, it drops its sender; the next stage then receives what is left,
//! and ends as well.
//!
//! ```text
//! cargo run --release --example pipeline < README.md
//! seq 1000000 | cargo run --release --example pipeline
//! ```

use runtime::io::{AsyncBufReadExt, BufReader, stdin};
use runtime::sync::{Mutex, mpsc};
use runtime::try_join;
use std::collections::HashMap;
use std::io;
use std::rc::Rc;

/// The room of each channel, in messages.
const ROOM: usize = 32;

/// The number of tasks that split lines.
const SPLITTERS: usize = 4;

/// The number of words that are printed.
const SHOWN: usize = 10;

#[runtime::main]
async fn main() -> io::Result<()> {
    let (line_sender, lines) = mpsc::channel(ROOM);
    let (word_sender, words) = mpsc::channel(ROOM);
    // The splitters share one receiver: the task that has the lock takes the next line.
    let lines = Rc::new(Mutex::new(lines));
    let splitters: Vec<_> =
        (0..SPLITTERS).map(|_| runtime::spawn(split(lines.clone(), word_sender.clone()))).collect();
    drop((lines, word_sender));

    let (lines, counts) = try_join!(read(line_sender), count(words))?;
    for splitter in splitters {
        splitter.await?;
    }

    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(a, times_a), (b, times_b)| times_b.cmp(times_a).then_with(|| a.cmp(b)));
    println!("{lines} lines, {} different words", counts.len());
    for (word, times) in counts.iter().take(SHOWN) {
        println!("{times:7} {word}");
    }
    Ok(())
}

/// The first stage: sends each line of standard input, and returns their number.
async fn read(sender: mpsc::Sender<String>) -> io::Result<u64> {
    let mut lines = BufReader::new(stdin()).lines();
    let mut count = 0;
    while let Some(line) = lines.next_line().await? {
        count += 1;
        if sender.send(line).await.is_err() {
            break;
        }
    }
    Ok(count)
}

/// The second stage: splits lines into words. A message is all words of a line.
async fn split(lines: Rc<Mutex<mpsc::Receiver<String>>>, sender: mpsc::Sender<Vec<String>>) {
    loop {
        let line = lines.lock().await.recv().await;
        let Some(line) = line else { return };
        let words = line.split(|char: char| !char.is_alphanumeric()).filter(|word| !word.is_empty());
        if sender.send(words.map(str::to_lowercase).collect()).await.is_err() {
            return;
        }
    }
}

/// The last stage: counts the words.
async fn count(mut words: mpsc::Receiver<Vec<String>>) -> io::Result<HashMap<String, u64>> {
    let mut counts = HashMap::new();
    while let Some(words) = words.recv().await {
        for word in words {
            *counts.entry(word).or_default() += 1;
        }
    }
    Ok(counts)
}
