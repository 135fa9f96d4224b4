//! Reads the limits and the memory use of the system, and formats the results.
//!
//! Most numbers come from `/proc`. On a system without it, the limits are not checked and the memory use is not known;
//! everything else works.

use super::{ADDRESSES, PROCESSES};
use runtime::time::Duration;
use std::fmt;
use std::fs;
use std::process::Command;

/// The number of descriptors of a process besides its connections: listeners, pipes, and those of the runtime.
const OTHER_FILES: usize = 64;

/// The most memory that a connection takes in the kernel (both ends), in its server and in its client, in bytes.
const BYTES_PER_CONNECTION: usize = 16 << 10;

/// Returns a message for each limit that is too low for this number of connections.
pub(crate) fn shortages(connections: usize) -> Vec<String> {
    let mut shortages = Vec::new();
    let share = connections.div_ceil(PROCESSES);
    // The kernel distributes the connections at random. A margin of five standard deviations is practically always
    // enough.
    let files = share + 5 * share.isqrt() + OTHER_FILES;
    if let Some(allowed) = descriptor_limit().filter(|&allowed| allowed < files) {
        shortages.push(format!(
            "each server needs {files} descriptors, and the hard limit is {allowed} (ulimit -Hn)"
        ));
    }
    let all_files = 2 * connections + 2 * PROCESSES * OTHER_FILES;
    if let Some(allowed) = read_number("/proc/sys/fs/file-max").filter(|&allowed| allowed < all_files) {
        shortages
            .push(format!("there will be {all_files} files, and the system allows {allowed} (fs.file-max)"));
    }
    if let Some(ports) = local_ports().filter(|&ports| ports * ADDRESSES < connections) {
        shortages.push(format!(
            "towards each of {ADDRESSES} addresses there are {ports} local ports \
             (net.ipv4.ip_local_port_range)"
        ));
    }
    let bytes = connections * BYTES_PER_CONNECTION;
    if let Some(available) = kernel_bytes("MemAvailable").filter(|&available| available < bytes) {
        let (need, have) = (bytes >> 20, available >> 20);
        shortages.push(format!("it may take {need} MiB of memory, and {have} MiB are free"));
    }
    shortages
}

/// Returns the hard limit on the descriptors of a process.
fn descriptor_limit() -> Option<usize> {
    let output = Command::new("sh").args(["-c", "ulimit -Hn"]).output().ok()?;
    // The result is also `None` for "unlimited".
    String::from_utf8_lossy(&output.stdout).trim().parse().ok()
}

fn read_number(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn local_ports() -> Option<usize> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let (first, last) = range.trim().split_once(char::is_whitespace)?;
    Some(last.parse::<usize>().ok()? + 1 - first.parse::<usize>().ok()?)
}

/// Returns the value of a line of `/proc/meminfo`, in bytes.
fn kernel_bytes(name: &str) -> Option<usize> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes_after(&info, name)
}

/// Returns the number of descriptors that a process has open, or 0 if that is not known.
pub(crate) fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// Memory in use, in bytes.
pub(crate) struct Memory {
    /// The resident memory of all servers together.
    servers: usize,
    /// The objects of the kernel of all kinds, such as sockets, files and the entries of epoll.
    slab: usize,
    /// The buffers of TCP sockets.
    buffers: usize,
}

impl Memory {
    pub(crate) fn now(servers: impl Iterator<Item = u32>) -> Memory {
        let resident = |id| {
            let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
            kilobytes_after(&status, "VmRSS")
        };
        Memory {
            servers: servers.filter_map(resident).sum(),
            slab: kernel_bytes("Slab").unwrap_or(0),
            buffers: buffer_bytes().unwrap_or(0),
        }
    }

    /// Formats the memory that each of `connections` has added between this measurement and `after`.
    pub(crate) fn growth(&self, after: &Memory, connections: usize) -> String {
        let each = |before: usize, after: usize| after.saturating_sub(before) / connections;
        if after.servers == 0 {
            return "memory: not known on this system".to_owned();
        }
        format!(
            "memory for each connection: {} B in its server; in the kernel, for both ends, {} B of objects \
             and {} B of buffers",
            each(self.servers, after.servers),
            each(self.slab, after.slab),
            each(self.buffers, after.buffers),
        )
    }
}

/// Returns the number of bytes in a line such as `Slab:  1234 kB`.
fn kilobytes_after(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
}

/// Returns the size of the buffers of all TCP sockets, in bytes. It is the last number of
/// `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`, which counts pages.
fn buffer_bytes() -> Option<usize> {
    let statistics = fs::read_to_string("/proc/net/sockstat").ok()?;
    let line = statistics.lines().find(|line| line.starts_with("TCP:"))?;
    let pages: usize = line.rsplit(' ').next()?.parse().ok()?;
    Some(pages * 4096)
}

/// The latencies of a round, and its duration.
pub(crate) struct Pace {
    /// The latencies in microseconds, sorted.
    latencies: Vec<u32>,
    elapsed: Duration,
}

impl Pace {
    pub(crate) fn of(mut latencies: Vec<u32>, elapsed: Duration) -> Pace {
        latencies.sort_unstable();
        Pace { latencies, elapsed }
    }

    fn milliseconds(&self, per_mille: usize) -> f64 {
        let last = self.latencies.len() - 1;
        f64::from(self.latencies[last * per_mille / 1000]) / 1e3
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} answers in {:.1} s, p50 {:.2} ms, p99 {:.2} ms, the last after {:.0} ms",
            self.latencies.len(),
            self.elapsed.as_secs_f64(),
            self.milliseconds(500),
            self.milliseconds(990),
            self.milliseconds(1000),
        )
    }
}
