"""The part of the client that starts and follows sweeps."""

from typing import Any

from app.client.speaking import Connection, once
from app.runs.sweeps.schemas import SweepOut, SweepPlanOut
from app.runs.sweeps.service import HowToStop

_PATH = "/api/v1/sweeps"


class SweepClient(Connection):
    """What the server can be asked of sweeps."""

    def sweeps(self) -> list[SweepOut]:
        """The newest ones."""
        return self._all(SweepOut, "GET", _PATH)

    def sweep(self, sweep_id: int) -> SweepOut:
        """One sweep with its runs."""
        return self._one(SweepOut, "GET", f"{_PATH}/{sweep_id}")

    def plan_sweep(self, body: dict[str, Any]) -> SweepPlanOut:
        """What the runs would be and take together; starts nothing."""
        return self._one(SweepPlanOut, "POST", f"{_PATH}/plan", json=body, repeatable=True)

    def start_sweep(self, body: dict[str, Any], idempotency_key: str) -> SweepOut:
        """Start all its runs; the same key again gives the first sweep."""
        headers = once(idempotency_key)
        return self._one(SweepOut, "POST", _PATH, json=body, headers=headers, repeatable=True)

    def rename_sweep(self, sweep_id: int, name: str) -> SweepOut:
        """Give it another name."""
        return self._one(SweepOut, "PATCH", f"{_PATH}/{sweep_id}", json={"name": name})

    def stop_sweep(self, sweep_id: int, how: HowToStop | None) -> SweepOut:
        """Cancel the runs that wait, and with `how` end the others."""
        params = {} if how is None else {"how": how}
        return self._one(SweepOut, "POST", f"{_PATH}/{sweep_id}/stop", params=params)
