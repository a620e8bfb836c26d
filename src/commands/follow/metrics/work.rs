//! Metrics of the work: the process, its loop, records, findings and rules.

use chrono::{DateTime, Utc};

use super::{age, flag, seconds};
use crate::commands::follow::exposition::{Families, labelled, one};
use crate::commands::follow::process::Process;
use crate::findings::SEVERITIES;
use crate::pipeline::follow::standing::Standing;

pub(super) fn state(to: &mut Families, standing: &Standing, now: DateTime<Utc>) {
    to.gauge("trailhound_ready", "1 when all sources are open and the first cycle is done.", one(flag(standing.ready)));
    to.gauge(
        "trailhound_trouble",
        "1 when the follower as a whole does not get on, as when the lake cannot be written or no object can be read.",
        one(flag(standing.trouble.is_some() || standing.blocked.is_some())),
    );
    to.gauge(
        "trailhound_beat_age_seconds",
        "Seconds since the last sign of life of the process.",
        one(standing.beat.elapsed().as_secs_f64()),
    );
    to.gauge(
        "trailhound_turn_age_seconds",
        "Seconds since the last turn of the loop; a turn over many or large objects may take minutes.",
        one(standing.turned.elapsed().as_secs_f64()),
    );
    to.gauge("trailhound_uptime_seconds", "Seconds since the follower began.", one(age(standing.started, now)));
}

pub(super) fn records(to: &mut Families, standing: &Standing) {
    to.counter("trailhound_objects_total", "Objects read.", one(standing.total.objects as f64));
    to.counter("trailhound_read_bytes_total", "Bytes read, as delivered.", one(standing.total.bytes as f64));
    to.gauge(
        "trailhound_unread_objects",
        "Objects in hand that could not be read yet and are tried again.",
        one(standing.unread as f64),
    );
    let outcomes = [
        ("stored", standing.total.stored),
        ("duplicate", standing.total.duplicates),
        ("quarantined", standing.total.quarantined),
        ("foreign", standing.total.foreign),
    ];
    to.counter(
        "trailhound_records_total",
        "Records by what became of them; foreign ones are of none of our logs.",
        outcomes.map(|(outcome, count)| labelled([("outcome", outcome)], count as f64)),
    );
    to.counter(
        "trailhound_stored_records_total",
        "Records stored, by log.",
        standing.total.logs.iter().map(|log| labelled([("log", log.log)], log.stored as f64)),
    );
    to.counter("trailhound_lake_commits_total", "Commits to the lake.", one(standing.commits as f64));
    to.counter(
        "trailhound_lake_conflicts_total",
        "Commits that were done again because another process was faster.",
        one(standing.conflicts as f64),
    );
}

pub(super) fn judging(to: &mut Families, standing: &Standing) {
    let found = |severity| standing.findings.get(severity).copied().unwrap_or_default();
    to.counter(
        "trailhound_findings_total",
        "Findings announced, by severity.",
        SEVERITIES.iter().map(|severity| labelled([("severity", severity.as_str())], found(severity) as f64)),
    );
    let rules = standing.rules;
    let answers = [
        ("fired", rules.fired),
        ("quiet", rules.quiet),
        ("not_evaluated", rules.not_evaluated),
        ("failed", rules.failed),
    ];
    to.gauge(
        "trailhound_rules",
        "Rules by their answer in the last cycle.",
        answers.map(|(outcome, count)| labelled([("outcome", outcome)], count as f64)),
    );
    to.counter(
        "trailhound_settles_total",
        "Times that rules were judged up to the watermark.",
        one(standing.settles as f64),
    );
    to.histogram(
        "trailhound_cycle_seconds",
        "Seconds from objects at hand to findings written.",
        &standing.cycle_seconds,
    );
    to.histogram("trailhound_settle_seconds", "Seconds of judging up to the watermark.", &standing.settle_seconds);
    to.histogram(
        "trailhound_delay_seconds",
        "Seconds from the time of an object to its findings written.",
        &standing.delay_seconds,
    );
}

/// What exporters call the same everywhere.
/// <https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics>
pub(super) fn own(to: &mut Families, standing: &Standing, process: &Process) {
    let known = |value: Option<f64>| value.into_iter().flat_map(one);
    to.gauge(
        "process_start_time_seconds",
        "Start time of the process since unix epoch in seconds.",
        one(seconds(standing.started)),
    );
    to.gauge(
        "process_resident_memory_bytes",
        "Resident memory size in bytes.",
        known(process.resident.map(|n| n as f64)),
    );
    to.gauge(
        "trailhound_resident_memory_peak_bytes",
        "Largest resident memory size so far in bytes.",
        known(process.peak.map(|n| n as f64)),
    );
    to.counter(
        "process_cpu_seconds_total",
        "Total user and system CPU time spent in seconds.",
        known(process.cpu_seconds),
    );
    to.gauge("process_open_fds", "Number of open file descriptors.", known(process.open_files.map(|n| n as f64)));
}
