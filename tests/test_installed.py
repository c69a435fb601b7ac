"""The program as people install it: a wheel made from the sdist, alone in an empty folder, without what only training needs."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from app.accounts.first_run import read_local_token
from tests.cli.conftest import serving, sft_studio, wait_until
from tests.support.tokenizers import smollm2_folder

__all__ = ["smollm2_folder"]
pytestmark = pytest.mark.timeout(300)
ROOT = Path(__file__).parents[1]
WORKFLOW = ROOT / "docs" / "ci" / "gitlab-ci.yml"
# What the packages are made of, and where it lies in the wheel.
SHIPPED = {
    "app": "app",
    "worker": "worker",
    "templates": "app/templates",
    "static": "app/static",
    "migrations": "app/migrations",
}
BESIDE = ("pyproject.toml", "constraints.txt", "README.md", "README.zh-CN.md", "CHANGELOG.md", "LICENSE")
# Of the extra "train", with what only it brings.
FOR_TRAINING = re.compile(
    r"(torch|transformers|peft|trl|accelerate|bitsandbytes|gguf|triton|nvidia)\b", re.IGNORECASE
)
NOT_INSTALLED = re.compile(r"__editable__|_editable_impl|sft_studio|.*\.(pth|egg-link)$")
CHAT = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


def _build(what: str, source: Path, folder: Path) -> Path:
    code = f"import sys; from hatchling.build import build_{what}; build_{what}(sys.argv[1])"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=source, check=True, timeout=120)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made as package indexes do: from the sdist alone."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "source"
    for name in SHIPPED:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in BESIDE:
        shutil.copy(ROOT / name, source / name)
    with tarfile.open(_build("sdist", source, folder / "sdist")) as sdist:
        sdist.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return _build("wheel", unpacked, folder / "wheel")


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """`sft-studio` of an environment that has the wheel and its dependencies, without the extra for training."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    inside = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=inside))
    for found in Path(sysconfig.get_path("purelib")).iterdir():
        if not FOR_TRAINING.match(found.name) and not NOT_INSTALLED.match(found.name):
            (packages / found.name).symlink_to(found)
    # The command of docs/ci, with pip told that all but the wheel is there.
    install = next(
        line for line in yaml.safe_load(WORKFLOW.read_text())["fine-tune"]["script"] if "pip" in line
    )
    alone = ("NO_DEPS", "NO_INDEX", "NO_COMPILE", "DISABLE_PIP_VERSION_CHECK", "QUIET")
    told = {f"PIP_{name}": "1" for name in alone} | {"PIP_PYTHON": str(folder / "bin" / "python")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    place = {**os.environ, **told, "PATH": path, "SFT_STUDIO_WHEEL": str(wheel)}
    subprocess.run(["bash", "-ec", install], env=place, check=True, timeout=120)
    return (str(folder / "bin" / "sft-studio"),)


def test_the_wheel_holds_whatever_the_program_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {
        str(inside / path.relative_to(ROOT / folder))
        for folder, inside in ((name, Path(place)) for name, place in SHIPPED.items())
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted - names == set()
    assert {name.partition("/")[0] for name in names} == {"app", "worker", "sft_studio-0.1.0.dist-info"}


def test_the_image_is_built_from_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """What the Dockerfile copies is there, is not kept away from the builder, and is enough."""
    source = tmp_path / "source"
    source.mkdir()
    for name, place in _copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / place, ignore=_kept_away)
        else:
            assert _kept_away(str(ROOT), [name]) == set()
            shutil.copy(ROOT / name, source / place)
    built = _build("wheel", source, tmp_path / "wheel")
    with zipfile.ZipFile(wheel) as ours, zipfile.ZipFile(built) as its:
        assert set(its.namelist()) == set(ours.namelist())


def _lines(name: str) -> list[str]:
    return [
        line for line in (ROOT / name).read_text("utf-8").splitlines() if line and not line.startswith("#")
    ]


def _copied() -> Iterator[tuple[str, str]]:
    """Source and place of each COPY out of this folder."""
    for line in _lines("Dockerfile"):
        words = line.split()
        if words[0] == "COPY" and not words[1].startswith("--from"):
            *sources, place = words[1:]
            yield from ((source, place) for source in sources)


def _kept_away(folder: str, names: list[str]) -> set[str]:
    """Those in the folder that .dockerignore names."""
    patterns = [_of_ignore_file(line) for line in _lines(".dockerignore")]
    inside = Path(folder).relative_to(ROOT)
    return {
        name for name in names if any(re.fullmatch(each, (inside / name).as_posix()) for each in patterns)
    }


def _of_ignore_file(line: str) -> str:
    assert not line.startswith("!"), "an exception is not read here"
    return re.escape(line.strip("/")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")


def test_installed_without_the_extra_all_works_but_training_which_says_what_to_install(
    program: tuple[str, ...], tmp_path: Path, smollm2_folder: Path
) -> None:
    chats, nowhere = tmp_path / "chats.jsonl", {"PYTHONPATH": "", "SFT_STUDIO_URL": ""}
    chats.write_text("".join(json.dumps({**CHAT, "n": n}) + "\n" for n in range(3)))

    def run(*arguments: str, **more: str) -> str:
        done = sft_studio(*arguments, data_dir=tmp_path / "data", program=program, **nowhere, **more)
        assert done.code == 0, done.stderr
        return done.stdout

    assert json.loads(run("migrate", "--json"))
    report = json.loads(
        run("masks", "verify", "--model", str(smollm2_folder), "--input", str(chats), "--json")
    )
    assert report["green"] is True
    assert "将文件导入数据集" in run("--help", LANG="zh_CN.UTF-8")
    with serving(tmp_path, program, **nowhere) as server:
        page = httpx.get(f"{server.url}/login", follow_redirects=True)
        assert page.status_code == 200
        styles = re.findall(r'href="(/static/css/[^"]+)"', page.text)
        assert styles
        for style in styles:
            found = httpx.get(f"{server.url}{style}")
            assert (found.status_code, found.headers["content-type"].split(";")[0]) == (200, "text/css")
        client = httpx.Client(
            base_url=server.url, headers={"Authorization": f"Bearer {read_local_token(server.data_dir)}"}
        )
        nowhere["SFT_STUDIO_URL"] = server.url
        assert json.loads(run("import", str(chats), "--dataset", "Calls", "--json"))
        job = client.post("/api/v1/base-models", json={"source": "bundled"}).json()["job"]["id"]
        ended = lambda: client.get(f"/api/v1/jobs/{job}").json()["finished_at"]  # noqa: E731
        wait_until(ended, "the preparation of the base model is refused")
        told = client.get(f"/api/v1/jobs/{job}").json()
    assert (told["state"], told["error_code"]) == ("failed", "not_installed")
    assert "pip install 'sft-studio[train]'" in told["error"]
