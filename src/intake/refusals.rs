//! What S3 refuses, in words that say what to do about it.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use super::names;
use crate::error::chain;

/// Why S3 did not answer as asked.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    /// One sentence: what is wrong and what to do.
    pub reason: String,
    /// True when the address names nothing.
    pub wrong_use: bool,
}

/// Explains a failed request about a bucket.
pub(super) fn explain<E>(error: &SdkError<E>, bucket: &str) -> Refusal
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let bucket = names::text(bucket.as_bytes());
    let answer = error.raw_response();
    let status = answer.map(|answer| answer.status().as_u16());
    let region = answer.and_then(|answer| answer.headers().get("x-amz-bucket-region"));
    let said = error.message().unwrap_or_default();
    let code = match (error.code(), status) {
        (Some(code), _) => code,
        // Answers to HEAD have no body and so no code.
        (None, Some(301)) => "PermanentRedirect",
        (None, Some(403)) => "AccessDenied",
        (None, Some(404)) => "NoSuchKey",
        (None, Some(412)) => "PreconditionFailed",
        (None, _) => "",
    };
    let mut wrong_use = false;
    let reason = match code {
        "NoSuchBucket" | "InvalidBucketName" => {
            wrong_use = true;
            format!("there is no bucket {bucket}; check the name in the s3:// address")
        }
        "AccessDenied" | "AllAccessDisabled" | "Forbidden" => format!(
            "access denied to bucket {bucket}{}; the credentials need s3:ListBucket on the bucket, s3:GetObject on its \
             objects and kms:Decrypt on their key, and --requester-pays if the owner lets readers pay",
            remark(said)
        ),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" | "RequestExpired" => {
            "the AWS credentials have expired; sign in again (for SSO: aws sso login)".to_owned()
        }
        "InvalidAccessKeyId" | "InvalidToken" | "SignatureDoesNotMatch" | "InvalidClientTokenId" => {
            format!("AWS does not accept the credentials ({code}); check AWS_PROFILE and the AWS_* variables")
        }
        "RequestTimeTooSkewed" => "the clock of this machine is wrong, so AWS refuses its signature; set it".to_owned(),
        "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            format!("bucket {bucket} is in another Region; set AWS_REGION to {}", region.unwrap_or("it"))
        }
        "InvalidObjectState" => {
            "is archived (Glacier or an archive tier); restore it first, with aws s3api restore-object".to_owned()
        }
        "PreconditionFailed" => "was replaced after it was listed; run again to read the new one".to_owned(),
        "NoSuchKey" | "NotFound" => "is not there (any more); check the address or run again".to_owned(),
        "SlowDown" | "ServiceUnavailable" | "InternalError" => {
            format!("S3 answers {code} even after several attempts; run again later")
        }
        _ => unanswered("S3", error, said),
    };
    Refusal { reason, wrong_use }
}

/// For requests to a service that were never answered, or with a code of its own.
pub(super) fn unanswered<E>(service: &str, error: &SdkError<E>, said: &str) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let cause = names::text(chain(error).as_bytes());
    let lower = cause.to_lowercase();
    if ["credential", "identity", "profile", "sso", "token"].iter().any(|word| lower.contains(word)) {
        return format!(
            "there are no usable AWS credentials ({cause}); set AWS_PROFILE, sign in (aws sso login) or give this \
             machine a role"
        );
    }
    match error {
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) => {
            format!("{service} cannot be reached ({cause}); check the network, proxy and AWS_ENDPOINT_URL")
        }
        _ => format!("{service} refused the request ({cause}{})", remark(said)),
    }
}

fn remark(said: &str) -> String {
    let said = names::text(said.trim_end_matches('.').as_bytes());
    if said.is_empty() || said.eq_ignore_ascii_case("access denied") { String::new() } else { format!(": {said}") }
}
