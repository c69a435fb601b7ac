"""The page to try a run: base and tuned side by side."""

from fastapi import Request
from fastapi.responses import HTMLResponse

from app.accounts.access import needs
from app.accounts.permissions import Permission
from app.core.routing import Router
from app.core.templating import render
from app.core.web import Db
from app.playground.service import LONGEST_ANSWER
from app.runs.service import list_runs

router = Router(include_in_schema=False)


@router.get("/playground")
@needs(Permission.PLAYGROUND_USE)
def playground_page(request: Request, session: Db, run: int | None = None) -> HTMLResponse:
    """Chat with both models; the newest finished run unless another is named."""
    finished = [
        (item.id, f"#{item.id} {item.name}")
        for item, _job in list_runs(session, limit=200)
        if item.adapter_key
    ]
    known = {item for item, _label in finished}
    chosen = run if run in known else (finished[0][0] if finished else None)
    context = {"runs": finished, "run_id": chosen, "max_new_tokens": LONGEST_ANSWER}
    return render(request, "playground/page.html", context)
