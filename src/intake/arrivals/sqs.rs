//! Requests to a queue, and messages that are held: invisible while work on them runs, deleted when it is done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{Region, SdkConfig};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
    QueueAttributeName,
};
use chrono::{DateTime, Utc};
use futures::{StreamExt, stream};

use super::address::QueueAddress;
use super::status::Status;
use crate::intake::{names, refusals};

/// Messages in one request; more are not allowed.
pub(super) const BATCH: usize = 10;
const REQUESTS_AT_ONCE: usize = 4;
/// A request is given up after this: longer than the longest poll.
const PATIENCE: Duration = Duration::from_secs(30);
/// AWS's own limits of the visibility timeout, less what it takes to renew it.
const VISIBILITY: std::ops::RangeInclusive<u64> = 1..=43_200;

/// One queue.
#[derive(Debug)]
pub(super) struct Queue {
    client: Client,
    url: String,
    stand_in: Option<String>,
    /// Seconds.
    visibility: i32,
    status: Arc<Status>,
    held: Mutex<HashMap<String, Receipt>>,
}

#[derive(Debug, Clone)]
struct Receipt {
    handle: String,
    renewed: Instant,
}

/// A message that was received.
pub(super) struct Message {
    pub held: Held,
    pub body: String,
    /// True when it was received before, by this process or another, and not finished.
    pub again: bool,
}

/// The right to a message. Dropped, the message comes again when its visibility runs out.
#[derive(Debug)]
pub(super) struct Held {
    queue: Arc<Queue>,
    id: String,
    number: u64,
    finished: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.queue.held().remove(&self.id);
        self.queue.status.settled(self.number, self.finished);
    }
}

impl Queue {
    pub fn new(config: &SdkConfig, address: &QueueAddress, visibility: Duration, status: Arc<Status>) -> Queue {
        let mut settings = aws_sdk_sqs::config::Builder::from(config);
        let region = address.region.clone().map(Region::new).or_else(|| config.region().cloned());
        settings = settings.region(region.unwrap_or(Region::from_static("us-east-1")));
        if let Some(endpoint) = &address.endpoint {
            settings = settings.endpoint_url(endpoint);
        }
        // Sources wait and try again by themselves, and say what is wrong meanwhile.
        settings = settings.retry_config(RetryConfig::standard().with_max_attempts(3));
        settings = settings.timeout_config(TimeoutConfig::builder().operation_attempt_timeout(PATIENCE).build());
        let own = std::env::var("AWS_ENDPOINT_URL_SQS").ok().filter(|url| !url.is_empty());
        let stand_in = own.or_else(|| config.endpoint_url().map(str::to_owned));
        Queue {
            client: Client::from_conf(settings.build()),
            url: address.url_at(stand_in.as_deref()),
            stand_in,
            visibility: visibility.as_secs().clamp(*VISIBILITY.start(), *VISIBILITY.end()) as i32,
            status,
            held: Mutex::default(),
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<String, Receipt>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Receives up to ten messages, waiting for the first. A message that is still held is left out: it came again
    /// because its visibility could not be renewed in time.
    pub async fn receive(self: &Arc<Queue>, wait: Duration) -> Result<(usize, Vec<Message>), String> {
        let asked = Instant::now();
        let request = self.client.receive_message().queue_url(&self.url).max_number_of_messages(BATCH as i32);
        let request = request.wait_time_seconds(wait.as_secs().min(20) as i32).visibility_timeout(self.visibility);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let request = request.message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount);
        let answer = request.send().await.map_err(|error| explain(&error))?;
        let mut messages = Vec::new();
        let received = answer.messages.unwrap_or_default();
        let count = received.len();
        for message in received {
            let (Some(id), Some(handle)) = (message.message_id, message.receipt_handle) else { continue };
            let receipt = Receipt { handle, renewed: asked };
            if self.held().insert(id.clone(), receipt).is_some() {
                continue;
            }
            let attributes = message.attributes.unwrap_or_default();
            let times = attributes.get(&MessageSystemAttributeName::ApproximateReceiveCount);
            let again = times.is_some_and(|times| times != "1");
            let sent = attributes.get(&MessageSystemAttributeName::SentTimestamp);
            let sent = sent.and_then(|millis| DateTime::<Utc>::from_timestamp_millis(millis.parse().ok()?));
            let number = self.status.took(1, sent);
            let held = Held { queue: self.clone(), id, number, finished: false };
            messages.push(Message { held, body: message.body.unwrap_or_default(), again });
        }
        Ok((count, messages))
    }

    /// Renews what is held for a third of the visibility or longer.
    async fn renew(&self) {
        let due = Duration::from_secs(self.visibility.unsigned_abs().into()) / 3;
        let receipts: Vec<(String, String)> = {
            let held = self.held();
            let old = held.iter().filter(|(_, receipt)| receipt.renewed.elapsed() >= due);
            old.map(|(id, receipt)| (id.clone(), receipt.handle.clone())).collect()
        };
        let mut requests = Vec::new();
        for chunk in receipts.chunks(BATCH) {
            requests.push(self.show_in(chunk.to_vec(), self.visibility));
        }
        stream::iter(requests).buffer_unordered(REQUESTS_AT_ONCE).collect::<()>().await;
    }

    /// Makes messages visible to others in so many seconds.
    async fn show_in(&self, receipts: Vec<(String, String)>, seconds: i32) {
        let now = Instant::now();
        let mut entries = Vec::new();
        for (i, (_, handle)) in receipts.iter().enumerate() {
            let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(i.to_string()).receipt_handle(handle);
            entries.extend(entry.visibility_timeout(seconds).build().ok());
        }
        let request = self.client.change_message_visibility_batch().queue_url(&self.url);
        match request.set_entries(Some(entries)).send().await {
            Ok(answer) => {
                if let Some(failed) = answer.failed.first() {
                    let (code, messages) = (names::text(failed.code.as_bytes()), answer.failed.len());
                    tracing::debug!(source = &*self.status.source, code, messages, "their visibility stays as it was");
                }
                // Those that failed are lost to others or too old: asking again changes nothing.
                let mut held = self.held();
                for (id, _) in &receipts {
                    if let Some(receipt) = held.get_mut(id) {
                        receipt.renewed = now;
                    }
                }
            }
            Err(error) => self.status.failed(explain(&error)),
        }
    }

    /// Asks how many messages wait, and how many are dead. Not knowing is no trouble: it needs a permission of its own.
    pub async fn count(&self) {
        let counts = self.counts(&self.url).await;
        self.status.waiting(counts.as_ref().and_then(|(waiting, _)| *waiting));
        let dead = counts.and_then(|(_, dead_queue)| dead_queue);
        let dead =
            dead.and_then(|arn| QueueAddress::from_arn(&arn)).map(|queue| queue.url_at(self.stand_in.as_deref()));
        let dead = match dead {
            Some(url) => self.counts(&url).await.and_then(|(waiting, _)| waiting),
            None => None,
        };
        self.status.dead_letters(dead);
    }

    /// Messages that wait in a queue, and the ARN of its dead-letter queue.
    async fn counts(&self, url: &str) -> Option<(Option<u64>, Option<String>)> {
        let request = self.client.get_queue_attributes().queue_url(url);
        let request = request.attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
        let answer = request.attribute_names(QueueAttributeName::RedrivePolicy).send().await;
        let answer = match answer {
            Ok(answer) => answer.attributes.unwrap_or_default(),
            Err(error) => {
                tracing::debug!(source = &*self.status.source, "messages cannot be counted: {}", explain(&error));
                return None;
            }
        };
        let waiting = answer.get(&QueueAttributeName::ApproximateNumberOfMessages).and_then(|n| n.parse().ok());
        let policy = answer.get(&QueueAttributeName::RedrivePolicy);
        let policy = policy.and_then(|policy| serde_json::from_str::<serde_json::Value>(policy).ok());
        let dead = policy.and_then(|policy| Some(policy.get("deadLetterTargetArn")?.as_str()?.to_owned()));
        Some((waiting, dead))
    }
}

/// Offers messages to others at once. Those whose queue does not answer come again when their visibility runs out.
pub(super) async fn give_back(messages: Vec<Held>) {
    let requests = batches(messages).into_iter().map(|(queue, batch)| async move {
        let receipts: Vec<(String, String)> = {
            let held = queue.held();
            let known = |message: &Held| Some((message.id.clone(), held.get(&message.id)?.handle.clone()));
            batch.iter().filter_map(known).collect()
        };
        queue.show_in(receipts, 0).await;
    });
    stream::iter(requests).buffer_unordered(REQUESTS_AT_ONCE).collect::<()>().await;
}

/// Deletes messages from their queues.
pub(super) async fn delete(messages: Vec<Held>) {
    let requests = batches(messages).into_iter().map(|(queue, batch)| delete_batch(queue, batch));
    stream::iter(requests).buffer_unordered(REQUESTS_AT_ONCE).collect::<()>().await;
}

/// Messages by queue, as many as one request may name.
fn batches(messages: Vec<Held>) -> Vec<(Arc<Queue>, Vec<Held>)> {
    let mut queues: Vec<(Arc<Queue>, Vec<Held>)> = Vec::new();
    for held in messages {
        match queues.iter_mut().find(|(queue, _)| Arc::ptr_eq(queue, &held.queue)) {
            Some((_, all)) => all.push(held),
            None => queues.push((held.queue.clone(), vec![held])),
        }
    }
    let mut batches = Vec::new();
    for (queue, mut all) in queues {
        while !all.is_empty() {
            let rest = all.split_off(all.len().min(BATCH));
            batches.push((queue.clone(), std::mem::replace(&mut all, rest)));
        }
    }
    batches
}

async fn delete_batch(queue: Arc<Queue>, mut batch: Vec<Held>) {
    let mut entries = Vec::new();
    for (i, message) in batch.iter().enumerate() {
        let Some(receipt) = queue.held().get(&message.id).cloned() else { continue };
        let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string()).receipt_handle(receipt.handle);
        entries.extend(entry.build().ok());
    }
    let request = queue.client.delete_message_batch().queue_url(&queue.url).set_entries(Some(entries));
    match request.send().await {
        Ok(answer) => {
            for done in &answer.successful {
                if let Some(message) = done.id.parse().ok().and_then(|i: usize| batch.get_mut(i)) {
                    message.finished = true;
                }
            }
            if let Some(failed) = answer.failed.first() {
                let code = names::text(failed.code.as_bytes());
                queue.status.failed(format!("the queue does not delete messages ({code}); they will come again"));
            }
        }
        Err(error) => queue.status.failed(explain(&error)),
    }
}

/// Keeps messages invisible while they are held. Ends with the queue.
pub(super) async fn keep(queue: Weak<Queue>, visibility: Duration) {
    let pause = (visibility / 6).clamp(Duration::from_millis(200), Duration::from_secs(60));
    loop {
        tokio::time::sleep(pause).await;
        let Some(queue) = queue.upgrade() else { return };
        queue.renew().await;
    }
}

/// Counts what waits, now and then. Ends with the queue.
pub(super) async fn keep_counting(queue: Weak<Queue>, pause: Duration) {
    while let Some(queue) = queue.upgrade() {
        queue.count().await;
        drop(queue);
        tokio::time::sleep(pause).await;
    }
}

/// Why a request failed, and what to do.
fn explain<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let said = error.message().unwrap_or_default();
    let code = error.code().unwrap_or_default();
    // Codes of the query protocol end like those of the JSON protocol.
    match code.rsplit(['.', '#']).next().unwrap_or_default() {
        "QueueDoesNotExist" | "NonExistentQueue" | "InvalidAddress" => {
            "there is no such queue, or not any more; check its address, account and Region".to_owned()
        }
        "AccessDenied" | "AccessDeniedException" => "access denied to the queue; the credentials need \
            sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and sqs:GetQueueAttributes on it, and \
            kms:Decrypt on its key"
            .to_owned(),
        "OverLimit" => "too many messages of the queue are in flight; they come when others are finished".to_owned(),
        "RequestThrottled" | "ThrottlingException" | "Throttling" | "ServiceUnavailable" => {
            format!("SQS answers {} even after several attempts; trying again", names::text(code.as_bytes()))
        }
        "ExpiredToken" | "ExpiredTokenException" => {
            "the AWS credentials have expired; sign in again (for SSO: aws sso login)".to_owned()
        }
        "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" => {
            format!("AWS does not accept the credentials ({}); check AWS_PROFILE", names::text(code.as_bytes()))
        }
        _ => refusals::unanswered("SQS", error, said),
    }
}
