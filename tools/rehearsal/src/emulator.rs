//! The emulated cloud: MiniStack on loopback, empty when it starts.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Client;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::{error::Elapsed, sleep, timeout},
};

use crate::programs::{self, Tooling};

/// How long the emulator may take to start.
const START_LIMIT: Duration = Duration::from_mins(1);

/// The emulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its program could not be started.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// No port is free.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(#[source] std::io::Error),
    /// It started but did not respond in time.
    #[error("the emulator does not respond; see {}", .0.display())]
    Silent(PathBuf),
}

/// A line of JSON printed by `emulator.py`. Every other line goes into its log.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Report {
    Sms(String, String),
    Placeholder(String),
}

/// The reports of the emulator since it started.
#[derive(Default)]
struct Reports {
    /// Phone and text, oldest first.
    sms: Vec<(String, String)>,
    placeholders: BTreeSet<String>,
}

/// A running emulator. Dropping it stops it.
pub struct Emulator {
    /// The endpoint of all its services.
    pub url: String,
    reports: Arc<Mutex<Reports>>,
    _process: Child,
}

impl Emulator {
    /// Starts an emulator and waits until it responds.
    pub async fn start(tooling: &Tooling, http: &Client) -> Result<Self, Error> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut command = tooling.isolated(tooling.bin.join("python3"), &url);
        command
            .args(["-c", include_str!("emulator.py")])
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0");
        let (log, log_path) = tooling.log("emulator")?;
        let errors =
            log.try_clone().map_err(|reason| programs::Error::File { path: log_path.clone(), reason })?;
        let mut process = programs::start(command.stdout(std::process::Stdio::piped()).stderr(errors))?;
        let reports = Arc::<Mutex<Reports>>::default();
        if let Some(output) = process.stdout.take() {
            tokio::spawn(listen(BufReader::new(output).lines(), Arc::clone(&reports), log));
        }
        wait_until_healthy(http, &url).await.map_err(|_| Error::Silent(log_path))?;
        Ok(Self { url, reports, _process: process })
    }

    /// Returns every SMS as its phone and text, oldest first.
    pub fn sms(&self) -> Vec<(String, String)> {
        self.reports().sms.clone()
    }

    /// Returns the types of the resources that the emulator only pretends to create.
    pub fn placeholders(&self) -> Vec<String> {
        self.reports().placeholders.iter().cloned().collect()
    }

    fn reports(&self) -> MutexGuard<'_, Reports> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(
    mut lines: Lines<BufReader<ChildStdout>>,
    reports: Arc<Mutex<Reports>>,
    mut log: std::fs::File,
) {
    // The output ends with the emulator.
    while let Ok(Some(line)) = lines.next_line().await {
        let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
        match serde_json::from_str(&line) {
            Ok(Report::Sms(phone, text)) => reports.sms.push((phone, text)),
            Ok(Report::Placeholder(kind)) => {
                reports.placeholders.insert(kind);
            }
            // The rehearsal works without its log.
            Err(_) => drop(writeln!(log, "{line}")),
        }
    }
}

/// Returns a port that was free a moment ago.
fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Port)?;
    Ok(listener.local_addr().map_err(Error::Port)?.port())
}

async fn wait_until_healthy(http: &Client, url: &str) -> Result<(), Elapsed> {
    let health = format!("{url}/_ministack/health");
    let responds = async {
        while http.get(&health).send().await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(START_LIMIT, responds).await
}
