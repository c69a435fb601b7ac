"""MLflow itself: in an environment of its own, its server with a database and sign-in, and what its own client finds there."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.support.servers import free_port

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "mlflow.txt"
START_SECONDS = 600
# MLflow tells nobody what is done with it.
QUIETLY = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
USER, PASSWORD = "admin", "long enough for it"
AUTH = """[mlflow]
default_permission = NO_PERMISSIONS
database_uri = sqlite:///{folder}/people.db
admin_username = {user}
admin_password = {password}
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""


def python_with_mlflow() -> Path:
    """The interpreter of MLflow's environment, which is made where it is not there; some minutes, 800 MB."""
    folder = Path(os.environ.get("SFT_STUDIO_INTEROP_ENVS") or HERE.parents[1] / ".interop") / "mlflow"
    stamp, wanted = folder / ".installed", hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    python = folder / "bin" / "python"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print("make trackers: installing MLflow; this takes a minute or two", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        # The list is whole.
        pip = [python, "-m", "pip", "install", "-q", "--no-input", "--no-deps", "-r", REQUIREMENTS]
        subprocess.run(pip, check=True)
        stamp.write_text(wanted)
    return python


class RealMlflow:
    """A server that can be killed and started again on the same database and port."""

    def __init__(self, python: Path, folder: Path) -> None:
        self.python, self.folder, self.port = python, folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        (folder / "auth.ini").write_text(AUTH.format(folder=folder, user=USER, password=PASSWORD))

    def start(self) -> None:
        """Until it answers."""
        command = [self.python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}", "--workers", "1"]
        command += ["--artifacts-destination", str(self.folder / "files"), "--app-name", "basic-auth"]
        # Its programs find each other beside the interpreter.
        environment = {
            **os.environ,
            **QUIETLY,
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this server",
        }
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            log_text = (self.folder / "server.log").read_text("utf-8", "replace")[-2000:]
            assert self._process.poll() is None, log_text
            assert time.monotonic() < deadline, log_text
            time.sleep(0.3)

    def kill(self) -> None:
        """As a machine that lost its power."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(60)
            self._process = None

    def freeze(self) -> None:
        """It takes connections and answers nobody."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on with what it was asked meanwhile."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def lose_database(self) -> None:
        """It comes back as one that has never heard of any run."""
        self.kill()
        for file in self.folder.glob("mlflow.db*"):
            file.unlink()
        self.start()

    def runs(self, experiment: str) -> list[dict[str, Any]]:
        """All that its client finds of an experiment, oldest first."""
        command = [self.python, HERE / "read_back.py", self.uri, experiment]
        signed_in = {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
        environment = {**os.environ, **QUIETLY, **signed_in}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return found

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.uri}/health", timeout=60).status_code == 200
        except httpx.HTTPError:
            return False


@contextmanager
def serving_real_mlflow(python: Path, folder: Path) -> Iterator[RealMlflow]:
    server = RealMlflow(python, folder)
    try:
        server.start()
        yield server
    finally:
        server.kill()
