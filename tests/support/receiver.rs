//! A real HTTP receiver for tests, which can refuse, dawdle, go away and come back on the same port.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

/// A request that arrived.
#[derive(Debug, Clone)]
pub struct Seen {
    pub at: Instant,
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What a request is answered with.
#[derive(Debug, Clone)]
pub enum Answer {
    Status(u16),
    /// A status, some time after the request was taken.
    Slow(Duration, u16),
    /// 429 with these seconds in `Retry-After`.
    Wait(u64),
    /// To another path.
    Redirect,
    /// 200 with a text.
    Body(String),
}

#[derive(Clone, Default)]
struct Door {
    seen: Arc<Mutex<Vec<Seen>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

/// A receiver that listens, on threads of its own.
pub struct Receiver {
    runtime: Option<tokio::runtime::Runtime>,
    address: SocketAddr,
    door: Door,
}

/// A receiver that is away.
pub struct Away {
    address: SocketAddr,
    door: Door,
}

impl Receiver {
    pub fn start() -> Receiver {
        Receiver::listen("127.0.0.1:0".parse().unwrap(), Door::default())
    }

    fn listen(address: SocketAddr, door: Door) -> Receiver {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let router = Router::new().fallback(take).with_state(door.clone());
        let (tell, told) = std::sync::mpsc::channel();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind(address).await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        Receiver { address: told.recv().unwrap(), runtime: Some(runtime), door }
    }

    pub fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Answers for the next requests, in order; then 200.
    pub fn answer_with(&self, answers: Vec<Answer>) {
        *self.door.answers.lock().unwrap() = answers.into();
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.door.seen.lock().unwrap().clone()
    }

    /// Numbers of the findings that arrived, in order, without batches whose id was seen before.
    pub fn findings(&self) -> Vec<usize> {
        let mut batches = HashSet::new();
        let mut numbers = Vec::new();
        for request in self.seen() {
            if !batches.insert(request.headers["x-trailhound-batch"].clone()) {
                continue;
            }
            let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            for finding in body["findings"].as_array().unwrap() {
                numbers.push(usize::from_str_radix(finding["finding_id"].as_str().unwrap(), 16).unwrap());
            }
        }
        numbers
    }

    /// Goes away: open connections break.
    pub fn stop(mut self) -> Away {
        self.end();
        Away { address: self.address, door: self.door.clone() }
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.end();
    }
}

impl Away {
    pub fn address(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Comes back where it was.
    pub fn again(self) -> Receiver {
        Receiver::listen(self.address, self.door)
    }
}

async fn take(State(door): State<Door>, method: Method, target: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let headers = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    let (method, target) = (method.to_string(), target.to_string());
    let body = String::from_utf8(body.to_vec()).unwrap();
    door.seen.lock().unwrap().push(Seen { at: Instant::now(), method, target, headers, body });
    let answer = door.answers.lock().unwrap().pop_front().unwrap_or(Answer::Status(200));
    match answer {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Slow(time, status) => {
            tokio::time::sleep(time).await;
            StatusCode::from_u16(status).unwrap().into_response()
        }
        Answer::Wait(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Answer::Redirect => (StatusCode::TEMPORARY_REDIRECT, [("location", "/elsewhere")]).into_response(),
        Answer::Body(text) => text.into_response(),
    }
}
