"""Writes the sample data: `python3 sample-data/make.py` makes the same bytes on each run, beside this file."""

import datetime
import gzip
import hashlib
import io
import json
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from maker import attack, ordinary  # noqa: E402
from maker.shapes import ACCOUNT, HOME, Story, at, later, stamp  # noqa: E402

ROOT = pathlib.Path(__file__).parent
BUCKET = "example-corp-cloudtrail"
FIELDS = ("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end",
          "action", "log-status", "vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "region", "az-id",
          "sublocation-type", "sublocation-id", "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path")


def packed(data):
    """gzip without name and time."""
    out = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0, compresslevel=9) as file:
        file.write(data)
    return out.getvalue()


def write(key, data):
    path = ROOT / key
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed(data))


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def slots(records, time, minutes):
    """Records by the delivery that they arrive with: `minutes` of them at a time, some five minutes late."""
    groups = {}
    for record in records:
        moment = time(record)
        start = moment - datetime.timedelta(minutes=moment.minute % minutes, seconds=moment.second)
        groups.setdefault(start + datetime.timedelta(minutes=minutes + 5), []).append(record)
    return sorted(groups.items())


def parsed(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)


def short(seed, length=16):
    """The random part of an object name."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(alphabet[byte % 62] for byte in hashlib.sha256(seed.encode()).digest()[:length])


def deliver_cloudtrail(records):
    """Half-hourly files per Region. CloudTrail keeps no order inside a file and delivers some events twice."""
    written = []
    place = lambda record: ("CloudTrail-NetworkActivity" if record["eventCategory"] == "NetworkActivity" else "CloudTrail", record["awsRegion"])
    for folder, region in sorted(set(map(place, records))):
        here = [record for record in records if place(record) == (folder, region)]
        for number, (time, group) in enumerate(slots(here, lambda record: parsed(record["eventTime"]), 30)):
            group.sort(key=lambda record: hashlib.sha256(record["eventID"].encode()).digest())
            written.append(cloudtrail_file(folder, region, time, group))
            if (folder, region) == ("CloudTrail", HOME) and number % 9 == 4:
                written.append(cloudtrail_file(folder, region, later(time, 300), group[:3]))
    return written


def cloudtrail_file(folder, region, time, records):
    name = f"{ACCOUNT}_{folder}_{region}_{time:%Y%m%dT%H%MZ}_{short(region + stamp(time))}.json.gz"
    key = f"AWSLogs/{ACCOUNT}/{folder}/{region}/{time:%Y/%m/%d}/{name}"
    data = compact({"Records": records}).encode()
    write(key, data)
    times = [record["eventTime"] for record in records]
    return key, region, time, hashlib.sha256(data).hexdigest(), min(times), max(times)


def deliver_digests(files):
    """Hourly digests of the afternoon of the attack, each pointing at the one before. Signatures are invented and prove nothing."""
    previous = {"previousDigestS3Bucket": None, "previousDigestS3Object": None, "previousDigestHashValue": None,
                "previousDigestHashAlgorithm": None, "previousDigestSignature": None}
    for hour in range(12, 17):
        start, end = at(f"10-01 {hour:02}:00:00"), later(at(f"10-01 {hour:02}:00:00"), 3600)
        listed = [file for file in files if file[1] == HOME and start < file[2] <= end]
        name = f"{ACCOUNT}_CloudTrail-Digest_{HOME}_management-events_{HOME}_{end:%Y%m%dT%H%M%SZ}.json.gz"
        key = f"AWSLogs/{ACCOUNT}/CloudTrail-Digest/{HOME}/{end:%Y/%m/%d}/{name}"
        digest = {"awsAccountId": ACCOUNT, "digestStartTime": stamp(start), "digestEndTime": stamp(end), "digestS3Bucket": BUCKET,
                  "digestS3Object": key, "digestPublicKeyFingerprint": "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
                  "digestSignatureAlgorithm": "SHA256withRSA", "newestEventTime": max((file[5] for file in listed), default=None),
                  "oldestEventTime": min((file[4] for file in listed), default=None), **previous,
                  "logFiles": [{"s3Bucket": BUCKET, "s3Object": file[0], "hashValue": file[3], "hashAlgorithm": "SHA-256",
                                "newestEventTime": file[5], "oldestEventTime": file[4]} for file in listed]}
        data = compact(digest).encode()
        write(key, data)
        previous = {"previousDigestS3Bucket": BUCKET, "previousDigestS3Object": key, "previousDigestHashValue": hashlib.sha256(data).hexdigest(),
                    "previousDigestHashAlgorithm": "SHA-256", "previousDigestSignature": hashlib.sha512(data).hexdigest() * 4}


def deliver_eventbridge(records):
    """Copies of the loudest calls as an EventBridge rule hands them to Firehose: one after the other, nothing between."""
    loud = ("DeleteModelInvocationLoggingConfiguration", "UpdateGuardrail", "CreateServiceSpecificCredential")
    events = [{"version": "0", "id": record["eventID"][::-1], "detail-type": "AWS API Call via CloudTrail",
               "source": "aws." + record["eventSource"].split(".")[0], "account": ACCOUNT, "time": record["eventTime"],
               "region": record["awsRegion"], "resources": [], "detail": record} for record in records if record["eventName"] in loud]
    write("eventbridge/2026/10/01/12/ai-security-events-1-2026-10-01-12-18-41-example.json.gz", "".join(map(compact, events)).encode())


def deliver_bedrock(story):
    for time, group in slots(story.bedrock, lambda record: parsed(record["timestamp"]), 60):
        hour = parsed(group[0]["timestamp"])
        lines = "".join(compact(record) + "\n" for record in group)
        folder = f"AWSLogs/{ACCOUNT}/BedrockModelInvocationLogs/{HOME}/{hour:%Y/%m/%d/%H}"
        write(f"{folder}/{time:%Y%m%dT%H%M%S}412Z_{hashlib.sha256(lines.encode()).hexdigest()[:16]}.json.gz", lines.encode())
    for key, body in story.bodies.items():
        write(key, body)


def deliver_flows(flows):
    for time, group in slots(flows, lambda flow: flow[0], 60):
        lines = [" ".join(FIELDS), *(" ".join(str(flow[1][name]) for name in FIELDS) for flow in group)]
        name = f"{ACCOUNT}_vpcflowlogs_{HOME}_fl-0a1b2c3d4e5f60051_{time:%Y%m%dT%H%MZ}_{short(stamp(time), 8).lower()}.log.gz"
        write(f"AWSLogs/{ACCOUNT}/vpcflowlogs/{HOME}/{time:%Y/%m/%d}/{name}", ("\n".join(lines) + "\n").encode())


def main():
    story = Story()
    ordinary.tell(story)
    attack.tell(story)
    for folder in ("AWSLogs", "eventbridge"):
        shutil.rmtree(ROOT / folder, ignore_errors=True)
    records = sorted(story.cloudtrail, key=lambda record: record["eventTime"])
    story.bedrock.sort(key=lambda record: record["timestamp"])
    story.flows.sort(key=lambda flow: (flow[0], str(flow[1])))
    files = deliver_cloudtrail(records)
    deliver_digests(files)
    deliver_eventbridge(records)
    deliver_bedrock(story)
    deliver_flows(story.flows)
    print(f"{len(records)} CloudTrail events, {len(story.bedrock)} model invocations, {len(story.flows)} flows")


if __name__ == "__main__":
    main()
