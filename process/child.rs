//! A child process, as the user has it.

// A `Child` has no `Drop` of its own, so that its public fields can be moved out. The `Guard` in it has one.

use super::guard::Guard;
use super::output::Collected;
use super::{ChildStderr, ChildStdin, ChildStdout};
use crate::signal::unix::SignalKind;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::process::{ExitStatus, Output};
use std::task::Poll;

/// A child process. Created by [`Command::spawn`](super::Command::spawn).
///
/// When it is dropped, the process continues to run, unless [`kill_on_drop`](super::Command::kill_on_drop) is set. Who
/// reaps it then is described in the [module documentation](super#the-end-of-a-child).
///
/// A child may be moved to another thread or runtime.
pub struct Child {
    guard: Guard,

    /// The standard input of the child, if it is [piped](std::process::Stdio::piped). Take it out to write to it while
    /// other methods of the child are in use.
    pub stdin: Option<ChildStdin>,

    /// The standard output of the child, if it is [piped](std::process::Stdio::piped).
    pub stdout: Option<ChildStdout>,

    /// The standard error of the child, if it is [piped](std::process::Stdio::piped).
    pub stderr: Option<ChildStderr>,
}

impl Child {
    /// Takes over a child that std has spawned. If this fails, the child is killed.
    #[cfg_attr(debug_assertions, track_caller)]
    pub(super) fn new(mut child: std::process::Child, kill_on_drop: bool) -> io::Result<Child> {
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut child = Child { guard: Guard::new(child), stdin: None, stdout: None, stderr: None };
        if let Some(stdin) = stdin {
            child.stdin = Some(ChildStdin::from_std(stdin)?);
        }
        if let Some(stdout) = stdout {
            child.stdout = Some(ChildStdout::from_std(stdout)?);
        }
        if let Some(stderr) = stderr {
            child.stderr = Some(ChildStderr::from_std(stderr)?);
        }
        child.guard.set_kill_on_drop(kill_on_drop);
        Ok(child)
    }

    /// Returns the process id, or `None` if the child has been reaped. The number may then be that of another process.
    pub fn id(&self) -> Option<u32> {
        self.guard.id()
    }

    /// Closes [`stdin`](Child::stdin), waits until the child has ended, and returns its exit status. Further calls return
    /// the same status.
    ///
    /// This method waits for the child only, and not for processes that the child has started. It reads no output: a child
    /// whose output is piped, and fills the pipe, does not end. [`wait_with_output`](Child::wait_with_output) reads it.
    ///
    /// # Cancel safety
    ///
    /// This method is cancel safe. If it is dropped, a later call returns the status.
    ///
    /// # Errors
    ///
    /// Fails with `ECHILD` if other code has [taken away](super#how-the-end-is-noticed) the exit status, then and in all
    /// further calls. If the child is watched by `SIGCHLD`, fails with an error of the kind [`Other`](io::ErrorKind::Other)
    /// if other code has replaced the handler by `SIG_IGN` or `SIG_DFL`. Fails with `EMFILE` or `ENFILE` if there is no
    /// descriptor with which the runtime can watch the child, and with the errors of registering a descriptor. In these
    /// three cases the child is left as it is, and the call may be repeated.
    ///
    /// # Panics
    ///
    /// Panics if it has to wait and no runtime is entered on this thread.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn()?;
    /// assert_eq!(child.wait().await?.code(), Some(3));
    /// assert_eq!(child.wait().await?.code(), Some(3));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        drop(self.stdin.take());
        poll_fn(|cx| self.guard.poll_wait(cx)).await
    }

    /// Returns the exit status if the child has ended, and `None` if it has not. Further calls after the end return the
    /// same status. Unlike [`wait`](Child::wait), this method does not close [`stdin`](Child::stdin).
    ///
    /// # Errors
    ///
    /// Fails with `ECHILD` if other code has [taken away](super#how-the-end-is-noticed) the exit status.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    /// use std::process::Stdio;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("cat").stdin(Stdio::piped()).spawn()?;
    /// assert_eq!(child.try_wait()?, None);
    /// let status = child.wait().await?; // This closes the input, so the child ends.
    /// assert_eq!(child.try_wait()?, Some(status));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.guard.try_wait()
    }

    /// Kills the child by `SIGKILL`, and waits until it has ended.
    ///
    /// # Cancel safety
    ///
    /// The signal is sent by the first poll. If the future is dropped after that, the child ends nevertheless.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`start_kill`](Child::start_kill) and of [`wait`](Child::wait).
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`wait`](Child::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    /// use std::time::Duration;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// if runtime::time::timeout(Duration::from_millis(10), child.wait()).await.is_err() {
    ///     child.kill().await?;
    /// }
    /// assert!(!child.wait().await?.success());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn kill(&mut self) -> io::Result<()> {
        self.start_kill()?;
        self.wait().await.map(drop)
    }

    /// Sends `SIGKILL` to the child, and does not wait for its end. Does nothing if the child has ended.
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` if the child has changed its user and this process may not kill it, and with `ECHILD` in a child
    /// of fork(2), which has only inherited this value.
    pub fn start_kill(&mut self) -> io::Result<()> {
        self.send_signal(SignalKind::from_raw(libc::SIGKILL))?;
        self.guard.set_kill_on_drop(false);
        Ok(())
    }

    /// Sends a signal to the child, such as [`SignalKind::terminate`], which asks it to end. Does nothing if the child has
    /// ended.
    ///
    /// The signal never reaches another process, unless there are no pidfds and other code reaps the child at this very
    /// moment, so that its number may be given to another process.
    ///
    /// tokio has no such method.
    ///
    /// # Errors
    ///
    /// Fails with `EPERM` if the child has changed its user and this process may not send it signals, with `EINVAL` if
    /// there is no signal of that number, and with `ECHILD` in a child of fork(2), which has only inherited this value.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    /// use runtime::signal::unix::SignalKind;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// # runtime::block_on(async {
    /// let mut child = Command::new("sleep").arg("60").spawn()?;
    /// child.send_signal(SignalKind::terminate())?;
    /// assert_eq!(child.wait().await?.signal(), Some(SignalKind::terminate().as_raw_value()));
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn send_signal(&mut self, signal: SignalKind) -> io::Result<()> {
        self.guard.signal_by(|running| running.send_signal(signal.as_raw_value()))
    }

    /// Sends a signal to all processes of the group that the child leads. The child must have been spawned with
    /// [`process_group(0)`](super::Command::process_group); the processes that it starts then belong to its group, unless
    /// they leave it.
    ///
    /// Does nothing once the child has been reaped, even if other processes of the group still run: the number of the group
    /// may then be another's. So send the signal before the end of the child has been waited for.
    ///
    /// tokio has no such method.
    ///
    /// # Errors
    ///
    /// Fails with `ESRCH` if the child leads no group, with `EPERM` if this process may send the signal to no process of the
    /// group, and with `EINVAL` if there is no signal of that number.
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    /// use runtime::signal::unix::SignalKind;
    ///
    /// # runtime::block_on(async {
    /// // The shell would not pass a signal on to what it runs.
    /// let mut child = Command::new("sh").args(["-c", "sleep 60; true"]).process_group(0).spawn()?;
    /// child.send_process_group_signal(SignalKind::terminate())?;
    /// assert!(!child.wait().await?.success());
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub fn send_process_group_signal(&mut self, signal: SignalKind) -> io::Result<()> {
        self.guard.signal_by(|running| running.send_signal_to_group(signal.as_raw_value()))
    }

    /// Closes [`stdin`](Child::stdin), reads [`stdout`](Child::stdout) and [`stderr`](Child::stderr) to their ends, and
    /// waits until the child has ended. All of this happens at the same time, so no pipe fills up.
    ///
    /// A pipe ends when the last process has closed it. So if the child has passed it on to another process that continues
    /// to run, this method waits for that process too.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the child is dropped, and what has been read is lost.
    ///
    /// # Errors
    ///
    /// Returns the errors of [`wait`](Child::wait) and of reading. The child is then dropped.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`wait`](Child::wait).
    ///
    /// # Examples
    ///
    /// ```
    /// use runtime::process::Command;
    /// use std::process::Stdio;
    ///
    /// # runtime::block_on(async {
    /// let child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output().await?.stdout, b"hello\n");
    /// # std::io::Result::Ok(()) }).unwrap();
    /// ```
    pub async fn wait_with_output(mut self) -> io::Result<Output> {
        drop(self.stdin.take());
        let mut stdout = Collected::new(self.stdout.take());
        let mut stderr = Collected::new(self.stderr.take());
        let mut status = None;
        let status = poll_fn(|cx| {
            let is_read = stdout.poll_to_end(cx)?.is_ready() & stderr.poll_to_end(cx)?.is_ready();
            if status.is_none()
                && let Poll::Ready(ended) = self.guard.poll_wait(cx)?
            {
                status = Some(ended);
            }
            match status {
                Some(status) if is_read => Poll::Ready(io::Result::Ok(status)),
                _ => Poll::Pending,
            }
        })
        .await?;
        Ok(Output { status, stdout: stdout.into_bytes(), stderr: stderr.into_bytes() })
    }
}

impl fmt::Debug for Child {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Child");
        self.guard.describe(&mut debug);
        debug.field("stdin", &self.stdin).field("stdout", &self.stdout).field("stderr", &self.stderr).finish()
    }
}
