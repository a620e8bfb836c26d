//! A table for eyes: as wide as the terminal; very many columns are shown one below the other.

use std::io::{self, Write};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;

use super::{Encoder, Hidden, Page, cell, escape};

/// Narrower columns say nothing.
const NARROWEST: usize = 8;
/// Widest cell where no terminal says how wide is too wide.
const WIDEST: usize = 200;
/// Rows that are kept to find out how wide columns are; later rows follow the widths of these.
const MEASURED: usize = 1000;
/// Characters kept of a cell before its column's width is known.
const KEPT: usize = 2000;

struct Table<'a> {
    to: &'a mut (dyn Write + Send),
    names: Vec<String>,
    numbers: Vec<bool>,
    width: Option<usize>,
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
    rows: u64,
}

pub(super) fn encoder<'a>(
    schema: SchemaRef,
    to: &'a mut (dyn Write + Send),
    page: &Page,
) -> io::Result<Box<dyn Encoder + 'a>> {
    let names = schema.fields().iter().map(|field| escape::terminal(field.name()).into_owned()).collect();
    let numbers = schema.fields().iter().map(|field| cell::is_number(field.data_type())).collect();
    Ok(Box::new(Table { to, names, numbers, width: page.width, waiting: Vec::new(), widths: None, rows: 0 }))
}

impl Encoder for Table<'_> {
    fn write(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let columns = cell::columns(batch);
        for row in 0..batch.num_rows() {
            let mut cells = Vec::with_capacity(columns.len());
            for column in &columns {
                let mut value = String::new();
                cell::text(column, row, &mut value);
                if let Some((end, _)) = value.char_indices().nth(KEPT) {
                    value.truncate(end);
                }
                cells.push(escape::terminal(&value).into_owned());
            }
            self.waiting.push(cells);
            if self.waiting.len() >= MEASURED {
                self.show()?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, hidden: Hidden) -> io::Result<()> {
        self.show()?;
        if hidden.rows > 0 {
            let at_least = if hidden.more { "at least " } else { "" };
            writeln!(self.to, "… {at_least}{} more rows; -o FILE or --format csv has all", hidden.rows)?;
        }
        self.to.flush()
    }
}

impl Table<'_> {
    /// Shows the rows that wait, after the header when it is the first time.
    fn show(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.waiting);
        if self.names.is_empty() || (rows.is_empty() && self.widths.is_some()) {
            return Ok(());
        }
        if self.is_too_narrow() {
            self.widths.get_or_insert_default();
            return rows.iter().try_for_each(|cells| self.one_below_the_other(cells));
        }
        let widths = match self.widths.take() {
            Some(widths) => widths,
            None => {
                let widths = self.measure(&rows);
                self.line(&self.names.clone(), &widths, true)?;
                let rules: Vec<String> = widths.iter().map(|width| "-".repeat(*width + 2)).collect();
                writeln!(self.to, "{}", rules.join("+"))?;
                widths
            }
        };
        for cells in &rows {
            self.line(cells, &widths, false)?;
        }
        self.widths = Some(widths);
        Ok(())
    }

    fn is_too_narrow(&self) -> bool {
        self.width.is_some_and(|width| self.names.len() * (NARROWEST + 3) > width.max(NARROWEST + 3))
    }

    /// Widths that fit: the widest columns give way first.
    fn measure(&self, rows: &[Vec<String>]) -> Vec<usize> {
        let mut widths: Vec<usize> = self.names.iter().map(|name| columns_of(name)).collect();
        for cells in rows {
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(columns_of(cell).min(WIDEST));
            }
        }
        let Some(room) = self.width.map(|width| width.saturating_sub(3 * widths.len())) else { return widths };
        while widths.iter().sum::<usize>() > room {
            let Some(widest) = widths.iter_mut().max() else { break };
            if *widest <= NARROWEST {
                break;
            }
            *widest -= 1;
        }
        widths
    }

    fn line(&mut self, cells: &[String], widths: &[usize], header: bool) -> io::Result<()> {
        let mut line = String::new();
        for (index, ((cell, width), number)) in cells.iter().zip(widths).zip(&self.numbers).enumerate() {
            line.push_str(if index > 0 { " | " } else { " " });
            let cut = cut(cell, *width);
            let fill = " ".repeat(width.saturating_sub(columns_of(&cut)));
            match *number && !header {
                true => line.extend([fill.as_str(), &cut]),
                false => line.extend([cut.as_str(), &fill]),
            }
        }
        writeln!(self.to, "{}", line.trim_end())
    }

    /// One row as lines of name and value; what is null is left out.
    fn one_below_the_other(&mut self, cells: &[String]) -> io::Result<()> {
        self.rows += 1;
        writeln!(self.to, "-- row {}", self.rows)?;
        let longest = self.names.iter().map(|name| columns_of(name)).max().unwrap_or_default();
        let room = self.width.map_or(WIDEST, |width| width.saturating_sub(longest + 2).max(NARROWEST));
        for (name, cell) in self.names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
            let fill = " ".repeat(longest.saturating_sub(columns_of(name)));
            writeln!(self.to, "{name}{fill}  {}", cut(cell, room))?;
        }
        Ok(())
    }
}

/// The text, or its beginning and `…` when it is wider.
fn cut(text: &str, width: usize) -> String {
    if columns_of(text) <= width {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += column(character);
        if used > width {
            break;
        }
        kept.push(character);
    }
    kept.push('…');
    kept
}

fn columns_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(column).sum() }
}

/// Columns that a character takes: none for marks that join the one before, two for East Asian and emoji, else one.
fn column(character: char) -> usize {
    match character as u32 {
        0x300..=0x36f | 0x200c..=0x200d | 0xfe00..=0xfe0f | 0x1ab0..=0x1aff | 0x20d0..=0x20ff => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f | 0xff00..=0xff60 => 2,
        0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x20000..=0x3fffd => 2,
        _ => 1,
    }
}
