"""Where other trainers are is told from what lies on the disk, however somebody names the place."""

import sys
from pathlib import Path

import pytest

from app.core.settings import Settings
from app.interop.environments import find_environment, find_environments, setting_of
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
