"""One key, one start: what is told again under the same key is answered by what it started, and nothing else is."""

import hashlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from app.core.errors import Invalid
from app.core.i18n import say
from app.recipes.axes import Axis
from app.sentences import N_, Sentence

if TYPE_CHECKING:
    from app.runs.service import RunRequest

_OTHER_RUN: Final = N_(
    "Run %(id)d was started with this idempotency key, and with other settings than these. Take another key for another run."
)
_OTHER_SWEEP: Final = N_(
    "Sweep %(id)d was started with this idempotency key, and with other settings than these. Take another key for another "
    "sweep."
)
_OTHER_RUN_ON_A_FORM: Final = N_(
    "This form has started run %(id)d already, with other settings than these. Start again to have another run."
)
_OTHER_SWEEP_ON_A_FORM: Final = N_(
    "This form has started sweep %(id)d already, with other settings than these. Start again to have another sweep."
)


class KeyTaken(Invalid):
    """The key has started something else."""

    def __init__(self, template: str, on_a_form: str, number: int) -> None:
        super().__init__(template, id=number)
        self._on_a_form = Sentence.of(on_a_form, id=number)

    def on_a_form(self) -> str:
        """The same for people, who were never told of a key."""
        return say(self._on_a_form)


def require_same_run(told: str | None, request: "RunRequest", run_id: int) -> None:
    """Raises KeyTaken where the key of the run `run_id` comes with another request; `told` is the fingerprint that it was
    started by, None of runs from before that was kept."""
    if told is not None and told != fingerprint(request):
        raise KeyTaken(_OTHER_RUN, _OTHER_RUN_ON_A_FORM, run_id)


def require_same_sweep(told: str | None, request: "RunRequest", axes: Sequence[Axis], sweep_id: int) -> None:
    """The same of sweeps."""
    if told is not None and told != fingerprint(request, axes):
        raise KeyTaken(_OTHER_SWEEP, _OTHER_SWEEP_ON_A_FORM, sweep_id)


def fingerprint(request: "RunRequest", axes: Sequence[Axis] = ()) -> str:
    """sha256 of what a request asks for. What may differ when the same is asked once more is no part of it: the warnings that
    are accepted, and what only follows from the run that is made again or goes on."""
    again = request.again_of
    asked: dict[str, Any] = {
        "mask_check_id": request.mask_check_id,
        "mix_check_id": request.mix_check_id,
        "evaluate_with": list(request.evaluate_with),
        "device": request.device,
        "init_adapter": request.init_adapter,
        "axes": [[one.fields, one.values] for one in axes],
    }
    if again is None:
        asked |= {
            "recipe": request.recipe,
            "changes": dict(request.changes),
            "name": request.name.strip(),
            "override_reason": request.override_reason.strip(),
        }
    else:
        asked |= {"again_of": again.id}
        goes_on = request.begins is not None and request.begins.run_id == again.id
        if goes_on and request.begins is not None:
            asked |= {"how": request.begins.how, "step": request.begins.step}
            asked |= {"config": request.exactly.to_json() if request.exactly else None}
    text = json.dumps(asked, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
