"""`demo`: the whole way on this machine, from nothing to a judged adapter, live in the terminal and the browser."""

import signal
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import Annotated, NoReturn

import typer

from app.accounts import first_run
from app.cli.demo.budget import Budget
from app.cli.demo.server import DemoServer, choose_port, running_client
from app.cli.demo.steps import SUITES, DemoSteps
from app.client.rest import StudioClient
from app.core.console import CommandFailed, load_settings, say
from app.core.i18n import gettext as _
from app.core.settings import Settings

TERMINATED = 143


def demo(
    oneshot: Annotated[
        bool, typer.Option("--oneshot", help=_("End after the report instead of serving on."))
    ] = False,
) -> None:
    """Command `demo`."""
    from app.serving import preflight

    settings, budget = load_settings(), Budget()
    preflight.check_data_folder(settings.data_dir)
    preflight.check_disk(settings.data_dir)
    signal.signal(signal.SIGTERM, _terminate)
    with ExitStack() as stack:
        client, server = _connect(settings, stack)
        stack.callback(client.close)
        _invite(settings, client)
        _walk(client, budget)
        if oneshot:
            return
        _serve_on(client, server)


def _terminate(_number: int, _frame: FrameType | None) -> NoReturn:
    # Leaves through the context managers, which stop the server.
    raise typer.Exit(TERMINATED)


def _connect(settings: Settings, stack: ExitStack) -> tuple[StudioClient, DemoServer | None]:
    client = running_client(settings)
    if client is not None:
        say(_("The server at %(url)s already runs on this data folder; this uses it.") % {"url": client.url})
        return client, None
    say(_("Starting the server and the workers …"))
    server = stack.enter_context(DemoServer(settings, choose_port(settings.port)))
    return server.wait_until_ready(), server


def _invite(settings: Settings, client: StudioClient) -> None:
    from app.cli.demo.view import show_panel

    code = first_run.new_sign_in_code(settings.data_dir)
    show_panel(
        [
            _("Watch it live in your browser. This link signs you in once:"),
            client.page(f"/login/link?code={code}&next=/runs"),
        ],
        "SFT Studio",
    )


def _walk(client: StudioClient, budget: Budget) -> None:
    from app.cli.demo.report import print_report
    from app.cli.demo.view import DemoView

    steps = DemoSteps(client, listen=lambda event: view.event(event), budget=budget)
    plan: list[tuple[str, Callable[[], str]]] = [
        (_("Base model"), steps.prepare_base_model),
        (_("Sample dialogues"), steps.load_samples),
        (_("Approve and freeze"), steps.approve_and_freeze),
        (_("Mask check"), steps.check_masks),
        (_("Training"), steps.train),
        *(
            (_("Evaluation: %(suite)s") % {"suite": name}, lambda name=name: steps.evaluate(name))
            for name in SUITES
        ),
    ]
    view = DemoView([title for title, _step in plan])
    with view:
        for index, (title, step) in enumerate(plan):
            view.begin(index)
            try:
                note = step()
            except CommandFailed as failure:
                view.end(str(failure), failed=True)
                raise CommandFailed(
                    _("The demo stopped at “%(step)s”: %(reason)s") % {"step": title, "reason": failure}
                ) from failure
            view.end(note)
    print_report(steps)


def _serve_on(client: StudioClient, server: DemoServer | None) -> None:
    if server is None:
        say(_("The server at %(url)s goes on.") % {"url": client.url})
        return
    say(_("The server runs on at %(url)s. Ctrl-C stops it.") % {"url": client.url})
    try:
        server.wait()
    except KeyboardInterrupt:
        say(_("Stopping …"))
