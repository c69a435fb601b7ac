"""A model folder as masking reads it: the vocabulary, special tokens, chat templates, and no model code."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer

from app.masking.arguments import NAMED_TOKENS
from app.masking.errors import TokenizerUnusable
from app.sentences import N_

LONGEST_TEMPLATE = 1_000_000  # characters; the longest known has a tenth of it


@dataclass(frozen=True)
class ModelFolder:
    """`fingerprint` is a sha256 over everything here that tokens and labels depend on."""

    tokenizer: Tokenizer
    chat_template: str
    tool_template: str | None
    variables: dict[str, str]
    stop_ids: list[int]
    fingerprint: str


def read_model_folder(folder: Path, chat_template: str | None = None, *, name: str = "") -> ModelFolder:
    """Read tokenizer.json, tokenizer_config.json and the chat template, or take the given one.

    `name` is what a model is called that has no chat template, else the folder says it. Raises
    TokenizerUnusable with the file that is missing or wrong.
    """
    try:
        return _read(folder, chat_template, name)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TokenizerUnusable(
            N_("The model folder %(folder)s cannot be read: %(reason)s"),
            folder=folder,
            reason=_reason(error),
        ) from error


def _read(folder: Path, chat_template: str | None, name: str) -> ModelFolder:
    config = _read_json(folder / "tokenizer_config.json")
    tokenizer = _read_tokenizer(folder / "tokenizer.json")
    _add_configured_tokens(tokenizer, config)
    variables = {
        key: _added_token(value).content for key in NAMED_TOKENS if (value := config.get(key)) is not None
    }
    sources = {"default": chat_template} if chat_template is not None else _read_templates(folder, config)
    default = sources.get("default") or (next(iter(sources.values())) if len(sources) == 1 else None)
    if default is None and name:
        raise TokenizerUnusable(
            N_("“%(model)s” has no chat template; paste one, or choose a chat model."), model=name
        )
    if default is None:
        raise TokenizerUnusable(
            N_("The model in %(folder)s has no chat template; paste one, or choose a chat model."),
            folder=folder,
        )
    tools = sources.get("tool_use")
    for source in (default, tools or ""):
        _require_text(source, folder)
    stop_ids = _read_stop_ids(folder)
    told = json.dumps([config, default, tools, stop_ids], sort_keys=True)
    digest = hashlib.sha256((folder / "tokenizer.json").read_bytes())
    digest.update(told.encode("utf-8", "surrogatepass"))
    return ModelFolder(tokenizer, default, tools, variables, stop_ids, digest.hexdigest())


def _require_text(template: object, folder: Path) -> None:
    if not isinstance(template, str) or len(template) > LONGEST_TEMPLATE:
        raise TokenizerUnusable(
            N_("The chat template in %(folder)s is not text of at most %(limit)d characters."),
            folder=folder,
            limit=LONGEST_TEMPLATE,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def _read_json(path: Path) -> dict[str, Any]:
    """What the file holds; nothing where there is none."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TokenizerUnusable(N_("%(file)s is not JSON: %(reason)s"), file=path, reason=error) from error
    if not isinstance(value, dict):
        raise TokenizerUnusable(N_("%(file)s holds no JSON object."), file=path)
    return value


def _read_tokenizer(path: Path) -> Tokenizer:
    if not path.is_file():
        raise TokenizerUnusable(
            N_("There is no %(file)s; save the model's tokenizer in the fast format first."), file=path
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise TokenizerUnusable(N_("%(file)s cannot be read: %(reason)s"), file=path, reason=error) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _add_configured_tokens(tokenizer: Tokenizer, config: Mapping[str, Any]) -> None:
    """Special tokens that only tokenizer_config.json names, in the order transformers adds them."""
    known = {token.content for token in tokenizer.get_added_tokens_decoder().values()}
    decoder: Mapping[str, Any] = config.get("added_tokens_decoder") or {}
    extra = config.get("extra_special_tokens") or config.get("additional_special_tokens") or []
    wanted = [value for _, value in sorted(decoder.items(), key=lambda item: int(item[0]))]
    wanted += [config[key] for key in NAMED_TOKENS if config.get(key) is not None]
    wanted += extra.values() if isinstance(extra, dict) else extra
    for value in wanted:
        token = _added_token(value)
        if token.content and token.content not in known:
            known.add(token.content)
            (tokenizer.add_special_tokens if token.special else tokenizer.add_tokens)([token])


def _added_token(value: str | dict[str, Any]) -> AddedToken:
    """A special token as tokenizer_config.json writes it: a string or an object."""
    if isinstance(value, str):
        return AddedToken(value, special=True, normalized=False)
    known = {key: value[key] for key in ("single_word", "lstrip", "rstrip", "normalized") if key in value}
    return AddedToken(value["content"], special=bool(value.get("special", True)), **known)


def _read_stop_ids(folder: Path) -> list[int]:
    found = _read_json(folder / "generation_config.json").get("eos_token_id")
    ids = found if isinstance(found, list) else [] if found is None else [found]
    if not all(type(one) is int and 0 <= one < 2**31 for one in ids):
        raise ValueError(f"eos_token_id is {found!r}")
    return ids


def _read_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """Templates by name; files win over the config, as in transformers."""
    sources: dict[str, str] = {}
    configured = config.get("chat_template")
    if isinstance(configured, str):
        sources["default"] = configured
    elif isinstance(configured, list):
        sources |= {entry["name"]: entry["template"] for entry in configured}
    elif isinstance(configured, dict):
        sources |= configured
    files = {path.stem: path for path in sorted((folder / "additional_chat_templates").glob("*.jinja"))}
    if (folder / "chat_template.jinja").is_file():
        files["default"] = folder / "chat_template.jinja"
    if files:
        sources = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    return sources
