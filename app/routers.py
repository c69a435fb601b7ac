"""The routers of all domains but accounts, REST and pages. A new domain adds its two lines here."""

from typing import Final

from app.base_models import api as base_models_api
from app.base_models import pages as base_models_pages
from app.checklists import api as checklists_api
from app.checklists import pages as checklists_pages
from app.conversations import api as conversations_api
from app.conversations import comment_api, comment_pages, list_api, review_pages, revision_pages, turn_pages
from app.conversations import pages as conversations_pages
from app.core.routing import Router
from app.curation import api as curation_api
from app.curation import pages as curation_pages
from app.curation import people_pages as dataset_people_pages
from app.curation import settings_pages, version_pages
from app.erasure import api as erasure_api
from app.erasure import pages as erasure_pages
from app.evaluations import api as evaluations_api
from app.evaluations import pages as evaluations_pages
from app.exports import api as exports_api
from app.exports import pages as exports_pages
from app.gates import api as gates_api
from app.gates import pages as gates_pages
from app.gates import sweep_api as sweep_gates_api
from app.gates import sweep_pages as sweep_gates_pages
from app.imports import api as imports_api
from app.imports import mapping_api, mapping_pages, report_pages
from app.imports import pages as imports_pages
from app.jobs import api as jobs_api
from app.mask_checks import api as mask_checks_api
from app.mask_checks import pages as mask_checks_pages
from app.notices import api as notices_api
from app.notices import pages as notices_pages
from app.notices import webhook_pages
from app.playground import api as playground_api
from app.playground import pages as playground_pages
from app.previews import api as previews_api
from app.previews import bring_pages, frozen_pages, help_pages, suspect_pages
from app.previews import pages as previews_pages
from app.queue import api as queue_api
from app.queue import pages as queue_pages
from app.recipe_book import api as recipe_api
from app.recipe_book import pages as recipe_pages
from app.runs import api as runs_api
from app.runs import (
    as_base_pages,
    checkpoint_api,
    checkpoint_pages,
    compare_pages,
    config_pages,
    form_check_pages,
    new_run_pages,
    onward_pages,
    plan_api,
    tracking_pages,
)
from app.runs import pages as runs_pages
from app.runs.sweeps import api as sweeps_api
from app.runs.sweeps import pages as sweeps_pages
from app.versions import api as versions_api
from app.versions import export_api, export_pages

API: Final[tuple[Router, ...]] = (
    jobs_api.router,
    curation_api.router,
    imports_api.router,
    mapping_api.router,
    list_api.router,
    versions_api.router,
    export_api.router,
    conversations_api.router,
    comment_api.router,
    base_models_api.router,
    previews_api.router,
    mask_checks_api.router,
    runs_api.router,
    plan_api.router,
    sweeps_api.router,
    checkpoint_api.router,
    queue_api.router,
    notices_api.router,
    recipe_api.router,
    evaluations_api.router,
    gates_api.router,
    sweep_gates_api.router,
    checklists_api.router,
    exports_api.router,
    playground_api.router,
    erasure_api.router,
)
PAGES: Final[tuple[Router, ...]] = (
    curation_pages.router,
    version_pages.router,
    dataset_people_pages.router,
    imports_pages.router,
    report_pages.router,
    mapping_pages.router,
    export_pages.router,
    settings_pages.router,
    conversations_pages.router,
    turn_pages.router,
    review_pages.router,
    revision_pages.router,
    comment_pages.router,
    evaluations_pages.router,
    playground_pages.router,
    base_models_pages.router,
    new_run_pages.router,
    config_pages.router,
    form_check_pages.router,
    recipe_pages.router,
    compare_pages.router,
    checkpoint_pages.router,
    as_base_pages.router,
    tracking_pages.router,
    gates_pages.router,
    sweep_gates_pages.router,
    checklists_pages.router,
    runs_pages.router,
    onward_pages.router,
    sweeps_pages.router,
    queue_pages.router,
    notices_pages.router,
    webhook_pages.router,
    exports_pages.router,
    mask_checks_pages.router,
    suspect_pages.router,
    previews_pages.router,
    bring_pages.router,
    help_pages.router,
    frozen_pages.router,
    erasure_pages.router,
)
ALL: Final = (*API, *PAGES)
