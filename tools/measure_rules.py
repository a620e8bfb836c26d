#!/usr/bin/env python3
"""Runs labelled public CloudTrail data through the program and writes docs/measured.md: recall, and false alarms per 1,000 events.

usage: measure_rules.py BINARY DATA_FOLDER [--output docs/measured.md] [--rules FOLDER] [--details FILE.json]

DATA_FOLDER holds `cloudtrail/stratus_labelled.jsonl.gz` (one attack technique per group of events),
`cloudtrail/traildiscover_labelled.jsonl.gz` (one abused API per event), `rule-tests/panther_tests.jsonl` (events with the
verdict of a public rule), `cloudtrail/console-sessions/*_InputEvents.json.gz` and `cloudtrail/sans-s3-lab.tar`.

A set is one hunt over one new lake. Its cases are kept apart by giving each an account, access keys and ids of its own; a
finding counts for a case only when all its events belong to that case. Python's standard library is enough.
"""

import argparse
import collections
import datetime
import glob
import gzip
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import time

SEVERITIES = ["critical", "high", "medium", "low", "informational"]
ALARMS = {"critical", "high", "medium"}

# What a technique of the first set is to an attack on an AI workload: "ai" touches models, "step" is what such attacks are
# made of (credentials, lasting access, logging switched off, data carried out), "outside" is another subject.
STRATUS = {
    "aws.credential-access.ec2-get-password-data": ("outside", "passwords of Windows machines"),
    "aws.credential-access.ec2-steal-instance-credentials": ("step", "stolen role credentials are what models are called with"),
    "aws.credential-access.secretsmanager-batch-retrieve-secrets": ("step", "keys of model providers and data stores"),
    "aws.credential-access.secretsmanager-retrieve-secrets": ("step", "keys of model providers and data stores"),
    "aws.credential-access.ssm-retrieve-securestring-parameters": ("step", "keys of model providers and data stores"),
    "aws.defense-evasion.cloudtrail-delete": ("step", "no record of model calls"),
    "aws.defense-evasion.cloudtrail-event-selectors": ("step", "no record of agents and objects"),
    "aws.defense-evasion.cloudtrail-stop": ("step", "no record of model calls"),
    "aws.defense-evasion.dns-delete-logs": ("step", "no record of where agents connect"),
    "aws.defense-evasion.organizations-leave": ("step", "out of the policies that forbid models and of the organization's trail"),
    "aws.defense-evasion.vpc-remove-flow-logs": ("step", "no record of where data went"),
    "aws.discovery.ec2-download-user-data": ("outside", "start-up scripts of machines"),
    "aws.execution.ec2-launch-unusual-instances": ("step", "accelerators are compute for models"),
    "aws.execution.ec2-user-data": ("outside", "code on machines"),
    "aws.execution.ssm-send-command": ("outside", "code on machines"),
    "aws.execution.ssm-start-session": ("outside", "code on machines"),
    "aws.exfiltration.ec2-security-group-open-port-22-ingress": ("step", "the way to hosts of models and agents"),
    "aws.exfiltration.ec2-share-ami": ("step", "disks hold weights, data sets and credentials"),
    "aws.exfiltration.ec2-share-ebs-snapshot": ("step", "disks hold weights, data sets and credentials"),
    "aws.exfiltration.rds-share-snapshot": ("step", "databases hold training data, vectors and conversations"),
    "aws.impact.bedrock-invoke-model": ("ai", "models enabled and called with a stolen key"),
    "aws.initial-access.console-login-without-mfa": ("outside", "hygiene of console users"),
    "aws.lateral-movement.ec2-instance-connect": ("outside", "code on machines"),
    "aws.lateral-movement.ec2-serial-console-send-ssh-public-key": ("outside", "code on machines"),
    "aws.persistence.iam-backdoor-role": ("step", "lasting access to whatever the role may call"),
    "aws.persistence.iam-backdoor-user": ("step", "the usual key of model theft"),
    "aws.persistence.iam-create-admin-user": ("step", "lasting access to models and data"),
    "aws.persistence.iam-create-backdoor-role": ("step", "lasting access to models and data"),
    "aws.persistence.iam-create-user-login-profile": ("step", "a stolen key becomes a console login"),
    "aws.persistence.lambda-backdoor-function": ("outside", "functions; those that are tools of agents have rules of their own"),
    "aws.persistence.lambda-layer-extension": ("outside", "functions; those that are tools of agents have rules of their own"),
    "aws.persistence.lambda-overwrite-code": ("outside", "functions; those that are tools of agents have rules of their own"),
    "aws.persistence.rolesanywhere-create-trust-anchor": ("step", "lasting access with a certificate"),
    "aws.persistence.sts-federation-token": ("step", "a stolen key becomes a session that outlives it"),
    "aws.privilege-escalation.iam-update-user-login-profile": ("step", "a stolen key becomes a console login"),
}

# Services of the second set that an attack on AI workloads passes through, and what it does there. The other services, and
# listing and describing by itself, are outside.
AI_SERVICES = {"bedrock", "sagemaker", "bedrock-agentcore"}
STEP_EVENTS = {
    "cloudtrail": {"DeleteTrail", "StopLogging", "UpdateTrail", "PutEventSelectors", "DeleteEventDataStore"},
    "config": {"DeleteConfigRule", "DeleteConfigurationRecorder", "DeleteDeliveryChannel", "StopConfigurationRecorder"},
    "ec2": {"DeleteFlowLogs", "ModifySnapshotAttribute", "ModifyImageAttribute", "AuthorizeSecurityGroupIngress",
            "SharedSnapshotCopyInitiated"},
    "guardduty": {"CreateFilter", "CreateIPSet", "DeleteDetector", "DeleteInvitations", "DeleteMembers", "DisassociateFromMasterAccount",
                  "DisassociateMembers", "StopMonitoringMembers", "UpdateDetector", "UpdateIPSet", "DeletePublishingDestination"},
    "iam": {"AddUserToGroup", "AttachGroupPolicy", "AttachRolePolicy", "AttachUserPolicy", "CreateAccessKey", "CreateLoginProfile",
            "CreatePolicyVersion", "CreateUser", "DeleteRolePermissionsBoundary", "DeleteUserPermissionsBoundary", "PutGroupPolicy",
            "PutRolePolicy", "PutUserPolicy", "SetDefaultPolicyVersion", "UpdateAccessKey", "UpdateAssumeRolePolicy",
            "UpdateLoginProfile"},
    "kms": {"PutKeyPolicy", "ScheduleKeyDeletion"},
    "logs": {"DeleteLogGroup", "DeleteLogStream", "CreateExportTask"},
    "organizations": {"LeaveOrganization"},
    "rds": {"ModifyDBSnapshotAttribute", "ModifyDBClusterSnapshotAttribute", "StartExportTask"},
    "route53resolver": {"DeleteResolverQueryLogConfig"},
    "s3": {"PutBucketAcl", "PutBucketPolicy", "PutBucketLifecycle", "PutBucketReplication", "DeleteBucketPolicy", "PutBucketVersioning"},
    "secretsmanager": {"GetSecretValue", "BatchGetSecretValue"},
    "securityhub": {"BatchUpdateFindings", "DeleteMembers", "DisableSecurityHub"},
    "servicequotas": {"RequestServiceQuotaIncrease"},
    "ssm": {"GetParameters"},
    "sts": {"GetFederationToken", "AssumeRole", "GetSessionToken"},
}

# Rules of the third set whose subject is also one of ours.
PANTHER_RELEVANT = {
    "AWS.CloudTrail.AMIModifiedForPublicAccess", "AWS.CloudTrail.AttemptToLeaveOrg", "AWS.CloudTrail.EventSelectorsDisabled",
    "AWS.CloudTrail.IMDSCredentialExfiltration", "AWS.CloudTrail.RootAccessKeyCreated", "AWS.CloudTrail.SnapshotMadePublic",
    "AWS.CloudTrail.Stopped", "AWS.CloudTrail.VPCE.ExternalPrincipal", "AWS.CloudTrail.VPCE.SensitiveAPICalls",
    "AWS.ConfigService.DisabledDeleted", "AWS.IAM.AttachAdminUserPolicy", "AWS.IAM.BackdoorRole", "AWS.RDS.SnapshotExport",
    "AWS.RDS.SnapshotShared", "AWS.S3.CopyObjectToExternalAccountBucket", "AWS.SecretsManager.BatchRetrieveSecrets",
    "AWS.SecurityHub.Finding.Evasion", "AWS.User.Login.Profile.Modified", "AWS.VPCFlow.LogsDeleted",
}


class Case:
    """Some events with one label."""

    def __init__(self, label, events, **more):
        self.label, self.events, self.more, self.fired = label, events, more, {}


def lines(path):
    opened = gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8")
    with opened as file:
        return [json.loads(line) for line in file if line.strip()]


def stratus(data):
    groups = collections.OrderedDict()
    for record in lines(os.path.join(data, "cloudtrail/stratus_labelled.jsonl.gz")):
        groups.setdefault(record["technique"], []).append(record["event"])
    return [Case(technique, events) for technique, events in groups.items()]


def traildiscover(data):
    cases = []
    for record in lines(os.path.join(data, "cloudtrail/traildiscover_labelled.jsonl.gz")):
        event = record["event"]
        service = event["eventSource"].split(".")[0]
        if service in AI_SERVICES:
            part = "ai"
        elif event["eventName"] in STEP_EVENTS.get(service, ()):
            part = "step"
        else:
            part = "outside"
        cases.append(Case(f"{service}:{event['eventName']}", [event], part=part, attack=record.get("techniques") or []))
    return cases


def panther(data):
    cases = []
    for record in lines(os.path.join(data, "rule-tests/panther_tests.jsonl")):
        event = record["event"]
        if not isinstance(event, dict) or "eventName" not in event:
            continue
        # A rule with a threshold alerts on that many such events.
        events = [event] * max(1, record.get("threshold") or 1)
        cases.append(Case(record["rule_id"], events, expected=record["expected"], test=record["test_name"]))
    return cases


def separate(cases, first_account):
    """Rewrites the events of cases so that no two share an account, a key or an id; returns event id -> case."""
    owners = {}
    for number, case in enumerate(cases):
        account, rewritten = str(first_account + number), []
        for index, event in enumerate(case.events):
            event = dict(event)
            own = event.get("recipientAccountId") or (event.get("userIdentity") or {}).get("accountId")
            text = json.dumps(event)
            if own and re.fullmatch(r"\d{12}", own):
                text = text.replace(own, account)
            for prefix in ("AKIA", "ASIA"):
                keys = sorted(set(re.findall(prefix + r"[A-Z0-9*]{8,20}", text)))
                for place, key in enumerate(keys):
                    text = text.replace(key, f"{prefix}{number:010}{place:06}")
            event = json.loads(text)
            event["eventID"] = f"{first_account + number}-{index:06}"
            event["requestID"] = f"r{first_account + number}-{index:06}"
            event.setdefault("recipientAccountId", account)
            # Cut-down examples lack what every delivered record has.
            event.setdefault("eventVersion", "1.09")
            event.setdefault("eventTime", "2024-01-01T00:00:00Z")
            event.setdefault("eventSource", "unknown.amazonaws.com")
            event.setdefault("awsRegion", "us-east-1")
            event.setdefault("eventType", "AwsApiCall")
            owners[event["eventID"]] = case
            rewritten.append(event)
        case.events = rewritten
    return owners


def hunt(program, logs, folder, rules):
    """One hunt over a new lake: findings, verdicts, summary and seconds."""
    lake = os.path.join(folder, "lake")
    command = [program, "hunt", logs, "--lake", lake, "--format", "json", "-q"]
    if rules:
        command += ["--rules", rules]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        sys.exit(f"hunt over {os.path.basename(logs)} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    answer = json.loads(done.stdout)
    answer["seconds"] = time.monotonic() - began
    failed = [verdict["rule_id"] for verdict in answer["verdicts"] if verdict["outcome"] == "failed"]
    if failed:
        sys.exit(f"rules failed: {', '.join(failed)}")
    return answer


def hunt_cases(program, cases, first_account, rules):
    """Hunts over all events of a set; writes what fired into its cases. Returns the answer and how many findings were of several cases."""
    owners = separate(cases, first_account)
    with tempfile.TemporaryDirectory() as folder:
        logs = os.path.join(folder, "events.jsonl")
        with open(logs, "w", encoding="utf-8") as file:
            for case in cases:
                file.writelines(json.dumps(event) + "\n" for event in case.events)
        answer = hunt(program, logs, folder, rules)
    mixed = 0
    for finding in answer["findings"]:
        found = {id(owners[event]): owners[event] for event in finding["event_ids"] or [] if event in owners}
        if len(found) != 1:
            mixed += 1
            continue
        next(iter(found.values())).fired[finding["rule_id"]] = finding["severity"]
    return answer, mixed


def console_sessions(data):
    """Console sessions; the set leaves out who called, so each session gets a user of an account of its own."""
    events = []
    for number, path in enumerate(sorted(glob.glob(os.path.join(data, "cloudtrail/console-sessions/*_InputEvents.json.gz")))):
        account = str(600000000000 + number)
        with gzip.open(path) as file:
            session = json.loads(file.read().decode("utf-8-sig"))
        for event in session:
            event = {key: value for key, value in event.items() if value is not None}
            event.update(
                eventVersion="1.09", recipientAccountId=account, sourceIPAddress="198.51.100.7", requestID=event["eventID"],
                eventCategory="Management", sessionCredentialFromConsole="true",
                eventType="AwsConsoleSignIn" if event["eventSource"].startswith("signin") else "AwsApiCall",
                readOnly=bool(re.match(r"(Get|List|Describe|Lookup|Head)", event["eventName"])),
                userIdentity={
                    "type": "AssumedRole", "principalId": f"AROAEXAMPLE{number:06}:dana", "accountId": account,
                    "arn": f"arn:aws:sts::{account}:assumed-role/Engineer/dana", "accessKeyId": f"ASIAEXAMPLE{number:09}",
                    "sessionContext": {
                        "sessionIssuer": {"type": "Role", "principalId": f"AROAEXAMPLE{number:06}", "accountId": account,
                                          "arn": f"arn:aws:iam::{account}:role/Engineer", "userName": "Engineer"},
                        "attributes": {"creationDate": session[0]["eventTime"], "mfaAuthenticated": "true"}}})
            events.append(event)
    return events


def false_alarms(answer):
    """What fired on a set by severity: severity -> findings, and rule -> (severity, findings)."""
    by_severity = collections.Counter(finding["severity"] for finding in answer["findings"])
    by_rule = collections.Counter((finding["rule_id"], finding["severity"]) for finding in answer["findings"])
    return by_severity, by_rule


def lone_invocation():
    """A model call that worked, and nothing else."""
    return [{
        "eventVersion": "1.11", "eventTime": "2026-10-01T12:00:00Z", "eventSource": "bedrock.amazonaws.com",
        "eventName": "InvokeModel", "awsRegion": "us-east-1", "sourceIPAddress": "192.0.2.10", "userAgent": "Boto3/1.40.1",
        "eventID": "00000000-0000-4000-8000-000000000001", "requestID": "00000000-0000-4000-8000-000000000002",
        "eventType": "AwsApiCall", "eventCategory": "Management", "managementEvent": True, "readOnly": True,
        "recipientAccountId": "111122223333", "requestParameters": {"modelId": "amazon.nova-lite-v1:0"},
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROAEXAMPLE:app", "accountId": "111122223333",
            "arn": "arn:aws:sts::111122223333:assumed-role/ChatApp/app", "accessKeyId": "ASIAEXAMPLEEXAMPLE00",
            "sessionContext": {"sessionIssuer": {"type": "Role", "principalId": "AROAEXAMPLE", "accountId": "111122223333",
                                                 "arn": "arn:aws:iam::111122223333:role/ChatApp", "userName": "ChatApp"}}}}]


def hunt_events(program, events, rules):
    with tempfile.TemporaryDirectory() as folder:
        logs = os.path.join(folder, "events.jsonl")
        with open(logs, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(event) + "\n" for event in events)
        return hunt(program, logs, folder, rules)


def hunt_archive(program, archive, rules):
    with tempfile.TemporaryDirectory() as folder:
        logs = os.path.join(folder, "logs")
        with tarfile.open(archive) as packed:
            packed.extractall(logs, filter="data") if hasattr(tarfile, "data_filter") else packed.extractall(logs)
        return hunt(program, logs, folder, rules)


def share(part, whole):
    return f"{part} of {whole}" + (f" ({100 * part / whole:.0f} %)" if whole else "")


def told(fired):
    order = sorted(fired.items(), key=lambda item: (SEVERITIES.index(item[1]), item[0]))
    return ", ".join(f"`{rule}` ({severity})" for rule, severity in order) or "-"


def caught(cases, only_alarms=False):
    return sum(1 for case in cases if any(severity in ALARMS or not only_alarms for severity in case.fired.values()))


def stratus_section(cases, mixed):
    part = lambda name: [case for case in cases if STRATUS.get(case.label, ("outside", ""))[0] in name]
    ours = part(("ai", "step"))
    text = ["## Recall: attack techniques, one group of events each", "",
            "Records of [Stratus Red Team](https://stratus-red-team.cloud) detonations (DataDog, Apache-2.0), user agents made neutral. "
            "A technique is found when at least one rule fires on its events alone.", "",
            "| techniques | found | found at medium or above |", "|---|---|---|"]
    for name, some in [("all", cases), ("touch AI, or are what attacks on AI are made of", ours), ("touch AI", part(("ai",))),
                       ("another subject", part(("outside",)))]:
        text.append(f"| {name} | {share(caught(some), len(some))} | {share(caught(some, True), len(some))} |")
    text += ["", "| technique | counts as | because | fired |", "|---|---|---|---|"]
    for case in cases:
        part_name, because = STRATUS.get(case.label, ("outside", "not classified"))
        text.append(f"| {case.label} | {part_name} | {because} | {told(case.fired)} |")
    if mixed:
        text += ["", f"{mixed} findings over events of several techniques are not counted."]
    return text


def traildiscover_section(cases, mixed):
    ours = [case for case in cases if case.more["part"] != "outside"]
    worked = lambda some: [case for case in some if not case.events[0].get("errorCode")]
    text = ["## Recall: abused APIs, one event each", "",
            "Sample records of [TrailDiscover](https://traildiscover.cloud) (CC-BY-4.0). Most were denied or made with invalid values when "
            "they were recorded, and one event of an API that everybody uses is no attack: a low recall over all is right here. "
            "What counts are calls that are one by themselves.", "",
            "| events | found | of those that worked |", "|---|---|---|"]
    for name, some in [("all", cases), ("of AI services, or what attacks on AI are made of", ours),
                       ("of AI services", [case for case in cases if case.more["part"] == "ai"])]:
        done = worked(some)
        text.append(f"| {name} | {share(caught(some), len(some))} | {share(caught(done), len(done))} |")
    by_attack = collections.OrderedDict()
    for case in cases:
        for technique in case.more["attack"]:
            by_attack.setdefault(technique, []).append(case)
    text += ["", "| ATT&CK technique | events | found | ours | ours found |", "|---|---|---|---|---|"]
    for technique, some in sorted(by_attack.items(), key=lambda item: (-len(item[1]), item[0])):
        own = [case for case in some if case.more["part"] != "outside"]
        text.append(f"| {technique} | {len(some)} | {caught(some)} | {len(own)} | {caught(own)} |")
    text += ["", "| event (ours) | worked | fired |", "|---|---|---|"]
    for case in sorted(ours, key=lambda case: (case.more["part"], case.label)):
        text.append(f"| {case.label} | {case.events[0].get('errorCode') or 'yes'} | {told(case.fired)} |")
    others = [case for case in cases if case.more["part"] == "outside" and case.fired]
    text += ["", "Fired on other events: " + ("; ".join(f"{case.label} {told(case.fired)}" for case in others) or "nothing") + "."]
    if mixed:
        text.append(f"{mixed} findings over events of several records are not counted.")
    return text


def panther_section(cases, mixed):
    text = ["## Agreement with a public rule set", "",
            "Test events of [panther-analysis](https://github.com/panther-labs/panther-analysis) (Apache-2.0) with the verdict that its own "
            "rule gives. Its rules watch all of AWS, ours attacks on AI: only rules with a subject that is also ours can agree.", "",
            "| tests | should fire: fired | should be quiet: quiet |", "|---|---|---|"]
    relevant = [case for case in cases if case.label in PANTHER_RELEVANT]
    for name, some in [("all CloudTrail tests", cases), ("with a subject of ours", relevant)]:
        good, bad = [c for c in some if c.more["expected"]], [c for c in some if not c.more["expected"]]
        text.append(f"| {name} | {share(caught(good), len(good))} | {share(len(bad) - caught(bad), len(bad))} |")
    text += ["", "| rule of theirs | test | should fire | fired |", "|---|---|---|---|"]
    for case in relevant:
        name = case.more["test"].replace("|", "/")
        text.append(f"| {case.label} | {name} | {'yes' if case.more['expected'] else 'no'} | {told(case.fired)} |")
    text += ["", "A test that should be quiet and fires may be right by our rules: theirs leave out what their users trust."]
    if mixed:
        text.append(f"{mixed} findings over events of several tests are not counted.")
    return text


def noise_section(sets, lone):
    text = ["## False alarms", "", "| ordinary events | events | " + " | ".join(SEVERITIES) + " | medium and above per 1,000 |",
            "|---|---|" + "---|" * (len(SEVERITIES) + 1)]
    for name, answer in sets:
        stored = answer["summary"]["stored"]
        by_severity, _ = false_alarms(answer)
        alarms = sum(by_severity[severity] for severity in ALARMS)
        counts = " | ".join(str(by_severity[severity]) for severity in SEVERITIES)
        text.append(f"| {name} | {stored:,} | {counts} | {1000 * alarms / max(1, stored):.2f} |")
    text += ["", "The SANS archive holds one intrusion among deliveries of logs: what fires there is not all false. "
             "The law of the house is at most 2 per 1,000.", ""]
    for name, answer in sets:
        _, by_rule = false_alarms(answer)
        fired = ", ".join(f"`{rule}` ({severity}) {count}" for (rule, severity), count in by_rule.most_common())
        text.append(f"- {name}: {fired or 'nothing fired'}")
    alone = ", ".join(sorted({finding["rule_id"] for finding in lone["findings"]}))
    text += ["", f"A model call that worked, alone in a lake: {alone or 'no finding'}."]
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("data")
    parser.add_argument("--output", default="docs/measured.md")
    parser.add_argument("--rules", help="folder with further rules")
    parser.add_argument("--details", help="also write what fired per case, as JSON")
    chosen = parser.parse_args()
    program = os.path.abspath(chosen.binary)
    began = time.monotonic()
    sets = {"stratus": stratus(chosen.data), "traildiscover": traildiscover(chosen.data), "panther": panther(chosen.data)}
    mixed, rules = {}, 0
    for number, (name, cases) in enumerate(sets.items()):
        answer, mixed[name] = hunt_cases(program, cases, 300000000000 + number * 100000000, chosen.rules)
        rules = len(answer["verdicts"])
        print(f"{name}: {answer['summary']['stored']} events, {len(answer['findings'])} findings, {answer['seconds']:.1f} s", file=sys.stderr)
    noise = [
        ("console sessions", hunt_events(program, console_sessions(chosen.data), chosen.rules)),
        ("SANS archive", hunt_archive(program, os.path.join(chosen.data, "cloudtrail/sans-s3-lab.tar"), chosen.rules)),
    ]
    lone = hunt_events(program, lone_invocation(), chosen.rules)
    today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
    text = ["<!-- Written by tools/measure_rules.py; run it again instead of editing. -->", "", "# Measured", "",
            f"{today}, {rules} built-in rules with their defaults. Written from one run of the program by "
            "`tools/measure_rules.py BINARY DATA_FOLDER`; the data is public and not part of this project.", "",
            "Some rules were written after a look at what these sets show and the rules of the time missed: on attacks that nobody here has "
            "seen, recall is lower than in this table.", ""]
    text += stratus_section(sets["stratus"], mixed["stratus"]) + [""]
    text += traildiscover_section(sets["traildiscover"], mixed["traildiscover"]) + [""]
    text += panther_section(sets["panther"], mixed["panther"]) + [""]
    text += noise_section(noise, lone)
    with open(chosen.output, "w", encoding="utf-8") as file:
        file.write("\n".join(text) + "\n")
    if chosen.details:
        details = {name: [{"label": case.label, "fired": case.fired, **case.more} for case in cases] for name, cases in sets.items()}
        with open(chosen.details, "w", encoding="utf-8") as file:
            json.dump(details, file, indent=1)
    print(f"{chosen.output} written in {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
