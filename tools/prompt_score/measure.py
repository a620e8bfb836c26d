"""Measures the score: whole sources held out, halves of every source, and our own texts that nothing is learnt from."""

import sys
import tomllib

import numpy as np
from sklearn.metrics import roc_auc_score

from model import HERE, MARGIN, Scorer, fit, scores, threshold
from rows import FOLDS, PERMISSIVE, REFERENCE, language, learnable


class Tally:
    """Scores of attacks beside those of the reference, over models with different thresholds."""

    def __init__(self):
        self.rows = {}

    def add(self, key, values, reference, limit):
        auc = roc_auc_score(np.r_[np.zeros(len(reference)), np.ones(len(values))], np.r_[reference, values])
        n, area, hits, high = self.rows.get(key, (0, 0.0, 0, 0))
        hits, high = hits + int((values > limit).sum()), high + int((values > limit + MARGIN).sum())
        self.rows[key] = (n + len(values), area + auc * len(values), hits, high)

    def show(self, title):
        print(f"\n{title}\n\n| | rows | AUC | recall at 1 % | at 0.5 |\n|---|---:|---:|---:|---:|")
        for key, (n, area, hits, high) in sorted(self.rows.items()):
            print(f"| {key} | {n} | {area / n:.3f} | {hits / n:.3f} | {high / n:.3f} |")
        n, area, hits, high = map(sum, zip(*self.rows.values()))
        print(f"| all | {n} | {area / n:.3f} | {hits / n:.3f} | {high / n:.3f} |", flush=True)


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
                alarms[source] = (int(benign.sum()), int((value[benign] > limit).sum()), int((value[benign] > limit + MARGIN).sum()))
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
    print("\n| benign source, not learnt from | rows | at 1 % | at 0.5 |\n|---|---:|---:|---:|")
    for source, (n, flagged, high) in sorted(alarms.items()):
        print(f"| {source} | {n} | {flagged} ({flagged / n:.1%}) | {high} ({high / n:.1%}) |")


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


def check(weights):
    """How many of the texts that were written for measuring lie above the scores 0.5 and 0.7, the rule's minimum."""
    scorer = Scorer(weights)
    for kind, texts in tomllib.loads((HERE / "checks.toml").read_text(encoding="utf-8")).items():
        found = np.array([scorer.score(text) for text in texts])
        print(f"{kind}: {len(found)} texts, {(found > 0.5).sum()} above 0.5, {(found >= 0.7).sum()} from 0.7")
        for text, value in zip(texts, found):
            if (value > 0.5) != (kind == "attack"):
                print(f"  {value:.2f} {text[:90]!r}")
