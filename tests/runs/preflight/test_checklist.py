"""The list of a pre-flight: what is an error, what a warning, and what only advice would say."""

from dataclasses import replace
from typing import Any

import pytest

from app.base_models.models import BaseModelSource, ModelEntry
from app.jobs.models import Job, JobKind, JobState
from app.mask_checks.models import MaskCheck
from app.mask_checks.report import MaskReport, ReportLeak
from app.mask_settings.fields import MaskSettingsIn
from app.masking import Leak
from app.recipes.recipes import RECIPES
from app.runs.device import Device
from app.runs.mixing import Beside
from app.runs.planning import Choice, make_plan
from app.runs.preflight.checklist import preflight
from app.runs.preflight.facts import UNSEEN, Crossings, Facts, Fate, Ground
from app.runs.preflight.items import Change, Item, Level, Name
from app.sentences import Sentence
from app.versions.models import DatasetVersion
from app.versions.since import Since
from tests.support.training import model_facts, report

GB = 10**9
ROOMY = Device("CPU", 64 * GB, 60 * GB, 2, has_bf16=False)
HERE = Ground(ROOMY, is_sure=True, free_disk=100 * GB, own=Fate(Since()))
INFO = model_facts(vocabulary=49_152, context_length=8192)


def facts_of(
    *,
    train: int = 2000,
    held_out: int = 100,
    recipe: str = "standard",
    changes: dict[str, object] | None = None,
    info: dict[str, Any] | None = None,
    told: dict[str, Any] | None = None,
    ground: Ground = HERE,
    passed: bool | None = True,
    **others: Any,
) -> Facts:
    version = DatasetVersion(
        id=1,
        dataset_id=1,
        number=3,
        content_hash="c",
        storage_key="v",
        train_count=train,
        validation_count=held_out,
    )
    model = ModelEntry(
        id=1,
        name="small",
        source=BaseModelSource.LOCAL,
        reference="/m",
        info=INFO.model_copy(update=info or {}),
    )
    found: MaskReport = report(green=bool(passed)).model_copy(update={"truncated_samples": 0, **(told or {})})
    check = MaskCheck(
        id=5,
        dataset_version_id=1,
        base_model_id=1,
        settings=MaskSettingsIn(),
        settings_key="k",
        job_id=1,
        passed=passed,
        report=found,
        arrays_key="a",
        arrays_hash="h",
    )
    job = Job(id=1, kind=JobKind.CHECK_MASKS, state=JobState.SUCCEEDED)
    device = ground.device or ROOMY
    plan = make_plan(Choice(recipe, changes or {}), version, check, model.info, device)
    return Facts(version, model, check, job, plan, ground, **{"confirmed": True, **others})


def levels(facts: Facts, level: Level) -> dict[Name, Item]:
    return {item.name: item for item in preflight(facts) if item.level is level}


@pytest.mark.parametrize("recipe", [recipe.name for recipe in RECIPES])
@pytest.mark.parametrize("method", [{}, {"load_in_4bit": True}, {"use_peft": False}])
@pytest.mark.parametrize(("train", "held_out"), [(38, 2), (800, 40), (20_000, 500), (150_000, 3000)])
def test_a_healthy_run_by_any_recipe_has_nothing_against_it(
    recipe: str, method: dict[str, object], train: int, held_out: int
) -> None:
    items = preflight(facts_of(recipe=recipe, changes=method, train=train, held_out=held_out))
    assert [item for item in items if item.level is not Level.OK] == []
    # Each item once, in the order of the names; what there is no mistake in has no item.
    assert [item.name for item in items] == [
        name for name in Name if name not in (Name.CONFIG, Name.WARM_UP, *OF_MIXED)
    ]


OF_MIXED = (Name.MIX_APPROVALS, Name.MIX_LEAK, Name.MIX_HELD_OUT)


def mixed(held_out: int = 20, told: dict[str, Any] | None = None, **ground: Any) -> Facts:
    """A run with a second version mixed in, of which so much is held out and its check told this."""
    own, other = facts_of(), facts_of(train=900, held_out=held_out, told=told)
    assert other.check is not None
    other.version.dataset_id, other.check.id = 2, 6
    return replace(
        own,
        beside=Beside(other.version, other.check, other.job),
        ground=replace(HERE, **{"mixed_in": Fate(Since()), "crossings": Crossings(), **ground}),
    )


def test_a_second_dataset_has_its_approvals_its_held_out_and_what_crosses_both_in_the_list() -> None:
    healthy = {item.name: item for item in preflight(mixed())}
    assert all(healthy[name].level is Level.OK for name in OF_MIXED)
    assert healthy[Name.MIX_APPROVALS].link == "/datasets/2"
    crossing = Crossings([Leak(9, 4, 0.93), Leak(12, 5, 0.85)])
    for name, facts in {
        Name.MIX_APPROVALS: mixed(mixed_in=Fate(Since(gone=2))),
        Name.MIX_LEAK: mixed(crossings=crossing),
        Name.MIX_HELD_OUT: mixed(held_out=0),
    }.items():
        assert set(levels(facts, Level.WARNING)) == {name}
    told = levels(mixed(crossings=crossing), Level.WARNING)[Name.MIX_LEAK].sentence.english()
    assert told.startswith("2 conversations")
    assert "9 ≈ 4 (93 %)" in told
    unread = mixed(crossings=Crossings(unread=Sentence("Gone.")), mixed_in=Fate(unread=Sentence("Gone too.")))
    assert set(levels(unread, Level.WARNING)) == {Name.MIX_LEAK, Name.MIX_APPROVALS}


def test_what_is_so_of_both_datasets_is_said_of_both() -> None:
    facts = mixed(told=CUT)
    assert facts.check is not None
    assert facts.check.report is not None
    facts.check.report = facts.check.report.model_copy(update={**CUT, "truncated_trained_tokens": 70})
    (cut,) = levels(facts, Level.WARNING).values()
    assert "70 tokens" in cut.sentence.english()
    assert cut.helps is not None
    assert (
        "The dataset that is mixed in: 4 of 12 samples are cut at 512 tokens: 900 tokens"
        in cut.helps.english()
    )


def test_the_demos_settings_are_healthy() -> None:
    from app.cli.demo import steps

    facts = facts_of(recipe=steps.RECIPE, changes={**steps.CHANGES, "max_train_minutes": 5}, train=38)
    assert levels(facts, Level.WARNING) == {} == levels(facts, Level.ERROR)


CHECKPOINTS = facts_of().plan.disk or 0
LEAKS = {"leaked": 2, "leaks": [ReportLeak(conversation_id=9, trained_id=4, share=0.93)]}
CUT = {"truncated_samples": 4, "truncated_trained_tokens": 900, "settings": MaskSettingsIn(max_length=512)}
SMALL = replace(ROOMY, memory=4 * GB, free=int(0.2 * GB))


@pytest.mark.parametrize(
    ("name", "changed", "field", "value"),
    [
        (Name.MASK_CHECK, {"passed": False, "override_reason": "Known"}, None, None),
        (Name.APPROVALS, {"ground": replace(HERE, own=Fate(Since(changed=3, unapproved=1)))}, None, None),
        (Name.APPROVALS, {"ground": replace(HERE, own=Fate(unread=Sentence("Gone.")))}, None, None),
        (Name.HELD_OUT, {"held_out": 0}, None, None),
        (Name.LEAK, {"told": LEAKS}, None, None),
        (Name.LEAK, {"told": {"leaked": None}}, None, None),
        (Name.TRUNCATED, {"told": CUT}, "max_length", "8192"),
        (Name.TEMPLATE, {"told": {"rewritten_turns": 2}}, None, None),
        (
            Name.END_OF_TURN,
            {"info": {"end_of_turn_trained": False}, "changes": {"trainable_tokens": "none"}},
            "trainable_tokens",
            "auto",
        ),
        (Name.LEARNING_RATE, {"changes": {"learning_rate": 1e-3}}, "learning_rate", "5e-5"),
        (Name.LEARNING_RATE, {"changes": {"learning_rate": 1e-6}}, "learning_rate", "5e-5"),
        (
            Name.EPOCHS,
            {"changes": {"num_train_epochs": 40, "early_stopping_patience": 0}},
            "num_train_epochs",
            "5",
        ),
        (Name.PRECISION, {"changes": {"bf16": True}}, "bf16", "auto"),
        (Name.MEMORY, {"ground": replace(HERE, device=SMALL)}, "gradient_checkpointing", "true"),
        (
            Name.MEMORY,
            {"ground": replace(HERE, device=replace(SMALL, memory=GB // 4), is_sure=False)},
            "gradient_checkpointing",
            "true",
        ),
        (Name.DISK, {"ground": replace(HERE, free_disk=CHECKPOINTS * 11 // 10)}, "save_total_limit", "2"),
    ],
)
def test_each_warning_stands_alone_says_what_helps_and_offers_the_field(
    name: Name, changed: dict[str, Any], field: str | None, value: str | None
) -> None:
    facts = facts_of(**changed)
    assert levels(facts, Level.ERROR) == {}
    warnings = levels(facts, Level.WARNING)
    assert set(warnings) == {name}
    change = warnings[name].change
    assert (change.field, change.value) == (field, value) if change else field is None
    assert warnings[name].helps


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [
        (Name.MASK_CHECK, {"passed": None}, None),
        (Name.MASK_CHECK, {"passed": False}, "override_reason"),
        (Name.CONFIRMED, {"confirmed": False}, "confirmed"),
        (Name.TEMPLATE, {"told": {"longest": 9000}}, "max_length"),
        (Name.CONFIG, {"changes": {"lora_r": 0}}, "lora_r"),
        (
            Name.MEMORY,
            {"ground": replace(HERE, device=replace(SMALL, memory=GB // 4))},
            "per_device_train_batch_size",
        ),
        (Name.DISK, {"ground": replace(HERE, free_disk=CHECKPOINTS // 2)}, "save_total_limit"),
    ],
)
def test_errors_name_what_they_are_about(name: Name, changed: dict[str, Any], field: str | None) -> None:
    errors = levels(facts_of(**changed), Level.ERROR)
    assert {one: item.field for one, item in errors.items()} == {name: field}


def test_advice_is_no_warning() -> None:
    """Somewhat too high, somewhat too long, tight: said elsewhere, and nothing to accept."""
    asked = {"learning_rate": 2e-4, "num_train_epochs": 9, "lora_dropout": 0.0, "lora_r": 8, "lora_alpha": 64}
    facts = facts_of(changes=asked)
    assert len(facts.plan.advice) > 2
    assert levels(facts, Level.WARNING) == {}
    # An early stop, or a time budget, keeps many epochs from being learnt by heart.
    for kept in ({"early_stopping_patience": 3}, {"max_train_minutes": 10, "early_stopping_patience": 0}):
        assert levels(facts_of(changes={"num_train_epochs": 90, **kept}), Level.WARNING) == {}


def test_what_nobody_looked_at_has_no_item() -> None:
    names = {item.name for item in preflight(facts_of(ground=UNSEEN, confirmed=None))}
    assert names.isdisjoint({Name.CONFIRMED, Name.APPROVALS, Name.PRECISION, Name.DISK})
    assert {Name.MASK_CHECK, Name.LEAK, Name.HELD_OUT} <= names


def test_a_check_that_nobody_asked_for_refuses() -> None:
    facts = replace(facts_of(), check=None, job=None)
    assert set(levels(facts, Level.ERROR)) == {Name.MASK_CHECK}
    assert Name.LEAK not in {item.name for item in preflight(facts)}


@pytest.mark.parametrize(
    ("steps", "changes", "said"),
    [
        (1, {"warmup_steps": 1}, "The only step is warm-up, so its learning rate is 0"),
        (3, {"warmup_steps": 10, "learning_rate": 2e-4}, "gets no further than 4e-5 of 2e-4"),
        (3, {"warmup_steps": 3}, "All 3 steps are warm-up, for which 3 are set"),
        # A share leaves a step at least, and what has no warm-up takes none.
        (1, {}, None),
        (2, {"warmup_ratio": 0.5}, None),
        (3, {"warmup_steps": 2}, None),
        (3, {"warmup_steps": 10, "lr_scheduler_type": "constant"}, None),
    ],
)
def test_a_run_that_is_all_warm_up_is_warned_of(
    steps: int, changes: dict[str, object], said: str | None
) -> None:
    found = levels(facts_of(changes={"max_steps": steps, **changes}), Level.WARNING).get(Name.WARM_UP)
    assert (found is None) == (said is None)
    if found is not None and said is not None:
        assert said in found.sentence.english()
        assert found.change == Change("warmup_steps", "0")
