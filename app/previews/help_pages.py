"""The page that explains masks, in pictures made of the preview's own markup over real samples."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.i18n import get_locale, gettext, say, translate
from app.core.routing import Router
from app.core.templating import render
from app.mask_checks.check_texts import CHECK_LABELS, CHECK_MEANINGS, CHECK_REMEDIES
from app.mask_settings.words import words_of
from app.masking import CHECK_NAMES
from app.previews.check_pictures import check_pictures
from app.previews.pictures import PICTURES
from app.sentences import N_, Sentence

router = Router(include_in_schema=False)
# As the masking itself says it.
_REFUSAL = N_(
    "The chat template %(template)s writes turn %(turn)d into the turn before it; join the two turns."
)


@router.get("/help/masking")
@needs(Permission.MASK_PREVIEW)
def masking_help(
    request: Request,
) -> HTMLResponse:
    """What a loss mask is, how to read the preview, and what each check means."""
    pictures = PICTURES[get_locale()]
    labels = {name: gettext(label) for name, label in CHECK_LABELS.items()}
    context: dict[str, Any] = {
        "pictures": pictures,
        "check_pictures": check_pictures(get_locale()),
        "strategies": words_of("train_on"),
        "handlings": words_of("handling"),
        "checks": [(name, labels[name]) for name in CHECK_NAMES],
        "meanings": {name: gettext(text) for name, text in CHECK_MEANINGS.items()},
        "remedies": {name: gettext(text) for name, text in CHECK_REMEDIES.items()},
        "red_checks": [
            {
                "passed": check["passed"],
                "label": labels[check["name"]],
                "detail": say(Sentence.from_json(check["sentence"])),
            }
            for check in pictures["red"].samples[0].checks
        ],
        "refusal": translate(_REFUSAL, {"template": "example", "turn": 2}),
    }
    return render(request, "previews/help/page.html", context)
