"""A file is looked into, and a mapping tried on it, without reading what lies behind its beginning."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import pytest

from app.interchange import LineProblem
from app.interchange.mapping.model import DialogueMapping
from app.interchange.mapping.trying import Upload
from tests.interchange.reading_aloud import read

# Records of a megabyte each; whoever looks at the beginning may not ask for the last of them.
BESIDE = "能寄样品吗？可以，先寄三种小样给您。" * 19_000
COUNT = 18
TEXT = "\n".join(
    json.dumps({"asked": f"{at}?", "said": f"答 {at}", "beside": BESIDE}, ensure_ascii=False)
    for at in range(COUNT)
)
MAPPING = DialogueMapping(turns="pairs", question="asked", answer="said")


def broken_zip(data: bytes) -> bytes:
    """What its only file unpacks to has another checksum, which shows once it is read to its end."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("talks.jsonl", data)
    whole = bytearray(file.getvalue())
    checksum = whole.rindex(b"PK\x01\x02") + 16
    whole[checksum] ^= 1
    return bytes(whole)


class ReadSoFar(io.BytesIO):
    """A file that remembers how far it was read."""

    furthest = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.furthest = max(self.furthest, self.tell())
        return data


@pytest.mark.parametrize("kind", ["plain", "gbk", "gz", "zip"])
def test_only_the_beginning_is_judged_unpacked_and_read(kind: str) -> None:
    data = TEXT.encode("gb18030" if kind == "gbk" else "utf-8")
    data = data + b"\n" + data if kind == "gbk" else data  # in which a character takes two bytes
    data = gzip.compress(data, 1)[:-8] if kind == "gz" else broken_zip(data) if kind == "zip" else data
    stream = ReadSoFar(data)
    upload = Upload(stream, "talks.jsonl")
    sample = upload.sample()
    trial = upload.trial(MAPPING)
    assert 15 < sample.read < (2 if kind == "gbk" else 1) * COUNT
    assert not sample.is_whole
    assert (trial.count, len(trial.dialogues), trial.problem_count) == (sample.read, 3, 0)
    assert [one["content"] for one in trial.dialogues[1]["messages"]] == ["1?", "答 1"]
    if kind in ("plain", "gbk"):
        assert stream.furthest < len(data)
    else:
        found = [item.code for item in read(data, filename="talks") if isinstance(item, LineProblem)]
        assert found == ["archive_broken"]
