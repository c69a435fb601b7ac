"""The part of a training config that says which prompts are answered while it trains."""

from typing import Final

from pydantic import BaseModel, field_validator

from app.recipes.setting import Section, setting
from app.sentences import N_

MOST_PROMPTS: Final = 16


class SamplingFields(BaseModel):
    """Greedy answers, so that a person reads what the model has come to say; they change no number of the run."""

    sample_count: int = setting(
        3,
        N_("Sample answers"),
        N_(
            "So many held-out prompts are answered at every measurement, to be read beside the curve; without held-out "
            "conversations, prompts of the sales suite. 0: none."
        ),
        Section.WATCHING,
        unit=N_("prompts"),
        ge=0,
        le=16,
    )
    sample_prompts: str = setting(
        "",
        N_("Own sample prompts"),
        N_("Asked instead of the held-out ones: one a line, at most 16."),
        Section.WATCHING,
        max_length=4000,
    )

    @field_validator("sample_prompts")
    @classmethod
    def _few_prompts(cls, value: str) -> str:
        lines = [line.strip() for line in value.splitlines() if line.strip()]
        if len(lines) > MOST_PROMPTS:
            raise ValueError(N_("sample_prompts must be at most 16 lines, a prompt each."))
        return "\n".join(lines)
