#!/usr/bin/env python3
"""Kill `trailhound follow` again and again while logs arrive, and compare what it stored and found with one batch run.

usage: tools/follow_kill.py BINARY [--kills 20] [--seed N]

Objects are written into a folder while the follower runs: CloudTrail, invocation and flow logs, some late, some twice under other
names, some broken. After the kills `follow --once` finishes the work. Every table must have the same rows as after one
`trailhound hunt` over the same folder, and the findings must be the same in every column but created_at and run_id.
Exit code: 0 when all is the same, 1 when something differs.
"""
import argparse
import collections
import contextlib
import datetime
import json
import pathlib
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.dont_write_bytecode = True
import made_logs  # noqa: E402

# Objects that hold events of another one: whole copies, and uploads that broke off.
COPY = re.compile(r"\.copy\d+|-cut\b")
# Columns that say which run judged, and when.
OF_THE_RUN = ("created_at", "lacks", "run_id")
# Rows of a table, one value each; the same values as often must be there.
TABLES = {
    "cloudtrail": "SELECT eventID AS id FROM cloudtrail",
    "bedrock": "SELECT requestId AS id FROM bedrock",
    "vpcflow": "SELECT concat_ws(' ', srcaddr, dstaddr, srcport, start, bytes) AS id FROM vpcflow",
    "quarantine": "SELECT concat_ws(' ', _object, _record, reason) AS id FROM quarantine",
    "objects": "SELECT _object AS id FROM objects",
}
MODELS = ("anthropic.claude-3-5-haiku-20241022-v1:0", "amazon.nova-pro-v1:0", "meta.llama3-3-70b-instruct-v1:0")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("binary", type=pathlib.Path, help="trailhound")
    parser.add_argument("--kills", type=int, default=20, help="how often the follower is killed [20]")
    parser.add_argument("--seed", type=int, help="seed of objects, their order and the kills [a random one, printed]")
    parser.add_argument("--objects", type=int, default=150, help="objects, without repeated and broken ones [150]")
    parser.add_argument("--events", type=int, default=300, help="records in an object [300]")
    parser.add_argument("--shortest", type=float, default=0.5, help="seconds until a kill, at least [0.5]")
    parser.add_argument("--longest", type=float, default=8, help="seconds until a kill, at most [8]")
    parser.add_argument("--follow", default="", metavar="ARGUMENTS", help="more arguments for follow, such as '--threads 2'")
    parser.add_argument("--work", type=pathlib.Path, help="folder for everything; kept [a temporary one, kept when something differs]")
    return parser.parse_args()


def attack(story, step):
    """Calls of `story` that go into its object number `step`: only several objects together show what it is."""
    models = [("bedrock.amazonaws.com", "Converse", {"modelId": MODELS[number % 3]}) for number in range(3)]
    if story % 3 == 0:
        return [(f"denied-{story}", 70 + number, "AccessDenied", *models[(step + number) % 3]) for number in range(2)]
    if story % 3 == 1:
        return [(f"hopper-{story}", 80, None, *models[0])]
    asked = (("sts", "GetCallerIdentity"), ("ses", "GetSendQuota"), ("iam", "ListUsers"), ("bedrock", "ListFoundationModels"))
    service, name = asked[step % 4]
    return [(f"thief-{story}", 65, None, f"{service}.amazonaws.com", name, None)]


def plan(options, chance):
    """Objects in the order in which they are written: path and bytes."""
    maker = made_logs.Maker(options.seed)
    start = datetime.datetime(2026, 10, 1, 18, 0, tzinfo=datetime.timezone.utc)
    written = []
    for number in range(options.objects):
        delivered = start + datetime.timedelta(minutes=4 * number)
        kind = chance.random()
        region = made_logs.REGIONS[number % 3]
        if kind < 0.7:
            late = chance.random() < 0.15
            spread = chance.choice((4000, 20000, 90000)) if late else 240
            calls = attack(number // 6, number % 6)
            made = maker.trail(region, delivered, options.events, [f"user-{number:05d}"], spread, calls)
        elif kind < 0.9:
            made = maker.invocations(made_logs.REGIONS[0], delivered, max(1, options.events // 5), [f"user-{number:05d}"])
        else:
            made = maker.flows(region, delivered, options.events)
        key, body, _ = made
        # Most arrive in order, some long after their time.
        place = number + (chance.randrange(40) if chance.random() < 0.1 else chance.random())
        written.append((place, key, body))
        if chance.random() < 0.15:
            stem, ending = key.split(".", 1)
            written.append((place + chance.uniform(-3, 30), f"{stem}.copy1.{ending}", body))
    broken = [key_body for key_body in written if "CloudTrail" in key_body[1] and ".copy" not in key_body[1]][:: max(1, options.objects // 4)]
    for place, key, body in broken:
        stem, ending = key.split(".", 1)
        written.append((place + 1.5, f"{stem}-cut.{ending}", body[: len(body) // 2]))
        text = '{"Records":[{"eventVersion":"1.11","eventTime":"yesterday","eventSource":"s3.amazonaws.com","eventName":"ListBuckets"},{"eventV]}'
        written.append((place + 2.5, f"{stem}-bad.{ending}", made_logs.pack(text)))
    return [(key, body) for _, key, body in sorted(written)]


class Writer(threading.Thread):
    """Writes the objects over about `seconds`, each complete at once."""

    def __init__(self, folder, objects, seconds, chance):
        super().__init__(daemon=True)
        self.folder, self.objects, self.pause, self.chance, self.done = folder, objects, seconds / max(1, len(objects)), chance, 0

    def run(self):
        for key, body in self.objects:
            path = self.folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(path.name + ".part")
            new.write_bytes(body)
            new.rename(path)
            self.done += 1
            time.sleep(self.chance.uniform(0, 2 * self.pause))


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lab:
    """The program, a folder of logs and two lakes."""

    def __init__(self, options, work):
        self.options, self.work = options, work
        self.logs, self.lake, self.batch = work / "logs", work / "lake", work / "batch-lake"
        self.output = work / "findings.ndjson"
        self.logs.mkdir()

    def follow(self, *more):
        """Starts a follower."""
        log = open(self.work / "follow.log", "ab")
        command = [str(self.options.binary), "follow", str(self.logs), "--lake", str(self.lake), "--output", str(self.output),
                   "--listen", f"127.0.0.1:{free_port()}", *shlex.split(self.options.follow), *more]
        return subprocess.Popen(command, stdout=log, stderr=log, cwd=self.work)

    def end(self):
        """The end of the log."""
        return (self.work / "follow.log").read_text(errors="replace")[-3000:]

    def kill(self, chance, writer):
        """Kills the follower as often as asked for, while `writer` writes."""
        for number in range(1, self.options.kills + 1):
            wait = chance.uniform(self.options.shortest, self.options.longest)
            follower = self.follow()
            try:
                ended = follower.wait(timeout=wait)
                sys.exit(f"follow ended by itself with {ended}:\n{self.end()}")
            except subprocess.TimeoutExpired:
                follower.kill()
                follower.wait()
            print(f"kill {number} after {wait:.2f} s; {writer.done} of {len(writer.objects)} objects are there", flush=True)

    def run(self, arguments, name):
        """Runs the program to its end; what it wrote to stdout."""
        done = subprocess.run([str(self.options.binary), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.work)
        if done.returncode != 0:
            sys.exit(f"{name} ended with {done.returncode}: {done.stderr.decode(errors='replace')[-2000:]}")
        return done.stdout

    def query(self, lake, sql):
        return json.loads(self.run(["query", sql, "--format", "json", "--quiet", "--lake", str(lake)], "query") or "[]")


def canonical_parts(value):
    """The value with copies named like their originals, and lists in order, because the names of copies may have decided it."""
    if isinstance(value, dict):
        return {name: canonical_parts(each) for name, each in value.items()}
    if isinstance(value, list):
        return sorted((canonical_parts(each) for each in value), key=json.dumps)
    return COPY.sub("", value) if isinstance(value, str) else value


def same(left, right):
    """True when two cells say the same, whichever copy of an object was read first."""
    if left == right:
        return True
    if COPY.search(json.dumps([left, right])) is None:
        return False
    plain = [canonical_parts(parsed(side)) for side in (left, right)]
    return plain[0] == plain[1]


def parsed(value):
    """The value of JSON text, else the text."""
    if isinstance(value, str) and value[:1] in ("[", "{"):
        with contextlib.suppress(ValueError):
            return json.loads(value)
    return value


def compare_tables(lab):
    """Prints and counts the tables that differ."""
    differing = 0
    for table, sql in TABLES.items():
        followed, batch = (collections.Counter(COPY.sub("", str(row["id"])) for row in lab.query(lake, sql)) for lake in (lab.lake, lab.batch))
        more, less = followed - batch, batch - followed
        print(f"{table:<10} {followed.total():>8} rows followed, {batch.total():>8} in batch")
        if more or less:
            differing += 1
            print(f"  differs: {more.total()} only followed, such as {list(more)[:3]}; {less.total()} only in batch, such as {list(less)[:3]}")
    return differing


def compare_findings(lab):
    """Prints and counts the findings that differ."""
    followed, batch = ({row["finding_id"]: row for row in lab.query(lake, "SELECT * FROM findings")} for lake in (lab.lake, lab.batch))
    rows = [len(lab.query(lake, "SELECT finding_id FROM findings")) for lake in (lab.lake, lab.batch)]
    rules = collections.Counter(row["rule_id"] for row in batch.values())
    print(f"findings   {rows[0]:>8} rows followed, {rows[1]:>8} in batch; by rule: {dict(sorted(rules.items()))}")
    differing = abs(rows[0] - len(followed)) + abs(rows[1] - len(batch))
    if differing:
        print(f"  {differing} findings are stored more than once")
    for name, ids, rows in (("only followed", followed.keys() - batch.keys(), followed), ("only in batch", batch.keys() - followed.keys(), batch)):
        differing += len(ids)
        for each in sorted(ids)[:10]:
            print(f"  {name}: {rows[each]['rule_id']} {rows[each]['entities']} at {rows[each]['time']}")
    columns = collections.Counter()
    for each in sorted(followed.keys() & batch.keys()):
        left, right = followed[each], batch[each]
        wrong = [name for name in right.keys() | left.keys() if name not in OF_THE_RUN and not same(left.get(name), right.get(name))]
        if wrong:
            differing += 1
            columns.update(wrong)
            if sum(columns.values()) < 20:
                for name in wrong:
                    print(f"  {left['rule_id']} {each} {name}: followed {str(left.get(name))[:300]} | batch {str(right.get(name))[:300]}")
    if columns:
        print(f"  columns that differ: {dict(columns)}")
    return differing, set(followed)


def compare_announced(lab, stored):
    """Prints what the output got; counts findings that were never announced."""
    lines = lab.output.read_text(errors="replace").splitlines() if lab.output.exists() else []
    announced = collections.Counter()
    for line in lines:
        with contextlib.suppress(ValueError):
            announced[json.loads(line).get("finding_id")] += 1
    again = sum(count - 1 for count in announced.values())
    missing = stored - set(announced)
    print(f"announced  {len(announced):>8} findings in {len(lines)} lines, {again} lines again; {len(missing)} stored and not announced")
    return len(missing)


def main():
    options = arguments()
    options.binary = options.binary.resolve()
    if options.seed is None:
        options.seed = random.SystemRandom().randrange(2**32)
    print(f"seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    work = options.work or pathlib.Path(tempfile.mkdtemp(prefix="follow-kill-"))
    work.mkdir(parents=True, exist_ok=True)
    lab = Lab(options, work.resolve())
    objects = plan(options, chance)
    seconds = options.kills * (options.shortest + options.longest) / 2
    writer = Writer(lab.logs, objects, seconds * 0.9, random.Random(options.seed + 1))
    writer.start()
    lab.kill(chance, writer)
    writer.join()
    ended = lab.follow("--once").wait()
    if ended != 0:
        sys.exit(f"follow --once ended with {ended}:\n{lab.end()}")
    lab.run(["hunt", str(lab.logs), "--lake", str(lab.batch), "--format", "json"], "hunt")
    differing = compare_tables(lab)
    findings, stored = compare_findings(lab)
    differing += findings + compare_announced(lab, stored)
    print(f"seed {options.seed}: {'the same' if differing == 0 else f'{differing} differences; see {lab.work}'}")
    if options.work is None and differing == 0:
        shutil.rmtree(lab.work)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
