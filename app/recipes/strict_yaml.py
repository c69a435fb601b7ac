"""A training config's YAML, without what makes a file mean something that its author does not see. Text in, plain values out."""

from typing import Any, Final

import yaml

from app.core.errors import Invalid
from app.sentences import N_

_ALIAS: Final = N_(
    "This file repeats values by an alias (*%(name)s). Write them out where they are meant, then read it again."
)

_NO_YAML: Final = N_("This file is not valid YAML: %(reason)s")
_BROKEN_AT: Final = N_(
    "This file is not valid YAML from line %(line)d, column %(column)d on. Look at indentation, colons and quotes there."
)
_SAID_TWICE: Final = N_("This file says %(key)s twice, the second time in line %(line)d. Keep one of them.")


class _Loader(yaml.SafeLoader):
    """Without aliases: a few lines of them can stand for more than fits in memory. Without a key that is said twice: which of
    both was meant only its author knows.
    """

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _value in getattr(node, "value", ()):
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                line = key.start_mark.line + 1
                raise Invalid(_SAID_TWICE, field="config", key=key.value[:80], line=line)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else "")
        return super().construct_mapping(node, deep=deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise Invalid(_ALIAS, field="config", name=self.alias()[:80])
        return super().compose_node(parent, index)

    def alias(self) -> str:
        """The name of the alias that comes next."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        return str(event.anchor)

    def construct_scalar(self, node: Any) -> Any:
        value = super().construct_scalar(node)
        # An escape may spell half a character, which no answer can hold.
        value.encode()
        return value


def read_yaml(text: str) -> Any:
    """What the file says. Raises Invalid for what is no YAML, by its place."""
    try:
        return _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        # The parser's own words are for people who know its states; the place is for everybody.
        mark = error.problem_mark or error.context_mark
        if mark is None:
            raise no_yaml(error) from error
        raise Invalid(_BROKEN_AT, field="config", line=mark.line + 1, column=mark.column + 1) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise no_yaml(error) from error


def no_yaml(error: Exception) -> Invalid:
    """The refusal of a file that cannot be read for this reason."""
    return Invalid(_NO_YAML, field="config", reason=" ".join(str(error).split())[:200])
