//! One process of a function.

use std::{
    io,
    process::{ExitStatus, Stdio},
    sync::Arc,
    time::Duration,
};

use axum::body::Bytes;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command},
    sync::oneshot,
    time::{sleep, timeout},
};

use super::{
    Invocation, ProcessPool,
    mailbox::{Delivery, Sender},
};
use crate::{aws, events::LogLine, logs::Logs};

/// The time from the start of a process to its first request for an event. Lambda has the same limit.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A running process. It is killed when dropped.
pub(super) struct Process {
    child: Child,
    mailbox: Sender,
}

/// How an invocation ended.
pub(super) enum Outcome {
    Completed(Invocation),
    TimedOut(Duration),
    /// The stack was stopped.
    Stopped,
    /// A caller requested to kill the process.
    Killed,
    Exited {
        status: ExitStatus,
        /// Whether the process had taken the event.
        started: bool,
    },
}

impl Process {
    /// Starts a process of `function`.
    pub(super) fn start(function: &ProcessPool) -> io::Result<Self> {
        let id = aws::random_id();
        // Opened before the process starts, because the process requests its first event at once.
        let mailbox = function.mailboxes.open(id.clone(), aws::function_arn(&function.name));
        let mut child = Command::new(&function.program)
            .env_clear()
            .envs(&function.environment)
            .env("AWS_LAMBDA_RUNTIME_API", format!("{}/{}/{id}", function.runtime_api, function.name))
            .env("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{id}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        if let Some(output) = child.stdout.take() {
            tokio::spawn(read_lines(output, function.name.clone(), Arc::clone(&function.logs)));
        }
        if let Some(output) = child.stderr.take() {
            tokio::spawn(read_lines(output, function.name.clone(), Arc::clone(&function.logs)));
        }
        Ok(Self { child, mailbox })
    }

    #[cfg(test)]
    pub(super) fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Returns whether the process runs, and no signal is about to end it. A killed process exists for a moment longer.
    /// An event that it took then would be lost, because it executes nothing more.
    pub(super) fn is_alive(&mut self) -> bool {
        let is_ending = self.child.id().is_none_or(has_pending_signal);
        matches!(self.child.try_wait(), Ok(None)) && !is_ending
    }

    /// Passes an event to the process and waits until it responds, exits or times out.
    pub(super) async fn run(
        &mut self,
        request_id: &str,
        payload: Bytes,
        limit: Duration,
    ) -> io::Result<Outcome> {
        let (taken, is_taken) = oneshot::channel();
        let (response, responded) = oneshot::channel();
        let request_id = request_id.to_owned();
        self.mailbox.send(Delivery { request_id, payload, timeout: limit, taken, response });

        let mut started = false;
        let timed_out = async {
            if timeout(INIT_LIMIT, is_taken).await.is_err() {
                return INIT_LIMIT;
            }
            started = true;
            sleep(limit).await;
            limit
        };
        // The order matters. A response counts even if the process exits right after it, and `started` must be up to
        // date when the exit is handled.
        tokio::select! {
            biased;
            Ok(invocation) = responded => Ok(Outcome::Completed(invocation)),
            limit = timed_out => Ok(Outcome::TimedOut(limit)),
            status = self.child.wait() => Ok(Outcome::Exited { status: status?, started }),
        }
    }

    /// Kills the process and waits for its exit.
    pub(super) async fn stop(mut self) {
        // Fails only for a process that has already exited.
        let _ = self.child.kill().await;
    }
}

/// Returns whether the process has received a signal that it has not handled (`proc_pid_status(5)`).
#[cfg(target_os = "linux")]
fn has_pending_signal(id: u32) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{id}/status")) else {
        return true;
    };
    let mut pending = status.lines().filter_map(|line| {
        let (name, mask) = line.split_once(':')?;
        ["SigPnd", "ShdPnd"].contains(&name).then(|| mask.trim())
    });
    pending.any(|mask| mask.bytes().any(|digit| digit != b'0'))
}

/// Other systems do not show the signals of a process.
#[cfg(not(target_os = "linux"))]
fn has_pending_signal(_: u32) -> bool {
    false
}

async fn read_lines(output: impl AsyncRead + Unpin, function: String, logs: Arc<Logs>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    while let Ok(1..) = output.read_until(b'\n', &mut line).await {
        let text = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
        logs.push(LogLine { function: function.clone(), text });
        line.clear();
    }
}
