//! The report: tables and what they say, as Markdown.

use std::fmt::{self, Write};

use runtime::selector::Kind;

use super::crowd::{self, Crowd};
use super::scale::{Curve, SIZES};
use super::servers::Layer;
use crate::common::stats::Samples;

/// The mark: what an echo among many idle sockets may cost, as a multiple of one among few.
const FEW: usize = 10;
const MANY: usize = 10_000;
const MOST_GROWTH: f64 = 1.3;

/// Where the slope of a line is told: while all fits into the caches, and when it does not.
const SLOPES: [(usize, usize); 2] = [(10, 1000), (10_000, 19_000)];

/// Of a slope, in nanoseconds: a µs of difference between two medians, over some thousand sockets.
const NOISE: f64 = 1.0;

/// All that was measured, and where.
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

    /// Whether the two epolls keep the mark, in a sentence.
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
        let mark =
            format!("at most {MOST_GROWTH} times the cost of {FEW} at {} sockets", thousands(MANY as f64));
        match (measured, over.is_empty()) {
            (false, _) => format!("The mark ({mark}) was not measured."),
            (true, true) => format!("The mark for epoll, {mark}, is kept."),
            (true, false) => format!("The mark for epoll, {mark}, is **not kept**: {}.", over.join(", ")),
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
             A client plays ping-pong with 64 bytes on one connection, while N others are open and silent. The \
             numbers are the server's CPU time for one echo, in user space and in the kernel: one wait that \
             reports one socket, one read, one write. Median of {} rounds, in brackets the interquartile \
             range; all servers are open at the same time, and each round asks every one of them. Server and \
             client share a core, for to be woken from another costs more than the request. `select` ends at \
             descriptor 1024.\n\n\
             Through the whole runtime, a task for each connection:\n",
            self.rounds,
        )?;
        self.scale(f, Layer::Runtime)?;
        writeln!(f, "\nThrough the bare selector layer (`runtime::selector`), a loop by hand:\n")?;
        self.scale(f, Layer::Bare)?;
        writeln!(
            f,
            "\n{}\n\n\
             epoll keeps its list of watched sockets in the kernel, and a wait looks at the ready ones alone. \
             poll and select are handed the whole list with every wait and look at each socket in it: their \
             cost is a constant and a multiple of N, and the multiple itself grows once the caches no longer \
             hold that many sockets.",
            self.verdict(),
        )
    }

    fn crowd(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "## Ten thousand active connections\n\n\
             {} connections to one server on the whole runtime, which has a core; the clients have the other. \
             *Flat out* each connection has a message of 64 bytes under way all the time: latency is then \
             mostly the queue of the {} others. *Paced*, {} messages a second go over all connections in \
             turn, and latency counts from when a message was due. Medians of up to {} runs of {} s of each \
             sort; a run in which other programs took more than 5 % of a core is made again. A message that \
             did not come back unchanged would have ended the bench.\n",
            thousands(crowd::CONNECTIONS as f64),
            thousands(crowd::CONNECTIONS as f64 - 1.0),
            thousands(crowd::RATE as f64),
            self.crowd_rounds,
            crowd::DURATION.as_secs(),
        )?;
        self.crowds(f)?;
        writeln!(
            f,
            "\nWhere thousands are ready at once, poll's scan finds something in many places, and costs each \
             of them little. It is the usual case, a few ready among many, that it is slow for.",
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# What watching costs\n\nWritten by `cargo bench --bench selectors` on {}: {}.",
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

/// What is less than the noise is shown as nothing, and without a sign.
fn nanoseconds(number: f64) -> String {
    if number.abs() < NOISE { "0 ns".to_owned() } else { format!("{number:.0} ns") }
}

fn milliseconds(samples: &Samples) -> String {
    if samples.len() == 0 {
        return "–".to_owned();
    }
    format!("{:.2} ms ({:.0} %)", samples.median() / 1e6, 100.0 * samples.spread())
}

/// Rounded to a whole number, with commas.
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
