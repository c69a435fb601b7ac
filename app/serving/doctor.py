"""Is this installation well? Each check looks at one thing and says in a sentence what is wrong and what helps."""

import os
import shlex
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import Engine
from sqlmodel import col, func, select

from app.base_models.models import ModelEntry
from app.core.console import CommandFailed
from app.core.database import reading, utc_now
from app.core.errors import Invalid, StudioError
from app.core.formatting import file_size
from app.core.i18n import LOCALES, say, translations
from app.core.i18n import gettext as _
from app.core.settings import Settings
from app.core.storage import Storage
from app.exports.quantizers import SETTING as QUANTIZER
from app.exports.quantizers import NoSuchQuantizer, find_quantizer
from app.files import file_sha256, free_bytes
from app.interop.environments import NO_PROGRAM, find_environment, named_place, setting_of
from app.interop.handing import TOOL_NAMES, TOOL_VERSIONS, TOOLS
from app.interop.launching import SETTING, launch_files, read_launch
from app.jobs.models import Job, JobState
from app.recipes.liger import PACKAGES, version_of
from app.runs.tracking import SETTINGS, UNFINISHED, TrackedRun
from app.serving import preflight
from app.serving.stored_rows import named_files, trouble_in
from app.serving.token_copies import datasets_cache, find_token_copies, to_remove
from app.trackers.choosing import trackers_of

Level = Literal["ok", "warning", "failure"]
# A worker takes a job within seconds; the reconciler rings again for those whose bell was lost.
_WAITS_TOO_LONG: Final = timedelta(minutes=2)
_FEWEST_MESSAGES: Final = 100


@dataclass(frozen=True)
class Finding:
    """What one check found: its name, how bad it is, and a sentence in the reader's language."""

    check: str
    level: Level
    text: str


def examine(settings: Settings) -> list[Finding]:
    """Every check, in order. Nothing is changed; a running installation is not disturbed."""
    found = [*_folder(settings), *_disk(settings), *_languages()]
    if not settings.data_dir.is_dir():
        return found
    try:
        engine = preflight.open_database(settings)
    except CommandFailed as failure:
        return [*found, Finding("database", "failure", str(failure))]
    try:
        checks: tuple[Callable[[Settings, Engine], Iterator[Finding]], ...] = (_database, _schema)
        for check in checks:
            found += check(settings, engine)
        if any(finding.level == "failure" for finding in found if finding.check in ("database", "schema")):
            return found
        for check in (_files, _models, _jobs, _trackers):
            found += check(settings, engine)
    finally:
        engine.dispose()
    return [*found, *_broker(settings), *_backends(settings), *_kernels(), *_quantizer(settings), *_copies()]


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    if not folder.is_dir():
        text = _("There is no data folder %(path)s. “sft-studio serve” makes it.") % {"path": folder}
        yield Finding("folder", "failure", text)
        return
    if not os.access(folder, os.W_OK | os.X_OK):
        text = _("The data folder %(path)s cannot be written by this user.") % {"path": folder}
        yield Finding("folder", "failure", text)
    open_to_others = [
        path
        for path in (folder, folder / "studio.db", folder / "storage", folder / "local-token")
        if path.exists() and stat.S_IMODE(path.stat().st_mode) & 0o077
    ]
    if open_to_others:
        text = _("Other users of this machine can look into: %(paths)s. Run “chmod -R go= %(folder)s”.")
        paths = ", ".join(str(path) for path in open_to_others)
        yield Finding("folder", "failure", text % {"paths": paths, "folder": folder})
    else:
        yield Finding("folder", "ok", _("The data folder %(path)s is its owner's alone.") % {"path": folder})


def _disk(settings: Settings) -> Iterator[Finding]:
    if not settings.data_dir.is_dir():
        return
    free = free_bytes(settings.data_dir)
    values = {"free": f"{free / 1e9:.1f}"}
    if free < preflight.MIN_FREE_BYTES:
        text = _("Only %(free)s GB are free: nothing can be started. Free some space.")
        yield Finding("disk", "failure", text % values)
    elif free < preflight.COMFORTABLE_FREE_BYTES:
        text = _("Only %(free)s GB are free: a run may need more.")
        yield Finding("disk", "warning", text % values)
    else:
        yield Finding("disk", "ok", _("%(free)s GB are free.") % values)


def _languages() -> Iterator[Finding]:
    for locale in LOCALES:
        catalogue = getattr(translations(locale), "_catalog", {})
        if locale != "en" and len(catalogue) < _FEWEST_MESSAGES:
            text = _("The texts in %(language)s are missing. Install SFT Studio again.") % {
                "language": locale
            }
            yield Finding("languages", "failure", text)
            return
    yield Finding("languages", "ok", _("The texts of every language are there."))


def _database(settings: Settings, engine: Engine) -> Iterator[Finding]:
    trouble = ""
    if engine.dialect.name == "sqlite" and engine.url.database:
        trouble = trouble_in(Path(engine.url.database))
    if trouble:
        text = _("The database is damaged: %(reason)s. Restore a backup.") % {"reason": trouble}
        yield Finding("database", "failure", text)
    else:
        yield Finding("database", "ok", _("The database is whole."))


def _schema(settings: Settings, engine: Engine) -> Iterator[Finding]:
    try:
        preflight.check_schema(engine)
    except CommandFailed as failure:
        yield Finding("schema", "failure", str(failure))
    else:
        yield Finding("schema", "ok", _("The database has this program's schema."))


def _files(settings: Settings, engine: Engine) -> Iterator[Finding]:
    storage = Storage(settings.storage_dir)
    files = named_files(engine)
    lost: list[str] = []
    for file in files:
        try:
            same = file.sha256 is None or file_sha256(storage.path(file.key)) == file.sha256
            if not same or not storage.path(file.key).is_file():
                lost.append(f"{file.key} ({file.owner})")
        except OSError:
            lost.append(f"{file.key} ({file.owner})")
    if lost:
        text = _(
            "%(count)d files are missing or not as they were stored: %(names)s. Restore them from a backup."
        )
        names = ", ".join(lost[:5]) + (" …" if len(lost) > 5 else "")
        yield Finding("files", "failure", text % {"count": len(lost), "names": names})
    else:
        yield Finding(
            "files", "ok", _("Stored files, each as it was stored: %(count)d.") % {"count": len(files)}
        )


def _models(settings: Settings, engine: Engine) -> Iterator[Finding]:
    with reading(engine) as session:
        ready = session.exec(
            select(ModelEntry.name, ModelEntry.path).where(col(ModelEntry.path).is_not(None))
        ).all()
    gone = [
        name
        for name, path in ready
        if not (Path(path or "") / "config.json").is_file() or not any(Path(path or "").glob("*.safetensors"))
    ]
    if gone:
        text = _("The files of these base models are gone: %(names)s. Prepare them again under Base models.")
        yield Finding("models", "failure", text % {"names": ", ".join(gone)})
    else:
        yield Finding(
            "models", "ok", _("Base models whose files are all there: %(count)d.") % {"count": len(ready)}
        )


def _jobs(settings: Settings, engine: Engine) -> Iterator[Finding]:
    now = utc_now()
    with reading(engine) as session:
        waiting = session.exec(
            select(func.count()).where(
                col(Job.state) == JobState.QUEUED, col(Job.created_at) < now - _WAITS_TOO_LONG
            )
        ).one()
        running = session.exec(select(func.count()).where(col(Job.state) == JobState.RUNNING)).one()
        lapsed = session.exec(
            select(func.count()).where(
                col(Job.state) == JobState.RUNNING,
                col(Job.lease_expires_at) < now - timedelta(seconds=settings.lease_seconds),
            )
        ).one()
    if lapsed or (waiting and not running):
        text = _(
            "No worker seems to be alive: %(waiting)d jobs wait, %(lapsed)d lost their worker. Start one."
        )
        yield Finding("workers", "failure", text % {"waiting": waiting, "lapsed": lapsed})
    else:
        text = _("Jobs: %(running)d under way, %(waiting)d waiting for longer than usual.")
        yield Finding("workers", "ok", text % {"running": running, "waiting": waiting})


def _trackers(settings: Settings, engine: Engine) -> Iterator[Finding]:
    """A tracker that is away fails no run, so it is no failure here either."""
    found = trackers_of(settings)
    for tracker in found:
        try:
            place = tracker.look()
        except StudioError as trouble:
            yield Finding("trackers", "warning", trouble.translated())
            continue
        finally:
            tracker.close()
        text = _("%(tracker)s can be told of runs: they go to “%(place)s”.")
        yield Finding("trackers", "ok", text % {"tracker": tracker.name.spelled, "place": place})
    with reading(engine) as session:
        waiting = session.exec(
            select(func.count()).where(col(TrackedRun.state).in_(UNFINISHED), col(TrackedRun.failures) > 0)
        ).one()
    if waiting:
        text = _("%(count)d runs wait for a tracker that did not take them; their pages say why.")
        yield Finding("trackers", "warning", text % {"count": waiting})
    if not found:
        text = _(
            "No tracker is named (%(settings)s); TensorBoard's files are written beside every run's others."
        )
        yield Finding("trackers", "ok", text % {"settings": ", ".join(SETTINGS.values())})


def _copies() -> Iterator[Finding]:
    """They may be somebody's who trains an export here, so that removing them is a person's decision."""
    found = find_token_copies()
    if not found:
        return
    text = _(
        "Copies of the tokens of runs lie in %(folder)s (folders: %(count)d, %(size)s), where no erasure reaches: other trainers left them "
        "there in earlier versions, or with an export that was trained here. Where nobody trains with them any more: %(command)s"
    )
    values = {
        "count": len(found),
        "folder": datasets_cache(os.environ),
        "size": file_size(sum(one.size_bytes for one in found)),
        "command": shlex.join(["rm", "-r", *map(str, to_remove(found))]),
    }
    yield Finding("token_copies", "warning", text % values)


def _broker(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url:
        try:
            preflight.check_broker(settings)
        except CommandFailed as failure:
            yield Finding("broker", "failure", str(failure))
            return
    elif settings.broker_dir.exists() and not settings.broker_dir.is_dir():
        text = _("%(path)s should be a folder: workers hear of jobs late. Remove it.")
        yield Finding("broker", "failure", text % {"path": settings.broker_dir})
        return
    yield Finding("broker", "ok", _("Workers can be told of jobs."))


def _backends(settings: Settings) -> Iterator[Finding]:
    """Other trainers are nobody's duty; one that is named and not found is a mistake."""
    unnamed = []
    for tool in TOOLS:
        found, place = find_environment(settings, tool), named_place(settings, tool)
        values = {"tool": TOOL_NAMES[tool], "setting": setting_of(tool), "place": place}
        if found and found.broken:
            yield Finding("backends", "warning", _(NO_PROGRAM) % (values | {"program": found.broken}))
        elif found and found.version == TOOL_VERSIONS[tool]:
            text = _("%(tool)s %(version)s can train as a backend (%(python)s).")
            values |= {"version": found.version, "python": found.python}
            yield Finding("backends", "ok", text % values)
        elif found:
            text = _(
                "%(tool)s %(version)s can train as a backend (%(python)s); what it is told was tried with %(tried)s."
            )
            values |= {"version": found.version, "python": found.python, "tried": TOOL_VERSIONS[tool]}
            yield Finding("backends", "ok", text % values)
        elif place:
            text = _(
                "%(tool)s is not installed in %(place)s, which %(setting)s names: correct it or remove it."
            )
            yield Finding("backends", "warning", text % values)
        else:
            unnamed.append(f"{TOOL_NAMES[tool]} ({setting_of(tool)})")
    if unnamed:
        text = _(
            "Not named, so no backends: %(tools)s. Each variable takes an environment's folder or its Python."
        )
        yield Finding("backends", "ok", text % {"tools": ", ".join(unnamed)})
    yield from _launches(settings)


def _kernels() -> Iterator[Finding]:
    """Nobody has to have them; a run that asks for them is refused without."""
    found = {package: version_of(package) for package in PACKAGES.values()}
    missing = [package for package, version in found.items() if version is None]
    if missing:
        text = _(
            "Liger's kernels cannot be asked for here (use_liger_kernel): not installed are %(packages)s."
        )
        yield Finding("kernels", "ok", text % {"packages": ", ".join(missing)})
        return
    text = _(
        "Liger's kernels are installed (%(packages)s): runs on a GPU may ask for them (use_liger_kernel)."
    )
    packages = ", ".join(f"{package} {version}" for package, version in found.items())
    yield Finding("kernels", "ok", text % {"packages": packages})


def _quantizer(settings: Settings) -> Iterator[Finding]:
    """Nobody has to have one; one that is named and is not there is a mistake."""
    try:
        found = find_quantizer(settings.llama_quantize)
    except NoSuchQuantizer as error:
        yield Finding("quantizer", "warning", say(error.sentence))
        return
    if found is None:
        text = _(
            "GGUF is exported as f16 and q8_0 alone: llama.cpp's llama-quantize is neither on the PATH nor named in %(setting)s, and "
            "llama-cpp-python is not installed."
        )
        yield Finding("quantizer", "ok", text % {"setting": QUANTIZER})
    else:
        text = _("q6_k, q5_k_m and q4_k_m can be exported: %(name)s is in %(path)s.")
        yield Finding("quantizer", "ok", text % {"name": found.name, "path": found.path})


def _launches(settings: Settings) -> Iterator[Finding]:
    """Files of accelerate that a run may name: one that no run could be started with is a mistake."""
    files = launch_files(settings)
    if files is None:
        return
    if not files:
        text = _(
            "There is no file of accelerate in %(place)s, which %(setting)s names: correct it or remove it."
        )
        values = {"place": settings.accelerate_configs, "setting": SETTING}
        yield Finding("backends", "warning", text % values)
    for name, content in files.items():
        try:
            found = read_launch(name, content)
        except Invalid as error:
            yield Finding("backends", "warning", error.translated())
        else:
            text = _("%(name)s starts TRL in %(number)d processes (%(way)s).")
            told = {"name": name, "number": found.num_processes, "way": found.way}
            yield Finding("backends", "ok", text % told)
