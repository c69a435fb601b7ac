"""The part of a training config that says how much of a second dataset is mixed in, and in which order it is trained.

Which dataset that is, a run says when it starts: a recipe serves any.
"""

from typing import Final, Literal

from pydantic import BaseModel

from app.recipes.setting import Section, setting
from app.sentences import N_

CURRICULUM: Final = "curriculum"


class MixingFields(BaseModel):
    """Without a second dataset they change nothing."""

    mix_share: float = setting(
        0.3,
        N_("Share mixed in"),
        N_(
            "Of all conversations that are trained, this share comes from the second dataset, which keeps general ability: "
            "0.3 beside 0.7 of the domain is usual. Where it has too few, they are trained again."
        ),
        Section.MIXING,
        ge=0.01,
        le=0.9,
    )
    mix_order: Literal["mixed", "curriculum"] = setting(
        "mixed",
        N_("Training order"),
        N_(
            "mixed shuffles both datasets together; curriculum trains all epochs of the second one first, then the domain's."
        ),
        Section.MIXING,
    )
