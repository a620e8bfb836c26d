#!/usr/bin/env python3
"""Run all benches and write docs/performance.md: the machine, the figures, and in the same run their floors or peers.

usage: tools/performance.py [EVENTS [LARGE]]     (1000000 and 10000000 events when not given; from the root of the repository)

The larger lake is looked up and added to; rules are judged on the smaller one.
"""
import os
import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "performance.md"
# Roles of a company of some size.
ROLES = 300
BENCHES = {
    "decode": "One core decodes objects of each log to Arrow. The floor is inflating the same objects with libdeflate and"
    " parsing them with nothing kept: JSON with sonic-rs, flow logs by counting their lines and fields with memchr.",
    "lake": "An archive becomes a lake, rules judge it, values are looked up, one new object is taken in. The floor or peer of"
    " each figure stands in its line.",
}


def processor():
    """Model of the processor, as Linux names it."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory():
    """Memory in GiB."""
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def bench(name, events, *parts, roles=1):
    """What a bench prints, line by line."""
    environment = dict(os.environ, TRAILHOUND_BENCH_EVENTS=str(events), TRAILHOUND_BENCH_ROLES=str(roles))
    command = ["cargo", "bench", "--locked", "--bench", name, "--", *parts]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [line for line in done.stdout.splitlines() if line.strip()]


def main():
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    large = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    rust = subprocess.run(["rustc", "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout.split()[1]
    page = [
        "# Performance",
        "",
        "Written by `tools/performance.py`, which runs `cargo bench`. Every figure stands beside a floor or a peer that was"
        " measured in the same run: compare the ratios, not the machines.",
        "",
        f"Machine: {processor()}, {os.cpu_count()} threads, {memory()} GiB; Rust {rust}, release profile.",
    ]
    for title, about, lines in [
        ("`cargo bench --bench decode`", BENCHES["decode"], bench("decode", events)),
        (f"`cargo bench --bench lake`, {events:,} events", BENCHES["lake"], bench("lake", events)),
        (f"`cargo bench --bench lake -- look-up delta`, {large:,} events", BENCHES["lake"], bench("lake", large, "look-up", "delta")),
        (
            f"`TRAILHOUND_BENCH_ROLES={ROLES} cargo bench --bench lake -- delta`, {large:,} events",
            f"The same with {ROLES} roles that make the events, where all of the events above are of one: rules that look back read"
            " the history of whoever did something new.",
            bench("lake", large, "delta", roles=ROLES),
        ),
    ]:
        page += ["", f"## {title}", "", about, "", "```text", *lines, "```"]
    PAGE.write_text("\n".join(page) + "\n")
    print(f"wrote {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
