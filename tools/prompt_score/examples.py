"""Additional examples: filled templates, attacks planted in documents, nonsense suffixes, code, halved e-mails, long benign documents.

Made from templates.toml and from the training rows alone, so that a source that is held out stays held out.
"""

import random
import re

MARKS = list("{}[]()<>\\/|_=+*&^%$#@!~`\"';:?-.,")


def passage(rng, text, longest):
    if len(text) <= longest:
        return text
    start = text.find(" ", rng.randrange(len(text) - longest)) + 1
    return text[start : start + longest]


def filled(rng, slots, template, requests, documents):
    def slot(match):
        name = match.group(1)
        if name == "do":
            return rng.choice(requests)
        if name == "text":
            return passage(rng, rng.choice(documents), rng.choice((80, 200, 400, 900)))
        return rng.choice(slots[name])

    text = re.sub(r"\{(\w+)\}", slot, template)
    chance = rng.random()
    if chance < 0.08:
        text = text.upper()
    elif chance < 0.2:
        text = text.lower()
    elif chance < 0.25:
        text = text.replace(".", "")
    return re.sub(" +", " ", text)


def planted(rng, attack, document):
    chance = rng.random()
    if chance < 0.2:
        return attack + "\n" + document
    if chance < 0.7:
        return document + rng.choice((" ", "\n", "\n\n")) + attack
    half = len(document) // 2
    return document[:half] + " " + attack + " " + document[half:]


def suffix(rng, words):
    """Pieces of words and marks, as an optimiser of jailbreak suffixes leaves them."""
    out = []
    for _ in range(rng.randrange(8, 24)):
        word = rng.choice(words)
        if rng.random() < 0.3:
            word = word[rng.randrange(max(1, len(word) - 2)) :]
        if rng.random() < 0.3:
            word = word.capitalize()
        if rng.random() < 0.1:
            word = word.upper()
        out.append(word)
        chance = rng.random()
        if chance < 0.35:
            out.append("".join(rng.choice(MARKS) for _ in range(rng.randrange(1, 5))))
        if chance < 0.75:
            out.append(" ")
    return "".join(out)


def code(rng, kinds, words):
    """Some lines of one kind of code, markup or log."""
    def slot(match):
        return rng.choice(words) if match.group(0) == "{w}" else str(rng.randrange(10 ** rng.randrange(1, 5)))

    lines = rng.choice(kinds)
    return "\n".join(re.sub(r"\{[wn]\}", slot, rng.choice(lines)) for _ in range(rng.randrange(2, 40)))


def make(rows, templates, seed=7, english=1500, other=90, plants=600, suffixes=250, long=1000, codes=800):
    """(text, label, group) from training rows."""
    rng = random.Random(seed)
    benign = [row["text"] for row in rows if row["label"] == 0]
    requests = [text for text in benign if 8 <= len(text) <= 160]
    documents = [text for text in benign if 80 <= len(text) <= 2500]
    direct = [row["text"] for row in rows if row["kind"] == "direct_injection" and len(row["text"]) <= 400]
    made = []
    for language, parts in templates.items():
        if language == "code":
            continue
        count = english if language == "en" else other * 2 if language in ("de", "fr", "es") else other
        for name, label in (("attack", 1), ("benign", 0)):
            for number in range(count):
                template = parts[name][number % len(parts[name])]
                text = filled(rng, parts.get("slots", {}), template, requests, documents)
                made.append((text, label, "templates-" + ("en" if language == "en" else "other")))
    for _ in range(plants if direct else 0):
        document = passage(rng, rng.choice(documents), rng.choice((100, 300, 700)))
        made.append((planted(rng, rng.choice(direct), document), 1, "planted"))
    for row in rows:
        if row["source"] == "BIPIA-email+attack":  # the attack stands at the end: the first half is an ordinary e-mail
            made.append((row["text"][: len(row["text"]) // 2], 0, "e-mail"))
    words = [word for row in rng.sample(rows, min(1500, len(rows))) for word in re.findall(r"\w+", row["text"])[:60]]
    for _ in range(suffixes):
        made.append((rng.choice(requests) + " " + suffix(rng, words), 1, "suffix"))
    kinds = [lines for name, lines in templates["code"].items() if name != "ask"]
    for _ in range(codes):
        fill = {"code": [code(rng, kinds, words)]}
        made.append((filled(rng, fill, rng.choice(templates["code"]["ask"]), requests, documents), 0, "code"))
    for _ in range(long):
        parts = [passage(rng, rng.choice(documents), rng.choice((200, 500, 900))) for _ in range(rng.randrange(2, 5))]
        made.append((rng.choice(("\n", "\n\n", " ")).join(parts), 0, "long"))
    return made
