//! The courier of a spool: takes batch after batch to the receiver, and comes again when it is not in.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::outbox::{Batch, Limits, Outbox, REFUSED};
use crate::error::{Error, Result};

/// Longest wait that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(15 * 60);

/// Who gets findings.
#[async_trait]
pub(super) trait Receiver: Send + Sync {
    fn limits(&self) -> Limits;

    /// Sends findings (JSON each) and says what became of them.
    async fn send(&self, batch: &str, lines: Vec<String>) -> Answer;
}

/// What became of findings that were sent; what it does not name arrived.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// Findings that will never be taken, and why.
    pub refused: Vec<(String, String)>,
    /// Findings to send again.
    pub again: Vec<String>,
    /// Why there are some to send again; no secrets.
    pub trouble: Option<String>,
    /// How long the receiver wants to be left alone.
    pub after: Option<Duration>,
}

impl Answer {
    /// None arrived; they are sent again.
    pub fn later(lines: Vec<String>, trouble: String, after: Option<Duration>) -> Answer {
        Answer { again: lines, trouble: Some(trouble), after, ..Answer::default() }
    }

    /// None arrived, and none ever will.
    pub fn never(lines: Vec<String>, reason: &str) -> Answer {
        let refused = lines.into_iter().map(|line| (line, reason.to_owned())).collect();
        Answer { refused, ..Answer::default() }
    }
}

/// Where a courier is.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub delivered: u64,
    pub refused: u64,
    /// Attempts since the start that did not deliver all they had.
    pub failures: u64,
    pub trouble: Option<String>,
}

/// Pauses between attempts: the first, and the longest that doubling leads to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub first: Duration,
    pub longest: Duration,
}

/// A task that empties a spool. Dropped, it stops where it is.
pub(super) struct Courier {
    task: JoinHandle<()>,
    progress: watch::Receiver<Progress>,
    hurry: watch::Sender<bool>,
}

impl Courier {
    pub fn start(outbox: Outbox, receiver: Box<dyn Receiver>, pace: Pace) -> Courier {
        let done = outbox.cursor();
        let first = Progress { delivered: done.delivered, refused: done.refused, ..Progress::default() };
        let (told, progress) = watch::channel(first);
        let (hurry, hurried) = watch::channel(false);
        let rounds = Rounds { receiver, told, pause: Pause { pace, next: pace.first, hurried } };
        Courier { task: tokio::spawn(rounds.walk(outbox)), progress, hurry }
    }

    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Gives the courier some time to be done with `total` findings.
    pub async fn finish(mut self, total: u64, patience: Duration) {
        let _ = self.hurry.send(true);
        let done = self.progress.wait_for(|progress| progress.delivered + progress.refused >= total);
        let _ = tokio::time::timeout(patience, done).await;
        self.task.abort();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Rounds {
    receiver: Box<dyn Receiver>,
    told: watch::Sender<Progress>,
    pause: Pause,
}

impl Rounds {
    /// Walks until the spool is closed and empty, or the runtime ends.
    async fn walk(mut self, mut outbox: Outbox) {
        loop {
            let Some((back, next)) = on_disk(outbox, Outbox::next).await else { return };
            outbox = back;
            match next {
                Ok(Some(batch)) => match self.deliver(outbox, batch).await {
                    Some(back) => outbox = back,
                    None => return,
                },
                Ok(None) => {
                    self.tell(&outbox);
                    if !outbox.more().await {
                        return;
                    }
                }
                Err(error) => self.blocked(&error).await,
            }
        }
    }

    /// Sends a batch until each of its findings arrived or is refused.
    async fn deliver(&mut self, mut outbox: Outbox, batch: Batch) -> Option<Outbox> {
        self.tell(&outbox);
        let (id, mut lines, mut refused) = (batch.id, batch.lines, batch.broken);
        let all = lines.len() + refused.len();
        while !lines.is_empty() {
            let answer = self.receiver.send(&id, lines).await;
            lines = answer.again;
            refused.extend(answer.refused);
            if !lines.is_empty() {
                self.fail(answer.trouble.unwrap_or_default(), answer.after).await;
            }
        }
        self.pause.next = self.pause.pace.first;
        let trouble = refused.last().map(|(_, why)| format!("findings were refused, see {REFUSED}: {why}"));
        self.told.send_modify(|progress| {
            progress.failures += u64::from(trouble.is_some());
            progress.trouble = trouble;
        });
        let delivered = (all - refused.len()) as u64;
        loop {
            let (id, set_aside) = (id.clone(), refused.clone());
            let (back, settled) =
                on_disk(outbox, move |outbox: &mut Outbox| outbox.settle(&id, delivered, &set_aside)).await?;
            outbox = back;
            match settled {
                Ok(()) => return Some(outbox),
                Err(error) => self.blocked(&error).await,
            }
        }
    }

    fn tell(&self, outbox: &Outbox) {
        let done = outbox.cursor();
        self.told.send_modify(|progress| {
            progress.delivered = done.delivered;
            progress.refused = done.refused;
        });
    }

    /// Waits for a disk. The trouble lasts as long as the wait; the next attempt tells it again.
    async fn blocked(&mut self, error: &Error) {
        let before = self.told.borrow().trouble.clone();
        self.fail(error.to_string(), None).await;
        self.told.send_modify(|progress| progress.trouble = before);
    }

    async fn fail(&mut self, trouble: String, after: Option<Duration>) {
        self.told.send_modify(|progress| {
            progress.failures += 1;
            progress.trouble = Some(trouble);
        });
        self.pause.sleep(after).await;
    }
}

struct Pause {
    pace: Pace,
    next: Duration,
    hurried: watch::Receiver<bool>,
}

impl Pause {
    /// Sleeps as long as the receiver asks for, else a random time between half the pause and all of it, so that many
    /// senders do not come back together. Someone who wants to end cuts it short, once.
    async fn sleep(&mut self, after: Option<Duration>) {
        let jitter = self.next.mul_f64(0.5 * chance());
        let time = match after {
            Some(asked) => asked.min(LONGEST_ASKED) + jitter,
            None => self.next / 2 + jitter,
        };
        self.next = self.next.saturating_mul(2).min(self.pace.longest);
        tokio::select! {
            () = tokio::time::sleep(time) => {}
            Ok(()) = self.hurried.changed() => {}
        }
    }
}

/// A random number from 0 to 1.
fn chance() -> f64 {
    let random = (uuid::Uuid::new_v4().as_u64_pair().0 >> 32) as u32;
    f64::from(random) / f64::from(u32::MAX)
}

/// Work on disk, on a thread where it may block. Nothing when the runtime ends.
async fn on_disk<T: Send + 'static>(
    mut outbox: Outbox,
    work: impl FnOnce(&mut Outbox) -> Result<T> + Send + 'static,
) -> Option<(Outbox, Result<T>)> {
    let done = tokio::task::spawn_blocking(move || {
        let result = work(&mut outbox);
        (outbox, result)
    });
    done.await.ok()
}
