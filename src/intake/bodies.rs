//! Bodies that a log keeps beside it in objects of their own: found next to the log, and nowhere else.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use bytes::Bytes;
use tokio::runtime::Handle;

use super::s3::S3;
use super::{days, names, unpack};

/// Reads bodies for the objects that name them. Blocks; for threads outside the runtime.
#[derive(Debug, Clone)]
pub struct BodyReader {
    s3: Arc<S3>,
    runtime: Handle,
    limit: u64,
}

impl BodyReader {
    pub(super) fn new(s3: Arc<S3>, runtime: Handle, limit: u64) -> BodyReader {
        BodyReader { s3, runtime, limit }
    }

    /// Unpacked bytes of the body at `body_uri` (`s3://bucket/key`, as a log record names it), or why it cannot be had.
    ///
    /// What a record names is not trusted. For an object in S3 the body must be in the same bucket. For a local object it
    /// is looked up in the copy of the archive that the object belongs to: from `AWSLogs/` on, or by its name in `data/`
    /// beside the object.
    pub fn read(&self, object_uri: &str, body_uri: &str) -> Result<Vec<u8>, String> {
        let (bucket, key) = named(body_uri)?;
        let packed = if object_uri.starts_with("s3://") {
            self.in_bucket(object_uri, bucket, key)?
        } else if object_uri == "-" {
            return Err("the body is in a file of its own, which standard input cannot give; hunt the folder".into());
        } else {
            self.in_copy(&names::path(object_uri), key)?
        };
        let unpacked = unpack::unpack(packed, self.limit);
        match unpacked.problem {
            Some(problem) => Err(format!("the body cannot be unpacked: {problem}")),
            None => Ok(unpacked.bytes.into()),
        }
    }

    fn in_bucket(&self, object_uri: &str, bucket: &str, key: &str) -> Result<Bytes, String> {
        let own = names::bucket_and_key(object_uri).map(|(own, _)| own.to_owned());
        if own.as_deref() != Some(bucket) {
            return Err("the body is in another bucket than its log; it was not read".to_owned());
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        let (s3, bucket, key) = (self.s3.clone(), bucket.to_owned(), key.to_owned());
        // Spawned rather than blocked on: block_on panics on a thread that belongs to a runtime.
        self.runtime.spawn(async move {
            let _ = sender.send(s3.get(&bucket, &key).await);
        });
        match receiver.recv() {
            Ok(answer) => answer.map_err(|reason| format!("the body cannot be read: it {reason}")),
            Err(_) => Err("the body was not read: the program is stopping".to_owned()),
        }
    }

    fn in_copy(&self, object: &Path, key: &str) -> Result<Bytes, String> {
        let (root, candidates) = candidates(object, key);
        for path in candidates {
            let inside = std::fs::canonicalize(&path).ok().filter(|real| real.is_file() && real.starts_with(&root));
            if let Some(real) = inside {
                return read(&real, self.limit);
            }
        }
        Err("the body is not below the folder of its log; copy the data/ folders as well".to_owned())
    }
}

/// Where a copy of the archive may hold the body, and the folder that it must not be outside of.
fn candidates(object: &Path, key: &str) -> (PathBuf, Vec<PathBuf>) {
    let folder = object.parent().unwrap_or(object);
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let reserved = folder.ancestors().find(|above| above.file_name().is_some_and(|name| name == "AWSLogs"));
    let mut paths = Vec::new();
    if let (Some(reserved), Some(below)) = (reserved, days::below_reserved(key)) {
        paths.push(reserved.join(below.trim_start_matches('/')));
    }
    let name = key.rsplit('/').next().unwrap_or(key);
    paths.extend([folder.join("data").join(name), folder.join(name)]);
    (real(reserved.unwrap_or(folder)), paths)
}

fn read(path: &Path, limit: u64) -> Result<Bytes, String> {
    let unreadable = |error: std::io::Error| format!("the body cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > limit {
        return Err(format!("the body is {}", unpack::too_large(limit)));
    }
    std::fs::read(path).map(Bytes::from).map_err(unreadable)
}

/// Bucket and key of an address from a log record, if it is one and leads nowhere else.
fn named(uri: &str) -> Result<(&str, &str), String> {
    let parts = uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/'));
    let Some((bucket, key)) = parts.filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty()) else {
        return Err("the body's path is not an s3://bucket/key address".to_owned());
    };
    let odd = |segment: &str| matches!(segment, "." | "..") || segment.contains(['\\', '\0']);
    if key.split('/').any(odd) {
        return Err("the body's path has segments that lead elsewhere; it was not read".to_owned());
    }
    Ok((bucket, key))
}

#[cfg(test)]
mod tests {
    use crate::intake::{Intake, Options};

    #[test]
    fn bodies_are_found_in_the_copy_that_their_log_belongs_to() {
        let case = tempfile::tempdir().unwrap();
        let root = case.path().canonicalize().unwrap();
        let write = |path: &str, bytes: &[u8]| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        let day = "AWSLogs/111122223333/BedrockModelInvocationLogs/us-east-1/2026/10/01/12";
        write(&format!("copy/{day}/x.json.gz"), b"log");
        write(&format!("copy/{day}/data/r_input.json"), b"by key");
        write("copy/AWSLogs/large", &[b'x'; 101]);
        write("flat/x.json.gz", b"log");
        write("flat/data/s_input.json", b"beside");
        write("secret", b"secret");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let options = Options { limit: 100, ..Options::default() };
        let reader = Intake::new(options).body_reader(runtime.handle().clone());
        let read = |object: &str, body: &str| reader.read(&root.join(object).display().to_string(), body);

        let object = format!("copy/{day}/x.json.gz");
        assert_eq!(read(&object, &format!("s3://any/prefix/{day}/data/r_input.json")), Ok(b"by key".to_vec()));
        assert_eq!(read("flat/x.json.gz", &format!("s3://any/{day}/data/s_input.json")), Ok(b"beside".to_vec()));
        assert!(read("flat/x.json.gz", "s3://any/data/none.json").unwrap_err().contains("data/"));
        assert!(read(&object, "s3://any/AWSLogs/large").unwrap_err().contains("--max-object-size"));
        for outside in ["s3://any/AWSLogs/../../secret", "s3://any/..", "secret", "s3://any/", "s3://any/a\\..\\secret"]
        {
            assert!(read(&object, outside).is_err(), "{outside}");
        }
        assert!(reader.read("-", "s3://any/secret").unwrap_err().contains("standard input"));
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(root.join("secret"), root.join("flat/data/t_input.json")).unwrap();
            assert!(read("flat/x.json.gz", "s3://any/t_input.json").is_err(), "a link out of the folder");
        }
    }
}
