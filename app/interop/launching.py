"""Files of accelerate's own, which say how a tool is started in several processes: read, judged, and kept with the run.

Whoever runs the server writes them into one folder; a run names one. What a file says is passed to `accelerate launch` as
it stands. What would make the run another than the one that was promised is refused.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

import yaml

from app.core.errors import Invalid
from app.core.settings import Settings
from app.core.stored_models import StoredModel
from app.recipes.config import TrainingConfig
from app.recipes.processes import MOST_PROCESSES
from app.sentences import N_

FIELD: Final = "accelerate_config"
SETTING: Final = "SFT_STUDIO_ACCELERATE_CONFIGS"
# How accelerate names the way: copies of the model on processors or on GPUs, or a model that is split over GPUs.
Way = Literal["MULTI_CPU", "MULTI_GPU", "FSDP", "DEEPSPEED"]
WAYS: Final[tuple[Way, ...]] = get_args(Way)
MULTI_CPU: Final = "MULTI_CPU"
DEEPSPEED: Final = "DEEPSPEED"
# Those that accelerate can also start where there is no GPU.
ON_PROCESSORS: Final[frozenset[Way]] = frozenset({"MULTI_CPU", "DEEPSPEED"})
_SUFFIXES: Final = frozenset({".yaml", ".yml", ".json"})
_LARGEST: Final = 64_000
_MOST_FILES: Final = 100

_NO_FOLDER: Final = N_(
    "accelerate_config names %(name)s, and this server has no folder of such files: %(setting)s names one. Leave it empty."
)
_NO_FILE: Final = N_(
    "accelerate_config: there is no %(name)s in the folder that %(setting)s names. There are: %(names)s."
)
_NO_MAPPING: Final = N_("accelerate_config: %(name)s is no YAML or JSON with the options of accelerate.")
_OTHER_WAY: Final = N_(
    "accelerate_config: distributed_type of %(name)s is %(found)s, and a run is started by one of %(ways)s."
)
_NO_NUMBER: Final = N_(
    "accelerate_config: num_processes of %(name)s must be a whole number from 1 to %(most)d."
)
_OTHER_MACHINES: Final = N_(
    "accelerate_config: %(key)s of %(name)s asks for several machines, and a run stays on the one that its worker is on."
)
_OTHER_FILE: Final = N_(
    "accelerate_config: %(key)s of %(name)s names another file. Write its options into %(name)s itself, so that the run keeps "
    "all that it was started with."
)
_OTHER_DEVICES: Final = N_(
    "accelerate_config: gpu_ids of %(name)s chooses GPUs, and a run has those that its worker gives it: leave it out."
)
_OTHER_VALUE: Final = N_(
    "accelerate_config: %(key)s of %(name)s is %(found)s, and %(asked)s of the run is %(value)s. Write auto into the file, or "
    "set %(asked)s to the same."
)
# What a file may say of a step, and the field of the run that decides it.
_OF_A_STEP: Final = {
    "gradient_accumulation_steps": "gradient_accumulation_steps",
    "gradient_clipping": "max_grad_norm",
}


class Launch(StoredModel):
    """What a run is started with: the file as it was when the run was promised, and what was read from it."""

    schema_version: Literal[1] = 1
    name: str
    text: str
    way: Way
    num_processes: int

    @property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def name_in_folder(self) -> str:
        """How it is called beside a tool's own files."""
        return f"accelerate{Path(self.name).suffix}"

    @property
    def flags(self) -> list[str]:
        """What `accelerate launch` is told beside the file."""
        found = ["--main_process_port", "0"]  # any that is free: runs are no other's business
        if self.way == MULTI_CPU:
            # For processors alone it would leave starting the others to mpirun.
            found.append("--multi_gpu")
        if self.precision == "no":
            # An unquoted no is false to YAML, and accelerate takes false for a name.
            found += ["--mixed_precision", "no"]
        return found

    @property
    def precision(self) -> str:
        """How it computes, as accelerate calls it: no, fp16, bf16 or fp8."""
        said = _options(self.name, self.text).get("mixed_precision")
        # YAML reads a bare no as false.
        return str(said).lower() if said else "no"

    @property
    def is_split(self) -> bool:
        """Whether the model itself is split over devices."""
        return self.way in ("FSDP", "DEEPSPEED")

    def require_same_steps(self, config: TrainingConfig) -> None:
        """Raises Invalid where the file would take other steps than the config says."""
        section = _section(_options(self.name, self.text), "deepspeed_config")
        for key, field in _OF_A_STEP.items():
            found, value = section.get(key, "auto"), getattr(config, field)
            if found not in ("auto", value):
                told = {"key": key, "name": self.name, "found": str(found)[:40], "value": value}
                raise Invalid(_OTHER_VALUE, field=FIELD, asked=field, **told)


def launch_files(settings: Settings) -> dict[str, str] | None:
    """The texts of the files in the server's folder by name; None where no folder is named."""
    folder = settings.accelerate_configs
    if folder is None or folder == Path():
        return None
    try:
        paths = sorted(path for path in folder.expanduser().iterdir() if path.suffix in _SUFFIXES)
    except OSError:
        return {}
    return dict(one for one in (_read(path) for path in paths[:_MOST_FILES]) if one is not None)


def _read(path: Path) -> tuple[str, str] | None:
    try:
        if not path.is_file() or path.stat().st_size > _LARGEST:
            return None
        return path.name, path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def find_launch(name: str, files: Mapping[str, str] | None) -> Launch:
    """The file as a run may be started with it. Raises Invalid naming `accelerate_config` and what is wrong with the file."""
    if files is None:
        raise Invalid(_NO_FOLDER, field=FIELD, name=name, setting=SETTING)
    if name not in files:
        raise Invalid(_NO_FILE, field=FIELD, name=name, setting=SETTING, names=", ".join(files) or "–")
    return read_launch(name, files[name])


def read_launch(name: str, text: str) -> Launch:
    """The file read. Raises as `find_launch`."""
    options = _options(name, text)
    way = options.get("distributed_type")
    if way not in WAYS:
        found = "–" if way is None else str(way)[:40]
        raise Invalid(_OTHER_WAY, field=FIELD, name=name, found=found, ways=", ".join(WAYS))
    number = options.get("num_processes")
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MOST_PROCESSES:
        raise Invalid(_NO_NUMBER, field=FIELD, name=name, most=MOST_PROCESSES)
    _require_one_machine(name, options)
    _require_whole(name, options)
    return Launch(name=name, text=text, way=way, num_processes=number)


def own_launch(num_processes: int, *, on_cpu: bool) -> Launch:
    """Copies of the model in so many processes, where no file says otherwise."""
    way: Way = "MULTI_CPU" if on_cpu else "MULTI_GPU"
    options = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": way,
        "num_machines": 1,
        "num_processes": num_processes,
        "mixed_precision": "no",
        "use_cpu": on_cpu,
    }
    return read_launch("accelerate.yaml", yaml.safe_dump(options, sort_keys=False))


def _options(name: str, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        found = None
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise Invalid(_NO_MAPPING, field=FIELD, name=name)
    return found


def _require_one_machine(name: str, options: Mapping[str, Any]) -> None:
    if options.get("compute_environment", "LOCAL_MACHINE") != "LOCAL_MACHINE":
        raise Invalid(_OTHER_MACHINES, field=FIELD, name=name, key="compute_environment")
    if options.get("num_machines", 1) != 1:
        raise Invalid(_OTHER_MACHINES, field=FIELD, name=name, key="num_machines")
    for key in ("mpirun_config", "deepspeed_hostfile", "tpu_name"):
        inside = options.get(key) or _section(options, "deepspeed_config").get(key)
        if inside:
            raise Invalid(_OTHER_MACHINES, field=FIELD, name=name, key=key)


def _require_whole(name: str, options: Mapping[str, Any]) -> None:
    if options.get("gpu_ids", "all") not in (None, "all"):
        raise Invalid(_OTHER_DEVICES, field=FIELD, name=name)
    if _section(options, "deepspeed_config").get("deepspeed_config_file"):
        raise Invalid(_OTHER_FILE, field=FIELD, name=name, key="deepspeed_config_file")


def _section(options: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = options.get(key)
    return found if isinstance(found, dict) else {}
