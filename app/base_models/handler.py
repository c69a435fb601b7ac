"""The job that prepares a base model."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlmodel import Session

from app.base_models.facts import ModelFacts
from app.base_models.service import TOKENIZER_ONLY, prepared, require_base_model, tokenizer_prepared
from app.core.storage import StoredFile
from app.jobs.handlers import JobHandler, Workplace
from app.jobs.service import Claim


class PrepareBaseModel(JobHandler):
    """Fetches or converts the model into a plain safetensors folder."""

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> dict[str, Any]:
        """Where the model comes from."""
        model = require_base_model(session, claim.payload["base_model_id"])
        asked = {"source": model.source.value, "reference": model.reference, "revision": model.revision}
        return {**asked, TOKENIZER_ONLY: True} if claim.payload.get(TOKENIZER_ONLY) else asked

    def publish(
        self,
        session: Session,
        place: Workplace,
        claim: Claim,
        result: dict[str, Any],
        files: Sequence[StoredFile],
    ) -> None:
        """The model is ready at the path that the child wrote."""
        path, revision = Path(result["path"]), result.get("revision")
        absolute = path if path.is_absolute() else place.output_dir / path
        model_id = claim.payload["base_model_id"]
        if claim.payload.get(TOKENIZER_ONLY):
            model = tokenizer_prepared(session, model_id, path=str(absolute), revision=revision)
            absolute = model.tokenizer_folder or absolute
        else:
            model = prepared(
                session, model_id, path=str(absolute), info=ModelFacts.stored(result), revision=revision
            )
        link_by_reference(place.settings.data_dir.resolve() / "models", model.reference, absolute)


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
