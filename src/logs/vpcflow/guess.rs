//! Formats of lines without a header: the orders that AWS documents, taken only when every field looks like its kind.

use std::sync::LazyLock;

use super::address::is_address;
use super::format::{Format, MAX_FIELDS, Separator};
use super::split::{split_blanks, split_commas};

/// The default format of VPC flow logs: all fields of version 2.
const V2: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
                  log-status";

/// What each later version adds, in the order of AWS's table of fields: "all fields up to version n".
const ADDED: [&str; 8] = [
    "vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr",
    "region az-id sublocation-type sublocation-id",
    "pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path",
    "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id \
     ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id",
    "reject-reason",
    "resource-id",
    "encryption-status",
    "instance-tag instance-tag-2 interface-tag interface-tag-2 asg-tag asg-tag-2 interface-type next-hop-interface-id \
     next-hop-subnet-id next-hop-az-id next-hop-vpc-id next-hop-interface-type",
];

/// The default format of transit gateway flow logs.
const TRANSIT_GATEWAY: &str = "version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id \
    tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni \
    tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
    log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired \
    tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service";

/// Orders of the examples in AWS's documentation, which many subscriptions copy.
const EXAMPLES: [&str; 2] = [
    "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr \
     pkt-dstaddr protocol bytes packets start end action tcp-flags log-status",
    "version srcaddr dstaddr srcport dstport protocol start end type packets bytes account-id vpc-id subnet-id \
     instance-id interface-id region az-id sublocation-type sublocation-id action tcp-flags pkt-srcaddr pkt-dstaddr \
     pkt-src-aws-service pkt-dst-aws-service traffic-path flow-direction log-status",
];

/// What the console appends to the default format when ECS metadata is chosen, with the two orders of the instance fields.
const ECS: [&str; 2] = [
    "ecs-cluster-name ecs-cluster-arn ecs-container-instance-id ecs-container-instance-arn ecs-service-name \
     ecs-task-definition-arn ecs-task-id ecs-task-arn ecs-container-id ecs-second-container-id",
    "ecs-cluster-name ecs-cluster-arn ecs-container-instance-arn ecs-container-instance-id ecs-service-name \
     ecs-task-definition-arn ecs-task-id ecs-task-arn ecs-container-id ecs-second-container-id",
];

/// An order that may be guessed.
#[derive(Debug)]
struct Candidate {
    format: Format,
    shapes: Vec<Shape>,
    /// Positions of packets, bytes, start and end.
    packets: usize,
    bytes: usize,
    start: usize,
    end: usize,
}

/// What the values of a field look like.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    /// Not part of the record: a time that a log export put before the line.
    Timestamp,
    /// The stream's name, after such a time.
    Stream,
    /// The number of the default format.
    VersionTwo,
    /// The number of a format with more fields.
    Version,
    /// OK, NODATA or SKIPDATA: always there.
    Status,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A number up to this one.
    UpTo(i64),
    /// Unix seconds in this century.
    Seconds,
    Account,
    Address,
    /// An identifier with this prefix.
    Id(&'static str),
    /// An ARN of Amazon ECS.
    Arn,
    /// A word of lower-case letters, digits and dashes with at least one dash: a Region or zone.
    Zone,
    /// A word of capital letters, digits and underscores: a service.
    Service,
    /// Anything that is not an ARN.
    Free,
}

static CANDIDATES: LazyLock<Vec<Candidate>> = LazyLock::new(|| {
    let mut orders: Vec<String> = vec![V2.to_owned()];
    for added in ADDED {
        let shorter = orders.last().map_or(V2, String::as_str);
        orders.push(format!("{shorter} {added}"));
    }
    orders.push(TRANSIT_GATEWAY.to_owned());
    orders.extend(EXAMPLES.map(str::to_owned));
    orders.extend(ECS.map(|ecs| format!("{V2} {ecs}")));
    let mut candidates = Vec::new();
    for separator in [Separator::Blanks, Separator::Commas] {
        for before in [&[][..], &[Shape::Timestamp], &[Shape::Timestamp, Shape::Stream]] {
            candidates.extend(orders.iter().filter_map(|order| Candidate::new(order, before, separator)));
        }
    }
    candidates
});

impl Format {
    /// The format of a line that has no header: one of the orders that AWS documents, when the number of fields agrees and
    /// every field looks like what it should be; otherwise `None`, because a wrong guess would put values into wrong columns.
    ///
    /// Times, and times with stream names, before the line are allowed: exports of CloudWatch Logs write them.
    pub fn guess(line: &str) -> Option<Format> {
        candidate(line).map(|candidate| candidate.format.clone())
    }
}

/// True when the line is a flow record without header, of a known order or of another: then its format must be configured.
/// Meant for messages inside of JSON, where a line has no neighbours that would explain it.
pub fn looks_like_line(line: &str) -> bool {
    if candidate(line).is_some() {
        return true;
    }
    let mut tokens = [""; MAX_FIELDS];
    let count = split_blanks(line, |number, token| keep(&mut tokens, number, token));
    let Some(tokens) = tokens.get(..count) else { return false };
    let has = |shape: Shape| tokens.iter().filter(|token| **token != "-" && shape.fits(token)).count();
    let has_status = has(Shape::Status) == 1;
    let has_interface = has(Shape::Id("eni-")) > 0 || has(Shape::Id("tgw-attach-")) > 0;
    has_status && has(Shape::Seconds) >= 2 && (has_interface || has(Shape::Address) >= 2)
}

fn candidate(line: &str) -> Option<&'static Candidate> {
    let first = line.trim_ascii_start().bytes().next()?;
    if !(first.is_ascii_digit() || first == b'"') {
        return None;
    }
    let mut tokens = [""; MAX_FIELDS];
    let count = split_blanks(line, |number, token| keep(&mut tokens, number, token));
    if let Some(found) = fitting(tokens.get(..count)?, Separator::Blanks) {
        return Some(found);
    }
    if !line.contains(',') {
        return None;
    }
    let count = split_commas(line, |number, token| keep(&mut tokens, number, token));
    fitting(tokens.get(..count)?, Separator::Commas)
}

fn keep<'a>(tokens: &mut [&'a str], number: usize, token: &'a str) {
    if let Some(place) = tokens.get_mut(number) {
        *place = token;
    }
}

fn fitting(tokens: &[&str], separator: Separator) -> Option<&'static Candidate> {
    CANDIDATES.iter().find(|candidate| candidate.format.order.separator == separator && candidate.fits(tokens))
}

impl Candidate {
    fn new(order: &str, before: &[Shape], separator: Separator) -> Option<Candidate> {
        let mut names: Vec<&str> = before.iter().map(|_| "").collect();
        names.extend(order.split_ascii_whitespace());
        let at = |name: &str| names.iter().position(|field| *field == name);
        let (packets, bytes, start, end) = (at("packets")?, at("bytes")?, at("start")?, at("end")?);
        let mut shapes = before.to_vec();
        shapes.extend(names.iter().skip(before.len()).map(|name| shape(name)));
        if order == V2 {
            *shapes.get_mut(before.len())? = Shape::VersionTwo;
        }
        Some(Candidate { format: Format::new(&names, separator), shapes, packets, bytes, start, end })
    }

    fn fits(&self, tokens: &[&str]) -> bool {
        if tokens.len() != self.shapes.len() || !self.shapes.iter().zip(tokens).all(|(shape, token)| shape.fits(token))
        {
            return false;
        }
        let number = |place: usize| tokens.get(place).and_then(|token| token.parse::<i64>().ok());
        let is_interval = match (number(self.start), number(self.end)) {
            (Some(start), Some(end)) => end >= start - 60 && end - start <= 86_400,
            _ => false,
        };
        // Every packet has a header of 20 bytes; fewer bytes than packets means that the two fields are swapped.
        let is_traffic = match (number(self.packets), number(self.bytes)) {
            (Some(packets), Some(bytes)) => bytes >= packets,
            (packets, bytes) => packets.is_none() && bytes.is_none(),
        };
        is_interval && is_traffic
    }
}

fn shape(name: &str) -> Shape {
    match name {
        "account-id" | "tgw-src-vpc-account-id" | "tgw-dst-vpc-account-id" => Shape::Account,
        "interface-id" | "next-hop-interface-id" | "tgw-src-eni" | "tgw-dst-eni" => Shape::Id("eni-"),
        "srcaddr" | "dstaddr" | "pkt-srcaddr" | "pkt-dstaddr" => Shape::Address,
        "srcport" | "dstport" => Shape::UpTo(65_535),
        "protocol" | "tcp-flags" => Shape::UpTo(255),
        "traffic-path" | "encryption-status" => Shape::UpTo(9),
        "start" | "end" => Shape::Seconds,
        "action" => Shape::Word(&["ACCEPT", "REJECT"]),
        "log-status" => Shape::Status,
        "version" => Shape::Version,
        "type" => Shape::Word(&["IPv4", "IPv6", "EFA"]),
        "flow-direction" => Shape::Word(&["ingress", "egress"]),
        "sublocation-type" => Shape::Word(&["wavelength", "outpost", "localzone"]),
        "resource-type" => Shape::Word(&["TransitGateway"]),
        "reject-reason" => Shape::Word(&["BPA", "EC"]),
        "vpc-id" | "next-hop-vpc-id" | "tgw-src-vpc-id" | "tgw-dst-vpc-id" => Shape::Id("vpc-"),
        "subnet-id" | "next-hop-subnet-id" | "tgw-src-subnet-id" | "tgw-dst-subnet-id" => Shape::Id("subnet-"),
        "instance-id" => Shape::Id("i-"),
        "tgw-attachment-id" | "tgw-pair-attachment-id" => Shape::Id("tgw-attach-"),
        "tgw-id" => Shape::Id("tgw-"),
        "region" | "az-id" | "next-hop-az-id" | "tgw-src-az-id" | "tgw-dst-az-id" => Shape::Zone,
        "pkt-src-aws-service" | "pkt-dst-aws-service" => Shape::Service,
        name if name.starts_with("ecs-") && name.ends_with("-arn") => Shape::Arn,
        name if name.starts_with("packets") || name == "bytes" => Shape::UpTo(i64::MAX),
        _ => Shape::Free,
    }
}

impl Shape {
    /// True when the token can be a value of this shape, or says that there is none.
    fn fits(self, token: &str) -> bool {
        let all = |allowed: fn(u8) -> bool| !token.is_empty() && token.bytes().all(allowed);
        match self {
            Shape::VersionTwo => token == "2",
            Shape::Version => number(token).is_some_and(|number| (2..=99).contains(&number)),
            Shape::Status => matches!(token, "OK" | "NODATA" | "SKIPDATA"),
            Shape::Seconds => number(token).is_some_and(|number| (946_684_800..4_102_444_800).contains(&number)),
            Shape::Timestamp => {
                let digits = token.bytes().take(4).filter(u8::is_ascii_digit).count();
                digits == 4 && token.get(4..5) == Some("-") && token.get(10..11) == Some("T")
            }
            Shape::Stream => token.starts_with("eni-"),
            _ if token == "-" => true,
            Shape::Word(words) => words.contains(&token),
            Shape::UpTo(most) => number(token).is_some_and(|number| number <= most),
            Shape::Account => token == "unknown" || (all(|byte| byte.is_ascii_digit()) && token.len() <= 12),
            Shape::Address => is_address(token),
            Shape::Id(prefix) => token.len() > prefix.len() && token.starts_with(prefix),
            Shape::Arn => token.starts_with("arn:") && token.contains(":ecs:"),
            Shape::Zone => {
                let is_word = all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
                is_word && token.contains('-')
            }
            Shape::Service => all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_'),
            Shape::Free => !token.is_empty() && !token.starts_with("arn:"),
        }
    }
}

fn number(token: &str) -> Option<i64> {
    if token.bytes().all(|byte| byte.is_ascii_digit()) { token.parse().ok() } else { None }
}
