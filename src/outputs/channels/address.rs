//! Addresses of channels: standard output, a file, a webhook, a topic; and what may be told about them.

use std::path::PathBuf;

use sha2::{Digest, Sha256};
use url::{Host, Url};

use super::ChannelKind;
use crate::error::{Error, Result};
use crate::findings::hex;

const KNOWN: &str = "use -, a file that ends in .ndjson, https://host/path, or the ARN of an SNS topic";

/// Where a channel leads.
#[derive(Debug, Clone)]
pub(super) enum Address {
    Stdout,
    File(PathBuf),
    Webhook(Url),
    Topic { arn: String, region: String },
}

impl Address {
    /// Reads an address. Errors do not repeat what may hold a password: of a URL they show scheme and host.
    pub fn parse(text: &str) -> Result<Address> {
        if text == "-" {
            return Ok(Address::Stdout);
        }
        if text.starts_with("arn:") {
            return topic(text);
        }
        if text.contains("://") {
            return webhook(text);
        }
        if !text.to_ascii_lowercase().ends_with(".ndjson") {
            return Err(Error::Usage(format!("findings cannot go to '{text}'; {KNOWN}")));
        }
        // The channel is the same one when the next start happens in another folder.
        let path = std::path::absolute(text)
            .map_err(|error| Error::Usage(format!("{text} cannot be a file for findings: {error}")))?;
        Ok(Address::File(path))
    }

    pub fn kind(&self) -> ChannelKind {
        match self {
            Address::Stdout => ChannelKind::Stdout,
            Address::File(_) => ChannelKind::File,
            Address::Webhook(_) => ChannelKind::Webhook,
            Address::Topic { .. } => ChannelKind::Sns,
        }
    }

    /// What may be shown. Paths of webhooks are secrets with many services, so of a URL only the origin is told, and
    /// eight digits that tell two webhooks of one host apart.
    pub fn name(&self) -> String {
        match self {
            Address::Stdout => "stdout".to_owned(),
            Address::File(path) => path.display().to_string(),
            Address::Webhook(url) => {
                format!("{}#{}", url.origin().ascii_serialization(), self.digest().get(..8).unwrap_or_default())
            }
            Address::Topic { arn, .. } => arn.clone(),
        }
    }

    /// Name of the channel's folder. The query of a URL does not count: a changed token is no new channel.
    pub fn folder(&self) -> String {
        match self {
            Address::Stdout => "stdout".to_owned(),
            _ => format!("{}-{}", self.kind().as_str(), self.digest()),
        }
    }

    fn digest(&self) -> String {
        let identity = match self {
            Address::Stdout => String::new(),
            Address::File(path) => path.to_string_lossy().into_owned(),
            Address::Webhook(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
            Address::Topic { arn, .. } => arn.clone(),
        };
        hex(&Sha256::digest(identity.as_bytes())).chars().take(16).collect()
    }
}

fn topic(arn: &str) -> Result<Address> {
    let parts: Vec<&str> = arn.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sns", region, account, name]
            if partition.starts_with("aws") && !region.is_empty() && account.len() == 12 && !name.is_empty() =>
        {
            Ok(Address::Topic { arn: arn.to_owned(), region: (*region).to_owned() })
        }
        _ => Err(Error::Usage(format!("{arn} is no SNS topic; write arn:aws:sns:us-east-1:111122223333:name"))),
    }
}

fn webhook(text: &str) -> Result<Address> {
    let scheme = text.split("://").next().unwrap_or_default();
    let url = Url::parse(text).map_err(|error| {
        Error::Usage(format!("an address that starts with {scheme}:// is no URL: {error}; {KNOWN}"))
    })?;
    let host = url.host_str().unwrap_or_default();
    let loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(Address::Webhook(url)),
        "http" if loopback => Ok(Address::Webhook(url)),
        "http" => Err(Error::Usage(format!(
            "findings do not go to http://{host}, where others can read along; use https:// (http:// is for 127.0.0.1)"
        ))),
        other => Err(Error::Usage(format!("findings cannot go to {other}://{host}; {KNOWN}"))),
    }
}

impl Address {
    /// True for a receiver on this machine, which no proxy reaches.
    pub fn is_plain(&self) -> bool {
        matches!(self, Address::Webhook(url) if url.scheme() == "http")
    }
}
