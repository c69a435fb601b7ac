"""`webhooks`: addresses that are told when runs and evaluations end."""

from typing import Annotated

import typer

from app.cli.connection import UrlOption, connect
from app.cli.options import JsonOption
from app.core.console import Id, print_json, print_table, say
from app.core.i18n import gettext as _
from app.notices.models import Format
from app.notices.schemas import DeliveryOut, WebhookRequest

app = typer.Typer(help=_("Have other programs told when runs and evaluations end."), no_args_is_help=True)
WebhookArgument = Annotated[int, typer.Argument(help=_("Id of the webhook."))]
_OF_GATES = _("Of the event gate.judged. May be repeated.")


@app.command("list", help=_("List the webhooks."))
def list_webhooks(url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `webhooks list`."""
    with connect(url) as client:
        found = client.webhooks()
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    print_table(
        ["id", "url", "format", "events"],
        [[Id(one.id), one.url, one.format.value, ", ".join(one.events)] for one in found],
    )


@app.command("add", help=_("Add one; prints its secret, once."))
def add(
    to: Annotated[str, typer.Argument(metavar="URL", help=_("Address that is told."))],
    events: Annotated[
        list[str], typer.Option("--event", help=_("What it is told of, such as run.failed. May be repeated."))
    ],
    secret: Annotated[
        str, typer.Option("--secret", envvar="SFT_STUDIO_WEBHOOK_SECRET", help=_("Without one, one is made."))
    ] = "",
    format: Annotated[Format, typer.Option("--format", help=_("How messages are written."))] = Format.JSON,
    minimum: Annotated[
        list[str] | None, typer.Option("--min", metavar="METRIC=VALUE", help=_OF_GATES)
    ] = None,
    maximum: Annotated[
        list[str] | None, typer.Option("--max", metavar="METRIC=VALUE", help=_OF_GATES)
    ] = None,
    against: Annotated[str, typer.Option("--against", help=_("“base”, or the id of a run."))] = "",
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `webhooks add`."""
    asked = WebhookRequest(
        url=to,
        events=events,
        secret=secret,
        format=format,
        gate_min="\n".join(minimum or []),
        gate_max="\n".join(maximum or []),
        gate_against=against,
    )
    with connect(url) as client:
        made = client.add_webhook(asked)
    if as_json:
        print_json(made.model_dump(mode="json"))
        return
    say(_("Webhook %(id)d was added. Its secret, which is not shown again:") % {"id": made.id})
    typer.echo(made.secret)


@app.command("remove", help=_("Remove one, with what waits to be sent to it."))
def remove(webhook: WebhookArgument, url: UrlOption = "") -> None:
    """Command `webhooks remove`."""
    with connect(url) as client:
        client.remove_webhook(webhook)


@app.command("test", help=_("Send a message that tells of nothing."))
def send_test(webhook: WebhookArgument, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `webhooks test`."""
    with connect(url) as client:
        sent = client.test_webhook(webhook)
    _show([sent], as_json=as_json)


@app.command("deliveries", help=_("Show what was sent to one, and what came of it."))
def deliveries(webhook: WebhookArgument, url: UrlOption = "", as_json: JsonOption = False) -> None:
    """Command `webhooks deliveries`."""
    with connect(url) as client:
        found = client.deliveries(webhook)
    _show(found, as_json=as_json)


@app.command("again", help=_("Send a message once more."))
def again(
    webhook: WebhookArgument,
    delivery: Annotated[int, typer.Argument(help=_("Id of the delivery."))],
    url: UrlOption = "",
    as_json: JsonOption = False,
) -> None:
    """Command `webhooks again`."""
    with connect(url) as client:
        sent = client.deliver_again(webhook, delivery)
    _show([sent], as_json=as_json)


def _show(found: list[DeliveryOut], *, as_json: bool) -> None:
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    rows: list[list[object]] = [
        [Id(one.id), one.event.value, one.state.value, one.attempts, one.error or str(one.status_code or "")]
        for one in found
    ]
    print_table(["id", _("event"), _("state"), _("attempts"), _("last answer")], rows)
