"""What an answer has in the same words as the training set: runs of tokens that stand in one training answer or two."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from app.masking import RUN_CHUNK, TOKEN_RUN, run_hashes

# A phrase that stands in more conversations than this is the data's way of speaking, not one answer's.
_CONVERSATIONS: Final = 2

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Copy:
    """`share` of the answer's tokens (0 to 1) that are copied, and the conversation that most of them stand in."""

    share: float
    conversation_id: int | None


@dataclass(frozen=True)
class TrainingAnswers:
    """Every trained token of the training split, one after another.

    tokens: int64[n]; answer: int64[n], the number of the answer that each token belongs to; conversation: int64[answers],
    its conversation's id.
    """

    tokens: Ids
    answer: Ids
    conversation: Ids

    def copied_in(self, written: Sequence[int]) -> Copy | None:
        """What of these tokens is copied; None where they are too few to tell."""
        if len(written) < 2 * TOKEN_RUN:
            return None
        hashes = run_hashes(np.asarray(written, np.int64))
        found = self._conversations_of(set(hashes.tolist()))
        covered = np.zeros(len(written), bool)
        sources: Counter[int] = Counter()
        for place, value in enumerate(hashes.tolist()):
            conversations = found.get(value, ())
            if 0 < len(conversations) <= _CONVERSATIONS:
                covered[place : place + TOKEN_RUN] = True
                sources.update(conversations)
        source = sources.most_common(1)[0][0] if sources else None
        return Copy(round(float(covered.mean()), 3), source)

    def _conversations_of(self, wanted: set[int]) -> dict[int, set[int]]:
        """By hash of a run of tokens, the conversations in which it stands inside one answer."""
        found: dict[int, set[int]] = defaultdict(set)
        sought = np.fromiter(wanted, np.uint64, len(wanted))
        for start in range(0, len(self.tokens), RUN_CHUNK):
            piece = slice(start, start + RUN_CHUNK + TOKEN_RUN - 1)
            tokens, answer = self.tokens[piece], self.answer[piece]
            if len(tokens) < TOKEN_RUN:
                continue
            hashes = run_hashes(tokens)
            whole = answer[: len(hashes)] == answer[TOKEN_RUN - 1 :]
            for place in np.flatnonzero(whole & np.isin(hashes, sought)):
                found[int(hashes[place])].add(int(self.conversation[answer[place]]))
        return found
