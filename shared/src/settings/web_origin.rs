//! The origin of the web pages that may call the functions from a browser.

use lambda_http::http::HeaderValue;
use std::str::FromStr;

/// The origin of a web page, as a browser sends it in `Origin`: scheme, host, and the port if it is not the
/// scheme's default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(HeaderValue);

impl WebOrigin {
    /// Returns the origin as the value of a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl FromStr for WebOrigin {
    type Err = InvalidOrigin;

    /// Parses an origin. Without TLS only the local machine is accepted, because responses contain sessions.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin)?;
        let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
        let valid_host = match scheme {
            "https" => host.split('.').all(|label| {
                let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                !label.is_empty()
                    && label.bytes().all(allowed)
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            }),
            "http" => ["localhost", "127.0.0.1"].contains(&host),
            _ => false,
        };
        let valid_port = port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && !port.starts_with('0')
                && port.parse::<u16>().is_ok()
                // A browser omits the scheme's default port, and compares origins exactly.
                && (scheme, port) != ("https", "443")
                && (scheme, port) != ("http", "80")
        });
        if valid_host && valid_port {
            text.parse().map(Self).map_err(|_| InvalidOrigin)
        } else {
            Err(InvalidOrigin)
        }
    }
}

/// The text is not the origin of a web page.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin")]
pub struct InvalidOrigin;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_accepted_only_as_browsers_send_it() {
        for valid in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "https://xn--bcher-kva.example",
            "http://localhost:5173",
            "http://127.0.0.1:3000",
            "http://localhost",
        ] {
            let origin = valid.parse::<WebOrigin>();
            assert_eq!(origin.map(|origin| origin.header()), Ok(HeaderValue::from_static(valid)));
        }
        for invalid in [
            "*",
            "null",
            "app.example.com",
            "https://",
            "https://*.example.com",
            "https://app.example.com/",
            "https://app.example.com/page",
            "https://app.example.com?",
            "https://App.example.com",
            "https://app..example.com",
            "https://-app.example.com",
            "https://li@app.example.com",
            "https://app.example.com:",
            "https://app.example.com:443",
            "https://app.example.com:99999",
            "https://app.example.com:+8",
            "https://app.example.com https://other.example.com",
            "http://app.example.com",
            "http://localhost.example.com",
            "http://localhost:80",
            "ftp://localhost",
        ] {
            assert_eq!(invalid.parse::<WebOrigin>(), Err(InvalidOrigin), "{invalid}");
        }
    }
}
