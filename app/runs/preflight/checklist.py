"""All items in their order. Pure: what was gathered in, the list out."""

from app.runs.preflight.data import data_items
from app.runs.preflight.facts import Facts
from app.runs.preflight.items import Item, Name
from app.runs.preflight.machine import machine_items
from app.runs.preflight.model import model_items
from app.runs.preflight.settings import evaluation_item, setting_items

_ORDER = {name: place for place, name in enumerate(Name)}


def preflight(facts: Facts) -> list[Item]:
    """What stands against the start, and what does not."""
    items = [
        *data_items(facts),
        *model_items(facts),
        *setting_items(facts),
        *machine_items(facts),
        evaluation_item(facts),
    ]
    return sorted(items, key=lambda one: _ORDER[one.name])
