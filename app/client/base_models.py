"""The part of the client that has base models prepared, and takes them away."""

from app.base_models.schemas import BaseModelOut
from app.client.speaking import Connection

_PATH = "/api/v1/base-models"


class BaseModelClient(Connection):
    """What the server can be asked of base models."""

    def base_models(self) -> list[BaseModelOut]:
        """All base models."""
        return self._all(BaseModelOut, "GET", _PATH)

    def base_model(self, base_model_id: int) -> BaseModelOut:
        """One base model."""
        return self._one(BaseModelOut, "GET", f"{_PATH}/{base_model_id}")

    def add_base_model(
        self, source: str, reference: str, *, name: str = "", revision: str | None = None
    ) -> BaseModelOut:
        """Register a model and begin to prepare it; registering it again is harmless."""
        body = {"source": source, "reference": reference, "name": name, "revision": revision}
        return self._one(BaseModelOut, "POST", _PATH, json=body, repeatable=True)

    def retry_base_model(self, base_model_id: int) -> BaseModelOut:
        """Prepare a model again whose preparation failed; any other is left as it is."""
        return self._one(BaseModelOut, "POST", f"{_PATH}/{base_model_id}/retry", repeatable=True)

    def use_run_as_base(self, run_id: int, *, name: str = "") -> BaseModelOut:
        """Register the model of a full fine-tune and begin to prepare it; registering it again is harmless."""
        path = f"/api/v1/runs/{run_id}/base-model"
        return self._one(BaseModelOut, "POST", path, json={"name": name}, repeatable=True)

    def remove_base_model(self, base_model_id: int) -> None:
        """Remove one with its files. The server refuses while it is prepared, and where something was made with it."""
        self._ask("DELETE", f"{_PATH}/{base_model_id}")
