"""Tokenizers of base models, kept between requests, since people change one setting after the other."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlmodel import Session

from app.base_models.service import require_base_model, require_tokenizer
from app.core.database import let_go
from app.core.errors import Invalid
from app.core.i18n import gettext
from app.masking import ChatTokenizer, MaskingError, MaskSettings, TokenizerUnusable
from app.sentences import N_

# A pasted template longer than this is not a chat template.
MAX_TEMPLATE_CHARACTERS: Final = 100_000


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
        raise as_invalid(error) from error
    except FileNotFoundError:
        raise Invalid(N_("The model's folder has no tokenizer.json. Prepare the base model again.")) from None


def require_arguments(folder: Path, settings: MaskSettings) -> None:
    """Raises Invalid naming a template argument that the folder's chat template does not read."""
    if not settings.template_arguments:
        return
    try:
        load_tokenizer(folder).rendering_with(settings.template_arguments)
    except MaskingError as error:
        raise as_invalid(error) from error


def tokenizer_of(session: Session, base_model_id: int, chat_template: str = "") -> ChatTokenizer:
    """The base model's tokenizer, with the pasted template if there is one. Raises Invalid or Conflict.

    Loading and whatever is done with it takes long: a reading session holds no connection afterwards.
    """
    folder = require_tokenizer(session, base_model_id)
    name = require_base_model(session, base_model_id).name
    let_go(session)
    return load_tokenizer(folder, chat_template or None, name=name)


def readable_arguments(tokenizer: ChatTokenizer) -> frozenset[str]:
    """The names by which its template can be told something. Raises Invalid when it does not compile."""
    try:
        return tokenizer.readable_arguments
    except MaskingError as error:
        raise as_invalid(error) from error


def as_invalid(error: MaskingError) -> Invalid:
    """The same sentence as the edge answers with."""
    sentence = error.sentence
    field = sentence.values.get("field")
    if sentence.values.get("template") == _PASTED:
        sentence = sentence.with_values(template=gettext("you pasted"))
    return Invalid(sentence, field=field if isinstance(field, str) else None)
