//! Publishing: rows and the record of the objects that they came from become visible together, once.
//!
//! A Delta commit is atomic for one table, and an ingest touches several. So the commit to `objects` decides: it names,
//! in its commit information, the files that belong to the other tables ("pending"). Those are committed right after,
//! each with the version of `objects` as its transaction number. A process that dies in between leaves a pending list
//! that the next ingest finishes; the transaction number makes doing it twice harmless. Ingests of two processes exclude
//! each other, because a commit to `objects` is only accepted on the version that it was prepared on.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties, TransactionError};
use deltalake_core::kernel::{Action, Add, Transaction};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use deltalake_core::table::state::DeltaTableState;
use deltalake_core::{DeltaTable, DeltaTableError};
use serde_json::Value;

use super::objects::OBJECTS;
use super::pinned::Pinned;
use super::seen::seen_objects;
use super::{Known, Lake, Part, provider};
use crate::error::{Error, Result, chain};
use crate::table::{DATE, Table};

/// Transaction id of ingests in the Delta logs.
const INGEST: &str = "trailhound-ingest";
/// Key of the pending files in the commit information of `objects`.
const PENDING: &str = "trailhoundPending";

/// An ingest in progress: what the lake has, and the only way to add to it.
#[derive(Debug)]
pub struct Journal {
    tables: HashMap<&'static str, Pinned>,
    seen: HashSet<u128>,
    known: HashMap<&'static str, Known>,
    span: i64,
    /// True from when events are asked about until they are published to the end.
    unfinished: bool,
}

impl Journal {
    /// `span`: microseconds of event time whose identities are read together.
    pub(super) async fn open(lake: &Lake, span: i64) -> Result<Journal> {
        let mut tables = lake.open_all().await?;
        finish_pending(&mut tables).await?;
        Ok(Journal { tables, seen: HashSet::new(), known: HashMap::new(), span, unfinished: false })
    }

    /// Takes in what others published since it was opened, and forgets events that were asked about and not published.
    pub async fn refresh(&mut self) -> Result<()> {
        if self.unfinished {
            self.known.clear();
        }
        let before = version(&self.tables, &OBJECTS)?;
        for pinned in self.tables.values_mut() {
            pinned.reload().await?;
        }
        if self.unfinished || version(&self.tables, &OBJECTS)? != before {
            finish_pending(&mut self.tables).await?;
            self.unfinished = false;
            self.known.clear();
        }
        Ok(())
    }

    /// Makes [`Journal::has_seen`] answer for these objects.
    pub async fn look_for(&mut self, uris: &[&str]) -> Result<()> {
        self.seen = seen_objects(&pinned(&self.tables, &OBJECTS)?.delta, uris).await?;
        Ok(())
    }

    /// True when this object, which was looked for, was read in this state before.
    pub fn has_seen(&self, fingerprint: u128) -> bool {
        self.seen.contains(&fingerprint)
    }

    /// Identities of the events in a table: those of the lake, and those that were asked about since.
    pub fn known(&mut self, table: &'static Table) -> Result<&mut Known> {
        self.unfinished = true;
        match self.known.entry(table.name) {
            Entry::Occupied(known) => Ok(known.into_mut()),
            Entry::Vacant(place) => {
                let stored = provider::Snapshot::identities(table, &pinned(&self.tables, table)?.delta)?;
                Ok(place.insert(Known::new(stored, self.span)))
            }
        }
    }

    /// A table as of the last publish or refresh.
    pub(super) fn delta(&self, table: &'static Table) -> Result<&DeltaTable> {
        Ok(&pinned(&self.tables, table)?.delta)
    }

    /// Tables, in no order.
    pub(super) fn tables(&self) -> impl Iterator<Item = &'static Table> {
        self.tables.values().map(|pinned| pinned.table)
    }

    /// Makes files and the record of their objects visible: all, or nothing.
    ///
    /// [`Error::Conflict`] means that another ingest was faster; begin again, because it may have stored the same events.
    /// After any error, what was decided is finished by [`Journal::refresh`], which comes before anything else, or by the
    /// next journal.
    pub async fn publish(&mut self, parts: &[Part], objects: &[Part], fingerprints: &[u128]) -> Result<()> {
        let mut pending: HashMap<&str, Vec<Add>> = HashMap::new();
        for part in parts {
            pending.entry(part.table().name).or_default().push(part.add());
        }
        let text = serde_json::to_value(&pending).map_err(|e| failed(&OBJECTS, &e))?;
        let decisive = pinned_mut(&mut self.tables, &OBJECTS)?;
        let version = decisive.delta.version().map_or(0, |v| v as i64) + 1;
        let properties = CommitProperties::default()
            .with_max_retries(0)
            .with_application_transaction(Transaction::new(INGEST, version))
            .with_metadata([(PENDING.to_owned(), text)]);
        let state = commit(decisive, added(objects), properties).await?;
        self.unfinished = true;
        decisive.take(state).await?;
        for (name, adds) in pending {
            apply(&mut self.tables, name, adds, version).await?;
        }
        self.unfinished = false;
        self.seen.extend(fingerprints);
        for known in &mut self.known {
            let at = self.tables.get(known.0).ok_or(Error::Conflict)?;
            known.1.published(provider::Snapshot::identities(at.table, &at.delta)?);
        }
        Ok(())
    }

    /// Takes files out of a table of records and puts others in, unless somebody else changed it meanwhile
    /// ([`Error::Conflict`]). `removed` are paths as the table's log spells them.
    pub async fn replace(&mut self, table: &'static Table, removed: &HashSet<String>, parts: &[Part]) -> Result<()> {
        let at = pinned_mut(&mut self.tables, table)?;
        let mut actions: Vec<Action> = Vec::new();
        for file in at.delta.snapshot().map_err(|e| failed(table, &e))?.log_data().iter() {
            if removed.contains(file.path().as_ref()) {
                actions.push(Action::Remove(file.remove_action(true)));
            }
        }
        if actions.len() < removed.len() {
            return Err(Error::Conflict);
        }
        actions.extend(parts.iter().map(|part| Action::Add(part.add())));
        if actions.is_empty() {
            return Ok(());
        }
        match commit(at, actions, CommitProperties::default().with_max_retries(0)).await {
            Ok(state) => at.take(state).await,
            Err(error) => {
                at.reload().await?;
                Err(error)
            }
        }
    }
}

fn added(parts: &[Part]) -> Vec<Action> {
    parts.iter().map(|part| Action::Add(part.add())).collect()
}

/// Commits what the last ingest published and did not live to commit.
async fn finish_pending(tables: &mut HashMap<&'static str, Pinned>) -> Result<()> {
    let objects = pinned(tables, &OBJECTS)?;
    let version = objects.delta.version().unwrap_or_default();
    let entry = objects.delta.log_store().read_commit_entry(version).await.map_err(|e| failed(&OBJECTS, &e))?;
    let Some(entry) = entry else { return Ok(()) };
    for line in entry.split(|&b| b == b'\n') {
        let Ok(action) = serde_json::from_slice::<Value>(line) else { continue };
        let Some(pending) = action.get("commitInfo").and_then(|info| info.get(PENDING)) else { continue };
        let pending: HashMap<String, Vec<Add>> =
            serde_json::from_value(pending.clone()).map_err(|e| failed(&OBJECTS, &e))?;
        for (name, adds) in pending {
            apply(tables, &name, adds, version as i64).await?;
        }
    }
    Ok(())
}

/// Commits files to a table unless an ingest of this or a later number already did.
async fn apply(tables: &mut HashMap<&'static str, Pinned>, name: &str, adds: Vec<Add>, version: i64) -> Result<()> {
    let Some(at) = tables.get_mut(name) else {
        return Err(Error::Lake(format!(
            "the lake has files of a table {name} that this version does not know; use a newer Trailhound"
        )));
    };
    let table = at.table;
    loop {
        let state = at.delta.snapshot().map_err(|e| failed(table, &e))?;
        let done =
            state.transaction_version(at.delta.log_store().as_ref(), INGEST).await.map_err(|e| failed(table, &e))?;
        if done.is_some_and(|done| done >= version) {
            return Ok(());
        }
        let properties = CommitProperties::default().with_application_transaction(Transaction::new(INGEST, version));
        match commit(at, adds.iter().cloned().map(Action::Add).collect(), properties).await {
            Ok(state) => return at.take(state).await,
            Err(Error::Conflict) => at.reload().await?,
            Err(error) => return Err(error),
        }
    }
}

/// Commits; returns the state of the table after it. Expired versions are left to [`Pinned`]: looking for them lists the
/// whole log, and a commit would be said to have failed when only that did.
async fn commit(table: &Pinned, actions: Vec<Action>, properties: CommitProperties) -> Result<DeltaTableState> {
    let state = table.delta.snapshot().map_err(|e| failed(table.table, &e))?;
    let operation =
        DeltaOperation::Write { mode: SaveMode::Append, partition_by: Some(vec![DATE.to_owned()]), predicate: None };
    let outcome = CommitBuilder::from(properties.with_cleanup_expired_logs(Some(false)))
        .with_actions(actions)
        .build(Some(state), table.delta.log_store(), operation)
        .await;
    match outcome {
        Ok(committed) => Ok(committed.snapshot()),
        Err(DeltaTableError::Transaction {
            source:
                TransactionError::CommitConflict(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::VersionAlreadyExists(_),
        }) => Err(Error::Conflict),
        // Others went on for so long that the log no longer has the version that this was prepared on.
        Err(DeltaTableError::InvalidVersion(_)) => Err(Error::Conflict),
        Err(error) => Err(failed(table.table, &error)),
    }
}

fn version(tables: &HashMap<&'static str, Pinned>, table: &'static Table) -> Result<u64> {
    Ok(pinned(tables, table)?.delta.version().unwrap_or_default())
}

fn pinned<'a>(tables: &'a HashMap<&'static str, Pinned>, table: &'static Table) -> Result<&'a Pinned> {
    tables.get(table.name).ok_or_else(|| missing(table))
}

fn pinned_mut<'a>(tables: &'a mut HashMap<&'static str, Pinned>, table: &'static Table) -> Result<&'a mut Pinned> {
    tables.get_mut(table.name).ok_or_else(|| missing(table))
}

fn missing(table: &Table) -> Error {
    Error::Lake(format!("table {} is not part of this lake", table.name))
}

fn failed(table: &Table, error: &dyn std::error::Error) -> Error {
    Error::Lake(format!("cannot commit to table {} of the lake: {}", table.name, chain(error)))
}
