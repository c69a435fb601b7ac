"""Reading an answer in English or Chinese without a word segmenter.

Everything here keeps offsets: a span into the folded text is a span into the answer itself.
"""

import re
from dataclasses import dataclass

Span = tuple[int, int]

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
HAN_RUN = re.compile(f"[{_HAN}]+")
LATIN_WORD = re.compile(r"[A-Za-z\u00c0-\u024f]+(?:['’-][A-Za-z\u00c0-\u024f]+)*")
NUMBER = re.compile(r"\d+(?:[.,:]\d+)*")
# A full stop ends a sentence only before a space, a closing quote or the end: "1.5" and "v2.0" stay whole.
_SENTENCE_END = re.compile(r"(?:[!?](?![a-z0-9=/&])|[。…]|\.(?=[\s\"')\]”’]|$))+[\"')\]”’]*|\n+|;")

_CURLY = {"’": "'", "‘": "'", "“": '"', "”": '"', "\u3000": " ", "\u00a0": " "}

_STOP_WORDS = frozenset((
    "a", "an", "and", "are", "as", "at", "be", "been", "but", "by", "can", "could", "did", "do", "does",
    "for", "from", "had", "has", "have", "he", "her", "him", "his", "how", "i", "if", "in", "is", "it",
    "its", "just", "me", "my", "no", "not", "of", "on", "or", "our", "out", "please", "she", "should",
    "so", "some", "than", "that", "the", "their", "them", "then", "there", "these", "they", "this",
    "to", "too", "up", "us", "was", "we", "were", "what", "when", "where", "which", "who", "why",
    "will", "with", "would", "you", "your", "yours", "i'm", "we're", "you're", "it's", "don't", "can't",
    "let's", "i've", "we've", "i'd", "also", "very", "much", "many", "more", "any", "all", "about",
))  # fmt: skip
# Characters that carry grammar rather than content; a pair never spans one.
_STOP_CHARACTERS = frozenset(
    "的了吗呢吧啊呀嘛着过是我你您他她它们这那和与及就都也很太在有要会能可以请把被让给"
    "从到对于而且或若如等个些么什怎"
)


def fold(text: str) -> str:
    """Lower case, full-width forms and curly quotes made plain; never changes the length."""
    return "".join(map(_fold_character, text))


def _fold_character(character: str) -> str:
    code = ord(character)
    if 0xFF01 <= code <= 0xFF5E:
        character = chr(code - 0xFEE0)
    character = _CURLY.get(character, character)
    lowered = character.lower()
    return lowered if len(lowered) == 1 else character


def sentences(folded: str) -> list[Span]:
    """Spans of the sentences, each with the mark that ends it; blank ones left out."""
    spans: list[Span] = []
    start = 0
    for mark in _SENTENCE_END.finditer(folded):
        spans.append((start, mark.end()))
        start = mark.end()
    spans.append((start, len(folded)))
    return [_trim(folded, span) for span in spans if not _is_blank(folded[span[0] : span[1]])]


def _is_blank(piece: str) -> bool:
    return all(character.isspace() or character in ";." for character in piece)


def _trim(text: str, span: Span) -> Span:
    piece = text[span[0] : span[1]]
    return span[0] + len(piece) - len(piece.lstrip()), span[1] - (len(piece) - len(piece.rstrip()))


@dataclass(frozen=True)
class Length:
    """Chinese characters and words of alphabetic scripts; punctuation is not counted."""

    characters: int
    words: int

    @property
    def total(self) -> int:
        return self.characters + self.words

    @property
    def chinese(self) -> bool:
        return self.characters > self.words


def measure(text: str) -> Length:
    """Length in the unit a writer of that language counts: characters in Chinese, words in English."""
    folded = fold(text)
    characters = sum(len(run.group()) for run in HAN_RUN.finditer(folded))
    words = sum(1 for _ in LATIN_WORD.finditer(folded)) + sum(1 for _ in NUMBER.finditer(folded))
    return Length(characters, words)


@dataclass(frozen=True)
class Scripts:
    """How an answer is written, in Chinese characters, Latin words and letters of any other script."""

    zh: int
    en: int
    other: int

    def share(self, language: str) -> float:
        """Two Chinese characters weigh as much as one word: that is what they usually are."""
        counts = {"zh": self.zh / 2, "en": float(self.en)}
        total = sum(counts.values()) + self.other
        return counts[language] / total if total else 0.0


def scripts(text: str) -> Scripts:
    """Counts by script. Latin script stands for English: French would pass as `en`."""
    zh = sum(len(run.group()) for run in HAN_RUN.finditer(text))
    folded = fold(text)
    words = list(LATIN_WORD.finditer(folded))
    latin_letters = sum(1 for word in words for character in word.group() if character.isalpha())
    letters = sum(1 for character in folded if character.isalpha())
    return Scripts(zh, len(words), letters - zh - latin_letters)


def content_units(text: str) -> frozenset[str]:
    """What a text is about: word stems and pairs of neighbouring Chinese characters, no function words."""
    # Here and not above: whoever reads scores needs none of its forty modules.
    import snowballstemmer

    folded = fold(text)
    # Price, prices, priced and pricing are one unit. A stemmer of its own: it holds state while it works.
    stem = snowballstemmer.stemmer("english").stemWord
    units = {stem(word.group()) for word in LATIN_WORD.finditer(folded) if word.group() not in _STOP_WORDS}
    units.update(number.group() for number in NUMBER.finditer(folded))
    for run in HAN_RUN.finditer(folded):
        units.update(_pairs(run.group()))
    return frozenset(unit for unit in units if unit)


def _pairs(run: str) -> set[str]:
    pairs: set[str] = set()
    piece = ""
    for character in run + "的":
        if character not in _STOP_CHARACTERS:
            piece += character
            continue
        pairs.update([piece] if len(piece) == 1 else [piece[i : i + 2] for i in range(len(piece) - 1)])
        piece = ""
    return pairs
