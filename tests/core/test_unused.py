"""Nothing stays that nobody calls: functions, classes, methods and imports by vulture, names in templates counted."""

import re
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[2]
KINDS = {"function", "class", "method", "property", "import", "unreachable_code"}
# Called by the library whose class or decorator they stand under.
CALLED_BY_LIBRARIES = {
    "capture_signals", "writable", "_get", "process_bind_param", "process_result_value",  # uvicorn, io, kombu, SQLAlchemy
    "on_train_begin", "on_train_end", "on_step_begin", "on_step_end", "on_substep_end", "on_log",
    "on_prediction_step", "on_evaluate", "on_save", "find_spec", "on_pre_optimizer_step",
    "get_train_dataloader", "compute_loss", "evaluate", "_get_num_items_in_batch", "_save_checkpoint",
    "_load_from_checkpoint", "_load_optimizer_and_scheduler", "_load_rng_state", "_load_callback_state",
    "_to_string",  # llvmlite
}  # fmt: skip
# Kept for tests, which have no other way to see what they prove.
FOR_TESTS = {"process_id", "reachable", "render_with_generation_blocks"}
REGISTERED = [
    "@router.*", "@pages.*", "@api.*", "@app.command*", "@*.connect", "@*.listens_for",
    "@field_validator", "@model_validator", "@field_serializer", "@computed_field",
]  # fmt: skip
SHORTEST_SUSPICION = 60  # percent, as vulture counts


def _words_of_templates() -> set[str]:
    files = (ROOT / "templates").rglob("*.html")
    return {word for path in files for word in re.findall(r"[A-Za-z_]\w+", path.read_text(encoding="utf-8"))}


def test_nothing_is_defined_that_nobody_uses() -> None:
    finder = Vulture(ignore_decorators=REGISTERED)
    finder.scavenge([str(ROOT / folder) for folder in ("app", "worker")])
    used = _words_of_templates() | CALLED_BY_LIBRARIES | FOR_TESTS
    unused = [
        f"{Path(item.filename).relative_to(ROOT)}:{item.first_lineno} {item.typ} {item.name}"
        for item in finder.get_unused_code(min_confidence=SHORTEST_SUSPICION)
        if item.typ in KINDS and item.name not in used and not item.name.startswith("__")
    ]
    assert unused == []
