//! Runs one statement and shows its result; Ctrl-C ends it.

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::engine::{Engine, Values, execution_error};
use crate::error::{Error, Result};
use crate::outputs::destination::Destination;
use crate::outputs::{self, Format, Page, Written, escape};

/// How results are shown.
#[derive(Debug, Clone)]
pub struct Show {
    /// Form.
    pub format: Format,
    /// File, or standard output.
    pub output: Option<PathBuf>,
    /// Rows that a table on a terminal shows at most; 0 is all.
    pub rows: usize,
    /// True to leave out time and number of rows.
    pub quiet: bool,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ending {
    /// The result is complete, as far as it was to be shown.
    Done,
    /// Ctrl-C.
    Interrupted,
}

impl Ending {
    /// True after Ctrl-C.
    pub fn is_interrupted(self) -> bool {
        self == Ending::Interrupted
    }
}

/// Batches that may be on their way from the query to the output.
const WAITING: usize = 4;

/// Stack of a thread that plans and runs queries, in bytes: deep expressions are planned by recursion.
const STACK: usize = 16 << 20;

/// Threads on which queries compute, apart from those that listen to the keyboard: a query that keeps all of its threads
/// busy could not be interrupted otherwise.
#[derive(Debug)]
pub struct Workshop {
    threads: usize,
    runtime: Option<Runtime>,
}

impl Workshop {
    /// A workshop with so many threads.
    pub fn new(threads: usize) -> Workshop {
        Workshop { threads: threads.max(1), runtime: None }
    }

    fn open(&mut self) -> Result<&Runtime> {
        if self.runtime.is_none() {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let built = builder.worker_threads(self.threads).thread_stack_size(STACK).enable_all().build();
            self.runtime = Some(built.map_err(|error| Error::Lake(format!("no threads for queries: {error}")))?);
        }
        self.runtime.as_ref().ok_or_else(|| Error::Lake("no threads for queries".into()))
    }

    /// Leaves the threads to what they do: an interrupted query ends when it next comes to a batch, and nobody waits for it.
    fn abandon(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.abandon();
    }
}

/// Runs a statement, writes its result where `show` says, and its size and time on stderr.
pub async fn answer(
    engine: &Engine,
    sql: &str,
    values: &Values,
    show: &Show,
    workshop: &mut Workshop,
) -> Result<Ending> {
    let started = Instant::now();
    let mut destination = Destination::open(show.output.as_deref())?;
    let runtime = workshop.open()?;
    let done = tokio::select! {
        done = write(engine, sql, values, show, runtime, &mut destination) => Some(done?),
        _ = tokio::signal::ctrl_c() => None,
    };
    let Some(written) = done else {
        workshop.abandon();
        eprintln!("interrupted");
        return Ok(Ending::Interrupted);
    };
    destination.commit()?;
    if !show.quiet {
        let rows = if written.rows == 1 { "row" } else { "rows" };
        let file = show.output.as_ref().map(|path| format!(" to {}", escape::terminal(&path.to_string_lossy())));
        eprintln!("{} {rows}{} in {:.3} s", written.rows, file.unwrap_or_default(), started.elapsed().as_secs_f64());
    }
    Ok(Ending::Done)
}

async fn write(
    engine: &Engine,
    sql: &str,
    values: &Values,
    show: &Show,
    runtime: &Runtime,
    to: &mut Destination,
) -> Result<Written> {
    let frame = engine.sql_with(sql, values).await?;
    let explains = matches!(frame.logical_plan(), LogicalPlan::Explain(_) | LogicalPlan::Analyze(_));
    let schema = frame.schema().inner().clone();
    let batches = Running::start(frame, runtime);
    if explains && show.format == Format::Table {
        return write_plan(batches, to).await;
    }
    let terminal = to.is_terminal();
    let page = Page {
        terminal,
        width: terminal.then(width).flatten(),
        rows: (terminal && show.rows > 0 && show.format == Format::Table).then_some(show.rows),
    };
    outputs::stream(batches, schema, show.format, to, &page).await
}

/// Width of the terminal.
fn width() -> Option<usize> {
    comfy_table::Table::new().width().map(usize::from).filter(|width| *width > 0)
}

/// A plan has lines of its own: they are shown as such.
async fn write_plan(mut batches: Running, to: &mut Destination) -> Result<Written> {
    let mut written = Written::default();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                let Some(text) = column.as_string_opt::<i32>() else { continue };
                for line in text.value(row).lines() {
                    writeln!(to, "{}", escape::terminal(line))
                        .map_err(|error| Error::Output(format!("the plan cannot be written: {error}")))?;
                }
            }
        }
        written.rows += batch.num_rows() as u64;
    }
    Ok(written)
}

/// A query that runs as a task of its own, so that Ctrl-C is heard while it computes. Dropping it ends the query.
struct Running {
    batches: mpsc::Receiver<Result<RecordBatch>>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    fn start(frame: DataFrame, runtime: &Runtime) -> Running {
        let (send, batches) = mpsc::channel(WAITING);
        let work = async move {
            let mut stream = match frame.execute_stream().await {
                Ok(stream) => stream,
                Err(error) => {
                    let _ = send.send(Err(execution_error(error))).await;
                    return;
                }
            };
            while let Some(batch) = stream.next().await {
                if send.send(batch.map_err(execution_error)).await.is_err() {
                    break;
                }
            }
        };
        let task = runtime.spawn(work);
        Running { batches, task }
    }
}

impl futures::Stream for Running {
    type Item = Result<RecordBatch>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.batches.poll_recv(context)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
