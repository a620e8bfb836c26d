//! The engine: the one place that builds a DataFusion session with our tables, views and SQL functions.

pub mod address;
pub mod among;
pub mod arn;
mod catalog;
pub mod compact;
mod dialect;
mod first_rows;
mod firsts;
pub mod functions;
mod grouped_windows;
mod leaves;
mod nested;
mod precedence;
mod prices;
pub mod queries;
pub mod reduction;
pub mod regexes;
pub mod repeats;
mod session;
mod sorted_joins;
mod spelling;
mod spilling;
pub mod stored;
mod suggest;
mod tokens;
pub mod views;
pub mod window;

use std::sync::{Arc, PoisonError};

use datafusion::arrow::array::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::datasource::MemTable;
use datafusion::execution::context::SessionContext;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::DataFrame;

pub use prices::Prices;
pub use session::Settings;
use spelling::Names;
pub use spilling::spilling;
pub use suggest::execution_error;
pub use tokens::{Value, Values};
use views::Keeping;
pub use window::Window;

use crate::error::{Error, Result};
use crate::table::Table;

/// Tables, views and functions, ready for SQL. What it shows does not change while it lives.
pub struct Engine {
    context: SessionContext,
    tables: Vec<(&'static Table, Arc<dyn TableProvider>)>,
    names: Names,
    settings: Settings,
    prices: Prices,
    keeping: Keeping,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("tables", &self.tables.len()).finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine over stored tables. Providers have the schema of [`Table::schema`] and the partition column `date`.
    pub async fn new(settings: Settings, tables: Vec<(&'static Table, Arc<dyn TableProvider>)>) -> Result<Engine> {
        Engine::with_prices(settings, tables, Prices::built_in()?).await
    }

    /// The same with another list of prices.
    pub async fn with_prices(
        settings: Settings,
        tables: Vec<(&'static Table, Arc<dyn TableProvider>)>,
        prices: Prices,
    ) -> Result<Engine> {
        let runtime = session::runtime(&settings)?;
        Engine::build(settings, runtime, tables, prices, None)
    }

    /// An engine over batches in memory, in the schema of [`Table::schema`]: for a rule's own tests.
    pub async fn in_memory(settings: Settings, tables: Vec<(&'static Table, Vec<RecordBatch>)>) -> Result<Engine> {
        let mut providers: Vec<(&'static Table, Arc<dyn TableProvider>)> = Vec::new();
        for (table, batches) in tables {
            let dated = batches.iter().map(window::with_date).collect::<Result<Vec<_>>>()?;
            let provider = MemTable::try_new(window::dated_schema(table), vec![dated]).map_err(sql_error)?;
            providers.push((table, Arc::new(provider)));
        }
        Engine::new(settings, providers).await
    }

    /// The same tables, each shown as the rows of `window` with a boolean column `fresh`.
    pub async fn windowed(&self, window: &Window) -> Result<Engine> {
        let (settings, runtime) = (self.settings.clone(), self.context.runtime_env());
        Engine::build(settings, runtime, self.tables.clone(), self.prices.clone(), Some(window))
    }

    /// The same tables, each read through what `replace` makes of its provider.
    pub async fn with_providers(
        &self,
        mut replace: impl FnMut(&'static Table, Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>>,
    ) -> Result<Engine> {
        let mut tables = Vec::with_capacity(self.tables.len());
        for (table, provider) in &self.tables {
            tables.push((*table, replace(table, provider.clone())?));
        }
        let (settings, runtime) = (self.settings.clone(), self.context.runtime_env());
        Engine::build(settings, runtime, tables, self.prices.clone(), None)
    }

    fn build(
        settings: Settings,
        runtime: Arc<RuntimeEnv>,
        tables: Vec<(&'static Table, Arc<dyn TableProvider>)>,
        prices: Prices,
        window: Option<&Window>,
    ) -> Result<Engine> {
        let (context, catalog) = session::context(&settings, runtime)?;
        for (table, provider) in &tables {
            nested::present(&context, &catalog, table, provider.clone(), window)?;
        }
        prices.register(&context)?;
        let keeping = views::register(&catalog, window);
        let names = Names::of(tables.iter().map(|(table, _)| *table));
        Ok(Engine { context, tables, names, settings, prices, keeping })
    }

    /// Its tables hold other rows now: what it keeps of them is found again. For tests of rules, which take turns on an engine.
    pub fn forget(&self) {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|view| view.forget());
    }

    /// Plans a read-only query. Anything that would write, create, drop or change settings is refused.
    pub async fn sql(&self, sql: &str) -> Result<DataFrame> {
        self.sql_with(sql, &Values::new()).await
    }

    /// The same with values for `$name` in the query.
    pub async fn sql_with(&self, sql: &str, values: &Values) -> Result<DataFrame> {
        let plan = self.plan(sql, values).await?;
        self.context.execute_logical_plan(plan).await.map_err(sql_error)
    }

    /// The plan of a read-only query as typed, before the optimizer: AWS spelling in any form is fine.
    pub async fn plan(&self, sql: &str, values: &Values) -> Result<LogicalPlan> {
        let tables: Vec<&'static Table> = self.tables().collect();
        dialect::plan(&self.context, &tables, &self.names, sql, values).await
    }

    /// Names of the tables and views that queries can use, sorted.
    pub fn table_names(&self) -> Vec<String> {
        suggest::table_names(&self.context)
    }

    /// The session behind it, for listings and shells.
    pub fn context(&self) -> &SessionContext {
        &self.context
    }

    /// The list of prices that the view `prices` shows.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What it may use.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tables of this engine.
    pub fn tables(&self) -> impl Iterator<Item = &'static Table> {
        self.tables.iter().map(|(table, _)| *table)
    }
}

/// A DataFusion error as ours: the message without its kind prefix and backtrace.
pub fn sql_error(error: datafusion::error::DataFusionError) -> Error {
    Error::Sql(error.strip_backtrace())
}
