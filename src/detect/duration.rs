//! Lengths of time as rules write them: `0s`, `15m`, `24h`, `30d`, and offsets such as `-1d12h`.

use chrono::Duration;

/// Ten years: longer ones are mistakes, and would leave the calendar when multiplied.
const LONGEST_SECONDS: i64 = 3_650 * 86_400;

/// Reads one or more of number and unit (`s`, `m`, `h`, `d`); `None` when the text is anything else, or over ten years.
pub fn parse(text: &str) -> Option<Duration> {
    let mut total: i64 = 0;
    let mut number = String::new();
    let mut parts = 0;
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            number.push(letter);
            continue;
        }
        let seconds_per_unit = match letter {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let count: i64 = number.parse().ok()?;
        total = total.checked_add(count.checked_mul(seconds_per_unit)?)?;
        number.clear();
        parts += 1;
    }
    let whole = parts > 0 && number.is_empty() && total <= LONGEST_SECONDS;
    whole.then(|| Duration::seconds(total))
}

/// Reads a length of time with an optional sign.
pub fn parse_signed(text: &str) -> Option<Duration> {
    match text.strip_prefix('-') {
        Some(rest) => parse(rest).map(|length| -length),
        None => parse(text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The shortest text that reads back as `length`.
pub fn show(length: Duration) -> String {
    let seconds = length.num_seconds();
    let units = [('d', 86_400), ('h', 3_600), ('m', 60)];
    let whole = units.into_iter().find(|(_, unit)| seconds != 0 && seconds % unit == 0);
    whole.map_or_else(|| format!("{seconds}s"), |(letter, unit)| format!("{}{letter}", seconds / unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_rules_write() {
        let seconds = |text: &str| parse_signed(text).map(|length| length.num_seconds());
        assert_eq!(seconds("0s"), Some(0));
        assert_eq!(seconds("15m"), Some(900));
        assert_eq!(seconds("+90s"), Some(90));
        assert_eq!(seconds("-1d12h"), Some(-129_600));
        for wrong in ["", "5", "m", "1w", "1.5h", "h1", "--1s", "99999999999999999999d", "3651d"] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn shows_the_longest_unit_that_fits() {
        for text in ["0s", "90s", "15m", "36h", "30d"] {
            assert_eq!(parse(text).map(show).as_deref(), Some(text));
        }
    }
}
