//! What goes wrong between a page and its API.

use crate::{Failure, tab::Tab};
use serde_json::json;

/// Runs before the page's own scripts. `lose()` lets the next call reach the API, and loses its response.
const LOSE: &str = "(() => { const send = window.fetch; let isLost = false; window.lose = () => { isLost = true; }; \
     window.calls = 0; window.fetch = async (...a) => { window.calls += 1; const r = await send(...a); \
     if (isLost) { isLost = false; throw new TypeError('lost'); } return r; }; })()";

impl Tab {
    /// Prepares the pages that the tab opens from now on for [`Self::lose_next_response`].
    pub async fn can_lose_responses(&self) -> Result<(), Failure> {
        self.tools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": LOSE })).await.map(drop)
    }

    pub async fn lose_next_response(&self) -> Result<(), Failure> {
        self.evaluate("window.lose()", Vec::new()).await.map(drop)
    }

    /// Returns the number of calls that the page made.
    pub async fn calls(&self) -> Result<u64, Failure> {
        Ok(self.evaluate("return window.calls", Vec::new()).await?.as_u64().unwrap_or_default())
    }

    pub async fn set_offline(&self, offline: bool) -> Result<(), Failure> {
        let conditions =
            json!({ "offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
        self.tools("Network.enable", json!({})).await?;
        self.tools("Network.emulateNetworkConditions", conditions).await.map(drop)
    }
}
