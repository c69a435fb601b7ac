"""Text to ids with the code points each token covers,
and the twin tokenizer that knows only the template's controls.

Byte-level vocabularies spell every token's bytes, so offsets follow from the ids themselves and the
fast batch encoding is enough; the bytes are compared with the text, and where a normaliser changed
them the offset-keeping encoding is used.
"""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Encoding, Tokenizer, models

from app.masking.errors import MaskingError
from app.masking.settings import IGNORE_INDEX
from app.sentences import N_

Ints = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Encoded:
    """`ids[n]` int32, and for each token the half-open range of code points of the text it covers."""

    ids: Ints
    starts: Ints
    ends: Ints

    def tokens_of(self, start: int, end: int) -> slice:
        """The tokens whose first code point lies in [start, end).

        A token that straddles the start is not among them: the model could not generate it after
        a prompt that already holds its first character. One that straddles the end is, for the
        model generates it from its first character.
        """
        place = self.starts.searchsorted  # the method: the function of the same name costs ten times as much
        return slice(int(place(start)), int(place(max(start, end))))

    def labels_of(self, ranges: Sequence[tuple[int, int]]) -> Ints:
        """`labels[n]`: the ids of the tokens of these ranges of code points, IGNORE_INDEX for all others."""
        labels = np.empty_like(self.ids)
        labels.fill(IGNORE_INDEX)
        borders = (
            self.starts.searchsorted([(start, max(start, end)) for start, end in ranges]) if ranges else ()
        )
        for first, last in borders:
            labels[first:last] = self.ids[first:last]
        return labels


class TokenBytes:
    """The bytes every id of a byte-level vocabulary stands for."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self._pieces = np.array(pieces, dtype=object)
        self._begun = np.array([_code_points_begun_in(piece) for piece in pieces], dtype=np.int32)
        self._continues = np.array([_begins_inside(piece) for piece in pieces], dtype=np.int32)

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> "TokenBytes | None":
        """None when a token is not spelled in the byte alphabet (GPT-2's, `bytes_to_unicode`)."""
        added = {index: token.content for index, token in tokenizer.get_added_tokens_decoder().items()}
        vocabulary = tokenizer.get_vocab(with_added_tokens=True)
        pieces = [b""] * (max(vocabulary.values(), default=-1) + 1)
        for token, index in vocabulary.items():
            if index in added:
                pieces[index] = added[index].encode()
                continue
            try:
                pieces[index] = bytes([_BYTE_OF[character] for character in token])
            except KeyError:
                return None
        return cls(pieces)

    def encoded(self, ids: Sequence[list[int]], texts: Sequence[str]) -> list[Encoded | None]:
        """For every text the offsets that follow from its ids' own bytes;
        None where the bytes are not the text's.

        All texts are worked on as one: a call into numpy costs as much for one text as for hundreds.
        """
        counts = [len(found) for found in ids]
        flat = np.fromiter(chain.from_iterable(ids), dtype=np.int32, count=sum(counts))
        pieces = self._pieces[flat].tolist()
        begun = np.zeros(len(flat) + 1, dtype=np.int64)  # code points before each token, over all texts
        np.cumsum(self._begun[flat], out=begun[1:])
        places = [0, *accumulate(counts)]
        origins = np.repeat(begun[places[:-1]], counts)
        starts = (begun[:-1] - self._continues[flat] - origins).astype(np.int32)
        ends = (begun[1:] - origins).astype(np.int32)
        return [
            Encoded(flat[first:last], starts[first:last], ends[first:last])
            if b"".join(pieces[first:last]) == text.encode()
            else None
            for text, (first, last) in zip(texts, pairwise(places), strict=True)
        ]


_CONTINUATIONS = bytes(range(0x80, 0xC0))


def _begins_inside(piece: bytes) -> bool:
    """Whether the first byte continues a code point that an earlier token began."""
    return bool(piece) and piece[0] & 0xC0 == 0x80


def _code_points_begun_in(piece: bytes) -> int:
    return len(piece.translate(None, delete=_CONTINUATIONS))


def _byte_alphabet() -> dict[str, int]:
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return {chr(byte): byte for byte in shown} | {chr(256 + place): byte for place, byte in enumerate(hidden)}


_BYTE_OF = _byte_alphabet()


class Encoder:
    """One `tokenizers` tokenizer, encoding exactly as the model's own tokenizer does with
    add_special_tokens=False.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self._twins: dict[frozenset[str], TwinTokenizer] = {}

    def twin(self, controls: frozenset[str]) -> "TwinTokenizer":
        """The twin for these control tokens; building one copies the vocabulary, so they are kept."""
        if controls not in self._twins:
            self._twins[controls] = TwinTokenizer(self.tokenizer, controls)
        return self._twins[controls]

    @cached_property
    def unknown_id(self) -> int | None:
        """The id for what the vocabulary cannot spell: ordinary text may become it."""
        model = self.tokenizer.model
        if isinstance(model, models.Unigram):
            found: int | None = json.loads(self.tokenizer.to_str())["model"].get("unk_id")
            return found
        token = getattr(model, "unk_token", None)
        return self.tokenizer.token_to_id(token) if token is not None else None

    @cached_property
    def token_bytes(self) -> TokenBytes | None:
        return TokenBytes.of(self.tokenizer)

    def encode_many(self, texts: Sequence[str]) -> list[Encoded]:
        """One batch encoding for all texts, in their order."""
        return self.located(self.batch(texts), texts)

    def batch(self, texts: Sequence[str]) -> list[Encoding]:
        """The raw batch encoding; it runs outside the interpreter lock, so a thread can do it."""
        if self.token_bytes is None:
            return self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)

    def located(self, batch: Sequence[Encoding], texts: Sequence[str]) -> list[Encoded]:
        """Where the tokens of a raw batch lie in their texts."""
        table = self.token_bytes
        if table is None:
            return [_with_offsets(encoding) for encoding in batch]
        found = table.encoded([encoding.ids for encoding in batch], texts)
        changed = [place for place, encoded in enumerate(found) if encoded is None]
        again = iter(self.encode_with_offsets([texts[place] for place in changed]) if changed else ())
        return [encoded if encoded is not None else next(again) for encoded in found]

    def encode_with_offsets(self, texts: Sequence[str]) -> list[Encoded]:
        """For texts whose bytes are not their tokens' bytes."""
        batch = self.tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [_with_offsets(encoding) for encoding in batch]


def _with_offsets(encoding: Encoding) -> Encoded:
    offsets = np.array(encoding.offsets, dtype=np.int32).reshape(-1, 2)
    # a zero-width token may carry an earlier end; readers count on ends that never fall
    ends = np.maximum.accumulate(offsets[:, 1]) if len(offsets) else offsets[:, 1]
    return Encoded(np.array(encoding.ids, dtype=np.int32), offsets[:, 0], ends)


class TwinTokenizer:
    """The same vocabulary with every control token renamed to something no message can spell.

    A rendering in which only the template's own control tokens were given the new names
    encodes, in one piece, to exactly the ids the model's tokenizer gives, while control tokens
    spelled in message text stay ordinary text.
    """

    def __init__(self, tokenizer: Tokenizer, controls: Iterable[str]) -> None:
        nonce = secrets.token_hex(8)
        self.names = {
            token: f"\U0010fffc{nonce}{place}\U0010fffd" for place, token in enumerate(sorted(controls))
        }
        description: dict[str, Any] = json.loads(tokenizer.to_str())
        description["post_processor"] = None
        for token in description["added_tokens"]:
            token["content"] = self.names.get(token["content"], token["content"])
        self._rename_vocabulary(description["model"])
        try:
            self.encoder = Encoder(Tokenizer.from_str(json.dumps(description)))
        except Exception as error:  # tokenizers raises bare Exception
            raise MaskingError(
                N_("This tokenizer cannot keep control tokens out of message text: %(reason)s"), reason=error
            ) from error
        for token, name in self.names.items():
            if self.encoder.tokenizer.token_to_id(name) != tokenizer.token_to_id(token):
                raise MaskingError(
                    N_("The control token %(token)s changes its id when it is set apart."), token=token
                )

    def _rename_vocabulary(self, model: dict[str, Any]) -> None:
        vocabulary = model.get("vocab")
        if isinstance(vocabulary, dict):
            model["vocab"] = {self.names.get(token, token): index for token, index in vocabulary.items()}
        elif isinstance(vocabulary, list):
            model["vocab"] = [[self.names.get(token, token), score] for token, score in vocabulary]
        if model.get("unk_token") in self.names:
            model["unk_token"] = self.names[model["unk_token"]]

    def ids_of_all(self, texts: Sequence[str], controls: re.Pattern[str]) -> list[Ints]:
        """The ids of texts in which everything that reads like a control token is one."""
        renamed = [controls.sub(lambda match: self.names[match.group()], text) for text in texts]
        batch = self.encoder.tokenizer.encode_batch_fast(renamed, add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.int32) for encoding in batch]

    def encode(self, text: str, controls: Sequence[tuple[int, int]]) -> Encoded:
        """Encode `text`, in which only the ranges in `controls` are control tokens; offsets are into `text`."""
        pieces: list[str] = []
        origin: list[int] = []
        at = 0
        for start, end in controls:
            name = self.names[text[start:end]]
            pieces += (text[at:start], name)
            origin.extend(range(at, start))
            origin.extend([start] * len(name))
            at = end
        pieces.append(text[at:])
        origin.extend(range(at, len(text) + 1))
        renamed = "".join(pieces)
        found = self.encoder.encode_with_offsets([renamed])[0]
        place = np.array(origin, dtype=np.int32)
        ends = np.where(found.ends > 0, place[np.maximum(found.ends - 1, 0)] + 1, 0).astype(np.int32)
        closing = dict(controls)
        starts = place[found.starts]
        for index, start in enumerate(starts.tolist()):
            if start in closing and found.ends[index] > found.starts[index]:
                ends[index] = max(int(ends[index]), closing[start])
        return Encoded(found.ids, starts, np.maximum.accumulate(ends) if len(ends) else ends)


def control_pattern(tokens: Iterable[str]) -> re.Pattern[str]:
    """Matches any of the tokens, the longest first, as the tokenizer does; never matches when there is none."""
    longest_first = sorted(tokens, key=lambda token: (-len(token), token))
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def added_token(value: str | dict[str, Any]) -> AddedToken:
    """A special token as tokenizer_config.json writes it: a string or an object."""
    if isinstance(value, str):
        return AddedToken(value, special=True, normalized=False)
    known = {key: value[key] for key in ("single_word", "lstrip", "rstrip", "normalized") if key in value}
    return AddedToken(value["content"], special=bool(value.get("special", True)), **known)
