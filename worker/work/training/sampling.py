"""Greedy answers to a few prompts while a run trains, so that a person reads what the model has come to say.

It decides nothing and changes no number of the run: random numbers, dropout and attention are afterwards as they were.
A round is bounded in time, and all rounds together take a small share of the run's.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from transformers import TrainerCallback

from app.diagnosis.copies import Ids, TrainingAnswers
from app.dialogue.conversation import Message
from app.jobs.events import Emit, EventKind
from app.masking import IGNORE_INDEX, ChatTokenizer, MaskingError
from app.recipes.config import TrainingConfig
from app.scoring.suites import built_in_suites
from app.sentences import N_
from worker.work.describing import context_length
from worker.work.device_errors import breaks_off
from worker.work.evaluation.generation import decode
from worker.work.evaluation.loading import UNKNOWN_CONTEXT_LENGTH, LoadedModel
from worker.work.evaluation.prompts import encode_prompt, end_of_turn_ids
from worker.work.protocol import Cancelled, Control, JobFailed, log
from worker.work.training.attention import PACKED
from worker.work.training.data import ArraySamples
from worker.work.training.lanes import STATEFUL_POSITIONS
from worker.work.training.trial import set_attention
from worker.work.training.weights import causal_model

NEW_TOKENS: Final = 64
# A longer conversation is passed over: reading it would take the round's time.
LONGEST_PROMPT: Final = 512
SECONDS_A_ROUND: Final = 10.0
# All rounds together: so many seconds, and a share of the time since the run began.
FREE_SECONDS: Final = 5.0
SHARE_OF_RUN: Final = 0.03
_ASKED_CHARACTERS: Final = 400
_SALES: Final = {"zh": "sales-zh", "en": "sales-en"}
_MANY_CHINESE: Final = 0.2


@dataclass(frozen=True)
class Prompt:
    """Ids that an answer follows; `asked` for people; the held-out answer and its conversation, where there is one."""

    ids: list[int]
    asked: str
    expected: str | None = None
    conversation_id: int | None = None


def reserved_seconds(config: TrainingConfig) -> float:
    """What sampling may take of a time budget, in seconds."""
    asks = config.sample_count or config.sample_prompts
    return FREE_SECONDS + SHARE_OF_RUN * config.max_train_minutes * 60 if asks else 0.0


@dataclass
class Sampling(TrainerCallback):
    """Asks before the first step, at every measurement, and at the end."""

    prompts: list[Prompt]
    loaded: LoadedModel
    answers: TrainingAnswers
    # Measurements are the rounds; without held-out conversations, every so many steps.
    every: int | None
    emit: Emit
    control: Control
    asked_at: int | None = None
    spent: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.began = time.monotonic()
        if state.global_step == 0:
            self._ask(kwargs["model"], 0)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._ask_in_time(kwargs["model"], state)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.every and state.global_step % self.every == 0:
            self._ask_in_time(kwargs["model"], state)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        # Who asked it to stop does not wait for answers.
        if self.control.stop_requested is None:
            self._ask(kwargs["model"], state.global_step)

    def _ask_in_time(self, model: Any, state: Any) -> None:
        is_last = state.global_step >= state.max_steps
        if is_last or self.spent <= FREE_SECONDS + SHARE_OF_RUN * (time.monotonic() - self.began):
            self._ask(model, state.global_step)

    def _ask(self, model: Any, step: int) -> None:
        if not self.prompts or self.asked_at == step:
            return
        started = time.monotonic()
        try:
            self._tell(model, step)
        except (Cancelled, JobFailed, torch.OutOfMemoryError):
            raise
        except Exception as error:
            # Kinds of models answer in many ways, and training needs none of them; but what a GPU lost it needs.
            if breaks_off(error):
                raise
            self.prompts = []
            message = N_(
                "No sample answers are taken: this kind of model cannot be asked while it trains (%(reason)s)."
            )
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            log(self.emit, "warning", message, reason=reason)
        self.asked_at = step
        self.spent += time.monotonic() - started

    def _tell(self, model: Any, step: int) -> None:
        until = time.monotonic() + SECONDS_A_ROUND
        with answering(model, self.loaded.device):
            ids = [prompt.ids for prompt in self.prompts]
            found = sorted(decode(self.loaded, model, ids, NEW_TOKENS, self.control, until=until))
        for row, written, reason in found:
            prompt, copy = self.prompts[row], self.answers.copied_in(written)
            self.emit(
                EventKind.SAMPLE,
                step=step,
                prompt=row,
                asked=prompt.asked,
                expected=prompt.expected,
                conversation_id=prompt.conversation_id,
                text=_text(self.loaded.tokenizer, written),
                tokens=len(written),
                finish_reason=reason,
                copied=copy.share if copy else None,
                copied_from=copy.conversation_id if copy else None,
            )


@contextmanager
def answering(model: Any, device: torch.device) -> Iterator[None]:
    """For the length of a block the model answers: no dropout, an attention that can read on from a cache."""
    was_training = model.training
    random = torch.get_rng_state()
    random_there = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    decoder = causal_model(model).get_decoder()
    own = getattr(getattr(decoder, "config", None), "_attn_implementation", None)
    model.eval()
    try:
        if own in PACKED:
            # Where it takes neither, the first answer says so.
            set_attention(model, "sdpa") or set_attention(model, "eager")
        yield
    finally:
        if own in PACKED:
            set_attention(model, own)
        model.train(was_training)
        torch.set_rng_state(random)
        if random_there is not None:
            torch.cuda.set_rng_state(random_there, device)


def sampling_for(
    model: Any,
    folder: Path,
    config: TrainingConfig,
    train_samples: ArraySamples,
    eval_samples: ArraySamples,
    dtype: torch.dtype,
    device: torch.device,
    emit: Emit,
    control: Control,
) -> Sampling | None:
    """None where nothing is to be asked, or where asking could change what the model computes later."""
    if not (config.sample_count or config.sample_prompts):
        return None
    if any(getattr(module, "rope_type", None) in STATEFUL_POSITIONS for module in model.modules()):
        log(emit, "info", N_("No sample answers are taken: this model remembers how far it has read."))
        return None
    try:
        tokenizer = ChatTokenizer.from_folder(folder).rendering_with(
            train_samples.arrays.settings.template_arguments
        )
        loaded = LoadedModel(
            model,
            tokenizer,
            end_of_turn_ids(tokenizer),
            device,
            dtype,
            context_length(model.config) or UNKNOWN_CONTEXT_LENGTH,
        )
        prompts = choose_prompts(config, tokenizer, train_samples, eval_samples)
    except (MaskingError, JobFailed) as error:
        log(emit, "warning", N_("No sample answers are taken: %(reason)s"), reason=str(error))
        return None
    room = min(LONGEST_PROMPT, loaded.context_length - NEW_TOKENS)
    return Sampling(
        [prompt for prompt in prompts if len(prompt.ids) <= room],
        loaded,
        training_answers(train_samples),
        None if len(eval_samples) else config.eval_steps,
        emit,
        control,
    )


def choose_prompts(
    config: TrainingConfig, tokenizer: ChatTokenizer, train_samples: ArraySamples, eval_samples: ArraySamples
) -> list[Prompt]:
    """The person's own, else the first that are held out, else the sales suite's in the language of the data."""
    own = config.sample_prompts.splitlines()
    if own:
        return [_typed(tokenizer, [{"role": "user", "content": text}], text) for text in own]
    found: list[Prompt] = []
    asked: set[str] = set()
    for place in range(len(eval_samples)):
        prompt = _held_out(tokenizer, eval_samples, place)
        # Prompts that are the same would be answered the same.
        if prompt and prompt.asked not in asked and len(found) < config.sample_count:
            found.append(prompt)
            asked.add(prompt.asked)
    if found or len(eval_samples):
        return found
    first = _text(tokenizer, [int(token) for token in train_samples[0]["input_ids"]])
    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in first) > _MANY_CHINESE * len(first)
    suite = built_in_suites()[_SALES["zh" if chinese else "en"]]
    return [
        _typed(tokenizer, prompt.messages, str(prompt.messages[-1].get("content", "")))
        for prompt in suite.prompts[: config.sample_count]
    ]


def _typed(tokenizer: ChatTokenizer, messages: Sequence[Message], asked: str) -> Prompt:
    return Prompt(encode_prompt(tokenizer, messages), asked[:_ASKED_CHARACTERS])


def _held_out(tokenizer: ChatTokenizer, samples: ArraySamples, place: int) -> Prompt | None:
    """A held-out sample up to its first trained token: the very ids that its first answer was measured after."""
    sample = samples[place]
    trained = np.flatnonzero(np.asarray(sample["labels"]) != IGNORE_INDEX)
    if not len(trained) or not 0 < trained[0] <= LONGEST_PROMPT:
        return None
    begin = int(trained[0])
    beyond = np.flatnonzero(np.asarray(sample["labels"][begin:]) == IGNORE_INDEX)
    end = begin + int(beyond[0]) if len(beyond) else len(sample["labels"])
    ids = [int(token) for token in sample["input_ids"]]
    return Prompt(
        ids[:begin],
        _question(tokenizer, ids[:begin]),
        _text(tokenizer, ids[begin : min(end, begin + NEW_TOKENS)]),
        int(samples.arrays.conversation_ids[sample["index"]]),
    )


def _question(tokenizer: ChatTokenizer, ids: list[int]) -> str:
    """The last turn of a prompt without what the template writes around it; all of it where that is not found."""
    text = tokenizer.encoder.tokenizer.decode(ids, skip_special_tokens=False)
    asked = "¿"
    rendered = tokenizer.render([{"role": "user", "content": asked}], add_generation_prompt=True)
    before, _, after = rendered.partition(asked)
    header = before[before.rfind("<") :] if "<" in before else before
    if after and text.endswith(after) and header in text:
        return text.removesuffix(after).rpartition(header)[2].strip()[:_ASKED_CHARACTERS]
    return _text(tokenizer, ids)[-_ASKED_CHARACTERS:]


def _text(tokenizer: ChatTokenizer, ids: Sequence[int]) -> str:
    return str(tokenizer.encoder.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def training_answers(samples: ArraySamples) -> TrainingAnswers:
    """The trained tokens of the split, answer by answer."""
    tokens: list[Ids] = []
    numbers: list[Ids] = []
    conversations: list[int] = []
    for place in range(len(samples)):
        sample = samples[place]
        trained = np.asarray(sample["labels"]) != IGNORE_INDEX
        starts = np.flatnonzero(trained & ~np.concatenate([[False], trained[:-1]]))
        # By the number of answers that began before it, each trained token knows its own.
        number = np.cumsum(np.isin(np.arange(len(trained)), starts)) - 1
        tokens.append(np.asarray(sample["input_ids"])[trained].astype(np.int64))
        numbers.append(number[trained].astype(np.int64) + len(conversations))
        conversations += [int(samples.arrays.conversation_ids[sample["index"]])] * len(starts)
    return TrainingAnswers(
        np.concatenate([*tokens, np.zeros(0, np.int64)]),
        np.concatenate([*numbers, np.zeros(0, np.int64)]),
        np.asarray(conversations, np.int64),
    )
