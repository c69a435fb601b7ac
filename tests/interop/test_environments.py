"""Where other trainers are is told from what lies on the disk, however somebody names the place."""

import sys
from pathlib import Path

import pytest

from app.core.errors import Invalid
from app.core.settings import Settings
from app.interop.environments import (
    Environment,
    find_environment,
    find_environments,
    program_beside,
    setting_of,
)
from app.interop.handing import TOOL_VERSIONS


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment in which Axolotl is installed: its Python is a link, as those of environments are."""
    place = tmp_path / "axolotl"
    (place / "bin").mkdir(parents=True)
    (place / "bin" / "python").symlink_to(sys.executable)
    described = place / "lib" / "python3.12" / "site-packages" / "axolotl-0.19.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: axolotl\nVersion: 0.19.0\n")
    return place


def hold_instead(environment: Path, tool: str) -> None:
    """Let another tool be what is installed there."""
    described = next((environment / "lib").rglob("METADATA"))
    described.write_text(described.read_text().replace("axolotl", tool))
    described.parent.rename(described.parent.with_name(f"{tool}-0.19.0.dist-info"))


def test_an_environment_that_was_moved_or_whose_program_is_gone_is_found_and_refused_in_words(
    environment: Path,
) -> None:
    def found(place: Path) -> Environment:
        one = find_environment(Settings(llamafactory_env=place), "llamafactory")
        assert one
        return one

    hold_instead(environment, "llamafactory")
    (environment / "bin" / "llamafactory-cli").write_text(f"#!{environment}/bin/python\n")
    assert found(environment).broken is None
    found(environment).require_program()
    moved = environment.rename(environment.with_name("moved"))
    # Its first line names the Python of the place where it was.
    assert found(moved).broken == moved / "bin" / "llamafactory-cli"
    (moved / "bin" / "llamafactory-cli").unlink()
    assert found(moved).broken == moved / "bin" / "llamafactory-cli"
    with pytest.raises(
        Invalid, match="bin/llamafactory-cli is missing, or was made for an environment that has been moved"
    ) as refused:
        found(moved).require_program()
    assert refused.value.field == "backend"


def test_what_python_starts_is_started_by_the_one_that_is_there(environment: Path) -> None:
    """Of a system's own Python there is often no `python`."""
    (environment / "bin" / "python").rename(environment / "bin" / "python3")
    hold_instead(environment, "unsloth")
    found = find_environment(Settings(unsloth_env=environment), "unsloth")
    assert found
    assert (found.python.name, found.broken) == ("python3", None)
    assert program_beside(found.python, "python") == found.python


@pytest.mark.parametrize("named", ["", "bin", "bin/python"])
def test_a_folder_its_programs_and_its_python_are_understood(
    environment: Path, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(setting_of("axolotl"), str(environment / named))
    found = find_environment(Settings(), "axolotl")
    assert found
    assert (found.python, found.version) == (environment / "bin" / "python", "0.19.0")


def test_only_what_is_installed_is_found_and_trl_in_this_programs_own_environment(environment: Path) -> None:
    settings = Settings(unsloth_env=environment, llamafactory_env=environment / "nowhere")
    assert list(find_environments(settings)) == ["trl"]
    own = find_environment(settings, "trl")
    assert own
    assert (own.python, own.version) == (Path(sys.executable), TOOL_VERSIONS["trl"])
    assert find_environment(Settings(trl_env=environment), "trl") is None
    assert find_environment(Settings(trl_env=Path()), "trl") == own


def test_deepspeed_is_told_where_it_is_beside_a_tool(environment: Path) -> None:
    settings = Settings(axolotl_env=environment)
    found = find_environment(settings, "axolotl")
    assert found
    assert not found.has_deepspeed
    described = environment / "lib" / "python3.12" / "site-packages" / "deepspeed-0.18.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: deepspeed\nVersion: 0.18.0\n")
    found = find_environment(settings, "axolotl")
    assert found
    assert found.has_deepspeed
