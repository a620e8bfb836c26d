#!/usr/bin/env python3
"""Measure `trailhound follow` under load, against moto's S3 and SQS on loopback, and what the same objects cost as batch.

usage: tools/follow_load.py BINARY [--seconds 60] [--events-per-second 5000] [--records-per-second 200]

Some events of each object are found by rules over single events, each by a user of its own. For each the time is taken from the
moment before its object is put until its finding stands in the output. Needs Linux, and moto with its server: pip install -r .ci/moto.txt
"""
import argparse
import collections
import contextlib
import datetime
import json
import math
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
import made_logs  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUCKET, QUEUE = "made-trail", "trailhound"
TICKS, PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
MARKER = re.compile(rb"user/(load-\d+)")
RULE = re.compile(rb'"rule_id": ?"(\w+)"')
# An object stays in the bucket this long after everything in it was found, because its message may come again.
LINGER = 60


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", type=pathlib.Path, help="trailhound, release build")
    parser.add_argument("--seconds", type=float, default=60, help="how long objects are put [60]")
    parser.add_argument("--events-per-second", type=float, default=5000, help="CloudTrail events [5000]")
    parser.add_argument("--records-per-second", type=float, default=200, help="Bedrock invocation records [200]")
    parser.add_argument("--events-per-object", type=int, default=2500, help="CloudTrail events in an object [2500]")
    parser.add_argument("--records-per-object", type=int, default=200, help="invocation records in an object [200]")
    parser.add_argument("--markers", type=int, default=2, help="events of each object that a rule must find [2]")
    parser.add_argument("--seed", type=int, default=1, help="seed of the objects [1]")
    parser.add_argument("--patience", type=float, default=120, help="seconds to wait for the last findings [120]")
    parser.add_argument("--follow", default="", metavar="ARGUMENTS", help="more arguments for follow, such as '--threads 2 --memory 512MiB'")
    parser.add_argument("--work", type=pathlib.Path, help="folder for everything; kept [a temporary one]")
    parser.add_argument("--no-batch", action="store_true", help="do not run the batch afterwards")
    return parser.parse_args()


class Process:
    """What /proc says about a process."""

    def __init__(self, pid):
        self.pid = pid

    def cpu(self):
        """Seconds of processor time."""
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident(self):
        """Bytes in memory."""
        return int(pathlib.Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * PAGE


def environment(endpoint=None):
    """The environment without anybody's AWS settings, pointed at moto."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TRAILHOUND_"))}
    clean.update(NO_PROXY="127.0.0.1", no_proxy="127.0.0.1", AWS_EC2_METADATA_DISABLED="true", AWS_REGION="us-east-1",
                 AWS_DEFAULT_REGION="us-east-1", AWS_ACCESS_KEY_ID="AKIAIOSFODNN7EXAMPLE",
                 AWS_SECRET_ACCESS_KEY="wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
                 AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)
    if endpoint:
        clean["AWS_ENDPOINT_URL"] = endpoint
    return clean


def start_moto(work):
    """Moto on a free port: the process and its address."""
    place = work / "endpoint"
    log = open(work / "moto.log", "wb")
    command = [sys.executable, str(ROOT / ".ci" / "moto_server.py"), str(place)]
    process = subprocess.Popen(command, stdout=log, stderr=log, env=environment())
    for _ in range(300):
        if place.exists():
            return process, place.read_text()
        if process.poll() is not None:
            sys.exit(f"moto ended before it listened; see {log.name} (pip install -r .ci/moto.txt)")
        time.sleep(0.1)
    process.kill()
    sys.exit("moto does not listen after 30 seconds")


def clients(endpoint):
    try:
        import boto3
        from botocore.config import Config
    except ImportError:
        sys.exit("boto3 is missing; it comes with moto: pip install -r .ci/moto.txt")
    os.environ.update({name: value for name, value in environment(endpoint).items() if name.startswith(("AWS_", "NO_P", "no_p"))})
    config = Config(retries={"max_attempts": 2}, s3={"addressing_style": "path"})
    return boto3.client("s3", endpoint_url=endpoint, config=config), boto3.client("sqs", endpoint_url=endpoint, config=config)


def message(key, size, etag, number):
    """The message that S3 sends when an object was created."""
    now = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "us-east-1", "eventTime": now, "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:CloudTrail"}, "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": f"REQUEST{number:09}"},
        "s3": {"s3SchemaVersion": "1.0", "configurationId": "trailhound",
               "bucket": {"name": BUCKET, "ownerIdentity": {"principalId": "EXAMPLE"}, "arn": f"arn:aws:s3:::{BUCKET}"},
               "object": {"key": urllib.parse.quote_plus(key, safe="/"), "size": size, "eTag": etag.strip('"'), "sequencer": f"{number:018X}"}},
    }]})


class Findings(threading.Thread):
    """Reads the output as it grows; knows when each marker was found first."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.found, self.lines, self.ended = path, {}, 0, threading.Event()

    def run(self):
        rest, file, inode = b"", None, None
        while not self.ended.is_set():
            try:
                state = os.stat(self.path)
            except FileNotFoundError:
                time.sleep(0.01)
                continue
            # Written anew instead of appended to: from the start. What is known stays known.
            if file is None or state.st_ino != inode or state.st_size < file.tell():
                file, inode, rest = open(self.path, "rb"), state.st_ino, b""
            new = file.read()
            if not new:
                time.sleep(0.01)
                continue
            now = time.monotonic()
            *lines, rest = (rest + new).split(b"\n")
            for line in lines:
                self.lines += 1
                rule, marker = RULE.search(line), MARKER.search(line)
                if rule and marker:
                    self.found.setdefault((rule.group(1).decode(), marker.group(1).decode()), now)


class Load(threading.Thread):
    """Puts objects at the given rates and announces them. `expected` maps (rule, marker) to the moment before its object was put."""

    def __init__(self, options, s3, sqs, queue, archive, findings):
        super().__init__(daemon=True)
        self.options, self.s3, self.sqs, self.queue, self.archive, self.findings = options, s3, sqs, queue, archive, findings
        self.expected, self.objects, self.bytes, self.events, self.records, self.behind = {}, 0, 0, 0, 0, 0.0
        self.trouble, self.markers, self.there = None, 0, collections.deque()

    def run(self):
        try:
            self.put_all()
        except Exception as error:  # noqa: BLE001  the main thread says what it was
            self.trouble = error

    def put_all(self):
        maker = made_logs.Maker(self.options.seed)
        start, due, regions = time.monotonic(), [0.0, 0.0], 0
        every = [self.options.events_per_object / max(self.options.events_per_second, 1e-9),
                 self.options.records_per_object / max(self.options.records_per_second, 1e-9)]
        while min(due) < self.options.seconds:
            kind = due.index(min(due))
            markers = [f"load-{self.markers + number:07d}" for number in range(self.options.markers if kind == 0 else 1)]
            self.markers += len(markers)
            delivered = datetime.datetime.now(datetime.timezone.utc)
            if kind == 0:
                region = made_logs.REGIONS[max(regions % 4 - 1, 0)]
                regions += 1
                made = maker.trail(region, delivered, self.options.events_per_object, markers)
                self.events += self.options.events_per_object
            else:
                made = maker.invocations(made_logs.REGIONS[0], delivered, self.options.records_per_object, markers)
                self.records += self.options.records_per_object
            late = time.monotonic() - start - due[kind]
            self.behind = max(self.behind, late)
            time.sleep(max(0.0, -late))
            due[kind] += every[kind]
            self.put(*made)
            self.tidy()

    def put(self, key, body, markers):
        copy = self.archive / key
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(body)
        began = time.monotonic()
        for marker, rule in markers.items():
            self.expected[(rule, marker)] = began
        etag = self.s3.put_object(Bucket=BUCKET, Key=key, Body=body)["ETag"]
        self.objects += 1
        self.bytes += len(body)
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=message(key, len(body), etag, self.objects))
        self.there.append((began, key, [(rule, marker) for marker, rule in markers.items()]))

    def tidy(self):
        """Takes out of the bucket, which is in memory, what was read a while ago."""
        while self.there and time.monotonic() - self.there[0][0] > LINGER and all(each in self.findings.found for each in self.there[0][2]):
            self.s3.delete_object(Bucket=BUCKET, Key=self.there.popleft()[1])


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_ready(process, port, patience=60):
    open_without_proxy = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
    end = time.monotonic() + patience
    while time.monotonic() < end and process.poll() is None:
        try:
            with open_without_proxy(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            pass
        time.sleep(0.1)


def quantile(values, share):
    """The smallest value that at least `share` of them do not exceed."""
    return values[max(0, math.ceil(len(values) * share) - 1)]


def slope(samples):
    """Least-squares growth per second of (seconds, value)."""
    count = len(samples)
    if count < 3:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


def mib(number):
    return f"{number / 2**20:.0f} MiB"


def measure(options, work, moto, endpoint):
    """Runs the follower under load and prints what it took; seconds of processor time."""
    s3, sqs = clients(endpoint)
    s3.create_bucket(Bucket=BUCKET)
    queue = sqs.create_queue(QueueName=QUEUE, Attributes={"VisibilityTimeout": "120"})["QueueUrl"]
    output, archive, port = work / "findings.ndjson", work / "archive", free_port()
    log = open(work / "follow.log", "wb")
    command = [str(options.binary), "follow", queue, "--lake", str(work / "lake"), "--output", str(output),
               "--listen", f"127.0.0.1:{port}", *shlex.split(options.follow)]
    print("$", shlex.join(command), flush=True)
    follower = subprocess.Popen(command, stdout=log, stderr=log, env=environment(endpoint), cwd=work)
    findings = Findings(output)
    findings.start()
    try:
        wait_until_ready(follower, port)
        if follower.poll() is not None:
            sys.exit(f"follow ended at once with {follower.returncode}: {pathlib.Path(log.name).read_text(errors='replace')[-3000:]}")
        load = Load(options, s3, sqs, queue, archive, findings)
        process, server, self_ = Process(follower.pid), Process(moto.pid), Process(os.getpid())
        before = (process.cpu(), server.cpu(), self_.cpu())
        start = time.monotonic()
        load.start()
        samples, patience_ends = [], None
        while follower.poll() is None:
            now = time.monotonic()
            with contextlib.suppress(OSError):
                samples.append((now - start, process.resident(), process.cpu()))
            if not load.is_alive():
                patience_ends = patience_ends or now + options.patience
                if load.trouble or now > patience_ends or all(each in findings.found for each in load.expected):
                    break
            time.sleep(max(0.0, 1 - (time.monotonic() - now)))
        took = time.monotonic() - start
        after = (samples[-1][2] if samples else 0.0, server.cpu(), self_.cpu())
        ended = follower.poll()
        if ended is None:
            follower.send_signal(signal.SIGTERM)
            try:
                ended = follower.wait(timeout=60)
            except subprocess.TimeoutExpired:
                print("follow did not end within a minute of SIGTERM")
        else:
            print(f"follow ended by itself with {ended}; last lines of {log.name}:")
            print(pathlib.Path(log.name).read_text(errors="replace")[-3000:])
    finally:
        if follower.poll() is None:
            follower.kill()
            follower.wait()
    time.sleep(0.2)
    findings.ended.set()
    if load.trouble:
        sys.exit(f"the load failed: {load.trouble!r}")
    report(options, load, findings, samples, [b - a for a, b in zip(before, after)], took, ended)
    return after[0] - before[0], archive, load


def report(options, load, findings, samples, cpu, took, ended):
    found = findings.found
    delays = sorted(found[each] - load.expected[each] for each in load.expected if each in found)
    print(f"load: {load.objects} objects, {mib(load.bytes)} packed, {load.events} CloudTrail events, {load.records} invocation records in"
          f" {options.seconds:.0f} s; at most {load.behind:.2f} s behind its plan; the run took {took:.1f} s; follow ended with {ended}")
    if delays:
        names = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)]
        text = ", ".join(f"{name} {quantile(delays, share):.3f} s" for name, share in names)
        print(f"object put to finding written: {text}, max {delays[-1]:.3f} s ({len(delays)} of {len(load.expected)} findings)")
    missing = [each for each in load.expected if each not in found]
    if missing:
        print(f"not found: {len(missing)}, such as {missing[:5]}")
    print(f"output: {findings.lines} lines")
    if samples:
        resident = [value for _, value, _ in samples]
        settled = [(at, value) for at, value, _ in samples if at > took * 0.2]
        print(f"memory: first {mib(resident[0])}, last {mib(resident[-1])}, peak {mib(max(resident))},"
              f" slope {slope(settled) * 60 / 2**20:+.2f} MiB per minute over the last four fifths")
        tenth = max(1, len(samples) // 10)
        spans = [sorted(resident[at:at + tenth]) for at in range(0, len(resident), tenth)]
        print("memory by tenths, middle: " + ", ".join(mib(span[len(span) // 2]) for span in spans))
        print("memory by tenths, largest: " + ", ".join(mib(span[-1]) for span in spans))
    print(f"processor: follow {cpu[0]:.1f} s ({100 * cpu[0] / took:.0f} % of one core), moto {cpu[1]:.1f} s, this script {cpu[2]:.1f} s,"
          f" on {os.cpu_count()} cores")


def batch(options, work, archive, load):
    """The same objects in one run over a fresh lake."""
    command = [str(options.binary), "hunt", str(archive), "--lake", str(work / "batch-lake"), "--format", "json"]
    print("$", shlex.join(command), flush=True)
    began, before = time.monotonic(), os.times()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=work)
    seconds, after = time.monotonic() - began, os.times()
    cpu = after.children_user - before.children_user + after.children_system - before.children_system
    if done.returncode != 0:
        print(done.stderr.decode(errors="replace")[-3000:])
        return
    answer = json.loads(done.stdout)
    stored = {log["log"]: log["stored"] for log in answer["summary"]["logs"]}
    expected = {f"{rule} {marker}" for rule, marker in load.expected}
    found = {f"{each['rule_id']} {(each['principal'] or '').rsplit('/', 1)[-1]}" for each in answer["findings"]}
    print(f"batch: {seconds:.2f} s, {cpu:.1f} s of processor; stored {stored}, {len(answer['findings'])} findings,"
          f" {len(expected & found)} of {len(expected)} expected ones")
    return cpu


def main():
    options = arguments()
    options.binary = options.binary.resolve()
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="follow-load-"))
    work.mkdir(parents=True, exist_ok=True)
    work = work.resolve()
    moto, endpoint = start_moto(work)
    try:
        cpu, archive, load = measure(options, work, moto, endpoint)
    finally:
        moto.terminate()
        moto.wait()
    if not options.no_batch:
        cost = batch(options, work, archive, load)
        if cost:
            print(f"following cost {cpu / cost:.1f} times the processor time of the batch")
    if options.work is None:
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
