//! `min(time)` of each group: files are passed over that can tell nothing earlier than what is known of their groups.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{HashMap, Result, ScalarValue, internal_err};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, FileSource, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::aggregates::AggregateExec;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, replace_children_if_necessary};
use datafusion::physical_plan::metrics::{Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    ChildrenPropertiesMode, DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties,
    ReplaceChildrenOptions, execute_stream,
};
use futures::{StreamExt, stream};
use tokio::sync::mpsc::Sender;

use crate::lake::values::{Texts, texts};

/// Files that are read at first: those of about a day. With as few, there is nothing to pass over.
const FIRST_FILES: usize = 8;
/// Files whose dictionaries are read at a time: from a bucket, each takes a while.
const DICTIONARIES: usize = 32;
/// Groups whose first times are remembered, some megabytes. With more, few files have known ones alone.
const MOST_GROUPS: usize = 1 << 16;

/// Puts a [`FirstsExec`] between a scan and the first times of its groups.
///
/// Since when there are logs of an account is told by the first files that have it. Where dictionaries tell which accounts
/// the later ones have, these need not be read.
#[derive(Debug)]
pub struct Firsts;

impl PhysicalOptimizerRule for Firsts {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| match FirstsExec::below(&node) {
            Some(firsts) => replace_children_if_necessary(node, vec![Arc::new(firsts)]).map(Transformed::yes),
            None => Ok(Transformed::no(node)),
        })
        .data()
    }

    fn name(&self) -> &str {
        "Firsts"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Rows of a scan, without files that have no first row of a group.
#[derive(Debug)]
struct FirstsExec {
    walk: Arc<Walk>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

/// A scan, file after file.
#[derive(Debug, Clone)]
struct Walk {
    scan: Arc<dyn ExecutionPlan>,
    /// Columns of the scan: the group, and the time.
    group: usize,
    time: usize,
    /// By a time that none of their rows is before: microseconds since 1970 UTC.
    files: Vec<(i64, PartitionedFile)>,
    readers: Arc<dyn ParquetFileReaderFactory>,
    /// Name of the group's column in the files.
    column: String,
}

/// Group -> its first time so far.
type Known = HashMap<Option<String>, i64>;

impl FirstsExec {
    /// One for the input of `node`, when all that `node` wants is first times of its groups.
    fn below(node: &Arc<dyn ExecutionPlan>) -> Option<FirstsExec> {
        let aggregate = node.downcast_ref::<AggregateExec>()?;
        let ([(group, _)], [function]) = (aggregate.group_expr().expr(), aggregate.aggr_expr()) else { return None };
        let arguments = function.expressions();
        let [time] = arguments.as_slice() else { return None };
        let is_filtered = aggregate.filter_expr().iter().any(Option::is_some);
        if !aggregate.group_expr().is_single() || function.fun().name() != "min" || is_filtered {
            return None;
        }
        let (group, time) = (group.downcast_ref::<Column>()?.index(), time.downcast_ref::<Column>()?.index());
        Some(FirstsExec::new(Walk::over(aggregate.input().clone(), group, time)?))
    }

    fn new(walk: Walk) -> FirstsExec {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(walk.scan.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        FirstsExec { walk: Arc::new(walk), properties: Arc::new(properties), metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for FirstsExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: by {}", self.name(), self.walk.column)
    }
}

impl ExecutionPlan for FirstsExec {
    fn name(&self) -> &'static str {
        "FirstsExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.walk.scan]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let [scan] = children.as_slice() else { return internal_err!("first times are of one scan") };
        Ok(Arc::new(FirstsExec::new(Walk { scan: scan.clone(), ..self.walk.as_ref().clone() })))
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(children, ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("first times are looked for in one partition");
        }
        let passed_over = MetricBuilder::new(&self.metrics).counter("files_passed_over", partition);
        let mut rows = RecordBatchReceiverStreamBuilder::new(self.schema(), 2);
        rows.spawn(self.walk.clone().read(context, passed_over, rows.tx()));
        Ok(rows.build())
    }
}

impl Walk {
    /// One over a scan of the lake, where more than a few files say when they begin.
    fn over(scan: Arc<dyn ExecutionPlan>, group: usize, time: usize) -> Option<Walk> {
        let schema = scan.schema();
        let is_text = *schema.fields().get(group)?.data_type() == DataType::Utf8View;
        let is_time = matches!(schema.fields().get(time)?.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _));
        let (config, source) = scan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>()?;
        let stored = |column: usize| source.projection()?.as_ref().get(column)?.expr.downcast_ref::<Column>().cloned();
        let (group_stored, time_stored) = (stored(group)?, stored(time)?);
        let (column, readers) = (group_stored.name().to_owned(), source.parquet_file_reader_factory()?.clone());
        let mut files = Vec::new();
        for file in config.file_groups.iter().flat_map(FileGroup::iter) {
            let times = file.statistics.as_ref()?.column_statistics.get(time_stored.index())?;
            let Some(ScalarValue::TimestampMicrosecond(Some(begin), _)) = times.min_value.get_value() else {
                return None;
            };
            files.push((*begin, file.clone()));
        }
        if !is_text || !is_time || config.limit.is_some() || files.len() <= FIRST_FILES {
            return None;
        }
        files.sort_by_key(|(begin, _)| *begin);
        Some(Walk { scan, group, time, files, readers, column })
    }

    /// Hands out the rows: while nothing is passed over, of more files each time, so that all are soon read side by side.
    async fn read(
        self: Arc<Self>,
        context: Arc<TaskContext>,
        passed_over: Count,
        rows: Sender<Result<RecordBatch>>,
    ) -> Result<()> {
        let mut known = Known::new();
        let mut most = FIRST_FILES;
        let mut taken = 0;
        let mut files = stream::iter(0..self.files.len()).map(|place| self.clone().file(place)).buffered(DICTIONARIES);
        while known.len() <= MOST_GROUPS {
            let mut next = Vec::new();
            let before = passed_over.value();
            while next.len() < most
                && let Some(file) = files.next().await
            {
                taken += 1;
                let Some((begin, file, texts)) = file else { continue };
                let is_known = |text: &Option<String>| known.get(text).is_some_and(|first| *first <= begin);
                if texts.is_some_and(|texts| texts.iter().all(is_known)) {
                    passed_over.add(1);
                } else {
                    next.push(file);
                }
            }
            if next.is_empty() {
                return Ok(());
            }
            let is_all_needed = !known.is_empty() && passed_over.value() == before;
            most = if is_all_needed { most * 2 } else { FIRST_FILES };
            let mut batches = execute_stream(self.scan_of(next, &context)?, context.clone())?;
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                if known.len() <= MOST_GROUPS {
                    self.note(&batch, &mut known)?;
                }
                // Nobody wants more.
                if rows.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
            }
        }
        drop((files, known));
        let rest = self.files.iter().skip(taken).map(|(_, file)| file.clone()).collect();
        let mut batches = execute_stream(self.scan_of(rest, &context)?, context)?;
        while let Some(batch) = batches.next().await
            && rows.send(batch).await.is_ok()
        {}
        Ok(())
    }

    /// A file with the time that none of its rows is before, and the texts of the group's column, where it tells.
    async fn file(self: Arc<Self>, place: usize) -> Option<(i64, PartitionedFile, Option<Texts>)> {
        let (begin, file) = self.files.get(place)?;
        // The first ones are read anyway.
        if place < FIRST_FILES {
            return Some((*begin, file.clone(), None));
        }
        let reader = self.readers.create_reader(0, file.clone(), None, &ExecutionPlanMetricsSet::new());
        let texts = match reader {
            Ok(reader) => texts(reader, &self.column).await,
            Err(_) => None,
        };
        Some((*begin, file.clone(), texts))
    }

    /// The same scan of these files alone.
    fn scan_of(&self, files: Vec<PartitionedFile>, context: &TaskContext) -> Result<Arc<dyn ExecutionPlan>> {
        let scan = self.scan.downcast_ref::<DataSourceExec>();
        let Some((config, _)) = scan.and_then(DataSourceExec::downcast_to_file_source::<ParquetSource>) else {
            return internal_err!("first times are looked for in Parquet files");
        };
        let groups = FileGroup::new(files).split_files(context.session_config().target_partitions());
        let config = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
        Ok(DataSourceExec::from_data_source(config))
    }

    fn note(&self, batch: &RecordBatch, known: &mut Known) -> Result<()> {
        let groups = batch.columns().get(self.group).and_then(|column| column.as_string_view_opt());
        let times =
            batch.columns().get(self.time).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let Some((groups, times)) = groups.zip(times) else {
            return internal_err!("first times are of texts, in microseconds");
        };
        let mut firsts: HashMap<Option<&str>, i64> = HashMap::new();
        for (group, time) in groups.iter().zip(times) {
            if let Some(time) = time {
                firsts.entry(group).and_modify(|first| *first = time.min(*first)).or_insert(time);
            }
        }
        for (group, time) in firsts {
            known.entry(group.map(str::to_owned)).and_modify(|first| *first = time.min(*first)).or_insert(time);
        }
        Ok(())
    }
}
