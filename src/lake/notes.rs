//! Small notes beside the tables, replaced as a whole.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Lake, tables};
use crate::error::{Error, Result, chain};

/// Folder of the notes below the root of a lake. Readers of Delta tables do not look into it.
const FOLDER: &str = "_trailhound/";

impl Lake {
    /// The note of this name, if there is one.
    pub async fn read_note(&self, name: &str) -> Result<Option<Bytes>> {
        let failed = |e| Error::Lake(format!("cannot read the note {name} of {}: {}", self.name(), chain(&e)));
        match self.notes()?.get(&Path::from(name)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Replaces the note of this name: readers see the old one or the new one.
    pub async fn write_note(&self, name: &str, text: Vec<u8>) -> Result<()> {
        let written = self.notes()?.put(&Path::from(name), text.into()).await;
        written
            .map(|_| ())
            .map_err(|e| Error::Lake(format!("cannot write the note {name} of {}: {}", self.name(), chain(&e))))
    }

    fn notes(&self) -> Result<Arc<dyn ObjectStore>> {
        let url =
            self.root.join(FOLDER).map_err(|e| Error::Lake(format!("{} has no place for notes: {e}", self.name())))?;
        tables::folder(&url).map_err(|e| Error::Lake(format!("cannot use {url}: {}", chain(&e))))
    }
}
