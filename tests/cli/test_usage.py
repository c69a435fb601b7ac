"""What the parser refuses is told in our words, in the reader's language, by the option's name."""

from pathlib import Path

import pytest

from tests.cli.conftest import in_this_process

WRONG = [
    (("list", "base-models"), "WHAT must be one of: datasets, evaluations, models", "WHAT 只能是以下之一"),
    (("evaluate", "--run", "seven", "--suite", "x"), "--run must be a whole number.", "--run 必须是整数。"),
    (("evaluate", "--suite", "x"), "--run is missing.", "缺少 --run。"),
    (
        ("gate", "--ran", "7"),
        "There is no option --ran. Similar ones: --run",
        "没有选项 --ran。相近的有：--run",
    ),
    (("train", "--dataset"), "--dataset needs a value.", "--dataset 需要一个值。"),
    (
        ("trian",),
        "There is no command “trian”. Did you mean “train”?",
        "没有命令“trian”。你要找的是“train”吗？",
    ),
    (("nosuch",), "There is no command “nosuch”.", "没有命令“nosuch”。"),
    (("export", "--run", "7", "--as", "ggfu", "--out", "x"), "--as cannot be “ggfu” here.", "--as"),
]


@pytest.mark.parametrize(("arguments", "english", "chinese"), WRONG, ids=lambda value: str(value)[:20])
def test_a_mistyped_command_is_told_in_words_of_ours(
    tmp_path: Path, arguments: tuple[str, ...], english: str, chinese: str
) -> None:
    told = in_this_process(*arguments, data_dir=tmp_path)
    assert told.code == 2
    assert english in told.error
    for foreign in ("Value error", "Input should be", "Invalid value", "unable to parse"):
        assert foreign not in told.error
    said = in_this_process(*arguments, data_dir=tmp_path, LANG="zh_CN.UTF-8")
    assert chinese in said.error
