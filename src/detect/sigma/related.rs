//! A Sigma correlation as a rule of ours: the rows of its rules, measured over time and by group.

use std::collections::BTreeSet;

use super::correlation::{Correlation, Measure};
use super::fields::{Field, Form, Log};
use super::measure::{Query, counted, measure_column};
use super::page::Page;
use super::{Body, Document, LONGEST_SQL, rehearsal, single, sql};

/// Correlations of correlations of ...
const DEEPEST: usize = 4;

/// A column that rows have to carry: its name, and the field or alias that it holds.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    column: String,
    field: String,
    is_number: bool,
}

/// Rows of rules, and what is known about them.
#[derive(Debug, Default)]
struct Rows {
    sql: String,
    logs: BTreeSet<Log>,
    needs: BTreeSet<String>,
    gaps: Vec<String>,
    /// Seconds of history that they need.
    history: u64,
}

/// The document that a reference means: in the same file if possible.
pub fn find(documents: &[Document], from: &Document, reference: &str) -> Option<usize> {
    let called = |document: &&Document| document.header.is_called(reference);
    let place = |found: &Document| documents.iter().position(|document| std::ptr::eq(document, found));
    let near = documents.iter().filter(|document| document.source == from.source).find(called);
    near.or_else(|| documents.iter().find(called)).and_then(place)
}

/// The document that a reference means, or why there is none that can be used.
pub fn named<'a>(
    documents: &'a [Document],
    from: &Document,
    reference: &str,
) -> Result<(&'a Document, &'a Body), String> {
    let found = find(documents, from, reference).and_then(|index| documents.get(index));
    let Some(document) = found else {
        return Err(format!("the rule '{reference}' that it builds on is in none of the files"));
    };
    match &document.body {
        Ok(body) => Ok((document, body)),
        Err((_, reason)) => Err(format!("the rule '{reference}' that it builds on cannot be imported: {reason}")),
    }
}

/// The page of a correlation; the error is the reason why there is none.
pub fn page(documents: &[Document], document: &Document, correlation: &Correlation) -> Result<Page, String> {
    let groups = groups(correlation, "");
    let names: Vec<&str> = groups.iter().map(|group| group.column.as_str()).collect();
    let mut rows = matched(documents, document, correlation, &groups, "", 0)?;
    let mut params = Vec::new();
    let is_fixed = matches!(correlation.measure, Measure::Rules | Measure::Sequence);
    let limits: Vec<(&str, String)> = correlation
        .limits
        .iter()
        .map(|(relation, limit)| {
            if is_fixed {
                return (relation.sql(), sql::number(*limit));
            }
            let name = param(relation.sql());
            if !params.iter().any(|(known, _)| known == name) {
                params.push((name.to_owned(), sql::number(*limit)));
            }
            (relation.sql(), format!("${name}"))
        })
        .collect();
    let mut entity: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    if entity.is_empty() {
        entity.push("account_id".into());
    }
    if correlation.measure == Measure::Share {
        entity.push("value".into());
    }
    let sql = Query { correlation, groups: &names, limits: &limits }.write(&rows.sql);
    if !correlation.is_sliding() {
        let told = "limits from above and averages are judged in slots of the timespan's length";
        rows.gaps.push(format!("{told}, of which one that is not over may still change"));
    }
    if correlation.measure == Measure::Sequence {
        rows.gaps.push("events of the same instant count as being in order".into());
    }
    Ok(Page {
        logs: rows.logs.into_iter().collect(),
        needs: rows.needs.into_iter().collect(),
        gaps: rows.gaps,
        params,
        entity,
        lookback: length(rows.history + correlation.timespan),
        quiet: length(correlation.timespan.max(3_600)),
        sql,
        tests: rehearsal::tests(documents, document, correlation)?,
    })
}

/// Name of the parameter for a limit.
fn param(sign: &str) -> &'static str {
    match sign {
        ">" => "more_than",
        ">=" => "at_least",
        "<" => "less_than",
        "<=" => "at_most",
        "=" => "exactly",
        _ => "other_than",
    }
}

/// A length of time as rules write it.
fn length(seconds: u64) -> String {
    for (unit, size) in [('d', 86_400), ('h', 3_600), ('m', 60)] {
        if seconds > 0 && seconds.is_multiple_of(size) {
            return format!("{}{unit}", seconds / size);
        }
    }
    format!("{seconds}s")
}

/// The columns of a correlation's groups.
fn groups(correlation: &Correlation, prefix: &str) -> Vec<Wanted> {
    let mut groups: Vec<Wanted> = Vec::new();
    for field in &correlation.group_by {
        let known = match field.to_ascii_lowercase().as_str() {
            "sourceipaddress" | "srcaddr" => Some("source_ip"),
            "dstaddr" => Some("destination_ip"),
            "useridentity.arn" | "identity.arn" => Some("principal"),
            "useridentity.accesskeyid" => Some("access_key_id"),
            "recipientaccountid" | "account_id" | "accountid" => Some("account_id"),
            "awsregion" | "region" => Some("region"),
            "useragent" => Some("user_agent"),
            "modelid" => Some("model_id"),
            _ => None,
        };
        let plain = known.map_or_else(|| format!("by_{}", super::header::snake(field)), str::to_owned);
        let mut column = format!("{prefix}{plain}");
        while groups.iter().any(|group| group.column == column) {
            column.push('x');
        }
        groups.push(Wanted { column, field: field.clone(), is_number: false });
    }
    groups
}

/// The rows of a correlation's rules, with the columns that are wanted; `prefix` keeps inner names apart.
fn matched(
    documents: &[Document],
    document: &Document,
    correlation: &Correlation,
    groups: &[Wanted],
    prefix: &str,
    depth: usize,
) -> Result<Rows, String> {
    if depth >= DEEPEST {
        return Err(format!("correlations name each other more than {DEEPEST} levels deep"));
    }
    let mut wanted = groups.to_vec();
    let is_number = matches!(correlation.measure, Measure::Sum | Measure::Average | Measure::Percentile(_));
    for (place, field) in correlation.fields.iter().enumerate() {
        let column = if place == 0 { format!("{prefix}measured") } else { format!("{prefix}measured_{place}") };
        wanted.push(Wanted { column, field: field.clone(), is_number });
    }
    let has_steps = matches!(correlation.measure, Measure::Rules | Measure::Sequence);
    let mut all = Rows::default();
    let mut parts = Vec::new();
    for (step, reference) in correlation.rules.iter().enumerate() {
        let (found, body) = named(documents, document, reference)?;
        let mut names = found.names();
        names.push(reference);
        let resolved: Vec<Wanted> = wanted
            .iter()
            .map(|wanted| Wanted { field: correlation.resolve(&wanted.field, &names).to_owned(), ..wanted.clone() })
            .collect();
        let rows = of_rule(documents, found, body, &resolved, depth)?;
        let step = if has_steps { format!(", {step} AS {prefix}step") } else { String::new() };
        parts.push(rows.sql.replacen(STEP, &step, 1));
        if parts.iter().map(String::len).sum::<usize>() > LONGEST_SQL {
            return Err(format!("its SQL would have more than {LONGEST_SQL} bytes"));
        }
        all.logs.extend(rows.logs);
        all.needs.extend(rows.needs);
        for gap in rows.gaps {
            if !all.gaps.contains(&gap) {
                all.gaps.push(gap);
            }
        }
        all.history = all.history.max(rows.history);
    }
    // An event that two rules match counts once, except where it matters which rule it matched.
    all.sql = parts.join(if has_steps { "\nUNION ALL\n" } else { "\nUNION\n" });
    Ok(all)
}

/// Stands where the number of the rule goes in; no text of a rule can contain it.
const STEP: &str = "\u{1}step\u{1}";
/// Columns of every row.
const COMMON: &str = "time, fresh, caller, of_account, event_id, _object, _record";

fn of_rule(
    documents: &[Document],
    document: &Document,
    body: &Body,
    wanted: &[Wanted],
    depth: usize,
) -> Result<Rows, String> {
    match body {
        Body::Rule(log, check) => {
            let (caller, account, id) = match log {
                Log::CloudTrail => ("principal(userIdentity.arn)", "recipientAccountId", "eventID"),
                Log::Bedrock => ("principal(identity.arn)", "accountId", "requestId"),
                Log::VpcFlow => ("interface_id", "account_id", "_object || '#' || _record"),
            };
            let mut columns = String::new();
            for wanted in wanted {
                let field = Field::find(*log, &wanted.field)?;
                if matches!(field.form, Form::List(..) | Form::Everything(_)) {
                    return Err(format!("'{}' is a list, by which nothing can be grouped or measured", wanted.field));
                }
                let text =
                    if wanted.is_number { format!("CAST({} AS DOUBLE)", field.number_sql()) } else { field.text_sql() };
                columns.push_str(&format!(", {text} AS {}", wanted.column));
            }
            let conditions = sql::conjuncts(check).join("\n    AND ");
            let sql = [
                format!("  SELECT time, fresh, {caller} AS caller, {account} AS of_account, {id} AS event_id,"),
                format!("         _object, _record{STEP}{columns}"),
                format!("  FROM {}\n  WHERE {conditions}", log.table()),
            ]
            .join("\n");
            let (logs, needs) = (BTreeSet::from([*log]), BTreeSet::from([single::need(*log, check)]));
            Ok(Rows { sql, logs, needs, gaps: single::gaps(check), history: 0 })
        }
        Body::Correlation(inner) => {
            if !inner.is_sliding() {
                return Err(
                    "a correlation with a limit from above, or of averages, inside another is not supported".into()
                );
            }
            let prefix = format!("inner{depth}_");
            let own = groups(inner, &prefix);
            let names: Vec<&str> = own.iter().map(|group| group.column.as_str()).collect();
            let mut all = own.clone();
            all.extend(wanted.iter().cloned());
            let mut rows = matched(documents, document, inner, &all, &prefix, depth + 1)?;
            let measured = counted(inner, &rows.sql, &names, &prefix);
            let limits: Vec<String> = inner
                .limits
                .iter()
                .map(|(relation, limit)| {
                    format!(
                        "{} {} {}",
                        format_args!("{prefix}{}", measure_column(inner)),
                        relation.sql(),
                        sql::number(*limit)
                    )
                })
                .collect();
            let columns: String = wanted.iter().map(|wanted| format!(", {}", wanted.column)).collect();
            rows.sql = format!(
                "  SELECT {COMMON}{STEP}{columns}\n  FROM (\n{measured}\n  ) AS {prefix}rows\n  WHERE {}",
                limits.join(" AND ")
            );
            rows.history += inner.timespan;
            Ok(rows)
        }
    }
}
