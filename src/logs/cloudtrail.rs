//! AWS CloudTrail events: management, data and network activity records.

mod keys;
mod record;

pub use record::{Recognised, Record};

use super::LogType;
use super::json::Scanner;
use super::rows::Rows;
use crate::table::{Column, Kind, Leaf, Scalar, Table, column, searched};

/// AWS CloudTrail, <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>.
pub static CLOUDTRAIL: LogType = LogType { name: "cloudtrail", table: &TABLE };

/// Decodes the JSON text of one event into one row, or says why it cannot; then no column was filled.
///
/// Nothing is lost: keys without a column and values that do not fit theirs go to `extra`.
pub fn decode(rows: &mut Rows, index: u64, event: &str) -> Result<(), String> {
    let mut scanner = Scanner::new(event, 0);
    if scanner.peek() != Some(b'{') {
        return Err("not a JSON object".to_owned());
    }
    let record = Record::scan(&mut scanner).map_err(|fault| format!("{} at byte {}", fault.why, fault.at))?;
    record.store(rows, index)
}

static TABLE: Table = Table {
    name: "cloudtrail",
    about: "An API call or service event recorded by AWS CloudTrail.",
    time_name: Some("eventTime"),
    clustered_by: &["eventSource", "eventName"],
    columns: &COLUMNS,
};

const RESOURCE: [Leaf; 4] = [
    Leaf { name: "arn", kind: Scalar::Text, doc: "ARN of the resource" },
    Leaf { name: "accountid", kind: Scalar::Text, doc: "owner of the resource" },
    Leaf { name: "type", kind: Scalar::Text, doc: "type, such as `AWS::S3::Object`" },
    Leaf { name: "arnprefix", kind: Scalar::Text, doc: "prefix of the ARNs, where a call touched many" },
];

static COLUMNS: [Column; 66] = [
    searched("eventName", Kind::Text, "API operation; may carry a version suffix"),
    searched("eventSource", Kind::Text, "service, usually `<service>.amazonaws.com`"),
    column("awsRegion", Kind::Text, "Region of the call"),
    column("recipientAccountId", Kind::Text, "account that received the event"),
    searched("eventID", Kind::Text, "GUID of the event; an event delivered twice carries it twice"),
    searched("requestID", Kind::Text, "request id; equals `requestId` in the invocation log"),
    searched("userIdentity.arn", Kind::Text, "ARN of the caller; absent for AWS services"),
    searched("userIdentity.accessKeyId", Kind::Text, "`AKIA` long-term or `ASIA` temporary key"),
    searched("sourceIPAddress", Kind::Text, "IPv4, IPv6, a service DNS name or `AWS Internal`"),
    searched("userIdentity.sessionContext.sessionIssuer.arn", Kind::Text, "ARN of the role behind the session"),
    column(
        "userIdentity.type",
        Kind::Text,
        "Root, IAMUser, AssumedRole, Role, FederatedUser, AWSAccount, AWSService, ...",
    ),
    column("userIdentity.accountId", Kind::Text, "account of the caller, or `anonymous`"),
    column("userIdentity.principalId", Kind::Text, "unique id; for roles `AROA...:<session name>`"),
    column("userIdentity.userName", Kind::Text, "friendly name"),
    column("userIdentity.invokedBy", Kind::Text, "service that made the call for the caller"),
    column("userIdentity.sessionContext.sessionIssuer.userName", Kind::Text, "name of the role behind the session"),
    column("errorCode", Kind::Text, "error code; null when the call succeeded"),
    column("eventCategory", Kind::Text, "Management, Data, NetworkActivity, Insight"),
    column("eventType", Kind::Text, "AwsApiCall, AwsServiceEvent, AwsConsoleAction, AwsConsoleSignIn, AwsVpceEvent"),
    column("readOnly", Kind::Bool, "true when the call only reads"),
    column("managementEvent", Kind::Bool, "true for management events"),
    column("vpcEndpointId", Kind::Text, "VPC endpoint that the call came through"),
    column("sharedEventID", Kind::Text, "same call delivered to several accounts"),
    column("userAgent", Kind::Text, "client software, as the caller states it"),
    column("eventVersion", Kind::Text, "version of the record format, `major.minor`"),
    column("apiVersion", Kind::Text, "API version"),
    column("vpcEndpointAccountId", Kind::Text, "owner of the VPC endpoint"),
    column("sessionCredentialFromConsole", Kind::Text, "`true` when the credential came from a console session"),
    column("userIdentity.identityProvider", Kind::Text, "SAML or OIDC provider"),
    column("userIdentity.credentialId", Kind::Text, "bearer credential (Identity Center)"),
    column("userIdentity.invokedByDelegate.accountId", Kind::Text, "account of the delegate"),
    column("userIdentity.onBehalfOf.userId", Kind::Text, "Identity Center user behind the call"),
    column("userIdentity.onBehalfOf.identityStoreArn", Kind::Text, "identity store of that user"),
    column("userIdentity.inScopeOf.sourceArn", Kind::Text, "resource that the role credentials were issued for"),
    column("userIdentity.inScopeOf.sourceAccount", Kind::Text, "account of that resource"),
    column("userIdentity.inScopeOf.issuerType", Kind::Text, "service that issued the credentials"),
    column("userIdentity.inScopeOf.credentialsIssuedTo", Kind::Text, "compute resource that holds the credentials"),
    column("userIdentity.sessionContext.sessionIssuer.type", Kind::Text, "type of the session's issuer"),
    column("userIdentity.sessionContext.sessionIssuer.principalId", Kind::Text, "unique id of the role"),
    column("userIdentity.sessionContext.sessionIssuer.accountId", Kind::Text, "account of the role"),
    column(
        "userIdentity.sessionContext.attributes.creationDate",
        Kind::Text,
        "when the session began, as the log wrote it",
    ),
    column(
        "userIdentity.sessionContext.attributes.mfaAuthenticated",
        Kind::Text,
        "`true` or `false`; null when the log did not say",
    ),
    column("userIdentity.sessionContext.webIdFederationData.federatedProvider", Kind::Text, "web identity provider"),
    column("userIdentity.sessionContext.webIdFederationData.attributes", Kind::Json, "claims of the web identity"),
    column("userIdentity.sessionContext.sourceIdentity", Kind::Text, "source identity set at AssumeRole"),
    column("userIdentity.sessionContext.ec2RoleDelivery", Kind::Text, "`1.0` IMDSv1 or `2.0` IMDSv2"),
    column("userIdentity.sessionContext.assumedRoot", Kind::Text, "`true` for sts:AssumeRoot sessions"),
    column("userIdentity.sessionContext.ec2IssuedInVpc", Kind::Text, "VPC in which the credentials were issued"),
    column("tlsDetails.tlsVersion", Kind::Text, "TLS version"),
    column("tlsDetails.cipherSuite", Kind::Text, "TLS cipher suite"),
    column("tlsDetails.clientProvidedHostHeader", Kind::Text, "host name that the client asked for"),
    column("tlsDetails.keyExchange", Kind::Text, "TLS key exchange"),
    column("addendum.reason", Kind::Text, "DELIVERY_DELAY, UPDATED_DATA or SERVICE_OUTAGE"),
    column("addendum.updatedFields", Kind::Text, "fields that the addendum changes"),
    column("addendum.originalRequestID", Kind::Text, "request id of the event that is changed"),
    column("addendum.originalEventID", Kind::Text, "event id of the event that is changed"),
    column("errorMessage", Kind::Text, "error message"),
    column("resources", Kind::List(&RESOURCE), "resources that the event touched"),
    column("requestParameters", Kind::Json, "parameters of the call; null when over 100 KB"),
    column("responseElements", Kind::Json, "answer of the call; null for most reads"),
    column("additionalEventData", Kind::Json, "data that the service adds"),
    column("serviceEventDetails", Kind::Json, "details of service events"),
    column("eventContext", Kind::Json, "tags and condition keys, in enriched event data stores"),
    column("edgeDeviceDetails", Kind::Json, "edge device details"),
    column("annotation", Kind::Text, "which field was cut (CloudTrail Lake)"),
    column("extra", Kind::Json, "top-level fields, and fields of closed objects, that have no column: path -> value"),
];
