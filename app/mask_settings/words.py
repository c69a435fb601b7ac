"""The mask settings in words, for forms and the help page."""

from typing import Final

from app.masking import Handling, TrainOn
from app.sentences import N_

STRATEGIES: Final = {
    TrainOn.ASSISTANT: N_("Every assistant turn"),
    TrainOn.LAST_ASSISTANT: N_("Last assistant turn only"),
    TrainOn.CONTENT: N_("All text, no template tokens (experimental)"),
    TrainOn.ALL: N_("Everything, no mask (not recommended)"),
}
HANDLINGS: Final = {
    Handling.WHOLE: N_("Whole conversation"),
    Handling.PER_TURN: N_("One sample per assistant turn"),
    Handling.SLIDING_WINDOW: N_("Sliding windows"),
}
