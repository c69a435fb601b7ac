"""Files of accelerate that a run may be started with: what is read of them, and what of them is refused."""

from pathlib import Path

import pytest
import yaml

from app.core.errors import Invalid
from app.core.settings import Settings
from app.interop.ability import require_able, require_installed
from app.interop.handing import command_of
from app.interop.launching import Launch, find_launch, launch_files, own_launch, read_launch
from app.recipes.config import TrainingConfig

SOUND = {
    "compute_environment": "LOCAL_MACHINE",
    "distributed_type": "FSDP",
    "num_machines": 1,
    "num_processes": 4,
    "mixed_precision": "bf16",
    "fsdp_config": {"fsdp_version": 2, "fsdp_state_dict_type": "FULL_STATE_DICT"},
}
ZERO = {**SOUND, "distributed_type": "DEEPSPEED", "deepspeed_config": {"zero_stage": 3}}


def read(**changes: object) -> Launch:
    return read_launch("one.yaml", yaml.safe_dump({**SOUND, **changes}))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fsdp.yaml").write_text(yaml.safe_dump(SOUND))
    (tmp_path / "zero.json").write_text('{"distributed_type": "DEEPSPEED", "num_processes": 2}')
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "large.yaml").write_text("#" * 70_000)
    (tmp_path / "folder.yaml").mkdir()
    return tmp_path


def test_the_files_of_the_named_folder_are_found_by_name_and_nothing_else(folder: Path) -> None:
    files = launch_files(Settings(accelerate_configs=folder))
    assert files is not None
    assert list(files) == ["fsdp.yaml", "zero.json"]
    found = find_launch("fsdp.yaml", files)
    assert (found.way, found.num_processes, found.precision) == ("FSDP", 4, "bf16")
    assert found.text == (folder / "fsdp.yaml").read_text()
    assert find_launch("zero.json", files).name_in_folder == "accelerate.json"
    with pytest.raises(Invalid, match=r"no other\.yaml in the folder.*fsdp\.yaml, zero\.json"):
        find_launch("other.yaml", files)
    assert launch_files(Settings(accelerate_configs=folder / "gone")) == {}
    for nowhere in (Settings(), Settings(accelerate_configs=Path())):
        with pytest.raises(Invalid, match="SFT_STUDIO_ACCELERATE_CONFIGS names one"):
            find_launch("fsdp.yaml", launch_files(nowhere))


@pytest.mark.parametrize("name", ["../fsdp.yaml", "/etc/fsdp.yaml", "fsdp", ".hidden.yaml", "a b.yaml"])
def test_a_path_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="without its folder"):
        TrainingConfig(accelerate_config=name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distributed_type": "NO"}, "distributed_type of one.yaml is NO"),
        ({"distributed_type": None}, "distributed_type of one.yaml is –"),
        ({"distributed_type": "MEGATRON_LM"}, "is MEGATRON_LM"),
        ({"num_processes": 0}, "whole number from 1 to 64"),
        ({"num_processes": "two"}, "whole number from 1 to 64"),
        ({"num_processes": True}, "whole number from 1 to 64"),
        ({"num_machines": 2}, "num_machines of one.yaml asks for several machines"),
        ({"compute_environment": "AMAZON_SAGEMAKER"}, "compute_environment"),
        ({"mpirun_config": {"mpirun_hostfile": "hosts"}}, "mpirun_config"),
        ({"deepspeed_config": {"deepspeed_hostfile": "hosts"}}, "deepspeed_hostfile"),
        ({"deepspeed_config": {"deepspeed_config_file": "ds.json"}}, "names another file"),
        ({"gpu_ids": "2,3"}, "gpu_ids of one.yaml chooses GPUs"),
    ],
)
def test_what_would_make_it_another_run_is_refused_by_key(changes: dict[str, object], words: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(**changes)
    assert refused.value.field == "accelerate_config"
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["", "- a\n- b", "a: [", "1: 2", "\x00"])
def test_a_file_that_is_no_list_of_options_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="no YAML or JSON with the options of accelerate"):
        read_launch("one.yaml", text)


def test_what_this_machine_or_the_run_cannot_do_is_refused_by_field() -> None:
    def refused(launch: Launch, *, on_cpu: bool = False, **config: object) -> Invalid:
        values = {"sample_count": 0, "num_processes": launch.num_processes, **config}
        with pytest.raises(Invalid) as raised:
            require_able(
                TrainingConfig(backend="trl", **values),  # type: ignore[arg-type]
                "trl",
                on_cpu=on_cpu,
                end_of_turn_id=None,
                launch=launch,
            )
        return raised.value

    assert "there are none here" in str(refused(read(), on_cpu=True))
    able = TrainingConfig(backend="trl", sample_count=0, num_processes=4)
    require_able(able, "trl", on_cpu=True, end_of_turn_id=None, launch=read(**ZERO))
    assert refused(read(), num_processes=2).field == "num_processes"
    assert refused(read(), load_in_4bit=True).field == "load_in_4bit"
    steps = read(**{**ZERO, "deepspeed_config": {"gradient_accumulation_steps": 2}})
    assert "gradient_accumulation_steps of the run is 4" in str(refused(steps))
    clipped = read(**{**ZERO, "deepspeed_config": {"gradient_clipping": 0.5}})
    assert "max_grad_norm of the run is 1.0" in str(refused(clipped))
    with pytest.raises(Invalid, match="DeepSpeed, which is not installed where TRL is"):
        require_installed(read(**ZERO), "trl", has_deepspeed=False)
    require_installed(read(**ZERO), "trl", has_deepspeed=True)
    require_installed(read(), "trl", has_deepspeed=False)


def test_the_command_starts_every_way_and_processors_without_mpirun() -> None:
    split = command_of("trl", read())
    assert split == "accelerate launch --config_file accelerate.yaml --main_process_port 0 train.py"
    assert "--multi_gpu" in command_of("trl", own_launch(2, on_cpu=True))
    assert "--multi_gpu" not in command_of("trl", own_launch(2, on_cpu=False))
    # A bare no is false to YAML, which accelerate takes for a name.
    assert "--mixed_precision no" in command_of("trl", read(mixed_precision=False))
    assert command_of("trl") == "python train.py"
    assert command_of("axolotl", read()).startswith("python -m axolotl.cli.main train")
