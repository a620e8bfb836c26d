//! Amazon Resource Names: their parts, the role behind a session, and the model behind a model id.

use std::borrow::Cow;

/// Parts of `arn:partition:service:region:account:resource`; region and account may be empty.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arn<'a> {
    /// `aws`, `aws-us-gov`, `aws-cn`, ...
    pub partition: &'a str,
    /// Service namespace, such as `iam`.
    pub service: &'a str,
    /// Region, empty for global services.
    pub region: &'a str,
    /// Account id, empty for some services.
    pub account: &'a str,
    /// Everything after the fifth colon.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// The parts of an ARN, or `None` for any other text.
    pub fn parse(text: &'a str) -> Option<Arn<'a>> {
        let (partition, rest) = cut(text.strip_prefix("arn:")?)?;
        let (service, rest) = cut(rest)?;
        let (region, rest) = cut(rest)?;
        let (account, resource) = cut(rest)?;
        Some(Arn { partition, service, region, account, resource })
    }

    /// What stands before the first `/` or `:` of the resource (`role`, `guardrail`); `None` for a resource in one piece.
    pub fn kind(&self) -> Option<&'a str> {
        self.resource.split_once(['/', ':']).map(|(kind, _)| kind)
    }

    /// What stands after the last `/` of the resource, or else after its last `:`; versions such as `v1:0` stay whole.
    pub fn name(&self) -> &'a str {
        let (_, name) =
            self.resource.rsplit_once('/').or_else(|| self.resource.rsplit_once(':')).unwrap_or(("", self.resource));
        name
    }
}

/// What stands before and after the first colon. A loop over bytes: parts are too short for a search that has to be set up,
/// and rules ask for the principal of every row of a history.
fn cut(text: &str) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == b':')?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Role name and session name of an `assumed-role` ARN.
fn session<'a>(arn: &Arn<'a>) -> Option<(&'a str, &'a str)> {
    arn.resource.strip_prefix("assumed-role/")?.rsplit_once('/')
}

/// The principal that permissions are given to: the role for a session of a role, otherwise the text itself.
///
/// Session ARNs do not show the path of a role, so the role ARN has none either; `userIdentity.sessionContext.sessionIssuer.arn` does.
pub fn principal(text: &str) -> Cow<'_, str> {
    let Some(arn) = Arn::parse(text).filter(|arn| arn.service == "sts") else { return text.into() };
    match session(&arn) {
        Some((role, _)) => ["arn:", arn.partition, ":iam::", arn.account, ":role/", role].concat().into(),
        None => text.into(),
    }
}

/// Name of the session in the ARN of an assumed role or a federated user.
pub fn session_name(text: &str) -> Option<Cow<'_, str>> {
    let arn = Arn::parse(text).filter(|arn| arn.service == "sts")?;
    match arn.resource.strip_prefix("federated-user/") {
        Some(name) => Some(name.into()),
        None => session(&arn).map(|(_, name)| name.into()),
    }
}

/// Beginnings of the names of Regions outside the partition `aws`, each with its partition.
/// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
const PARTITIONS: [(&str, &str); 7] = [
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eusc-", "aws-eusc"),
];

/// The partition of a Region; `aws` when it is not known to be another.
pub fn partition(region: &str) -> &'static str {
    PARTITIONS.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, partition)| partition)
}

/// Geographies of cross-Region inference profiles that are longer than a country code.
/// <https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html>
const GEOGRAPHIES: [&str; 7] = ["global", "apac", "us-gov", "emea", "amer", "latam", "us-iso"];

/// The model behind a model id as it was called: last part of an ARN, without the geography of an inference profile.
///
/// The version stays. Ids of provisioned, custom and imported models and of application profiles are opaque and stay as they are.
pub fn model(text: &str) -> &str {
    let id = Arn::parse(text).map_or(text, |arn| arn.name());
    match id.split_once('.') {
        Some((first, rest)) if is_geography(first) && rest.contains('.') => rest,
        _ => id,
    }
}

fn is_geography(text: &str) -> bool {
    GEOGRAPHIES.contains(&text) || (text.len() == 2 && text.bytes().all(|b| b.is_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_of_resources() {
        let cases = [
            ("arn:aws:iam::111122223333:role/service/App", Some("role"), "App"),
            ("arn:aws:bedrock:us-east-1:111122223333:guardrail/gr1234567890", Some("guardrail"), "gr1234567890"),
            ("arn:aws:lambda:us-east-1:111122223333:function:ingest", Some("function"), "ingest"),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
                Some("foundation-model"),
                "amazon.nova-pro-v1:0",
            ),
            ("arn:aws:s3:::company-data", None, "company-data"),
            ("arn:aws:iam::111122223333:root", None, "root"),
        ];
        for (text, kind, name) in cases {
            let arn = Arn::parse(text).expect("an ARN");
            assert_eq!((arn.kind(), arn.name()), (kind, name), "{text}");
        }
        assert_eq!(Arn::parse("arn:aws:iam"), None);
    }

    #[test]
    fn sessions_lead_to_their_role_in_any_partition() {
        let session = "arn:aws-us-gov:sts::111122223333:assumed-role/App/i-0abc";
        assert_eq!(principal(session), "arn:aws-us-gov:iam::111122223333:role/App");
        assert_eq!(session_name(session).as_deref(), Some("i-0abc"));
        let user = "arn:aws:iam::111122223333:user/ana";
        assert_eq!(principal(user), user);
        assert_eq!(session_name(user), None);
        assert_eq!(
            principal("arn:aws:sts::111122223333:assumed-role/App"),
            "arn:aws:sts::111122223333:assumed-role/App"
        );
        assert_eq!(session_name("arn:aws:sts::111122223333:federated-user/ana").as_deref(), Some("ana"));
    }

    #[test]
    fn models_lose_geography_and_arn_but_not_version() {
        let bare = "anthropic.claude-3-5-sonnet-20241022-v2:0";
        for text in [
            bare.to_owned(),
            format!("us.{bare}"),
            format!("us-gov.{bare}"),
            format!("global.{bare}"),
            format!("arn:aws:bedrock:us-east-1::foundation-model/{bare}"),
            format!("arn:aws:bedrock:eu-west-1:111122223333:inference-profile/eu.{bare}"),
        ] {
            assert_eq!(model(&text), bare, "{text}");
        }
        assert_eq!(model("zai.glm-4.7"), "zai.glm-4.7");
        assert_eq!(model("arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/ab12cd34"), "ab12cd34");
        assert_eq!(model(""), "");
    }
}
