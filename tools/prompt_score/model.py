"""The models: what they see of a text, how they learn, and how they score, also from the file that ships."""

import pathlib
import struct
import tomllib
from collections import Counter

import numpy as np
import scipy.sparse as sparse
from sklearn.linear_model import LogisticRegression

import examples
import reader

HERE = pathlib.Path(__file__).parent
CONCEPTS = reader.load_concepts(HERE / "concepts.txt")
GRAMMARS = [tomllib.loads((HERE / name).read_text(encoding="utf-8")) for name in ("personas.toml", "mails.toml", "words.toml")]
SUFFIXES = tomllib.loads((HERE / "suffixes.toml").read_text(encoding="utf-8"))
TEMPLATES = tomllib.loads((HERE / "templates.toml").read_text(encoding="utf-8"))

FALSE_POSITIVES = 0.01
# What is added to the threshold: licences, READMEs and other long technical texts, of which the labelled prompts hold few, come higher
# than prompts.
MARGIN = 0.8
STRENGTH = 10.0  # inverse regularisation
BALANCE = 0.4  # a source of n rows weighs n^(1 - BALANCE)
LONGEST_TEXT = 12_000  # characters of a row that are learnt from


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
