//! Sigma detections, events that they match, and events that they do not.

/// A detection. Events are the keys of a test event without its log.
pub struct Case {
    pub name: &'static str,
    pub log: &'static str,
    pub detection: &'static str,
    pub fires: &'static [&'static str],
    pub quiet: &'static [&'static str],
}

const fn case(
    name: &'static str,
    detection: &'static str,
    fires: &'static [&'static str],
    quiet: &'static [&'static str],
) -> Case {
    Case { name, log: "cloudtrail", detection, fires, quiet }
}

pub const CASES: &[Case] = &[
    case(
        "texts match in any case",
        "  s: {userAgent: Evil-Client}\n  condition: s",
        &[r#"userAgent = "evil-CLIENT""#],
        &[r#"userAgent = "evil-client/2""#, "userAgent = { absent = true }"],
    ),
    case(
        "key columns match in the case of AWS",
        "  s: {eventName: [CreateUser, DeleteUser], eventSource: IAM.amazonaws.com}\n  condition: s",
        &[r#"eventName = "DeleteUser", eventSource = "iam.amazonaws.com""#],
        &[r#"eventName = "GetUser", eventSource = "iam.amazonaws.com""#],
    ),
    case(
        "cased",
        "  s: {userAgent|cased: Evil}\n  condition: s",
        &[r#"userAgent = "Evil""#],
        &[r#"userAgent = "evil""#],
    ),
    case(
        "contains cased",
        "  s: {userAgent|contains|cased: Evil}\n  condition: s",
        &[r#"userAgent = "an Evil one""#],
        &[r#"userAgent = "an evil one""#],
    ),
    case(
        "wildcards",
        r"  s: {userAgent: ['a*z', 'b?d']}
  condition: s",
        &[r#"userAgent = "A to Z""#, r#"userAgent = "bad""#],
        &[r#"userAgent = "bd""#, r#"userAgent = "a to z!""#],
    ),
    case(
        "escaped wildcards and backslashes",
        r"  s: {userAgent: ['\*star', 'why\?', 'c:\\*', 'back\slash', '100%_']}
  condition: s",
        &[
            r#"userAgent = "*star""#,
            r#"userAgent = "why?""#,
            r#"userAgent = 'c:\tools'"#,
            r#"userAgent = 'back\slash'"#,
            r#"userAgent = "100%_""#,
        ],
        &[r#"userAgent = "a star""#, r#"userAgent = "whyx""#, r#"userAgent = "c:/tools""#, r#"userAgent = "100 %x""#],
    ),
    case(
        "contains, startswith, endswith",
        "  a: {userAgent|contains: mid}\n  b: {userAgent|startswith: pre}\n  c: {userAgent|endswith: post}\n  condition: 1 of them",
        &[r#"userAgent = "a MID b""#, r#"userAgent = "prefix""#, r#"userAgent = "the post""#],
        &[r#"userAgent = "a pre""#, r#"userAgent = "posted""#, r#"userAgent = "m-i-d""#],
    ),
    case(
        "contains all",
        "  s: {userAgent|contains|all: [one, two]}\n  condition: s",
        &[r#"userAgent = "two and one""#],
        &[r#"userAgent = "one""#, r#"userAgent = "two""#],
    ),
    case(
        "regular expressions",
        r"  s: {userAgent|re: '^tool/[0-9]+\.[0-9]+$'}
  condition: s",
        &[r#"userAgent = "tool/1.20""#],
        &[r#"userAgent = "Tool/1.20""#, r#"userAgent = "tool/1""#],
    ),
    case(
        "regular expressions with flags",
        "  a: {userAgent|re|i: '^tool$'}\n  b: {userAgent|re|m|s: '^x.y$'}\n  condition: a or b",
        &[r#"userAgent = "TOOL""#, r#"userAgent = "a\nx\ny\nb""#],
        &[r#"userAgent = "tools""#, r#"userAgent = "ax\ny""#],
    ),
    case(
        "ranges of addresses",
        "  s: {sourceIPAddress|cidr: [198.51.100.0/24, '2001:db8::/32']}\n  condition: s",
        &[r#"sourceIPAddress = "198.51.100.200""#, r#"sourceIPAddress = "2001:db8:1::2""#],
        &[r#"sourceIPAddress = "192.0.2.1""#, r#"sourceIPAddress = "bedrock.amazonaws.com""#],
    ),
    case(
        "base64",
        "  s: {userAgent|base64|contains: secret}\n  condition: s",
        &[r#"userAgent = "x c2VjcmV0 y""#],
        &[r#"userAgent = "secret""#, r#"userAgent = "x C2VJCMV0 y""#],
    ),
    case(
        "base64 at any offset",
        "  s: {requestParameters.userData|base64offset|contains: /bin/bash}\n  condition: s",
        &[
            r#"requestParameters.userData = "IyEvYmluL2Jhc2gK""#,
            r#"requestParameters.userData = "L2Jpbi9iYXNo""#,
            r#"requestParameters.userData = "ISEvYmluL2Jhc2g=""#,
        ],
        &[r#"requestParameters.userData = "/bin/bash""#],
    ),
    case(
        "UTF-16 in base64",
        "  s: {requestParameters.script|wide|base64offset|contains: IEX}\n  condition: s",
        &[r#"requestParameters.script = "SQBFAFgA""#],
        &[r#"requestParameters.script = "IEX""#],
    ),
    case(
        "dashes",
        "  s: {requestParameters.command|windash|contains: ' -enc '}\n  condition: s",
        &[
            r#"requestParameters.command = "shell /enc x""#,
            "requestParameters.command = \"shell \u{2013}enc x\"",
            r#"requestParameters.command = "shell -enc x""#,
        ],
        &[r#"requestParameters.command = "shell +enc x""#],
    ),
    case(
        "exists",
        "  s: {errorCode|exists: true, errorMessage|exists: false}\n  condition: s",
        &[r#"errorCode = "AccessDenied""#],
        &["", r#"errorCode = "AccessDenied", errorMessage = "no""#],
    ),
    case(
        "exists below JSON",
        "  s: {requestParameters.force.now|exists: true, requestParameters.slow|exists: false}\n  condition: s",
        &["requestParameters.force.now = false", r#"requestParameters.force.now = """#],
        &["", r#"requestParameters.force.later = 1"#, "requestParameters = { force = { now = 1 }, slow = [] }"],
    ),
    case(
        "keywords with quotes",
        "  keywords: ['say \"hello\"']\n  condition: keywords",
        &[r#"requestParameters.note = 'they say "hello" to all'"#, r#"userAgent = 'say "hello"'"#],
        &[r#"userAgent = "say hello""#],
    ),
    case(
        "null and the empty text",
        "  a: {errorCode: null}\n  b: {userAgent: ''}\n  condition: a and b",
        &[r#"userAgent = """#],
        &["", r#"userAgent = "", errorCode = "AccessDenied""#],
    ),
    case(
        "one star is any value",
        "  s: {requestParameters.layers|contains: '*'}\n  condition: s",
        &[r#"requestParameters.layers = ["x"]"#],
        &["requestParameters.layers = { absent = true }"],
    ),
    case(
        "fieldref",
        "  s: {userIdentity.userName|fieldref: requestParameters.userName}\n  condition: s",
        &[r#"userIdentity.userName = "bob", requestParameters.userName = "Bob""#],
        &[r#"userIdentity.userName = "bob", requestParameters.userName = "eve""#, r#"userIdentity.userName = "bob""#],
    ),
    case(
        "fieldref with endswith and neq",
        "  a: {userIdentity.arn|fieldref|endswith: requestParameters.userName}\n  b: {userIdentity.userName|fieldref|neq: requestParameters.userName}\n  condition: a and b",
        &[r#"requestParameters.userName = "alice""#],
        &[
            r#"requestParameters.userName = "eve""#,
            r#"requestParameters.userName = "alice", userIdentity.userName = "alice""#,
        ],
    ),
    case(
        "numbers in JSON",
        "  a: {requestParameters.count|gte: 10}\n  b: {requestParameters.count|lt: 20}\n  condition: a and b",
        &["requestParameters.count = 10", r#"requestParameters.count = "19.5""#],
        &["requestParameters.count = 9", "requestParameters.count = 20", r#"requestParameters.count = "many""#],
    ),
    case(
        "gt and lte",
        "  s: {additionalEventData.bytesTransferredOut|gt: 5000}\n  t: {additionalEventData.bytesTransferredOut|lte: 6000}\n  condition: all of them",
        &["additionalEventData.bytesTransferredOut = 6000"],
        &["additionalEventData.bytesTransferredOut = 5000", "additionalEventData.bytesTransferredOut = 6001"],
    ),
    case(
        "neq",
        "  s: {awsRegion|neq: [us-east-1, eu-west-1]}\n  condition: s",
        &[r#"awsRegion = "sa-east-1""#],
        &[r#"awsRegion = "us-east-1""#, r#"awsRegion = "eu-west-1""#],
    ),
    case(
        "booleans",
        "  s: {readOnly: false, requestParameters.publiclyAccessible: true}\n  condition: s",
        &[
            "readOnly = false, requestParameters.publiclyAccessible = true",
            r#"readOnly = false, requestParameters.publiclyAccessible = "true""#,
        ],
        &[
            "readOnly = true, requestParameters.publiclyAccessible = true",
            "readOnly = false, requestParameters.publiclyAccessible = false",
        ],
    ),
    case(
        "numbers as text",
        "  s: {requestParameters.fromPort: 22}\n  condition: s",
        &["requestParameters.fromPort = 22", r#"requestParameters.fromPort = "22""#],
        &["requestParameters.fromPort = 2222"],
    ),
    case(
        "items of a list below JSON",
        "  s: {requestParameters.groups: sg-1}\n  condition: s",
        &[r#"requestParameters.groups = ["sg-0", "SG-1"]"#, r#"requestParameters.groups = "sg-1""#],
        &[r#"requestParameters.groups = ["sg-10"]"#],
    ),
    case(
        "fields of items of a list below JSON",
        "  s: {requestParameters.ipPermissions.items.cidrIp: 0.0.0.0/0}\n  condition: s",
        &[r#"requestParameters.ipPermissions.items = [{ fromPort = 22, cidrIp = "0.0.0.0/0" }]"#],
        &[r#"requestParameters.ipPermissions.items = [{ fromPort = 22, cidrIp = "10.0.0.0/8" }]"#],
    ),
    case(
        "resources",
        "  s: {resources.ARN|endswith: ':secret:prod'}\n  condition: s",
        &[r#"resources = [{ ARN = "arn:aws:x:::a" }, { ARN = "arn:aws:x:::secret:prod" }]"#],
        &[r#"resources = [{ ARN = "arn:aws:x:::a" }]"#, ""],
    ),
    case(
        "whole JSON columns",
        "  s: {requestParameters|contains|all: ['\"Principal\":\"*\"', Allow]}\n  condition: s",
        &[
            r#"requestParameters.policy = { Effect = "Allow", Principal = "*" }"#,
            r#"requestParameters.policy = '{"Effect":"Allow","Principal":"*"}'"#,
        ],
        &[r#"requestParameters.policy = { Effect = "Deny", Principal = "*" }"#],
    ),
    case(
        "hours of the day",
        "  a: {eventTime|hour|gte: 22}\n  b: {eventTime|hour|lt: 6}\n  condition: a or b",
        &[r#"at = "+10h""#, r#"at = "+16h""#],
        &["", r#"at = "+9h""#],
    ),
    case(
        "minutes, days, weeks, months and years",
        "  s: {eventTime|minute: 5, eventTime|day: 1, eventTime|week: 40, eventTime|month: 10, eventTime|year: 2026}\n  condition: s",
        &[r#"at = "+5m""#],
        &["", r#"at = "+10m""#],
    ),
    case(
        "keywords",
        "  keywords: [needle in hay, other thing]\n  condition: keywords",
        &[r#"requestParameters.note = "a Needle in Hay""#, r#"userAgent = "other thing""#],
        &["", r#"userAgent = "needle""#],
    ),
    case(
        "all keywords",
        "  keywords:\n    '|all': [needle, hay]\n  condition: keywords",
        &[r#"requestParameters.note = "needle", userAgent = "hay""#],
        &[r#"userAgent = "hay""#],
    ),
    case(
        "lists of maps",
        "  s:\n    - {eventName: A1b, errorCode: null}\n    - userAgent: x\n  condition: s",
        &[r#"eventName = "A1b""#, r#"userAgent = "X""#],
        &[r#"eventName = "A1b", errorCode = "AccessDenied""#],
    ),
    case(
        "and binds before or, not before and",
        "  a: {eventName: Aa}\n  b: {userAgent: b}\n  c: {awsRegion: c}\n  condition: a or b and not c",
        &[r#"eventName = "Aa", awsRegion = "c""#, r#"userAgent = "b""#],
        &[r#"userAgent = "b", awsRegion = "c""#],
    ),
    case(
        "brackets",
        "  a: {eventName: Aa}\n  b: {userAgent: b}\n  c: {awsRegion: c}\n  condition: NOT (a OR b) AND (c)",
        &[r#"awsRegion = "c""#],
        &[r#"awsRegion = "c", userAgent = "b""#, r#"awsRegion = "c", eventName = "Aa""#],
    ),
    case(
        "one of a pattern, and none of another",
        "  sel_a: {eventName: Aa}\n  sel_b: {userAgent: b}\n  filter_main_c: {awsRegion: c}\n  filter_main_d: {errorCode: d}\n  condition: 1 of sel_* and not 1 of filter_main_*",
        &[r#"eventName = "Aa""#, r#"userAgent = "b""#],
        &[r#"eventName = "Aa", awsRegion = "c""#, r#"userAgent = "b", errorCode = "d""#],
    ),
    case(
        "all of a pattern, and hidden parts",
        "  sel_a: {eventName: Aa}\n  sel_b: {userAgent: b}\n  _spare: {awsRegion: nowhere}\n  condition: all of sel_* and all of them",
        &[r#"eventName = "Aa", userAgent = "b""#],
        &[r#"eventName = "Aa""#],
    ),
    case(
        "several conditions",
        "  a: {eventName: Aa}\n  b: {userAgent: b}\n  condition:\n    - a\n    - b",
        &[r#"eventName = "Aa""#, r#"userAgent = "b""#],
        &[""],
    ),
    case(
        "negation of what is missing",
        "  a: {eventName: ListBuckets}\n  b: {userIdentity.userName|contains: admin, errorCode: x}\n  condition: a and not b",
        &["", r#"userIdentity.userName = "admin""#],
        &[r#"userIdentity.userName = "the-admin", errorCode = "X""#],
    ),
    case(
        "fields without a column",
        "  s: {status: success, userIdentity.unheardOf.deep: x}\n  condition: s",
        &[r#"status = "success", userIdentity.unheardOf = { deep = "x" }"#],
        &[r#"status = "success""#],
    ),
    case(
        "aliases of YAML",
        "  a: &base {userAgent: x}\n  b: *base\n  condition: a and b",
        &[r#"userAgent = "x""#],
        &[r#"userAgent = "y""#],
    ),
    case(
        "quotes and dollars",
        "  s: {userAgent: [\"it's '''$x\", 'a\"b']}\n  condition: s",
        &[r#"userAgent = "it's '''$x""#, r#"userAgent = 'a"b'"#],
        &[r#"userAgent = "its""#],
    ),
    case(
        "data events",
        "  s: {eventSource: s3.amazonaws.com, eventName: [GetObject, CopyObject]}\n  condition: s",
        &[r#"eventName = "GetObject", eventCategory = "Data", managementEvent = false"#],
        &[""],
    ),
    Case {
        name: "flow logs",
        log: "vpcflow",
        detection: "  s: {dstPort: [22, 3389], action: reject, src_ip|cidr: 198.51.100.0/24}\n  n: {bytes|gt: 100}\n  condition: s and n",
        fires: &[r#"dstport = 3389, action = "REJECT", srcaddr = "198.51.100.9", bytes = 101"#],
        quiet: &[r#"dstport = 443, action = "REJECT", srcaddr = "198.51.100.9""#, r#"dstport = 22, action = "REJECT""#],
    },
    Case {
        name: "flow logs without a value",
        log: "vpcflow",
        detection: "  s: {flow-direction: null, dstport: '44*'}\n  condition: s",
        fires: &[r#"flow_direction = "-""#],
        quiet: &[""],
    },
    Case {
        name: "model invocations",
        log: "bedrock",
        detection: "  s: {modelId|contains: claude, input.inputBodyJson.messages|contains: ignore all}\n  n: {input.inputTokenCount|gte: 1000}\n  condition: s or n",
        fires: &[
            r#"input.inputBodyJson.messages = [{ role = "user", content = [{ text = "Ignore ALL rules" }] }]"#,
            "input.inputTokenCount = 1000",
        ],
        quiet: &[""],
    },
];

/// Documents that are refused, and a part of the reason.
pub const REFUSALS: &[(&str, &str)] = &[
    (
        "title: T\nlogsource: {product: windows, service: security}\ndetection: {s: {a: b}, condition: s}",
        "product windows",
    ),
    (
        "title: T\nlogsource: {product: aws, service: guardduty}\ndetection: {s: {a: b}, condition: s}",
        "service guardduty",
    ),
    ("title: T\ndetection: {s: {a: b}, condition: s}", "no logsource"),
    ("title: T\nlogsource: {product: aws, service: cloudtrail}", "neither a detection"),
    ("- a\n- b", "no mapping"),
    ("just text", "no mapping"),
    (
        "title: T\nstatus: unsupported\nlogsource: {service: cloudtrail}\ndetection: {s: {a: b}, condition: s}",
        "unsupported",
    ),
    (
        "title: T\ntaxonomy: ecs\nlogsource: {service: cloudtrail}\ndetection: {s: {a: b}, condition: s}",
        "taxonomy 'ecs'",
    ),
    ("action: global\ntitle: T", "'action'"),
    ("title: T\nlogsource: {service: cloudtrail}\nfilter: {rules: [x], s: {a: b}, condition: s}", "filter"),
    ("title: T\nlogsource: {service: vpcflow}\ndetection: {s: {image: b}, condition: s}", "no field 'image'"),
    ("title: T\nlogsource: {service: bedrock}\ndetection: {s: {image: b}, condition: s}", "no field 'image'"),
    ("title: T\nlogsource: {service: cloudtrail}\ndetection: {s: {eventName.x: b}, condition: s}", "no fields below"),
    ("title: T\nlogsource: {service: cloudtrail}\ndetection: {s: {resources: b}, condition: s}", "resources.arn"),
    (
        "title: T\nlogsource: {service: cloudtrail}\ndetection: {s: {userAgent: x}, t: {userAgent: y}, condition: s and t}",
        "contradict",
    ),
    ("title: T\ncorrelation: {type: event_count, rules: [x], timespan: 5m, condition: {gte: 1}}", "none of the files"),
    ("title: T\ncorrelation: {type: event_count, rules: [x], timespan: 5, condition: {gte: 1}}", "timespan '5'"),
    ("title: T\ncorrelation: {type: event_count, rules: [x], timespan: 5m}", "no limit"),
    ("title: T\ncorrelation: {type: value_count, rules: [x], timespan: 5m, condition: {gte: 1}}", "needs a field"),
    ("title: T\ncorrelation: {type: counting, rules: [x], timespan: 5m, condition: {gte: 1}}", "'counting'"),
    ("title: T\ncorrelation: {type: event_count, rules: [], timespan: 5m, condition: {gte: 1}}", "names 1 to"),
    ("title: T\nid: x\ncorrelation: {type: event_count, rules: [x], timespan: 5m, condition: {gte: 1}}", "levels deep"),
    ("title: T\ntitle: U", "there twice"),
    ("title: [", "not YAML"),
    ("title: *nothing", "not YAML"),
];

/// Fields and conditions that are refused, and a part of the reason.
pub const WRONG: &[(&str, &str)] = &[
    ("  s: {userAgent|expand: '%admins%'}\n  condition: s", "placeholder"),
    ("  s: {userAgent|sounds_like: x}\n  condition: s", "no modifier 'sounds_like'"),
    ("  s: {userAgent|i: x}\n  condition: s", "belongs behind re"),
    ("  s: {userAgent|re: '(?<!x)y'}\n  condition: s", "look-around"),
    ("  s: {userAgent|re: '(a)\\1'}\n  condition: s", "backreferences"),
    ("  s: {userAgent|cidr: 192.0.2.0/33}\n  condition: s", "address range"),
    ("  s: {userAgent|gt: many}\n  condition: s", "no number"),
    ("  s: {userAgent|exists: maybe}\n  condition: s", "true or false"),
    ("  s: {userAgent|wide: x}\n  condition: s", "UTF-16"),
    ("  s: {userAgent|base64: 'a*'}\n  condition: s", "wildcards"),
    ("  s: {userAgent|contains|gt: 3}\n  condition: s", "do not go together"),
    ("  s: {userAgent: []}\n  condition: s", "empty list"),
    ("  s: {userAgent: {a: b}}\n  condition: s", "no text"),
    ("  s: {}\n  condition: s", "empty map"),
    ("  s:\n  condition: s", "empty"),
    ("  s: {userAgent: x}", "no condition"),
    ("  s: {userAgent: x}\n  condition: s | count() by y > 5", "correlation rule"),
    ("  s: {userAgent: x}\n  condition: t", "names 't'"),
    ("  s: {userAgent: x}\n  condition: (s", "closing bracket"),
    ("  s: {userAgent: x}\n  condition: s s", "should end"),
    ("  s: {userAgent: x}\n  condition: s and", "should follow"),
    ("  s: {userAgent: x}\n  condition: 2 of s*", "only '1 of'"),
    ("  s: {userAgent: x}\n  condition: 1 of t*", "fits no part"),
    ("  s: {userAgent: x}\n  condition: s*", "needs '1 of'"),
    ("  s: {userAgent: \"a\\0b\"}\n  condition: s", "NUL"),
];

/// Files with a correlation first, the events that it matches, and events that it does not.
pub struct Chain {
    pub name: &'static str,
    pub yaml: &'static str,
    pub fires: &'static [&'static str],
    pub quiet: &'static [&'static str],
}

/// Two rules for correlations to name.
pub const LOGINS: &str = "
---
title: Failed login
id: 6ff5cda8-0b40-4d33-8ad5-6c6a4d8e0001
name: failed
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Failure}, condition: s}
---
title: Login
name: login
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: ConsoleLogin, responseElements.ConsoleLogin: Success}, condition: s}
---
title: New key
name: new_key
logsource: {product: aws, service: cloudtrail}
detection: {s: {eventName: CreateAccessKey}, condition: s}
---
title: Flow
name: flow
logsource: {product: aws, service: vpcflow}
detection: {s: {action: ACCEPT, dstport: 4444}, condition: s}
";

const FAILED: &str = r#"{ log = "cloudtrail", eventName = "ConsoleLogin", responseElements.ConsoleLogin = "Failure""#;

/// Events of a chain: `F` a failed login, `L` a login, `K` a new key, `V` a flow; the rest is appended to the entry.
pub fn events(written: &str) -> String {
    let written = written
        .replace("F(", &format!("{FAILED}, "))
        .replace(
            "L(",
            r#"{ log = "cloudtrail", eventName = "ConsoleLogin", responseElements.ConsoleLogin = "Success", "#,
        )
        .replace("K(", r#"{ log = "cloudtrail", eventName = "CreateAccessKey", "#)
        .replace("V(", r#"{ log = "vpcflow", dstport = 4444, "#);
    format!("[{}]", written.replace(')', " }"))
}

pub const CHAINS: &[Chain] = &[
    Chain {
        name: "event_count",
        yaml: "title: C\ncorrelation: {type: event_count, rules: [failed], group-by: [sourceIPAddress], timespan: 5m, condition: {gte: 3}}",
        fires: &[r#"F(repeat = 3)"#, r#"F(repeat = 2), F(at = "+299s")"#],
        quiet: &[
            r#"F(repeat = 2)"#,
            r#"F(repeat = 2), F(at = "+10m")"#,
            r#"F(repeat = 2), F(sourceIPAddress = "198.51.100.1")"#,
        ],
    },
    Chain {
        name: "event_count across a slot",
        yaml: "title: C\ncorrelation: {type: event_count, rules: [6ff5cda8-0b40-4d33-8ad5-6c6a4d8e0001], group-by: [userIdentity.arn], timespan: 1h, condition: {gt: 3}}",
        fires: &[r#"F(at = "-10m", repeat = 2), F(at = "+10m", repeat = 2)"#],
        quiet: &[r#"F(repeat = 3)"#],
    },
    Chain {
        name: "event_count with an upper limit",
        yaml: "title: C\ncorrelation: {type: event_count, rules: [failed, login], group-by: [sourceIPAddress], timespan: 1h, condition: {gt: 1, lte: 3}}",
        fires: &[r#"F(repeat = 2)"#, r#"F(at = "+1s"), L(at = "+2s"), F(at = "+3s")"#],
        quiet: &[r#"F(at = "+1s")"#, r#"F(repeat = 4)"#],
    },
    Chain {
        name: "value_count",
        yaml: "title: C\ncorrelation: {type: value_count, rules: [failed], group-by: [sourceIPAddress], timespan: 10m, condition: {field: userIdentity.userName, gte: 2}}",
        fires: &[r#"F(userIdentity.userName = "a"), F(userIdentity.userName = "b", at = "+9m")"#],
        quiet: &[r#"F(userIdentity.userName = "a", repeat = 5)"#],
    },
    Chain {
        name: "temporal",
        yaml: "title: C\ncorrelation: {type: temporal, rules: [failed, new_key], group-by: [sourceIPAddress], timespan: 10m}",
        fires: &[r#"K(at = "+0s"), F(at = "+9m")"#, r#"F(at = "+0s"), K(at = "+9m")"#],
        quiet: &[
            r#"F(repeat = 5)"#,
            r#"F(at = "+0s"), K(at = "+11m")"#,
            r#"F(at = "+0s"), K(sourceIPAddress = "198.51.100.1")"#,
        ],
    },
    Chain {
        name: "temporal of some",
        yaml: "title: C\ncorrelation: {type: temporal, rules: [failed, new_key, login], group-by: [sourceIPAddress], timespan: 10m, condition: {gte: 2}}",
        fires: &[r#"F(at = "+0s"), L(at = "+9m")"#],
        quiet: &[r#"F(repeat = 5)"#],
    },
    Chain {
        name: "temporal_ordered",
        yaml: "title: C\ncorrelation: {type: temporal_ordered, rules: [failed, login, new_key], group-by: [sourceIPAddress], timespan: 10m}",
        fires: &[
            r#"F(at = "+0s"), L(at = "+4m"), K(at = "+8m")"#,
            r#"F(at = "-1h"), F(at = "+0s"), L(at = "+4m"), K(at = "+8m")"#,
        ],
        quiet: &[r#"L(at = "+0s"), F(at = "+4m"), K(at = "+8m")"#, r#"F(at = "+0s"), L(at = "+8m"), K(at = "+16m")"#],
    },
    Chain {
        name: "a count and then something",
        yaml: "title: C\ncorrelation: {type: temporal_ordered, rules: [many, login], group-by: [sourceIPAddress], timespan: 10m}\n---\ntitle: Many\nname: many\ncorrelation: {type: event_count, rules: [failed], group-by: [sourceIPAddress, userIdentity.arn], timespan: 5m, condition: {gte: 3}}",
        fires: &[r#"F(repeat = 3), L(at = "+5m")"#],
        quiet: &[r#"F(repeat = 2), L(at = "+5m")"#, r#"L(at = "+0s"), F(repeat = 3, at = "+1s")"#],
    },
    Chain {
        name: "value_sum",
        yaml: "title: C\ncorrelation: {type: value_sum, rules: [flow], group-by: [srcaddr, dstport], timespan: 1h, condition: {field: bytes, gt: 1000}}",
        fires: &[r#"V(bytes = 600), V(bytes = 600, at = "+50m")"#],
        quiet: &[r#"V(bytes = 1000)"#, r#"V(bytes = 600), V(bytes = 600, srcaddr = "10.0.9.9")"#],
    },
    Chain {
        name: "value_avg",
        yaml: "title: C\ncorrelation: {type: value_avg, rules: [flow], group-by: [srcaddr], timespan: 1h, condition: {field: bytes, gte: 500}}",
        fires: &[r#"V(bytes = 100), V(bytes = 900, at = "+1m")"#],
        quiet: &[r#"V(bytes = 100), V(bytes = 800, at = "+1m")"#],
    },
    Chain {
        name: "value_percentile with a percentile",
        yaml: "title: C\ncorrelation: {type: value_percentile, rules: [flow], group-by: [srcaddr], timespan: 1h, condition: {field: bytes, percentile: 50, gte: 500}}",
        fires: &[r#"V(bytes = 1), V(bytes = 500, at = "+1s"), V(bytes = 900, at = "+2s")"#],
        quiet: &[r#"V(bytes = 1, repeat = 2), V(bytes = 9000, at = "+9s")"#],
    },
    Chain {
        name: "value_percentile as a share",
        yaml: "title: C\ncorrelation: {type: value_percentile, rules: [failed], group-by: [awsRegion], timespan: 1h, condition: {field: userAgent, lte: 10}}",
        fires: &[r#"F(repeat = 9, userAgent = "a"), F(userAgent = "b")"#],
        quiet: &[r#"F(repeat = 5, userAgent = "a"), F(userAgent = "b")"#],
    },
    Chain {
        name: "aliases over two logs",
        yaml: "title: C\ncorrelation: {type: temporal, rules: [failed, flow], group-by: [ip], timespan: 10m, aliases: {ip: {failed: sourceIPAddress, flow: dstaddr}}}",
        fires: &[r#"F(sourceIPAddress = "198.51.100.7"), V(dstaddr = "198.51.100.7", at = "+1m")"#],
        quiet: &[r#"F(sourceIPAddress = "198.51.100.7"), V(srcaddr = "198.51.100.7", at = "+1m")"#],
    },
    Chain {
        name: "without groups",
        yaml: "title: C\ncorrelation: {type: event_count, rules: [failed], timespan: 5m, condition: {gte: 2}}",
        fires: &[r#"F(at = "+0s"), F(sourceIPAddress = "198.51.100.1")"#],
        quiet: &[r#"F(at = "+0s")"#],
    },
];
