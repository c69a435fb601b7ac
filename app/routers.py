"""The list of all routers, REST and pages. A new domain adds its two lines here."""

from typing import Final

from fastapi import APIRouter

from app.accounts import pages as accounts_pages
from app.base_models import api as base_models_api
from app.conversations import api as conversations_api
from app.conversations import pages as conversations_pages
from app.datasets import api as datasets_api
from app.datasets import pages as datasets_pages
from app.evaluations import api as evaluations_api
from app.jobs import api as jobs_api
from app.playground import api as playground_api
from app.previews import api as previews_api
from app.runs import api as runs_api

API: Final[tuple[APIRouter, ...]] = (
    jobs_api.router,
    datasets_api.router,
    conversations_api.router,
    base_models_api.router,
    previews_api.router,
    runs_api.router,
    evaluations_api.router,
    playground_api.router,
)
PAGES: Final[tuple[APIRouter, ...]] = (
    accounts_pages.router,
    datasets_pages.router,
    conversations_pages.router,
)
ALL: Final = (*API, *PAGES)
