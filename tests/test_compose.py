"""docker-compose.yml says what the code needs, as far as that can be known without a Docker engine."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from app.cli.commands import app as command_line
from app.core.settings import Settings

ROOT = Path(__file__).parents[1]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("web", "worker", "migrate")


def test_the_five_services_are_there() -> None:
    assert set(SERVICES) == {"web", "worker", "migrate", "postgres", "redis"}


@pytest.mark.parametrize("name", OURS)
def test_our_commands_exist_and_take_their_options(name: str) -> None:
    program, verb, *options = SERVICES[name]["command"]
    assert program == "sft-studio"
    shown = CliRunner().invoke(command_line, [verb, "--help"], env={"COLUMNS": "200"})
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


def test_no_service_has_a_default_password_and_the_page_is_not_public() -> None:
    assert SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["web"]["ports"])


def test_the_environment_is_one_that_the_settings_read(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = SERVICES["web"]["environment"]
    for key, value in environment.items():
        monkeypatch.setenv(key, re.sub(r"\$\{\w+(?::[-?]([^}]*))?\}", lambda found: found[1] or "x", value))
    monkeypatch.setenv("SFT_STUDIO_ALLOWED_HOSTS", json.dumps([]))
    settings = Settings()
    assert settings.resolved_database_url.startswith("postgresql+psycopg://studio:")
    assert settings.redis_url == "redis://redis:6379/0"
    assert settings.data_dir == Path("/data")


def test_the_image_holds_every_folder_that_the_application_reads() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for folder in ("app", "worker", "templates", "static", "migrations"):
        assert f"COPY {folder} {folder}" in dockerfile
