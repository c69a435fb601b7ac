"""`backup` and `restore`: an installation as one file. `doctor`: is it well? All three work without a server."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import JsonOption
from app.core.console import CommandFailed, load_settings, print_json, print_table, say
from app.core.i18n import gettext as _
from app.dialogue.limits import spoken_size


def backup(
    file: Annotated[Path, typer.Argument(help=_("The file to write. It must not exist yet."))],
    as_json: JsonOption = False,
) -> None:
    """Command `backup`."""
    from app.serving import preflight
    from app.serving.backup import back_up

    settings = load_settings()
    engine = preflight.open_database(settings)
    try:
        preflight.check_schema(engine)
        made = back_up(settings, engine, file)
    finally:
        engine.dispose()
    size = file.stat().st_size
    say(
        _("%(path)s: %(count)d files, %(size)s, read again and compared.")
        % {"path": file, "count": len(made.files), "size": spoken_size(size)}
    )
    if made.database != "sqlite":
        say(_("The database is not in it: keep it with “pg_dump --format=custom”, taken before this."))
    if made.damaged:
        say(
            _("%(count)d files were missing or damaged already: %(names)s.")
            % {"count": len(made.damaged), "names": ", ".join(made.damaged[:5])}
        )
    if as_json:
        print_json({"file": str(file), "size_bytes": size, "files": len(made.files), "damaged": made.damaged})


def restore(
    file: Annotated[Path, typer.Argument(help=_("A file that “sft-studio backup” wrote."))],
    as_json: JsonOption = False,
) -> None:
    """Command `restore`."""
    from app.serving.backup import restore as restore_into

    settings = load_settings()
    made = restore_into(settings, file)
    say(
        _("%(count)d files are in %(path)s again, each as it was. “sft-studio serve” starts it.")
        % {"count": len(made.files), "path": settings.data_dir}
    )
    if as_json:
        print_json({"data": str(settings.data_dir), "files": len(made.files), "made_at": made.made_at})


def doctor(as_json: JsonOption = False) -> None:
    """Command `doctor`: exit code 1 when something is broken."""
    from app.serving.doctor import examine

    found = examine(load_settings())
    if as_json:
        print_json([{"check": one.check, "level": one.level, "detail": one.text} for one in found])
    else:
        words = {"ok": _("well"), "warning": _("look at it"), "failure": _("broken")}
        rows: list[list[object]] = [[one.check, words[one.level], one.text] for one in found]
        print_table([_("Check"), _("State"), _("What was found")], rows)
    broken = sum(one.level == "failure" for one in found)
    if broken:
        raise CommandFailed(_("Checks that found something broken: %(count)d.") % {"count": broken})
