//! JSON: an array of objects, or an object per line. JSON columns of the logs stay text.

use std::io::{self, Write};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::{Encoder, Hidden, Page, cell};

struct Json<'a> {
    to: &'a mut (dyn Write + Send),
    keys: Vec<String>,
    array: bool,
    rows: u64,
}

pub(super) fn array<'a>(
    schema: SchemaRef,
    to: &'a mut (dyn Write + Send),
    _: &Page,
) -> io::Result<Box<dyn Encoder + 'a>> {
    to.write_all(b"[")?;
    Ok(encoder(schema, to, true))
}

pub(super) fn lines<'a>(
    schema: SchemaRef,
    to: &'a mut (dyn Write + Send),
    _: &Page,
) -> io::Result<Box<dyn Encoder + 'a>> {
    Ok(encoder(schema, to, false))
}

fn encoder<'a>(schema: SchemaRef, to: &'a mut (dyn Write + Send), array: bool) -> Box<dyn Encoder + 'a> {
    let key = |name: &str| {
        let mut quoted = String::new();
        cell::quote(name, &mut quoted);
        quoted
    };
    let keys = schema.fields().iter().map(|field| key(field.name())).collect();
    Box::new(Json { to, keys, array, rows: 0 })
}

impl Encoder for Json<'_> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = cell::columns(batch);
        let mut line = String::new();
        for row in 0..batch.num_rows() {
            line.clear();
            if self.array {
                line.push_str(if self.rows == 0 { "\n" } else { ",\n" });
            }
            line.push('{');
            for (index, (key, column)) in self.keys.iter().zip(&columns).enumerate() {
                if index > 0 {
                    line.push(',');
                }
                line.push_str(key);
                line.push(':');
                cell::json(column, row, &mut line);
            }
            line.push('}');
            if !self.array {
                line.push('\n');
            }
            self.to.write_all(line.as_bytes())?;
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self, _hidden: Hidden) -> io::Result<()> {
        if self.array {
            self.to.write_all(if self.rows == 0 { b"]\n" } else { b"\n]\n" })?;
        }
        self.to.flush()
    }
}
