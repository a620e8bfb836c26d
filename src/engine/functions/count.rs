//! `count(DISTINCT text)` with one table for all groups of a query; all other counts are the library's.
//!
//! DataFusion's own makes a table for each group, some kilobytes even for one value. Rules count distinct ids by caller and
//! minute, which makes hundreds of thousands of groups.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array, ListArray, UInt64Array};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::compute::{filter, is_not_null, take};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Schema, UInt64Type};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::execution::context::SessionContext;
use datafusion::functions_aggregate::count::count_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, StatisticsArgs,
};
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

/// Puts it in the place of the library's.
pub fn register(context: &SessionContext) {
    context.register_udaf(AggregateUDF::new_from_impl(Count(count_udaf())));
}

/// The library's `count`, but for distinct texts of groups.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Count(Arc<AggregateUDF>);

/// The type of the texts, where it is texts of groups that are counted once each.
fn texts(args: &AccumulatorArgs) -> Option<DataType> {
    let [field] = args.expr_fields else { return None };
    let is_ours = args.is_distinct && field.data_type().is_string();
    is_ours.then(|| field.data_type().clone())
}

impl AggregateUDFImpl for Count {
    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        texts(&args).is_some() || self.0.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        match texts(&args) {
            Some(text) => Ok(Box::new(Distinct::of(text)?)),
            None => self.0.create_groups_accumulator(args),
        }
    }

    fn name(&self) -> &str {
        self.0.name()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.0.return_type(types)
    }

    fn is_nullable(&self) -> bool {
        self.0.is_nullable()
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.0.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.0.accumulator(args)
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.0.create_sliding_accumulator(args)
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        self.0.reverse_udf()
    }

    fn default_value(&self, of: &DataType) -> Result<ScalarValue> {
        self.0.default_value(of)
    }

    fn value_from_stats(&self, args: &StatisticsArgs) -> Option<ScalarValue> {
        self.0.value_from_stats(args)
    }

    fn set_monotonicity(&self, of: &DataType) -> SetMonotonicity {
        self.0.inner().set_monotonicity(of)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

/// The distinct texts of every group of a query.
struct Distinct {
    /// Numbers of groups, each with each of its texts once.
    pairs: Box<dyn GroupValues>,
    /// The pairs when they were taken out of their table, until more come: groups go a few at a time where rows are in order.
    left: Option<(UInt64Array, ArrayRef)>,
    /// By group.
    counts: Vec<i64>,
    /// Where the rows of a batch are among the pairs: kept for its memory.
    places: Vec<usize>,
}

impl Distinct {
    fn of(text: DataType) -> Result<Distinct> {
        let group = Field::new("group", DataType::UInt64, false);
        let schema = Arc::new(Schema::new(vec![group, Field::new("text", text, false)]));
        let pairs = new_group_values(schema, &GroupOrdering::None)?;
        Ok(Distinct { pairs, left: None, counts: Vec::new(), places: Vec::new() })
    }

    /// Adds texts, none null, each to the group of its row.
    fn add(&mut self, groups: UInt64Array, texts: ArrayRef) -> Result<()> {
        if let Some((groups, texts)) = self.left.take() {
            self.pairs.intern(&[Arc::new(groups), texts], &mut self.places)?;
        }
        let before = self.pairs.len();
        let groups: ArrayRef = Arc::new(groups);
        self.pairs.intern(&[groups.clone(), texts], &mut self.places)?;
        // A new pair may be in several rows of the batch.
        let mut new = vec![None; self.pairs.len() - before];
        for (place, group) in self.places.iter().zip(groups.as_primitive::<UInt64Type>().values()) {
            if let Some(new) = place.checked_sub(before).and_then(|place| new.get_mut(place)) {
                *new = Some(*group);
            }
        }
        for group in new.into_iter().flatten() {
            if let Some(count) = self.counts.get_mut(group as usize) {
                *count += 1;
            }
        }
        Ok(())
    }

    /// Takes groups out, the first ones: their counts, and the pairs, some of which may be those of later groups.
    fn emit(&mut self, emit_to: EmitTo) -> Result<(Vec<i64>, UInt64Array, ArrayRef)> {
        let counts = emit_to.take_needed(&mut self.counts);
        let (groups, texts) = match self.left.take() {
            Some(left) => left,
            None => self.taken()?,
        };
        let emitted = counts.len() as u64;
        let stays: BooleanArray = groups.values().iter().map(|group| Some(*group >= emitted)).collect();
        if stays.has_true() {
            let left = filter(&groups, &stays)?;
            let left = left.as_primitive::<UInt64Type>().unary::<_, UInt64Type>(|group| group - emitted);
            self.left = Some((left, filter(&texts, &stays)?));
        }
        Ok((counts, groups, texts))
    }

    /// The pairs, out of their table.
    fn taken(&mut self) -> Result<(UInt64Array, ArrayRef)> {
        let pairs = self.pairs.emit(EmitTo::All)?;
        // Else it knows hashes of pairs that it has no more.
        self.pairs.clear_shrink(0);
        match pairs.as_slice() {
            [groups, texts] => Ok((groups.as_primitive::<UInt64Type>().clone(), texts.clone())),
            _ => internal_err!("pairs of a group and a text have two columns"),
        }
    }
}

/// One list for each of `counts`: the texts of that group.
fn lists(counts: &[i64], groups: &UInt64Array, texts: &ArrayRef) -> Result<ListArray> {
    let mut ends: Vec<usize> = Vec::with_capacity(counts.len());
    let mut total = 0;
    for count in counts {
        ends.push(total);
        total += usize::try_from(*count).unwrap_or_default();
    }
    // Texts stand in the order of their groups, and those of a group in that in which they came.
    let mut order = vec![0; total];
    for (row, group) in groups.values().iter().enumerate() {
        let Some(end) = ends.get_mut(*group as usize) else { continue };
        if let Some(place) = order.get_mut(*end) {
            *place = row as u64;
        }
        *end += 1;
    }
    let texts = take(texts, &UInt64Array::from(order), None)?;
    list_array(counts.iter().map(|count| usize::try_from(*count).unwrap_or_default()), texts)
}

/// Lists of the lengths, one after the other.
fn list_array(lengths: impl ExactSizeIterator<Item = usize>, texts: ArrayRef) -> Result<ListArray> {
    if i32::try_from(texts.len()).is_err() {
        return exec_err!("more distinct texts than a list can hold: {}", texts.len());
    }
    let field = Arc::new(Field::new_list_field(texts.data_type().clone(), true));
    Ok(ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), texts, None)?)
}

/// The rows that count.
fn counted(texts: &ArrayRef, opt_filter: Option<&BooleanArray>) -> Result<BooleanArray> {
    let Some(filter) = opt_filter else { return Ok(is_not_null(texts)?) };
    let counts = |row| texts.is_valid(row) && filter.is_valid(row) && filter.value(row);
    Ok((0..texts.len()).map(|row| Some(counts(row))).collect())
}

impl GroupsAccumulator for Distinct {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.counts.resize(total_num_groups, 0);
        let [texts] = values else { return internal_err!("count(DISTINCT text) takes one text") };
        let groups: UInt64Array = group_indices.iter().map(|group| *group as u64).collect();
        let counted = counted(texts, opt_filter)?;
        if !counted.has_false() {
            return self.add(groups, texts.clone());
        }
        let groups = filter(&groups, &counted)?;
        self.add(groups.as_primitive::<UInt64Type>().clone(), filter(texts, &counted)?)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let (counts, ..) = self.emit(emit_to)?;
        Ok(Arc::new(Int64Array::from(counts)))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (counts, groups, texts) = self.emit(emit_to)?;
        Ok(vec![Arc::new(lists(&counts, &groups, &texts)?)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.counts.resize(total_num_groups, 0);
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else {
            return internal_err!("the state of count(DISTINCT text) is a list");
        };
        let offsets = lists.offsets();
        let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else { return Ok(()) };
        let texts = lists.values().slice(*first as usize, (last - first) as usize);
        let lengths = offsets.lengths();
        let groups = lengths.zip(group_indices).flat_map(|(length, group)| std::iter::repeat_n(*group as u64, length));
        self.add(groups.collect(), texts)
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let [texts] = values else { return internal_err!("count(DISTINCT text) takes one text") };
        let counted = counted(texts, opt_filter)?;
        let lengths: Vec<usize> = counted.values().iter().map(usize::from).collect();
        Ok(vec![Arc::new(list_array(lengths.into_iter(), filter(texts, &counted)?)?)])
    }

    fn size(&self) -> usize {
        let rows = self.counts.capacity() + self.places.capacity();
        let size_of_left =
            |(groups, texts): &(UInt64Array, ArrayRef)| groups.get_array_memory_size() + texts.get_array_memory_size();
        let left = self.left.as_ref().map_or(0, size_of_left);
        size_of_val(self) + self.pairs.size() + left + rows * size_of::<i64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::arrow::array::{LargeStringArray, StringArray, StringViewArray};
    use datafusion::arrow::datatypes::Int64Type;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// Rows of a batch: group, text, and whether a filter lets it count.
    type Rows = Vec<(usize, Option<&'static str>, Option<bool>)>;

    const GROUPS: usize = 5;

    /// Long texts are kept in another way than short ones.
    const TEXTS: [Option<&str>; 6] = [
        None,
        Some(""),
        Some("a"),
        Some("b"),
        Some("a text of more than twelve bytes"),
        Some("a text of more than twelve words"),
    ];

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Update,
        /// Through the state of another accumulator, as from another thread.
        Merge,
        /// Through a state of each row, as when grouping on each thread is given up.
        Convert,
    }

    fn rows() -> impl Strategy<Value = Rows> {
        prop::collection::vec((0..GROUPS, select(&TEXTS), select(&[Some(true), Some(true), Some(false), None])), 0..20)
    }

    fn batch(rows: &Rows, of: &DataType) -> (Vec<ArrayRef>, Vec<usize>, BooleanArray) {
        let texts = rows.iter().map(|(_, text, _)| *text);
        let texts: ArrayRef = match of {
            DataType::Utf8 => Arc::new(texts.collect::<StringArray>()),
            DataType::LargeUtf8 => Arc::new(texts.collect::<LargeStringArray>()),
            _ => Arc::new(texts.collect::<StringViewArray>()),
        };
        (
            vec![texts],
            rows.iter().map(|(group, ..)| *group).collect(),
            rows.iter().map(|(.., counts)| *counts).collect(),
        )
    }

    fn take_step(step: Step, rows: &Rows, into: &mut Distinct, of: &DataType) {
        let (texts, groups, filter) = batch(rows, of);
        let state = match step {
            Step::Update => return into.update_batch(&texts, &groups, Some(&filter), GROUPS).expect("counted"),
            Step::Convert => into.convert_to_state(&texts, Some(&filter)).expect("a state"),
            Step::Merge => {
                let mut other = Distinct::of(of.clone()).expect("an accumulator");
                other.update_batch(&texts, &groups, Some(&filter), GROUPS).expect("counted");
                let state = other.state(EmitTo::All).expect("a state");
                return into.merge_batch(&state, &(0..GROUPS).collect::<Vec<_>>(), GROUPS).expect("merged");
            }
        };
        into.merge_batch(&state, &groups, GROUPS).expect("merged");
    }

    proptest! {
        #[test]
        fn texts_of_a_group_count_once_however_they_come(
            batches in prop::collection::vec((select(&[Step::Update, Step::Merge, Step::Convert]), rows()), 0..6),
            of in select(&[DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View]),
            first in 0..=GROUPS,
            second in 0..=GROUPS,
        ) {
            let mut distinct = Distinct::of(of.clone()).expect("an accumulator");
            distinct.update_batch(&batch(&Vec::new(), &of).0, &[], None, GROUPS).expect("no rows");
            let mut expected: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); GROUPS];
            for (step, rows) in &batches {
                take_step(*step, rows, &mut distinct, &of);
                for (group, text, _) in rows.iter().filter(|(.., counts)| *counts == Some(true)) {
                    expected[*group].extend(text);
                }
            }
            let mut counts: Vec<i64> = Vec::new();
            // Those that stay are counted on, under their new numbers.
            for emit_to in [EmitTo::First(first), EmitTo::First(second.min(GROUPS - first)), EmitTo::First(0), EmitTo::All] {
                let is_first = counts.is_empty() && emit_to == EmitTo::First(first);
                let emitted = distinct.evaluate(emit_to).expect("counts");
                counts.extend(emitted.as_primitive::<Int64Type>().values());
                if is_first && counts.len() < GROUPS {
                    let rows: Rows = (first..GROUPS).map(|group| (group - first, Some("late"), Some(true))).collect();
                    let (texts, groups, _) = batch(&rows, &of);
                    distinct.update_batch(&texts, &groups, None, GROUPS - first).expect("counted");
                    expected[first..].iter_mut().for_each(|texts| { texts.insert("late"); });
                }
            }
            prop_assert_eq!(counts, expected.iter().map(|texts| texts.len() as i64).collect::<Vec<_>>());
            prop_assert!(distinct.pairs.is_empty() && distinct.left.is_none());
        }
    }
}
