//! Views over the tables: one SQL file and one line here for each; comments document the columns.

mod kept;

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::catalog::SchemaProvider;
use datafusion::prelude::DataFrame;

pub use kept::{KEPT, Kept};

use super::Window;
use super::catalog::{Catalog, Make};

/// A view.
#[derive(Debug)]
pub struct View {
    /// Name in SQL.
    pub name: &'static str,
    /// One sentence: what a row is.
    pub about: &'static str,
    /// Tables that it reads: without them it is not registered.
    pub tables: &'static [&'static str],
    /// True when it is computed once for all queries of an engine: for few rows that many rules want and that take long to find.
    /// It tells what the log is like, not what happened, and has no `fresh`.
    pub kept: bool,
    /// Its query. A line that mentions `fresh` is left out where the tables have no such column.
    sql: &'static str,
}

/// Every view, sorted by name.
pub static VIEWS: &[View] = &[
    View {
        name: "accounts",
        about: "An account, and since when its CloudTrail log is there.",
        tables: &["cloudtrail"],
        kept: true,
        sql: include_str!("accounts.sql"),
    },
    View {
        name: "assumed",
        about: "A request for temporary credentials: who asked, for which role, and the access key that came of it.",
        tables: &["cloudtrail"],
        kept: false,
        sql: include_str!("assumed.sql"),
    },
    View {
        name: "cloudtrail_logs",
        about: "The table `cloudtrail` under the name that Athena's documentation gives it.",
        tables: &["cloudtrail"],
        kept: false,
        sql: "SELECT * FROM cloudtrail",
    },
    View {
        name: "guardrail_hits",
        about: "One detection of a guardrail in a model invocation.",
        tables: &["bedrock"],
        kept: false,
        sql: include_str!("guardrail_hits.sql"),
    },
    View {
        name: "invocations",
        about: "A model call as CloudTrail saw it (who, from where, with which key), with what the invocation log knows of it.",
        tables: &["cloudtrail", "bedrock"],
        kept: false,
        sql: include_str!("invocations.sql"),
    },
    View {
        name: "prices",
        about: "What a model on Amazon Bedrock costs on demand, by the list that is built in or that the configuration names.",
        tables: &[],
        kept: false,
        sql: include_str!("prices.sql"),
    },
    View {
        name: "sessions",
        about: "Everything that one access key did under one identity, in one row.",
        tables: &["cloudtrail"],
        kept: false,
        sql: include_str!("sessions.sql"),
    },
    View {
        name: "timeline",
        about: "One event of any log, in one shape for all.",
        tables: &["cloudtrail", "bedrock", "vpcflow"],
        kept: false,
        sql: include_str!("timeline.sql"),
    },
    View {
        name: "toolcalls",
        about: "One tool that a model asked to be called.",
        tables: &["bedrock"],
        kept: false,
        sql: include_str!("toolcalls.sql"),
    },
    View {
        name: "vpc_flow_logs",
        about: "The table `vpcflow` under the name that Athena's documentation gives it.",
        tables: &["vpcflow"],
        kept: false,
        sql: "SELECT * FROM vpcflow",
    },
];

/// True for the name of a view that tells what the log is like, not what happened.
pub fn is_kept(name: &str) -> bool {
    VIEWS.iter().any(|view| view.kept && view.name == name)
}

/// Views that keep rows, of those that a session has planned.
pub type Keeping = Arc<Mutex<Vec<Arc<Kept>>>>;

/// Adds every view whose tables are there. `window` says whether the tables carry `fresh`. Returns those that keep rows, as
/// soon as they do.
pub fn register(catalog: &Catalog, window: Option<&Window>) -> Keeping {
    let keeping = Keeping::default();
    for view in VIEWS {
        if view.tables.iter().all(|table| catalog.table_exist(table)) {
            let keeping = keeping.clone();
            let make: Make = if view.kept {
                Box::new(move |query| {
                    let kept = Arc::new(Kept::new(query));
                    keeping.lock().unwrap_or_else(PoisonError::into_inner).push(kept.clone());
                    kept
                })
            } else {
                Box::new(DataFrame::into_view)
            };
            catalog.add_view(view.name, view.text(window.is_some()), make);
        }
    }
    keeping
}

impl View {
    /// The query, with or without the column `fresh`.
    pub fn text(&self, windowed: bool) -> String {
        let lines: Vec<&str> = self.sql.lines().filter(|line| windowed || !line.contains("fresh")).collect();
        lines.join("\n")
    }

    /// Columns with their meaning, as the query's comments give it; none for a view that only renames a table.
    pub fn columns(&self) -> Vec<(&'static str, &'static str)> {
        let mut columns: Vec<(&str, &str)> = Vec::new();
        for line in self.sql.lines() {
            let Some((code, doc)) = line.split_once(" -- ") else { continue };
            let Some(name) = code.trim_end_matches([',', ' ']).rsplit([' ', '.']).next() else { continue };
            if !columns.iter().any(|(known, _)| *known == name) {
                columns.push((name, doc.trim()));
            }
        }
        columns
    }
}
