"""How many previews are made at a time. Apart, since the web server sets connections aside for them before it loads anything else."""

from typing import Final

from app.core.slow_work import Bounds
from app.sentences import N_

# Four processes render templates; two of them for one person leave two for the others.
PREVIEWS: Final = Bounds(
    at_once=4,
    each=2,
    asked=8,
    seconds=30,
    too_many=N_("You have asked for many previews at once. Wait until some of them are there."),
    too_long=N_("Previews take long at this moment. Try again in a few seconds."),
)
