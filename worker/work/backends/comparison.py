"""A tool's own tokens against the checked arrays: all of them before the first step, and each batch as it reaches the model."""

from collections import defaultdict
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from app.interop.handing import TOOL_NAMES, TOOL_VERSIONS, Tool
from app.masking import MaskArrays, Split
from app.sentences import N_, FailureCode
from worker.work.protocol import JobFailed
from worker.work.training.data import LabelProof

_OTHER_TOKENS: Final = N_(
    "%(tool)s would train other tokens than the mask check showed: sample %(sample)d, of conversation %(id)d, differs in "
    "%(count)d tokens. Nothing was trained. Version %(tried)s of it was seen to train the right ones: install that, or set "
    "backend to studio."
)
_OTHER_NUMBER: Final = N_(
    "%(tool)s would train %(count)d samples and the mask check has %(expected)d. Nothing was trained. Version %(tried)s of "
    "it was seen to train the right ones: install that, or set backend to studio."
)
_STRANGE_BATCH: Final = N_(
    "%(tool)s trained tokens that are in no checked sample, in step %(step)d: the run was stopped and nothing of it is "
    "kept. Set backend to studio, and report this as a defect."
)

Numbers = npt.NDArray[np.int32]


class Comparison:
    """Samples are counted from 1 where people read of them."""

    def __init__(self, arrays: MaskArrays, tool: Tool) -> None:
        self.arrays, self.tool, self.tried = arrays, TOOL_NAMES[tool], TOOL_VERSIONS[tool]
        self.places = arrays.places(Split.TRAIN)
        self.proof = LabelProof(arrays)
        self._places_of: dict[bytes, list[int]] = defaultdict(list)
        for place in self.places.tolist():
            ids, labels = arrays.sample(place)
            self._places_of[_key(ids, labels)].append(place)

    def check_sample(self, place: int, input_ids: list[int], labels: list[int], padded: int) -> None:
        """The sample that the tool has at `place` of its training data. Raises JobFailed where it is another."""
        if place >= len(self.places):
            return  # their number is told at the end
        index = int(self.places[place])
        ids, wanted = self.arrays.sample(index)
        differing = padded + differing_tokens(ids, wanted, _numbers(input_ids), _numbers(labels))
        if differing:
            raise JobFailed(
                FailureCode.ARRAYS_DIFFER,
                _OTHER_TOKENS,
                tool=self.tool,
                tried=self.tried,
                sample=place + 1,
                id=int(self.arrays.conversation_ids[index]),
                count=differing,
            )

    def check_number(self, samples: int) -> None:
        """How many samples the tool has in all."""
        if samples != len(self.places):
            raise JobFailed(
                FailureCode.ARRAYS_DIFFER,
                _OTHER_NUMBER,
                tool=self.tool,
                tried=self.tried,
                count=samples,
                expected=len(self.places),
            )

    def check_batch(self, rows: list[list[list[int]]], padded: int, step: int) -> None:
        """What reaches the model. Raises JobFailed where it is no checked sample."""
        for ids, labels in rows:
            found = self._places_of.get(_key(_numbers(ids), _numbers(labels)))
            if found is None or padded:
                raise JobFailed(FailureCode.ARRAYS_DIFFER, _STRANGE_BATCH, tool=self.tool, step=step)
            # Equal samples cannot be told apart, and need not be.
            unseen = next((place for place in found if not self.proof.seen[place]), found[0])
            self.proof.mark_seen([unseen])


def differing_tokens(ids: Numbers, labels: Numbers, other_ids: Numbers, other_labels: Numbers) -> int:
    """Places at which id or label differ; what one has more counts too."""
    length = min(len(ids), len(other_ids))
    same = (ids[:length] == other_ids[:length]) & (labels[:length] == other_labels[:length])
    return int(length - np.count_nonzero(same)) + abs(len(ids) - len(other_ids))


def _numbers(values: list[int]) -> Numbers:
    return np.asarray(values, dtype=np.int32)


def _key(ids: npt.NDArray[Any], labels: npt.NDArray[Any]) -> bytes:
    return np.asarray(ids, np.int32).tobytes() + b"/" + np.asarray(labels, np.int32).tobytes()
