"""Additional examples: filled templates, grown grammars, attacks planted in documents, nonsense suffixes, code, halved e-mails, long texts.

Made from our own sentences and from the training rows alone, so that a source that is held out stays held out.
"""

import random
import re

# Examples per kind that are grown from personas.toml, mails.toml and words.toml.
BENIGN = {
    "persona": 1400, "app": 600, "mail": 1800, "news": 500, "manual": 400, "trigger": 1500,
    "ai": 600, "format": 600, "coding": 500, "follow": 400, "fiction": 1200,
}
ATTACKS = {"persona": 1000, "mail": 900, "short": 900, "coax": 400, "quote": 500}

SLOT = re.compile(r"\{(\w+)\}|\{\{|\}\}")
# What stands between the pieces of a made suffix.
GLUE = list("{}[]()<>\\/|_=+*&^%$#@!~`\"';:?-.,")
GLUE += ["](", "{\\", "\\", "\\", "({", "}$", "\"`", "<?", "!!!", ");", "->", "=\"", "[", "(", "{", "]", ".[", "={", "</", "?\">"]


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


def grown(rng, slots, template, requests, documents):
    """A template whose slots may hold slots themselves. Doubled braces stand for one."""
    def slot(match):
        name = match.group(1)
        if not name:
            return match.group(0)[0]
        if name == "do":
            return rng.choice(requests)
        if name == "text":
            return passage(rng, rng.choice(documents), rng.choice((80, 200, 400, 900)))
        return re.sub(SLOT, slot, rng.choice(slots[name]))

    text = re.sub(SLOT, slot, template)
    chance = rng.random()
    if chance < 0.04:
        text = text.upper()
    elif chance < 0.14:
        text = text.lower()
    elif chance < 0.24:
        text = text.replace("\n", " ")
    return re.sub("  +", " ", text).strip()


def planted(rng, attack, document):
    chance = rng.random()
    if chance < 0.2:
        return attack + "\n" + document
    if chance < 0.7:
        return document + rng.choice((" ", "\n", "\n\n")) + attack
    half = len(document) // 2
    return document[:half] + " " + attack + " " + document[half:]


def suffix(rng, words, pieces):
    """Pieces of words, of code and of marks, glued as an optimiser of jailbreak suffixes leaves them."""
    out = []
    for _ in range(rng.randrange(6, 26)):
        word = rng.choice(pieces if rng.random() < 0.45 else words)
        chance = rng.random()
        if chance < 0.25:
            word = word[rng.randrange(max(1, len(word) - 2)) :]
        elif chance < 0.4:
            word = word[: rng.randrange(2, 6)]
        if rng.random() < 0.3:
            word = word[:1].upper() + word[1:]
        elif rng.random() < 0.06:
            word = word.upper()
        out.append(word)
        chance = rng.random()
        if chance < 0.4:
            out.append("".join(rng.choice(GLUE) for _ in range(rng.randrange(1, 5))))
        if chance < 0.08:
            out.append("\n")
        elif rng.random() < 0.65:
            out.append(" ")
    return "".join(out)


def code(rng, kinds, words):
    """Some lines of one kind of code, markup or log."""
    def slot(match):
        return rng.choice(words) if match.group(0) == "{w}" else str(rng.randrange(10 ** rng.randrange(1, 5)))

    lines = rng.choice(kinds)
    return "\n".join(re.sub(r"\{[wn]\}", slot, rng.choice(lines)) for _ in range(rng.randrange(2, 40)))


def make(rows, templates, grammars, pieces, seed=7, english=1500, other=90, plants=600, suffixes=900, long=1000, codes=1200):
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
    for grammar in grammars:
        for side, counts, label in (("benign", BENIGN, 0), ("attack", ATTACKS, 1)):
            for name, forms in grammar[side].items():
                for number in range(counts[name]):
                    text = grown(rng, grammar["slots"], forms[number % len(forms)], requests, documents)
                    made.append((text, label, "grown-" + name))
    for _ in range(plants if direct else 0):
        document = passage(rng, rng.choice(documents), rng.choice((100, 300, 700)))
        made.append((planted(rng, rng.choice(direct), document), 1, "planted"))
    for row in rows:
        if row["source"] == "BIPIA-email+attack":  # the attack stands at the end: the first half is an ordinary e-mail
            half = row["text"][: len(row["text"]) // 2]
            if "```" not in half:
                made.append((half, 0, "e-mail"))
    words = [word for row in rng.sample(rows, min(1500, len(rows))) for word in re.findall(r"\w+", row["text"])[:60]]
    for _ in range(suffixes):
        request = grown(rng, pieces["slots"], rng.choice(pieces["request"]), requests, documents)
        made.append((request + rng.choice((" ", " ", " ", ". ", "\n", "")) + suffix(rng, words, pieces["piece"]), 1, "suffix"))
    kinds = [lines for name, lines in templates["code"].items() if name != "ask"]
    for _ in range(codes):
        fill = {"code": [code(rng, kinds, words)]}
        made.append((filled(rng, fill, rng.choice(templates["code"]["ask"]), requests, documents), 0, "code"))
    for _ in range(long):
        parts = [passage(rng, rng.choice(documents), rng.choice((200, 500, 900))) for _ in range(rng.randrange(2, 5))]
        made.append((rng.choice(("\n", "\n\n", " ")).join(parts), 0, "long"))
    return made
