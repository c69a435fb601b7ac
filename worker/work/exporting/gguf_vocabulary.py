"""A tokenizer as a GGUF file tells of it: from tokenizer.json, exactly, or refused in a sentence.

Two kinds of vocabulary are known: byte-level BPE, of which llama.cpp wants to know by name how text is split before merges
begin, and BPE of pieces with ▁ for spaces and bytes to fall back on, which it reads as SentencePiece's, by scores.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import gguf
from tokenizers import Tokenizer

from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed

UNSUPPORTED: Final = N_(
    "This tokenizer cannot be written into a GGUF file that llama.cpp reads alike (%(reason)s). Export the merged model, "
    "which brings its own tokenizer."
)
_GPT2: Final = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_LLAMA3: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
# How text is split → the name that llama.cpp has for it. A splitting is its steps, in order.
_SPLITTINGS: Final[dict[tuple[str, ...], str]] = {
    (_GPT2,): "gpt-2",
    ("digits", _GPT2): "smollm",
    (_LLAMA3,): "llama-bpe",
    (_LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}"),): "qwen2",
}
_SPACE: Final = "▁"


@dataclass(frozen=True)
class Vocabulary:
    """`model` and `pre` are llama.cpp's names; `tokens`, `types` and `scores` go by id, `merges` by rank."""

    model: str
    pre: str
    tokens: list[str]
    types: list[gguf.TokenType]
    merges: list[str] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    # The token that is put before every text; None: none is.
    bos_id: int | None = None
    add_eos: bool = False
    add_space: bool = False

    @property
    def add_bos(self) -> bool:
        """Whether a token is put before every text."""
        return self.bos_id is not None

    def write(self, writer: gguf.GGUFWriter) -> None:
        """All of it, into the head of a file."""
        writer.add_tokenizer_model(self.model)
        writer.add_tokenizer_pre(self.pre)
        writer.add_token_list(self.tokens)
        writer.add_token_types(self.types)
        if self.scores:
            writer.add_token_scores(self.scores)
        if self.merges:
            writer.add_token_merges(self.merges)
        if self.bos_id is not None:
            writer.add_bos_token_id(self.bos_id)
        writer.add_add_bos_token(self.add_bos)
        writer.add_add_eos_token(self.add_eos)
        writer.add_add_space_prefix(self.add_space)


def read_vocabulary(folder: Path, size: int) -> Vocabulary:
    """The tokenizer of a folder for a model with so many rows; rows without a token get names that nobody writes.

    Raises JobFailed for a tokenizer that llama.cpp would read otherwise.
    """
    document = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    model = document["model"]
    if model.get("type") != "BPE" or model.get("dropout"):
        raise _refused(f"model: {model.get('type')}")
    tokens, types = _tokens(document, size)
    bos_id, adds_eos = _ends(folder / "tokenizer.json")
    common: dict[str, Any] = {"tokens": tokens, "types": types, "bos_id": bos_id, "add_eos": adds_eos}
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    if not model.get("byte_fallback"):
        return Vocabulary("gpt2", splitting(document), merges=merges, **common)
    return Vocabulary(
        "llama",
        "default",
        scores=_scores(tokens, model["merges"]),
        add_space=_adds_space(document),
        **common,
    )


def _refused(reason: str) -> JobFailed:
    return JobFailed(FailureCode.EXPORT_UNSUPPORTED, UNSUPPORTED, reason=reason)


def splitting(document: Mapping[str, Any]) -> str:
    """llama.cpp's name for how a byte-level tokenizer splits text. Raises JobFailed where it has none."""
    normalizer = document.get("normalizer")
    if normalizer is not None and normalizer.get("type") != "NFC":
        raise _refused(f"normalizer: {normalizer.get('type')}")
    before = document.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers") or [before]
    found: list[str] = []
    for step in steps:
        kind = step.get("type")
        if kind == "Digits" and step.get("individual_digits"):
            found.append("digits")
        elif kind == "Split" and step.get("behavior") == "Isolated" and not step.get("invert"):
            found.append(str((step.get("pattern") or {}).get("Regex")))
        elif kind == "ByteLevel" and not step.get("add_prefix_space"):
            found += [_GPT2] if step.get("use_regex", True) else []
        else:
            raise _refused(f"pre_tokenizer: {kind}")
    name = _SPLITTINGS.get(tuple(found))
    if name is None:
        raise _refused(f"pre_tokenizer: {' · '.join(found)[:120]}")
    return name


def _tokens(document: Mapping[str, Any], size: int) -> tuple[list[str], list[gguf.TokenType]]:
    kinds = gguf.TokenType
    tokens = [f"[PAD{number}]" for number in range(size)]
    types = [kinds.UNUSED] * size
    falls_back = bool(document["model"].get("byte_fallback"))
    unknown = document["model"].get("unk_token")
    for text, number in document["model"]["vocab"].items():
        tokens[number] = text
        is_byte = falls_back and len(text) == 6 and text.startswith("<0x") and text.endswith(">")
        types[number] = kinds.BYTE if is_byte else kinds.UNKNOWN if text == unknown else kinds.NORMAL
    for added in document.get("added_tokens") or ():
        if added["content"] == unknown and falls_back:
            continue
        tokens[added["id"]] = added["content"]
        types[added["id"]] = kinds.CONTROL if added["special"] else kinds.USER_DEFINED
    return tokens, types


def _scores(tokens: Sequence[str], merges: Sequence[Any]) -> list[float]:
    """SentencePiece joins the pair whose piece has the highest score, BPE the pair of the lowest rank: the same order."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(merges):
        pair = merge.split(" ") if isinstance(merge, str) else merge
        ranks.setdefault("".join(pair), rank)
    last = float(len(merges) + 1)
    return [-float(ranks[token] + 1) if token in ranks else -last for token in tokens]


def _adds_space(document: Mapping[str, Any]) -> bool:
    """Whether a space is put before the text. Raises JobFailed for what is done to it besides."""
    adds = False
    normalizer = document.get("normalizer") or {}
    for step in normalizer.get("normalizers") or [normalizer]:
        if step.get("type") == "Prepend" and step.get("prepend") == _SPACE:
            adds = True
        elif step.get("type") == "Replace" and step.get("content") == _SPACE:
            continue
        elif step:
            raise _refused(f"normalizer: {step.get('type')}")
    before = document.get("pre_tokenizer") or {}
    match before.get("type"):
        case None | "Split":
            return adds
        case "Metaspace" if before.get("replacement") == _SPACE:
            return adds or before.get("prepend_scheme", "always") != "never"
        case kind:
            raise _refused(f"pre_tokenizer: {kind}")


def _ends(path: Path) -> tuple[int | None, bool]:
    """The token that encoding puts before a text, and whether it puts one behind it."""
    tokenizer = Tokenizer.from_file(str(path))
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a", add_special_tokens=True).ids
    before = whole[0] if whole[: len(bare)] != bare else None
    return before, whole[len(whole) - len(bare) :] != bare
