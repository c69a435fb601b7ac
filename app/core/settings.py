"""Settings read once from the environment.

`DATABASE_URL` and `REDIS_URL` move the same code from the embedded default to PostgreSQL and Redis.
"""

import json
import os
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.dialogue.limits import FILE_BYTES
from app.sentences import N_


def _default_data_dir() -> Path:
    return Path("~/.local/share/sft-studio").expanduser()


def _listed(separator: str, value: object) -> object:
    """A variable with several values: between separators as people write them, or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value  # no list: whoever reads the settings says so, and which one it is
    return [part for one in value.split(separator) if (part := one.strip())]


def _web_address(value: str) -> str:
    """Of a server, without a slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(value.strip())
        known = not value.strip() or (parts.scheme in ("http", "https") and bool(parts.hostname))
        known = known and not (parts.username or parts.password or parts.query or parts.fragment)
        _port = parts.port
    except ValueError:
        known = False
    if not known:
        raise ValueError(
            N_(
                "%(field)s must be a whole address, such as https://mlflow.example.com, without a user name, password or query."
            )
        )
    return value.strip().rstrip("/")


def _project_name(value: str) -> str:
    """As Weights & Biases takes it. Raises ValueError."""
    if len(value) > 128 or any(mark in value for mark in "/\\#?%:"):
        raise ValueError(N_("%(field)s must have at most 128 characters and none of / \\ # ? %% :"))
    return value.strip()


_Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(partial(_listed, ","))]
_Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(partial(_listed, ","))]
_Folders = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(partial(_listed, os.pathsep))]


class Settings(BaseSettings):
    """One immutable set of settings; every field can be set by an environment variable."""

    model_config = SettingsConfigDict(env_prefix="SFT_STUDIO_", frozen=True, populate_by_name=True)

    data_dir: Path = Field(
        default_factory=_default_data_dir,
        validation_alias=AliasChoices("data_dir", "SFT_STUDIO_DATA", "SFT_STUDIO_DATA_DIR"),
    )
    database_url: str = Field(
        default="", validation_alias=AliasChoices("database_url", "DATABASE_URL", "SFT_STUDIO_DATABASE_URL")
    )
    redis_url: str = Field(
        default="", validation_alias=AliasChoices("redis_url", "REDIS_URL", "SFT_STUDIO_REDIS_URL")
    )
    host: str = "127.0.0.1"
    port: int = 8000
    # Host names the server answers to besides loopback names and `host`, with commas between them; guards against DNS
    # rebinding.
    allowed_hosts: _Names = ()
    # Set when a proxy in front of the server speaks HTTPS: cookies are then marked Secure.
    https: bool = False
    # Folders below which a local base model may lie, written as in PATH. The data folder is always allowed.
    model_roots: _Folders = ()
    # Environments of other trainers: the Python of each, its bin folder, or the environment's own folder. TRL is looked for
    # in this program's environment where nothing is named.
    trl_env: Path | None = None
    llamafactory_env: Path | None = None
    axolotl_env: Path | None = None
    unsloth_env: Path | None = None
    # llama.cpp's program llama-quantize, or its folder, where it is not on the worker's PATH.
    llama_quantize: Path | None = None
    # The folder of the files of accelerate that runs may name, written by whoever runs the server.
    accelerate_configs: Path | None = None
    max_upload_bytes: int = Field(default=FILE_BYTES, ge=1)
    session_days: int = 14
    # How long a request waits for a database connection, and on SQLite for its turn to write.
    web_wait_seconds: float = Field(default=5.0, gt=0, le=60)
    # The same for a worker, whose heartbeats have to be through before the lease is gone.
    worker_wait_seconds: float = Field(default=15.0, gt=0, le=60)
    # How long a chat with a run is kept after its answer.
    chat_days: int = Field(default=30, ge=1)
    # How long the files of an export are kept after they were made; 0: until somebody deletes them.
    export_days: int = Field(default=0, ge=0)
    # How many jobs train or judge on one device of a worker at the same time; they share its memory.
    training_per_device: int = Field(default=1, ge=1, le=16)
    # How many GPUs one run has together, for runs of several processes; the same for all workers of a machine.
    gpus_per_run: int = Field(default=1, ge=1, le=64)
    # Hosts that webhooks may call, with commas between them: names, *.example.com for all below one, either with a port.
    webhook_hosts: _Names = ()
    # Networks of such hosts that are not public, such as 10.1.0.0/16; without it, public addresses only.
    webhook_networks: _Networks = ()
    # With which workers push exports to a model hub (HF_ENDPOINT names another hub); without it the server pushes to none.
    hub_token: SecretStr = SecretStr("")
    # An MLflow server that is told of every run, such as https://mlflow.example.com, and the experiment that they go into.
    mlflow_uri: Annotated[str, AfterValidator(_web_address)] = ""
    mlflow_experiment: str = Field(default="SFT Studio", min_length=1, max_length=250)
    # What that server asks for, if anything: a token, or a user name and a password.
    mlflow_token: SecretStr = SecretStr("")
    mlflow_username: str = ""
    mlflow_password: SecretStr = SecretStr("")
    # A project of Weights & Biases that is told of every run; the key is WANDB_API_KEY. Offline it is written into the data
    # folder, for `wandb sync`.
    wandb_project: Annotated[str, AfterValidator(_project_name)] = ""
    wandb_entity: Annotated[str, AfterValidator(_project_name)] = ""
    wandb_mode: Literal["online", "offline"] = "online"
    # How people reach the server, such as https://studio.example.com: messages to other programs then hold links.
    public_url: str = ""
    lease_seconds: float = 30.0
    reconcile_seconds: float = 3.0
    stop_grace_seconds: float = 20.0
    max_attempts: int = 3

    @property
    def resolved_database_url(self) -> str:
        """SQLAlchemy URL; a plain `postgresql://` is read as the psycopg driver."""
        url = self.database_url or f"sqlite:///{self.data_dir.resolve() / 'studio.db'}"
        for plain in ("postgres://", "postgresql://"):
            if url.startswith(plain):
                return "postgresql+psycopg://" + url.removeprefix(plain)
        return url

    @property
    def broker_dir(self) -> Path:
        """Folder of the embedded broker."""
        return self.data_dir / "broker"

    @property
    def storage_dir(self) -> Path:
        """Root of everything stored as files: versions, arrays, artifacts, prepared models."""
        return self.data_dir / "storage"


@lru_cache
def get_settings() -> Settings:
    """The process's settings. Tests pass their own `Settings` to `create_app` instead."""
    return Settings()
