//! Settling beside the loop: rules look again where new rows touched them, while objects go on arriving.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::judge::{Settled, Settler};
use super::standing::RuleCounts;
use super::{FIRST_PAUSE, Follower, SPAN, Step};
use crate::detect::Rule;
use crate::error::{Error, Result};

/// Settling may take this part of the time.
const SETTLING_SHARE: u32 = 5;
/// How often the loop looks whether settling is done.
const SETTLING_LOOK: Duration = Duration::from_millis(100);
/// How long the end waits for it. On a large lake it may take minutes; rules look again after the next start.
const SETTLING_PATIENCE: Duration = Duration::from_secs(10);

/// Rules that look again.
pub(super) struct Running {
    /// No outcome when it was given up.
    pub(super) task: JoinHandle<(Settler, Option<Result<Settled>>)>,
    minutes: Vec<(Rule, BTreeSet<i64>)>,
    began: Instant,
    /// Dropped, it is given up.
    wanted: oneshot::Sender<()>,
}

impl Follower<'_> {
    /// Lets rules look again that are due, beside the loop. False when none is.
    pub(super) fn start_settling(&mut self, all: bool) -> bool {
        let caught_up = self.is_caught_up();
        let Some(mut settler) = self.settler.take() else { return false };
        let Some(mut due) = self.judge.due(caught_up, all) else {
            self.settler = Some(settler);
            self.settled = Instant::now();
            return false;
        };
        let minutes = std::mem::take(&mut due.minutes);
        let backstage = self.backstage.handle().clone();
        let (wanted, unwanted) = oneshot::channel();
        let task = self.backstage.handle().spawn_blocking(move || {
            let outcome = backstage.block_on(async {
                tokio::select! {
                    outcome = settler.settle(due) => Some(outcome),
                    _ = unwanted => None,
                }
            });
            (settler, outcome)
        });
        self.running = Some(Running { task, minutes, began: Instant::now(), wanted });
        true
    }

    /// Waits for rules that look again; with `hurry` not for long. False when some could not.
    pub(super) async fn end_settling(&mut self, hurry: bool) -> Result<bool> {
        let began = Instant::now();
        while hurry
            && began.elapsed() < SETTLING_PATIENCE
            && self.running.as_ref().is_some_and(|running| !running.task.is_finished())
        {
            tokio::time::sleep(SETTLING_LOOK).await;
        }
        if hurry && let Some(running) = &mut self.running {
            // The one that is dropped here is the one that the task waits for.
            running.wanted = oneshot::channel().0;
        }
        self.finish_settling().await
    }

    /// Waits for rules that look again. False when some could not; they look again later.
    pub(super) async fn finish_settling(&mut self) -> Result<bool> {
        // Kept to the end, because dropping it gives the task up.
        let Some(Running { task, minutes, began, wanted: _wanted }) = self.running.take() else { return Ok(true) };
        let outcome = match task.await {
            Ok((settler, outcome)) => {
                self.settler = Some(settler);
                outcome
            }
            Err(error) => {
                self.settler = Some(self.judge.settler(self.lake, SPAN).await?);
                Some(Err(Error::Lake(format!("judging broke down: {error}"))))
            }
        };
        let Some(outcome) = outcome else {
            self.judge.take_back(&minutes);
            return Ok(false);
        };
        (self.settled, self.settling) = (Instant::now(), began.elapsed());
        let settled = match outcome {
            Ok(settled) => settled,
            Err(error) => {
                self.judge.take_back(&minutes);
                if !matches!(error, Error::Conflict) {
                    self.wait(error, &mut { FIRST_PAUSE }).await?;
                }
                return Ok(false);
            }
        };
        let judged = self.judge.settled(settled, &minutes);
        self.announce(&judged);
        self.patiently(Step::Refresh).await?;
        self.judge.save(self.lake).await?;
        self.board.update(|standing| {
            standing.settles += 1;
            standing.settle_seconds.observe(began.elapsed().as_secs_f64());
            let (fired, quiet, failed) = (judged.fired as u64, judged.quiet as u64, judged.failed.len() as u64);
            standing.rules = RuleCounts { fired, quiet, not_evaluated: 0, failed };
        });
        Ok(judged.failed.is_empty())
    }

    /// Time until rules over more than one row are due.
    pub(super) fn until_settling(&self) -> Duration {
        if self.running.is_some() {
            return SETTLING_LOOK;
        }
        let pause = self.how.settle.max(self.settling * SETTLING_SHARE);
        pause.saturating_sub(self.settled.elapsed())
    }
}
