"""What came of a recipe: how many runs used it, and the best of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import JSON, type_coerce
from sqlmodel import Session, col, select

from app.runs.judging import Judging, Verdict
from app.runs.models import Run


@dataclass(frozen=True)
class Use:
    """`runs` that named it; the best of them by its held-out loss in nats, None where none has one, and what was judged of it."""

    runs: int = 0
    best_run_id: int | None = None
    best_eval_loss: float | None = None
    verdict: Verdict | None = None


# An own recipe by its row, whatever it was called then; a built-in one by its name.
_Key = int | str


def uses_of(session: Session, judging: Judging, recipes: Sequence[_Key]) -> dict[_Key, Use]:
    """By id of an own recipe, or name of a built-in one."""
    loss = type_coerce(col(Run.result), JSON)["eval_loss"].as_float()
    counts: dict[_Key, int] = {}
    best: dict[_Key, tuple[float, int]] = {}
    for run_id, recipe_id, name, reached in session.execute(select(Run.id, Run.recipe_id, Run.recipe, loss)):
        key: _Key = name if recipe_id is None else recipe_id
        counts[key] = counts.get(key, 0) + 1
        if reached is not None and (key not in best or reached < best[key][0]):
            best[key] = (reached, run_id)
    verdicts = judging.verdicts(session, [best[key][1] for key in recipes if key in best])
    found = {}
    for key in recipes:
        reached, run_id = best.get(key) or (None, None)
        found[key] = Use(counts.get(key, 0), run_id, reached, verdicts.get(run_id) if run_id else None)
    return found
