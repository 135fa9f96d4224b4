//! The measurement: a load on a new runtime, and beside it sleeps of a millisecond and a connection that is pinged.
//!
//! A third thread ends the round by its own clock, since the loop may be what is late. That thread and the client of
//! the ping run on the other core, where the client has priority. The loads check [`Shared::is_over`] in each step.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::common::system::{OTHER_CORE, pin_to, raise_priority};
use crate::delay::Delay;
use crate::loads::Load;
use crate::subject::Subject;

const SLEEP: Duration = Duration::from_millis(1);

/// The pause of the client between two pings, which is so long that the pings are no load themselves.
const PAUSE: Duration = Duration::from_micros(200);

/// A contender that is silent for this long is broken.
const SILENCE: Duration = Duration::from_secs(30);

/// The state that the threads and tasks of a round share.
#[derive(Default)]
pub(crate) struct Shared {
    is_over: AtomicBool,
    steps: AtomicU64,
}

impl Shared {
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// Ends the round.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Relaxed);
    }

    /// Counts a step of the load.
    pub(crate) fn step(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    /// Returns the number of steps that the load has made so far.
    pub(crate) fn steps(&self) -> u64 {
        self.steps.load(Relaxed)
    }
}

/// The results of one contender in one round.
pub(crate) struct Round {
    /// The lateness of the sleeps.
    pub(crate) sleeps: Vec<Delay>,
    /// The time that the client waited for each byte.
    pub(crate) pings: Vec<Delay>,
    pub(crate) steps_per_second: f64,
}

/// Runs `load` on a new runtime for the length of `window`, or until the load ends by itself.
pub(crate) fn measure<C: Subject>(load: Load, window: Duration) -> Round {
    let (shared, runtime) = (Arc::new(Shared::default()), C::new());
    let (client, server) = connection();
    runtime.block_on(async {
        let echo = C::spawn(C::echo_bytes(server));
        let running = load.start::<C>(&shared).await;
        let window = load.window().unwrap_or(window);
        let steps_before = shared.steps();
        let clock = start_clock(&shared, window, steps_before);
        let pings = start_client(&shared, client);
        let sleeps = C::spawn(sleep_again_and_again::<C>(shared.clone())).await;
        // The client leaves after its last byte has come.
        echo.await;
        clock.thread().unpark();
        let steps_per_second = clock.join().expect("the clock's thread panicked");
        let pings = pings.join().expect("the client panicked");
        running.end().await;
        Round { sleeps, pings, steps_per_second }
    })
}

/// Sleeps again and again. The first sleep counts from the spawn of the task: a task that is not polled for long is
/// late as well.
fn sleep_again_and_again<C: Subject>(shared: Arc<Shared>) -> impl Future<Output = Vec<Delay>> + Send {
    let mut deadline = Instant::now() + SLEEP;
    async move {
        let mut delays = Vec::new();
        loop {
            C::sleep(SLEEP).await;
            delays.push(Delay::new(deadline.elapsed(), shared.is_over()));
            if shared.is_over() {
                return delays;
            }
            deadline = Instant::now() + SLEEP;
        }
    }
}

/// Starts the thread that ends the round. The thread returns the number of steps per second that the load has made.
fn start_clock(shared: &Arc<Shared>, window: Duration, steps_before: u64) -> thread::JoinHandle<f64> {
    let (shared, start) = (shared.clone(), Instant::now());
    thread::spawn(move || {
        pin_to(OTHER_CORE);
        while let Some(left) = window.checked_sub(start.elapsed())
            && !shared.is_over()
        {
            thread::park_timeout(left);
        }
        shared.end();
        (shared.steps() - steps_before) as f64 / start.elapsed().as_secs_f64()
    })
}

/// Starts the thread that pings until the round is over.
fn start_client(shared: &Arc<Shared>, mut stream: TcpStream) -> thread::JoinHandle<Vec<Delay>> {
    let shared = shared.clone();
    thread::spawn(move || {
        pin_to(OTHER_CORE);
        raise_priority();
        let mut delays = Vec::new();
        while delays.is_empty() || !shared.is_over() {
            thread::sleep(PAUSE);
            let start = Instant::now();
            stream.write_all(b"?").expect("send a byte");
            stream.read_exact(&mut [0]).expect("the byte comes back");
            delays.push(Delay::new(start.elapsed(), shared.is_over()));
        }
        delays
    })
}

/// Returns the client's end of a connection, which is blocking, and the server's, which is not.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("listen on loopback");
    let client = TcpStream::connect(listener.local_addr().expect("a bound listener")).expect("connect");
    let (server, _) = listener.accept().expect("accept");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("send bytes at once");
    }
    client.set_read_timeout(Some(SILENCE)).expect("limit the client's wait");
    server.set_nonblocking(true).expect("make the server's end non-blocking");
    (client, server)
}
