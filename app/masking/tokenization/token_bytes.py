"""The bytes that the ids of a byte-level vocabulary stand for, and where tokens lie in a text because of them."""

from collections.abc import Sequence
from itertools import accumulate, chain, pairwise

import numpy as np
from tokenizers import Tokenizer

from app.masking.tokenization.encoded import Encoded


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
