"""A chat tokenizer from a model folder: the vocabulary,
the special tokens and the chat template, and no model code.
"""

import copy
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from app.masking.arguments import FIELD, RESERVED, Argument, TemplateArguments
from app.masking.errors import MaskingError, TemplateFailed
from app.masking.templates.chat_template import ChatTemplate
from app.masking.templates.isolated import IsolatedTemplate
from app.masking.tokenization.call_arguments import ArgumentsForm, form_wanted, in_form
from app.masking.tokenization.control_patterns import ControlPatterns
from app.masking.tokenization.encoded import Ints
from app.masking.tokenization.encoder import Encoder
from app.masking.tokenization.model_folder import read_model_folder
from app.masking.tokenization.twin import Twins, TwinTokenizer
from app.sentences import N_
from app.unlocked import cached_property

_STAND_IN_TOOL = {
    "type": "function",
    "function": {"name": "qzName", "description": "q", "parameters": {"type": "object", "properties": {}}},
}
_TEXT_TOKEN = re.compile(r"\s*|<0x[0-9A-Fa-f]{2}>")


class ChatTokenizer:
    """Renders conversations and encodes them exactly as the model's own tokenizer would."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        variables: Mapping[str, str],
        *,
        name: str,
        tool_template: ChatTemplate | None = None,
        stop_ids: Iterable[int] = (),
        fingerprint: str = "",
    ) -> None:
        self.encoder = Encoder(tokenizer)
        self.twins = Twins(tokenizer)
        self.template = template
        self.tool_template = tool_template
        self.variables = dict(variables)
        self.name = name
        self.stop_ids = frozenset(stop_ids)
        self.fingerprint = fingerprint
        self.arguments = TemplateArguments()
        self.moment: datetime | None = None

    @classmethod
    def from_folder(
        cls, folder: Path | str, *, chat_template: str | None = None, name: str = "", trusted: bool = False
    ) -> "ChatTokenizer":
        """Read tokenizer.json, tokenizer_config.json and the chat template (its own file, or in the config).

        `name` is what sentences call it, else the folder's. `trusted` renders in this process instead of in a
        process of its own; only for templates of our own.
        Raises TokenizerUnusable with the file that is missing or wrong.
        """
        folder = Path(folder)
        found = read_model_folder(folder, chat_template, name=name)
        name = name or folder.name or folder.resolve().name
        template = ChatTemplate if trusted else IsolatedTemplate
        return cls(
            found.tokenizer,
            template(found.chat_template, name),
            found.variables,
            name=name,
            tool_template=template(found.tool_template, f"{name}/tool_use") if found.tool_template else None,
            stop_ids=found.stop_ids,
            fingerprint=found.fingerprint,
        )

    def with_chat_template(
        self, source: str, name: str | None = None, *, trusted: bool = False
    ) -> "ChatTokenizer":
        """The same vocabulary under another template, to try one."""
        label = name or f"{self.name} with another template"
        other = ChatTokenizer(
            self.encoder.tokenizer,
            (ChatTemplate if trusted else IsolatedTemplate)(source, label),
            self.variables,
            name=label,
            stop_ids=self.stop_ids,
            fingerprint=hashlib.sha256(
                f"{self.fingerprint}\n{source}".encode("utf-8", "replace")
            ).hexdigest(),
        )
        other.encoder, other.twins = self.encoder, self.twins  # keep the table of token bytes
        return other

    def rendering_with(
        self, arguments: Mapping[str, Argument], *, moment: datetime | None = None
    ) -> "ChatTokenizer":
        """The same, with these arguments in every rendering and the template's clock standing at `moment`.

        Raises MaskingError for an argument that the template does not read.
        """
        wanted = arguments if isinstance(arguments, TemplateArguments) else TemplateArguments(arguments)
        for name in wanted:
            if name not in self.readable_arguments:
                raise MaskingError(
                    N_(
                        "The chat template %(template)s does not read the argument “%(name)s”; "
                        "it reads: %(known)s."
                    ),
                    template=self.name,
                    name=name,
                    known=", ".join(sorted(self.readable_arguments)) or "–",
                    field=FIELD,
                )
        _ = self.is_control  # worked out once here, not again by every copy
        other = copy.copy(self)
        other.moment = moment
        if wanted != self.arguments:
            other.arguments = wanted
            for found in ("given", "wants_content_parts", "_known_forms"):
                other.__dict__.pop(found, None)
        return other

    @cached_property
    def given(self) -> dict[str, Any]:
        """What every rendering gets beside the messages."""
        return {**self.variables, **self.arguments}

    @cached_property
    def readable_arguments(self) -> frozenset[str]:
        """The names by which the template can be given arguments."""
        known = [template for template in (self.template, self.tool_template) if template is not None]
        return frozenset(name for template in known for name in template.reads) - RESERVED

    @property
    def reads_the_clock(self) -> bool:
        """Whether renderings may depend on the date."""
        known = (self.template, self.tool_template)
        return any(template is not None and template.reads_the_clock for template in known)

    @property
    def eos_token(self) -> str | None:
        return self.variables.get("eos_token")

    @cached_property
    def stop_tokens(self) -> frozenset[str]:
        """Where generation stops: the end-of-sequence token, and those the model's generation settings name."""
        named = {self.encoder.tokenizer.id_to_token(index) for index in self.stop_ids}
        return frozenset(token for token in named | {self.eos_token} if token)

    @cached_property
    def added_tokens(self) -> dict[str, int]:
        """Every added token by its text."""
        return {
            token.content: index for index, token in self.encoder.tokenizer.get_added_tokens_decoder().items()
        }

    @cached_property
    def special_tokens(self) -> frozenset[str]:
        """Tokens that no message text may ever become."""
        decoder = self.encoder.tokenizer.get_added_tokens_decoder()
        return frozenset(token.content for token in decoder.values() if token.special and token.content)

    @cached_property
    def control_tokens(self) -> frozenset[str]:
        """Special tokens, and added tokens that the template itself writes (such as a thinking marker).

        Runs of white space and single bytes are in some vocabularies as added tokens; they are text.
        """
        sources = self.template.source + (self.tool_template.source if self.tool_template else "")
        written = {token for token in self.added_tokens if token in sources}
        return frozenset(token for token in written | self.special_tokens if not _TEXT_TOKEN.fullmatch(token))

    @cached_property
    def control_ids(self) -> frozenset[int]:
        return frozenset(self.added_tokens[token] for token in self.control_tokens)

    @cached_property
    def special_ids(self) -> frozenset[int]:
        return frozenset(self.added_tokens[token] for token in self.special_tokens) | self.control_ids

    def count_controls(self, ids: Ints) -> int:
        """How many of the ids are control tokens."""
        return int(np.count_nonzero(self.is_control[ids]))

    @cached_property
    def is_control(self) -> npt.NDArray[np.bool_]:
        """For every id whether it is a control token."""
        return self._table_of(self.control_ids)

    @cached_property
    def is_special(self) -> npt.NDArray[np.bool_]:
        """For every id whether it is a token that no message text may become."""
        return self._table_of(
            frozenset(self.added_tokens[token] for token in self.special_tokens & self.control_tokens)
        )

    def _table_of(self, ids: frozenset[int]) -> npt.NDArray[np.bool_]:
        ids -= {self.encoder.unknown_id}  # text becomes it without spelling it
        highest = max(self.encoder.tokenizer.get_vocab(with_added_tokens=True).values(), default=0)
        table = np.zeros(highest + 1, dtype=np.bool_)
        table[list(ids)] = True
        return table

    @cached_property
    def controls(self) -> ControlPatterns:
        return ControlPatterns(self.control_tokens, self.special_tokens & self.control_tokens)

    @cached_property
    def twin(self) -> TwinTokenizer:
        return self.twins.for_controls(self.control_tokens)

    @cached_property
    def wants_content_parts(self) -> bool:
        """True for templates that render a list of content parts and drop a plain string."""
        probe = "\U000f00a7"
        for content, answer in ((probe, False), ([{"type": "text", "text": probe}], True)):
            try:
                if probe in self._render(
                    [{"role": "user", "content": content}], add_generation_prompt=False, tools=None
                ):
                    return answer
            except TemplateFailed:
                continue
        return False

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[Any] | None = None,
    ) -> str:
        """The conversation as the template writes it; messages hold plain strings as content, and the arguments of
        calls as an object or as JSON in a text.
        """
        if any("tool_calls" in message for message in messages):
            form = self._arguments_forms(bool(tools))
            messages = [in_form(message, form) for message in messages]
        if self.wants_content_parts:
            messages = [_with_parts(message) for message in messages]
        return self._render(messages, add_generation_prompt=add_generation_prompt, tools=tools)

    def _render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool,
        tools: Sequence[Any] | None,
    ) -> str:
        template = self._template_for(tools)
        return template.render(
            messages,
            self.given,
            add_generation_prompt=add_generation_prompt,
            tools=tools,
            moment=self.moment,
        )

    def render_ahead(self, many: Sequence[Sequence[Mapping[str, Any]]]) -> list[str | None]:
        """`render` of several conversations at once, where that is quicker; None where each has to be rendered by
        itself.
        """
        if not isinstance(self.template, IsolatedTemplate) or self.wants_content_parts:
            return [None] * len(many)
        return self.template.render_many(many, self.given, moment=self.moment)

    def _arguments_forms(self, with_tools: bool) -> ArgumentsForm:
        """As the template that writes conversations with, or without, tools wants the arguments of calls."""
        if with_tools not in self._known_forms:
            tools = [_STAND_IN_TOOL] if with_tools else None
            self._known_forms[with_tools] = form_wanted(
                lambda messages: self._render(
                    [_with_parts(one) for one in messages] if self.wants_content_parts else messages,
                    add_generation_prompt=False,
                    tools=tools,
                )
            )
        return self._known_forms[with_tools]

    @cached_property
    def _known_forms(self) -> dict[bool, ArgumentsForm]:
        return {}

    def _template_for(self, tools: Sequence[Any] | None) -> ChatTemplate:
        return self.tool_template if tools and self.tool_template is not None else self.template


def _with_parts(message: Mapping[str, Any]) -> Mapping[str, Any]:
    content = message.get("content")
    return (
        {**message, "content": [{"type": "text", "text": content}]} if isinstance(content, str) else message
    )
