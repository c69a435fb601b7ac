"""REST of recipes: saved, changed, shared, imported, exported, deleted; runs keep what they were trained with."""

from typing import Any

import pytest
from fastapi import FastAPI

from app.accounts.models import Role
from app.core.database import transaction
from app.core.storage import Storage
from app.runs.changes import changes_of
from app.runs.models import Run
from app.runs.result import RunResult
from tests.runs.under_way import runs
from tests.support.people import Person, make_person, problem_of
from tests.support.training import make_check, run_result

pytestmark = pytest.mark.usefixtures("silent_bell")
PATH = "/api/v1/recipes"
AXOLOTL = "base_model: x/y\nadapter: lora\nlora_r: 8\nlearning_rate: 0.0003\nsequence_len: 2048\nfancy: 1\n"


@pytest.fixture
def check_id(app: FastAPI) -> int:
    with transaction(app.state.engine) as session:
        return make_check(session, app.state.storage).id or 0


def save(person: Person, name: str = "Calls", **body: Any) -> dict[str, Any]:
    answer = person.api.post(PATH, json={"name": name, **body})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def start(person: Person, check_id: int, recipe: str, **changes: Any) -> dict[str, Any]:
    body = {"mask_check_id": check_id, "confirmed": True, "recipe": recipe, "changes": changes}
    answer = person.api.post("/api/v1/runs", json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def ended(app: FastAPI, run_id: int, eval_loss: float) -> None:
    with transaction(app.state.engine) as session:
        run = session.get_one(Run, run_id)
        run.result = RunResult.stored(run_result(eval_loss=eval_loss))
        session.add(run)


def test_a_run_keeps_what_its_recipe_was_through_changes_and_deletion(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    made = save(engineer, settings={"lora_r": 16, "learning_rate": 3e-5}, purpose="Short calls")
    assert (made["config"]["lora_r"], made["version"], made["shared"], made["runs"]) == (16, 1, False, 0)
    first = start(engineer, check_id, "CALLS", weight_decay=0.0)
    assert (first["recipe"], first["recipe_id"], first["recipe_version"]) == ("Calls", made["id"], 1)
    assert (first["config"]["lora_r"], first["config"]["learning_rate"]) == (16, 3e-5)

    changed = engineer.api.patch(
        f"{PATH}/calls", json={"version": 1, "name": "Long", "settings": {"lora_r": 64}}
    )
    assert (changed.json()["version"], changed.json()["settings"]) == (2, {"lora_r": 64})
    second = start(engineer, check_id, "long")
    ended(app, first["id"], 2.25)
    ended(app, second["id"], 2.75)
    told = engineer.api.get(f"{PATH}/Long").json()
    assert (told["runs"], told["best_run_id"], told["best_eval_loss"]) == (2, first["id"], 2.25)

    assert engineer.api.delete(f"{PATH}/Long").status_code == 204
    assert engineer.api.get(f"{PATH}/Long").status_code == 404
    assert changes_of(runs(app)[0]) == {"weight_decay": ("0.01", "0")}
    manifest = engineer.api.get(f"/api/v1/runs/{first['id']}/manifest").json()
    assert manifest["recipe_settings"] == {"lora_r": 16, "learning_rate": 3e-5}
    assert (manifest["provenance"]["recipe"], manifest["provenance"]["recipe_version"]) == ("Calls", 1)
    compared = engineer.api.get("/api/v1/runs/compare", params={"run": [first["id"], second["id"]]}).json()
    (recipe,) = [row for row in compared["differences"] if row["label"] == "Recipe"]
    assert recipe["values"] == ["Calls, version 1", "Long, version 2"]
    # Its settings can be saved again, what the run had otherwise included.
    again = save(engineer, "Again", run_id=first["id"])
    assert again["settings"] == {"lora_r": 16, "learning_rate": 3e-5, "weight_decay": 0.0}
    # And the run be made again, though the recipe is gone.
    repeated = engineer.api.post(f"/api/v1/runs/{first['id']}/again").json()
    assert (repeated["recipe"], repeated["recipe_version"], repeated["config"]) == (
        "Calls",
        1,
        first["config"],
    )


def test_the_list_has_built_in_ones_first_with_what_came_of_them(
    app: FastAPI, engineer: Person, check_id: int
) -> None:
    ended(app, start(engineer, check_id, "quick")["id"], 1.5)
    save(engineer, "A", like="quick", settings={"seed": 7})
    listed = engineer.api.get(PATH).json()
    assert [one["name"] for one in listed] == ["quick", "standard", "quality", "stable", "A"]
    assert (listed[0]["runs"], listed[0]["best_eval_loss"], listed[0]["version"]) == (1, 1.5, None)
    assert (listed[4]["config"]["lora_r"], listed[4]["config"]["seed"], listed[4]["runs"]) == (16, 7, 0)
    plan = {"dataset_version_id": 1, "base_model_id": 1, "recipe": "a"}
    assert engineer.api.post("/api/v1/runs/plan", json=plan).json()["config"]["seed"] == 7


def test_two_people_who_change_one_are_told_of_each_other(app: FastAPI, engineer: Person) -> None:
    save(engineer, shared=True)
    other = make_person(app, Role.ENGINEER, "Li")
    assert other.api.patch(f"{PATH}/Calls", json={"version": 1, "purpose": "Li's"}).status_code == 200
    refused = engineer.api.patch(f"{PATH}/Calls", json={"version": 1, "purpose": "mine"})
    assert (refused.status_code, refused.json()["field"]) == (409, "version")
    assert "Li (test) changed “Calls” meanwhile" in problem_of(refused)
    assert other.api.delete(f"{PATH}/Calls").status_code == 403


SEEN = ("name", "purpose", "shared", "settings")


def test_two_people_who_change_one_have_what_only_one_of_them_changed(app: FastAPI, engineer: Person) -> None:
    made = save(engineer, shared=True, settings={"lora_r": 16, "learning_rate": 3e-5, "weight_decay": 0.1})
    seen = {name: made[name] for name in SEEN}
    other = make_person(app, Role.ENGINEER, "Li")

    def patch(person: Person, **body: Any) -> Any:
        return person.api.patch(f"{PATH}/Calls", json={"version": 1, "seen": seen, **body})

    theirs = {"lora_r": 64, "learning_rate": "0.00003", "num_train_epochs": 2}
    assert patch(other, purpose="Li's", settings=theirs).status_code == 200
    # Another setting, and one that Li took out: both of Li's stay.
    mine = {"lora_r": 16, "learning_rate": 1e-4, "weight_decay": 0.1}
    done = patch(engineer, settings=mine, shared=True)
    assert done.status_code == 200, done.text
    assert (done.json()["version"], done.json()["purpose"]) == (3, "Li's")
    assert done.json()["settings"] == {"lora_r": 64, "learning_rate": 1e-4, "num_train_epochs": 2.0}

    refused = patch(engineer, purpose="mine", settings={**mine, "lora_r": 8})
    assert (refused.status_code, refused.json()["field"]) == (409, "purpose")
    assert [one["field"] for one in refused.json()["errors"]] == ["purpose", "lora_r"]
    assert "both of you changed purpose, lora_r" in problem_of(refused)
    # Whoever does not say what a field was before cannot tell their own change from another's.
    blind = engineer.api.patch(f"{PATH}/Calls", json={"version": 1, "seen": {}, "purpose": "mine"})
    assert (blind.status_code, blind.json()["field"]) == (409, "purpose")
    wrong = patch(engineer, settings={**mine, "colour": 1})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "colour")
    assert engineer.api.get(f"{PATH}/Calls").json()["version"] == 3


def test_a_private_one_is_not_there_for_others_and_readers_change_nothing(
    app: FastAPI, engineer: Person, annotator: Person, check_id: int
) -> None:
    save(engineer)
    other = make_person(app, Role.ENGINEER, "Li")
    assert other.api.get(f"{PATH}/Calls").status_code == 404
    body = {"mask_check_id": check_id, "confirmed": True, "recipe": "Calls"}
    assert "There is no recipe “Calls”" in problem_of(other.api.post("/api/v1/runs", json=body))
    assert engineer.api.patch(f"{PATH}/Calls", json={"version": 1, "shared": True}).status_code == 200
    assert annotator.api.get(f"{PATH}/Calls").json()["created_by"].startswith("test engineer")
    assert annotator.api.post(PATH, json={"name": "Mine"}).status_code == 403


def test_a_file_becomes_a_recipe_with_a_note_for_each_key_and_goes_out_as_it_came(engineer: Person) -> None:
    body = {"config": AXOLOTL, "name": "From Axolotl"}
    done = engineer.api.post(f"{PATH}/import", json=body, headers={"Accept-Language": "zh-CN"}).json()
    assert (done["tool"], len(done["notes"]), done["recipe"]["config"]["lora_r"]) == ("axolotl", 2, 8)
    assert done["notes"] == [
        "2 个键在这里由数据、模型或掩码设置决定，请到相应位置查看：base_model, sequence_len。",
        "fancy 在这里没有意义，已略去。",
    ]
    exported = engineer.api.get(f"{PATH}/From Axolotl/export")
    assert exported.headers["content-type"].startswith("application/yaml")
    again = engineer.api.post(f"{PATH}/import", json={"config": exported.text, "name": "Twice"}).json()
    assert (again["tool"], again["notes"]) == ("studio", [])
    assert again["recipe"]["config"] == done["recipe"]["config"]
    nameless = engineer.api.post(f"{PATH}/import", json={"config": AXOLOTL})
    assert (nameless.status_code, nameless.json()["field"]) == (422, "name")


def test_what_cannot_be_done_to_a_built_in_one_is_said(engineer: Person, storage: Storage) -> None:
    for answer in (
        engineer.api.patch(f"{PATH}/Quick", json={"version": 1}),
        engineer.api.delete(f"{PATH}/quick"),
    ):
        assert answer.status_code == 409
        assert "Duplicate it" in problem_of(answer)
    assert engineer.api.get(f"{PATH}/QUICK").json()["config"]["lora_r"] == 16
    wrong = engineer.api.post(PATH, json={"name": "Calls", "settings": {"lora_r": 0, "colour": 1}})
    assert [one["field"] for one in wrong.json()["errors"]] == ["lora_r", "colour"]
