//! An SQS queue of S3 events: several long polls at once when messages are many, one when they are few.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinSet;

use super::address::QueueAddress;
use super::message::{self, Meaning, Named};
use super::outlet::{Backoff, Outlet};
use super::sqs::{self, BATCH, Held, Message, Queue};
use super::{Arrival, Claim};
use crate::intake::s3::Listed;
use crate::intake::{Found, Problem, names, prefixes};

/// Receives in flight at most.
const RECEIVES: usize = 8;
/// The longest poll that SQS allows, and a short one that still asks all its servers.
const LONG_POLL: Duration = Duration::from_secs(20);
const SHORT_POLL: Duration = Duration::from_secs(1);
/// Receives in a row without messages after which a queue counts as empty.
const EMPTY: u32 = 2;
/// Attempts in a row that fail before a single run gives up.
const ATTEMPTS: u32 = 5;
const COUNTING: Duration = Duration::from_secs(30);
/// For an answer that may be on its way when receiving is stopped: of a queue that had nothing, and of one that had
/// messages. That one answers at once, and what comes when nobody listens any more is hidden from everybody.
const LAST_RECEIVE: Duration = Duration::from_secs(1);
const LAST_BUSY_RECEIVE: Duration = Duration::from_secs(8);
/// For the last words to a queue when receiving is stopped.
const FAREWELL: Duration = Duration::from_secs(5);

/// How a receive went.
enum Round {
    /// Messages that came, in or out of order.
    Got(usize),
    Failed(String),
    Stopped,
}

/// Receives until stopped, or until nothing comes.
pub(super) async fn run(outlet: Outlet, address: QueueAddress) {
    let config = outlet.intake.s3.config().await;
    let queue = Arc::new(Queue::new(config, &address, outlet.pace.visibility, outlet.status.clone()));
    tokio::spawn(sqs::keep(Arc::downgrade(&queue), outlet.pace.visibility));
    tokio::spawn(sqs::keep_counting(Arc::downgrade(&queue), COUNTING));
    let outlet = Arc::new(outlet);
    receive(&outlet, &queue).await;
    if outlet.pace.once {
        queue.count().await;
    }
}

async fn receive(outlet: &Arc<Outlet>, queue: &Arc<Queue>) {
    let once = outlet.pace.once;
    let mut running = JoinSet::new();
    let mut wanted = 1;
    let mut empty = 0;
    let mut backoff = Backoff::default();
    loop {
        while running.len() < wanted {
            running.spawn(round(outlet.clone(), queue.clone()));
        }
        let Some(round) = running.join_next().await else { return };
        match round.unwrap_or_else(|error| Round::Failed(format!("a receive was given up: {error}"))) {
            Round::Stopped => {
                // The others are stopping as well, and may have messages to give back.
                while running.join_next().await.is_some() {}
                return;
            }
            Round::Got(count) => {
                backoff.reset();
                outlet.status.well();
                outlet.status.looked(count > 0);
                empty = if count == 0 { empty + 1 } else { 0 };
                wanted = match count {
                    0 if once && empty >= EMPTY => 0,
                    0 => 1,
                    BATCH.. => (running.len() + 2).min(RECEIVES),
                    _ => (running.len() + 1).min(RECEIVES),
                };
            }
            Round::Failed(reason) => {
                wanted = 1;
                let pause = backoff.next();
                outlet.status.failed(reason.clone());
                if once && backoff.failures() >= ATTEMPTS {
                    let place = outlet.status.source.to_string();
                    outlet.complain(vec![Problem { place, reason, wrong_use: false, empty: false }]).await;
                    return;
                }
                if !outlet.pause(pause).await {
                    wanted = 0;
                }
            }
        }
    }
}

async fn round(outlet: Arc<Outlet>, queue: Arc<Queue>) -> Round {
    let wait = if outlet.pace.once { SHORT_POLL } else { LONG_POLL };
    if outlet.is_stopped() {
        return Round::Stopped;
    }
    let mut receiving = pin!(queue.receive(wait));
    let received = tokio::select! {
        biased;
        received = &mut receiving => received,
        () = outlet.stopped() => {
            let patience = if outlet.status.state().caught_up { LAST_RECEIVE } else { LAST_BUSY_RECEIVE };
            match tokio::time::timeout(patience, receiving).await {
                Ok(received) => received,
                Err(_) => return Round::Stopped,
            }
        }
    };
    let (count, messages) = match received {
        Ok(received) => received,
        Err(reason) => return Round::Failed(reason),
    };
    let mut idle = Vec::new();
    let mut late = Vec::new();
    let mut failure = None;
    for (held, sense) in join_all(messages.into_iter().map(|message| sense(&outlet, message))).await {
        match sense {
            Sense::Nothing => idle.push(held),
            Sense::Foreign(reason) => outlet.status.refused(&reason),
            Sense::Unclear(reason) => failure = Some(reason),
            Sense::Objects(found, problems) => {
                let claim = Claim::Message(held);
                let arrival = Arrival { source: outlet.status.source.clone(), found, problems, claim };
                late.extend(outlet.push(arrival).await.and_then(Arrival::message));
            }
        }
    }
    sqs::delete(idle).await;
    if !late.is_empty() {
        let _ = tokio::time::timeout(FAREWELL, sqs::give_back(late)).await;
        return Round::Stopped;
    }
    match failure {
        Some(reason) => Round::Failed(reason),
        None => Round::Got(count),
    }
}

/// What a message stands for, after S3 was asked about what it leaves open.
enum Sense {
    Objects(Vec<Found>, Vec<Problem>),
    Nothing,
    Foreign(String),
    /// S3 did not answer as it should: the message is left to come again.
    Unclear(String),
}

async fn sense(outlet: &Outlet, message: Message) -> (Held, Sense) {
    let Message { held, body, again } = message;
    let named = match message::read(&body) {
        Meaning::Objects(named) => named,
        Meaning::Nothing => return (held, Sense::Nothing),
        Meaning::Foreign(reason) => return (held, Sense::Foreign(reason)),
    };
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    for object in named {
        let bucket = object.bucket.clone();
        let place = names::object(&bucket, &object.key);
        match listed(outlet, object, again).await {
            Ok(Some(listed)) => found.push(prefixes::found(&bucket, listed, 0)),
            Ok(None) => {
                let reason = "was announced and is not there any more; it was deleted or moved".to_owned();
                problems.push(Problem { place, reason, wrong_use: false, empty: false });
            }
            Err(reason) => return (held, Sense::Unclear(format!("{place}: {reason}"))),
        }
    }
    (held, Sense::Objects(found, problems))
}

/// The object as a listing would show it; S3 is asked when the message leaves something open, and when the message comes
/// again: the object may have been deleted or replaced since, and then what the message says can never be read.
async fn listed(outlet: &Outlet, object: Named, again: bool) -> Result<Option<Listed>, String> {
    let Named { bucket, key, size, version, time } = object;
    match (size, version) {
        (Some(size), Some(version)) if !again => Ok(Some(Listed { key, size, version, modified: time })),
        _ => outlet.intake.s3.look(&bucket, &key).await.map_err(|refusal| refusal.reason),
    }
}
