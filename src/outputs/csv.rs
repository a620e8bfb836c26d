//! CSV (RFC 4180) with a header; text that a spreadsheet would run gets a leading apostrophe.

use std::io::{self, Write};

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;

use super::{Encoder, Hidden, Page, cell, escape};

struct Csv<'a> {
    to: &'a mut (dyn Write + Send),
    terminal: bool,
}

pub(super) fn encoder<'a>(
    schema: SchemaRef,
    to: &'a mut (dyn Write + Send),
    page: &Page,
) -> io::Result<Box<dyn Encoder + 'a>> {
    let names: Vec<String> = schema.fields().iter().map(|field| shown(field.name(), page.terminal)).collect();
    writeln!(to, "{}", names.join(","))?;
    Ok(Box::new(Csv { to, terminal: page.terminal }))
}

impl Encoder for Csv<'_> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = cell::columns(batch);
        let (mut line, mut value) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    line.push(',');
                }
                value.clear();
                cell::text(column, row, &mut value);
                match value.is_empty() && column.is_valid(row) {
                    true => line.push_str("\"\""), // empty text is not null
                    false => line.push_str(&shown(&value, self.terminal)),
                }
            }
            line.push('\n');
            self.to.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(&mut self, _hidden: Hidden) -> io::Result<()> {
        self.to.flush()
    }
}

fn shown(text: &str, terminal: bool) -> String {
    match terminal {
        true => escape::csv(&escape::terminal(text)).into_owned(),
        false => escape::csv(text).into_owned(),
    }
}
