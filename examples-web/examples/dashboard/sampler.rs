//! Samples of what the runtime does, four times a second, as JSON for all subscribers. It does not know HTTP.

use runtime::Handle;
use runtime::sync::watch;
use runtime::task::AbortOnDropHandle;
use runtime::time::{Instant, interval};
use serde::Serialize;
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// The time between two ticks of the timer whose lateness is measured.
const TICK: Duration = Duration::from_millis(25);

const TICKS_PER_SAMPLE: u32 = 10;

/// One sample. Rates are per second.
#[derive(Serialize)]
struct Sample {
    turns: f64,
    polls: f64,
    requests: f64,
    tasks: usize,
    sources: usize,
    connections: u64,
    pages: usize,
    /// The most that a tick was late since the last sample.
    lateness_us: u128,
    selector: String,
}

/// The numbers that the server counts by itself.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: Cell<u64>,
    pub(crate) requests: Cell<u64>,
}

/// A task that takes samples until this is dropped.
pub(crate) struct Sampler {
    pub(crate) counters: Rc<Counters>,
    samples: watch::Receiver<Rc<str>>,
    _task: AbortOnDropHandle<()>,
}

impl Sampler {
    pub(crate) fn start() -> Sampler {
        let counters = Rc::new(Counters::default());
        let (sender, samples) = watch::channel("{}".into());
        let task = runtime::spawn(take_samples(counters.clone(), sender));
        Sampler { counters, samples, _task: AbortOnDropHandle::new(task) }
    }

    /// Returns a receiver of the samples from now on. One that is slow misses samples, and none is queued for it.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Rc<str>> {
        self.samples.clone()
    }
}

async fn take_samples(counters: Rc<Counters>, sender: watch::Sender<Rc<str>>) {
    let runtime = Handle::current();
    let mut ticks = interval(TICK);
    let mut last = (Instant::now(), runtime.metrics(), counters.requests.get());
    loop {
        let mut lateness = Duration::ZERO;
        for _ in 0..TICKS_PER_SAMPLE {
            lateness = lateness.max(ticks.tick().await.elapsed());
        }
        let (now, metrics, requests) = (Instant::now(), runtime.metrics(), counters.requests.get());
        let per_second = |count: u64| count as f64 / (now - last.0).as_secs_f64();
        let sample = Sample {
            turns: per_second(metrics.turns - last.1.turns),
            polls: per_second(metrics.polls - last.1.polls),
            requests: per_second(requests - last.2),
            tasks: metrics.num_alive_tasks,
            sources: metrics.io_sources,
            connections: counters.connections.get(),
            // One receiver is that of the sampler.
            pages: sender.receiver_count() - 1,
            lateness_us: lateness.as_micros(),
            selector: runtime.selector().to_string(),
        };
        last = (now, metrics, requests);
        let json = serde_json::to_string(&sample).expect("a sample has no maps, whose keys could be invalid");
        if sender.send(json.into()).is_err() {
            return;
        }
    }
}
