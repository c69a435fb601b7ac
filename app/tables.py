"""Imports every module with tables, so that metadata is complete for migrations and tests."""

from sqlmodel import SQLModel

import app.accounts.models
import app.base_models.models
import app.conversations.models
import app.datasets.models
import app.evaluations.models
import app.exports.models
import app.imports.models
import app.jobs.models
import app.mask_checks.models
import app.notices.models
import app.recipes.models
import app.runs.models
import app.runs.sweeps.models
import app.runs.tracking
import app.versions.models  # noqa: F401

metadata = SQLModel.metadata
