"""The job that prepares a base model."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from sqlmodel import Session

from app.base_models.facts import ModelFacts
from app.base_models.models import BaseModelSource
from app.base_models.removal import LINKS
from app.base_models.service import prepared, require_base_model, tokenizer_prepared
from app.base_models.work import PreparedModel, PrepareInput, PreparePayload
from app.core.storage import StoredFile
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.service import Claim


class PrepareBaseModel(JobHandler[PreparedModel]):
    """Fetches or converts the model into a plain safetensors folder."""

    result_model = PreparedModel

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> PrepareInput:
        """Where the model comes from."""
        asked = claim.asked(PreparePayload)
        model = require_base_model(session, asked.base_model_id)
        from_run = model.source is BaseModelSource.RUN
        return PrepareInput(
            source=(BaseModelSource.LOCAL if from_run else model.source).value,
            reference=str(place.storage.path(model.reference)) if from_run else model.reference,
            revision=model.revision,
            tokenizer_only=asked.tokenizer_only,
        )

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: PreparedModel,
        files: Sequence[StoredFile],
    ) -> None:
        """The model is ready at the path that the child wrote."""
        path, asked = Path(result.path), claim.asked(PreparePayload)
        absolute = path if path.is_absolute() else place.output_dir / path
        if asked.tokenizer_only:
            model = tokenizer_prepared(
                session, asked.base_model_id, path=str(absolute), revision=result.revision
            )
            absolute = model.tokenizer_folder or absolute
        else:
            model = prepared(
                session,
                asked.base_model_id,
                path=str(absolute),
                info=result.facts or ModelFacts(),
                revision=result.revision,
            )
        link_by_reference(place.settings.data_dir.resolve() / LINKS, model.reference, absolute)


def link_by_reference(folder: Path, reference: str, target: Path) -> None:
    """A link named after the model, by which `sft-studio masks --model` finds it without a database."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "--", reference).strip("-.")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = folder / f".{name}.{os.getpid()}"
    fresh.unlink(missing_ok=True)
    # Within the data folder a relative one: that folder may move.
    if target.is_relative_to(folder.parent):
        target = Path(os.path.relpath(target, folder))
    fresh.symlink_to(target, target_is_directory=True)
    fresh.replace(folder / name)
