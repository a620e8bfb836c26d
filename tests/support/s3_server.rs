//! An S3 server in this process, for tests: s3s over a folder, with atomic conditions and a record of what was asked.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use hyper::Method;
use hyper_util::rt::{TokioExecutor, TokioIo};
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;

pub const KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
pub const SECRET: &str = "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY";

/// A request that the server got.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: Method,
    /// Path and query as sent.
    pub target: String,
    pub headers: BTreeMap<String, String>,
}

/// What the server does about `If-Match` and `If-None-Match` on writes.
#[derive(Clone, Copy, PartialEq)]
pub enum Conditions {
    /// Checks and writes as one step: s3s alone leaves a gap between the two in which commits get lost.
    Kept,
    /// Overwrites all the same, as some servers do.
    Ignored,
}

/// The server. Objects are the files of its folder: `<root>/<bucket>/<key>`.
pub struct S3Server {
    pub endpoint: String,
    root: tempfile::TempDir,
    seen: Arc<Mutex<Vec<Seen>>>,
    throttled: Arc<AtomicBool>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl S3Server {
    pub fn start() -> S3Server {
        S3Server::start_with(Conditions::Kept)
    }

    /// Starts on a free port, on a thread of its own: tests may block.
    pub fn start_with(conditions: Conditions) -> S3Server {
        let root = tempfile::tempdir().unwrap();
        let (seen, throttled) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut builder = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let door = Door {
            service: builder.build(),
            root: root.path().to_owned(),
            seen: seen.clone(),
            gate: Arc::default(),
            conditions,
            throttled: throttled.clone(),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! { _ = stopped => {}, _ = accept(listener, door) => {} }
            });
        });
        S3Server { endpoint, root, seen, throttled, stop: Some(stop), thread: Some(thread) }
    }

    /// Makes a bucket and returns its folder.
    pub fn bucket(&self, name: &str) -> PathBuf {
        let folder = self.root.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Writes an object.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl AsRef<[u8]>) {
        write(&self.bucket(bucket), key, bytes.as_ref());
    }

    pub fn config(&self) -> SdkConfig {
        config(&self.endpoint, KEY_ID, SECRET)
    }

    /// Environment for child processes that shall use this server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint.clone()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", KEY_ID.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", SECRET.to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_CONFIG_FILE", "/nonexistent".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".to_owned()),
        ]
    }

    /// From now on objects are not read: 503 SlowDown. Listings work.
    pub fn throttle(&self, throttled: bool) {
        self.throttled.store(throttled, Ordering::SeqCst);
    }

    /// Everything that was asked so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes a file at a path relative to a folder.
pub fn write(folder: &Path, relative: &str, bytes: &[u8]) {
    let path = folder.join(relative);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// Configuration for a server at this address.
pub fn config(endpoint: &str, key_id: &str, secret: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::from_static("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(key_id, secret, None, None, "tests")))
        .build()
}

#[derive(Clone)]
struct Door {
    service: S3Service,
    root: PathBuf,
    seen: Arc<Mutex<Vec<Seen>>>,
    gate: Arc<tokio::sync::Mutex<()>>,
    conditions: Conditions,
    throttled: Arc<AtomicBool>,
}

async fn accept(listener: tokio::net::TcpListener, door: Door) {
    loop {
        let Ok((socket, _)) = listener.accept().await else { continue };
        let door = door.clone();
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(|request| door.clone().answer(request));
            let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let _ = http.serve_connection(TokioIo::new(socket), answer).await;
        });
    }
}

impl Door {
    async fn answer(
        self,
        request: hyper::Request<hyper::body::Incoming>,
    ) -> Result<hyper::Response<s3s::Body>, s3s::HttpError> {
        let header = |name: &str| request.headers().contains_key(name);
        let conditional = *request.method() == Method::PUT && (header("if-none-match") || header("if-match"));
        self.note(&request);
        let object = request.uri().path().trim_matches('/').contains('/');
        if self.throttled.load(Ordering::SeqCst) && *request.method() == Method::GET && object {
            let text = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>";
            let mut answer = hyper::Response::new(s3s::Body::from(text.to_owned()));
            *answer.status_mut() = hyper::StatusCode::SERVICE_UNAVAILABLE;
            return Ok(answer);
        }
        let _turn = if conditional { Some(self.gate.lock().await) } else { None };
        if conditional && self.conditions == Conditions::Ignored {
            let _ = std::fs::remove_file(self.root.join(request.uri().path().trim_start_matches('/')));
        }
        hyper::service::Service::call(&self.service, request).await
    }

    fn note(&self, request: &hyper::Request<hyper::body::Incoming>) {
        let headers = request.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
        let target = request.uri().path_and_query().map(|target| target.to_string()).unwrap_or_default();
        let seen = Seen { method: request.method().clone(), target, headers: headers.collect() };
        self.seen.lock().unwrap().push(seen);
    }
}
