//! `/metrics`, `/healthz` and `/readyz`: a small server that only reads, for Prometheus and for service managers.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;
use axum::serve::Listener;
use chrono::Utc;
use prometheus::TEXT_FORMAT;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

use super::metrics;
use super::process::Process;
use crate::error::{Error, Result};
use crate::outputs::escape;
use crate::pipeline::follow::standing::{Board, Standing};

/// A process without a sign of life for this long hangs: nothing in it gets a turn.
const HANGS: Duration = Duration::from_secs(60);
/// Visitors at a time. A watcher must not be able to use up the files and the memory of what it watches.
const VISITORS: usize = 16;
/// How long one visit may take.
const VISIT: Duration = Duration::from_secs(10);

type Answer = (StatusCode, [(HeaderName, &'static str); 1], String);

/// Takes the address, so that a wrong one is an error at the start.
///
/// # Errors
/// [`Error::Usage`] when the address cannot be had.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::Usage(format!("cannot listen on {address}: {error}; name another address with --listen ADDRESS:PORT"))
    })
}

/// Answers until the task is dropped.
///
/// # Errors
/// [`Error::Output`] when the listener fails for good.
pub async fn serve(listener: TcpListener, board: Board) -> Result<()> {
    serve_visits(listener, board, VISIT).await
}

async fn serve_visits(listener: TcpListener, board: Board, visit: Duration) -> Result<()> {
    let pages = Router::new()
        .route("/metrics", get(show_metrics))
        .route("/healthz", get(show_health))
        .route("/readyz", get(show_readiness))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(map_response(last_word))
        .with_state(board);
    let door = Door { listener, visit, places: Arc::new(Semaphore::new(VISITORS)) };
    axum::serve(door, pages).await.map_err(|error| Error::Output(format!("metrics are no longer served: {error}")))
}

/// Whether the process shows signs of life; when not, for how long. A long turn of the loop is none: it is shown as a metric.
pub fn health(standing: &Standing) -> (StatusCode, Value) {
    let still = standing.beat.elapsed();
    if still < HANGS {
        return (StatusCode::OK, json!({ "healthy": true }));
    }
    let why = format!("no sign of life for {} seconds", still.as_secs());
    (StatusCode::SERVICE_UNAVAILABLE, json!({ "healthy": false, "because": [why] }))
}

/// Whether logs are read and the lake is written; when not, why not. An output that takes nothing makes nothing unready: its
/// findings wait for it.
pub fn readiness(standing: &Standing) -> (StatusCode, Value) {
    let mut because = Vec::new();
    if !standing.ready {
        because.push("the first cycle is not done".to_owned());
    }
    let whole = standing.trouble.iter().chain(&standing.blocked);
    because.extend(whole.map(|why| escape::terminal(why).into_owned()));
    for source in &standing.sources {
        if let Some(why) = &source.trouble {
            because.push(escape::terminal(&format!("{}: {why}", source.source)).into_owned());
        }
    }
    match because.is_empty() {
        true => (StatusCode::OK, json!({ "ready": true })),
        false => (StatusCode::SERVICE_UNAVAILABLE, json!({ "ready": false, "because": because })),
    }
}

async fn show_metrics(State(board): State<Board>) -> Answer {
    let page = metrics::page(&board.read(), &Process::now(), Utc::now());
    match page {
        Ok(page) => answer(StatusCode::OK, TEXT_FORMAT, page),
        Err(error) => answer(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", error.to_string()),
    }
}

async fn show_health(State(board): State<Board>) -> Answer {
    let (status, body) = health(&board.read());
    answer(status, "application/json", body.to_string())
}

async fn show_readiness(State(board): State<Board>) -> Answer {
    let (status, body) = readiness(&board.read());
    answer(status, "application/json", body.to_string())
}

fn answer(status: StatusCode, form: &'static str, body: String) -> Answer {
    (status, [(header::CONTENT_TYPE, form)], body)
}

/// Every answer ends its connection, because the next visitor waits for the place, and none is kept.
async fn last_word(mut response: Response) -> Response {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Lets in [`VISITORS`] at a time; the others wait outside.
struct Door {
    listener: TcpListener,
    visit: Duration,
    places: Arc<Semaphore>,
}

/// A connection that ends in time.
struct Visit {
    stream: TcpStream,
    end: Pin<Box<Sleep>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Listener for Door {
    type Io = Visit;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Visit, SocketAddr) {
        let place = Arc::clone(&self.places).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Visit { stream, end: Box::pin(tokio::time::sleep(self.visit)), _place: place }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Visit {
    /// The stream, while there is time.
    fn stream(&mut self, cx: &mut Context<'_>) -> io::Result<Pin<&mut TcpStream>> {
        match self.end.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(Pin::new(&mut self.stream)),
        }
    }
}

impl AsyncRead for Visit {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_read(cx, to)
    }
}

impl AsyncWrite for Visit {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream(cx)?.poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream(cx)?.poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::intake::arrivals::SourceState;

    async fn start() -> (SocketAddr, Board) {
        start_for(VISIT).await
    }

    async fn start_for(visit: Duration) -> (SocketAddr, Board) {
        let listener = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let board = Board::new(Standing::new(Utc::now()));
        tokio::spawn(serve_visits(listener, board.clone(), visit));
        (address, board)
    }

    /// Status, head and body of an answer.
    async fn ask(address: SocketAddr, line: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(format!("{line} HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    #[tokio::test]
    async fn readiness_waits_for_the_first_cycle_and_names_troubles() {
        let (address, board) = start().await;
        let (status, _, body) = ask(address, "GET /readyz").await;
        assert_eq!((status, body.contains("first cycle")), (503, true), "{body}");
        board.update(|standing| standing.ready = true);
        assert_eq!(ask(address, "GET /readyz").await.0, 200);
        let source = SourceState {
            source: "s3://trail".to_owned(),
            trouble: Some("access \u{1b}[31mdenied\n\"".to_owned()),
            ..SourceState::default()
        };
        board.update(|standing| standing.sources.push(source));
        let (status, head, body) = ask(address, "GET /readyz").await;
        assert!(status == 503 && head.contains("application/json"), "{head}");
        let parsed: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(parsed["because"][0], "s3://trail: access \\u{1b}[31mdenied\\n\"");
        board.update(|standing| {
            standing.sources.clear();
            standing.trouble = Some("the lake cannot be written".to_owned());
        });
        assert_eq!(ask(address, "GET /readyz").await.0, 503);
        board.update(|standing| {
            standing.trouble = None;
            standing.blocked = Some("40 objects cannot be read just now".to_owned());
        });
        let (status, _, body) = ask(address, "GET /readyz").await;
        assert!(status == 503 && body.contains("40 objects"), "{body}");
    }

    #[tokio::test]
    async fn health_is_the_sign_of_life() {
        let (address, board) = start().await;
        assert_eq!(ask(address, "GET /healthz").await.0, 200);
        board.update(|standing| standing.trouble = Some("the lake cannot be written".to_owned()));
        assert_eq!(ask(address, "GET /healthz").await.0, 200, "a restart does not mend the lake");
        let Some(long_ago) = Instant::now().checked_sub(HANGS) else { return };
        board.update(|standing| standing.beat = long_ago);
        let (status, _, body) = ask(address, "GET /healthz").await;
        assert!(status == 503 && body.contains("no sign of life for 60 seconds"), "{body}");
        board.beat();
        assert_eq!(ask(address, "GET /healthz").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_served_and_nothing_else_is() {
        let (address, board) = start().await;
        board.update(|standing| standing.total.objects = 41);
        let (status, head, body) = ask(address, "GET /metrics").await;
        assert!(status == 200 && head.contains("text/plain; version=0.0.4"), "{head}");
        assert!(body.contains("\ntrailhound_objects_total 41\n"), "{body}");
        let (status, head, _) = ask(address, "GET /").await;
        assert!(status == 404 && head.contains("connection: close"), "{head}");
        assert_eq!(ask(address, "GET /metrics/../etc/passwd").await.0, 404);
        assert_eq!(ask(address, "POST /metrics").await.0, 405);
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_says_what_to_do() {
        let (address, _board) = start().await;
        let error = bind(address).await.unwrap_err().to_string();
        assert!(error.contains("--listen") && error.contains(&address.to_string()), "{error}");
    }

    #[tokio::test]
    async fn silent_visitors_are_shown_out() {
        let (address, _board) = start_for(Duration::from_millis(300)).await;
        let mut silent = Vec::new();
        for _ in 0..VISITORS {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        assert_eq!(ask(address, "GET /healthz").await.0, 200, "their places are free after a while");
    }
}
