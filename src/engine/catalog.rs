//! Tables and views by name: a view is planned when a query first names it, and stored tables are in no list.
//!
//! A hunt has an engine for each lookback of its rules, and most rules name one or two of all tables and views.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::execution::context::{SessionContext, SessionState};
use datafusion::prelude::DataFrame;
use tokio::sync::OnceCell;

use super::sql_error;
use super::stored::is_stored;
use crate::error::{self, Error};

/// What becomes of a view's planned query.
pub type Make = Box<dyn Fn(DataFrame) -> Arc<dyn TableProvider> + Send + Sync>;

/// Tables and views of a session.
pub struct Catalog {
    tables: MemorySchemaProvider,
    views: Mutex<HashMap<String, Arc<View>>>,
    /// The session, as long as it is there: it holds this catalog, which must not hold it.
    session: Box<dyn Fn() -> Option<SessionState> + Send + Sync>,
}

struct View {
    sql: String,
    make: Make,
    planned: OnceCell<Arc<dyn TableProvider>>,
}

/// Gives the session its tables and views. Before the first of them is registered.
pub fn install(context: &SessionContext) -> error::Result<Arc<Catalog>> {
    let state = context.state_weak_ref();
    let session = Box::new(move || Some(state.upgrade()?.read().clone()));
    let ours = Arc::new(Catalog { tables: MemorySchemaProvider::new(), views: Mutex::default(), session });
    let state = context.state();
    let defaults = &state.config_options().catalog;
    let catalog = context.catalog(&defaults.default_catalog);
    let catalog = catalog.ok_or_else(|| Error::Lake("the query engine has no default catalog".into()))?;
    catalog.register_schema(&defaults.default_schema, ours.clone()).map_err(sql_error)?;
    Ok(ours)
}

impl Catalog {
    /// Adds a view: `make` of its query, when somebody asks for it.
    pub fn add_view(&self, name: &str, sql: String, make: Make) {
        self.views().insert(name.to_owned(), Arc::new(View { sql, make, planned: OnceCell::new() }));
    }

    fn views(&self) -> MutexGuard<'_, HashMap<String, Arc<View>>> {
        self.views.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalog").field("tables", &self.tables).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for Catalog {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.tables.table_names();
        names.extend(self.views().keys().cloned());
        names.retain(|name| !is_stored(name));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let view = self.views().get(name).cloned();
        let Some(view) = view else { return self.tables.table(name).await };
        let planned = view.planned.get_or_try_init(|| async {
            let state = (self.session)().ok_or_else(|| exec_datafusion_err!("the session of a view has ended"))?;
            Ok::<_, DataFusionError>((view.make)(SessionContext::new_with_state(state).sql(&view.sql).await?))
        });
        planned.await.cloned().map(Some)
    }

    fn register_table(&self, name: String, table: Arc<dyn TableProvider>) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.register_table(name, table)
    }

    fn deregister_table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        self.tables.deregister_table(name)
    }

    fn table_exist(&self, name: &str) -> bool {
        self.views().contains_key(name) || self.tables.table_exist(name)
    }
}
