"""Trains and measures the prompt-injection score.

    python train.py evaluate PROMPTS.jsonl.gz     # tables of README.md: whole sources held out
    python train.py halves PROMPTS.jsonl.gz       # the same, when other rows of every source are known
    python train.py train PROMPTS.jsonl.gz OUT    # writes the weights, and scores for the Rust test beside them
    python train.py check OUT                     # scores of checks.toml, which nothing is learnt from
    python train.py plain PROMPTS.jsonl.gz        # the same tables for a plain model, to compare

Needs Python 3.11, numpy 1.26, scipy 1.13 and scikit-learn 1.5. Deterministic; a few minutes on one core.
"""

import json
import pathlib
import struct
import sys

import numpy as np

import measure
import reader
from model import CONCEPTS, MARGIN, Ours, Plain, Scorer, fit, scores, threshold
from rows import PERMISSIVE, REFERENCE, learnable, read

SLOPE = 2.0  # steepness of the score around the threshold


def train(model, rows, out):
    """The model of all permissive rows; 0.5 lies a margin above 1 % of real-user prompts of sources that it did not learn from."""
    sources, labels = np.array([row["source"] for row in rows]), np.array([row["label"] for row in rows])
    matrix, owners = model.matrix([row["text"] for row in rows])
    permissive = np.array([learnable(row) for row in rows])
    unseen = []
    for source in REFERENCE:
        held = sources == source
        weights = fit(model, rows, matrix, owners, permissive & ~held)
        unseen.append(scores(model, weights, matrix, owners, len(rows))[held])
    middle = threshold(np.concatenate(unseen))
    weights, intercept = fit(model, rows, matrix, owners, permissive)
    small, scales, _ = model.rounded(weights)
    value = scores(model, (weights, intercept), matrix, owners, len(rows))
    for label in (0, 1):
        share = (value[permissive & (labels == label)] > middle).mean()
        print(f"rows learnt from, label {label}: {share:.3f} above the threshold {middle:.3f}")
    others = np.array([row["licence"] not in PERMISSIVE for row in rows])
    for source in sorted(set(sources[others])):
        for label in (0, 1):
            part = others & (sources == source) & (labels == label)
            if part.any():
                print(f"{source}, label {label}, not learnt from: {(value[part] > middle).mean():.3f} of {part.sum()}")
    header = struct.pack("<4s4B", b"TPI2", *reader.BITS)
    header += struct.pack("<11f", *scales, *reader.VALUES, intercept, middle + MARGIN, SLOPE)
    header += struct.pack("<I", len(CONCEPTS))
    table = b"".join(struct.pack("<QB", key, concept) for key, concept in sorted(CONCEPTS.items()))
    pathlib.Path(out).write_bytes(header + table + b"".join(part.tobytes() for part in small))
    pin(out)
    print(f"{out}: {pathlib.Path(out).stat().st_size} bytes, {sum(int((part != 0).sum()) for part in small)} weights are not 0")


def pin(weights):
    """Writes the scores of the texts in scored.json, beside the weights, which a test of the Rust code compares with its own."""
    path, scorer = pathlib.Path(weights).with_name("scored.json"), Scorer(weights)
    texts = [entry["text"] for entry in json.loads(path.read_text(encoding="utf-8"))]
    lines = [json.dumps({"text": text, "score": round(float(scorer.score(text)), 6)}) for text in texts]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    command, path = sys.argv[1:3]
    if command == "check":
        return measure.check(path)
    rows, sources, labels = read(path)
    if command == "evaluate":
        measure.evaluate(Ours(), rows, sources, labels)
    elif command == "halves":
        measure.halves(Ours(), rows, sources, labels)
    elif command == "plain":
        measure.evaluate(Plain(), rows, sources, labels)
    elif command == "train" and len(sys.argv) == 4:
        train(Ours(), rows, sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
