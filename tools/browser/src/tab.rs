//! A tab that is used by keyboard, and the checks of the screen that it shows.

use crate::{Failure, chrome::metrics};
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use thirtyfour::{Key, WebDriver};

/// How long a screen may take.
const LIMIT: Duration = Duration::from_secs(15);

/// The width that a zoom of 400 % leaves of 1280 pixels (WCAG 2.2, 1.4.10).
const REFLOW: u32 = 320;

/// The most elements of a screen that can have the focus.
const MOST_STOPS: usize = 40;

/// A tab.
pub struct Tab {
    pub driver: WebDriver,
    axe: String,
    /// The start of the screenshots' paths.
    shots: PathBuf,
    language: String,
    width: u32,
}

impl Tab {
    pub fn new(driver: WebDriver, axe: &str, shots: PathBuf, language: &str, width: u32) -> Self {
        Self { driver, axe: axe.to_owned(), shots, language: language.to_owned(), width }
    }

    /// Closes the browser.
    pub async fn close(self) -> Result<(), Failure> {
        Ok(self.driver.quit().await?)
    }

    /// Sends a command of the developer tools.
    pub async fn tools(&self, command: &str, parameters: Value) -> Result<Value, Failure> {
        Ok(self.driver.cdp().send_raw(command, parameters).await?)
    }

    pub async fn resize(&self, width: u32) -> Result<(), Failure> {
        self.tools("Emulation.setDeviceMetricsOverride", metrics(width)).await.map(drop)
    }

    /// Opens an address in the language of the walk.
    pub async fn open(&self, address: &str) -> Result<(), Failure> {
        let (address, fragment) = address.split_once('#').unwrap_or((address, ""));
        // Another fragment of the same address would not load the page again.
        self.driver.goto("about:blank").await?;
        self.driver.goto(format!("{address}?ui_locales={}#{fragment}", self.language)).await?;
        self.shows("h1").await
    }

    /// Evaluates a script that returns a value.
    pub async fn evaluate(&self, script: &str, arguments: Vec<Value>) -> Result<Value, Failure> {
        Ok(self.driver.execute(script, arguments).await?.json().clone())
    }

    /// Waits until the script returns `true`.
    pub async fn until(&self, expected: &str, script: &str, arguments: Vec<Value>) -> Result<(), Failure> {
        let start = Instant::now();
        while self.evaluate(script, arguments.clone()).await? != true {
            if start.elapsed() > LIMIT {
                let text = self.evaluate("return document.body.innerText", Vec::new()).await?;
                return Err(format!("{expected} is not true; the page shows {text}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until an element is visible.
    pub async fn shows(&self, css: &str) -> Result<(), Failure> {
        let script = "const e = document.querySelector(arguments[0]); return !!e && e.offsetParent !== null && e.textContent + e.tagName !== ''";
        self.until(&format!("{css} is visible"), script, vec![css.into()]).await
    }

    /// Waits until an element has the focus.
    pub async fn focused(&self, css: &str) -> Result<(), Failure> {
        let script = "return !!document.activeElement && document.activeElement.matches(arguments[0])";
        self.until(&format!("the focus is on {css}"), script, vec![css.into()]).await
    }

    /// Waits until the text of an element contains another.
    pub async fn reads(&self, css: &str, text: &str) -> Result<(), Failure> {
        let script = "const e = document.querySelector(arguments[0]); return !!e && e.textContent.includes(arguments[1])";
        self.until(&format!("{css} contains {text}"), script, vec![css.into(), text.into()]).await
    }

    pub async fn press(&self, key: Key) -> Result<(), Failure> {
        Ok(self.driver.action_chain().key_down(key.clone()).key_up(key).perform().await?)
    }

    /// Moves the focus to an element with the Tab key.
    pub async fn focus(&self, css: &str) -> Result<(), Failure> {
        self.shows(css).await?;
        let script = "return !!document.activeElement && document.activeElement.matches(arguments[0])";
        for _ in 0..MOST_STOPS {
            if self.evaluate(script, vec![css.into()]).await? == true {
                return Ok(());
            }
            self.press(Key::Tab).await?;
        }
        Err(format!("the Tab key does not reach {css}").into())
    }

    /// Types into a field, in place of its content.
    pub async fn enter(&self, css: &str, text: &str) -> Result<(), Failure> {
        self.focus(css).await?;
        self.evaluate("document.activeElement.select()", Vec::new()).await?;
        Ok(self.driver.action_chain().send_keys(text).perform().await?)
    }

    /// Pastes into a field, as the keyboard does.
    pub async fn paste(&self, css: &str, text: &str) -> Result<(), Failure> {
        self.focus(css).await?;
        let paste = "const e = document.activeElement; e.select(); \
             e.dispatchEvent(new ClipboardEvent('paste', { bubbles: true })); \
             document.execCommand('insertText', false, arguments[0])";
        self.evaluate(paste, vec![text.into()]).await.map(drop)
    }

    /// Presses a button or follows a link.
    pub async fn activate(&self, css: &str) -> Result<(), Failure> {
        self.focus(css).await?;
        self.press(Key::Enter).await
    }

    /// Submits the form, as Enter in a field does.
    pub async fn submit(&self) -> Result<(), Failure> {
        self.activate("form [type=submit]").await
    }

    /// Waits for the end of a flow.
    pub async fn is_done(&self) -> Result<(), Failure> {
        self.until("the flow is done", "return document.documentElement.dataset.view === 'done' && !document.querySelector('form') && document.querySelector('.result').textContent.length > 4", Vec::new()).await?;
        self.focused("h1").await
    }

    /// Checks the screen in both color schemes and saves screenshots.
    pub async fn check(&self, screen: &str) -> Result<(), Failure> {
        self.no_errors().await?;
        self.in_one_language().await?;
        for scheme in ["light", "dark"] {
            let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            self.tools("Emulation.setEmulatedMedia", features).await?;
            self.fits(self.width).await?;
            self.is_accessible().await?;
            let image = format!("{}-{screen}-{scheme}.png", self.shots.display());
            self.save(&image).await?;
        }
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": "light" }] });
        self.tools("Emulation.setEmulatedMedia", features).await?;
        self.resize(REFLOW).await?;
        self.fits(REFLOW).await?;
        self.save(&format!("{}-{screen}-zoom.png", self.shots.display())).await?;
        self.resize(self.width).await?;
        self.no_errors().await
    }

    /// Saves the whole page.
    async fn save(&self, path: &str) -> Result<(), Failure> {
        Ok(self.driver.screenshot(path.as_ref()).await?)
    }

    /// Fails on an error of a script and on a violation of the policy. A refused call is no error.
    pub async fn no_errors(&self) -> Result<(), Failure> {
        for entry in self.driver.browser_log().await? {
            let is_call = entry.source.as_deref() == Some("network");
            if entry.level == "SEVERE" && !is_call {
                return Err(format!("the browser logged {:?}: {}", entry.source, entry.message).into());
            }
        }
        Ok(())
    }

    async fn fits(&self, width: u32) -> Result<(), Failure> {
        let widest = "return Math.max(document.documentElement.scrollWidth, ...Array.from(document.querySelectorAll('main *, header *'), e => e.classList.contains('visually-hidden') || e.closest('.visually-hidden') ? 0 : e.getBoundingClientRect().right))";
        let widest = self.evaluate(widest, Vec::new()).await?.as_f64().unwrap_or(f64::MAX);
        if widest > f64::from(width) + 0.5 {
            return Err(format!("the page is {widest} pixels wide on a screen of {width}").into());
        }
        let small = "return Array.from(document.querySelectorAll('a, button, input')).filter(e => e.offsetParent && !e.closest('.visually-hidden') && (e.getBoundingClientRect().height < 44 || e.getBoundingClientRect().width < 44)).map(e => e.outerHTML)";
        let small = self.evaluate(small, Vec::new()).await?;
        if small != json!([]) {
            return Err(format!("targets smaller than 44 pixels: {small}").into());
        }
        Ok(())
    }

    /// Fails on a finding of axe-core.
    async fn is_accessible(&self) -> Result<(), Failure> {
        if self.evaluate("return typeof axe === 'undefined'", Vec::new()).await? == true {
            self.evaluate(&self.axe, Vec::new()).await?;
        }
        let run = "const done = arguments[arguments.length - 1]; axe.run(document).then(r => done(r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html + ' ' + n.failureSummary).join(' | '))), e => done([String(e)]))";
        let found = self.driver.execute_async(run, Vec::new()).await?.json().clone();
        if found != json!([]) {
            return Err(format!("axe-core: {found}").into());
        }
        Ok(())
    }

    /// Fails on a text of the other language. The button that switches to it is one.
    async fn in_one_language(&self) -> Result<(), Failure> {
        let script = "return [document.documentElement.lang, Array.from(document.querySelectorAll('main h1, main h2, main label, main button, main p, main li span, title')).filter(e => !e.matches('.detail, .value') && (e.offsetParent !== null || e.tagName === 'TITLE')).map(e => e.textContent)]";
        let found = self.evaluate(script, Vec::new()).await?;
        if found[0] != self.language.as_str() {
            return Err(format!("the language is {}", found[0]).into());
        }
        let is_chinese = |text: &str| text.chars().any(|letter| ('\u{4e00}'..'\u{9fff}').contains(&letter));
        for text in found[1].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let has_letters = text.chars().filter(|letter| letter.is_alphabetic()).count() > 1;
            if has_letters && is_chinese(text) != (self.language == "zh-CN") {
                return Err(format!("not in {}: {text}", self.language).into());
            }
        }
        Ok(())
    }
}
