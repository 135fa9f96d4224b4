//! What the system allows, what it uses, and numbers in words.
//!
//! Most of it is read from `/proc`. Where there is none, limits are not checked and memory is not
//! known, and all else works.

use super::{ADDRESSES, PROCESSES};
use runtime::time::Duration;
use std::fmt;
use std::fs;
use std::process::Command;

/// Descriptors of a process beside its connections: listeners, pipes, the runtime's own.
const OTHER_FILES: usize = 64;

/// Memory that a connection takes at most, in the kernel (both ends), its server and its client.
const BYTES_PER_CONNECTION: usize = 16 << 10;

/// The limits that are in the way of so many connections, each with what to do about it.
pub(crate) fn shortages(connections: usize) -> Vec<String> {
    let mut shortages = Vec::new();
    let share = connections.div_ceil(PROCESSES);
    // The kernel shares them out by chance: five standard deviations are as good as always enough.
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

/// How many descriptors a process may ask to have.
fn descriptor_limit() -> Option<usize> {
    let output = Command::new("sh").args(["-c", "ulimit -Hn"]).output().ok()?;
    // None either if it says "unlimited".
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

/// A line of `/proc/meminfo`.
fn kernel_bytes(name: &str) -> Option<usize> {
    let info = fs::read_to_string("/proc/meminfo").ok()?;
    kilobytes_after(&info, name)
}

/// Descriptors that a process has, or 0 if that is not known.
pub(crate) fn open_files(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).map_or(0, Iterator::count)
}

/// Memory in use, in bytes.
pub(crate) struct Memory {
    /// Resident in all servers together.
    servers: usize,
    /// The kernel's objects of all kinds: sockets, files, and what epoll has of them.
    slab: usize,
    /// Socket buffers.
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

    /// What was added until `after`, for each of `connections`, in words.
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

/// The bytes of a line such as `Slab:  1234 kB`.
fn kilobytes_after(text: &str, name: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? << 10)
}

/// Of all TCP sockets: the last number of `TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1`, in pages.
fn buffer_bytes() -> Option<usize> {
    let statistics = fs::read_to_string("/proc/net/sockstat").ok()?;
    let line = statistics.lines().find(|line| line.starts_with("TCP:"))?;
    let pages: usize = line.rsplit(' ').next()?.parse().ok()?;
    Some(pages * 4096)
}

/// How a round went.
pub(crate) struct Pace {
    /// Sorted, in microseconds.
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
