//! Inside an event loop: a program whose main loop belongs to somebody else, such as a game or a window, and which serves
//! sockets between two frames, on the same thread.
//!
//! ```text
//! cargo run --example inside_event_loop            # ten seconds, then it ends
//! nc 127.0.0.1 7010                                # type `left`, `right` or `where`
//! ```
//!
//! `EventLoop` stands for the loop of a window library: it calls the application back before it waits, and asks until
//! when. It knows nothing of the runtime but its descriptor. The tasks share the state of the world through an `Rc`.

use runtime::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Interest};
use runtime::net::{TcpListener, TcpStream};
use runtime::selector::{Events, Selector};
use runtime::{Runtime, spawn};
use std::cell::Cell;
use std::io;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// The time from one frame to the next: 60 Hz.
const FRAME: Duration = Duration::from_nanos(1_000_000_000 / 60);

/// The time after which the program ends.
const PLAYED: Duration = Duration::from_secs(10);

/// The moving object: the tasks set its speed, and each frame adds the speed to its position.
#[derive(Default)]
struct World {
    position: Cell<i64>,
    speed: Cell<i64>,
}

/// The loop of a window library, without the window.
struct EventLoop<'a> {
    selector: Selector,
    /// `None` if the runtime's selector has no descriptor, so that the runtime has to be looked after in each frame.
    guest: Option<BorrowedFd<'a>>,
}

/// The application, as such a library sees it.
trait Application {
    /// Called after each wait. Returns until when the next wait may last.
    fn about_to_wait(&mut self) -> Instant;
    /// Returns false when the application ends.
    fn draw(&mut self) -> bool;
}

impl<'a> EventLoop<'a> {
    fn new(guest: Option<BorrowedFd<'a>>) -> io::Result<EventLoop<'a>> {
        let mut selector = Selector::new()?;
        if let Some(guest) = guest {
            selector.register(guest, 0, Interest::READABLE)?;
        }
        Ok(EventLoop { selector, guest })
    }

    fn run(mut self, application: &mut impl Application) -> io::Result<()> {
        let mut events = Events::with_capacity(16);
        let mut next_frame = Instant::now();
        loop {
            if Instant::now() >= next_frame {
                if !application.draw() {
                    // The runtime may live on, so it is no longer watched.
                    return self.guest.map_or(Ok(()), |guest| self.selector.deregister(guest));
                }
                // A frame that is late does not make the next ones early.
                next_frame = (next_frame + FRAME).max(Instant::now());
            }
            let until = application.about_to_wait().min(next_frame);
            self.selector.wait(&mut events, Some(until.saturating_duration_since(Instant::now())))?;
        }
    }
}

struct Game<'a> {
    runtime: &'a Runtime,
    world: Rc<World>,
    frames: u64,
    end: Instant,
}

impl Application for Game<'_> {
    fn about_to_wait(&mut self) -> Instant {
        self.runtime.turn(Some(Duration::ZERO));
        self.runtime.next_deadline().unwrap_or(self.end)
    }

    fn draw(&mut self) -> bool {
        self.frames += 1;
        self.world.position.set(self.world.position.get() + self.world.speed.get());
        if self.frames.is_multiple_of(60) {
            println!("frame {}: position {}", self.frames, self.world.position.get());
        }
        Instant::now() < self.end
    }
}

/// Reads commands until the player leaves.
async fn play(stream: TcpStream, world: Rc<World>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        match line.trim() {
            "left" => world.speed.set(-1),
            "right" => world.speed.set(1),
            "where" => {}
            _ => world.speed.set(0),
        }
        writer.write_all(format!("{}\n", world.position.get()).as_bytes()).await?;
    }
    Ok(())
}

fn main() -> io::Result<()> {
    let runtime = Runtime::new()?;
    let world = Rc::new(World::default());
    let shared = world.clone();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:7010"))?;
    println!("inside_event_loop: players connect to {}", listener.local_addr()?);
    drop(runtime.spawn(async move {
        while let Ok((stream, player)) = listener.accept().await {
            println!("{player} plays");
            let world = shared.clone();
            spawn(async move {
                if let Err(error) = play(stream, world).await {
                    println!("{player}: {error}");
                }
            });
        }
    }));
    let mut game = Game { runtime: &runtime, world, frames: 0, end: Instant::now() + PLAYED };
    EventLoop::new(runtime.selector_fd().ok())?.run(&mut game)?;
    println!("{} frames, {:?}", game.frames, runtime.metrics());
    Ok(())
}
