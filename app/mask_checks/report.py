"""The report of a mask check as it is stored, sent and shown: one typed document for worker, pages, REST and commands.

Loads no database, for the `masks` commands print it too.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, Field

from app.core.stored_models import StoredModel, Told
from app.mask_settings.fields import MaskSettingsIn
from app.masking import CHECK_NAMES, Amount, Leak, SuspectKind, VersionReport
from app.sentences import Sentence

_FIRST_LEAKS: Final = 50
# What the first form of the report called the settings, which it held among its own keys.
_FIRST_NAMES: Final = {
    "train_on": "strategy",
    "handling": "handling",
    "max_length": "max_length",
    "control_tokens": "control_tokens",
    "train_reasoning": "train_reasoning",
    "template_arguments": "template_arguments",
}


class CheckCount(BaseModel):
    """How many conversations one of the checks fails in; `refused` counts those without an exact mask."""

    name: str
    passed: bool
    failed: int


class ReportFailure(Told):
    """A check that failed in a sample, or a conversation without an exact mask (`check` is "refused").

    `token` indexes the sample's tokens.
    """

    conversation_id: int
    sample: int | None = None
    check: str
    token: int | None = None


class ReportReason(Told):
    """Why a conversation deserves a look; `check` is the one that failed, `sample` and `token` say where."""

    kind: SuspectKind
    check: str | None = None
    sample: int | None = None
    token: int | None = None


class ReportSuspect(BaseModel):
    """A conversation that deserves a look, the worst reason first; checks of the first form stored no reasons."""

    conversation_id: int
    reasons: list[ReportReason]


class ReportLeak(BaseModel):
    """A held-out conversation of which `share` (0 to 1) stands in training conversation `trained_id` as well."""

    conversation_id: int
    trained_id: int
    share: float


class SplitAmount(BaseModel):
    """Of the conversations to train on: those that give samples, those samples, their tokens, and how many of these one pass over
    all has in the loss.
    """

    conversations: int
    samples: int
    tokens: int
    trained_tokens: int


class Distribution(BaseModel):
    """`counts[i]` values lie in [edges[i], edges[i+1]); the last bin includes what lies above."""

    edges: list[float]
    counts: list[int]


class MaskReport(StoredModel):
    """What a mask check found. `green`: every check of every conversation passed and something is trained.

    Hashes are sha256: `hash` of ids and labels, `tokenizer_hash` of what made them, `file_hash` of the file with the
    arrays. `moment` is what a template that writes the date was told. `leaked` held-out conversations stand nearly word for word
    among the trained ones, the first of them in `leaks`; null where nobody looked. `to_train` is the training split alone, null in
    reports of before and where no arrays were made.
    """

    schema_version: Literal[2] = 2
    green: bool
    base_model: str
    settings: MaskSettingsIn
    moment: datetime | None = None
    conversations: int
    samples: int
    refused: int
    dropped: int
    tokens: int
    trained: int
    skipped: int
    truncated_samples: int
    truncated_tokens: int
    truncated_trained_tokens: int
    spelled_control_tokens: int
    rewritten_turns: int
    longest: int
    checks: list[CheckCount]
    failing_conversations: int
    failures: list[ReportFailure]
    # Conversations that deserve a look, in the version's order; the same with reasons are the suspects.
    suspicious: list[int]
    suspects: list[ReportSuspect]
    suspect_counts: dict[SuspectKind, int] = Field(default_factory=dict)
    leaked: int | None = None
    leaks: list[ReportLeak] = Field(default_factory=list)
    to_train: SplitAmount | None = None
    trained_ratio: Distribution
    lengths: Distribution
    hash: str
    tokenizer_hash: str | None = None
    file_hash: str | None = None

    @classmethod
    def of(
        cls,
        found: VersionReport,
        *,
        file_hash: str | None = None,
        leaks: Sequence[Leak] | None = None,
        to_train: Amount | None = None,
    ) -> Self:
        """From what masking found; `leaks` where it was looked for them, `to_train` of its arrays."""
        counted = {
            name: getattr(found, name)
            for name in cls.model_fields.keys() & vars(found).keys()
            if isinstance(getattr(found, name), int | str)
        }
        return cls(
            **counted,
            green=found.green,
            settings=MaskSettingsIn.of(found.settings),
            moment=found.moment,
            skipped=found.tokens - found.trained,
            checks=[
                CheckCount(name=name, passed=not found.failed[name], failed=found.failed[name])
                for name in (*CHECK_NAMES, "refused")
            ],
            failures=[ReportFailure(**vars(failure)) for failure in found.failures],
            suspicious=found.suspicious,
            suspects=[
                ReportSuspect(
                    conversation_id=identity, reasons=[ReportReason(**vars(reason)) for reason in reasons]
                )
                for identity, reasons in found.suspects.listed()
            ],
            suspect_counts=dict(found.suspects.counts),
            leaked=None if leaks is None else len(leaks),
            leaks=[ReportLeak(**vars(leak)) for leak in (leaks or [])[:_FIRST_LEAKS]],
            to_train=None if to_train is None else SplitAmount(**vars(to_train)),
            trained_ratio=Distribution(**vars(found.trained_ratio)),
            lengths=Distribution(**vars(found.lengths)),
            file_hash=file_hash,
        )

    @classmethod
    def upgrade(cls, document: dict[str, Any]) -> dict[str, Any]:
        """The first form named settings among its own keys, and its failures' sentences in several ways."""
        if "schema_version" in document:
            return document
        settings = {name: document[old] for name, old in _FIRST_NAMES.items() if old in document}
        failures = [_with_sentence(failure) for failure in document["failures"]]
        if "suspects" in document:
            suspects = [
                {**one, "reasons": [_with_sentence(reason) for reason in one["reasons"]]}
                for one in document["suspects"]
            ]
        else:
            suspects = _suspects_of_first(failures, document["suspicious"])
        return {**document, "settings": settings, "failures": failures, "suspects": suspects}


def _with_sentence(told: dict[str, Any]) -> dict[str, Any]:
    return {**told, "sentence": Sentence.stored_in(told)}


def _suspects_of_first(failures: list[dict[str, Any]], suspicious: list[int]) -> list[dict[str, Any]]:
    """Before reasons were stored: those that fail with their failures, then the others without."""
    found: dict[int, list[dict[str, Any]]] = {}
    for failure in failures:
        refused = failure["check"] == SuspectKind.REFUSED
        kind = SuspectKind.REFUSED if refused else SuspectKind.FAILED
        found.setdefault(failure["conversation_id"], []).append({**failure, "kind": kind})
    for identity in suspicious:
        found.setdefault(identity, [])
    return [{"conversation_id": identity, "reasons": reasons} for identity, reasons in found.items()]
