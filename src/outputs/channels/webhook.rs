//! A webhook: batches of findings as signed POST requests.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, redirect};
use url::Url;

use super::courier::{Answer, Receiver};
use super::outbox::Limits;
use super::secret::Secret;
use crate::error::{self, Error, Result};

const LIMITS: Limits = Limits { findings: 100, bytes: 256 << 10 };
const USER_AGENT: &str = concat!("trailhound/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Answers are of no interest, but a connection whose answer is read to its end can be used again.
const LONGEST_ANSWER: usize = 64 << 10;

/// A receiver behind an HTTP address.
///
/// The body is `{"batch": id, "findings": [...]}`. Headers: `X-Trailhound-Batch`, the id, the same when a batch is sent
/// again; `X-Trailhound-Timestamp`, seconds since 1970; with a secret also `X-Trailhound-Signature`, `v1=` and the
/// HMAC-SHA256 of `<timestamp>.<body>` in hex. What arrives with 2xx is done. 408, 425, 429, 5xx, redirects (which are not followed) and
/// faults of the network are tried again for ever; any other answer refuses the batch.
pub(super) struct Webhook {
    client: Client,
    url: Url,
    secret: Option<Secret>,
}

impl Webhook {
    /// `direct` keeps proxies of the environment out.
    pub fn new(url: Url, secret: Option<Secret>, timeout: Duration, direct: bool) -> Result<Webhook> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT.min(timeout))
            .timeout(timeout);
        let client = if direct { client.no_proxy() } else { client };
        let client = client.build().map_err(|error| {
            Error::Output(format!("no connection to a webhook can be made: {}", error::chain(&error.without_url())))
        })?;
        Ok(Webhook { client, url, secret })
    }
}

#[async_trait]
impl Receiver for Webhook {
    fn limits(&self) -> Limits {
        LIMITS
    }

    async fn send(&self, batch: &str, lines: Vec<String>) -> Answer {
        let body = format!("{{\"batch\":\"{batch}\",\"findings\":[{}]}}", lines.join(","));
        let timestamp = Utc::now().timestamp().to_string();
        let signature = self.secret.as_ref().and_then(|secret| secret.signature(&timestamp, body.as_bytes()));
        let mut request = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("X-Trailhound-Batch", batch)
            .header("X-Trailhound-Timestamp", timestamp);
        if let Some(signature) = signature {
            request = request.header("X-Trailhound-Signature", signature);
        }
        let mut response = match request.body(body).send().await {
            Ok(response) => response,
            Err(error) => {
                // The address may hold a token.
                let reason = error::chain(&error.without_url());
                return Answer::later(lines, format!("the receiver cannot be reached: {reason}"), None);
            }
        };
        let (status, after) = (response.status(), retry_after(response.headers(), Utc::now()));
        let mut read = 0;
        while let Ok(Some(part)) = response.chunk().await {
            read += part.len();
            if read > LONGEST_ANSWER {
                break;
            }
        }
        if status.is_success() {
            Answer::default()
        } else if status.is_redirection() {
            let text = format!("the receiver answered {status} and redirects are not followed; name its final address");
            Answer::later(lines, text, after)
        } else if is_passing(status) {
            Answer::later(lines, format!("the receiver answered {status}"), after)
        } else {
            Answer::never(lines, &format!("the receiver answered {status}"))
        }
    }
}

/// True for answers that may be others next time.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || status.is_informational() || matches!(status.as_u16(), 408 | 425 | 429)
}

/// The wait that a response asks for (RFC 9110, section 10.2.3): seconds, or a date.
fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    (date.to_utc() - now).to_std().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates() {
        let now = "2026-10-01T12:00:00Z".parse().unwrap();
        let asked = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            retry_after(&headers, now)
        };
        assert_eq!(asked("120"), Some(Duration::from_secs(120)));
        assert_eq!(asked("Thu, 01 Oct 2026 12:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Thu, 01 Oct 2026 11:00:00 GMT"), None);
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-5"), None);
    }
}
