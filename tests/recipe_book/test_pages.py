"""Pages of recipes: the list, the form, what a run, its form or a file brings into it."""

import html
import re
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import text

from app.accounts.models import Role
from app.core.database import transaction
from tests.support.people import Person, make_person, visible_text
from tests.support.training import make_check, make_model, make_run

pytestmark = pytest.mark.usefixtures("silent_bell")
FORM = {"name": "Calls", "purpose": "Short", "shared": "true", "lora_r": "16", "learning_rate": "3e-5"}


def save(person: Person, **form: str) -> Any:
    return person.browser.post("/recipes", data={**FORM, **form})


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, name
    return html.unescape(found[1])


def test_a_saved_recipe_is_listed_with_what_it_sets_and_offered_in_the_form_of_a_run(
    app: FastAPI, engineer: Person, annotator: Person
) -> None:
    assert save(engineer).headers["location"] == "/recipes#recipe-1"
    page = engineer.browser.get("/recipes")
    shown = visible_text(page.text)
    assert "Calls Shared Short" in shown
    assert "learning_rate 5e-5 → 3e-5" in shown
    assert "lora_r 64 → 16" in shown
    assert 'href="/runs/new?recipe=Calls"' in page.text
    seen = annotator.browser.get("/recipes").text
    assert "Short" in seen
    for offered in ("/recipes/new", "/recipes/1", "/runs/new"):
        assert offered not in seen
    with transaction(app.state.engine) as session:
        make_check(session, app.state.storage)
    chosen = engineer.browser.get("/runs/new?recipe=Calls").text
    assert '<input type="radio" id="recipe-1" name="recipe" value="Calls"' in chosen
    assert 'name="lora_r" value="" placeholder="16"' in chosen
    assert 'name="lora_alpha" value="" placeholder="128"' in chosen


def test_what_is_wrong_stands_beside_its_field_with_all_that_was_typed(engineer: Person) -> None:
    answer = save(engineer, name="quick", lora_r="0")
    assert answer.status_code == 422
    assert "lora_r must be at least 1." in visible_text(answer.text)
    assert (field(answer.text, "lora_r"), field(answer.text, "learning_rate")) == ("0", "3e-5")
    taken = save(engineer, name="Quick")
    assert (taken.status_code, "is a built-in recipe" in taken.text) == (409, True)


def changed_by_another(app: FastAPI, engineer: Person, **theirs: str) -> dict[str, str]:
    """What a form carries along that was opened before Li saved hers."""
    save(engineer)
    opened = engineer.browser.get("/recipes/1").text
    other = make_person(app, Role.ENGINEER, "Li")
    assert other.browser.post("/recipes/1", data={**FORM, "version": "1", **theirs}).status_code == 303
    return {**FORM, "version": field(opened, "version"), "seen": field(opened, "seen")}


def test_what_only_one_of_two_people_changed_is_taken_from_that_one_and_saved_by_whoever_looks(
    app: FastAPI, engineer: Person
) -> None:
    began = changed_by_another(app, engineer, lora_r="32", purpose="Long calls")
    behind = engineer.browser.post("/recipes/1", data={**began, "learning_rate": "1e-4", "seed": "7"})
    assert behind.status_code == 409
    shown = visible_text(behind.text)
    assert "Li changed “Calls” meanwhile" in shown
    assert "lora_r 16 32" in shown
    assert "Purpose Short Long calls" in shown
    assert "Nothing was changed by both of you" in shown
    assert "Changed by both" not in shown
    merged = {
        name: field(behind.text, name) for name in ("version", "seen", "lora_r", "learning_rate", "seed")
    }
    assert (merged["lora_r"], merged["learning_rate"], merged["seed"]) == ("32", "1e-4", "7")
    assert "Long calls</textarea>" in behind.text
    saved = engineer.browser.post("/recipes/1", data={**began, **merged, "purpose": "Long calls"})
    assert saved.status_code == 303
    kept = engineer.browser.get("/recipes/1").text
    assert [field(kept, name) for name in ("lora_r", "learning_rate", "seed")] == ["32", "1e-4", "7"]


def test_what_both_changed_is_shown_as_it_was_as_it_is_and_as_it_was_typed_and_saving_again_takes_that(
    app: FastAPI, engineer: Person
) -> None:
    # Both wrote the same learning rate, each in her own way: that is no conflict.
    began = changed_by_another(app, engineer, lora_r="32", lora_alpha="8", learning_rate="4e-5")
    mine = {**began, "lora_r": "64", "learning_rate": "0.00004"}
    behind = engineer.browser.post("/recipes/1", data=mine)
    shown = visible_text(behind.text)
    assert "Changed by both Field Before Saved now Yours lora_r 16 32 64" in shown
    assert "Taken over Field Before Saved now lora_alpha standard 8" in shown
    assert "learning_rate 3e-5" not in shown
    assert (field(behind.text, "lora_r"), field(behind.text, "lora_alpha")) == ("64", "8")
    again = {**mine, "lora_alpha": "8", "version": field(behind.text, "version")}
    assert engineer.browser.post("/recipes/1", data=again).status_code == 303
    assert field(engineer.browser.get("/recipes/1").text, "lora_r") == "64"


def test_two_changes_in_turn_are_each_told_from_what_was_shown_last(app: FastAPI, engineer: Person) -> None:
    began = changed_by_another(app, engineer, lora_r="32")
    mine = {**began, "seed": "7"}
    behind = engineer.browser.post("/recipes/1", data=mine).text
    other = make_person(app, Role.ENGINEER, "Mo")
    other.browser.post("/recipes/1", data={**FORM, "version": "2", "lora_r": "8"})
    merged = {name: field(behind, name) for name in ("version", "seen", "lora_r")}
    third = engineer.browser.post("/recipes/1", data={**mine, **merged})
    assert (third.status_code, "lora_r 32 8" in visible_text(third.text)) == (409, True)
    assert (field(third.text, "lora_r"), field(third.text, "seed")) == ("8", "7")


@pytest.mark.parametrize("seen", ["", "[", "[1]", '{"lora_r": 16}', "[" * 9_999])
def test_where_nobody_knows_what_a_form_began_with_everything_that_differs_is_asked(
    app: FastAPI, engineer: Person, seen: str
) -> None:
    began = changed_by_another(app, engineer, lora_r="32", seed="5")
    behind = engineer.browser.post("/recipes/1", data={**began, "seen": seen, "lora_r": "64"})
    shown = visible_text(behind.text)
    assert ("lora_r – 32 64" in shown, "seed – 5 standard" in shown) == (True, True)
    assert "Taken over" not in shown
    assert (field(behind.text, "lora_r"), field(behind.text, "seed")) == ("64", "")


def test_what_was_typed_becomes_a_new_recipe_where_the_old_one_is_gone(
    app: FastAPI, engineer: Person
) -> None:
    save(engineer)
    other = make_person(app, Role.ENGINEER, "Li")
    assert engineer.browser.post("/recipes/1/delete").status_code == 303
    gone = other.browser.post("/recipes/1", data={**FORM, "version": "1", "lora_r": "32"})
    assert (gone.status_code, "This recipe is gone" in visible_text(gone.text)) == (404, True)
    assert 'action="/recipes"' in gone.text
    assert (field(gone.text, "lora_r"), field(gone.text, "name")) == ("32", FORM["name"])
    assert 'name="version"' not in gone.text
    assert other.browser.post("/recipes", data={**FORM, "lora_r": "32"}).status_code == 303
    assert "Calls Shared" in visible_text(engineer.browser.get("/recipes").text)


def test_a_run_and_the_form_of_a_run_bring_their_settings(app: FastAPI, engineer: Person) -> None:
    with transaction(app.state.engine) as session:
        run, _job = make_run(session, app.state.storage, recipe="quick", changes={"seed": 7})
        run_id = run.id
    assert f'href="/recipes/new?run={run_id}"' in engineer.browser.get(f"/runs/{run_id}").text
    page = engineer.browser.get(f"/recipes/new?run={run_id}").text
    assert (field(page, "seed"), field(page, "lora_r"), field(page, "weight_decay")) == ("7", "16", "")
    typed = {"recipe": "quick", "method": "qlora", "lora_alpha": "8", "version": "1", "name": "A run"}
    page = engineer.browser.post("/recipes/new", data=typed).text
    assert (field(page, "lora_alpha"), field(page, "lora_r"), field(page, "name")) == ("8", "16", "")
    assert re.search(r'name="load_in_4bit".*?<option selected>true', page, re.DOTALL)
    # What stands for an empty field is what the method brings.
    assert 'name="learning_rate" value="" placeholder="1e-4"' in page
    copied = engineer.browser.get("/recipes/new?like=quick").text
    assert (field(copied, "name"), field(copied, "lora_r")) == ("Quick, copy", "16")


def test_a_file_fills_in_the_form_with_its_notes_and_saves_nothing(engineer: Person) -> None:
    config = "finetuning_type: lora\nlora_rank: 8\nflash_attn: fa2\n"
    page = engineer.browser.post("/recipes/import", data={"config": config})
    assert "Read from a file of LLaMA-Factory" in visible_text(page.text)
    assert "flash_attn has no meaning here" in visible_text(page.text)
    assert field(page.text, "lora_r") == "8"
    assert "lora_r 8" not in visible_text(engineer.browser.get("/recipes").text)
    broken = engineer.browser.post("/recipes/import", data={"config": "colour: blue"})
    assert (broken.status_code, "neither a config" in broken.text) == (422, True)


def test_sharing_and_deleting_are_one_button_each(app: FastAPI, engineer: Person) -> None:
    save(engineer)
    engineer.browser.post("/recipes/1/share", data={"shared": "false"})
    assert "Calls Private" in visible_text(engineer.browser.get("/recipes").text)
    other = make_person(app, Role.ENGINEER, "Li")
    # What somebody changed since the list was looked at stays, and is in nobody's way.
    engineer.browser.post("/recipes/1/share", data={"shared": "true"})
    assert other.api.patch("/api/v1/recipes/Calls", json={"version": 3, "purpose": "Li's"}).status_code == 200
    assert engineer.browser.post("/recipes/1/share", data={"shared": "false"}).status_code == 303
    told = engineer.api.get("/api/v1/recipes/Calls").json()
    assert (told["purpose"], told["shared"], told["version"]) == ("Li's", False, 5)
    assert other.browser.post("/recipes/1/delete").status_code == 404
    assert engineer.browser.post("/recipes/1/delete").headers["location"] == "/recipes"
    assert "Calls" not in visible_text(engineer.browser.get("/recipes").text)


def test_one_that_this_program_refuses_is_listed_with_the_reason_and_can_be_corrected(
    app: FastAPI, engineer: Person
) -> None:
    save(engineer)
    with transaction(app.state.engine) as session:
        session.execute(text("""UPDATE recipe SET settings = '{"lora_r": 5000, "depth": 3}'"""))
        make_model(session)
    shown = visible_text(engineer.browser.get("/recipes").text)
    assert "lora_r must be at most 1024." in shown
    assert engineer.browser.get("/runs/new").status_code == 200
    page = engineer.browser.get("/recipes/1")
    assert "lora_r must be at most 1024." in visible_text(page.text)
    assert engineer.browser.post("/recipes/1", data={**FORM, "version": "1"}).status_code == 303
    assert "must be at most" not in visible_text(engineer.browser.get("/recipes").text)
