//! What a follower remembers between starts: how far rules have seen the lake, and where they have to look again.
//!
//! It lies in the lake beside the tables. An old one does no harm: what was judged since is judged again, with the same
//! findings under the same ids.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::watermark::Stream;
use crate::error::{Error, Result};
use crate::lake::{Lake, Position};

/// Name of the note in the lake.
const NAME: &str = "follow.json";
/// Form of the note. Another form is not read.
const FORM: u32 = 1;

/// What is remembered.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Memo {
    form: u32,
    /// Up to where rules have seen the tables.
    pub position: Position,
    /// Streams and their newest events.
    pub streams: Vec<(Stream, DateTime<Utc>)>,
    /// Rule id -> first and last minute (since 1970) of spans to look at again.
    pub revisits: BTreeMap<String, Vec<(i64, i64)>>,
}

impl Memo {
    /// What is to be remembered.
    pub fn new(
        position: Position,
        streams: Vec<(Stream, DateTime<Utc>)>,
        revisits: BTreeMap<String, Vec<(i64, i64)>>,
    ) -> Memo {
        Memo { form: FORM, position, streams, revisits }
    }

    /// What the last follower of this lake knew; nothing when there was none.
    pub async fn load(lake: &Lake) -> Result<Memo> {
        let Some(text) = lake.read_note(NAME).await? else { return Ok(Memo::default()) };
        let memo: Memo = serde_json::from_slice(&text).map_err(|e| {
            Error::Lake(format!(
                "the note {NAME} of {} is broken ({e}); delete it: the lake is judged anew",
                lake.name()
            ))
        })?;
        if memo.form != FORM {
            return Err(Error::Lake(format!("the note {NAME} of {} is of another version of Trailhound", lake.name())));
        }
        Ok(memo)
    }

    /// Keeps it.
    pub async fn save(&self, lake: &Lake) -> Result<()> {
        let text = serde_json::to_vec(self).map_err(|e| Error::Lake(format!("cannot write {NAME}: {e}")))?;
        lake.write_note(NAME, text).await
    }
}
