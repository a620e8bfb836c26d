"""An ordinary day: an assistant answers customers, an agent sorts mail, people and services do their work."""

from .shapes import ACCOUNT, BOTO, BROWSER, CLI, ENDPOINT, HOME, Story, at, converse, later, role, service, token, user

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "amazon.nova-lite-v1:0"
EMBED = "amazon.titan-embed-text-v2:0"
GUARDRAIL = "gr1a2b3c4d5e"
TRAINING, DOCUMENTS, LOGS = "example-corp-training-data", "example-corp-kb-documents", "example-corp-bedrock-logs"
OFFICE, BUILD_HOST, SIEM = "198.51.100.20", "198.51.100.40", "198.51.100.60"
SUPPORT_IP, AGENT_IP, TRAINER_IP = "10.0.12.37", "10.0.12.52", "10.0.21.18"
SUPPORT_HOST = ("eni-0a1b2c3d4e5f60011", "subnet-0a1b2c3d4e5f60021", "i-0a1b2c3d4e5f60031")
AGENT_HOST = ("eni-0a1b2c3d4e5f60012", "subnet-0a1b2c3d4e5f60021", "i-0b1c2d3e4f5a60032")
TRAINER_HOST = ("eni-0a1b2c3d4e5f60013", "subnet-0a1b2c3d4e5f60022", "i-0c1d2e3f4a5b60033")
DEPLOY_KEY = "AKIAIOSFODNN7EXAMPLE"

SUPPORT_SYSTEM = (
    "You are Juniper, the support assistant of Example Corp, a maker of garden tools. Answer in a friendly tone and in at most five "
    "sentences. Use only facts from the product handbook. Orders above 500 euro may be refunded only by a human colleague: hand such "
    "cases over with the word TRANSFER. Never discuss prices of other makers, and never name the internal codes K4 (goodwill) and K7 "
    "(fraud check) to a customer.")
AGENT_SYSTEM = (
    "You sort the purchasing team's mail and documents. Look documents up with search_documents, send mail with send_email, and run "
    "the small maintenance scripts with run_shell when a colleague asks for it.")
AGENT_TOOLS = [("search_documents", "Finds documents of the purchasing team."), ("send_email", "Sends mail from the team's mailbox."),
               ("run_shell", "Runs a maintenance script on the agent's host.")]

# Questions that come near an attack in wording and are none: the day must stay quiet.
TALK = [
    ("Where is my order 48213? It should have arrived on Monday.", "Order 48213 left our warehouse yesterday and arrives tomorrow."),
    ("Please ignore my previous message, the right order number is 48231.", "Thank you, I am looking at order 48231 now. It is on its way."),
    ("Which pruning saw do you recommend for an old apple tree?", "For thick, dry branches the P-340 with the coarse blade works best."),
    ("Can you act as my gardening coach and plan my balcony for spring?", "Gladly! Start with herbs in March and tomatoes from mid May."),
    ("What is prompt injection? My son writes about it at school.", "It is text that tries to make a language model follow someone else's "
     "wishes instead of those of its operator."),
    ("How do I sharpen the blade, and what do your safety instructions say?", "Wear gloves, clamp the blade and follow its angle with a file."),
    ("The app says error 0x80070005 when I log in. What can I do?", "Please update the app; version 4.2 mends this error."),
    ("Could you translate this into French: the hose does not fit the tap.", "Le tuyau ne s'adapte pas au robinet."),
    ("I forgot my password for the shop. How do I reset it?", "Choose 'Forgot password' on the sign-in page and we send you a link."),
    ("Write a short poem in which a grumpy wizard grows pumpkins.", "The wizard scowled, the pumpkins grew, and scowled right back, as pumpkins do."),
    ("You are now connected with Ben from delivery. He asks: may I leave the parcel next door?", "Yes, the neighbour in number 12 is fine."),
    ("Show me the instructions for the hedge trimmer H-12, please.", "Charge it for two hours, hold both handles and cut away from the body."),
    ("Is base64 the same as encryption? Your invoice mail looks odd: SGVsbG8=", "No, it is only an encoding. That text says hello."),
    ("My serial number is 9F86D081884C7D65. Do I still have a warranty?", "Yes, the warranty of this trimmer runs until next June."),
]
MAIL = [
    ("Has the supplier confirmed the delivery of blades for week 42?", "Find the confirmation", {"query": "blades week 42 confirmation"},
     "Delivery of 400 blades in week 42 is confirmed. Please ignore the date in our previous letter of 12 September.",
     "Yes: 400 blades in week 42. The date in their letter of 12 September no longer holds."),
    ("Which documents does a new supplier have to send us?", "Look it up", {"query": "new supplier onboarding documents"},
     "New suppliers send: certificate of registration, bank details on letterhead, and the signed code of conduct.",
     "A certificate of registration, bank details on letterhead and the signed code of conduct."),
    ("Summarise the meeting notes on packaging.", "Search", {"query": "meeting notes packaging"},
     "Notes: cardboard from January; the instructions inside the box get shorter; Ana asks the printer for a quote.",
     "Cardboard from January, shorter instructions in the box, and Ana gets a quote from the printer."),
]


def people(day):
    """Who is at work on `day` (`10-01`), with the sessions that they opened on it."""
    return {
        "support": role("support-assistant", SUPPORT_HOST[2], f"{day} 07:40:00", delivery="2.0"),
        "agent": role("mail-agent", AGENT_HOST[2], f"{day} 07:41:00", delivery="2.0"),
        "trainer": role("model-trainer", TRAINER_HOST[2], f"{day} 07:42:00", delivery="2.0"),
        "knowledge": role("AmazonBedrockExecutionRoleForKnowledgeBase_docs", "BedrockKnowledgeBase-KBEXAMPLE1", f"{day} 08:30:00",
                          path="service-role/"),
        "pipeline": role("kb-pipeline", "nightly", f"{day} 08:00:00"),
        "alice": role("AWSReservedSSO_AdministratorAccess_0a1b2c3d4e5f6a7b", "alice@example.com", f"{day} 08:05:00",
                      path="aws-reserved/sso.amazonaws.com/", mfa="true"),
        "auditor": role("security-audit", "posture-scan", f"{day} 09:00:00"),
        "siem": role("siem-reader", "forwarder", f"{day} 08:00:00"),
        "deploy": user("ci-deploy", DEPLOY_KEY),
    }


def guarded(assessment=None, side="inputAssessment", reason="No action."):
    """A guardrail trace of Converse, as the log shows it when the caller asks for one."""
    found = {**(assessment or {}), "invocationMetrics": {
        "guardrailProcessingLatency": 214, "usage": {"contentPolicyUnits": 1, "sensitiveInformationPolicyUnits": 1, "topicPolicyUnits": 0},
        "guardrailCoverage": {"textCharacters": {"guarded": 310, "total": 310}}},
        "appliedGuardrailDetails": {"guardrailId": GUARDRAIL, "guardrailVersion": "DRAFT", "guardrailOrigin": ["REQUEST"],
                                    "guardrailArn": f"arn:aws:bedrock:{HOME}:{ACCOUNT}:guardrail/{GUARDRAIL}", "guardrailOwnership": "SELF"}}
    shape = {GUARDRAIL: found} if side == "inputAssessment" else {GUARDRAIL: [found]}
    return {side: shape, "actionReason": reason}


def support(story: Story, time, who, prompt, answer, logged=True, trace=None, stop="end_turn", tokens=(512, 88), visitor="v-1001"):
    """The support assistant answers a visitor of the web chat, through the VPC endpoint and the guardrail."""
    body = converse(prompt, answer, tokens, SUPPORT_SYSTEM, stop, trace=trace or guarded(), metadata={"channel": "web", "visitor": visitor})
    story.invoke(time, who, SONNET, SUPPORT_IP, BOTO, inference="us-west-2", through=ENDPOINT, body=body if logged else None)


def search(story: Story, time, who, question, thought, query, found, answer, logged=True):
    """The mail agent looks one document up: the call that asks for the tool, and the call that brings its result."""
    use = {"toolUseId": "tooluse_" + token(question, 22), "name": "search_documents", "input": query}
    asked = converse(question, thought, (380, 64), AGENT_SYSTEM, tools=AGENT_TOOLS, uses=[use])
    history = [{"role": "user", "content": [{"text": question}]},
               {"role": "assistant", "content": [{"text": thought}, {"toolUse": use}]}]
    result = [{"toolResult": {"toolUseId": use["toolUseId"], "status": "success", "content": [{"text": found}]}}]
    told = converse(result, answer, (560, 72), AGENT_SYSTEM, tools=AGENT_TOOLS, history=history)
    for offset, body in ((0, asked), (5, told)):
        story.invoke(later(time, offset), who, SONNET, AGENT_IP, BOTO, inference="us-west-2", through=ENDPOINT, body=body if logged else None)


def morning(story: Story, day):
    """People and services around the models."""
    here = people(day)
    alice, deploy, auditor = here["alice"], here["deploy"], here["auditor"]
    when = lambda clock: at(f"{day} {clock}")
    aws = "AWS Internal"
    for hour in range(8, 16, 2):
        story.call(when(f"{hour:02}:04:11"), service("cloudtrail.amazonaws.com"), "s3.amazonaws.com", "GetBucketAcl", "cloudtrail.amazonaws.com",
                   "cloudtrail.amazonaws.com", {"bucketName": "example-corp-cloudtrail", "acl": ""})
        story.call(when(f"{hour:02}:09:30"), service("cloudtrail.amazonaws.com"), "kms.amazonaws.com", "GenerateDataKey", "cloudtrail.amazonaws.com",
                   "cloudtrail.amazonaws.com", {"keySpec": "AES_256", "keyId": f"arn:aws:kms:{HOME}:{ACCOUNT}:key/1a2b3c4d-0000-4000-a000-00000example"})
    for clock, host, name in (("07:40:00", "ec2.amazonaws.com", "support-assistant"), ("07:41:00", "ec2.amazonaws.com", "mail-agent"),
                              ("07:42:00", "ec2.amazonaws.com", "model-trainer"), ("08:12:20", "bedrock.amazonaws.com", "bedrock-invocation-logs")):
        story.call(when(clock), service(host), "sts.amazonaws.com", "AssumeRole", host, host,
                   {"roleArn": f"arn:aws:iam::{ACCOUNT}:role/{name}", "roleSessionName": "session"})
    story.call(when("08:05:02"), alice, "signin.amazonaws.com", "ConsoleLogin", OFFICE, BROWSER, answer={"ConsoleLogin": "Success"},
               more={"LoginTo": f"https://console.aws.amazon.com/console/home?region={HOME}", "MobileVersion": "No", "MFAUsed": "Yes"}, read=False,
               kind="AwsConsoleSignIn")
    for clock, host, name, params in (
            ("08:06:40", "ec2", "DescribeInstances", {"instancesSet": {}, "filterSet": {}}), ("08:07:10", "bedrock", "ListGuardrails", None),
            ("08:07:22", "bedrock", "GetGuardrail", {"guardrailIdentifier": GUARDRAIL}), ("08:09:01", "bedrock", "ListFoundationModels", None),
            ("08:10:15", "cloudtrail", "LookupEvents", {"maxResults": 50}), ("11:30:48", "cloudwatch", "DescribeAlarms", {"maxRecords": 100})):
        story.call(when(clock), alice, {"cloudwatch": "monitoring"}.get(host, host) + ".amazonaws.com", name, OFFICE, BROWSER, params)
    image = {"repositoryName": "support-assistant", "imageTag": f"release-{day}"}
    for clock, host, name, params, read in (
            ("09:01:05", "sts", "GetCallerIdentity", None, True), ("09:01:07", "ecr", "GetAuthorizationToken", None, True),
            ("09:02:31", "ecr", "PutImage", image, False), ("09:03:02", "ecs", "UpdateService", {"service": "storefront", "cluster": "web"}, False)):
        story.call(when(clock), deploy, host + ".amazonaws.com", name, BUILD_HOST, CLI, params, read=read)
    for second, (host, name) in enumerate((("cloudtrail", "DescribeTrails"), ("cloudtrail", "GetTrailStatus"), ("s3", "ListBuckets"),
                                           ("iam", "GetAccountSummary"), ("bedrock", "GetModelInvocationLoggingConfiguration"))):
        story.call(later(when("09:00:10"), second), auditor, host + ".amazonaws.com", name, SIEM, BOTO)


def data(story: Story, day):
    """Training, the knowledge base and the log forwarder read and write their buckets."""
    here = people(day)
    for number in range(6):
        story.s3(at(f"{day} 0{8 + number % 2}:{20 + number}:10"), here["trainer"], "GetObject", TRAINING, f"curated/2026/part-{number:05}.jsonl.gz",
                 TRAINER_IP, BOTO, 8_400_000 + number * 1117, ENDPOINT)
    story.s3(at(f"{day} 10:31:00"), here["trainer"], "PutObject", TRAINING, f"checkpoints/{day}/step-2000.safetensors", TRAINER_IP, BOTO,
             512_000_000, ENDPOINT, read=False)
    story.s3(at(f"{day} 08:31:00"), here["pipeline"], "PutObject", DOCUMENTS, f"handbook/{day}.md", "10.0.12.90", BOTO, 18_204, ENDPOINT, read=False)
    story.call(at(f"{day} 08:33:00"), here["pipeline"], "bedrock.amazonaws.com", "StartIngestionJob", "10.0.12.90", BOTO,
               {"knowledgeBaseId": "KBEXAMPLE1", "dataSourceId": "DSEXAMPLE1"}, {"ingestionJob": {"status": "STARTING"}}, read=False, through=ENDPOINT)
    story.s3(at(f"{day} 08:33:40"), here["knowledge"], "GetObject", DOCUMENTS, f"handbook/{day}.md", "bedrock.amazonaws.com", "bedrock.amazonaws.com", 18_204)
    for number in range(2):
        passage = f"Handbook {day}, section {number + 1}: store tools dry and oil the joints twice a year."
        story.invoke(at(f"{day} 08:34:1{number}"), here["knowledge"], EMBED, "bedrock.amazonaws.com", "bedrock.amazonaws.com", "InvokeModel",
                     body=({"inputText": passage, "dimensions": 256, "normalize": True},
                           {"embedding": [0.0125, -0.0312, 0.0781], "inputTextTokenCount": 22}, 22, None))
    for hour in (8, 10):
        story.s3(at(f"{day} {hour:02}:45:00"), here["siem"], "GetObject", LOGS,
                 f"AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/{HOME}/2026/{day.replace('-', '/')}/{hour:02}/batch.json.gz", SIEM, BOTO, 4_100)


def conversations(story: Story, day, dark=("99", "99")):
    """The assistant and the agent work. Between the clock times of `dark` the invocation log is off."""
    here = people(day)
    for number, (prompt, answer) in enumerate(TALK):
        clock = f"{8 + number // 2:02}:{11 + number * 37 % 43:02}:{number * 7 % 60:02}"
        trace, stop, reply = None, "end_turn", answer
        if number == 8 and day == "09-30":
            mail = {"sensitiveInformationPolicy": {"piiEntities": [{"match": "{EMAIL}", "type": "EMAIL", "action": "ANONYMIZED", "detected": True}]}}
            trace = guarded(mail, "outputAssessments", "Guardrail masked.")
        support(story, at(f"{day} {clock}"), here["support"], prompt, reply, not dark[0] <= clock < dark[1], trace, stop,
                (480 + number * 13, 40 + number * 5), f"v-{1001 + number}")
    for number, (question, thought, query, found, answer) in enumerate(MAIL):
        clock = f"{9 + number * 2:02}:27:40"
        search(story, at(f"{day} {clock}"), here["agent"], question, thought, query, found, answer, not dark[0] <= clock < dark[1])
    for number in range(2):
        body = converse("Suggest a subject line for our autumn newsletter.", "Leaves fall, tools rest: care for both.", (64, 18), limit=200)
        story.invoke(at(f"{day} 1{number}:15:20"), here["support"], NOVA, SUPPORT_IP, BOTO, "ConverseStream", through=ENDPOINT, body=body)


def traffic(story: Story, day):
    """What the network sees of it: calls to the VPC endpoint, customers through the balancer, the bastion, background noise."""
    for hour in range(8, 16):
        start = at(f"{day} {hour:02}:10:00")
        story.flow(start, SUPPORT_HOST, SUPPORT_IP, "10.0.12.200", (41000 + hour, 443), 44, 28_400 + hour * 311, path=1)
        story.flow(start, SUPPORT_HOST, "10.0.1.10", SUPPORT_IP, (52000 + hour, 8080), 38, 12_100 + hour * 97, direction="ingress", flags=3)
        story.flow(later(start, 60), AGENT_HOST, AGENT_IP, "10.0.12.200", (42000 + hour, 443), 31, 22_800 + hour * 173, path=1)
        story.silence(later(start, 120), AGENT_HOST)
    for number in range(3):
        start = later(at(f"{day} 08:20:00"), number * 1500)
        story.flow(start, TRAINER_HOST, TRAINER_IP, "198.51.100.200", (43000 + number, 443), 9_000, 620_000, path=7, services=("-", "S3"))
        story.flow(start, TRAINER_HOST, "198.51.100.200", TRAINER_IP, (443, 43000 + number), 38_000, 52_000_000, direction="ingress",
                   flags=19, services=("S3", "-"))
    story.flow(at(f"{day} 09:15:00"), TRAINER_HOST, TRAINER_IP, "198.51.100.80", (43100, 443), 210, 48_000, path=8)
    story.flow(at(f"{day} 09:50:00"), TRAINER_HOST, "10.0.1.20", TRAINER_IP, (51515, 22), 320, 61_000, direction="ingress")
    story.flow(at(f"{day} 10:32:00"), TRAINER_HOST, TRAINER_IP, "198.51.100.200", (43110, 443), 410_000, 530_000_000, path=7, services=("-", "S3"))
    for number, (source, port) in enumerate((("192.0.2.14", 23), ("192.0.2.90", 445), ("192.0.2.133", 3389), ("203.0.113.201", 5060))):
        story.flow(at(f"{day} 1{number}:40:00"), TRAINER_HOST, source, TRAINER_IP, (40400 + number, port), 1, 40, "REJECT", direction="ingress", flags=2)


def settings(story: Story):
    """How the account was set up on the day before: invocation logging on, a guardrail with every filter at its strictest."""
    alice = people("09-30")["alice"]
    story.call(at("09-30 08:15:00"), alice, "bedrock.amazonaws.com", "PutModelInvocationLoggingConfiguration", OFFICE, BROWSER, LOGGING, read=False)
    story.call(at("09-30 08:20:00"), alice, "bedrock.amazonaws.com", "CreateGuardrail", OFFICE, BROWSER,
               {"name": "***", "description": "***", **STRICT, "blockedInputMessaging": "***", "blockedOutputsMessaging": "***"},
               {"guardrailId": GUARDRAIL, "guardrailArn": f"arn:aws:bedrock:{HOME}:{ACCOUNT}:guardrail/{GUARDRAIL}", "version": "DRAFT"}, read=False)


LOGGING = {"loggingConfig": {"s3Config": {"bucketName": LOGS, "keyPrefix": ""}, "textDataDeliveryEnabled": True, "imageDataDeliveryEnabled": True,
                             "embeddingDataDeliveryEnabled": True, "videoDataDeliveryEnabled": True, "audioDataDeliveryEnabled": True}}


def filters(prompt_attack, others):
    """The content policy of a guardrail as CloudTrail shows it: strengths in clear, actions masked."""
    kinds = ("HATE", "INSULTS", "SEXUAL", "VIOLENCE", "MISCONDUCT")
    listed = [{"type": kind, "inputStrength": others, "outputStrength": others, "inputAction": "***", "outputAction": "***"} for kind in kinds]
    return {"filtersConfig": [*listed, {"type": "PROMPT_ATTACK", "inputStrength": prompt_attack, "outputStrength": "NONE", "inputAction": "***"}]}


STRICT = {"contentPolicyConfig": filters("HIGH", "HIGH"),
          "sensitiveInformationPolicyConfig": {"piiEntitiesConfig": [{"type": kind, "action": "ANONYMIZE"} for kind in ("EMAIL", "PHONE", "NAME")]}}


def tell(story: Story):
    """Two days of it; on the second, invocation logging is off from 12:53 to 13:48."""
    settings(story)
    for day in ("09-30", "10-01"):
        morning(story, day)
        data(story, day)
        conversations(story, day, ("12:53:00", "13:48:00") if day == "10-01" else ("99", "99"))
        traffic(story, day)
