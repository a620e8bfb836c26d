//! Lines of text: flow logs, CloudWatch exports (`<time> <message>`), and what stands between records.

use super::document::View;
use super::walk::Walk;
use crate::logs::json::{Scanner, Value};

impl Walk<'_> {
    /// Reads a line that does not begin with an object or a list. Returns where it ends.
    pub(super) fn line(&mut self, view: View<'_>, at: usize) -> usize {
        let rest = view.part(at, view.text.len());
        let end = rest.find('\n').map_or(view.text.len(), |found| at + found);
        let line = view.part(at, end);
        if let Some(message) = after_time(line) {
            let start = end - message.len();
            if message.starts_with('{') {
                return self.object(view, start, 1).unwrap_or_else(|fault| {
                    self.damaged(view, start, end, &fault);
                    end
                });
            }
            if self.flow_line(message) {
                return end;
            }
        }
        if line.starts_with('"')
            && let Some(end) = self.quoted(view, at)
        {
            return end;
        }
        if self.flow_line(line) {
            return end;
        }
        let damaged = line.bytes().any(|byte| matches!(byte, b'{' | b'}' | b'"' | 0..=8 | 14..=31));
        if damaged {
            self.keep(view.bytes(at, end).trim_ascii_end(), format!("not JSON (byte {at} of the object)"));
        } else {
            self.notice();
        }
        end
    }

    /// A record inside a string that stands by itself.
    fn quoted(&mut self, view: View<'_>, at: usize) -> Option<usize> {
        let mut scanner = Scanner::new(view.text, at);
        let value = scanner.value().ok()?;
        let (Value::Text(raw) | Value::Escaped(raw)) = value else { return None };
        if !raw.starts_with(['{', '[']) || !self.inside_text(&value, None, 1) {
            return None;
        }
        Some(scanner.position())
    }
}

/// What follows the time at the start of a line, as CloudWatch exports write it: `2026-10-01T12:00:00.000Z message`.
fn after_time(line: &str) -> Option<&str> {
    let (time, message) = line.split_once(' ')?;
    let date = time.as_bytes().first_chunk::<11>()?;
    let shape = date[4] == b'-' && date[7] == b'-' && date[10] == b'T' && time.ends_with('Z') && time.len() <= 30;
    shape.then_some(message)
}
