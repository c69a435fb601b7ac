"""A server that keeps MLflow's documented REST contract, and fails on demand: for what a real one does not do when asked to.

That what is told is understood by MLflow itself is shown with the real one (`make trackers`).
"""

import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

LIMITS = {"metrics": 1000, "params": 100, "tags": 100}
MOST_BYTES = 2**20


class Wrong(Exception):
    """Answered with the error's code, as MLflow does."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(message or code)
        self.code, self.status = code, status


class MlflowServer(ThreadingHTTPServer):
    """`says` is what it answers instead of doing anything: status, content type, body. `loses_answers`: it does what it is
    asked and hangs up. `silent`: it never answers. `artifacts` is where its runs keep their files. `hides_experiments`: so often it knows
    of none, as before another caller made one.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.experiments: dict[str, dict[str, Any]] = {}
        self.runs: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.batches: list[dict[str, int]] = []
        self.says: tuple[int, str, bytes] | None = None
        self.loses_answers = self.hides_experiments = 0
        self.silent = threading.Event()
        self.over = threading.Event()
        self.artifacts = "mlflow-artifacts:/{experiment}/{run}/artifacts"

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def metrics(self, run: dict[str, Any]) -> dict[str, list[tuple[int, float]]]:
        """By name, steps and values in order of step."""
        found: dict[str, list[tuple[int, float]]] = {}
        for key, value, _at, step in sorted(run["metrics"], key=lambda one: (one[3], one[2])):
            found.setdefault(key, []).append((step, value))
        return found

    def only_run(self) -> dict[str, Any]:
        (run,) = self.runs.values()
        return run

    def do(self, path: str, asked: dict[str, Any]) -> dict[str, Any]:
        match path.removeprefix("/api/2.0/mlflow/"):
            case "experiments/get-by-name":
                return {"experiment": self._experiment(asked["experiment_name"])}
            case "experiments/create":
                if asked["name"] in self.experiments:
                    raise Wrong("RESOURCE_ALREADY_EXISTS")
                number = str(len(self.experiments) + 1)
                self.experiments[asked["name"]] = {"experiment_id": number, "lifecycle_stage": "active"}
                return {"experiment_id": number}
            case "runs/search":
                (key,) = re.findall(r"^tags\.`sft_studio\.key` = '(\w+)'$", asked["filter"])
                return {
                    "runs": [
                        {"info": run["info"]}
                        for run in self.runs.values()
                        if run["tags"].get("sft_studio.key") == key
                        and run["info"]["experiment_id"] in asked["experiment_ids"]
                    ][: asked["max_results"]]
                }
            case "runs/create":
                return {"run": {"info": self._create(asked)}}
            case "runs/get":
                return {"run": {"info": self._run(asked["run_id"])["info"]}}
            case "runs/update":
                self._run(asked["run_id"])["info"] |= {
                    "status": asked["status"],
                    "end_time": asked["end_time"],
                }
                return {}
            case "runs/log-batch":
                self._log(self._run(asked["run_id"]), asked)
                return {}
        raise Wrong("ENDPOINT_NOT_FOUND", path, 404)

    def _experiment(self, name: str) -> dict[str, Any]:
        if self.hides_experiments or name not in self.experiments:
            self.hides_experiments = max(0, self.hides_experiments - 1)
            raise Wrong("RESOURCE_DOES_NOT_EXIST", status=404)
        return self.experiments[name]

    def _create(self, asked: dict[str, Any]) -> dict[str, Any]:
        run_id = f"{len(self.runs) + 1:032x}"
        info = {
            "run_id": run_id,
            "experiment_id": asked["experiment_id"],
            "run_name": asked["run_name"],
            "start_time": asked["start_time"],
            "status": "RUNNING",
            "artifact_uri": self.artifacts.format(experiment=asked["experiment_id"], run=run_id),
        }
        tags = {one["key"]: one["value"] for one in asked["tags"]}
        self.runs[run_id] = {"info": info, "tags": tags, "params": {}, "metrics": set()}
        return info

    def _run(self, run_id: str) -> dict[str, Any]:
        if run_id not in self.runs:
            raise Wrong("RESOURCE_DOES_NOT_EXIST", f"Run with id={run_id} not found", 404)
        return self.runs[run_id]

    def _log(self, run: dict[str, Any], asked: dict[str, Any]) -> None:
        self.batches.append({name: len(asked.get(name, ())) for name in LIMITS})
        for name, most in LIMITS.items():
            if len(asked.get(name, ())) > most:
                raise Wrong("INVALID_PARAMETER_VALUE", f"at most {most} {name}")
        for one in asked.get("params", ()):
            if run["params"].setdefault(one["key"], one["value"]) != one["value"]:
                raise Wrong("INVALID_PARAMETER_VALUE", "Changing param values is not allowed")
            if len(one["value"]) > 6000:
                raise Wrong("INVALID_PARAMETER_VALUE", "param too long")
        for one in asked.get("metrics", ()):
            assert isinstance(one["timestamp"], int)
            assert math.isfinite(one["value"])
            assert re.fullmatch(r"[\w\-. :/]+", one["key"])
            run["metrics"].add((one["key"], one["value"], one["timestamp"], one["step"]))
        run["tags"] |= {one["key"]: one["value"] for one in asked.get("tags", ())}


class _Handler(BaseHTTPRequestHandler):
    server: MlflowServer
    protocol_version = "HTTP/1.1"

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = urlsplit(self.path)
        self.server.asked.append((self.command, parts.path))
        self.server.headers.append(dict(self.headers))
        if self.server.silent.is_set():
            self._drip()
            return
        if self.server.says:
            self._answer(*self.server.says)
            return
        try:
            assert len(body) <= MOST_BYTES
            if parts.path.startswith("/api/2.0/mlflow-artifacts/artifacts/"):
                assert self.command == "PUT"
                self.server.files[
                    unquote(parts.path.removeprefix("/api/2.0/mlflow-artifacts/artifacts/"))
                ] = body
                answer: dict[str, Any] = {}
            else:
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                answer = self.server.do(parts.path, json.loads(body) if body else query)
        except Wrong as wrong:
            said = json.dumps({"error_code": wrong.code, "message": str(wrong)}).encode()
            self._answer(wrong.status, "application/json", said)
            return
        if self.server.loses_answers:
            self.server.loses_answers -= 1
            self.close_connection = True
            self.connection.close()
            return
        self._answer(200, "application/json", json.dumps(answer).encode())

    do_GET = do_POST = do_PUT = handle_any

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()
        self.wfile.write(body)

    def _drip(self) -> None:
        """An answer that never ends, a byte at a time."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not self.server.over.wait(0.05):
            try:
                self.wfile.write(b" ")
            except OSError:
                return

    def log_message(self, *_args: Any) -> None:
        pass


@contextmanager
def serving_mlflow() -> Iterator[MlflowServer]:
    server = MlflowServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.over.set()
        server.shutdown()
        server.server_close()
