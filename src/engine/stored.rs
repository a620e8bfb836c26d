//! Names of the tables behind views: queries of ours find them, and no list shows them.

/// How names of tables begin that are there for a view over them.
pub const PREFIX: &str = "_stored_";

/// The name of what is stored of the table `name`.
pub fn name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// True for a name of [`name`].
pub fn is_stored(name: &str) -> bool {
    name.starts_with(PREFIX)
}
