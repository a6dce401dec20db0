//! Whose pages may call from a browser.

use lambda_http::http::HeaderValue;
use std::str::FromStr;

/// The origin of a web page, as a browser names it in `Origin`: scheme, host, and port where it is not the
/// scheme's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebOrigin(HeaderValue);

impl WebOrigin {
    /// As the value of a header.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl FromStr for WebOrigin {
    type Err = InvalidOrigin;

    /// Without TLS none but the machine itself is taken: the answers hold sessions.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(InvalidOrigin)?;
        let (host, port) = rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
        let good_host = match scheme {
            "https" => host.split('.').all(|label| {
                let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                !label.is_empty()
                    && label.bytes().all(inner)
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            }),
            "http" => ["localhost", "127.0.0.1"].contains(&host),
            _ => false,
        };
        let good_port = port.is_none_or(|port| {
            port.bytes().all(|byte| byte.is_ascii_digit())
                && !port.starts_with('0')
                && port.parse::<u16>().is_ok()
                // A browser leaves the scheme's own out, and compares to the letter.
                && (scheme, port) != ("https", "443")
                && (scheme, port) != ("http", "80")
        });
        if good_host && good_port {
            text.parse().map(Self).map_err(|_| InvalidOrigin)
        } else {
            Err(InvalidOrigin)
        }
    }
}

/// The text is no origin of a web page.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an origin")]
pub struct InvalidOrigin;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_a_browser_says_to_the_letter() {
        for good in [
            "https://app.example.com",
            "https://app.example.com:8443",
            "https://xn--bcher-kva.example",
            "http://localhost:5173",
            "http://127.0.0.1:3000",
            "http://localhost",
        ] {
            let origin = good.parse::<WebOrigin>();
            assert_eq!(origin.map(|origin| origin.header()), Ok(HeaderValue::from_static(good)));
        }
        for bad in [
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
            assert_eq!(bad.parse::<WebOrigin>(), Err(InvalidOrigin), "{bad}");
        }
    }
}
