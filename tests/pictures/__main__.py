"""Makes the pictures of docs/: some minutes of training, then each page in both languages. `python -m tests.pictures FOLDER`: elsewhere."""

import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from playwright.sync_api import BrowserContext, Page

from tests.browser.studio import ROOT, running_studio
from tests.pictures.camera import take, windows
from tests.pictures.scene import MODELS, Scene


@dataclass(frozen=True)
class Picture:
    """`path` of the page in the scene; `shown` from which element to which, without any the window; `ready` what is waited for."""

    name: str
    path: Callable[[Scene], str]
    ready: str
    shown: tuple[str, ...] = ()
    opened: str = ""


_CURVE: Final = "#loss canvas"
# While the first run is under way, while others wait behind it, and when all have ended.
DURING: Final = (Picture("run-live", lambda scene: f"/runs/{scene.run}", _CURVE),)
WAITING: Final = (Picture("queue", lambda _scene: "/queue", "main table"),)
AFTER: Final = (
    Picture("new-run", lambda scene: "/runs/new", "#preflight"),
    Picture("preflight", lambda scene: "/runs/new", "#preflight", ("#preflight",)),
    Picture("run-ended", lambda scene: f"/runs/{scene.run}", _CURVE),
    Picture(
        "diagnosis",
        lambda scene: f"/runs/{scene.ill}",
        "#finding-explosion",
        (".chart--wide", "#run-diagnosis"),
    ),
    Picture("checkpoints", lambda scene: f"/runs/{scene.run}", "#checkpoints", ("#checkpoints",)),
    Picture("sweep", lambda scene: f"/sweeps/{scene.sweep}", ".uplot canvas"),
    Picture(
        "exports",
        lambda scene: f"/runs/{scene.run}",
        "#exports",
        ("#exports",),
        opened="#exports .export details",
    ),
    Picture("other-trainer", lambda scene: f"/runs/{scene.other}", _CURVE),
)


def photograph(
    scene: Scene, pictures: Iterable[Picture], contexts: dict[str, BrowserContext], folder: Path
) -> None:
    """Each picture in each language."""
    for picture in pictures:
        for ending, context in contexts.items():
            page = context.new_page()
            page.goto(picture.path(scene))
            page.locator(picture.ready).first.wait_for()
            _open(page, picture.opened)
            file = folder / f"{picture.name}{ending}.webp"
            size = take(page, picture.shown, file)
            print(f"{file.name}: {size:,} bytes")
            page.close()


def _open(page: Page, selector: str) -> None:
    for place in range(page.locator(selector).count() if selector else 0):
        page.locator(selector).nth(place).evaluate("element => element.open = true")


def main(folder: Path) -> None:
    """Into this folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as place:
        models = Path(place) / MODELS
        models.mkdir()
        with running_studio(Path(place), models) as studio, windows(studio) as contexts:
            scene = Scene(studio, Path(place))
            scene.begin()
            photograph(scene, DURING, contexts, folder)
            scene.line_up()
            photograph(scene, WAITING, contexts, folder)
            scene.finish()
            photograph(scene, AFTER, contexts, folder)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
