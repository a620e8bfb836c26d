//! Lakes in S3: how Delta gets its object store, with conditional commits and the AWS credentials of the environment.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use deltalake_core::logstore::{
    LogStore, LogStoreFactory, ObjectStoreFactory, ObjectStoreRef, StorageConfig, default_logstore, logstore_factories,
    object_store_factories,
};
use deltalake_core::{DeltaResult, DeltaTableError};
use object_store::aws::{AmazonS3Builder, AwsCredential, S3ConditionalPut};
use object_store::path::Path;
use object_store::{CredentialProvider, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::sync::RwLock;
use url::Url;

use crate::error::{Error, Result, chain};
use crate::intake::s3;

/// Credentials are renewed this long before they end, so that none ends within a request.
const SLACK: Duration = Duration::from_secs(300);
const DEFAULT_REGION: &str = "us-east-1";

/// Regions of the buckets that were asked for, since a store must be built without waiting.
static REGIONS: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
/// What was registered last. Delta's registries belong to the process, so this does too.
static CONFIG: RwLock<Option<SdkConfig>> = RwLock::const_new(None);

/// Makes `s3://` lakes known to Delta, with the AWS configuration of the environment unless one was registered already.
pub async fn register() -> Result<()> {
    let mut known = CONFIG.write().await;
    if known.is_some() {
        return Ok(());
    }
    let config = s3::environment().await;
    install(&config)?;
    *known = Some(config);
    Ok(())
}

/// Makes `s3://` lakes known to Delta with this configuration, in place of an earlier one.
pub async fn register_with(config: &SdkConfig) -> Result<()> {
    let mut known = CONFIG.write().await;
    install(config)?;
    *known = Some(config.clone());
    Ok(())
}

fn install(config: &SdkConfig) -> Result<()> {
    let Some(credentials) = config.credentials_provider() else {
        return Err(Error::Lake("there are no AWS credentials for a lake in S3; set AWS_PROFILE".to_owned()));
    };
    let store = Arc::new(Stores {
        endpoint: s3::endpoint(config),
        region: config.region().map(|region| region.to_string()).unwrap_or_else(|| DEFAULT_REGION.to_owned()),
        credentials: Arc::new(Cached { inner: credentials, last: RwLock::default() }),
    });
    let scheme = Url::parse("s3://").map_err(|error| Error::Lake(format!("s3:// cannot be registered: {error}")))?;
    object_store_factories().insert(scheme.clone(), store);
    logstore_factories().insert(scheme, Arc::new(Logs));
    Ok(())
}

/// Registers, and finds out in which Region the bucket of this lake is: call it before the lake is opened.
pub async fn prepare(lake: &Url) -> Result<()> {
    register().await?;
    let bucket = lake.host_str().unwrap_or_default();
    let config = CONFIG.read().await.clone();
    if let Some(region) = s3::S3::new(config, false, 0).region(bucket).await {
        let mut regions = REGIONS.lock().unwrap_or_else(PoisonError::into_inner);
        regions.get_or_insert_default().insert(bucket.to_owned(), region);
    }
    Ok(())
}

/// Refuses a server that ignores conditions on writing: two commits at once would silently lose rows there.
///
/// Writes one small object below `prefix` twice and deletes it. AWS and most stand-ins pass; a server that checks first
/// and then writes passes as well, although it is not safe.
pub async fn probe_conditional_put(store: &dyn ObjectStore, prefix: &Path) -> Result<()> {
    let probe = prefix.clone().join(format!("_trailhound-probe-{}", uuid::Uuid::new_v4()));
    let put = || store.put_opts(&probe, PutPayload::from_static(b"probe"), PutOptions::from(PutMode::Create));
    put().await.map_err(|error| Error::Lake(format!("the lake cannot be written: {}", chain(&error))))?;
    let again = put().await;
    let removed = store.delete(&probe).await;
    match again {
        Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
        Err(error) => return Err(Error::Lake(format!("the lake cannot be written: {}", chain(&error)))),
        Ok(_) => {
            return Err(Error::Lake(
                "this S3 server ignores If-None-Match, so a lake on it could lose rows; use AWS S3 or a server with \
                 conditional writes"
                    .to_owned(),
            ));
        }
    }
    removed.map_err(|error| {
        let reason = chain(&error);
        Error::Lake(format!("objects of the lake cannot be deleted ({reason}); allow s3:DeleteObject on {probe}"))
    })
}

#[derive(Debug)]
struct Stores {
    endpoint: Option<String>,
    region: String,
    credentials: Arc<Cached>,
}

impl ObjectStoreFactory for Stores {
    fn parse_url_opts(&self, url: &Url, _: &StorageConfig) -> DeltaResult<(ObjectStoreRef, Path)> {
        let bucket = url.host_str().ok_or_else(|| DeltaTableError::InvalidTableLocation(url.to_string()))?;
        let known = REGIONS.lock().unwrap_or_else(PoisonError::into_inner);
        let region = known.as_ref().and_then(|regions| regions.get(bucket)).unwrap_or(&self.region);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(self.credentials.clone())
            .with_conditional_put(S3ConditionalPut::ETagMatch);
        if let Some(endpoint) = &self.endpoint {
            builder = builder
                .with_endpoint(endpoint)
                .with_allow_http(endpoint.starts_with("http://"))
                .with_virtual_hosted_style_request(false);
        }
        let path = Path::from_url_path(url.path()).map_err(object_store::Error::from)?;
        Ok((Arc::new(builder.build()?), path))
    }
}

#[derive(Debug)]
struct Logs;

impl LogStoreFactory for Logs {
    fn with_options(
        &self,
        prefixed: ObjectStoreRef,
        root: ObjectStoreRef,
        location: &Url,
        options: &StorageConfig,
    ) -> DeltaResult<Arc<dyn LogStore>> {
        Ok(default_logstore(prefixed, root, location, options))
    }
}

/// Credentials of the SDK, kept until they are about to end: its providers ask STS anew at each call.
#[derive(Debug)]
struct Cached {
    inner: SharedCredentialsProvider,
    last: RwLock<Option<Kept>>,
}

#[derive(Debug, Clone)]
struct Kept {
    credential: Arc<AwsCredential>,
    ends: Option<SystemTime>,
}

impl Kept {
    fn good(&self) -> bool {
        self.ends.is_none_or(|ends| ends > SystemTime::now() + SLACK)
    }
}

#[async_trait]
impl CredentialProvider for Cached {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        if let Some(kept) = self.last.read().await.as_ref().filter(|kept| kept.good()) {
            return Ok(kept.credential.clone());
        }
        let mut last = self.last.write().await;
        if let Some(kept) = last.as_ref().filter(|kept| kept.good()) {
            return Ok(kept.credential.clone());
        }
        let new = self.inner.provide_credentials().await.map_err(|error| object_store::Error::Generic {
            store: "S3",
            source: format!("there are no usable AWS credentials: {}", chain(&error)).into(),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: new.access_key_id().to_owned(),
            secret_key: new.secret_access_key().to_owned(),
            token: new.session_token().map(str::to_owned),
        });
        *last = Some(Kept { credential: credential.clone(), ends: new.expiry() });
        Ok(credential)
    }
}
