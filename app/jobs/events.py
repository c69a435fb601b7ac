"""What may happen to a job: the kinds of events, what each carries, the phases of the work, and their words.

Knows neither database nor web: the worker's children import it too. A new event is a member of `EventKind` with a
payload, a line in `PAYLOADS` and in `EventPayload`, and an overload of `Emit`; a new phase is a member of `Phase` with its words.
"""

from enum import StrEnum
from typing import Any, Final, Literal, NotRequired, Protocol, Unpack, get_args, overload

from typing_extensions import (
    TypedDict,  # pydantic shows the payloads in REST: before Python 3.12 it reads these alone
)

from app.sentences import N_

# At most so many are read in one piece; fewer are all that there were.
EVENTS_AT_ONCE: Final = 500


class EventKind(StrEnum):
    """The kinds that are stored and streamed; the value is the SSE event's name."""

    STATE = "state"
    STOP_REQUESTED = "stop_requested"
    PHASE = "phase"
    PROGRESS = "progress"
    METRIC = "metric"
    EVAL = "eval"
    CHECKPOINT = "checkpoint"
    RESTORED = "restored"
    LOG = "log"
    SAMPLE = "sample"
    ANSWER = "answer"
    DELTA = "delta"
    DONE = "done"


class Ending(StrEnum):
    """A child's last word. It becomes the job's state and result, not an event."""

    RESULT = "result"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PAUSED = "paused"


# What is compared: the base model alone, and with a run's adapter.
Side = Literal["base", "tuned"]
SIDES: Final[tuple[Side, ...]] = get_args(Side)
# An event stream's own last message, after the job's last event.
STREAM_END: Final = "end"


class Phase(StrEnum):
    """What a running job is doing."""

    PREPARING = "preparing"
    READING = "reading"
    WAITING = "waiting"
    STORING = "storing"
    DOWNLOADING = "downloading"
    LOADING_TOKENIZER = "loading_tokenizer"
    PREPARING_DATA = "preparing_data"
    LOADING_MODEL = "loading_model"
    CHECKING_MASKS = "checking_masks"
    TRAINING = "training"
    EVALUATING = "evaluating"
    SAVING = "saving"
    BASE_ANSWERS = "base_answers"
    TUNED_ANSWERS = "tuned_answers"
    BASE_HELD_OUT_LOSS = "base_held_out_loss"
    TUNED_HELD_OUT_LOSS = "tuned_held_out_loss"
    MERGING = "merging"
    WRITING = "writing"
    QUANTIZING = "quantizing"
    READING_BACK = "reading_back"
    UPLOADING = "uploading"


PHASE_WORDS: Final[dict[Phase, str]] = {
    Phase.PREPARING: N_("Preparing"),
    Phase.READING: N_("Reading the file"),
    Phase.WAITING: N_("Waiting until the dataset is free"),
    Phase.STORING: N_("Storing the conversations"),
    Phase.DOWNLOADING: N_("Downloading"),
    Phase.LOADING_TOKENIZER: N_("Loading the tokenizer"),
    Phase.PREPARING_DATA: N_("Preparing the data"),
    Phase.LOADING_MODEL: N_("Loading the model"),
    Phase.CHECKING_MASKS: N_("Checking the masks"),
    Phase.TRAINING: N_("Training"),
    Phase.EVALUATING: N_("Measuring held-out loss"),
    Phase.SAVING: N_("Saving"),
    Phase.BASE_ANSWERS: N_("The base model answers"),
    Phase.TUNED_ANSWERS: N_("The tuned model answers"),
    Phase.BASE_HELD_OUT_LOSS: N_("Held-out loss of the base model"),
    Phase.TUNED_HELD_OUT_LOSS: N_("Held-out loss of the tuned model"),
    Phase.MERGING: N_("Merging the adapter"),
    Phase.WRITING: N_("Writing the files"),
    Phase.QUANTIZING: N_("Quantizing"),
    Phase.READING_BACK: N_("Reading the file back"),
    Phase.UPLOADING: N_("Uploading"),
}
# States of a job that stand where a phase would: before it runs, and while it ends.
QUEUED_WORDS: Final = N_("Queued")
CANCELLING_WORDS: Final = N_("Cancelling")
PAUSING_WORDS: Final = N_("Pausing")
PAUSED_WORDS: Final = N_("Paused")
RUNNING_WORDS: Final = N_("Running")
_STATUS_WORDS: Final[dict[str, str]] = {
    "queued": QUEUED_WORDS,
    "cancelling": CANCELLING_WORDS,
    "pausing": PAUSING_WORDS,
    "paused": PAUSED_WORDS,
    **{phase.value: words for phase, words in PHASE_WORDS.items()},
}
# Stored by earlier versions under another word.
_FORMER: Final = {"load_model": Phase.LOADING_MODEL}


def status_words(status: str) -> str:
    """The untranslated words for a phase, or for what stands in its place; one from another version is “Running”."""
    return _STATUS_WORDS.get(_FORMER.get(status, status), RUNNING_WORDS)


class StatePayload(TypedDict):
    """The job's new state. `failure` is a stored Failure; `rescued`: its lease ran out; `released`: handed back; `resumed`:
    it was paused and may go on; `killed`: its process was, and another attempt goes on by itself."""

    state: str
    attempt: NotRequired[int]
    failure: NotRequired[dict[str, Any] | None]
    rescued: NotRequired[bool]
    released: NotRequired[bool]
    resumed: NotRequired[bool]
    killed: NotRequired[bool]


class StopRequestedPayload(TypedDict):
    """Somebody asked the job to end: `cancel` or `save`; or to `pause`."""

    how: str


class PhasePayload(TypedDict):
    """The work goes over to this phase. `id`: the chat request it belongs to."""

    phase: Phase
    id: NotRequired[str]


class ProgressPayload(TypedDict):
    """`step` of `total_steps` is done; `eta_seconds` are left by the pace so far. While a file is read these are bytes, and
    `records` counts the conversations found in them."""

    step: int
    total_steps: int
    records: NotRequired[int]
    epoch: NotRequired[float | None]
    eta_seconds: NotRequired[float | None]


class MachineLoad(TypedDict, total=False):
    """What the whole machine is doing: `host_` and `device_memory_bytes` are in use by all processes, of so many in total;
    utilisations in percent. What a machine cannot tell is null.
    """

    host_memory_bytes: int | None
    host_memory_total_bytes: int | None
    cpu_utilization: float | None
    device_memory_bytes: int | None
    device_memory_total_bytes: int | None
    device_utilization: float | None


class MetricPayload(MachineLoad):
    """Figures of a training step, means over the steps since the last: loss in nats a trained token; `memory_bytes` is the
    process's own, on the device where there is one. The machine's load beside it.
    """

    step: int
    epoch: float | None
    loss: float | None
    learning_rate: float | None
    grad_norm: float | None
    tokens_per_second: float | None
    memory_bytes: int | None


class EvalPayload(TypedDict):
    """Held-out loss (nats a trained token) after a step; `mixed_loss` is that of a second dataset, mixed in."""

    step: int
    eval_loss: float | None
    mixed_loss: NotRequired[float | None]


class CheckpointPayload(TypedDict):
    """A whole checkpoint lies at `path` (absolute, on the worker)."""

    step: int
    path: str


class RestoredPayload(TypedDict):
    """A later attempt goes on from what was kept after `step`, 0 where nothing was: what an earlier one told of later steps is
    taken back."""

    step: int


class LogPayload(TypedDict):
    """A line for people; `sentence` is a stored Sentence."""

    level: Literal["info", "warning", "error"]
    sentence: dict[str, Any]


class SamplePayload(TypedDict):
    """The greedy answer to a sample prompt after a step of training; `prompt` is its number, `asked` the prompt's last turn.

    `expected` is the held-out answer, null for a prompt that has none; `conversation_id` where both stand. `copied` is the
    share of the answer's tokens that stand in one training answer or two in the same order, most of them in conversation
    `copied_from`; null for an answer too short to tell. `finish_reason`: stop, length or time.
    """

    step: int
    prompt: int
    asked: str
    expected: str | None
    conversation_id: int | None
    text: str
    tokens: int
    finish_reason: str
    copied: float | None
    copied_from: int | None


class AnswerPayload(TypedDict):
    """One side's answer to a prompt of a suite. `seconds` from the batch's start to its end."""

    suite: str
    prompt_key: str
    variant: str
    text: str
    tokens: int
    finish_reason: str
    seconds: float


class DeltaPayload(TypedDict):
    """The next piece of a chat answer of one side."""

    id: NotRequired[str]
    side: Side
    text: str


class DonePayload(TypedDict):
    """A side's chat answer is complete."""

    id: NotRequired[str]
    side: Side
    finish_reason: str
    tokens: int


PAYLOADS: Final[dict[EventKind, type]] = {
    EventKind.STATE: StatePayload,
    EventKind.STOP_REQUESTED: StopRequestedPayload,
    EventKind.PHASE: PhasePayload,
    EventKind.PROGRESS: ProgressPayload,
    EventKind.METRIC: MetricPayload,
    EventKind.EVAL: EvalPayload,
    EventKind.CHECKPOINT: CheckpointPayload,
    EventKind.RESTORED: RestoredPayload,
    EventKind.LOG: LogPayload,
    EventKind.SAMPLE: SamplePayload,
    EventKind.ANSWER: AnswerPayload,
    EventKind.DELTA: DeltaPayload,
    EventKind.DONE: DonePayload,
}
EventPayload = (
    StatePayload
    | StopRequestedPayload
    | PhasePayload
    | ProgressPayload
    | MetricPayload
    | EvalPayload
    | CheckpointPayload
    | RestoredPayload
    | LogPayload
    | SamplePayload
    | AnswerPayload
    | DeltaPayload
    | DonePayload
)
KIND_OF: Final[dict[type, EventKind]] = {payload: kind for kind, payload in PAYLOADS.items()}


class Emit(Protocol):
    """How work tells of itself: the event's kind, then its payload, all of it plain JSON."""

    @overload
    def __call__(self, kind: Literal[EventKind.PHASE], /, **payload: Unpack[PhasePayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.PROGRESS], /, **payload: Unpack[ProgressPayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.METRIC], /, **payload: Unpack[MetricPayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.EVAL], /, **payload: Unpack[EvalPayload]) -> None: ...
    @overload
    def __call__(
        self, kind: Literal[EventKind.CHECKPOINT], /, **payload: Unpack[CheckpointPayload]
    ) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.RESTORED], /, **payload: Unpack[RestoredPayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.LOG], /, **payload: Unpack[LogPayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.SAMPLE], /, **payload: Unpack[SamplePayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.ANSWER], /, **payload: Unpack[AnswerPayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.DELTA], /, **payload: Unpack[DeltaPayload]) -> None: ...
    @overload
    def __call__(self, kind: Literal[EventKind.DONE], /, **payload: Unpack[DonePayload]) -> None: ...
