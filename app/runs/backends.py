"""The programs that can train on this machine besides the studio, and a config fitted to the one it names."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Final

from fastapi import Depends

from app.core.errors import Invalid
from app.core.settings import Settings
from app.core.web import get_app_settings
from app.interop.ability import require_able, require_installed, require_liger_installed
from app.interop.environments import Environment, find_environments, setting_of
from app.interop.handing import TOOL_NAMES, Tool
from app.interop.launching import FIELD, Launch, find_launch, launch_files
from app.recipes.backend import STUDIO
from app.recipes.config import TrainingConfig
from app.recipes.liger import FIELD as LIGER
from app.recipes.liger import NO_GPU, require_liger
from app.recipes.optimizers import fitting_optimizer
from app.recipes.processes import require_room
from app.runs.device import ThisMachine
from app.sentences import N_, Sentence

_NOT_HERE: Final = N_(
    "%(tool)s is not found on this server: %(setting)s names the environment that it is installed in. Set backend to one "
    "of: %(names)s."
)
_STUDIO_ITSELF: Final = N_(
    "The studio's own trainer is not started by accelerate; it shares its work by num_processes. Leave accelerate_config empty, or "
    "set backend to trl."
)
_AS_MANY: Final = N_("%(name)s starts %(number)d processes: a step takes %(samples)d samples.")
_PRECISION: Final = N_(
    "%(name)s computes in %(precision)s by autocast: losses differ from those of a run without by that."
)
_NO_ANSWERS: Final = N_("%(tool)s answers no prompts while it trains: there will be no sample answers.")


@dataclass(frozen=True)
class Backends:
    """Their environments by tool, and whether they have to do without a GPU; `launches` are the texts of accelerate's files
    that a run may name, None where this server has no folder of such. Workers that are not here
    know themselves what is installed there; which devices they have is known where they have told it (`knows_device`), with how many
    processes of one run have room on one.
    """

    environments: Mapping[Tool, Environment] = field(default_factory=dict)
    on_cpu: bool = True
    launches: Mapping[str, str] | None = None
    workers_here: bool = False
    knows_device: bool = False
    most_processes: int | None = None

    @property
    def names(self) -> list[str]:
        """What `backend` may be set to here."""
        return [STUDIO, *(tool for tool, found in self.environments.items() if found.broken is None)]


NO_BACKENDS: Final = Backends()


def backends_here(settings: Annotated[Settings, Depends(get_app_settings)], machine: ThisMachine) -> Backends:
    """Looked up anew each time: an environment may be made while the server runs."""
    return Backends(
        find_environments(settings),
        on_cpu=machine.first.cores > 0,
        launches=launch_files(settings),
        workers_here=not settings.redis_url,
    )


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
        if config.accelerate_config:
            raise Invalid(_STUDIO_ITSELF, field=FIELD)
        return config, _fit_to_device(config, backends)
    name = TOOL_NAMES[tool]
    if tool not in backends.environments:
        raise Invalid(
            _NOT_HERE, field="backend", tool=name, setting=setting_of(tool), names=", ".join(backends.names)
        )
    backends.environments[tool].require_program()
    notes: list[Sentence] = []
    launch = launch_of(config, backends)
    if launch is not None and "num_processes" not in asked:
        config = config.model_copy(update={"num_processes": launch.num_processes})
    if config.sample_count and "sample_count" not in asked:
        config = config.model_copy(update={"sample_count": 0})
        notes.append(Sentence.of(_NO_ANSWERS, tool=name))
    require_able(config, tool, on_cpu=backends.on_cpu, end_of_turn_id=end_of_turn_id, launch=launch)
    require_liger_installed(config, tool, has_liger=backends.environments[tool].has_liger)
    if launch is not None:
        require_installed(launch, tool, has_deepspeed=backends.environments[tool].has_deepspeed)
        notes += _notes_of(launch, config)
    return config, notes


def _fit_to_device(config: TrainingConfig, backends: Backends) -> list[Sentence]:
    """What the studio's own trainer does otherwise there. Raises Invalid naming the field for what it cannot do."""
    if backends.most_processes is not None:
        require_room(config.num_processes, backends.most_processes, on_gpus=not backends.on_cpu)
    knows = backends.knows_device or backends.workers_here
    if config.use_liger_kernel and knows and backends.on_cpu:
        raise Invalid(NO_GPU, field=LIGER)
    if config.use_liger_kernel and backends.workers_here:
        require_liger(on_cpu=False)
    note = fitting_optimizer(config.optim, on_cpu=backends.on_cpu)[1] if knows else None
    return [note] if note else []


def launch_of(config: TrainingConfig, backends: Backends) -> Launch | None:
    """The file of accelerate that the config names, as it is now. Raises Invalid where it is not there or cannot be."""
    if config.backend != "trl" or not config.accelerate_config:
        return None
    return find_launch(config.accelerate_config, backends.launches)


def with_kept(backends: Backends, launch: Launch | None) -> Backends:
    """The same with the file as a run keeps it, whatever has become of it in the folder."""
    if launch is None:
        return backends
    return replace(backends, launches={**(backends.launches or {}), launch.name: launch.text})


def _notes_of(launch: Launch, config: TrainingConfig) -> list[Sentence]:
    numbers = {"number": launch.num_processes, "samples": config.samples_per_step}
    notes = [Sentence.of(_AS_MANY, name=launch.name, **numbers)]
    if launch.precision != "no":
        notes.append(Sentence.of(_PRECISION, name=launch.name, precision=launch.precision))
    return notes
