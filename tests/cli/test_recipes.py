"""`sft-studio recipes`: kept on the server, from a shell."""

from pathlib import Path

import pytest
from fastapi import FastAPI

from app.core.database import transaction
from app.core.i18n import Locale, gettext, use_locale
from app.recipes.config import TrainingConfig
from app.recipes.fields import FIELDS
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


@pytest.mark.parametrize(("locale", "language"), [("en", "en_US.UTF-8"), ("zh_CN", "zh_CN.UTF-8")])
def test_every_setting_is_explained_by_rest_and_by_the_command_as_in_the_form(
    live: LiveServer, locale: Locale, language: str
) -> None:
    told = live.run("recipes", "fields", "--json", LANG=language).json
    assert [one["name"] for one in told] == list(FIELDS)
    with use_locale(locale):
        for one in told:
            field = FIELDS[one["name"]]
            words = (
                gettext(field.label),
                gettext(field.meaning),
                gettext(field.section.value),
                field.allowed,
            )
            assert (one["label"], one["meaning"], one["section"], one["allowed"]) == words
            assert one["allowed"] or not field.is_number
    assert {one["name"]: one["default"] for one in told} == TrainingConfig().to_json()
    row = " ".join(
        live.run("recipes", "fields", "lora_dropout", LANG=language).stdout.splitlines()[1].split()
    )
    (dropout,) = (one for one in told if one["name"] == "lora_dropout")
    assert row == f"lora_dropout 0.05 {dropout['allowed']} {dropout['label']} – {dropout['meaning']}"
    assert "lora_drop" in live.run("recipes", "fields", "lora_drop", LANG=language).error


def test_a_config_of_another_tool_is_read_alike_wherever_it_comes_in(
    app: FastAPI, live: LiveServer, tmp_path: Path
) -> None:
    with transaction(app.state.engine) as session:
        make_check(session, app.state.storage)
    file = tmp_path / "train.yaml"
    # As Windows saves it, with a value that means nothing here, one out of range and a key that nobody knows here.
    file.write_text(
        "finetuning_type: lora\nlora_rank: 4\nlora_alpha: 8\nlr_scheduler_type: no_such\nweight_decay: -1\nflash_attn: fa2\n",
        "utf-8-sig",
    )
    imported = live.run("recipes", "import", str(file), "--name", "Theirs", "--json").json
    assert {note.split()[0] for note in imported["notes"]} == {
        "lr_scheduler_type",
        "weight_decay",
        "flash_attn",
    }
    train = ("train", "--dataset", "Calls", "--model", "no such model", "--config")
    begun = live.run(*train, str(file))
    # The file is taken, so that the model is what stands against it.
    assert "no such model" in begun.error
    assert begun.stderr.splitlines()[: len(imported["notes"])] == imported["notes"]

    exported = tmp_path / "own.yaml"
    assert live.run("recipes", "export", "Theirs", "--out", str(exported)).code == 0
    assert "no such model" in live.run(*train, str(exported)).error
    (tmp_path / "large.yaml").write_text("# " + "对话" * 50_000, "utf-8")
    (tmp_path / "latin.yaml").write_bytes(b"lora_rank: 4 # \xe9")
    for name, reason in (
        ("absent.yaml", "Cannot read"),
        (".", "Cannot read"),
        ("large.yaml", "is too long"),
        ("latin.yaml", "is not UTF-8"),
    ):
        for arguments in (train, ("recipes", "import")):
            refused = live.run(*arguments, str(tmp_path / name))
            assert (refused.code, reason in refused.error) == (1, True), refused.stderr
