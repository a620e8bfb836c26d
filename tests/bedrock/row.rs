//! Decodes one record and shows the row as compact JSON: columns that are null are left out.

use datafusion::arrow::array::{
    Array, AsArray, Float64Array, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use serde_json::{Map, Value, json};
use trailhound::logs::bedrock::{self, BEDROCK};
use trailhound::logs::rows::{Batch, Rows};
use trailhound::logs::{Bodies, NoBodies};

/// A record of a call to `model`, with these bodies; a null body is left out.
pub fn record(operation: &str, model: &str, input: Value, output: Value) -> Value {
    let mut record = json!({
        "schemaType": "ModelInvocationLog",
        "schemaVersion": "1.0",
        "timestamp": "2026-10-01T12:00:00Z",
        "accountId": "111122223333",
        "identity": { "arn": "arn:aws:sts::111122223333:assumed-role/app/session" },
        "region": "us-east-1",
        "requestId": "7d0c1e6a-0000-4000-8000-000000000001",
        "operation": operation,
        "modelId": model,
        "input": { "inputContentType": "application/json" },
        "output": { "outputContentType": "application/json" },
    });
    if !input.is_null() {
        record["input"]["inputBodyJson"] = input;
    }
    if !output.is_null() {
        record["output"]["outputBodyJson"] = output;
    }
    record
}

/// Decodes one record that has to give exactly one row.
pub fn decode_with(record: &str, bodies: &dyn Bodies) -> Result<Batch, String> {
    let mut rows = Rows::new(BEDROCK.table);
    let outcome = bedrock::decode(&mut rows, 7, record, "s3://logs/key.json.gz", bodies);
    match outcome {
        Ok(()) => {
            assert_eq!(rows.len(), 1, "a decoded record gives one row");
            Ok(rows.take("s3://logs/key.json.gz").expect("one row"))
        }
        Err(reason) => {
            assert!(rows.take("x").is_none(), "a refused record gives no row");
            Err(reason)
        }
    }
}

/// The row of a record without bodies of their own.
pub fn row(record: &Value) -> Value {
    shown(&decode_with(&record.to_string(), &NoBodies).expect("a row"))
}

/// Columns that say how the record was made rather than what it says are left out, to keep snapshots readable.
pub fn normal_form(record: &Value) -> Value {
    let mut row = row(record);
    for column in ["time", "_object", "_record", "schemaversion", "requestid", "accountid", "region", "identity_arn"] {
        row.as_object_mut().expect("an object").remove(column);
    }
    for column in ["input_contenttype", "output_contenttype", "promptsha256", "systemsha256", "modelid", "operation"] {
        row.as_object_mut().expect("an object").remove(column);
    }
    row
}

/// The first row of a batch.
pub fn shown(batch: &Batch) -> Value {
    let mut row = Map::new();
    let rows = batch.stored();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let value = value(column.as_ref(), 0);
        if !value.is_null() {
            row.insert(field.name().clone(), value);
        }
    }
    Value::Object(row)
}

fn value(array: &dyn Array, index: usize) -> Value {
    if array.is_null(index) {
        return Value::Null;
    }
    let any = array.as_any();
    if let Some(texts) = any.downcast_ref::<StringArray>() {
        return texts.value(index).into();
    }
    if let Some(numbers) = any.downcast_ref::<Int64Array>() {
        return numbers.value(index).into();
    }
    if let Some(numbers) = any.downcast_ref::<Int32Array>() {
        return numbers.value(index).into();
    }
    if let Some(numbers) = any.downcast_ref::<Float64Array>() {
        return numbers.value(index).into();
    }
    if let Some(times) = any.downcast_ref::<TimestampMicrosecondArray>() {
        return times.value(index).into();
    }
    if let Some(list) = array.as_list_opt::<i32>() {
        let items = list.value(index);
        return (0..items.len()).map(|item| value(items.as_ref(), item)).collect();
    }
    let items = array.as_struct();
    let mut shown = Map::new();
    for (name, column) in items.column_names().into_iter().zip(items.columns()) {
        let value = value(column.as_ref(), index);
        if !value.is_null() {
            shown.insert(name.to_owned(), value);
        }
    }
    Value::Object(shown)
}
