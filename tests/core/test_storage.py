"""Files below one root: whole or absent, and never outside."""

import hashlib
from pathlib import Path

import pytest

from app.core.storage import Storage, file_sha256


def test_a_file_is_there_once_it_is_written_whole(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with storage.write("a/b.bin") as file:
        file.write(b"one")
        assert not storage.path("a/b.bin").exists()
    assert storage.path("a/b.bin").read_bytes() == b"one"
    assert file_sha256(storage.path("a/b.bin")) == hashlib.sha256(b"one").hexdigest()


def test_what_was_begun_and_failed_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with storage.write("a.bin") as file:
        file.write(b"old")

    def fail_half_way() -> None:
        with storage.write("a.bin") as file:
            file.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert storage.path("a.bin").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]
    storage.remove("a.bin")
    storage.remove("a.bin")


def test_files_below_a_folder_are_told_by_name_with_size_and_hash(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    for key in ("runs/1/b.txt", "runs/1/a/c.txt", "runs/2/d.txt"):
        with storage.write(key) as file:
            file.write(b"{}")
    first, second = storage.files("runs/1")
    assert (first.name, first.key, second.name) == ("a/c.txt", "runs/1/a/c.txt", "b.txt")
    assert (second.size_bytes, second.sha256) == (2, hashlib.sha256(b"{}").hexdigest())
    assert storage.files("runs/3") == []


@pytest.mark.parametrize("key", ["../x", "/etc/passwd", "a/../../x"])
def test_a_key_that_leads_out_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="outside the root"):
        Storage(tmp_path / "root").path(key)


def test_a_staged_file_gets_its_name_when_it_is_kept_and_leaves_nothing_otherwise(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    with storage.stage("versions") as file:
        file.write(b"one ")
        file.write(b"two")
        assert file.sha256 == hashlib.sha256(b"one two").hexdigest()
        file.keep("versions/kept")
    with storage.stage("versions") as file:
        file.write(b"three")
    assert [path.name for path in storage.folder("versions").iterdir()] == ["kept"]
    assert storage.path("versions/kept").read_bytes() == b"one two"
