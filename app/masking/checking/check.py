"""One check of a sample: its name, and what was found."""

from dataclasses import dataclass

from app.sentences import Sentence

TRAINED_TEXT = "trained_text"
PEOPLE_SKIPPED = "people_skipped"
TEMPLATE_SKIPPED = "template_skipped"
END_OF_TURN = "end_of_turn"
MODEL_IDS = "model_ids"
CONTROL_TOKENS = "control_tokens"
CUTS_REPORTED = "cuts_reported"
TRAINS_SOMETHING = "trains_something"
CARRIED = "carried"
CHECK_NAMES = (
    TRAINED_TEXT,
    PEOPLE_SKIPPED,
    TEMPLATE_SKIPPED,
    END_OF_TURN,
    MODEL_IDS,
    CONTROL_TOKENS,
    CUTS_REPORTED,
    TRAINS_SOMETHING,
    CARRIED,
)


@dataclass(frozen=True)
class Check:
    """What was found; `token` is the index of the first token concerned, if any."""

    name: str
    passed: bool
    sentence: Sentence
    token: int | None = None

    @property
    def detail(self) -> str:
        """The sentence in English."""
        return self.sentence.english()


def passed(name: str, message: str, **params: object) -> Check:
    """A green one; `message` is an English template, `params` its values."""
    return Check(name, True, Sentence.of(message, **params))


def failed(name: str, message: str, at: int | None = None, /, **params: object) -> Check:
    """A red one; `at` is the index of the first token concerned."""
    return Check(name, False, Sentence.of(message, **params), at)
