//! `trailhound follow`: keeps a lake and its findings current from live sources.

mod exposition;
mod health;
mod logging;
mod metrics;
mod process;
mod status;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use clap::Args;
use futures::FutureExt;
use tokio::net::TcpListener;

use super::shared::{Chosen, LakeArguments, LimitArguments, RuleArguments, TalkArguments, prices, run_id};
use super::summary;
use crate::config::Config;
use crate::detect;
use crate::error::{Error, Result, grouped};
use crate::intake::arrivals::{Arrivals, Pace};
use crate::intake::{Intake, Options};
use crate::outputs::channels::{Channels, Secret};
use crate::outputs::escape;
use crate::pipeline::follow::{Board, Delays, Follow, Rooms, Standing, follow};

/// Where watchers find it: loopback, and the port that OpenTelemetry gives to Prometheus exporters.
const USUAL_ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9464));

/// Keep a lake and its findings current from live sources
#[derive(Debug, Args)]
#[command(
    after_help = "Every finding is stored in the lake; --output also tells it at once. Rules over single rows answer when the row\narrives; rules over longer spans when their logs are complete, as --watermark says. Stop with Ctrl-C or SIGTERM:\nthe batch in hand is finished, and the next start goes on where this one stopped. One follower per lake.\n\nExamples:\n  trailhound follow https://sqs.us-east-1.amazonaws.com/111122223333/trail-events --output -\n  trailhound follow s3://org-trail/AWSLogs --output https://soc.example.com/hook --watermark cloudtrail=10m\n  trailhound follow ./incoming --once --output findings.ndjson"
)]
pub struct Arguments {
    /// SQS queues of S3 events (URL or ARN), s3://bucket/prefix (listed again and again), or folders
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<String>,
    /// Where new findings go at once: - (stdout), FILE.ndjson, https://... (webhook), or the ARN of an SNS topic
    #[arg(short, long = "output", value_name = "ADDRESS")]
    outputs: Vec<String>,
    /// Judge what is there now to the end, then exit
    #[arg(long)]
    once: bool,
    /// How late events of a log may arrive [default: cloudtrail=15m, bedrock=60m, vpcflow=15m]
    #[arg(long = "watermark", value_name = "LOG=TIME")]
    watermarks: Vec<String>,
    /// Least time between two answers of rules over longer spans
    #[arg(long, value_name = "TIME", default_value = "30s")]
    settle: String,
    /// Time between two listings of an S3 prefix, or of a folder that cannot be watched
    #[arg(long, value_name = "TIME", default_value = "5s")]
    poll: String,
    /// A file is read when it has not changed for this long
    #[arg(long, value_name = "TIME", default_value = "2s")]
    rest: String,
    /// Time between two compactions of the lake's small files; 0s for none
    #[arg(long, value_name = "TIME", default_value = "2m")]
    compact: String,
    /// Address of /metrics, /healthz and /readyz, or none [default: 127.0.0.1:9464; with --once none]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Form of the log on stderr [default: text on a terminal, else json]
    #[arg(long, value_enum)]
    log_format: Option<logging::LogFormat>,
    /// Folder for what outputs still have to deliver [default: trailhound-follow]
    #[arg(long, value_name = "FOLDER", default_value = "trailhound-follow", hide_default_value = true)]
    state: PathBuf,
    /// Key that signs what goes to webhooks
    #[arg(long, env = "TRAILHOUND_WEBHOOK_SECRET", hide_env_values = true, value_name = "KEY")]
    webhook_secret: Option<String>,
    #[command(flatten)]
    rules: RuleArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    lake: LakeArguments,
    #[command(flatten)]
    talk: TalkArguments,
}

/// Runs the command; the number is the exit code.
pub async fn run(arguments: Arguments) -> Result<u8> {
    // From now on: asked to end while it starts, it ends as it would later.
    let stop = stopped().boxed().shared();
    let config = arguments.lake.load_config()?;
    let how = how(&arguments, &config)?;
    let pace = Pace {
        once: arguments.once,
        poll: length("--poll", &arguments.poll)?,
        rest: length("--rest", &arguments.rest)?,
        ..Pace::default()
    };
    let Chosen { rules, tuning, notes, .. } = arguments.rules.choose(&config)?;
    let bar = status::bar(arguments.talk.quiet || arguments.outputs.iter().any(|output| output == "-"));
    logging::start(arguments.log_format, arguments.talk.quiet, &bar)?;
    let listener = listener(&arguments).await?;
    for note in notes {
        tracing::info!("{}", escape::terminal(&note));
    }
    let lake = tokio::select! {
        lake = arguments.lake.open(&config) => lake?,
        () = stop.clone() => return Ok(0),
    };
    let intake = Arc::new(Intake::new(Options { limit: how.ingest.limit, ..Options::default() }));
    let secret = arguments.webhook_secret.as_deref().map(Secret::new);
    let channels = Channels::open(&arguments.outputs, &arguments.state, secret).await?;
    let arrivals = Arrivals::start(intake.clone(), &arguments.sources, pace)?;
    let board = Board::new(Standing::new(Utc::now()));
    let watcher = listener.map(|listener| tokio::spawn(health::serve(listener, board.clone())));
    let line = tokio::spawn(status::keep(board.clone(), bar.clone()));
    let rooms = Rooms { lake, intake, arrivals, channels, rules, tuning };
    let outcome = follow(rooms, &how, &board, stop).await;
    line.abort();
    if let Some(watcher) = watcher {
        watcher.abort();
    }
    bar.finish_and_clear();
    let (total, new) = outcome?;
    if arguments.once && !arguments.talk.quiet {
        let mut screen = std::io::stderr().lock();
        let failed = |e: std::io::Error| Error::Output(e.to_string());
        summary::write(&total, &mut screen).map_err(failed)?;
        writeln!(screen, "Findings  {} new", grouped(new)).map_err(failed)?;
    } else {
        tracing::info!(objects = total.objects, stored = total.stored, findings = new, "ended");
    }
    Ok(0)
}

/// What answers watchers. Only an address that was asked for has to be free.
async fn listener(arguments: &Arguments) -> Result<Option<TcpListener>> {
    match arguments.listen.as_deref() {
        Some("none") => Ok(None),
        Some(text) => {
            let wrong =
                |_| Error::Usage(format!("--listen {text}: write an address and port such as 127.0.0.1:9464, or none"));
            health::bind(text.parse().map_err(wrong)?).await.map(Some)
        }
        None if arguments.once => Ok(None),
        None => match health::bind(USUAL_ADDRESS).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!("no /metrics: {}", escape::terminal(&error.to_string()));
                Ok(None)
            }
        },
    }
}

fn how(arguments: &Arguments, config: &Config) -> Result<Follow> {
    let engine = arguments.lake.settings(config)?;
    let mut delays = Delays::default();
    for text in &arguments.watermarks {
        let wrong = || Error::Usage(format!("--watermark {text}: write cloudtrail=15m, bedrock=1h or vpcflow=15m"));
        let (log, time) = text.split_once('=').ok_or_else(wrong)?;
        let delay = detect::parse_duration(time).ok_or_else(wrong)?;
        if !delays.set(log, delay) {
            return Err(wrong());
        }
    }
    let ingest = arguments.limits.ingest(config, &engine, &run_id())?;
    let (settle, compact) = (length("--settle", &arguments.settle)?, length("--compact", &arguments.compact)?);
    Ok(Follow { once: arguments.once, delays, settle, compact, engine, prices: prices(config)?, ingest })
}

fn length(flag: &str, text: &str) -> Result<Duration> {
    let length = detect::parse_duration(text).and_then(|length| length.to_std().ok());
    length.ok_or_else(|| Error::Usage(format!("{flag} {text}: write a length of time such as 5s, 15m or 1h")))
}

/// Done when the process is asked to end, by Ctrl-C or SIGTERM, from the call on.
#[cfg(unix)]
fn stopped() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::terminate(), SignalKind::interrupt()];
    let signals: Vec<_> = signals.into_iter().filter_map(|kind| signal(kind).ok()).collect();
    async move {
        let waits = signals.into_iter().map(|mut signal| Box::pin(async move { signal.recv().await }));
        let waits: Vec<_> = waits.collect();
        match waits.is_empty() {
            true => std::future::pending().await,
            false => drop(futures::future::select_all(waits).await),
        }
    }
}

/// Done when the process is asked to end, by Ctrl-C.
#[cfg(not(unix))]
fn stopped() -> impl Future<Output = ()> + Send + 'static {
    async { drop(tokio::signal::ctrl_c().await) }
}
