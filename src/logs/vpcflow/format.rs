//! The fields of a flow log in order, read from a header line or from the format string of the subscription.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use xxhash_rust::xxh3::xxh3_64;

use super::TABLE;
use crate::table::Kind;

/// More fields than AWS has, fewer than fill the stack: lines with more are not flow logs.
pub(super) const MAX_FIELDS: usize = 128;

/// The order of the fields of a flow log, and the column that each goes to.
#[derive(Debug, Clone)]
pub struct Format {
    pub(super) order: Arc<Order>,
}

/// Fields with what decoding needs to know about them as a whole.
#[derive(Debug)]
pub(super) struct Order {
    pub fields: Vec<Field>,
    pub separator: Separator,
    /// Positions of `start` and `end`.
    pub start: Option<usize>,
    pub end: Option<usize>,
    /// True when two different flows cannot agree in all fields, given that the record names an interface.
    pub tells_flows_apart: bool,
    /// True when a field may be empty: tag values.
    pub has_tags: bool,
    /// True when a field has no column.
    pub has_extra: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    /// Column name; for fields without column the name in AWS's Parquet spelling.
    pub name: String,
    pub place: Place,
    /// Seed of the hash of this field's values.
    pub seed: u64,
    /// True when the value names the interface, attachment or gateway that saw the flow.
    pub names_interface: bool,
}

/// Where the values of a field go. The numbers are column positions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    Int(usize),
    Long(usize),
    Text(usize),
    /// An account id: text of twelve digits, which some copies store as a number.
    Account(usize),
    /// An address, and the column of its key.
    Address(usize, usize),
    /// A tag value: percent-encoded, may be empty.
    Tag(usize),
    /// No column: the `extra` column.
    Extra,
    /// A column that query engines add for partitions: kept in `extra`, not part of the record's identity.
    Partition,
    /// Not part of the record.
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Separator {
    /// Runs of blanks.
    Blanks,
    /// Commas, with values in quotes where needed.
    Commas,
}

/// Fields whose names are ordinary words: a header of nothing but these could belong to any table.
const WORDS: [&str; 9] = ["version", "protocol", "packets", "bytes", "start", "end", "action", "type", "region"];

/// Names of the same fields in Amazon Athena's first table for flow logs, without separators.
const ALIASES: [(&str, &str); 9] = [
    ("account", "account_id"),
    ("sourceaddress", "srcaddr"),
    ("destinationaddress", "dstaddr"),
    ("sourceport", "srcport"),
    ("destinationport", "dstport"),
    ("numpackets", "packets"),
    ("numbytes", "bytes"),
    ("starttime", "start"),
    ("endtime", "end"),
];

/// Columns that are computed or collect the rest: no field fills them.
const COMPUTED: [&str; 3] = ["srcaddr_key", "dstaddr_key", "extra"];

const PARTITIONS: [&str; 8] = ["year", "month", "day", "hour", "date", "aws_account_id", "aws_region", "aws_service"];

/// Column positions by field name, lower case without `-` and `_`.
static KNOWN: LazyLock<HashMap<String, usize>> = LazyLock::new(|| {
    let columns = TABLE.columns.iter().enumerate().filter(|(_, column)| !COMPUTED.contains(&column.name));
    let mut known: HashMap<String, usize> = columns.map(|(place, column)| (plain(column.name), place)).collect();
    for (alias, name) in ALIASES {
        if let Some(place) = TABLE.position(name) {
            known.insert(alias.to_owned(), place);
        }
    }
    known
});

impl Format {
    /// Reads a header line or format string, or `None` when the line is neither.
    ///
    /// Names may be spelled as in text headers (`account-id`), Parquet (`account_id`), CloudWatch Logs Insights
    /// (`accountId`) or the subscription's format string (`${account-id}`), separated by blanks or commas, in any order
    /// and number. Names that are not known yet are taken as well, when most are known.
    pub fn from_header(line: &str) -> Option<Format> {
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.len() > 16_384 {
            return None;
        }
        let line = line.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(line);
        let separator = if line.contains(',') { Separator::Commas } else { Separator::Blanks };
        let mut names: Vec<&str> = Vec::new();
        let mut is_format_string = true;
        let tokens: Box<dyn Iterator<Item = &str>> = match separator {
            Separator::Blanks => Box::new(line.split_ascii_whitespace()),
            Separator::Commas => Box::new(line.split(',').map(|token| token.trim().trim_matches('"'))),
        };
        for token in tokens {
            let braced = token.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
            is_format_string &= braced.is_some();
            let name = braced.unwrap_or(token);
            if names.len() == MAX_FIELDS || !is_name(name, separator) {
                return None;
            }
            names.push(name);
        }
        let all_known = names.iter().all(|name| column_of(name).is_some());
        if !(is_flow_log(&names) || is_format_string && all_known && !names.is_empty()) {
            return None;
        }
        Some(Format::new(&names, separator))
    }

    /// The format with these fields.
    pub(super) fn new(names: &[&str], separator: Separator) -> Format {
        let fields: Vec<Field> = names.iter().map(|name| Field::new(name)).collect();
        let at = |name: &str| fields.iter().position(|field| field.name == name && field.place != Place::Skip);
        let telling = ["srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end"];
        Format {
            order: Arc::new(Order {
                separator,
                start: at("start"),
                end: at("end"),
                tells_flows_apart: telling.into_iter().all(|name| at(name).is_some()),
                has_tags: fields.iter().any(|field| matches!(field.place, Place::Tag(_))),
                has_extra: fields.iter().any(|field| matches!(field.place, Place::Extra | Place::Partition)),
                fields,
            }),
        }
    }
}

impl Field {
    /// The field of that name in any spelling; an empty name is a column to skip.
    pub(super) fn new(name: &str) -> Field {
        let column = column_of(name).and_then(|place| TABLE.columns.get(place).map(|column| (place, column)));
        let (name, place) = match column {
            Some((place, column)) => (column.name.to_owned(), place_of(place, column.name, column.kind)),
            None => {
                let spelled = underscored(name);
                let place = match spelled.as_str() {
                    "" => Place::Skip,
                    other if PARTITIONS.contains(&other) => Place::Partition,
                    _ => Place::Extra,
                };
                (spelled, place)
            }
        };
        let names_interface = matches!(name.as_str(), "interface_id" | "tgw_attachment_id" | "resource_id");
        Field { seed: xxh3_64(name.as_bytes()), name, place, names_interface }
    }
}

fn place_of(place: usize, name: &str, kind: Kind) -> Place {
    match kind {
        Kind::Int => Place::Int(place),
        Kind::Long => Place::Long(place),
        _ if name.ends_with("_tag") || name.ends_with("_tag_2") => Place::Tag(place),
        _ if name.ends_with("account_id") => Place::Account(place),
        _ => match TABLE.position(&format!("{name}_key")) {
            Some(key) => Place::Address(place, key),
            None => Place::Text(place),
        },
    }
}

/// True when these are names of the fields of a flow log: a time or both addresses, no field twice, most of them known,
/// and not only words that any table may use.
pub(super) fn is_flow_log(names: &[&str]) -> bool {
    let mut columns: Vec<&str> = names.iter().filter_map(|name| column_of(name)).map(column_name).collect();
    let known = columns.len();
    columns.sort_unstable();
    columns.dedup();
    let has = |name: &str| columns.binary_search(&name).is_ok();
    let has_key = has("start") || has("end") || has("srcaddr") && has("dstaddr");
    let has_interval = has("start") && has("end") && ["packets", "bytes", "protocol", "action"].into_iter().any(has);
    let is_ours = columns.iter().any(|name| !WORDS.contains(name)) || has_interval && known == names.len();
    has_key && is_ours && columns.len() == known && known >= 2 && known * 2 >= names.len()
}

/// True when the line's first field is the name of one: only then it is worth a look whether the line is a header.
pub(super) fn begins_like_header(line: &str) -> bool {
    if line.bytes().next().is_some_and(|first| first.is_ascii_digit()) {
        return false;
    }
    let start = line.trim_start_matches(['\u{feff}', ' ', '\t', '\'', '"']);
    if !start.starts_with(|first: char| first.is_ascii_alphabetic() || first == '$') {
        return false;
    }
    let token = start.split([' ', '\t', ',', '"']).next().unwrap_or("").trim_end();
    token.starts_with("${") || (token.len() < 64 && column_of(token).is_some())
}

fn column_of(name: &str) -> Option<usize> {
    KNOWN.get(&plain(name)).copied()
}

fn column_name(place: usize) -> &'static str {
    TABLE.columns.get(place).map_or("", |column| column.name)
}

fn is_name(name: &str, separator: Separator) -> bool {
    if name.is_empty() {
        return separator == Separator::Commas;
    }
    name.len() <= 64
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
}

/// `new-field` and `newField` as AWS's Parquet files would spell them: `new_field`.
fn underscored(name: &str) -> String {
    let mut spelled = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        match letter {
            '-' => spelled.push('_'),
            'A'..='Z' => {
                if !spelled.is_empty() && !spelled.ends_with('_') && name.contains(|c: char| c.is_ascii_lowercase()) {
                    spelled.push('_');
                }
                spelled.push(letter.to_ascii_lowercase());
            }
            _ => spelled.push(letter),
        }
    }
    spelled
}
