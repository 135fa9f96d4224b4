//! The helpers that the tests of sockets share: a watchdog, connected pairs, and child processes.
#![allow(dead_code, unused_imports, reason = "each test file uses a part")]

#[path = "../common/attempts.rs"]
pub(crate) mod attempts;
pub(crate) mod copies;
pub(crate) mod deadlines;
#[cfg(all(target_os = "linux", not(miri)))]
#[path = "../common/interrupted.rs"]
mod interrupted;
pub(crate) mod place;
pub(crate) mod udp;
#[path = "../common/watchdog.rs"]
mod watchdog;

use runtime::net::{TcpListener, TcpStream};
use runtime::task::yield_now;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

pub(crate) use watchdog::{run, watchdog};

/// Returns two ends of a connection over loopback: the client's and the server's.
pub(crate) async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let client = TcpStream::connect(listener.local_addr()?).await?;
    let (server, peer) = listener.accept().await?;
    assert_eq!(peer, client.local_addr()?);
    Ok((client, server))
}

/// Returns two ends of a connection: the runtime's, and std's, which is blocking.
pub(crate) fn half_std_pair() -> io::Result<(TcpStream, std::net::TcpStream)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let other = std::net::TcpStream::connect(listener.local_addr()?)?;
    Ok((TcpStream::from_std(listener.accept()?.0)?, other))
}

/// Polls a future once.
pub(crate) async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    futures_lite::future::poll_once(future).await
}

/// Lets the loop turn until a condition holds.
pub(crate) async fn until(mut holds: impl FnMut() -> bool) {
    while !holds() {
        runtime::task::yield_now().await;
    }
}

/// Runs `body` in a process of its own, in which nothing else happens. The process runs the test `name` again.
pub(crate) fn in_child(name: &str, body: impl FnOnce()) {
    in_child_under(name, "alone", &[], body);
}

/// Does what [`in_child`] does for one of several cases, with the child started by strace(1) with these arguments.
/// Skips the case if strace cannot be used.
pub(crate) fn in_child_under(name: &str, case: &str, strace: &[&str], body: impl FnOnce()) {
    if is_case(case, body) {
        return;
    }
    let mut words = Vec::new();
    if !strace.is_empty() {
        words.extend(["strace", "-f", "-qq", "-o", "/dev/null"]);
        let works = Command::new(words[0]).args(&words[1..]).arg("true").status();
        if !works.is_ok_and(|status| status.success()) {
            return eprintln!("{name} is passed over: it needs strace, and the right to use it");
        }
        words.extend(strace);
    }
    let exe = exe();
    words.push(&exe);
    let mut child = Command::new(words[0]);
    if !strace.is_empty() {
        // The leak check of the address sanitizer cannot run in a traced process.
        child.env("ASAN_OPTIONS", "detect_leaks=0");
    }
    child.args(&words[1..]);
    run_case(child, name, case);
}

/// Does what [`in_child`] does for one of several cases, with an environment variable.
pub(crate) fn in_child_with(name: &str, case: &str, variable: (&str, &str), body: impl FnOnce()) {
    if !is_case(case, body) {
        let mut child = Command::new(exe());
        child.env(variable.0, variable.1);
        run_case(child, name, case);
    }
}

/// Does what [`in_child`] does in namespaces of its own: the network has only a loopback interface, and mounts affect
/// no other process. Skips the test if that is not allowed.
pub(crate) fn in_namespace(name: &str, body: impl FnOnce()) {
    if is_case("namespace", body) {
        return;
    }
    let words = ["-r", "-n", "-m"];
    let works = Command::new("unshare").args(words).args(["ip", "link", "set", "lo", "up"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        return eprintln!("{name} is passed over: it needs unshare and ip, and the right to use them");
    }
    let mut child = Command::new("unshare");
    child.args(words).arg(exe());
    run_case(child, name, "namespace");
}

/// Does what [`in_child`] does in a namespace in which process ids can be chosen. Skips the test if that is not allowed.
pub(crate) fn in_process_namespace(name: &str, body: impl FnOnce()) {
    if is_case("processes", body) {
        return;
    }
    let words = ["-r", "-p", "-f", "--mount-proc"];
    let choose = "echo 1000 >/proc/sys/kernel/ns_last_pid";
    let works = Command::new("unshare").args(words).args(["sh", "-c", choose]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        return eprintln!("{name} is passed over: it needs unshare, and the right to choose process ids");
    }
    let mut child = Command::new("unshare");
    child.args(words).arg(exe());
    run_case(child, name, "processes");
}

/// The environment variable that tells a child which case it is.
const MARK: &str = "RUNTIME_TEST_CASE";

/// In a child, runs the body if the case is the child's. Returns false in the parent.
fn is_case(case: &str, body: impl FnOnce()) -> bool {
    let mark = std::env::var_os(MARK);
    if mark.as_ref().is_some_and(|mark| mark == case) {
        body();
    }
    mark.is_some()
}

fn exe() -> String {
    std::env::current_exe().unwrap().into_os_string().into_string().unwrap()
}

fn run_case(mut child: Command, name: &str, case: &str) {
    let output = child.args(["--exact", name, "--nocapture"]).env(MARK, case).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}, {case}: the child ended with {}:\n{text}", output.status);
    assert!(text.contains("1 passed"), "{name}: the child ran no test:\n{text}");
}

/// Measures the CPU time of this process, to a hundredth of a second. The file is opened while there are descriptors.
pub(crate) struct CpuTime(std::fs::File);

impl CpuTime {
    pub(crate) fn new() -> CpuTime {
        CpuTime(std::fs::File::open("/proc/self/stat").unwrap())
    }

    pub(crate) fn used(&self) -> Duration {
        let mut stat = [0; 1024];
        let count = self.0.read_at(&mut stat, 0).unwrap();
        let stat = std::str::from_utf8(&stat[..count]).unwrap();
        // Search behind the name, which may hold anything: state is the third field, utime and stime are 14 and 15.
        let fields: Vec<&str> = stat[stat.rfind(')').unwrap()..].split(' ').collect();
        let ticks: u64 = fields[12].parse::<u64>().unwrap() + fields[13].parse::<u64>().unwrap();
        Duration::from_millis(10 * ticks)
    }
}

/// Returns the address of a listener whose queue is full, so that connecting to it takes for ever.
pub(crate) fn full_listener() -> (SocketAddr, impl Sized) {
    let listener = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    listener.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = vec![listener];
    for _ in 0..4 {
        let client = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.connect(&address).unwrap_err().raw_os_error(), Some(libc::EINPROGRESS));
        held.push(client);
    }
    (address.as_socket().unwrap(), held)
}

/// Returns the number of descriptors that this process has open.
pub(crate) fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Connects, accepts and transfers, a hundred times. Returns how often accepting failed.
pub(crate) fn hundred_connections() -> usize {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut errors = 0;
        for _ in 0..100 {
            let mut client = std::net::TcpStream::connect(address).unwrap();
            io::Write::write_all(&mut client, b"x").unwrap();
            let mut server = loop {
                match listener.accept().await {
                    Ok((server, _)) => break server,
                    Err(_) => errors += 1,
                }
            };
            assert_eq!(futures_lite::AsyncReadExt::read(&mut server, &mut [0; 8]).await.unwrap(), 1);
        }
        errors
    })
}

pub(crate) const MIB: usize = 1 << 20;

/// Returns bytes that show if one is missing or in the wrong place. They are doubled until there are enough, because
/// one by one they would take longer than the test.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    bytes.extend((0..251).take(length));
    while bytes.len() < length {
        bytes.extend_from_within(..bytes.len().min(length - bytes.len()));
    }
    bytes
}

/// Returns pseudo-random numbers, the same ones in each run.
pub(crate) fn numbers() -> impl FnMut(usize) -> usize {
    let mut state = 1u64;
    move |below| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    }
}

pub(crate) async fn yields(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}
