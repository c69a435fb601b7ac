"""The job that prepares a base model."""

from pathlib import Path
from typing import Any

from sqlmodel import Session

from app.base_models.service import prepared, require_base_model
from app.jobs.handlers import Workplace
from app.jobs.models import Job
from app.jobs.service import Claim


class PrepareBaseModel:
    """Fetches or converts the model into a plain safetensors folder."""

    def child_input(self, session: Session, place: Workplace, claim: Claim) -> dict[str, Any]:
        """Where the model comes from."""
        model = require_base_model(session, claim.payload["base_model_id"])
        return {"source": model.source.value, "reference": model.reference, "revision": model.revision}

    def publish(self, session: Session, place: Workplace, claim: Claim, result: dict[str, Any]) -> list[Job]:
        """The model is ready at the path that the child wrote."""
        info = dict(result)
        path = Path(info.pop("path"))
        absolute = path if path.is_absolute() else place.output_dir / path
        prepared(session, claim.payload["base_model_id"], path=str(absolute), info=info)
        return []
