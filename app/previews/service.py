"""Rules of previews: the very function that makes the training arrays, shown for one conversation.

Tokenizers and the last masked conversations are kept, since people change one setting after the other.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlmodel import Session

from app.base_models.service import require_base_model, require_tokenizer
from app.conversations.messages import canonical_messages
from app.core.errors import Invalid
from app.core.i18n import gettext, say
from app.masking import (
    ChatTokenizer,
    MaskedSample,
    MaskingError,
    MaskSettings,
    TokenizerUnusable,
    mask_conversation,
    preview_sample,
    run_checks,
)
from app.previews.compare import Difference, compare
from app.sentences import N_, Sentence

# A pasted template longer than this is not a chat template.
MAX_TEMPLATE_CHARACTERS: Final = 100_000
DEFAULT_MAX_LENGTH: Final = 2048
# What the headless contract promises for one sample; pages add to it, scripts get exactly this.
CONTRACT_FIELDS: Final = ("text", "strategy", "tokens", "trained", "skipped", "truncated", "checks")
_CHECK_FIELDS: Final = ("name", "passed", "detail")


@dataclass(frozen=True)
class Masked:
    """The samples of one conversation under one tokenizer. `dropped` more train nothing and are left out."""

    tokenizer: ChatTokenizer
    samples: Sequence[MaskedSample]
    dropped: int


# The name of a pasted template; sentences say it in the language of who reads them.
_PASTED: Final = "(pasted)"
# What a tokenizer is made of; with any of it changed, it is another one.
_FILES: Final = ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "chat_template.jinja")
State = tuple[tuple[int, int] | None, ...]


def _state(folder: Path) -> State:
    """Raises FileNotFoundError without a tokenizer."""
    (folder / "tokenizer.json").stat()
    more = sorted((folder / "additional_chat_templates").glob("*.jinja"))
    files = [folder / name for name in _FILES] + more
    return tuple((found.st_mtime_ns, found.st_size) if (found := _stat(file)) else None for file in files)


def _stat(file: Path) -> os.stat_result | None:
    try:
        return file.stat()
    except FileNotFoundError:
        return None


@lru_cache(maxsize=8)
def _tokenizer(folder: Path, _modified: State, name: str) -> ChatTokenizer:
    return ChatTokenizer.from_folder(folder, name=name)


@lru_cache(maxsize=16)
def _tokenizer_with(folder: Path, modified: State, chat_template: str, model: str) -> ChatTokenizer:
    try:
        return _tokenizer(folder, modified, model).with_chat_template(chat_template, _PASTED)
    except TokenizerUnusable:  # a model without a template of its own
        return ChatTokenizer.from_folder(folder, chat_template=chat_template, name=_PASTED)


def load_tokenizer(folder: Path, chat_template: str | None = None, *, name: str = "") -> ChatTokenizer:
    """The folder's tokenizer, optionally with another template. Raises Invalid for one that cannot be used.

    `name` is what messages call the folder's own template.
    """
    if chat_template is not None and len(chat_template) > MAX_TEMPLATE_CHARACTERS:
        raise Invalid(
            N_("A chat template can have at most %(limit)d characters."),
            field="chat_template",
            limit=MAX_TEMPLATE_CHARACTERS,
        )
    try:
        modified = _state(folder)
        if chat_template and chat_template.strip():
            return _tokenizer_with(folder, modified, chat_template, name)
        return _tokenizer(folder, modified, name)
    except MaskingError as error:
        raise _as_invalid(error) from error
    except FileNotFoundError:
        raise Invalid(N_("The model's folder has no tokenizer.json. Prepare the base model again.")) from None


def parse_settings(values: Mapping[str, Any]) -> MaskSettings:
    """Mask settings from a form or JSON; absent ones take their defaults. Raises Invalid naming what is wrong."""
    try:
        return MaskSettings(**values)
    except MaskingError as error:
        raise _as_invalid(error) from error
    except (ValueError, TypeError) as error:
        raise Invalid(
            N_("These mask settings cannot be used: %(reason)s"), field="settings", reason=str(error)
        ) from error


def require_arguments(folder: Path, settings: MaskSettings) -> None:
    """Raises Invalid naming a template argument that the folder's chat template does not read."""
    if not settings.template_arguments:
        return
    try:
        load_tokenizer(folder).rendering_with(settings.template_arguments)
    except MaskingError as error:
        raise _as_invalid(error) from error


def tokenizer_of(session: Session, base_model_id: int, chat_template: str = "") -> ChatTokenizer:
    """The base model's tokenizer, with the pasted template if there is one. Raises Invalid or Conflict."""
    folder = require_tokenizer(session, base_model_id)
    name = require_base_model(session, base_model_id).name
    return load_tokenizer(folder, chat_template or None, name=name)


def readable_arguments(tokenizer: ChatTokenizer) -> frozenset[str]:
    """The names by which its template can be told something. Raises Invalid when it does not compile."""
    try:
        return tokenizer.readable_arguments
    except MaskingError as error:
        raise _as_invalid(error) from error


def mask_messages(
    session: Session,
    *,
    base_model_id: int,
    messages: list[dict[str, Any]],
    settings: MaskSettings,
    chat_template: str | None = None,
    moment: datetime | None = None,
) -> Masked:
    """The samples that training would see of these messages; where all train nothing, those. `moment` (now) is for
    templates that write the date.

    Raises Invalid with the reason when no exact mask exists; a wrong mask is never shown.
    """
    tokenizer = tokenizer_of(session, base_model_id, chat_template or "")
    wanted = json.dumps(canonical_messages(messages), ensure_ascii=False)
    try:
        now = datetime.now().replace(second=0, microsecond=0)  # noqa: DTZ005  (templates write the local date)
        return _masked(tokenizer, wanted, settings, (moment or now) if tokenizer.reads_the_clock else None)
    except MaskingError as error:
        raise _as_invalid(error) from error


# Keyed by the tokenizer itself, which is one object as long as its folder does not change.
@lru_cache(maxsize=8)
def _masked(
    tokenizer: ChatTokenizer, messages_json: str, settings: MaskSettings, moment: datetime | None
) -> Masked:
    conversation = {"messages": json.loads(messages_json)}
    found = mask_conversation(tokenizer, conversation, settings, moment=moment)
    return Masked(tokenizer, found.samples or found.untrained, len(found.untrained) if found.samples else 0)


def show_sample(masked: Masked, number: int) -> dict[str, Any]:
    """One sample: the headless contract's fields, plus `cut_tokens`, the tokens beyond max_length.

    The sentences of the checks are in the reader's language; a failed one names its `token`.
    """
    sample = masked.samples[number]
    shown = preview_sample(masked.tokenizer, sample, include_cut_tokens=True)
    shown["checks"] = [
        {
            "name": check.name,
            "passed": check.passed,
            "detail": _said(check.sentence),
            "token": check.token,
        }
        for check in run_checks(masked.tokenizer, sample)
    ]
    return shown


def contract_of(masked: Masked, number: int) -> dict[str, Any]:
    """One sample exactly as `sft-studio masks preview --json` prints it."""
    shown = preview_sample(masked.tokenizer, masked.samples[number])
    checks = [{name: check[name] for name in _CHECK_FIELDS} for check in shown["checks"]]
    return {**{name: shown[name] for name in CONTRACT_FIELDS}, "checks": checks}


@dataclass(frozen=True)
class ComparedSample:
    """A sample and its partner on the other side: the one of the same turns, if there is one."""

    here: MaskedSample
    there: MaskedSample | None
    difference: Difference


def compare_masks(here: Masked, there: Masked) -> list[ComparedSample]:
    """Every sample of `here` beside the other side's."""
    partners = {sample.part.numbers: sample for sample in there.samples}
    return [
        ComparedSample(sample, partner, compare(sample, partner))
        for sample in here.samples
        for partner in [partners.get(sample.part.numbers)]
    ]


def _said(sentence: Sentence) -> str:
    """Roles are the only words among the values of a check's sentence."""
    role = sentence.values.get("role")
    return say(sentence.with_values(role=gettext(role.capitalize())) if isinstance(role, str) else sentence)


def _as_invalid(error: MaskingError) -> Invalid:
    sentence = error.sentence
    field = sentence.values.get("field")
    if sentence.values.get("template") == _PASTED:
        sentence = sentence.with_values(template=gettext("you pasted"))
    return Invalid(sentence, field=field if isinstance(field, str) else None)
