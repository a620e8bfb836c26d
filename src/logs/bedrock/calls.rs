//! Tool calls, tied to the results that the caller sent back.

use std::borrow::Cow;
use std::collections::HashMap;

/// A tool that the model asked for.
#[derive(Debug)]
pub(super) struct Call<'t> {
    pub(super) id: Option<Cow<'t, str>>,
    pub(super) name: Option<Cow<'t, str>>,
    pub(super) arguments: Cow<'t, str>,
    pub(super) result: Option<Cow<'t, str>>,
}

/// Tool calls in the order in which the model made them.
#[derive(Debug, Default)]
pub(super) struct Calls<'t> {
    calls: Vec<Call<'t>>,
    /// Index of the last call with an id.
    by_id: HashMap<Cow<'t, str>, usize>,
    /// Index of the first call without an id that may still lack its result.
    unanswered: usize,
}

impl<'t> Calls<'t> {
    /// Adds a call.
    pub(super) fn add(&mut self, call: Call<'t>) {
        if let Some(id) = &call.id {
            self.by_id.insert(id.clone(), self.calls.len());
        }
        self.calls.push(call);
    }

    /// Gives a result to the call with this id. Of two results the first stays.
    pub(super) fn answer(&mut self, id: &str, result: Cow<'t, str>) {
        if let Some(&index) = self.by_id.get(id)
            && let Some(call) = self.calls.get_mut(index)
        {
            call.result.get_or_insert(result);
        }
    }

    /// Gives a result to the oldest call without an id that has none, as protocols without ids do.
    pub(super) fn answer_next(&mut self, result: Cow<'t, str>) {
        if let Some(call) = self.next_unanswered() {
            call.result = Some(result);
        }
    }

    /// True when a call without an id has no result yet.
    pub(super) fn awaits_result(&mut self) -> bool {
        self.next_unanswered().is_some()
    }

    /// The calls in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Call<'t>> {
        self.calls.iter()
    }

    fn next_unanswered(&mut self) -> Option<&mut Call<'t>> {
        while self.calls.get(self.unanswered).is_some_and(|call| call.id.is_some() || call.result.is_some()) {
            self.unanswered += 1;
        }
        self.calls.get_mut(self.unanswered)
    }
}
