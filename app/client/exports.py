"""The part of the client that has a run's files made, fetches them, and has them pushed."""

from collections.abc import Callable

from app.client.speaking import Connection
from app.exports.schemas import ExportKindOut, ExportOut, PushOut


class ExportClient(Connection):
    """What the server can be asked of exports."""

    def export_kinds(self) -> list[ExportKindOut]:
        """What a run can be exported as."""
        return self._all(ExportKindOut, "GET", "/api/v1/export-kinds")

    def start_export(self, run_id: int, kind: str, choices: dict[str, str]) -> ExportOut:
        """Have a run's files of a kind made."""
        body = {"kind": kind, "choices": choices}
        path = f"/api/v1/runs/{run_id}/exports"
        return self._one(ExportOut, "POST", path, json=body, repeatable=True)

    def export(self, export_id: int) -> ExportOut:
        """One export."""
        return self._one(ExportOut, "GET", f"/api/v1/exports/{export_id}")

    def exports(self, run_id: int) -> list[ExportOut]:
        """Those of a run, newest first."""
        return self._all(ExportOut, "GET", f"/api/v1/runs/{run_id}/exports")

    def stop_export(self, export_id: int) -> ExportOut:
        """Cancel one that is being made."""
        return self._one(ExportOut, "POST", f"/api/v1/exports/{export_id}/stop")

    def delete_export(self, export_id: int) -> None:
        """Remove one with its files."""
        self._ask("DELETE", f"/api/v1/exports/{export_id}")

    def export_file(self, export_id: int, file_id: int, write: Callable[[bytes], object]) -> None:
        """The bytes of a file of an export, as they come."""
        self._download(f"/api/v1/exports/{export_id}/files/{file_id}/content", write)

    def start_push(self, export_id: int, repository: str, *, private: bool) -> PushOut:
        """Have the server push an export to a hub."""
        body = {"repository": repository, "private": private}
        path = f"/api/v1/exports/{export_id}/pushes"
        return self._one(PushOut, "POST", path, json=body, repeatable=True)

    def push(self, push_id: int) -> PushOut:
        """One push."""
        return self._one(PushOut, "GET", f"/api/v1/pushes/{push_id}")
