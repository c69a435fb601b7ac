"""The programs that can train on this machine besides the studio, and a config fitted to the one it names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import Depends

from app.core.errors import Invalid
from app.core.settings import Settings
from app.core.web import get_app_settings
from app.interop.ability import require_able
from app.interop.environments import Environment, find_environments, setting_of
from app.interop.handing import TOOL_NAMES, Tool
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.runs.device import ThisDevice
from app.sentences import N_, Sentence

_NOT_HERE: Final = N_(
    "%(tool)s is not found on this server: %(setting)s names the environment that it is installed in. Set backend to one "
    "of: %(names)s."
)
_NO_ANSWERS: Final = N_("%(tool)s answers no prompts while it trains: there will be no sample answers.")


@dataclass(frozen=True)
class Backends:
    """Their environments by tool, and whether they have to do without a GPU."""

    environments: Mapping[Tool, Environment] = field(default_factory=dict)
    on_cpu: bool = True

    @property
    def names(self) -> list[str]:
        """What `backend` may be set to here."""
        return [STUDIO, *self.environments]


NO_BACKENDS: Final = Backends()


def backends_here(settings: Annotated[Settings, Depends(get_app_settings)], device: ThisDevice) -> Backends:
    """Looked up anew each time: an environment may be made while the server runs."""
    return Backends(find_environments(settings), on_cpu=device.cores > 0)


# Asked before a handler takes a connection.
TheseBackends = Annotated[Backends, Depends(backends_here)]


def fit_to_backend(
    config: TrainingConfig, asked: Mapping[str, object], end_of_turn_id: int | None, backends: Backends
) -> tuple[TrainingConfig, list[Sentence]]:
    """The config as the program it names trains it, and what is otherwise than with the studio.

    `asked` are the fields that somebody set. Raises Invalid naming the field for what that program cannot do.
    """
    tool = config.backend
    if tool == STUDIO:
        return config, []
    name = TOOL_NAMES[tool]
    if tool not in backends.environments:
        raise Invalid(
            _NOT_HERE, field="backend", tool=name, setting=setting_of(tool), names=", ".join(backends.names)
        )
    notes = []
    if config.sample_count and "sample_count" not in asked:
        config = config.model_copy(update={"sample_count": 0})
        notes.append(Sentence.of(_NO_ANSWERS, tool=name))
    require_able(config, tool, on_cpu=backends.on_cpu, end_of_turn_id=end_of_turn_id)
    return config, notes
