#!/usr/bin/env python3
"""Put `trailhound follow` under stress, and compare what it stored with one batch ingest of the same objects.

usage: tools/follow_stress.py BINARY [CASE...]

  flood     many small objects that wait in a folder
  queue     messages that wait in a queue; asked to end in the middle, it gives back what it holds
  giant     an object near the limit and one above it, while small ones arrive
  throttle  S3 answers 503 SlowDown, then the queue is gone for a while
  slow      each write to the lake on S3 takes 300 ms longer
  terminate SIGTERM again and again while objects wait

Each case ends with PASS or FAIL and its figures. Exit code: 0 when all passed. Needs Linux, and moto with its server:
pip install -r .ci/moto.txt
"""
import argparse
import collections
import contextlib
import datetime
import gzip
import hashlib
import http.client
import http.server
import json
import pathlib
import random
import re
import shlex
import shutil
import signal
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
import follow_load  # noqa: E402
import made_logs  # noqa: E402
from follow_kill import compare_tables  # noqa: E402
from follow_load import clients, environment, free_port, message, mib, start_moto, wait_until_ready  # noqa: E402

START = datetime.datetime(2026, 10, 1, 18, 0, tzinfo=datetime.timezone.utc)
BUCKET = follow_load.BUCKET
LIMIT = 512 << 20
SLOW_DOWN = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", type=pathlib.Path, help="trailhound, release build")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"some of: {', '.join(CASES)} [all]")
    parser.add_argument("--objects", type=int, default=100_000, help="objects of the flood in a folder [100000]")
    parser.add_argument("--queued", type=int, default=100_000, help="messages of the flood in a queue [100000]")
    parser.add_argument("--giant", type=int, default=400, help="MiB of the object below the limit of 512, unpacked [400]")
    parser.add_argument("--seed", type=int, default=1, help="seed of the objects [1]")
    parser.add_argument("--patience", type=float, default=900, help="seconds to wait for what must come [900]")
    parser.add_argument("--follow", default="", metavar="ARGUMENTS", help="more arguments for follow, such as '--threads 2 --memory 512MiB'")
    parser.add_argument("--work", type=pathlib.Path, help="folder for everything; kept [a temporary one, kept when something fails]")
    options = parser.parse_args()
    unknown = set(options.cases) - set(CASES)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    return options


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads, allow_reuse_address, request_queue_size = True, True, 128

    def handle_error(self, *_):
        pass


class Proxy:
    """A way to moto that can be made bad: `busy` is the share of requests for objects that get 503, `delay` the seconds before a PUT."""

    def __init__(self, endpoint):
        self.target = endpoint.split("//")[1]
        self.port, self.server, self.busy, self.delay, self.refused = free_port(), None, 0.0, 0.0, 0
        self.chance = random.Random(1)
        self.open()

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def open(self):
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                if proxy.chance.random() < proxy.busy:
                    proxy.refused += 1
                    return self.reply(503, {"content-type": "application/xml"}, b"" if self.command == "HEAD" else SLOW_DOWN)
                if self.command == "PUT":
                    time.sleep(proxy.delay)
                way = http.client.HTTPConnection(proxy.target, timeout=60)
                try:
                    way.request(self.command, self.path, body or None, dict(self.headers))
                    answer = way.getresponse()
                    self.reply(answer.status, dict(answer.getheaders()), answer.read())
                finally:
                    way.close()

            def reply(self, status, headers, body):
                self.send_response_only(status)
                length = headers.get("Content-Length") if self.command == "HEAD" else None
                for name, value in headers.items():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length", "keep-alive"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length or str(len(body)))
                # A connection that stays open would outlive `close`.
                self.send_header("Connection", "close")
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = forward

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        """Connections are refused from now on."""
        self.server.shutdown()
        self.server.server_close()


class StandIn:
    """The part of S3 and SQS that a follower of a queue needs, over objects in memory: moto takes minutes for thousands of messages,
    because it looks at every message for each one that it hands out or deletes."""

    def __init__(self, bucket, objects):
        self.bucket, self.objects = bucket, objects
        self.lock = threading.Lock()
        # Number of a message -> moment from which it is visible; bodies are made when it is handed out.
        self.keys, self.hidden = list(objects), {}
        self.waiting, self.alive, self.received = collections.deque(range(len(self.keys))), set(range(len(self.keys))), 0
        stand_in = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body, kind, **headers):
                self.send_response_only(status)
                for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                body = stand_in.objects.get(urllib.parse.unquote(self.path.split("?")[0]).removeprefix(f"/{stand_in.bucket}/"))
                if body is None:
                    return self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>", "application/xml")
                self.answer(200, body, "application/gzip", etag=f'"{stand_in.etag(body)}"')

            do_HEAD = do_GET

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
                operation = self.headers["x-amz-target"].split(".")[1]
                said = getattr(stand_in, operation)(asked)
                self.answer(200, json.dumps(said).encode(), "application/x-amz-json-1.0")

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def queue(self):
        return f"{self.url()}/{made_logs.ACCOUNT}/{self.bucket}"

    @staticmethod
    def etag(body):
        return hashlib.md5(body, usedforsecurity=False).hexdigest()

    def left(self):
        """Messages that wait, and messages that are hidden."""
        with self.lock:
            self.show()
            return len(self.alive) - len(self.hidden), len(self.hidden)

    def show(self):
        """Makes visible again what was hidden for long enough."""
        now = time.monotonic()
        for number in [number for number, until in self.hidden.items() if until <= now]:
            del self.hidden[number]
            self.waiting.append(number)

    def ReceiveMessage(self, asked):
        end = time.monotonic() + asked.get("WaitTimeSeconds", 0)
        while True:
            with self.lock:
                self.show()
                numbers = [self.waiting.popleft() for _ in range(min(len(self.waiting), asked.get("MaxNumberOfMessages", 1)))]
                numbers = [number for number in numbers if number in self.alive]
                self.hidden.update((number, time.monotonic() + asked.get("VisibilityTimeout", 30)) for number in numbers)
                self.received += len(numbers)
            if numbers or time.monotonic() > end:
                break
            time.sleep(0.1)
        messages = []
        for number in numbers:
            key, body = self.keys[number], self.objects[self.keys[number]]
            text = message(key, len(body), self.etag(body), number).replace(BUCKET, self.bucket)
            attributes = {"ApproximateReceiveCount": "1", "SentTimestamp": str(int(time.time() * 1000))}
            messages.append({"MessageId": str(number), "ReceiptHandle": str(number), "Body": text, "Attributes": attributes})
        return {"Messages": messages} if messages else {}

    def DeleteMessageBatch(self, asked):
        with self.lock:
            for entry in asked["Entries"]:
                self.alive.discard(int(entry["ReceiptHandle"]))
                self.hidden.pop(int(entry["ReceiptHandle"]), None)
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    def ChangeMessageVisibilityBatch(self, asked):
        with self.lock:
            for entry in asked["Entries"]:
                if int(entry["ReceiptHandle"]) in self.hidden:
                    self.hidden[int(entry["ReceiptHandle"])] = time.monotonic() + entry["VisibilityTimeout"]
        return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}

    def GetQueueAttributes(self, _):
        waiting, hidden = self.left()
        return {"Attributes": {"ApproximateNumberOfMessages": str(waiting), "ApproximateNumberOfMessagesNotVisible": str(hidden)}}


class Follower:
    """The program while it follows; `peak` is its largest resident memory."""

    def __init__(self, lab, source, env=None, *more):
        self.lab, self.port = lab, free_port()
        command = [str(lab.options.binary), "follow", source, "--lake", lab.lake, "--output", str(lab.work / "findings.ndjson"),
                   "--listen", f"127.0.0.1:{self.port}", *shlex.split(lab.options.follow), *more]
        self.log = open(lab.work / "follow.log", "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, cwd=lab.work, env=env or environment())
        lab.running.append(self.process)
        self.peak, self.began = 0, time.monotonic()

    def page(self, name):
        """Status and text of a page; status 0 when nobody answers."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}/{name}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def figure(self, name):
        """Sum of all series of a metric."""
        found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", self.page("metrics")[1], re.MULTILINE)
        return sum(map(float, found))

    def look(self):
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            self.peak = max([self.peak, *(int(kb) << 10 for kb in re.findall(r"VmHWM:\s+(\d+) kB", status))])

    def wait_for(self, name, least, patience=None):
        """Waits until a metric is at least so high; seconds since the start, or None."""
        end = time.monotonic() + (patience or self.lab.options.patience)
        while time.monotonic() < end and self.process.poll() is None:
            self.look()
            if self.figure(name) >= least:
                return time.monotonic() - self.began
            time.sleep(0.5)
        return None

    def terminate(self):
        """Asks it to end: exit code (None: it had to be killed) and seconds."""
        self.look()
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=90)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = None
        return code, time.monotonic() - began


class Lab:
    """A case's folder, lakes and objects."""

    def __init__(self, options, work, moto):
        self.options, self.work, self.moto = options, work, moto
        self.logs, self.batch, self.lake = work / "logs", str(work / "batch-lake"), str(work / "lake")
        self.running, self.env = [], environment(moto)
        self.maker = made_logs.Maker(options.seed)
        self.logs.mkdir(parents=True)

    def objects(self, count, events, markers=0):
        """So many objects: key, body, what rules find in them."""
        for number in range(count):
            delivered = START + datetime.timedelta(seconds=number % 40_000)
            users = [f"load-{number * markers + marker:07d}" for marker in range(markers)]
            yield self.maker.trail(made_logs.REGIONS[1 + number % 2], delivered, events, users)

    def write(self, key, body):
        path = self.logs / key
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(path.name + ".part")
        new.write_bytes(body)
        new.rename(path)

    def run(self, arguments):
        done = subprocess.run([str(self.options.binary), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.work, env=self.env)
        if done.returncode != 0:
            raise RuntimeError(f"{arguments[0]} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def query(self, lake, sql):
        return json.loads(self.run(["query", sql, "--format", "json", "--quiet", "--lake", str(lake)]) or "[]")

    def differing(self, source):
        """Tables that are not the same as after one batch ingest of `source`; and seconds of that."""
        began = time.monotonic()
        self.run(["ingest", str(source), "--lake", self.batch])
        took = time.monotonic() - began
        return compare_tables(self), took

    def said(self, pattern):
        """Lines of the log with this in them."""
        return len(re.findall(pattern, (self.work / "follow.log").read_text(errors="replace")))

    def queue(self, s3, sqs, name):
        """A bucket, and a queue with a dead-letter queue: their addresses."""
        s3.create_bucket(Bucket=name)
        dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 5})
        return sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "120", "RedrivePolicy": policy})["QueueUrl"], dead


def left(sqs, url):
    """Messages that wait, and messages that are hidden."""
    names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names))["Attributes"]
    visible, hidden = (int(found[name]) for name in names)
    return visible, hidden


def announce(s3, sqs, bucket, queue, made):
    """Puts objects and sends their messages, ten at a time."""
    entries = []
    for number, (key, body, _) in enumerate(made):
        etag = s3.put_object(Bucket=bucket, Key=key, Body=body)["ETag"]
        entries.append({"Id": str(number % 10), "MessageBody": message(key, len(body), etag, number).replace(BUCKET, bucket)})
        if len(entries) == 10:
            sqs.send_message_batch(QueueUrl=queue, Entries=entries)
            entries = []
    if entries:
        sqs.send_message_batch(QueueUrl=queue, Entries=entries)


def flood(lab):
    count = lab.options.objects
    for key, body, _ in lab.objects(count, 2):
        lab.write(key, body)
    follower = Follower(lab, str(lab.logs))
    took = follower.wait_for("trailhound_objects_total", count)
    code, ending = follower.terminate()
    differing, batch = lab.differing(lab.logs)
    rate = count / took if took else 0
    text = f"{count} objects in {took or 0:.0f} s ({rate:.0f}/s; batch {batch:.0f} s), peak {mib(follower.peak)}, ended with {code} in {ending:.1f} s"
    return took is not None and code == 0 and differing == 0 and follower.peak < 1 << 30, text


def queue(lab):
    count = lab.options.queued
    made = {}
    for key, body, _ in lab.objects(count, 2):
        lab.write(key, body)
        made[key] = body
    aws = StandIn("flood", made)
    env = environment(aws.url())
    follower = Follower(lab, aws.queue(), env)
    follower.wait_for("trailhound_objects_total", count // 10)
    code, ending = follower.terminate()
    visible, hidden = aws.left()
    again = Follower(lab, aws.queue(), env)
    objects = count - len(lab.query(lab.lake, "SELECT _object FROM objects"))
    took = again.wait_for("trailhound_objects_total", objects)
    again.wait_for("trailhound_source_finished_total", visible + hidden, 150)
    second, _ = again.terminate()
    lab.run(["ingest", str(lab.logs), "--lake", lab.batch])
    ids = [collections.Counter(row["id"] for row in lab.query(lake, "SELECT eventID AS id FROM cloudtrail")) for lake in (lab.lake, lab.batch)]
    rate = objects / took if took else 0
    text = (f"{count} messages; asked to end in the middle: {code} in {ending:.1f} s, {visible} offered again at once, {hidden} hidden; then {objects} objects in"
            f" {took or 0:.0f} s ({rate:.0f}/s), peak {mib(max(follower.peak, again.peak))}, ended with {second}; {ids[0].total()} rows, {ids[1].total()} in batch,"
            f" left in the queue {sum(aws.left())}, received {aws.received} times")
    return took is not None and ids[0] == ids[1] and (code, second, hidden, sum(aws.left())) == (0, 0, 0, 0), text


def giant(lab):
    """The small ones carry markers, so that their delays can be told."""
    events = lab.options.giant << 10
    template = lab.maker.templates[0]
    sizes = {"fits": 0, "large": 0}
    for name, least in (("fits", lab.options.giant << 20), ("large", LIMIT + (16 << 20))):
        path = lab.work / f"{name}.json.gz"
        with gzip.open(path, "wb", compresslevel=1) as file:
            file.write(b'{"Records":[')
            line = b""
            while sizes[name] < least:
                # Above the limit nobody looks at what is in it.
                if name == "fits" or not line:
                    lines = [lab.maker._fill(template, made_logs.REGIONS[1], made_logs.stamp(START)) for _ in range(1000)]
                    line = ",".join(lines).encode()
                file.write(line if sizes[name] == 0 else b"," + line)
                sizes[name] += len(line) + 1
            file.write(b"]}")
    findings = follow_load.Findings(lab.work / "findings.ndjson")
    findings.start()
    follower = Follower(lab, str(lab.logs))
    wait_until_ready(follower.process, follower.port)
    expected, small = {}, list(lab.objects(40, 20, 1))
    for number, (key, body, markers) in enumerate(small):
        lab.write(key, body)
        expected.update({(rule, marker): time.monotonic() for marker, rule in markers.items()})
        if number in (5, 15):
            name = "fits" if number == 5 else "large"
            shutil.copy(lab.work / f"{name}.json.gz", lab.logs / f"{name}.json.gz.part")
            (lab.logs / f"{name}.json.gz.part").rename(lab.logs / f"{name}.json.gz")
        follower.look()
        time.sleep(0.5)
    took = follower.wait_for("trailhound_objects_total", len(small) + 2)
    code, ending = follower.terminate()
    time.sleep(0.5)
    findings.ended.set()
    delays = sorted(findings.found[each] - began for each, began in expected.items() if each in findings.found)
    differing, batch = lab.differing(lab.logs)
    reasons = lab.query(lab.lake, "SELECT reason FROM quarantine WHERE _object LIKE '%large.json.gz'")
    text = (f"{sizes['fits'] >> 20} MiB and {sizes['large'] >> 20} MiB unpacked beside {len(small)} small objects: peak {mib(follower.peak)}, ended with {code} in"
            f" {ending:.1f} s; small ones found after {delays[len(delays) // 2]:.1f} s, at most {delays[-1]:.1f} s ({len(delays)} of {len(expected)});"
            f" quarantine says {reasons[:1]}; batch {batch:.0f} s")
    return took is not None and (code, differing) == (0, 0) and len(delays) == len(expected) and len(reasons) == 1 and follower.peak < 2 << 30, text


def throttle(lab):
    s3, sqs = clients(lab.moto)
    url, dead = lab.queue(s3, sqs, "throttled")
    objects, queues = Proxy(lab.moto), Proxy(lab.moto)
    env = dict(lab.env, AWS_ENDPOINT_URL_S3=objects.url(), AWS_ENDPOINT_URL_SQS=queues.url())
    follower = Follower(lab, url.replace(lab.moto, queues.url()), env)
    wait_until_ready(follower.process, follower.port)
    made = lab.objects(400, 20)
    unready = collections.Counter()

    def phase(name, count, seconds):
        """Announces so many objects over so many seconds; notes how often it says that it is not ready."""
        began = time.monotonic()
        for number in range(count):
            announce(s3, sqs, "throttled", url, [next(made)])
            status, _ = follower.page("readyz")
            unready[name] += status == 503
            follower.look()
            time.sleep(max(0, began + seconds * (number + 1) / count - time.monotonic()))

    phase("well", 50, 5)
    objects.busy = 0.7
    phase("70 % busy", 100, 20)
    objects.busy = 1.0
    phase("all busy", 100, 60)
    objects.busy = 0.0
    queues.close()
    phase("no queue", 50, 45)
    queues.open()
    recovering = time.monotonic()
    phase("well again", 100, 10)
    done = follower.wait_for("trailhound_objects_total", 400)
    recovered = time.monotonic() - recovering
    # Messages whose deletion met the missing queue come once more.
    while sum(left(sqs, url)) and time.monotonic() - recovering < 300:
        time.sleep(1)
    emptied = time.monotonic() - recovering
    ready, _ = follower.page("readyz")
    received = follower.figure("trailhound_source_received_total")
    code, ending = follower.terminate()
    differing, _ = lab.differing("s3://throttled/")
    rest, died = sum(left(sqs, url)), sum(left(sqs, dead))
    slow, gone = lab.said("SlowDown"), lab.said("SQS")
    text = (f"{objects.refused} answers 503, the queue gone for 45 s: not ready {dict(unready)}, log lines with SlowDown {slow}, about SQS {gone}; all 400"
            f" objects {recovered:.0f} s after the end of it, the queue empty after {emptied:.0f} s, received {received:.0f} times; ready {ready}, ended with {code} in {ending:.1f} s; left {rest},"
            f" dead {died}, peak {mib(follower.peak)}")
    said = slow > 0 and gone > 0 and unready["no queue"] > 0 and unready["all busy"] > 0 and unready["well"] == 0
    return done is not None and said and (ready, code, differing, rest, died) == (200, 0, 0, 0, 0), text


def slow(lab):
    s3, _ = clients(lab.moto)
    s3.create_bucket(Bucket="lake")
    proxy = Proxy(lab.moto)
    env = dict(lab.env, AWS_ENDPOINT_URL=proxy.url())
    lab.lake = "s3://lake/l"
    figures = {}
    follower = Follower(lab, str(lab.logs), env)
    wait_until_ready(follower.process, follower.port)
    made = lab.objects(300, 100)
    for delay, total in ((0.0, 100), (0.3, 300)):
        proxy.delay = delay
        before = follower.figure("trailhound_cycle_seconds_sum"), follower.figure("trailhound_cycle_seconds_count")
        for _ in range(100 if delay == 0.0 else 200):
            key, body, _ = next(made)
            lab.write(key, body)
            follower.look()
            time.sleep(0.1)
        done = follower.wait_for("trailhound_objects_total", total)
        time.sleep(2)
        after = follower.figure("trailhound_cycle_seconds_sum"), follower.figure("trailhound_cycle_seconds_count")
        figures[delay] = (after[0] - before[0]) / max(1, after[1] - before[1])
    code, ending = follower.terminate()
    differing, _ = lab.differing(lab.logs)
    text = (f"turns take {figures[0.0]:.2f} s, with 300 ms more for each write {figures[0.3]:.2f} s; peak {mib(follower.peak)}, ended with {code} in"
            f" {ending:.1f} s")
    return done is not None and (code, differing) == (0, 0) and figures[0.3] > figures[0.0] and follower.peak < 1 << 30, text


def terminate(lab):
    count, codes, endings = 20_000, collections.Counter(), []
    for key, body, _ in lab.objects(count, 5):
        lab.write(key, body)
    for wait in (0.3, 0.5, 1, 1.5, 2, 3, 4, 6):
        follower = Follower(lab, str(lab.logs))
        time.sleep(wait)
        code, ending = follower.terminate()
        codes[code] += 1
        endings.append(ending)
    follower = Follower(lab, str(lab.logs), None, "--once")
    last = follower.process.wait()
    differing, _ = lab.differing(lab.logs)
    text = f"asked {len(endings)} times while {count} objects waited: exit codes {dict(codes)}, at most {max(endings):.1f} s; --once after it ended with {last}"
    return set(codes) == {0} and (last, differing) == (0, 0) and max(endings) < 30, text


CASES = {"flood": flood, "queue": queue, "giant": giant, "throttle": throttle, "slow": slow, "terminate": terminate}


def main():
    options = arguments()
    options.binary = options.binary.resolve()
    top = options.work or pathlib.Path(tempfile.mkdtemp(prefix="follow-stress-"))
    top.mkdir(parents=True, exist_ok=True)
    top = top.resolve()
    failed = 0
    for name in options.cases or CASES:
        (top / name).mkdir()
        moto, endpoint = start_moto(top / name)
        lab = Lab(options, top / name, endpoint)
        try:
            passed, text = CASES[name](lab)
        except Exception as error:  # noqa: BLE001  the other cases can still be run
            passed, text = False, repr(error)
        finally:
            for process in lab.running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            moto.terminate()
            moto.wait()
        failed += not passed
        print(f"{'PASS' if passed else 'FAIL'} {name}: {text}", flush=True)
        if passed and options.work is None:
            shutil.rmtree(top / name)
    if failed == 0 and options.work is None:
        shutil.rmtree(top)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
