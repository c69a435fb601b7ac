"""What a person chose on the preview page, read from a form or an address and written back as an address."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict

from app.core.errors import Invalid
from app.core.typed import typed_whole
from app.dialogue.conversation import Message
from app.mask_settings.arguments import write_arguments
from app.mask_settings.fields import read_settings, write_settings
from app.mask_settings.tokenizers import readable_arguments
from app.masking import ChatTokenizer, MaskSettings, TrainOn
from app.sentences import N_

Flags = dict[int, bool | None]
_FLAG_WORDS: Final[dict[str, bool | None]] = {"1": True, "0": False, "-": None}
_WORD_OF_FLAG: Final = {flag: word for word, flag in _FLAG_WORDS.items()}
# Addresses stay below what proxies let through; a longer template lives in the form only.
_LONGEST_TEMPLATE_IN_ADDRESS: Final = 1500


class PreviewFields(BaseModel):
    """The page's fields as they are sent; the mask settings and the template's arguments are further fields."""

    model_config = ConfigDict(extra="allow")

    base_model: str = ""
    # "none", "strategy:content" or "model:3"
    compare: str = "none"
    chat_template: str = ""
    # Flags tried without saving: "3:1,5:0,7:-" trains turn 3, keeps 5 as context, lets 7 follow the strategy.
    flags: str = ""
    # One more of them: the button that was pressed.
    toggle: str = ""
    sample: str = ""
    token: str = ""


class PreviewForm(PreviewFields):
    """The same from the page's own form."""

    csrf_token: str = ""
    version: str = ""
    discard: str = ""


@dataclass(frozen=True)
class Choices:
    """Checked choices. Turns, samples and tokens are counted from 0."""

    settings: MaskSettings
    # The page that these choices are made on.
    path: str = ""
    base_model_id: int | None = None
    chat_template: str = ""
    compare_strategy: TrainOn | None = None
    compare_model_id: int | None = None
    flags: Flags = field(default_factory=dict)
    sample: int = 0
    token: int | None = None
    # The list one came from, as its query string ("?q=…"); carried along, so that next means next in that list.
    way: str = ""

    @property
    def compare(self) -> str:
        """The value of the comparison's field."""
        if self.compare_strategy:
            return f"strategy:{self.compare_strategy.value}"
        return f"model:{self.compare_model_id}" if self.compare_model_id else "none"

    @property
    def flags_text(self) -> str:
        """The flags as a form carries them."""
        return ",".join(f"{turn}:{_WORD_OF_FLAG[flag]}" for turn, flag in sorted(self.flags.items()))

    @property
    def arguments(self) -> dict[str, str]:
        """The template's arguments as a form carries them."""
        return write_arguments(self.settings.template_arguments)

    def address(self, **changes: Any) -> str:
        """The page with these choices; what is at its default is left out."""
        chosen = replace(self, **changes)
        template = chosen.chat_template
        pairs: dict[str, object] = {
            "base_model": chosen.base_model_id or "",
            **write_settings(chosen.settings, usual_too=False),
            "compare": "" if chosen.compare == "none" else chosen.compare,
            "flags": chosen.flags_text,
            "sample": chosen.sample or "",
            "token": "" if chosen.token is None else chosen.token,
            "chat_template": template if len(template) <= _LONGEST_TEMPLATE_IN_ADDRESS else "",
        }
        query = {name: value for name, value in pairs.items() if value != ""}
        parts = [chosen.way.removeprefix("?"), urlencode(query)]
        text = "&".join(part for part in parts if part)
        return chosen.path + (f"?{text}" if text else "")

    def readable_by(self, tokenizer: ChatTokenizer) -> tuple["Choices", list[str]]:
        """Without the template arguments that this model's template does not read, and their names."""
        given = self.settings.template_arguments
        known = readable_arguments(tokenizer) if given else frozenset()
        unread = [name for name in given if name not in known]
        kept = {name: value for name, value in given.items() if name not in unread}
        return replace(self, settings=replace(self.settings, template_arguments=kept)), unread

    def apply_flags(self, messages: Sequence[Message]) -> list[Message]:
        """The messages with the flags tried here. Raises Invalid for a turn that is not there."""
        changed = [message.copy() for message in messages]
        for turn, flag in self.flags.items():
            if turn >= len(changed):
                raise Invalid(N_("There is no turn %(turn)d."), field="flags", turn=turn + 1)
            changed[turn].pop("train", None)
            if flag is not None:
                changed[turn]["train"] = flag
        return changed

    def without_idle_flags(self, messages: Sequence[Message]) -> "Choices":
        """Without the flags that say what is stored already."""
        kept = {
            turn: flag
            for turn, flag in self.flags.items()
            if turn >= len(messages) or messages[turn].get("train") is not flag
        }
        return replace(self, flags=kept)


def read_choices(fields: PreviewFields, path: str) -> Choices:
    """Raises Invalid with one sentence about the first field that is wrong."""
    settings = read_settings(fields.model_extra or {})
    flags = _flags(fields.flags) | _flags(fields.toggle)
    kind, _, what = fields.compare.partition(":")
    if kind not in {"none", "strategy", "model"} or (kind == "strategy" and what not in list(TrainOn)):
        raise Invalid(N_("Compare with a strategy or with a base model."), field="compare")
    return Choices(
        settings=settings,
        path=path,
        base_model_id=_whole(fields.base_model, "base_model"),
        chat_template=fields.chat_template.replace("\r\n", "\n") if fields.chat_template.strip() else "",
        compare_strategy=TrainOn(what) if kind == "strategy" else None,
        compare_model_id=_whole(what, "compare") if kind == "model" else None,
        flags=flags,
        sample=_whole(fields.sample, "sample") or 0,
        token=_whole(fields.token, "token"),
    )


def _whole(text: str, name: str) -> int | None:
    found = typed_whole(text)
    if found is None and text.strip():
        raise Invalid(N_("%(field)s must be a whole number."), field=name)
    return found


def _flags(text: str) -> Flags:
    found: Flags = {}
    for part in text.split(",") if text else ():
        turn, _, word = part.partition(":")
        if not (turn.isascii() and turn.isdigit() and len(turn) <= 6) or word not in _FLAG_WORDS:
            raise Invalid(N_("%(field)s must look like 3:1,5:0."), field="flags")
        found[int(turn)] = _FLAG_WORDS[word]
    return found
