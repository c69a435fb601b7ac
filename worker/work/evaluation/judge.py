"""The work of an `evaluate` job: answers of base and tuned model to the suites, and their held-out loss.

It produces texts and losses; what a text is worth is decided in app/scoring, without torch.
"""

import time
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from app.evaluations.documents import CaseLimits, Generation, Part, Sides
from app.evaluations.parts import plan_cases
from app.evaluations.work import EvaluateInput, EvaluateResult, HeldOut, PromptInput
from app.jobs.events import SIDES, Emit, EventKind, Phase, Side
from app.masking import ChatTokenizer, MaskingError, read_arrays
from app.sentences import N_, FailureCode
from worker.work.evaluation.generation import DEFAULT_BATCH_SIZE, generate, require_room
from worker.work.evaluation.held_out import HeldOutLoss, held_out_loss, validation_samples
from worker.work.evaluation.loading import LoadedModel, load_base, require_tuned
from worker.work.evaluation.pace import measure
from worker.work.evaluation.prompts import encode_prompt
from worker.work.protocol import Control, JobFailed


def run(job: EvaluateInput, output_dir: Path, emit: Emit, control: Control) -> EvaluateResult:
    """Emit an `answer` for each prompt (or those that the limits allow) and variant, return losses and counts. `output_dir` is not used."""
    started = time.monotonic()
    emit(EventKind.PHASE, phase=Phase.LOADING_MODEL)
    tuned = require_tuned(Path(job.adapter_path))
    samples = _read_samples(job.arrays)
    loaded = load_base(Path(job.base_model_path))
    loaded.use(tuned)
    control.raise_if_cancelled()
    evaluation = _Evaluation(loaded, job, samples, emit, control)
    part = evaluation.choose(job.limits, started)
    seconds = {"load_model": time.monotonic() - started}
    answers = {side: evaluation.answer(side) for side in SIDES}
    losses = {side: evaluation.measure(side) for side in SIDES}
    seconds |= {f"{side}_answers": counts.seconds for side, counts in answers.items()}
    return EvaluateResult(
        **_losses(losses),
        part=part,
        prompts=len(evaluation.prompts),
        answers={side: counts.answers for side, counts in answers.items()},
        generated_tokens={side: counts.tokens for side, counts in answers.items()},
        generation=Generation(
            max_new_tokens=job.generation.max_new_tokens,
            precision=str(loaded.dtype).removeprefix("torch."),
            device=loaded.device.type,
        ),
        seconds={**seconds, "total": time.monotonic() - started},
    )


def _read_samples(path: str | None) -> list[Any]:
    if path is None:
        return []
    try:
        return validation_samples(read_arrays(Path(path)))
    except MaskingError as error:
        raise JobFailed.of(error) from error
    except OSError as error:
        raise JobFailed(
            FailureCode.ARRAYS_DIFFER,
            N_("The mask arrays cannot be used: %(detail)s Run the mask check again."),
            detail=str(error),
        ) from error


class _Losses(TypedDict):
    held_out_loss: Sides | None
    perplexity: Sides | None
    held_out: HeldOut


class _Counts(NamedTuple):
    answers: int
    tokens: int
    seconds: float


def _losses(losses: dict[Side, HeldOutLoss | None]) -> _Losses:
    """held_out_loss and perplexity are null where nothing was held out: unknown is not zero."""
    measured = {side: loss for side, loss in losses.items() if loss is not None}
    if not measured:
        return {"held_out_loss": None, "perplexity": None, "held_out": HeldOut()}
    of_base, of_tuned = measured["base"], measured["tuned"]
    return {
        "held_out_loss": Sides(base=of_base.loss, tuned=of_tuned.loss),
        "perplexity": Sides(base=of_base.perplexity, tuned=of_tuned.perplexity),
        "held_out": HeldOut(conversations=of_base.conversations, trained_tokens=of_base.trained_tokens),
    }


class _Evaluation:
    """One evaluation on its way: the prompts, and how far it is."""

    def __init__(
        self, loaded: LoadedModel, job: EvaluateInput, samples: list[Any], emit: Emit, control: Control
    ) -> None:
        self.max_new_tokens = job.generation.max_new_tokens
        self.batch_size = job.generation.batch_size or DEFAULT_BATCH_SIZE
        self.suite, self.prompts = job.suite.name, job.suite.prompts
        self.loaded, self.samples, self.emit, self.control = loaded, samples, emit, control
        tokenizer = loaded.tokenizer_with(job.template_arguments)
        self.encoded = [self._encode(tokenizer, prompt) for prompt in self.prompts]
        self.step = 0
        self.total_steps = len(SIDES) * (len(self.prompts) + len(samples))
        self.started = time.monotonic()

    def _encode(self, tokenizer: ChatTokenizer, prompt: PromptInput) -> list[int]:
        try:
            ids = encode_prompt(tokenizer, prompt.messages)
        except MaskingError as error:
            raise JobFailed(
                FailureCode.TEMPLATE_FAILED,
                N_("The prompt “%(name)s” cannot be rendered: %(detail)s"),
                name=prompt.key,
                detail=str(error),
            ) from error
        require_room(self.loaded, ids, self.max_new_tokens, prompt.key)
        return ids

    def choose(self, limits: CaseLimits, began: float) -> Part | None:
        """Keep the cases that the limits allow; None where that is all of them."""
        of, seconds_of = len(self.prompts), None
        if limits.max_minutes is not None:
            with self.loaded.side("tuned") as model:
                pace = measure(self.loaded, model, self.encoded, self.control)
            held_out = [ids.tolist() for ids, _labels in self.samples]

            def seconds_of(places: list[int]) -> float:
                chosen = [self.encoded[place] for place in places]
                answers = pace.of_answers(chosen, self.max_new_tokens, self.batch_size)
                return len(SIDES) * (answers + pace.of_reading(held_out))

        plan = plan_cases(of, limits, seconds_of, spent=time.monotonic() - began)
        self.started = time.monotonic()  # what is left is told by the pace of the answers
        if plan.why is None:
            return None
        self.prompts = [self.prompts[place] for place in plan.places]
        self.encoded = [self.encoded[place] for place in plan.places]
        self.total_steps = len(SIDES) * (len(self.prompts) + len(self.samples))
        keys = [prompt.key for prompt in self.prompts]
        return Part(cases=len(keys), of=of, keys=keys, sentence=plan.why)

    def answer(self, side: Side) -> _Counts:
        """Emit this side's answers; returns how many, of how many tokens, in how long."""
        self.emit(EventKind.PHASE, phase=Phase(f"{side}_answers"))
        started, tokens = time.monotonic(), 0
        with self.loaded.side(side) as model:
            for answer in generate(
                self.loaded, model, self.encoded, self.max_new_tokens, self.control, self.batch_size
            ):
                tokens += answer.tokens
                self.emit(
                    EventKind.ANSWER,
                    suite=self.suite,
                    prompt_key=self.prompts[answer.index].key,
                    variant=side,
                    text=answer.text,
                    tokens=answer.tokens,
                    finish_reason=answer.finish_reason,
                    seconds=round(answer.seconds, 3),
                )
                self._advance()
        return _Counts(len(self.encoded), tokens, time.monotonic() - started)

    def measure(self, side: Side) -> HeldOutLoss | None:
        if not self.samples:
            return None
        self.emit(EventKind.PHASE, phase=Phase(f"{side}_held_out_loss"))
        with self.loaded.side(side) as model:
            return held_out_loss(self.loaded, model, self.samples, self.control, self._advance)

    def _advance(self) -> None:
        self.step += 1
        left = (time.monotonic() - self.started) / self.step * (self.total_steps - self.step)
        self.emit(
            EventKind.PROGRESS,
            step=self.step,
            total_steps=self.total_steps,
            epoch=None,
            eta_seconds=round(left, 1),
        )
