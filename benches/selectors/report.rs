//! The report: tables and what they mean, as Markdown.

use std::fmt::{self, Write};

use runtime::selector::Kind;

use super::crowd::{self, Crowd};
use super::scale::{Curve, SIZES};
use super::servers::Layer;
use crate::common::stats::Samples;

/// The target: the maximum cost of an echo among many idle sockets, as a multiple of the cost among few.
const FEW: usize = 10;
const MANY: usize = 10_000;
const MOST_GROWTH: f64 = 1.3;

/// The ranges for which the slope of a line is given: while everything fits into the caches, and when it does not.
const SLOPES: [(usize, usize); 2] = [(10, 1000), (10_000, 19_000)];

/// The noise of a slope, in nanoseconds: a µs of difference between two medians, over some thousand sockets.
const NOISE: f64 = 1.0;

/// All results, with the machine on which they were measured.
pub(crate) struct Report {
    pub(crate) date: String,
    pub(crate) machine: String,
    pub(crate) rounds: usize,
    pub(crate) crowd_rounds: usize,
    pub(crate) curves: Vec<Curve>,
    pub(crate) crowds: Vec<Crowd>,
}

impl Report {
    fn scale(&self, f: &mut fmt::Formatter<'_>, layer: Layer) -> fmt::Result {
        let curves: Vec<&Curve> = self.curves.iter().filter(|curve| curve.layer == layer).collect();
        let sizes: Vec<usize> =
            SIZES.into_iter().filter(|&size| curves.iter().any(|curve| curve.at(size).is_some())).collect();
        write!(f, "| idle sockets |")?;
        sizes.iter().try_for_each(|size| write!(f, " {} |", thousands(*size as f64)))?;
        let names =
            SLOPES.map(|(few, many)| format!("{} to {}", thousands(few as f64), thousands(many as f64)));
        writeln!(f, " {} ÷ {FEW} | one more adds: {} | {} |", thousands(MANY as f64), names[0], names[1])?;
        writeln!(f, "|---|{}---:|---:|---:|", "---:|".repeat(sizes.len()))?;
        for curve in curves {
            write!(f, "| `{}` |", curve.kind)?;
            for &size in &sizes {
                match curve.at(size) {
                    Some(samples) => write!(f, " {} |", microseconds(samples))?,
                    None => write!(f, " – |")?,
                }
            }
            let growth = curve.growth(FEW, MANY).map_or("–".to_owned(), |growth| format!("{growth:.2}"));
            let slopes = SLOPES.map(|(few, many)| curve.slope(few, many).map_or("–".to_owned(), nanoseconds));
            writeln!(f, " {growth} | {} | {} |", slopes[0], slopes[1])?;
        }
        Ok(())
    }

    /// Returns a sentence that says whether both kinds of epoll meet the target.
    fn verdict(&self) -> String {
        let mut over = Vec::new();
        let mut measured = false;
        for curve in &self.curves {
            let Some(growth) = curve.growth(FEW, MANY) else { continue };
            if !matches!(curve.kind, Kind::Epoll | Kind::EpollLevel | Kind::Kqueue) {
                continue;
            }
            measured = true;
            if growth > MOST_GROWTH {
                let place = if curve.layer == Layer::Runtime { "the runtime" } else { "the bare layer" };
                over.push(format!("`{}` through {place}: {growth:.2}", curve.kind));
            }
        }
        let target =
            format!("at most {MOST_GROWTH} times the cost of {FEW} at {} sockets", thousands(MANY as f64));
        match (measured, over.is_empty()) {
            (false, _) => format!("The target ({target}) was not measured."),
            (true, true) => format!("epoll meets its target of {target}."),
            (true, false) => format!("epoll does **not** meet its target of {target}: {}.", over.join(", ")),
        }
    }

    fn crowds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| | flat out: requests per second | p99 | CPU a request | paced: p50 | p99 | CPU a request | \
             answered | runs |"
        )?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---:|---:|---:|")?;
        for Crowd { kind, messages, flat_out, paced } in &self.crowds {
            let messages = thousands(*messages);
            writeln!(
                f,
                "| `{kind}` | {} | {} | {} | {} | {} | {} | {messages} of {messages} | {} + {} |",
                rate(&flat_out.per_second),
                milliseconds(&flat_out.p99),
                microseconds(&flat_out.cpu),
                milliseconds(&paced.p50),
                milliseconds(&paced.p99),
                microseconds(&paced.cpu),
                flat_out.cpu.len(),
                paced.cpu.len(),
            )?;
        }
        Ok(())
    }
}

impl Report {
    fn idle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "![CPU time of an echo against the number of idle sockets](selectors.svg)\n\n\
             ## One active connection among many idle ones\n\n\
             A client sends 64 bytes on one connection and waits for their echo, again and again, while N other \
             connections are open and silent. The numbers are the server's CPU time for one echo, in user space \
             and in the kernel: one wait that reports one socket, one read, and one write. They are medians of \
             {} rounds, with the interquartile range in brackets. All servers run at the same time, and each \
             round uses every one of them. The server and the client share a core, because a wake from another \
             core costs more than the request. `select` cannot watch descriptors from 1024 on.\n\n\
             Measured with the whole runtime, with a task for each connection:\n",
            self.rounds,
        )?;
        self.scale(f, Layer::Runtime)?;
        writeln!(
            f,
            "\nMeasured with the selector layer alone (`runtime::selector`) and a hand-written loop:\n"
        )?;
        self.scale(f, Layer::Bare)?;
        writeln!(
            f,
            "\n{}\n\n\
             epoll keeps its list of watched sockets in the kernel, and a wait looks only at the ready ones. \
             poll and select get the whole list with every wait, and look at each socket in it. So their cost \
             is a constant plus an amount for each of the N sockets, and this amount grows when the caches \
             can no longer hold that many sockets.",
            self.verdict(),
        )
    }

    fn crowd(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "## Ten thousand active connections\n\n\
             {} connections lead to one server on the whole runtime, which has one core. The clients have the \
             other core. In the runs called *flat out*, each connection always has a message of 64 bytes on its \
             way, so the latency is mostly the time in the queue behind the {} others. In the runs called \
             *paced*, {} messages a second are sent over all connections in turn, and the latency counts from \
             the time at which a message was due. The numbers are medians of up to {} runs of {} s of each \
             kind. A run in which other programs took more than 5 % of a core is repeated. If a message had not \
             come back unchanged, the bench would have failed.\n",
            thousands(crowd::CONNECTIONS as f64),
            thousands(crowd::CONNECTIONS as f64 - 1.0),
            thousands(crowd::RATE as f64),
            self.crowd_rounds,
            crowd::DURATION.as_secs(),
        )?;
        self.crowds(f)?;
        writeln!(
            f,
            "\nIf thousands of sockets are ready at once, the scan of poll finds many of them, and its cost for \
             each of them is small. poll is slow in the usual case, in which only a few of many sockets are \
             ready.",
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What watching sockets costs\n\nThis page was written by `cargo bench --bench selectors` on {}. The machine: {}.",
            self.date, self.machine,
        )?;
        if !self.curves.is_empty() {
            writeln!(f)?;
            self.idle(f)?;
        }
        if !self.crowds.is_empty() {
            writeln!(f)?;
            self.crowd(f)?;
        }
        Ok(())
    }
}

fn microseconds(samples: &Samples) -> String {
    if samples.len() == 0 {
        return "–".to_owned();
    }
    let number = samples.median() / 1e3;
    let digits = if number < 100.0 { format!("{number:.2}") } else { thousands(number) };
    format!("{digits} µs ({:.0} %)", 100.0 * samples.spread())
}

fn rate(samples: &Samples) -> String {
    if samples.len() == 0 {
        return "–".to_owned();
    }
    format!("{} ({:.0} %)", thousands(samples.median()), 100.0 * samples.spread())
}

/// Formats a number of nanoseconds. One below the noise is shown as 0, without a sign.
fn nanoseconds(number: f64) -> String {
    if number.abs() < NOISE { "0 ns".to_owned() } else { format!("{number:.0} ns") }
}

fn milliseconds(samples: &Samples) -> String {
    if samples.len() == 0 {
        return "–".to_owned();
    }
    format!("{:.2} ms ({:.0} %)", samples.median() / 1e6, 100.0 * samples.spread())
}

/// Rounds to a whole number, and formats it with commas.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        // Writing to a string cannot fail.
        let _ = text.write_char(digit);
    }
    text
}
