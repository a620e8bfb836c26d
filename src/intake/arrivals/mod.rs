//! Arrivals: logs as they come, from SQS queues of S3 events, polled S3 prefixes and watched folders, several at once.

mod address;
mod bucket;
mod folder;
mod memory;
mod message;
mod outlet;
mod queue;
mod sqs;
mod status;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch as signal};

use super::{Found, Intake, Problem};
use crate::error::Result;
use address::Address;
use memory::Taken;
use outlet::Outlet;
use sqs::Held;
pub use status::SourceState;
use status::Status;

/// Arrivals that may wait for the consumer; sources stop receiving when there are as many.
const WAITING: usize = 32;

/// How often sources look, and how patient they are.
#[derive(Debug, Clone, PartialEq)]
pub struct Pace {
    /// Hand out what is there now, then end.
    pub once: bool,
    /// Time between two listings of an S3 prefix, or of a folder that cannot be watched.
    pub poll: Duration,
    /// A file is taken when its size and time of change have stayed the same for this long.
    pub rest: Duration,
    /// Time after which a queue offers a message to others again when this process dies; renewed while work on it runs.
    /// Whole seconds, 1 s to 12 h.
    pub visibility: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            once: false,
            poll: Duration::from_secs(5),
            rest: Duration::from_secs(2),
            visibility: Duration::from_secs(120),
        }
    }
}

/// Live sources. Dropping it ends them.
#[derive(Debug)]
pub struct Arrivals {
    arrivals: mpsc::Receiver<Arrival>,
    stop: signal::Sender<bool>,
    sources: Vec<Arc<Status>>,
}

impl Arrivals {
    /// Starts to receive from these places, each once:
    ///
    /// - an SQS queue that gets S3 events, as URL (`https://sqs.us-east-1.amazonaws.com/111122223333/queue`) or ARN;
    /// - `s3://bucket/prefix`, listed again and again. Below `AWSLogs` the first listing is whole and later ones ask only
    ///   for the days since the last one, from yesterday to tomorrow at least: what someone files under older days
    ///   afterwards is not seen;
    /// - a folder with all folders in it.
    ///
    /// Must be called on a tokio runtime. Only the text of an address and whether a folder is there are checked here; a
    /// queue or bucket that cannot be reached is trouble that may pass ([`SourceState::trouble`]).
    ///
    /// # Errors
    /// `Usage` for a place that is none of these.
    pub fn start(intake: Arc<Intake>, places: &[String], pace: Pace) -> Result<Arrivals> {
        let mut addresses: Vec<(String, Address)> = Vec::new();
        for place in places {
            let address = Address::parse(place)?;
            if addresses.iter().all(|(_, known)| *known != address) {
                addresses.push((place.clone(), address));
            }
        }
        let (sender, arrivals) = mpsc::channel(WAITING);
        let (stop, stopped) = signal::channel(false);
        let mut sources = Vec::new();
        for (place, address) in addresses {
            let status = Arc::new(Status::new(&place, address.kind()));
            sources.push(status.clone());
            let outlet = Outlet::new(intake.clone(), status, pace.clone(), sender.clone(), stopped.clone());
            match address {
                Address::Queue(queue) => drop(tokio::spawn(queue::run(outlet, queue))),
                Address::Bucket(place) => drop(tokio::spawn(bucket::run(outlet, place))),
                Address::Folder(top) => drop(tokio::spawn(folder::run(outlet, place, top))),
            }
        }
        Ok(Arrivals { arrivals, stop, sources })
    }

    /// The next arrival. `None` when every source has ended (with [`Pace::once`]), or after [`Arrivals::stop`] when
    /// nothing is left. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Arrival> {
        self.arrivals.recv().await
    }

    /// An arrival that is at hand.
    pub fn try_next(&mut self) -> Option<Arrival> {
        self.arrivals.try_recv().ok()
    }

    /// Receives nothing more. What was handed out, or waits to be, can still be finished.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Ends the sources and gives back what waits to be handed out. Returns when all is offered again, or after `patience`.
    pub async fn close(mut self, patience: Duration) {
        self.stop();
        let closing = async {
            let mut waiting = Vec::new();
            while let Some(arrival) = self.next().await {
                waiting.push(arrival);
            }
            Arrival::all_back(waiting).await;
        };
        let _ = tokio::time::timeout(patience, closing).await;
    }

    /// How the sources are, in the order of the places.
    pub fn state(&self) -> Vec<SourceState> {
        self.sources.iter().map(|status| status.state()).collect()
    }
}

/// Objects that came together: those of one message, or a part of a listing.
///
/// Dropped without [`Arrival::done`], it is given back: the message comes again when its visibility runs out, and a later
/// listing offers the objects again.
#[derive(Debug)]
pub struct Arrival {
    /// The place that it came from, as it was given; safe to show.
    pub source: Arc<str>,
    /// What can be fetched: with the same uri and version as in a listing of the same place.
    pub found: Vec<Found>,
    /// What was announced and is not there, or why a place cannot be read (with [`Pace::once`]).
    pub problems: Vec<Problem>,
    claim: Claim,
}

#[derive(Debug)]
enum Claim {
    Message(Held),
    Objects(Taken),
    /// Only problems.
    Nothing,
}

impl Arrival {
    /// The objects are stored for good: deletes the message, or remembers the objects. Returns when the queue has
    /// answered; when it cannot, the message comes again, which is harmless.
    pub async fn done(self) {
        Arrival::all_done(vec![self]).await;
    }

    /// As [`Arrival::done`] for many, with as few requests as possible.
    pub async fn all_done(arrivals: Vec<Arrival>) {
        let mut messages = Vec::new();
        for arrival in arrivals {
            match arrival.claim {
                Claim::Message(held) => messages.push(held),
                Claim::Objects(taken) => taken.done(),
                Claim::Nothing => {}
            }
        }
        sqs::delete(messages).await;
    }

    /// Gives many back, messages at once instead of when their visibility runs out.
    pub async fn all_back(arrivals: Vec<Arrival>) {
        sqs::give_back(arrivals.into_iter().filter_map(Arrival::message).collect()).await;
    }

    /// The message that it came with.
    fn message(self) -> Option<Held> {
        if let Claim::Message(held) = self.claim { Some(held) } else { None }
    }
}
