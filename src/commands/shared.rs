//! Arguments that several commands take, and how they become rooms.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::config::{self, Config};
use crate::detect::{Rule, Shelf, Tuning, Verdict};
use crate::engine::{Engine, Prices, Settings};
use crate::error::{Error, Result};
use crate::intake::{Intake, Options};
use crate::lake::Lake;
use crate::pipeline::{self, Ingest};

/// Where the lake is and what may be used.
#[derive(Debug, Clone, Args)]
pub struct LakeArguments {
    /// Folder or s3://bucket/prefix of the lake [default: ./trailhound-lake]
    #[arg(long, env = "TRAILHOUND_LAKE", value_name = "PLACE", help_heading = "Lake and limits")]
    pub lake: Option<String>,
    /// Configuration file [default: trailhound.toml, when there is one]
    #[arg(long, value_name = "FILE", help_heading = "Lake and limits")]
    pub config: Option<PathBuf>,
    /// Threads [default: all cores]
    #[arg(long, value_name = "N", help_heading = "Lake and limits")]
    pub threads: Option<usize>,
    /// Memory for queries, and for rows that wait for their file [default: 1GiB]
    #[arg(long, value_name = "SIZE", help_heading = "Lake and limits")]
    pub memory: Option<String>,
}

/// Which logs are read, and how.
#[derive(Debug, Clone, Args)]
pub struct IntakeArguments {
    /// Files, folders, globs, - for standard input, or s3://bucket/prefix; log types are told apart by content
    #[arg(value_name = "LOGS")]
    pub logs: Vec<String>,
    /// First instant: 2026-10-01T00:00:00Z, 2026-10-01, or 7d for seven days ago
    #[arg(long, value_name = "TIME", value_parser = config::parse_instant)]
    pub since: Option<DateTime<Utc>>,
    /// First instant after the range, in the same forms
    #[arg(long, value_name = "TIME", value_parser = config::parse_instant)]
    pub until: Option<DateTime<Utc>>,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Pay for requests to requester-pays buckets
    #[arg(long)]
    pub requester_pays: bool,
    /// Exit with 3 when anything could not be read
    #[arg(long)]
    pub strict: bool,
}

/// How large an object may be.
#[derive(Debug, Clone, Args)]
pub struct LimitArguments {
    /// Largest object after decompression; larger ones go to quarantine [default: 512MiB]
    #[arg(long, value_name = "SIZE", help_heading = "Lake and limits")]
    pub max_object_size: Option<String>,
}

/// Which rules judge.
#[derive(Debug, Clone, Args)]
pub struct RuleArguments {
    /// Folder with rules of your own; they win over built-in rules of the same id
    #[arg(long, value_name = "FOLDER")]
    pub rules: Option<PathBuf>,
    /// Judge only these rules or families; a chain brings the rules that it is made of
    #[arg(long = "rule", value_name = "ID")]
    pub only: Vec<String>,
}

/// What the terminal gets.
#[derive(Debug, Clone, Args)]
pub struct TalkArguments {
    /// Say nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

impl LakeArguments {
    /// The configuration file that applies.
    pub fn load_config(&self) -> Result<Config> {
        Config::load(self.config.as_deref())
    }

    /// Location of the lake.
    pub fn place(&self, config: &Config) -> String {
        self.lake.clone().or_else(|| config.lake.clone()).unwrap_or_else(|| config::DEFAULT_LAKE.to_owned())
    }

    /// Opens the lake, whether or not anything was written to it.
    pub async fn open(&self, config: &Config) -> Result<Lake> {
        pipeline::open_lake(&self.place(config)).await
    }

    /// Opens a lake that must exist.
    pub async fn open_existing(&self, config: &Config) -> Result<Lake> {
        let lake = self.open(config).await?;
        if !lake.exists().await? {
            return Err(Error::Usage(format!(
                "there is no lake at {}; make one with `trailhound ingest LOGS`, or point --lake at one",
                self.place(config)
            )));
        }
        Ok(lake)
    }

    /// Threads and memory.
    pub fn settings(&self, config: &Config) -> Result<Settings> {
        let default = Settings::default();
        let threads = self.threads.or(config.threads).unwrap_or(default.threads).max(1);
        let memory = match self.memory.as_ref().or(config.memory.as_ref()) {
            Some(text) => config::parse_bytes(text).map_err(Error::Usage)? as usize,
            None => default.memory,
        };
        Ok(Settings { threads, memory })
    }
}

impl IntakeArguments {
    /// The intake that these arguments describe.
    pub fn intake(&self, config: &Config) -> Result<Intake> {
        Ok(Intake::new(Options {
            since: self.since,
            until: self.until,
            requester_pays: self.requester_pays,
            limit: self.limits.limit(config)?,
            ..Options::default()
        }))
    }
}

impl LimitArguments {
    /// How an ingest runs.
    pub fn ingest(&self, config: &Config, settings: &Settings, run_id: &str) -> Result<Ingest> {
        Ok(Ingest {
            threads: settings.threads,
            memory: settings.memory / WAITING_SHARE,
            limit: self.limit(config)?,
            publish_rows: pipeline::PUBLISH_ROWS,
            run_id: run_id.to_owned(),
        })
    }

    /// Bytes that an object may have after decompression.
    fn limit(&self, config: &Config) -> Result<u64> {
        match self.max_object_size.as_ref().or(config.max_object_size.as_ref()) {
            Some(text) => config::parse_bytes(text).map_err(Error::Usage),
            None => Ok(Options::default().limit),
        }
    }
}

/// The rules of a run.
pub struct Chosen {
    /// Those that judge: the built-in ones, the user's on top, parameters from the configuration, limited to `--rule`.
    pub rules: Vec<Rule>,
    /// The verdicts of those that the configuration switches off.
    pub off: Vec<Verdict>,
    /// What the configuration takes out of the findings.
    pub tuning: Tuning,
    /// What the user should know about them.
    pub notes: Vec<String>,
}

impl RuleArguments {
    /// The rules that these arguments and the configuration ask for.
    pub fn choose(&self, config: &Config) -> Result<Chosen> {
        let shelf = Shelf::load(self.rules.as_deref().or(config.rules.as_deref()), &config.params)?;
        let asked = shelf.select_with_steps(&self.only)?;
        let tuning = Tuning::read(config, shelf.rules())?;
        let (rules, off) = tuning.switched_on(asked);
        Ok(Chosen { rules, off, tuning, notes: shelf.notes().to_vec() })
    }
}

/// Part of the memory that rows may take while they wait. As many are being encoded on each thread, beside what is being
/// decoded; and with 64 MiB of a GiB, one busy day already fills it, so that the peak is that of any archive.
const WAITING_SHARE: usize = 16;

/// A bar on a terminal, nothing elsewhere.
pub fn progress(talk: &TalkArguments, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0);
    if talk.quiet || !std::io::stderr().is_terminal() {
        bar.set_draw_target(ProgressDrawTarget::hidden());
        return bar;
    }
    let style = ProgressStyle::with_template("{msg} {wide_bar} {human_pos}/{human_len} objects, {per_sec}, {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// An engine over the lake that the arguments name.
pub async fn open_engine(arguments: &LakeArguments) -> Result<Engine> {
    let config = arguments.load_config()?;
    let lake = arguments.open_existing(&config).await?;
    Engine::with_prices(arguments.settings(&config)?, lake.providers().await?, prices(&config)?).await
}

/// The list of prices that the configuration names, or else the built-in one.
pub fn prices(config: &Config) -> Result<Prices> {
    config.prices.as_deref().map_or_else(Prices::built_in, Prices::load)
}

/// A new id for a run.
pub fn run_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
