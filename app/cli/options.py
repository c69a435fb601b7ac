"""Options that several commands share."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from app.core.i18n import gettext as _
from app.interchange import SourceMask
from app.interchange.files.encodings import Encoding
from app.recipes.advice import Task
from app.recipes.fields import display

JsonOption = Annotated[bool, typer.Option("--json", help=_("Print the result as JSON on standard output."))]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help=_("Wait for the end and show progress."))]
DatasetOption = Annotated[str, typer.Option("--dataset", help=_("Name of the dataset."))]
DeviceOption = Annotated[
    str, typer.Option("--device", help=_("Where to train: any, cpu, cuda, or one GPU such as cuda:1."))
]
KeyOption = Annotated[
    str,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help=_("Made up by you: the same key again finds what it started, and starts no second one."),
    ),
]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        help=_("Base model: “bundled”, a name, a hub id, a folder, or run:7 for what full fine-tune 7 made."),
    ),
]
RecipeOption = Annotated[
    str, typer.Option("--recipe", help=_("Name of a recipe: “sft-studio recipes list” has them."))
]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help=_("Change a setting of the recipe; “sft-studio recipes fields” explains them. May be repeated."),
    ),
]
TaskOption = Annotated[Task | None, typer.Option("--task", help=_("What the model is to learn."))]
MixOption = Annotated[
    str,
    typer.Option(
        "--mix",
        metavar="DATASET[@VERSION]",
        help=_(
            "A second dataset that is mixed in, against forgetting: its newest frozen version, or that of the number."
        ),
    ),
]
MixShareOption = Annotated[
    float | None,
    typer.Option(
        "--mix-share", help=_("Which share of all conversations that are trained it is: mix_share.")
    ),
]
OrderOption = Annotated[
    str,
    typer.Option(
        "--order",
        help=_("“mixed”, or “curriculum”, which trains the second dataset first: mix_order."),
    ),
]
AcceptOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accept",
        metavar="NAME",
        help=_("A warning of the pre-flight that you have looked at and accept, by name. May be repeated."),
    ),
]
LookOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help=_("Say what stands against the start, and start nothing: exit code 0 or 1.")
    ),
]
AdapterOption = Annotated[
    int | None,
    typer.Option(
        "--init-adapter",
        help=_("A run whose adapter this one begins with; rank, layers and method are taken over."),
    ),
]
EncodingOption = Annotated[
    Encoding,
    typer.Option("--encoding", help=_("Encoding of the file; it is recognised, and told, unless given.")),
]
MaskOption = Annotated[
    SourceMask,
    typer.Option(
        "--mask",
        help=_(
            "What the source trained: what the file says, every assistant turn, only the last one (mask_history), "
            "or everything (train_on_prompt)."
        ),
    ),
]


InfoOption = Annotated[
    Path | None,
    typer.Option("--dataset-info", help=_("LLaMA-Factory's dataset_info.json that describes the file.")),
]
EntryOption = Annotated[
    str, typer.Option("--dataset-info-entry", help=_("Its entry; without it chosen by the file's name."))
]
TrainFieldOption = Annotated[
    str,
    typer.Option(
        "--train-field", help=_("Field of a message that tells whether it is trained, such as Axolotl's.")
    ),
]


def as_options(changes: Mapping[str, object]) -> str:
    """Changes to a recipe as `--set` takes them in a shell."""
    return " ".join(f"--set {shlex.quote(f'{name}={display(value)}')}" for name, value in changes.items())
