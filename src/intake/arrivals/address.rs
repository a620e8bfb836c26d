//! Addresses of live sources: queues as URL or ARN, S3 prefixes, folders.

use std::path::PathBuf;

use url::Url;

use crate::error::{Error, Result};
use crate::intake::{names, prefixes};

/// Where logs come from.
#[derive(Debug, PartialEq)]
pub(super) enum Address {
    Queue(QueueAddress),
    /// An `s3://bucket/prefix` address, as it was given.
    Bucket(String),
    /// A folder that exists, by its real path.
    Folder(PathBuf),
}

/// A queue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct QueueAddress {
    /// Region, where the address tells it.
    pub region: Option<String>,
    /// Server to talk to when it is not the one that the Region and the configuration stand for.
    pub endpoint: Option<String>,
    /// URL at AWS, or as it was given.
    pub url: String,
}

impl Address {
    /// Reads an address; a folder has to be there.
    pub fn parse(place: &str) -> Result<Address> {
        if let Some(address) = place.strip_prefix("s3://") {
            let bucket = address.split('/').next().unwrap_or_default();
            if bucket.is_empty() {
                return Err(wrong(place, "names no bucket; write s3://bucket/prefix"));
            }
            return Ok(Address::Bucket(place.to_owned()));
        }
        if place.starts_with("arn:") {
            let no_queue = "is not the ARN of a queue; write arn:aws:sqs:region:account:queue, or give its URL";
            return QueueAddress::from_arn(place).map(Address::Queue).ok_or_else(|| wrong(place, no_queue));
        }
        if place.starts_with("https://") || place.starts_with("http://") {
            return QueueAddress::from_url(place).map(Address::Queue);
        }
        let path = place.strip_prefix("file://").unwrap_or(place);
        if path == "-" {
            return Err(wrong(
                place,
                "is standard input, which cannot be followed; name a folder, a queue or a prefix",
            ));
        }
        if path.contains("://") {
            return Err(wrong(place, "is not a source; name a folder, an s3://bucket/prefix address or an SQS queue"));
        }
        match std::fs::canonicalize(path).and_then(|real| Ok((std::fs::metadata(&real)?.is_dir(), real))) {
            Ok((true, real)) => Ok(Address::Folder(real)),
            Ok((false, _)) => Err(wrong(place, "is not a folder; name the folder that files arrive in")),
            Err(error) => Err(wrong(place, &format!("cannot be followed: {error}; name a folder that exists"))),
        }
    }

    /// `sqs`, `s3` or `folder`.
    pub fn kind(&self) -> &'static str {
        match self {
            Address::Queue(_) => "sqs",
            Address::Bucket(_) => "s3",
            Address::Folder(_) => "folder",
        }
    }
}

impl QueueAddress {
    /// From `arn:aws:sqs:region:account:queue`, of the partitions whose servers have a known name.
    pub fn from_arn(arn: &str) -> Option<QueueAddress> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", partition, "sqs", region, account, name] = parts[..] else { return None };
        let domain = match partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            _ => return None,
        };
        let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let sound = !region.is_empty() && !account.is_empty() && !name.is_empty();
        if !sound || !plain(region) || !plain(account) || !plain(name) {
            return None;
        }
        let url = format!("https://sqs.{region}.{domain}/{account}/{name}");
        Some(QueueAddress { region: Some(region.to_owned()), endpoint: None, url })
    }

    fn from_url(place: &str) -> Result<QueueAddress> {
        let no_queue = "is not the URL of a queue; copy it from the SQS console, or give the ARN";
        let url = Url::parse(place).map_err(|_| wrong(place, no_queue))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Error::Usage("the URL of a queue holds no user name or password; remove them".to_owned()));
        }
        let host = url.host_str().unwrap_or_default();
        let segments = url.path_segments().map(|parts| parts.filter(|part| !part.is_empty()).count()).unwrap_or(0);
        if host.is_empty() || segments < 2 || url.query().is_some() {
            return Err(wrong(place, no_queue));
        }
        let labels: Vec<&str> = host.split('.').collect();
        let aws = [".amazonaws.com", ".amazonaws.com.cn", ".api.aws"].iter().any(|end| host.ends_with(end));
        let named = labels.iter().any(|label| matches!(*label, "sqs" | "sqs-fips" | "queue"));
        if aws && !named {
            return Err(wrong(place, no_queue));
        }
        let region = labels.iter().find(|label| prefixes::is_region(label)).map(|region| (*region).to_owned());
        // The old names of queues all lead to one Region when they name none.
        let region = region.or_else(|| aws.then(|| "us-east-1".to_owned()));
        // VPC endpoints, FIPS endpoints and servers that stand in for AWS are known by the URL alone.
        let usual = aws && (labels.first() == Some(&"sqs") || labels.contains(&"queue")) && !host.ends_with(".api.aws");
        let endpoint = (!usual).then(|| url.origin().ascii_serialization());
        Ok(QueueAddress { region, endpoint, url: url.as_str().trim_end_matches('/').to_owned() })
    }

    /// The URL to name in requests; `stand_in` is the address of a server that stands in for all of AWS.
    pub fn url_at(&self, stand_in: Option<&str>) -> String {
        match (stand_in, Url::parse(&self.url)) {
            (Some(stand_in), Ok(url)) if self.endpoint.is_none() => {
                format!("{}{}", stand_in.trim_end_matches('/'), url.path())
            }
            _ => self.url.clone(),
        }
    }
}

fn wrong(place: &str, what: &str) -> Error {
    Error::Usage(format!("{} {what}", names::text(place.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(place: &str) -> (Option<String>, Option<String>, String) {
        match Address::parse(place).unwrap() {
            Address::Queue(QueueAddress { region, endpoint, url }) => (region, endpoint, url),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn queues_have_a_region_and_a_server() {
        let standard = "https://sqs.us-east-1.amazonaws.com/111122223333/trail";
        let region = |name: &str| Some(name.to_owned());
        assert_eq!(queue(standard), (region("us-east-1"), None, standard.to_owned()));
        assert_eq!(queue("arn:aws:sqs:us-east-1:111122223333:trail"), queue(standard));
        assert_eq!(queue(&format!("{standard}/")), queue(standard));
        let old = "https://eu-west-1.queue.amazonaws.com/111122223333/trail";
        assert_eq!(queue(old), (region("eu-west-1"), None, old.to_owned()));
        assert_eq!(queue("https://queue.amazonaws.com/111122223333/trail").0, region("us-east-1"));
        let china = queue("arn:aws-cn:sqs:cn-north-1:111122223333:trail");
        assert_eq!(china.2, "https://sqs.cn-north-1.amazonaws.com.cn/111122223333/trail");

        let inside = "https://vpce-0a1b2c3d.sqs.eu-west-1.vpce.amazonaws.com/111122223333/trail";
        let origin = "https://vpce-0a1b2c3d.sqs.eu-west-1.vpce.amazonaws.com".to_owned();
        assert_eq!(queue(inside), (region("eu-west-1"), Some(origin), inside.to_owned()));
        let local = "http://127.0.0.1:5000/111122223333/trail";
        assert_eq!(queue(local), (None, Some("http://127.0.0.1:5000".to_owned()), local.to_owned()));
    }

    #[test]
    fn a_server_that_stands_in_for_aws_is_asked_by_its_own_url() {
        let address = QueueAddress::from_arn("arn:aws:sqs:us-east-1:111122223333:trail").unwrap();
        assert_eq!(address.url_at(Some("http://127.0.0.1:5000/")), "http://127.0.0.1:5000/111122223333/trail");
        assert_eq!(address.url_at(None), "https://sqs.us-east-1.amazonaws.com/111122223333/trail");
        let Address::Queue(own) = Address::parse("http://192.0.2.7:9324/queue/trail").unwrap() else { panic!() };
        assert_eq!(own.url_at(Some("http://127.0.0.1:5000")), "http://192.0.2.7:9324/queue/trail");
    }

    #[test]
    fn other_places_are_wrong_use() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        std::fs::write(&file, b"{}").unwrap();
        let wrong = [
            "s3://",
            "s3:///key",
            "arn:aws:sns:us-east-1:111122223333:topic",
            "arn:aws:sqs:us-east-1:111122223333",
            "arn:aws:sqs:evil.example/:111122223333:q",
            "https://s3.us-east-1.amazonaws.com/bucket/key",
            "https://sqs.us-east-1.amazonaws.com/111122223333",
            "https://dana:secret@sqs.us-east-1.amazonaws.com/111122223333/q",
            "https://",
            "gs://bucket/x",
            "-",
            "no/such/folder",
            file.to_str().unwrap(),
        ];
        for place in wrong {
            let error = Address::parse(place).unwrap_err();
            assert!(matches!(&error, Error::Usage(text) if !text.contains("secret")), "{place}: {error}");
        }
        let real = folder.path().canonicalize().unwrap();
        assert_eq!(Address::parse(folder.path().to_str().unwrap()).unwrap(), Address::Folder(real));
        assert_eq!(Address::parse("s3://bucket/prefix").unwrap().kind(), "s3");
    }
}
