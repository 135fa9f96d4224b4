//! The helpers that the tests of the timeouts of streams share.

use super::run;
use runtime::io::AsyncReadExt;
use runtime::net::TcpStream;
use runtime::time::{self, Instant};
use std::io::ErrorKind;
use std::time::Duration;

pub(crate) const LIMIT: Duration = Duration::from_secs(32);
pub(crate) const NEVER: Duration = Duration::from_secs(1 << 40);

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Runs a future with a paused clock, which moves by itself when nothing is left to do.
pub(crate) fn run_paused<T>(future: impl Future<Output = T>) -> T {
    run(async {
        time::pause();
        future.await
    })
}

/// Waits until a read times out, and returns how long that took.
pub(crate) async fn silence(stream: &TcpStream) -> Duration {
    let start = Instant::now();
    let error = (&*stream).read(&mut [0; 64]).await.expect_err("nothing has come");
    assert_eq!((error.kind(), error.raw_os_error()), (ErrorKind::TimedOut, None));
    start.elapsed()
}

/// Returns whether a wait took at least `limit`, and hardly more.
pub(crate) fn is_in_time(took: Duration, limit: Duration) -> bool {
    took >= limit && took <= limit + limit / 32 + Duration::from_millis(1)
}
