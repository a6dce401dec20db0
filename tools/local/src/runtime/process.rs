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
    Function, Invocation,
    mailbox::{Delivery, Sender},
};
use crate::{aws, events::LogLine, logs::Logs};

/// How long a process may take from its start to its first request for an event, as in Lambda.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A running process; dropping it kills it.
pub(super) struct Process {
    child: Child,
    mailbox: Sender,
}

/// How an invocation went.
pub(super) enum Outcome {
    Answered(Invocation),
    TimedOut(Duration),
    /// The stack stopped first.
    Stopped,
    /// The process was to be killed.
    Killed,
    Exited {
        status: ExitStatus,
        /// Whether the process had taken the event.
        started: bool,
    },
}

impl Process {
    /// Starts a process of `function`.
    pub(super) fn start(function: &Function) -> io::Result<Self> {
        let id = aws::random_id();
        // Before the process, which may ask for its first event sooner than this thread goes on.
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

    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands the process an event and waits for the answer, its exit, or the end of its time.
    pub(super) async fn run(
        &mut self,
        request_id: &str,
        payload: Bytes,
        limit: Duration,
    ) -> io::Result<Outcome> {
        let (taken, is_taken) = oneshot::channel();
        let (answer, answered) = oneshot::channel();
        let request_id = request_id.to_owned();
        self.mailbox.send(Delivery { request_id, payload, timeout: limit, taken, answer });

        let mut started = false;
        let time_is_up = async {
            if timeout(INIT_LIMIT, is_taken).await.is_err() {
                return INIT_LIMIT;
            }
            started = true;
            sleep(limit).await;
            limit
        };
        // In this order: an answer counts even from a process that ends right after it, and `started` is up to
        // date when the exit is looked at.
        tokio::select! {
            biased;
            Ok(invocation) = answered => Ok(Outcome::Answered(invocation)),
            limit = time_is_up => Ok(Outcome::TimedOut(limit)),
            status = self.child.wait() => Ok(Outcome::Exited { status: status?, started }),
        }
    }

    /// Kills the process and waits for its end.
    pub(super) async fn stop(mut self) {
        // It fails only for a process that has ended already.
        let _ = self.child.kill().await;
    }
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
