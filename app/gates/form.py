"""The form of a gate: limits as they were typed, one a line, what came of them, and what a script types for the same."""

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import Depends, Query

from app.core.errors import StudioError
from app.gates.limits import GateRequest, read_request
from app.sentences import N_

# As the pages call the fields.
_LABELS: Final = {
    "min": N_("At least"),
    "max": N_("At most"),
    "against": N_("Not worse than"),
    "tolerance": N_("How much worse it may be"),
}
# Longer ones belong into a script.
Lines = Annotated[str, Query(max_length=4000)]


@dataclass(frozen=True)
class Typed:
    """What the address keeps of the form."""

    minimum: Annotated[Lines, Query(alias="min")] = ""
    maximum: Annotated[Lines, Query(alias="max")] = ""
    against: Annotated[str, Query(max_length=20)] = ""
    tolerance: Lines = ""

    def shown(self, what: Sequence[str], judge: Callable[[GateRequest], object]) -> dict[str, Any]:
        """What both pages show of it: the texts, and once there are any what `judge` found or why it could not. `what` are the
        words of the command that name what is judged.
        """
        values = {
            "min": self.minimum,
            "max": self.maximum,
            "against": self.against,
            "tolerance": self.tolerance,
        }
        found, error, field, command = None, None, None, None
        if any(text.strip() for text in values.values()):
            try:
                asked = read_request([self.minimum], [self.maximum], self.against, [self.tolerance])
                command = _command(what, asked)
                found = judge(asked)
            except StudioError as refusal:
                error, field = refusal.on_form(_LABELS), refusal.field
        return {
            "values": values,
            "gate": found,
            "gate_error": error,
            "error_field": field if field in values else None,
            "command": command,
        }


TypedLimits = Annotated[Typed, Depends()]


def _command(what: Sequence[str], asked: GateRequest) -> str:
    words = ["sft-studio", "gate", *what]
    for limit in asked.limits:
        words += [f"--{limit.rule}", f"{limit.metric}={_typed(limit.value)}"]
    if asked.against is not None:
        words += ["--against", str(asked.against)]
    for name, allowed in asked.tolerances.items():
        words += ["--tolerance", f"{name}={_typed(allowed)}"]
    return f"{shlex.join(words)} --junit gate.xml --markdown gate.md"


def _typed(value: float) -> str:
    """The very number that was judged by: a rounded one might be kept or not where it is not."""
    return f"{value:.0f}" if value.is_integer() and abs(value) < 2**53 else repr(value)
