//! Records of objects in a lake, for tests that publish.

use trailhound::lake::objects::{OBJECTS, ObjectRow, batch, fingerprint};
use trailhound::lake::{Lake, Part};

/// A stored file with the record of one object, and the object's fingerprint.
pub async fn record(lake: &Lake, uri: &str) -> (Part, u128) {
    let row = ObjectRow { uri: uri.to_owned(), version: "1".to_owned(), ..ObjectRow::default() };
    let mut writer = lake.writer(&OBJECTS, Default::default());
    writer.push(&batch(&[row], 1_790_000_000_000_000, "run").unwrap().into(), &[(20_000, 0)]);
    let mut part = writer.drain().remove(0).encode().unwrap().file.close().unwrap();
    lake.store(&mut part).await.unwrap();
    (part, fingerprint(uri, "1"))
}
