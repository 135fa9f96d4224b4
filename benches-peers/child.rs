//! Children: this program starts itself with the name of a contestant and of its work, so that no two runtimes ever
//! share a process.
//!
//! A child that measures prints two numbers and ends. A child that serves prints its port, and serves until it is
//! terminated; see [`common::server`](crate::common::server).

use std::env;
use std::io::{self, ErrorKind};
use std::process::{Command, Stdio};

use crate::common::callgrind;
use crate::common::server::{Server, announce};
use crate::common::system::{CORE, end_with_parent, pin_to};
use crate::contestant::Contestant;
use crate::heap;
use crate::work::{Spent, Work};

/// The first argument of a child that measures. A contestant, a workload, and the numbers of operations that do not
/// count and that do follow.
const MEASURE: &str = "--measure";

/// The first argument of a child that only starts a contestant, whose name follows.
const START: &str = "--start";

/// The first argument of a child that serves. A contestant and the length of its buffers follow.
const SERVE: &str = "--serve";

/// The first argument of a child that serves, and tells how much it has allocated when it is asked.
const SERVE_AND_TELL: &str = "--serve-and-tell";

/// Does what a child is asked for, and returns whether this process is one.
pub(crate) fn work_if_asked() -> bool {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        [MEASURE, contestant, work, warm_up, times] => {
            end_with_parent();
            pin_to(CORE);
            let work = Work::ALL.into_iter().find(|known| known.name() == work).expect("a known workload");
            let spent = named(contestant).measure(work, number(warm_up), number(times));
            println!("{} {}", spent.cpu_ns, spent.p99_late_ns);
        }
        [START, contestant] => println!("{}", named(contestant).mechanism()),
        [SERVE, contestant, buffer_len] => named(contestant).serve(announce(None), number(buffer_len)),
        [SERVE_AND_TELL, contestant, buffer_len] => {
            named(contestant).serve(announce(Some(heap::live_bytes)), number(buffer_len));
        }
        _ => return false,
    }
    true
}

fn named(name: &str) -> Contestant {
    Contestant::by_name(name).expect("a known contestant")
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

/// Lets a child do `work` and returns what it took.
pub(crate) fn measure(contestant: Contestant, work: Work) -> io::Result<Spent> {
    let (output, _) =
        run(measuring(Command::new(env::current_exe()?), contestant, work, work.warm_up(), work.times()))?;
    let numbers: Vec<f64> = output.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers[..] {
        [cpu_ns, p99_late_ns] => Ok(Spent { cpu_ns, p99_late_ns }),
        _ => Err(io::Error::new(ErrorKind::InvalidData, format!("a child said {output:?}, not two numbers"))),
    }
}

/// Returns the instructions that a child executes in its whole life, in which it does `work` `times` times.
pub(crate) fn count_instructions(contestant: Contestant, work: Work, times: usize) -> io::Result<i64> {
    let (_, errors) = run(measuring(callgrind::command()?, contestant, work, 0, times))?;
    Ok(callgrind::collected(&errors))
}

fn measuring(
    mut command: Command,
    contestant: Contestant,
    work: Work,
    warm_up: usize,
    times: usize,
) -> Command {
    command.args([MEASURE, contestant.name(), work.name(), &warm_up.to_string(), &times.to_string()]);
    command
}

/// Runs a child that ends by itself, and returns what it wrote to standard output and to standard error.
fn run(mut command: Command) -> io::Result<(String, String)> {
    let output = command.stdin(Stdio::null()).output()?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() {
        return Err(io::Error::other(message_of(&errors)));
    }
    Ok((String::from_utf8_lossy(&output.stdout).into_owned(), errors))
}

/// Returns the message of a panic, which stands in the line below its place.
fn message_of(errors: &str) -> String {
    let mut lines = errors.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    lines.next().unwrap_or(errors.trim()).to_owned()
}

/// Starts the contestant in a child, and returns the mechanism by which it waits, or why it cannot start here.
pub(crate) fn mechanism(contestant: Contestant) -> io::Result<String> {
    let mut command = Command::new(env::current_exe()?);
    command.args([START, contestant.name()]);
    Ok(run(command)?.0.trim().to_owned())
}

/// Starts a child that serves echo.
pub(crate) fn serve(contestant: Contestant, buffer_len: usize) -> io::Result<Server> {
    serve_by(Command::new(env::current_exe()?), SERVE, contestant, buffer_len)
}

/// Starts a child that serves echo, and tells how much it has allocated.
pub(crate) fn serve_and_tell(contestant: Contestant, buffer_len: usize) -> io::Result<Server> {
    serve_by(Command::new(env::current_exe()?), SERVE_AND_TELL, contestant, buffer_len)
}

/// Starts a child that serves echo under callgrind.
pub(crate) fn serve_under_callgrind(contestant: Contestant, buffer_len: usize) -> io::Result<Server> {
    serve_by(callgrind::command()?, SERVE, contestant, buffer_len)
}

fn serve_by(
    mut command: Command,
    role: &str,
    contestant: Contestant,
    buffer_len: usize,
) -> io::Result<Server> {
    command.args([role, contestant.name(), &buffer_len.to_string()]);
    Server::spawn(command)
}
