//! A program to start, with its arguments, environment and streams.

// Everything is kept by std's type, which also starts the program.

use super::{Child, orphans};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command as StdCommand, ExitStatus, Output, Stdio};

/// A program to start, with its arguments, environment and streams.
///
/// The methods are those of [`std::process::Command`], and those that wait are asynchronous.
///
/// Starting a program blocks this thread until the program has been loaded, usually for less than a millisecond.
///
/// # Examples
///
/// ```
/// use runtime::process::Command;
///
/// # runtime::block_on(async {
/// let output = Command::new("echo").arg("hello").output().await?;
/// assert!(output.status.success());
/// assert_eq!(output.stdout, b"hello\n");
///
/// let mut command = Command::new("/bin/sh");
/// command.args(["-c", "echo $LEVEL in $PWD"]).env("LEVEL", "debug").current_dir("/");
/// assert_eq!(command.output().await?.stdout, b"debug in /\n");
/// # std::io::Result::Ok(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct Command {
    pub(super) std: StdCommand,
    kill_on_drop: bool,
}

impl Command {
    /// Creates a command for a program: without arguments, with the environment and the current directory of this process.
    ///
    /// If the program is not a path, it is searched for in the directories of `PATH`.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Command {
        Command::from(StdCommand::new(program))
    }

    /// Returns the command of std.
    pub fn as_std(&self) -> &StdCommand {
        &self.std
    }

    /// Returns the command of std, for settings that this type does not have.
    pub fn as_std_mut(&mut self) -> &mut StdCommand {
        &mut self.std
    }

    /// Returns the command of std. The setting of [`kill_on_drop`](Command::kill_on_drop) is lost.
    pub fn into_std(self) -> StdCommand {
        self.std
    }

    /// Adds an argument. It is passed as it is: no shell splits it.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Command {
        self.std.arg(arg);
        self
    }

    /// Adds several arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Command
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.std.args(args);
        self
    }

    /// Sets an environment variable.
    pub fn env<K, V>(&mut self, key: K, val: V) -> &mut Command
    where
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.env(key, val);
        self
    }

    /// Sets several environment variables.
    pub fn envs<I, K, V>(&mut self, vars: I) -> &mut Command
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        self.std.envs(vars);
        self
    }

    /// Removes an environment variable.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Command {
        self.std.env_remove(key);
        self
    }

    /// Removes all environment variables.
    pub fn env_clear(&mut self) -> &mut Command {
        self.std.env_clear();
        self
    }

    /// Sets the directory in which the program starts.
    ///
    /// Use an absolute path for the program then: whether a relative one begins at this directory depends on the system.
    pub fn current_dir<P: AsRef<Path>>(&mut self, dir: P) -> &mut Command {
        self.std.current_dir(dir);
        self
    }

    /// Sets the standard input of the child. By default it is that of this process.
    ///
    /// It can be a [`Stdio`], a file of std (see `fs::File::into_std`), or the output of another child, as
    /// [`ChildStdout`](super::ChildStdout) shows.
    pub fn stdin<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stdin(cfg);
        self
    }

    /// Sets the standard output of the child. By default it is that of this process, and for [`output`](Command::output) a
    /// pipe.
    pub fn stdout<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stdout(cfg);
        self
    }

    /// Sets the standard error of the child; see [`stdout`](Command::stdout).
    pub fn stderr<T: Into<Stdio>>(&mut self, cfg: T) -> &mut Command {
        self.std.stderr(cfg);
        self
    }

    /// Sets whether the child is killed when its [`Child`] is dropped before its end has been waited for. The default is
    /// `false`.
    ///
    /// This also holds for the futures of [`status`](Command::status), [`output`](Command::output) and
    /// [`Child::wait_with_output`]. Processes that the child has started are not killed.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut command = Command::new("sleep");
    /// let status = command.arg("60").kill_on_drop(true).status();
    /// // The timeout drops the future, and the child is killed.
    /// assert!(runtime::time::timeout(Duration::from_millis(10), status).await.is_err());
    /// # });
    /// ```
    pub fn kill_on_drop(&mut self, kill_on_drop: bool) -> &mut Command {
        self.kill_on_drop = kill_on_drop;
        self
    }

    /// Returns the setting of [`kill_on_drop`](Command::kill_on_drop).
    pub fn get_kill_on_drop(&self) -> bool {
        self.kill_on_drop
    }

    /// Starts the program.
    ///
    /// This method may also be called outside of a runtime. Only waiting needs one.
    ///
    /// # Errors
    ///
    /// Returns [`NotFound`](io::ErrorKind::NotFound) if there is no such program, or no such directory as
    /// [`current_dir`](Command::current_dir) has set; `EMFILE` or `ENFILE` if there is no
    /// descriptor for a pipe; [`WouldBlock`](io::ErrorKind::WouldBlock) (`EAGAIN`) if the limit on processes is reached; and
    /// the other errors of [`std::process::Command::spawn`]. After an error no child runs.
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn spawn(&mut self) -> io::Result<Child> {
        orphans::reap_listed();
        let child = self.std.spawn()?;
        Child::new(child, self.kill_on_drop)
    }

    /// Starts the program at once, and returns a future that waits for its end.
    ///
    /// Standard streams that are piped are closed.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the program continues to run, unless [`kill_on_drop`](Command::kill_on_drop) is set.
    ///
    /// # Errors
    ///
    /// The future returns the errors of [`spawn`](Command::spawn) and of [`Child::wait`].
    ///
    /// # Panics
    ///
    /// The future panics in the same cases as [`Child::wait`].
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// assert!(Command::new("true").status().await?.success());
    /// assert!(!Command::new("false").status().await?.success());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn status(&mut self) -> impl Future<Output = io::Result<ExitStatus>> + use<> {
        let child = self.spawn();
        async {
            let mut child = child?;
            drop((child.stdin.take(), child.stdout.take(), child.stderr.take()));
            child.wait().await
        }
    }

    /// Starts the program at once with its standard output and standard error as pipes, and returns a future that reads
    /// both and waits for the end of the program.
    ///
    /// The output ends when all processes that have inherited it have closed it: see [`Child::wait_with_output`]. The
    /// standard input is that of this process, unless it was set.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, what has been read is lost. The program continues to run, unless
    /// [`kill_on_drop`](Command::kill_on_drop) is set.
    ///
    /// # Errors
    ///
    /// The future returns the errors of [`spawn`](Command::spawn) and of [`Child::wait_with_output`].
    ///
    /// # Panics
    ///
    /// The future panics in the same cases as [`Child::wait`].
    #[cfg_attr(debug_assertions, track_caller)]
    pub fn output(&mut self) -> impl Future<Output = io::Result<Output>> + use<> {
        self.std.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = self.spawn();
        async { child?.wait_with_output().await }
    }
}

impl From<StdCommand> for Command {
    fn from(std: StdCommand) -> Command {
        Command { std, kill_on_drop: false }
    }
}
