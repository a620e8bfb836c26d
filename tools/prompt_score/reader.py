"""Reads a text as src/engine/functions/injection_score/ does: plain and folded characters, tokens, hashed features, windows.

Every step here has its twin there; change both, train again, and renew the constants of the Rust test.
"""

import functools
import shlex

import numpy as np

U64 = np.uint64
FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3  # FNV-1a, 64 bits, over code points instead of bytes
GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio: spreads a hash to its top bits, which choose the bucket
MASK = (1 << 64) - 1

WORD, GRAM, CONCEPT, OUTLINE = 0, 1, 2, 3  # families of features
BITS = (18, 18, 14, 13)  # buckets per family, as powers of two
VALUES = (1.0, 0.6, 1.0, 0.7)  # value of one feature of each family, before normalisation
BLOCK = 150  # tokens per block; a window is two neighbouring blocks
LONGEST_WORD = 32  # characters after which a word is cut
SHORTEST_GRAM, LONGEST_GRAM = 3, 5
NEAR = 4  # tokens between two concepts that belong together

SPACE, LETTER, SINGLE, MARK = range(4)


def plain(character):
    """The character that a full width or tag character or a curly apostrophe stands for; None for invisible ones."""
    code = ord(character)
    if code < 0x80:
        return character
    if 0xE0020 <= code <= 0xE007E:
        return chr(code - 0xE0000)
    if 0xFF01 <= code <= 0xFF5E:
        return chr(code - 0xFEE0)
    if (
        0x200B <= code <= 0x200F
        or 0x202A <= code <= 0x202E
        or 0x2060 <= code <= 0x206F
        or 0xFE00 <= code <= 0xFE0F
        or code in (0xFEFF, 0xAD)
    ):
        return None
    return "'" if code in (0x2018, 0x2019) else character


def fold(character):
    """A plain character in lower case; digits become 0."""
    return "0" if "0" <= character <= "9" else character.lower()[0]


@functools.lru_cache(1 << 16)
def kind(character):
    """What a folded character does: SPACE, LETTER of a word, SINGLE (a token by itself) or MARK (the same, runs count once)."""
    code = ord(character)
    if code < 0x80:
        return SPACE if code <= 0x20 else LETTER if character.isalnum() else MARK
    if code in (0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000) or 0x2000 <= code <= 0x200A:
        return SPACE
    if (
        code < 0xC0
        or code in (0xD7, 0xF7)
        or 0x2000 <= code <= 0x2BFF
        or 0x3001 <= code <= 0x303F
        or 0xFE10 <= code <= 0xFE6F
        or 0xFF00 <= code <= 0xFF65
        or 0x1F000 <= code <= 0x1FAFF
    ):
        return MARK
    if 0x0E00 <= code <= 0x0E7F or 0x3040 <= code <= 0x30FF or 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF:
        return SINGLE
    return LETTER


def outline_class(character, kind_of):
    """Class of a plain character: what an outline of the text is made of. 4 bits, 0 is none."""
    if kind_of == SPACE:
        return 2 if character == "\n" else 1
    if kind_of in (LETTER, SINGLE):
        return 3 if "a" <= character <= "z" else 4 if "A" <= character <= "Z" else 5 if "0" <= character <= "9" else 6
    for number, members in enumerate(("([{<", ")]}>", "\"'`", ".,;:!?", "/\\|", "=+-*&%^~"), 7):
        if character in members:
            return number
    return 13


def read(text):
    """Words and marks in order, and (place, outline) wherever the class of characters changes: the last four and the last
    six classes, four bits each. An apostrophe inside a word is dropped."""
    found, word, outlines, outline, apostrophe = [], [], [], 0, False

    def mark(character):
        if not found or found[-1] != character:
            found.append(character)

    def end_word():
        if word:
            found.append("".join(word))
            word.clear()

    for unmasked in map(plain, text):
        if unmasked is None:
            continue
        character = fold(unmasked)
        what = kind(character)
        class_ = outline_class(unmasked, what)
        if class_ != outline & 15:
            outline = (outline << 4 | class_) & 0xFFFFFF
            outlines.append((len(found), outline & 0xFFFF))
            outlines.append((len(found), outline | 1 << 24))
        if apostrophe:
            apostrophe = False
            if what != LETTER:
                end_word()
                mark("'")
        if what == LETTER:
            word.append(character)
            if len(word) == LONGEST_WORD:
                end_word()
        elif character == "'" and word:
            apostrophe = True
        else:
            end_word()
            if what == MARK:
                mark(character)
            elif what == SINGLE:
                found.append(character)
    end_word()
    if apostrophe:
        mark("'")
    return found, outlines


def tokens(text):
    return read(text)[0]


def fnv(seed, codes):
    value = FNV_OFFSET ^ (seed * GOLDEN & MASK)
    for code in codes:
        value = (value ^ code) * FNV_PRIME & MASK
    return value


@functools.lru_cache(1 << 20)
def word_hash(word):
    return fnv(1, map(ord, word))


@functools.lru_cache(1 << 20)
def gram_buckets(word):
    """Buckets of the character n-grams of a word between its marks of start (1) and end (2)."""
    codes = [1, *map(ord, word), 2]
    found = set()
    for start in range(len(codes)):
        value = FNV_OFFSET ^ (2 * GOLDEN & MASK)
        for length, code in enumerate(codes[start : start + LONGEST_GRAM], 1):
            value = (value ^ code) * FNV_PRIME & MASK
            if length >= SHORTEST_GRAM:
                found.add((value * GOLDEN & MASK) >> (64 - BITS[GRAM]))
    return np.array(sorted(found), dtype=np.int64)


def pair(first, second, seed):
    return ((first * FNV_PRIME & MASK) ^ second ^ seed) * GOLDEN & MASK


def pairs(first, second, seed):
    return ((first * U64(FNV_PRIME)) ^ second ^ U64(seed)) * U64(GOLDEN)


def load_concepts(path):
    """Hash of a word, or of a pair of words, to the number of its concept (from 1)."""
    table, names = {}, []
    for line in open(path, encoding="utf-8"):
        if line.startswith("#") or not line.strip():
            continue
        name, entries = line.split(":", 1)
        names.append(name)
        for entry in shlex.split(entries):
            words = [word_hash(t) for t in tokens(entry)][:2]
            key = words[0] * GOLDEN & MASK if len(words) == 1 else pair(*words, 4)
            table.setdefault(key, len(names))
    return table


def concept_features(words, table):
    """(token, hash) of concepts and of neighbouring concepts."""
    found, last, before = [], None, None
    for at, word in enumerate(words):
        concept = table.get(pair(words[at - 1], word, 4)) if at else None
        concept = concept or table.get(word * GOLDEN & MASK)
        if not concept:
            continue
        found.append((at, fnv(5, [concept])))
        if last and at - last[0] <= NEAR:
            found.append((at, fnv(6, [last[1], concept])))
            if before and last[0] - before[0] <= NEAR:
                found.append((at, fnv(7, [before[1], last[1], concept])))
        if before and at - before[0] <= NEAR + 2:
            found.append((at, fnv(8, [before[1], concept])))
        last, before = (at, concept), last
    return found


def windows(text, concepts):
    """The windows of a text; a window is the sorted distinct buckets of each family. A text without tokens has none."""
    found, outlines = read(text)
    if not found:
        return []
    words = [word_hash(t) for t in found]
    hashes, at = np.array(words, dtype=U64), np.arange(len(found))
    word_parts = [(at, hashes * U64(GOLDEN)), (at[1:], pairs(hashes[:-1], hashes[1:], 2)), (at[2:], pairs(hashes[:-2], hashes[2:], 3))]
    gram_parts = [gram_buckets(t) for t in found]
    concept_parts = concept_features(words, concepts)
    families = [
        (np.concatenate([p for p, _ in word_parts]), (np.concatenate([h for _, h in word_parts]) >> U64(64 - BITS[WORD])).astype(np.int64)),
        (np.repeat(at, [len(g) for g in gram_parts]), np.concatenate(gram_parts)),
        (
            np.array([p for p, _ in concept_parts], dtype=np.int64),
            np.array([(h * GOLDEN & MASK) >> (64 - BITS[CONCEPT]) for _, h in concept_parts], dtype=np.int64),
        ),
        (
            np.array([place for place, _ in outlines], dtype=np.int64),
            np.array([(h * GOLDEN & MASK) >> (64 - BITS[OUTLINE]) for _, h in outlines], dtype=np.int64),
        ),
    ]
    blocks = (len(found) + BLOCK - 1) // BLOCK
    result = []
    for first in range(max(1, blocks - 1)):
        low, high = first * BLOCK, (first + 2) * BLOCK
        result.append([np.unique(buckets[(where >= low) & (where < high)]) for where, buckets in families])
    return result
