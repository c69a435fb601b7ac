"""Rules of previews: the very function that makes the training arrays, shown for one conversation.

Tokenizers are kept by folder and template, since loading one takes a moment and people change settings often.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sqlmodel import Session

from app.base_models.service import require_ready
from app.conversations.messages import canonical_messages
from app.core.errors import Invalid
from app.core.i18n import N_, translate
from app.masking import (
    ChatTokenizer,
    MaskingError,
    MaskSettings,
    mask_conversation,
    preview_sample,
    run_checks,
)

# A pasted template longer than this is not a chat template.
MAX_TEMPLATE_CHARACTERS: Final = 100_000
DEFAULT_MAX_LENGTH: Final = 2048


@lru_cache(maxsize=8)
def _tokenizer(folder: Path, _modified: float, chat_template: str | None) -> ChatTokenizer:
    return ChatTokenizer.from_folder(folder, chat_template=chat_template)


def load_tokenizer(folder: Path, chat_template: str | None = None) -> ChatTokenizer:
    """The folder's tokenizer, optionally with another template. Raises Invalid for one that cannot be used."""
    if chat_template is not None and len(chat_template) > MAX_TEMPLATE_CHARACTERS:
        raise Invalid(
            N_("A chat template can have at most %(limit)d characters."),
            field="chat_template",
            limit=MAX_TEMPLATE_CHARACTERS,
        )
    try:
        return _tokenizer(folder, (folder / "tokenizer.json").stat().st_mtime, chat_template or None)
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


def preview_messages(
    session: Session,
    *,
    base_model_id: int,
    messages: list[dict[str, Any]],
    settings: MaskSettings,
    chat_template: str | None = None,
) -> list[dict[str, Any]]:
    """One object per sample: the headless contract's fields, plus `cut_tokens`, the tokens beyond max_length.

    Raises Invalid with the reason when no exact mask exists; a wrong mask is never shown.
    """
    _model, folder = require_ready(session, base_model_id)
    tokenizer = load_tokenizer(folder, chat_template)
    try:
        masked = mask_conversation(tokenizer, {"messages": canonical_messages(messages)}, settings)
    except MaskingError as error:
        raise _as_invalid(error) from error
    shown = []
    for sample in masked.samples or masked.untrained:
        one = preview_sample(tokenizer, sample, include_cut_tokens=True)
        one["checks"] = [
            {
                "name": check.name,
                "passed": check.passed,
                "detail": translate(check.message, check.params),
                "token": check.token,
            }
            for check in run_checks(tokenizer, sample)
        ]
        shown.append(one)
    return shown


def _as_invalid(error: MaskingError) -> Invalid:
    params: dict[str, Any] = dict(error.params)
    return Invalid(error.message, **params)
