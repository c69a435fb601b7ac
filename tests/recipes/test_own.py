"""Own recipes: names that are there once, who sees and changes them, what is stored and what a later program refuses of it."""

from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session

from app.accounts.models import Role
from app.accounts.service import Actor
from app.core.database import reading, transaction
from app.core.errors import Conflict, Invalid, NotFound, Refused
from app.recipes.foreign import read_foreign
from app.recipes.models import OwnRecipe
from app.recipes.own import (
    RecipeDraft,
    change_recipe,
    delete_recipe,
    list_own,
    problems_of,
    read_book,
    recipe_of,
    require_own,
    save_recipe,
)
from app.recipes.own_file import write_recipe
from app.recipes.recipes import BUILT_IN, build_config

MEI = Actor(1, "Mei", Role.ENGINEER, "session")
LI = Actor(2, "Li", Role.ENGINEER, "session")
ANN = Actor(3, "Ann", Role.ANNOTATOR, "session")
ADMIN = Actor(4, "Ada", Role.ADMIN, "session")


def save(session: Session, name: str = "Calls", actor: Actor = MEI, **draft: Any) -> OwnRecipe:
    return save_recipe(session, actor, RecipeDraft(name, **draft))


def test_a_recipe_is_trained_with_by_its_name_in_any_case_and_a_method_still_brings_its_own(
    engine: Engine,
) -> None:
    with transaction(engine) as session:
        save(session, "Warm Start", settings={"lora_r": "16", "weight_decay": "0"})
    with reading(engine) as session:
        recipe = read_book(session, MEI).require("  warm start ")
    assert (recipe.name, recipe.version, recipe.label) == ("Warm Start", 1, "Warm Start")
    config = build_config(recipe, {"load_in_4bit": "true"})
    assert (config.lora_r, config.weight_decay, config.learning_rate) == (16, 0.0, 1e-4)
    assert build_config(recipe).learning_rate == 5e-5


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Standard", "is a built-in recipe"),
        ("ＱＵＩＣＫ", "is a built-in recipe"),
        ("CALLS", "There is a recipe “CALLS” already"),
        ("", "1 to 40 characters"),
        ("x" * 41, "1 to 40 characters"),
        ("a/b", "no slash"),
        ("...", "a letter or digit"),
        ("--set", "a letter or digit"),
        ("two\nlines", "can be seen"),
    ],
)
def test_a_name_that_is_taken_or_cannot_be_called_is_refused(
    engine: Engine, name: str, sentence: str
) -> None:
    with transaction(engine) as session:
        save(session)
        with pytest.raises((Invalid, Conflict), match=sentence) as raised:
            save(session, name, LI)
        assert raised.value.field == "name"


def test_what_is_private_is_its_makers_and_what_is_shared_is_everybodys(engine: Engine) -> None:
    with transaction(engine) as session:
        own, shared = save(session, "Own"), save(session, "Shared", is_shared=True)
        for actor, seen in ((MEI, 2), (LI, 1), (ANN, 1), (ADMIN, 2)):
            assert len(list_own(session, actor)) == seen
        # Administrators see what others keep for themselves, and are not offered it.
        assert [len(read_book(session, actor).own) for actor in (MEI, LI, ADMIN)] == [2, 1, 1]
        with pytest.raises(NotFound):
            require_own(session, LI, own.id or 0)
        with pytest.raises(Conflict, match="built in and stays"):
            require_own(session, LI, "quick")
        # Whoever trains may change it; to take it back or delete it is its maker's.
        change_recipe(session, LI, shared, RecipeDraft("Shared", "ours", is_shared=True), version=1)
        assert (shared.purpose, shared.version, shared.updated_by, shared.created_by) == (
            "ours",
            2,
            "Li",
            "Mei",
        )
        with pytest.raises(Refused):
            change_recipe(session, LI, shared, RecipeDraft("Shared", is_shared=False), version=2)
        with pytest.raises(Refused):
            delete_recipe(session, LI, shared)
        delete_recipe(session, ADMIN, shared)
        assert [row.name for row in list_own(session, MEI)] == ["Own"]


def test_a_change_to_an_older_version_is_refused_and_says_who_was_first(engine: Engine) -> None:
    with transaction(engine) as session:
        row = save(session, is_shared=True, settings={"lora_r": 8})
        change_recipe(
            session, LI, row, RecipeDraft("Calls", settings={"lora_r": 16}, is_shared=True), version=1
        )
    with transaction(engine) as session:
        row = require_own(session, MEI, "calls")
        with pytest.raises(Conflict, match="Li changed “Calls” meanwhile: it is in version 2"):
            change_recipe(session, MEI, row, RecipeDraft("Mine", settings={"lora_r": 32}), version=1)
        assert (row.name, row.settings.values) == ("Calls", {"lora_r": 16})


def test_a_wrong_value_is_refused_by_field_and_nothing_is_saved(engine: Engine) -> None:
    with transaction(engine) as session:
        with pytest.raises(Invalid) as raised:
            save(session, settings={"lora_r": "0", "learning_rte": 1})
        assert [one["field"] for one in raised.value.details] == ["lora_r", "learning_rte"]
        assert list_own(session, MEI) == []


def test_what_an_earlier_program_stored_is_read_and_what_this_one_refuses_is_told_by_field(
    engine: Engine,
) -> None:
    with transaction(engine) as session:
        save(session, "Old"), save(session, "Later")
        stored = "UPDATE recipe SET settings = :settings WHERE name = :name"
        session.execute(
            text(stored), {"name": "Old", "settings": '{"r": 4, "early_stopping_patience": null}'}
        )
        session.execute(
            text(stored), {"name": "Later", "settings": '{"lora_r": 9999, "depth": 3, "seed": 1}'}
        )
    with transaction(engine) as session:
        later, old = list_own(session, MEI)
        assert build_config(recipe_of(old)).lora_r == 4
        assert problems_of(old) == {}
        assert {"lora_r", "depth"} == problems_of(later).keys()
        book = read_book(session, MEI)
        assert [recipe.name for recipe in book.own] == ["Old"]
        with pytest.raises(Invalid, match="The recipe “Later” cannot be used as it is: lora_r"):
            book.require("later")
        # Saved again without what is refused, it can be used.
        change_recipe(session, MEI, later, RecipeDraft("Later", settings={"seed": "1"}), version=1)
        assert read_book(session, MEI).require("later").config.seed == 1


def test_an_exported_recipe_is_read_back_as_it_was_and_tells_what_it_does_not_know() -> None:
    for recipe in BUILT_IN.recipes:
        read = read_foreign(write_recipe(recipe))
        assert (read.tool, read.name, read.notes) == ("studio", recipe.name, [])
        assert build_config("standard", read.values) == build_config(
            "standard", recipe.config.model_dump(exclude_unset=True)
        )
    strange = (
        "sft_studio_recipe: 1\nname: Calls\nauthor: Li\nsettings: {lora_r: 8, template: chatml, depth: 2}\n"
    )
    read = read_foreign(strange)
    assert read.values == {"lora_r": 8}
    (note,) = read.notes
    assert note.values["keys"] == "author, template, depth"
    for broken in ("sft_studio_recipe: 2\n", "sft_studio_recipe: 1\nsettings: [1]\n"):
        with pytest.raises(Invalid, match="another version of SFT Studio"):
            read_foreign(broken)
