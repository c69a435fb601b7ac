"""docker-compose.yml says what the code needs, as far as that can be known without a Docker engine."""

import json
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url
from typer.testing import CliRunner

from app.cli.commands import build
from app.core.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("web", "worker", "worker-gpu", "migrate")


def test_the_services_are_there() -> None:
    assert set(SERVICES) == {"secrets", "web", "worker", "worker-gpu", "migrate", "postgres", "redis"}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"worker-gpu"}


def test_the_profile_with_a_gpu_reserves_it_and_leaves_the_rest_to_the_other_worker() -> None:
    service = SERVICES["worker-gpu"]
    assert service["profiles"] == ["gpu"]
    [device] = service["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    queues = {name: SERVICES[name]["command"][3] for name in ("worker", "worker-gpu")}
    chosen = re.fullmatch(r"\$\{(SFT_STUDIO_WORKER_QUEUES):-([a-z,]+)\}", queues["worker"])
    assert chosen is not None
    assert set(chosen[2].split(",")) == {"training", "default", "interactive"}
    told = (ROOT / "docs" / "containers.md").read_text(encoding="utf-8")
    line = re.search(rf"{chosen[1]}=(\S+) docker compose --profile gpu up", told)
    assert line is not None
    assert sorted([*line[1].split(","), *queues["worker-gpu"].split(",")]) == [
        "default",
        "interactive",
        "training",
    ]


@pytest.mark.parametrize(
    ("index", "said"),
    [("", []), ("https://torch.example/cpu", ["--extra-index-url", "https://torch.example/cpu"])],
)
def test_another_build_of_torch_is_taken_where_an_index_is_named(
    tmp_path: Path, index: str, said: list[str]
) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    [line] = [line.removeprefix("RUN ") for line in dockerfile.splitlines() if line.startswith("RUN wheel=")]
    wheel = tmp_path / "sft_studio-1-py3-none-any.whl"
    wheel.touch()
    pip = tmp_path / "bin" / "pip"
    pip.parent.mkdir()
    pip.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" >> {tmp_path}/said\n")
    pip.chmod(0o755)
    environment = {"PATH": f"{pip.parent}:{os.environ['PATH']}", "EXTRAS": "train", "TORCH_INDEX": index}
    line = line.replace("/wheels/", f"{tmp_path}/")
    subprocess.run(["sh", "-eu", "-c", line], check=True, env=environment)
    words = (tmp_path / "said").read_text().splitlines()
    assert words[: words.index(f"{wheel}[train]")] == ["install", "-c", f"{tmp_path}/constraints.txt", *said]
    assert set(COMPOSE["x-studio"]["build"]["args"]) == {"TORCH_INDEX", "EXTRAS"}


@pytest.mark.parametrize("name", OURS)
def test_our_commands_exist_and_take_their_options(name: str) -> None:
    program, verb, *options = SERVICES[name]["command"]
    assert program == "sft-studio"
    shown = CliRunner().invoke(build([verb]), [verb, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    for option in options:
        if option.startswith("--"):
            assert option in re.sub(r"\x1b\[[0-9;]*m", "", shown.output)


@pytest.mark.parametrize("name", OURS)
def test_our_services_wait_for_what_they_need(name: str) -> None:
    for other, how in SERVICES[name]["depends_on"].items():
        target = SERVICES[other]
        if how["condition"] == "service_healthy":
            assert "healthcheck" in target
        else:
            assert how["condition"] == "service_completed_successfully"
            assert target["restart"] == "no"


def test_every_named_volume_is_declared() -> None:
    used = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_the_page_is_not_public() -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["web"]["ports"])


def draw_password(folder: Path, tmp_path: Path) -> None:
    """What the `secrets` service does, with a folder of our own and nobody to hand the files to."""
    chown = tmp_path / "bin" / "chown"
    chown.parent.mkdir(exist_ok=True)
    chown.write_text("#!/bin/sh\n")
    chown.chmod(0o755)
    [script] = SERVICES["secrets"]["command"]
    script = script.replace("$$", "$").replace("cd /secrets", 'cd "$1"')
    environment = {"PATH": f"{chown.parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-eu", "-c", script, "sh", str(folder)], check=True, env=environment)


def test_the_database_password_is_drawn_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        draw_password(folder, tmp_path)
        first = (folder / "password").read_text()
        draw_password(folder, tmp_path)
        assert (folder / "password").read_text() == first
        assert re.fullmatch(r"[A-Za-z0-9]{30,}", first)
        assert (folder / "pgpass").read_text() == f"postgres:5432:studio:studio:{first}\n"
        assert sorted(path.name for path in folder.iterdir()) == ["password", "pgpass"]
        assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())
    assert (folders[0] / "password").read_text() != (folders[1] / "password").read_text()


def test_the_database_and_ours_read_the_password_that_was_drawn() -> None:
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"] == "/secrets/password"
    for name in OURS:
        url = make_url(SERVICES[name]["environment"]["DATABASE_URL"])
        assert (url.host, url.port, url.username, url.database) == ("postgres", 5432, "studio", "studio")
        assert url.password is None
        assert url.query == {"passfile": "/secrets/pgpass"}
    for name in (*OURS, "postgres"):
        assert "secrets:/secrets:ro" in SERVICES[name]["volumes"]
    assert "secrets" in SERVICES["postgres"]["depends_on"]


def test_the_environment_is_one_that_the_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = SERVICES["web"]["environment"]
    for key, value in environment.items():
        if value is None:
            continue  # as it stands in the shell, if it does
        monkeypatch.setenv(key, re.sub(r"\$\{\w+(?::[-?]([^}]*))?\}", lambda found: found[1] or "x", value))
    monkeypatch.setenv("SFT_STUDIO_ALLOWED_HOSTS", json.dumps([]))
    settings = Settings()
    assert settings.resolved_database_url.startswith(
        "postgresql+psycopg://studio@postgres:5432/studio?passfile="
    )
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.data_dir == Path("/data")


def test_every_setting_reaches_every_container_and_no_variable_is_misspelt() -> None:
    # Where the data, the database and the broker lie is compose's own; so is what the server listens on.
    settled = {"data_dir", "database_url", "redis_url", "host", "port"}
    settings = {f"SFT_STUDIO_{name.upper()}" for name in Settings.model_fields if name not in settled}
    # Read by the libraries that speak to the hub and to Weights & Biases.
    others = {"HF_ENDPOINT", "HF_TOKEN", "WANDB_API_KEY", "WANDB_BASE_URL"}
    for name in OURS:
        environment = SERVICES[name]["environment"]
        assert set(environment) == settings | others | {"DATABASE_URL", "REDIS_URL", "SFT_STUDIO_DATA"}


def test_the_image_is_built_from_the_wheel_with_every_folder_that_goes_into_it() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    folders = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    assert set(folders) >= {"app", "worker", "templates", "static", "migrations"}
    _, build, image = dockerfile.split("\nFROM ")
    for folder in folders:
        assert f"COPY {folder} {folder}" in build
    for file in (project["project"]["readme"], *project["project"]["license-files"], "constraints.txt"):
        assert f" {file} " in build
    assert "pip wheel" in build
    assert "/wheels/*.whl" in image
