//! The browser: `chromedriver`, and the tabs that it opens.

use crate::{Failure, tab::Tab};
use serde_json::json;
use std::{path::PathBuf, process::Stdio, time::Duration};
use thirtyfour::{
    ChromiumLikeCapabilities, DesiredCapabilities, WebDriver, common::log::LoggingPrefsLogLevel,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A running `chromedriver`.
pub struct Chrome {
    driver: Child,
    url: String,
    axe: String,
    shots: PathBuf,
}

impl Chrome {
    /// Starts `chromedriver` on a free port.
    pub async fn start(axe: String, shots: PathBuf) -> Result<Self, Failure> {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                format!("cannot start chromedriver: {error}; install chromium and chromium-driver")
            })?;
        let output = driver.stdout.take().ok_or("chromedriver has no output")?;
        let mut lines = BufReader::new(output).lines();
        let port = loop {
            let line = lines.next_line().await?.ok_or("chromedriver ended at once")?;
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        // The pipe stays open: chromedriver would end by a write to a closed one.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        std::fs::create_dir_all(&shots)?;
        Ok(Self { driver, url: format!("http://127.0.0.1:{port}"), axe, shots })
    }

    /// Opens a browser of its own, with one tab.
    pub async fn open(&self, walk: &str, language: &str, width: u32) -> Result<Tab, Failure> {
        let mut capabilities = DesiredCapabilities::chrome();
        for argument in ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] {
            capabilities.add_arg(argument)?;
        }
        capabilities.set_logging_prefs("browser".to_owned(), LoggingPrefsLogLevel::All)?;
        let driver = WebDriver::new(&self.url, capabilities).await?;
        driver.set_script_timeout(Duration::from_mins(1)).await?;
        let shots = self.shots.join(format!("{language}-{width}"));
        std::fs::create_dir_all(&shots)?;
        let tab = Tab::new(driver, &self.axe, shots.join(walk), language, width);
        tab.resize(width).await?;
        Ok(tab)
    }

    /// Stops the browser.
    pub async fn stop(mut self) -> Result<(), Failure> {
        self.driver.kill().await?;
        Ok(())
    }
}

/// The size of a screen of this width, as the developer tools take it.
pub fn metrics(width: u32) -> serde_json::Value {
    json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600 })
}
