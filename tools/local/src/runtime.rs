//! Runs the functions as processes. Each concurrent invocation has its own process. A process is reused, killed when
//! an invocation times out, and replaced when it exits.

mod api;
mod mailbox;
mod process;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::ExitStatus,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Bytes};
use serde_json::json;
use tokio::sync::{Notify, Semaphore, watch};

use crate::{aws, events::LogLine, logs::Logs};
use mailbox::Mailboxes;
use process::{Outcome, Process};

/// The most processes of one function. Further invocations wait for one of them.
const PROCESSES: u32 = 32;

/// The longest event or response of an invocation, in bytes (AWS Lambda Developer Guide, "Lambda quotas").
pub(crate) const PAYLOAD_LIMIT: usize = 6 * 1024 * 1024;

/// The result of an invocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The response, as JSON text.
    pub payload: Bytes,
    /// Whether the function failed, timed out or exited. The response is then `{"errorType", "errorMessage"}`.
    pub function_error: bool,
}

impl Invocation {
    fn failed(error_type: &str, request_id: &str, reason: &str) -> Self {
        let error_message = format!("RequestId: {request_id} Error: {reason}");
        let payload = json!({ "errorType": error_type, "errorMessage": error_message }).to_string();
        Self { payload: payload.into(), function_error: true }
    }
}

/// The template does not have a function of this name.
#[derive(Debug, thiserror::Error)]
#[error("unknown function `{0}`")]
pub struct UnknownFunction(pub String);

/// The executable of a function, with its environment and timeout.
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) environment: BTreeMap<String, String>,
    pub(crate) timeout: Duration,
}

/// Invokes the functions.
pub(crate) struct Runtime {
    functions: BTreeMap<String, Arc<ProcessPool>>,
    mailboxes: Arc<Mailboxes>,
    stopping: watch::Sender<bool>,
}

impl Runtime {
    /// Creates a runtime for the functions `programs`, by name. `runtime_api` is the URL of [`Self::routes`].
    pub(crate) fn new(programs: BTreeMap<String, Program>, runtime_api: &str, logs: &Arc<Logs>) -> Self {
        let mailboxes = Arc::new(Mailboxes::default());
        let stopping = watch::Sender::new(false);
        let functions = programs
            .into_iter()
            .map(|(name, program)| {
                let function = ProcessPool {
                    name: name.clone(),
                    program: program.path,
                    environment: program.environment,
                    timeout: program.timeout,
                    runtime_api: runtime_api.to_owned(),
                    mailboxes: Arc::clone(&mailboxes),
                    logs: Arc::clone(logs),
                    stopping: stopping.subscribe(),
                    killed: Notify::new(),
                    permits: Semaphore::new(PROCESSES as usize),
                    idle: Mutex::default(),
                };
                (name, Arc::new(function))
            })
            .collect();
        Self { functions, mailboxes, stopping }
    }

    /// Returns the routes of the Lambda Runtime API, which the processes call.
    pub(crate) fn routes(&self) -> Router {
        api::routes(Arc::clone(&self.mailboxes))
    }

    /// Returns the names of the functions.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.functions.keys().map(String::as_str)
    }

    /// Invokes the function `name` with the event `payload`, which is JSON text.
    pub(crate) async fn invoke(&self, name: &str, payload: Bytes) -> Result<Invocation, UnknownFunction> {
        let function = self.functions.get(name).ok_or_else(|| UnknownFunction(name.to_owned()))?;
        let request_id = aws::random_id();
        // In a separate task, because an invocation continues after its client disconnects.
        let invocation = tokio::spawn(Arc::clone(function).invoke(request_id.clone(), payload)).await;
        Ok(invocation.unwrap_or_else(|_| stopped(&request_id)))
    }

    /// Kills the processes of the function `name`. Running invocations fail.
    pub(crate) fn kill(&self, name: &str) -> Result<(), UnknownFunction> {
        let function = self.functions.get(name).ok_or_else(|| UnknownFunction(name.to_owned()))?;
        function.idle().clear();
        function.killed.notify_waiters();
        Ok(())
    }

    /// Kills every process. Running invocations fail.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
        for function in self.functions.values() {
            function.idle().clear();
        }
    }

    /// Kills every process, and waits until all of them have exited.
    pub(crate) async fn shutdown(&self) {
        self.stopping.send_replace(true);
        for function in self.functions.values() {
            let idle = std::mem::take(&mut *function.idle());
            for process in idle {
                process.stop().await;
            }
            // Each invocation has a permit while it owns a process. Acquiring all of them waits for all invocations.
            let _ = function.permits.acquire_many(PROCESSES).await;
        }
    }
}

/// The processes of one function.
struct ProcessPool {
    name: String,
    program: PathBuf,
    environment: BTreeMap<String, String>,
    timeout: Duration,
    runtime_api: String,
    mailboxes: Arc<Mailboxes>,
    logs: Arc<Logs>,
    stopping: watch::Receiver<bool>,
    killed: Notify,
    permits: Semaphore,
    /// The idle processes, most recently used last.
    idle: Mutex<Vec<Process>>,
}

impl ProcessPool {
    async fn invoke(self: Arc<Self>, request_id: String, payload: Bytes) -> Invocation {
        let Ok(_permit) = self.permits.acquire().await else {
            return stopped(&request_id);
        };
        let mut stopping = self.stopping.clone();
        loop {
            if *stopping.borrow() {
                return stopped(&request_id);
            }
            let reused = self.take_idle();
            let is_reused = reused.is_some();
            let mut process = match reused.map_or_else(|| Process::start(&self), Ok) {
                Ok(process) => process,
                Err(error) => {
                    return self.failed("Runtime.InvalidEntrypoint", &request_id, &error.to_string());
                }
            };
            let outcome = tokio::select! {
                outcome = process.run(&request_id, payload.clone(), self.timeout) => outcome,
                _ = stopping.wait_for(|stopping| *stopping) => Ok(Outcome::Stopped),
                () = self.killed.notified() => Ok(Outcome::Killed),
            };
            return match outcome {
                Ok(Outcome::Completed(invocation)) => {
                    self.add_idle(process);
                    invocation
                }
                Ok(Outcome::Stopped) => {
                    process.stop().await;
                    stopped(&request_id)
                }
                Ok(Outcome::Killed) => {
                    process.stop().await;
                    let reason = "Runtime exited with error: signal: killed";
                    self.failed("Runtime.ExitError", &request_id, reason)
                }
                Ok(Outcome::TimedOut(limit)) => {
                    process.stop().await;
                    let reason = format!("Task timed out after {:.2} seconds", limit.as_secs_f64());
                    self.failed("Sandbox.Timedout", &request_id, &reason)
                }
                // The process exited before it took the event, so another process may handle the event.
                Ok(Outcome::Exited { started: false, .. }) if is_reused => continue,
                Ok(Outcome::Exited { status, .. }) => {
                    self.failed("Runtime.ExitError", &request_id, &exit_reason(status))
                }
                Err(error) => self.failed("Runtime.Unknown", &request_id, &error.to_string()),
            };
        }
    }

    fn failed(&self, error_type: &str, request_id: &str, reason: &str) -> Invocation {
        self.logs.push(LogLine { function: self.name.clone(), text: format!("{error_type}: {reason}") });
        Invocation::failed(error_type, request_id, reason)
    }

    /// Returns an idle process. One that died in the meantime is dropped, so that it does not take the event.
    fn take_idle(&self) -> Option<Process> {
        let mut idle = self.idle();
        std::iter::from_fn(|| idle.pop()).find_map(|mut process| process.is_alive().then_some(process))
    }

    fn add_idle(&self, process: Process) {
        let mut idle = self.idle();
        // Checked under the lock, so that no process is added after `stop` has cleared the list.
        if !*self.stopping.borrow() {
            idle.push(process);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Process>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stopped(request_id: &str) -> Invocation {
    Invocation::failed("Sandbox.Stopped", request_id, "The stack has been stopped")
}

fn exit_reason(status: ExitStatus) -> String {
    match status.code() {
        Some(0) => "Runtime exited without providing a reason".to_owned(),
        Some(code) => format!("Runtime exited with error: exit status {code}"),
        None => format!("Runtime exited with error: {status}"),
    }
}

#[cfg(test)]
mod tests;
