"""Text to ids with the code points each token covers.

Byte-level vocabularies spell every token's bytes, so offsets follow from the ids themselves and the
fast batch encoding is enough; the bytes are compared with the text, and where a normaliser changed
them the offset-keeping encoding is used.
"""

import json
from collections.abc import Sequence

import numpy as np
from tokenizers import Encoding, Tokenizer, models

from app.masking.tokenization.encoded import Encoded
from app.masking.tokenization.token_bytes import TokenBytes
from app.unlocked import cached_property


class Encoder:
    """One `tokenizers` tokenizer, encoding exactly as the model's own tokenizer does with
    add_special_tokens=False.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

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
