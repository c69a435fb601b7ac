"""`sft-studio recipes`: kept on the server, from a shell."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from tests.cli.conftest import LiveServer
from tests.support.training import make_check

pytestmark = pytest.mark.usefixtures("silent_bell")


def test_recipes_are_saved_changed_exported_imported_and_deleted(
    app: FastAPI, live: LiveServer, tmp_path: Path
) -> None:
    made = live.run(
        "recipes", "save", "Calls", "--like", "quick", "--set", "seed=7", "--shared", "--json"
    ).json
    assert (made["settings"]["seed"], made["settings"]["lora_r"], made["shared"]) == (7, 16, True)
    changed = live.run(
        "recipes", "save", "calls", "--replace", "--set", "lora_r=8", "--rename", "Short", "--json"
    )
    assert (changed.json["name"], changed.json["version"], changed.json["settings"]["seed"]) == (
        "Short",
        2,
        7,
    )
    shown = live.run("recipes", "show", "short").stdout
    assert "lora_r" in shown
    assert "Shared" in live.run("recipes", "list").stdout

    file = tmp_path / "short.yaml"
    assert live.run("recipes", "export", "Short", "--out", str(file)).code == 0
    assert live.run("recipes", "export", "Short").stdout == file.read_text("utf-8")
    refused = live.run("recipes", "import", str(file))
    assert "There is a recipe “Short” already" in refused.error
    assert (
        live.run("recipes", "import", str(file), "--name", "Copy", "--json").json["recipe"]["config"][
            "lora_r"
        ]
        == 8
    )
    assert live.run("recipes", "delete", "Copy").code == 0
    assert "There is no recipe “Copy”" in live.run("recipes", "show", "Copy").error
    assert "must be at least 1" in live.run("recipes", "save", "Wrong", "--set", "lora_r=0").error

    with transaction(app.state.engine) as session:
        make_check(session, app.state.storage)
    plan = ("advise", "--dataset", "Calls", "--model", "small", "--json", "--recipe")
    assert live.run(*plan, "SHORT").json["config"]["seed"] == 7
    assert "There is no recipe “Copy”. Use one of: quick" in live.run(*plan, "Copy").error
