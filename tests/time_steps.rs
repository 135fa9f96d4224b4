//! Law: time that steps back counts as standing still. The tests run in processes whose `clock_gettime` is replaced by
//! one that they shift by hand. (CLOCK_MONOTONIC has stepped back in virtual machines that were moved to another host.)
//!
//! The replacement is written in C and preloaded. Without a C compiler the tests are skipped, and say so.
#![cfg(all(target_os = "linux", not(miri)))]

mod common;

use common::process::{in_child_with, is_child};
use runtime::Builder;
use runtime::io::AsyncReadExt;
use runtime::net::{TcpListener, TcpStream};
use runtime::task::yield_now;
use runtime::time::{Instant, sleep};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

/// The replacement: the kernel's monotonic clock plus the nanoseconds that a mapped file contains.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *shift_ns;

__attribute__((constructor)) static void map_shift(void) {
    const char *path = getenv("CLOCK_SHIFT");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift_ns, PROT_READ, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED) shift_ns = map;
    if (fd >= 0) close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_MONOTONIC && shift_ns) {
        long long ns = time->tv_sec * 1000000000LL + time->tv_nsec + *shift_ns;
        time->tv_sec = ns / 1000000000;
        time->tv_nsec = ns % 1000000000;
    }
    return result;
}
"#;

const SHIFT: &str = "CLOCK_SHIFT";

const HOUR_NS: i64 = 3_600_000_000_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A path for a file of this process.
fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("time_steps-{}-{name}", std::process::id()))
}

/// Compiles the replacement once. Returns its path, or `None` without a C compiler.
fn shim() -> Option<&'static Path> {
    static SHIM_PATH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let path = path_of("shim.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-x", "c", "-", "-o"]).arg(&path).stdin(Stdio::piped());
        let mut compiler = compiler.spawn().ok()?;
        compiler.stdin.take().expect("a pipe").write_all(SHIM.as_bytes()).expect("write to the compiler");
        if !compiler.wait().expect("wait for the compiler").success() {
            return None;
        }
        // The file is written in one step, since other processes may use it: its contents are the same each time.
        let shim = Path::new(env!("CARGO_TARGET_TMPDIR")).join("time_steps.so");
        fs::rename(path, &shim).expect("rename the replacement");
        Some(shim)
    };
    SHIM_PATH.get_or_init(build).as_deref()
}

/// The shift of the clock, in the child.
struct Shift(File);

impl Shift {
    fn set(&self, ns: i64) {
        self.0.write_all_at(&ns.to_ne_bytes(), 0).expect("write the shift");
    }
}

/// Runs `body` on a runtime in a process of its own, whose clock it may shift.
fn with_clock<F: Future<Output = ()>>(name: &str, body: impl FnOnce(Shift) -> F) {
    if is_child() {
        return in_child_with(&[], || {
            let path = std::env::var_os(SHIFT).expect("the parent gives the path");
            let shift = Shift(OpenOptions::new().write(true).open(path).expect("open the shift"));
            let before = Instant::now();
            shift.set(HOUR_NS);
            assert!(before.elapsed() >= Duration::from_secs(3600), "the replacement is not in use");
            shift.set(0);
            // The loop turns once for each poll.
            let runtime = Builder::new_current_thread().event_interval(1).build().unwrap();
            runtime.block_on(body(shift));
        });
    }
    let Some(shim) = shim() else {
        return eprintln!("skipped: no C compiler");
    };
    let path = path_of(name);
    fs::write(&path, 0i64.to_ne_bytes()).expect("make the file of the shift");
    in_child_with(&[("LD_PRELOAD", shim.as_os_str()), (SHIFT, path.as_os_str())], || ());
    fs::remove_file(path).expect("remove the file of the shift");
}

/// Waits for a sleep, and returns how long that took by a clock that no test shifts.
async fn time_of_sleep(duration: Duration) -> Duration {
    let start = SystemTime::now();
    sleep(duration).await;
    start.elapsed().expect("the system's time is not set meanwhile")
}

#[test]
fn a_sleep_takes_its_time_after_an_hour_forward_and_back() {
    with_clock("hour", |shift| async move {
        sleep(ms(1)).await;
        shift.set(HOUR_NS);
        sleep(ms(1)).await;
        shift.set(0);
        for _ in 0..3 {
            let took = time_of_sleep(ms(20)).await;
            assert!(took >= ms(20), "{took:?}");
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    });
}

#[test]
fn a_sleep_takes_its_time_after_a_few_milliseconds_back() {
    with_clock("milliseconds", |shift| async move {
        for n in 1..=5 {
            sleep(ms(1)).await;
            shift.set(-3_000_000 * n);
            let took = time_of_sleep(ms(2)).await;
            assert!(took >= ms(2), "{took:?}");
        }
    });
}

#[test]
fn a_read_timeout_stands_a_clock_that_steps_back() {
    with_clock("deadlines", |shift| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let _peer = listener.accept().await.unwrap();
        let limit = ms(300);
        stream.set_read_timeout(Some(limit)).unwrap();
        let mut buffer = [0; 8];
        let turns = async {
            let mut shift_ns = 0;
            // The turns are so far apart that the log keeps each of them.
            for turn in 0..5000 {
                shift_ns += match turn % 100 {
                    98 => -3_000_000,
                    99 => 5_000_000,
                    _ => 150_000,
                };
                shift.set(shift_ns);
                yield_now().await;
            }
        };
        let reading = async {
            loop {
                let start = Instant::now();
                let error = stream.read(&mut buffer).await.expect_err("nothing has come");
                assert_eq!(error.kind(), ErrorKind::TimedOut);
                assert!(start.elapsed() >= limit);
            }
        };
        futures_lite::future::or(turns, reading).await;
    });
}
