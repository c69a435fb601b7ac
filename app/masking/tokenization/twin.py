"""The twin of a tokenizer: the same vocabulary, in which only what the template writes can become a control token."""

import json
import re
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from app.masking.errors import MaskingError
from app.masking.tokenization.encoded import Encoded, Ints
from app.masking.tokenization.encoder import Encoder
from app.sentences import N_


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


class Twins:
    """The twins of one tokenizer, by their control tokens; building one copies the vocabulary, so they are kept."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._known: dict[frozenset[str], TwinTokenizer] = {}

    def for_controls(self, controls: frozenset[str]) -> TwinTokenizer:
        """The twin in which these are the control tokens. Raises MaskingError."""
        if controls not in self._known:
            self._known[controls] = TwinTokenizer(self._tokenizer, controls)
        return self._known[controls]
