//! `ip_in(ip, cidr)`: is the address in a range, or in one of several?

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::utils::take_function_args;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

use super::on_text::{Texts, over, text_type};
use super::{Build, Function, FunctionDoc};
use crate::engine::address::{self, Ranges};

pub(super) static IP_IN: Function = Function {
    doc: FunctionDoc {
        name: "ip_in",
        syntax: "ip_in(ip, cidr) or ip_in(ip, [cidr, ...])",
        about: "True when the IPv4 or IPv6 address is in the range, or in one of a list of ranges; a single address is a range \
                too. Null for text that is not an address, so neither `ip_in` nor `NOT ip_in` keeps service names.",
        example: "SELECT ip_in('10.20.30.40', ['192.0.2.0/24', '10.0.0.0/8'])",
        result: "true",
    },
    build: || {
        Build::Scalar(ScalarUDF::new_from_impl(IpIn { signature: Signature::user_defined(Volatility::Immutable) }))
    },
};

#[derive(Debug, PartialEq, Eq, Hash)]
struct IpIn {
    signature: Signature,
}

impl ScalarUDFImpl for IpIn {
    fn name(&self) -> &str {
        "ip_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [ip, ranges] = take_function_args(self.name(), types)?;
        let ranges = match ranges {
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                if !matches!(item.data_type(), DataType::Null) && text_type(self.name(), item.data_type()).is_err() {
                    return plan_err!("ip_in takes a list of text, not of {}", item.data_type());
                }
                DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)))
            }
            other => text_type(self.name(), other).map(|_| DataType::Utf8)?,
        };
        Ok(vec![text_type(self.name(), ip)?, ranges])
    }

    fn return_type(&self, _types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let [ips, ranges] = take_function_args(self.name(), args.args)?;
        let ranges = match ranges {
            ColumnarValue::Scalar(value) => value,
            ColumnarValue::Array(array) => {
                return each_its_own(&ips.into_array(rows)?, &array).map(ColumnarValue::Array);
            }
        };
        let Some(ranges) = constant(&ranges)? else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        over(ips, |ips| members(ips, &ranges))
    }
}

/// Ranges that are the same for every row, read once per batch. A range that cannot be read is an error: it is a typing
/// mistake, and silence would look like "no match".
fn constant(value: &ScalarValue) -> Result<Option<Ranges>> {
    let texts = match value {
        ScalarValue::List(list) if list.is_valid(0) => list.value(0),
        _ if value.is_null() => return Ok(None),
        text => text.to_array_of_size(1)?,
    };
    let texts = cast(&texts, &DataType::Utf8)?;
    let mut ranges = Ranges::default();
    for text in Texts::of(&texts)?.iter().flatten() {
        if !ranges.add(text) {
            return exec_err!(
                "ip_in: {text:?} is not an address range; write 192.0.2.0/24, 2001:db8::/32 or one address"
            );
        }
    }
    Ok(Some(ranges))
}

fn members(ips: &ArrayRef, ranges: &Ranges) -> Result<ArrayRef> {
    if let Some(dictionary) = ips.as_any_dictionary_opt() {
        let values = members(dictionary.values(), ranges)?;
        return Ok(take(&values, dictionary.keys(), None)?);
    }
    let holds = |ip: &str| address::parse(ip).map(|address| ranges.contains(address));
    Ok(Arc::new(Texts::of(ips)?.iter().map(|ip| ip.and_then(holds)).collect::<BooleanArray>()))
}

/// Each address against the ranges of its own row; ranges that cannot be read make null, because they are data.
fn each_its_own(ips: &ArrayRef, ranges: &ArrayRef) -> Result<ArrayRef> {
    let ips = cast(ips, &DataType::Utf8)?;
    let ips = Texts::of(&ips)?;
    let mut result = Vec::with_capacity(ips.len());
    for row in 0..ips.len() {
        let own = match ranges.data_type() {
            _ if ranges.is_null(row) => None,
            DataType::List(_) => Some(ranges.as_list::<i32>().value(row)),
            _ => Some(ranges.slice(row, 1)),
        };
        let (Some(own), Some(address)) = (own, ips.get(row).and_then(address::parse)) else {
            result.push(None);
            continue;
        };
        let mut set = Ranges::default();
        let readable = Texts::of(&own)?.iter().flatten().all(|text| set.add(text));
        result.push(readable.then(|| set.contains(address)));
    }
    Ok(Arc::new(BooleanArray::from(result)))
}
