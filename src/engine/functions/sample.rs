//! `sample(text)`: up to 50 distinct values of a group, the same ones in every run.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, ListBuilder, StringBuilder};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::on_text::Texts;
use super::{Build, Function, FunctionDoc};

/// Enough to look at every event of a small group, few enough to keep a finding readable.
const LIMIT: usize = 50;

pub(super) static SAMPLE: Function = Function {
    doc: FunctionDoc {
        name: "sample",
        syntax: "sample(value)",
        about: "Aggregate: the 50 smallest distinct values of the group as a sorted list of text, nulls left out; null when there \
                are none. The same rows always give the same list, in whatever order and on however many machines.",
        example: "SELECT sample(key) FROM (VALUES ('b'), ('a'), (NULL), ('b')) AS t(key)",
        result: r#"["a","b"]"#,
    },
    build: || {
        Build::Aggregate(AggregateUDF::new_from_impl(Sample {
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    },
};

fn list_type() -> DataType {
    DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Sample {
    signature: Signature,
}

impl AggregateUDFImpl for Sample {
    fn name(&self) -> &str {
        "sample"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [value] = take_function_args(self.name(), types)?;
        if value.is_nested() {
            return plan_err!("sample takes text or numbers, not {value}");
        }
        Ok(vec![DataType::Utf8])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(list_type())
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(format!("{}[values]", args.name), list_type(), true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Smallest::default()))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Groups::default()))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// Bytes that the set of a group takes for its first value: a node has room for eleven.
const NODE: usize = 11 * size_of::<String>() + 16;

/// The smallest values so far.
#[derive(Debug, Default)]
struct Smallest {
    values: BTreeSet<String>,
    bytes: usize,
}

impl Smallest {
    fn add(&mut self, value: &str) {
        let full = self.values.len() >= LIMIT;
        if full && self.values.last().is_some_and(|largest| value >= largest.as_str()) {
            return;
        }
        if self.values.contains(value) {
            return;
        }
        self.bytes += value.len() + if self.values.is_empty() { NODE } else { size_of::<String>() };
        self.values.insert(value.to_owned());
        if full && let Some(dropped) = self.values.pop_last() {
            self.bytes -= dropped.len() + size_of::<String>();
        }
    }

    fn add_all(&mut self, values: &ArrayRef) -> Result<()> {
        let values = cast(values, &DataType::Utf8)?;
        Texts::of(&values)?.iter().flatten().for_each(|value| self.add(value));
        Ok(())
    }

    fn list(&self) -> Result<ScalarValue> {
        if self.values.is_empty() {
            return ScalarValue::try_from(&list_type());
        }
        let values: Vec<ScalarValue> = self.values.iter().map(|v| ScalarValue::Utf8(Some(v.clone()))).collect();
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &DataType::Utf8)))
    }
}

impl Accumulator for Smallest {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        values.first().map_or(Ok(()), |values| self.add_all(values))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else { return Ok(()) };
        for row in (0..lists.len()).filter(|row| lists.is_valid(*row)) {
            self.add_all(&lists.value(row))?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.list()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.list()
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }
}

/// The smallest values so far of every group of a query.
#[derive(Debug, Default)]
struct Groups {
    groups: Vec<Smallest>,
    bytes: usize,
}

impl Groups {
    fn add(&mut self, group: usize, value: &str) {
        let Some(values) = self.groups.get_mut(group) else { return };
        let before = values.bytes;
        values.add(value);
        self.bytes = (self.bytes + values.bytes).saturating_sub(before);
    }

    fn lists(&mut self, emit_to: EmitTo) -> ArrayRef {
        let mut lists = ListBuilder::new(StringBuilder::new());
        for group in emit_to.take_needed(&mut self.groups) {
            self.bytes = self.bytes.saturating_sub(group.bytes);
            group.values.iter().for_each(|value| lists.values().append_value(value));
            lists.append(!group.values.is_empty());
        }
        Arc::new(lists.finish())
    }
}

impl GroupsAccumulator for Groups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize_with(total_num_groups, Smallest::default);
        let Some(values) = values.first() else { return Ok(()) };
        let values = cast(values, &DataType::Utf8)?;
        for (row, (value, group)) in Texts::of(&values)?.iter().zip(group_indices).enumerate() {
            let counts = opt_filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let Some(value) = value.filter(|_| counts) {
                self.add(*group, value);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.lists(emit_to))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.lists(emit_to)])
    }

    fn merge_batch(&mut self, states: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.groups.resize_with(total_num_groups, Smallest::default);
        let Some(lists) = states.first().and_then(|state| state.as_list_opt::<i32>()) else { return Ok(()) };
        for (row, group) in group_indices.iter().enumerate().filter(|(row, _)| lists.is_valid(*row)) {
            let values = cast(&lists.value(row), &DataType::Utf8)?;
            Texts::of(&values)?.iter().flatten().for_each(|value| self.add(*group, value));
        }
        Ok(())
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut alone = Groups::default();
        let rows = values.first().map_or(0, |values| values.len());
        alone.update_batch(values, &(0..rows).collect::<Vec<usize>>(), opt_filter, rows)?;
        alone.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.bytes + self.groups.capacity() * size_of::<Smallest>()
    }
}
