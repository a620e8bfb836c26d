//! `client(user_agent)`: which kind of software made a call, as far as it says so itself.

use super::on_text::{self, Kernel};
use super::{Build, Function, FunctionDoc};

pub(super) static CLIENT: Function = Function {
    doc: FunctionDoc {
        name: "client",
        syntax: "client(user_agent)",
        about: "Family of the client: console, cli, boto3, botocore, sdk-java and other SDKs, terraform, curl, python-requests, \
                browser, aws-service, ...; `other` when unknown. The caller chooses the text: it can lie.",
        example: "SELECT client('Boto3/1.34.11 md/Botocore#1.34.11 ua/2.0 os/linux')",
        result: "boto3",
    },
    build: || Build::Scalar(on_text::function("client", Kernel::Text(|text| kernel(text).map(Into::into)))),
};

/// What a user agent contains, lower case, and the family that it stands for. The first that matches decides, therefore
/// tools stand before the SDKs that they are built on.
const FAMILIES: &[(&str, &str)] = &[
    ("terraform", "terraform"),
    ("opentofu", "terraform"),
    ("pulumi", "pulumi"),
    ("aws-cdk", "cdk"),
    ("ansible", "ansible"),
    ("litellm", "litellm"),
    ("langchain", "langchain"),
    ("trufflehog", "trufflehog"),
    ("pacu", "pacu"),
    ("prowler", "prowler"),
    ("scoutsuite", "scoutsuite"),
    ("scout suite", "scoutsuite"),
    ("steampipe", "steampipe"),
    ("cloudsploit", "cloudsploit"),
    ("nuclei", "nuclei"),
    ("s3 browser", "s3-browser"),
    ("cyberduck", "cyberduck"),
    ("winscp", "winscp"),
    ("rclone", "rclone"),
    ("s3cmd", "s3cmd"),
    ("powershell", "powershell"),
    ("aws-cli", "cli"),
    ("s3console", "console"),
    ("aws-console", "console"),
    ("console.amazonaws.com", "console"),
    ("console.aws.amazon.com", "console"),
    ("signin.amazonaws.com", "console"),
    ("aws-sdk-java", "sdk-java"),
    ("aws-sdk-js", "sdk-js"),
    ("aws-sdk-nodejs", "sdk-js"),
    ("aws-sdk-go", "sdk-go"),
    ("aws-sdk-rust", "sdk-rust"),
    ("aws-sdk-dotnet", "sdk-dotnet"),
    ("aws-sdk-net", "sdk-dotnet"),
    ("aws-sdk-php", "sdk-php"),
    ("aws-sdk-ruby", "sdk-ruby"),
    ("aws-sdk-cpp", "sdk-cpp"),
    ("aws-sdk-kotlin", "sdk-kotlin"),
    ("aws-sdk-swift", "sdk-swift"),
    ("aws-sdk", "sdk-other"),
    ("aiobotocore", "boto3"),
    ("boto3", "boto3"),
    ("botocore", "botocore"),
    ("boto/", "boto3"),
    ("openai", "openai"),
    ("anthropic", "anthropic"),
    ("python-requests", "python-requests"),
    ("python-httpx", "python-httpx"),
    ("aiohttp", "python-aiohttp"),
    ("python-urllib", "python-urllib"),
    ("urllib3", "python-urllib"),
    ("go-http-client", "go-http"),
    ("axios", "node-http"),
    ("node-fetch", "node-http"),
    ("undici", "node-http"),
    ("okhttp", "java-http"),
    ("apache-httpclient", "java-http"),
    ("postmanruntime", "postman"),
    ("insomnia", "insomnia"),
    ("wget", "wget"),
    ("curl", "curl"),
    ("mozilla/", "browser"),
    ("aws internal", "aws-service"),
    ("aws-internal", "aws-service"),
    (".amazonaws.com", "aws-service"),
    (".aws.internal", "aws-service"),
];

fn kernel(user_agent: &str) -> Option<&'static str> {
    if user_agent.is_empty() {
        return None;
    }
    let lower = user_agent.to_ascii_lowercase();
    let family = FAMILIES.iter().find(|(part, _)| lower.contains(part));
    Some(family.map_or("other", |(_, family)| family))
}
