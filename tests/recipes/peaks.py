"""Peaks of memory that real runs of the bundled model had, noted beside what they were runs of: `make memory` measures anew."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from app.base_models.facts import ModelFacts

FILE: Final = Path(__file__).parent / "peaks.json"
# As a share of the peak.
CLOSE_ENOUGH: Final = 0.15
# What every one of these runs has otherwise than the recipe "standard".
SHORT: Final[dict[str, Any]] = {
    "max_steps": 2,
    "early_stopping_patience": 0,
    "bf16": False,
    "gradient_accumulation_steps": 1,
    "sample_count": 0,
}


@dataclass(frozen=True)
class Peak:
    """`measured` bytes of all processes of a run with `changes` to the recipe, on samples that all have `length` tokens."""

    changes: dict[str, Any]
    batch: int
    length: int
    cores: int
    measured: int

    @property
    def name(self) -> str:
        """What makes it another run than the others."""
        own = {key: value for key, value in self.changes.items() if value != SHORT.get(key)}
        return f"{own} × {self.length}, {self.cores} cores"


def noted() -> tuple[ModelFacts, list[Peak]]:
    """The bundled model's facts, and all peaks that were noted."""
    document = json.loads(FILE.read_text("utf-8"))
    return ModelFacts.stored(document["facts"]), [Peak(**one) for one in document["peaks"]]


def note_peak(facts: ModelFacts, peak: Peak) -> None:
    """Add it, in the place of the one of the same run."""
    known = {one.name: one for one in noted()[1]} if FILE.is_file() else {}
    known[peak.name] = peak
    kept = ("parameters", "vocabulary", "layers")
    document = {
        "facts": {name: value for name, value in facts.to_json().items() if name in kept},
        "peaks": [asdict(known[name]) for name in sorted(known)],
    }
    FILE.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
