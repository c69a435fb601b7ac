"""All items in their order. Pure: what was gathered in, the list out."""

from dataclasses import replace
from typing import Final

from app.core.i18n import say
from app.runs.preflight.data import checked_items, data_items
from app.runs.preflight.facts import Facts
from app.runs.preflight.items import GRAVEST_FIRST, Item, Level, Name
from app.runs.preflight.machine import machine_items
from app.runs.preflight.model import model_items, rendered_items
from app.runs.preflight.settings import evaluation_item, setting_items
from app.sentences import N_, Sentence

_ORDER: Final = {name: place for place, name in enumerate(Name)}
_OF_MIXED: Final = N_("That is so of the dataset that is mixed in.")
_HELPS_MIXED: Final = N_("That is so of the dataset that is mixed in. %(helps)s")

_HELPS_BOTH: Final = N_("%(helps)s The dataset that is mixed in: %(other)s")


def preflight(facts: Facts) -> list[Item]:
    """What stands against the start, and what does not."""
    items = [
        *_of_datasets(facts),
        *data_items(facts),
        *model_items(facts),
        *setting_items(facts),
        *machine_items(facts),
        evaluation_item(facts),
    ]
    return sorted(items, key=lambda one: _ORDER[one.name])


def _of_datasets(facts: Facts) -> list[Item]:
    """What is looked at in the dataset and in the one that is mixed in: each item once, as it stands worse."""
    found = {one.name: one for one in (*checked_items(facts), *rendered_items(facts))}
    if facts.mixed_in is not None:
        for item in (*checked_items(facts.mixed_in), *rendered_items(facts.mixed_in)):
            known = found.get(item.name)
            if known is None or _is_graver(item, known):
                found[item.name] = item if item.level is Level.OK else _said_of_mixed(item)
            elif item.level is known.level is not Level.OK:
                found[item.name] = _said_of_both(known, item)
    return list(found.values())


def _is_graver(one: Item, other: Item) -> bool:
    return GRAVEST_FIRST.index(one.level) < GRAVEST_FIRST.index(other.level)


def _said_of_mixed(item: Item) -> Item:
    field = "mix_check_id" if item.field == "mask_check_id" else item.field
    helps = Sentence.of(_HELPS_MIXED, helps=say(item.helps)) if item.helps else Sentence(_OF_MIXED)
    return replace(item, helps=helps, field=field)


def _said_of_both(known: Item, mixed: Item) -> Item:
    helps = say(known.helps) if known.helps else ""
    return replace(known, helps=Sentence.of(_HELPS_BOTH, helps=helps, other=say(mixed.sentence)))
