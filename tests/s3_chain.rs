//! S3 with the AWS configuration of the environment, against moto: `.ci/moto.sh` starts it and runs these.

#[path = "support/records.rs"]
mod records;

use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::StorageClass;
use futures::StreamExt;
use records::record;
use trailhound::intake::{Intake, Listing, Options, s3};
use trailhound::lake::Lake;

/// A client for a new bucket, or nothing when there is no moto.
async fn bucket(name: &str) -> Option<Client> {
    if std::env::var_os("TRAILHOUND_MOTO").is_none() {
        println!("not run: needs moto, which .ci/moto.sh starts");
        return None;
    }
    let config = s3::environment().await;
    let client = Client::from_conf(aws_sdk_s3::config::Builder::from(&config).force_path_style(true).build());
    client.create_bucket().bucket(name).send().await.unwrap();
    Some(client)
}

async fn put(client: &Client, bucket: &str, key: &str, bytes: &[u8]) {
    client.put_object().bucket(bucket).key(key).body(bytes.to_vec().into()).send().await.unwrap();
}

async fn list(intake: &Intake, place: &str) -> Listing {
    intake.list(&[place.to_owned()]).await
}

async fn load(intake: &Intake, listing: Listing) -> Vec<Result<(String, Vec<u8>), String>> {
    let fetched = intake.fetch(listing.found).map(|fetched| match fetched.load() {
        Ok((found, bytes)) => Ok((found.uri, bytes.to_vec())),
        Err((_, reason)) => Err(reason),
    });
    fetched.collect().await
}

#[tokio::test]
async fn a_profile_that_assumes_a_role_reads_logs() {
    let Some(client) = bucket("chain-read").await else { return };
    let config = s3::environment().await;
    let credentials = config.credentials_provider().unwrap().provide_credentials().await.unwrap();
    assert!(credentials.session_token().is_some() && credentials.access_key_id() != "AKIAIOSFODNN7EXAMPLE");

    let day = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/10";
    let keys = [format!("{day}/01/a b+c.json"), format!("{day}/02/ü&x=1;#?.json"), format!("{day}/03/100%41.json")];
    for key in &keys {
        put(&client, "chain-read", key, key.as_bytes()).await;
    }
    for i in 0..1100 {
        put(&client, "chain-read", &format!("{day}/20/{i:04}.json"), b"{}").await;
    }
    let intake = Intake::new(Options::default());
    let listing = list(&intake, "s3://chain-read").await;
    assert_eq!((listing.found.len(), listing.problems.len()), (1103, 0));
    assert!(listing.found.iter().all(|found| found.version.len() == 32), "moto has ETags: {:?}", listing.found[0]);

    let since = Some("2026-10-01T00:00:00Z".parse().unwrap());
    let until = Some("2026-10-02T12:00:00Z".parse().unwrap());
    let intake = Intake::new(Options { since, until, ..Options::default() });
    let listing = list(&intake, "s3://chain-read").await;
    let loaded: Vec<_> = load(&intake, listing).await.into_iter().map(Result::unwrap).collect();
    let bytes: Vec<_> = loaded.iter().map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).collect();
    assert_eq!(bytes, keys);
    assert!(loaded[2].0.ends_with("100%2541.json"), "{}", loaded[2].0);
}

#[tokio::test]
async fn objects_that_change_after_listing_are_not_taken_for_what_was_listed() {
    let Some(client) = bucket("chain-change").await else { return };
    let large = vec![b'x'; 20 << 20];
    put(&client, "chain-change", "a-same.json", &large).await;
    put(&client, "chain-change", "b-replaced.json", b"old").await;
    put(&client, "chain-change", "c-gone.json", b"old").await;
    put(&client, "chain-change", "d-replaced-large.json", &large).await;
    let intake = Intake::new(Options::default());
    let listing = list(&intake, "s3://chain-change").await;
    put(&client, "chain-change", "b-replaced.json", b"new").await;
    put(&client, "chain-change", "d-replaced-large.json", &vec![b'y'; 20 << 20]).await;
    client.delete_object().bucket("chain-change").key("c-gone.json").send().await.unwrap();
    let loaded = load(&intake, listing).await;
    assert!(loaded[0].as_ref().unwrap().1 == large);
    for (i, part) in [(1, "replaced"), (2, "not there"), (3, "replaced")] {
        let reason = loaded[i].as_ref().unwrap_err();
        assert!(reason.contains(part), "{reason}");
    }
}

#[tokio::test]
async fn archived_objects_must_be_restored_first() {
    let Some(client) = bucket("chain-archive").await else { return };
    let put = client.put_object().bucket("chain-archive").key("cold.json").storage_class(StorageClass::DeepArchive);
    put.body(b"{}".to_vec().into()).send().await.unwrap();
    let intake = Intake::new(Options::default());
    let listing = list(&intake, "s3://chain-archive").await;
    let loaded = load(&intake, listing).await;
    assert!(loaded[0].as_ref().unwrap_err().contains("restore it first"), "{loaded:?}");
}

#[tokio::test]
async fn a_profile_that_does_not_exist_is_said_to_be_the_reason() {
    if bucket("chain-none").await.is_none() {
        return;
    }
    let behavior = aws_config::BehaviorVersion::latest();
    let config = aws_config::defaults(behavior).profile_name("no-such-profile").load().await;
    let listing = list(&Intake::with_aws(Options::default(), config), "s3://chain-none").await;
    let reason = &listing.problems[0].reason;
    assert!(reason.contains("no usable AWS credentials") && reason.contains("set AWS_PROFILE"), "{reason}");
    println!("{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lake_is_written_with_the_credentials_of_the_role() {
    if bucket("chain-lake").await.is_none() {
        return;
    }
    let lake = Lake::at("s3://chain-lake/a lake", vec![], vec![]).await.unwrap();
    let mut journal = lake.begin().await.unwrap();
    let (part, print) = record(&lake, "s3://b/k").await;
    let mut rival = lake.begin().await.unwrap();
    journal.publish(&[], &[part], &[print]).await.unwrap();
    let mut later = lake.begin().await.unwrap();
    later.look_for(&["s3://b/k"]).await.unwrap();
    assert!(later.has_seen(print));
    let late = rival.publish(&[], &[], &[]).await;
    assert!(matches!(late, Err(trailhound::error::Error::Conflict)), "{late:?}");
}
