//! Findings through a topic into a queue, with the AWS configuration of the environment: `.ci/moto.sh` runs it.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_config::BehaviorVersion;
use trailhound::findings::{Finding, to_batch};
use trailhound::outputs::channels::Channels;

#[path = "support/finding.rs"]
mod plain;

fn finding(number: usize) -> Finding {
    Finding { user_agent: Some("ü \u{1b}[31m\u{ffff}".into()), ..plain::finding(number) }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_finding_is_a_message_with_its_severity_and_rule() {
    if std::env::var_os("TRAILHOUND_MOTO").is_none() {
        println!("not run: needs moto, which .ci/moto.sh starts");
        return;
    }
    let config = aws_config::defaults(BehaviorVersion::latest()).load().await;
    let (sns, sqs) = (aws_sdk_sns::Client::new(&config), aws_sdk_sqs::Client::new(&config));
    let topic = sns.create_topic().name("findings").send().await.unwrap().topic_arn.unwrap();
    let queue = sqs.create_queue().queue_name("found").send().await.unwrap().queue_url.unwrap();
    let account = topic.split(':').nth(4).unwrap();
    let endpoint = format!("arn:aws:sqs:us-east-1:{account}:found");
    let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(endpoint);
    subscribe.attributes("RawMessageDelivery", "true").send().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let mut channels = Channels::open(&[topic], folder.path(), None).await.unwrap();
    let findings: Vec<Finding> = (0..25).map(finding).collect();
    channels.offer(1, &to_batch(&findings).unwrap()).await.unwrap();
    channels.close(Duration::from_secs(30)).await;

    let mut found = BTreeSet::new();
    while found.len() < 25 {
        let receive = sqs.receive_message().queue_url(&queue).max_number_of_messages(10);
        let messages = receive.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
        assert!(!messages.is_empty(), "only {} of 25 arrived", found.len());
        for message in messages {
            let body: serde_json::Value = serde_json::from_str(message.body().unwrap()).unwrap();
            assert_eq!(body["user_agent"], "ü \u{1b}[31m\u{ffff}");
            let attributes = message.message_attributes().unwrap();
            assert_eq!(attributes["severity"].string_value(), Some("high"));
            assert_eq!(attributes["rule_id"].string_value(), Some("stopped_trail"));
            let receipt = message.receipt_handle().unwrap();
            sqs.delete_message().queue_url(&queue).receipt_handle(receipt).send().await.unwrap();
            assert!(found.insert(body["finding_id"].as_str().unwrap().to_owned()), "twice: {body}");
        }
    }
    assert_eq!(found.first().unwrap(), &format!("{:032x}", 0));
}
