//! The cost of watching many sockets, by mechanism. The chart shows why epoll exists.
//!
//! ```text
//! cargo bench --bench selectors                        everything, into docs/ (about five minutes)
//! cargo bench --bench selectors -- --quick             up to 1000 sockets, three rounds, no crowd
//! cargo bench --bench selectors -- --crowd             only the crowd
//! cargo bench --bench selectors -- --rounds 51         more rounds
//! cargo bench --bench selectors -- --out /tmp/here     into another folder
//! ```
//!
//! The bench measures the cost of one echo against the number of idle sockets ([`scale`]) and ten thousand
//! active connections ([`crowd`]), prints the tables, and writes them as `selectors.md` with the
//! chart `selectors.svg` beside it. A quick or partial run writes nothing, unless `--out` names a folder.
//!
//! This file reads the arguments. Both sides of all connections are children: [`servers`], [`clients`].

#[path = "../common/mod.rs"]
mod common;

mod bare;
mod chart;
mod clients;
mod crowd;
mod machine;
mod report;
mod scale;
mod servers;

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use common::arguments::{help, refuse};
use common::system::{CORE, pin_to, raise_descriptor_limit};
use report::Report;

const USAGE: &str = "\
cargo bench --bench selectors                        everything, into docs/ (about five minutes)
cargo bench --bench selectors -- --quick             up to 1000 sockets, three rounds, no crowd
cargo bench --bench selectors -- --crowd             only the crowd
cargo bench --bench selectors -- --rounds 51         more rounds
cargo bench --bench selectors -- --out /tmp/here     into another folder";

fn main() -> Result<(), Box<dyn Error>> {
    servers::serve_if_asked();
    clients::obey_if_asked();

    let options = Options::from_args();
    // The description is made before this process is pinned to one of the cores.
    let machine = machine::describe()?;
    raise_descriptor_limit()?;
    pin_to(CORE);
    // The servers of one part are closed before the next part begins.
    let crowds = if options.crowd { crowd::measure(options.crowd_rounds)? } else { Vec::new() };
    let curves = scale::measure(options.most, options.rounds)?;
    let chart = if curves.is_empty() { String::new() } else { chart::draw(&curves)? };
    let Options { rounds, crowd_rounds, .. } = options;
    let report = Report { date: machine::date()?, machine, rounds, crowd_rounds, curves, crowds };
    println!("{report}");
    if let Some(folder) = options.out {
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("selectors.md"), report.to_string())?;
        fs::write(folder.join("selectors.svg"), chart)?;
        eprintln!("written to {}", folder.display());
    }
    Ok(())
}

/// The options of the command line: the measurements to make, and the file for the results.
struct Options {
    most: usize,
    rounds: usize,
    crowd: bool,
    crowd_rounds: usize,
    out: Option<PathBuf>,
}

impl Options {
    fn from_args() -> Options {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
        let mut options =
            Options { most: 19_000, rounds: 31, crowd: true, crowd_rounds: 7, out: Some(docs.into()) };
        let mut as_bench = false;
        let mut out = None;
        let mut rounds = None;
        let mut args = env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--bench" => as_bench = true,
                "--crowd" => options = Options { most: 0, out: None, ..options },
                "--quick" => options = Options { most: 1000, rounds: 3, crowd: false, out: None, ..options },
                "--rounds" => {
                    let number = args.next().and_then(|n| n.parse().ok());
                    rounds = Some(number.unwrap_or_else(|| refuse("--rounds needs a number", USAGE)));
                }
                "--out" => {
                    let folder = args.next().unwrap_or_else(|| refuse("--out needs a folder", USAGE));
                    out = Some(folder.into());
                }
                "--help" | "-h" => help(USAGE),
                unknown => refuse(format_args!("unknown option {unknown}"), USAGE),
            }
        }
        if !as_bench {
            // `cargo test --benches` runs this without `--bench`: then it only checks that everything works.
            options = Options { most: 100, rounds: 1, crowd: false, out: None, ..options };
        }
        options.rounds = rounds.unwrap_or(options.rounds);
        options.out = out.or(options.out);
        options
    }
}
