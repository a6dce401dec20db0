//! The emulated cloud: MiniStack, on loopback, with nothing in it when it starts.

use std::{
    collections::BTreeSet,
    io::Write,
    net::{Ipv4Addr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Client;
use serde::Deserialize;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::{sleep, timeout},
};

use crate::programs::{self, Workshop};

/// How long a server of Python may take to start.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Why it is not there; one line each.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It does not start.
    #[error(transparent)]
    Program(#[from] programs::Error),
    /// The machine gives no port.
    #[error("no free port on 127.0.0.1: {0}")]
    Port(#[source] std::io::Error),
    /// It is started and does not answer.
    #[error("{0} does not answer")]
    Silent(&'static str),
}

/// A line of `emulator.py`; all else that it prints is for its log.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Sms(String, String),
    Placeholder(String),
}

/// What the emulator told since it started.
#[derive(Default)]
struct Notes {
    /// Phone and text, the oldest first.
    sms: Vec<(String, String)>,
    placeholders: BTreeSet<String>,
}

/// A running emulator; ends when it is dropped.
pub struct Emulator {
    /// Where all its services are.
    pub url: String,
    notes: Arc<Mutex<Notes>>,
    _process: Child,
}

impl Emulator {
    /// Starts it.
    pub async fn start(workshop: &Workshop, http: &Client) -> Result<Self, Error> {
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut command = workshop.sealed(workshop.tools.join("python3"), &url);
        command
            .args(["-c", include_str!("emulator.py")])
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("IOT_MTLS_ENABLED", "0");
        let (log, _) = workshop.log("emulator")?;
        let errors = log.try_clone().map_err(Error::Port)?;
        let mut process = programs::start(command.stdout(std::process::Stdio::piped()).stderr(errors))?;
        let notes = Arc::<Mutex<Notes>>::default();
        if let Some(output) = process.stdout.take() {
            tokio::spawn(listen(BufReader::new(output).lines(), Arc::clone(&notes), log));
        }
        answers(http, &format!("{url}/_ministack/health"), "the emulator").await?;
        Ok(Self { url, notes, _process: process })
    }

    /// The SMS that were sent, phone and text, the oldest first.
    pub fn sms(&self) -> Vec<(String, String)> {
        self.notes().sms.clone()
    }

    /// The types of resources that only seem to be there.
    pub fn placeholders(&self) -> Vec<String> {
        self.notes().placeholders.iter().cloned().collect()
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(mut lines: Lines<BufReader<ChildStdout>>, notes: Arc<Mutex<Notes>>, mut log: std::fs::File) {
    // It ends with the emulator.
    while let Ok(Some(line)) = lines.next_line().await {
        let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
        match serde_json::from_str(&line) {
            Ok(Told::Sms(phone, text)) => notes.sms.push((phone, text)),
            Ok(Told::Placeholder(kind)) => {
                notes.placeholders.insert(kind);
            }
            // A log that cannot be written is missed by nobody but its reader.
            Err(_) => drop(writeln!(log, "{line}")),
        }
    }
}

/// A port that was free just now.
fn free_port() -> Result<u16, Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Port)?;
    Ok(listener.local_addr().map_err(Error::Port)?.port())
}

/// Waits until `url` answers.
async fn answers(http: &Client, url: &str, what: &'static str) -> Result<(), Error> {
    let asked = async {
        while http.get(url).send().await.is_err() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(START_LIMIT, asked).await.map_err(|_| Error::Silent(what))
}
