//! The tables behind views: queries of ours find them by name, and no list shows them.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::Result;
use datafusion::execution::context::SessionContext;

use super::sql_error;
use crate::error::{self, Error};

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

/// Makes the session keep stored tables out of lists, such as that of `SHOW TABLES`. Before the first table is registered.
pub fn hide(context: &SessionContext) -> error::Result<()> {
    let state = context.state();
    let names = &state.config_options().catalog;
    let catalog = context.catalog(&names.default_catalog);
    let catalog = catalog.ok_or_else(|| Error::Lake("the query engine has no default catalog".into()))?;
    catalog.register_schema(&names.default_schema, Arc::new(Shown::default())).map_err(sql_error)?;
    Ok(())
}

/// Tables by name, of which lists show those that are not stored ones.
#[derive(Debug, Default)]
struct Shown {
    tables: MemorySchemaProvider,
}

#[async_trait]
impl SchemaProvider for Shown {
    fn table_names(&self) -> Vec<String> {
        self.tables.table_names().into_iter().filter(|name| !is_stored(name)).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.table(name).await
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.tables.table_exist(name)
    }
}
