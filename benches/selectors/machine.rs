//! The date and the machine, in words: numbers mean little without them.

use std::fs;
use std::io;
use std::process::Command;
use std::thread::available_parallelism;

/// Returns today's date in UTC, such as `2026-01-31`.
pub(crate) fn date() -> io::Result<String> {
    let output = Command::new("date").args(["-u", "+%Y-%m-%d"]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Describes the cores, the processor and the kernel, without a name of the machine.
pub(crate) fn describe() -> io::Result<String> {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = cpuinfo.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(": ")).map_or("", |(_, value)| value)
    };
    let cores = available_parallelism()?;
    let virtual_machine = field("flags").split(' ').any(|flag| flag == "hypervisor");
    let place = if virtual_machine { "a shared virtual machine" } else { "a machine" };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let version: Vec<&str> = release.trim().split(['.', '-']).take(2).collect();
    Ok(format!("{cores} cores of {place} ({}), Linux {}", field("model name"), version.join(".")))
}
