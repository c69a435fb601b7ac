"""A mask setting has one name in each language, wherever it is said: form, preview, new run, check, REST, commands, help."""

import re

from app.mask_settings.fields import MASK_FIELDS
from tests.core.test_i18n import catalogue, extracted

# Our name, and what else people call it in English and in Chinese.
SECOND_NAMES = {
    "Every assistant turn": (r"\b[Aa]ll (the )?assistant turns", "助手轮次|全部助手|全部回复"),
    "Last assistant turn only": (
        r"[Ff]inal assistant turn|[Oo]nly the last assistant",
        "最后一轮助手|最后一个助手",
    ),
    "Sliding windows": (r"[Oo]verlapping", "重叠窗口|滑窗"),
    "Length limit": (r"[Mm]ax(imum|\.)? (sequence )?length|[Ss]equence length", "最大长度|序列长度|长度限制"),
    "Thinking": (r"\b[Rr]easoning\b", "推理内容|推理过程"),
    "Control tokens in messages": (r"[Ss]pecial tokens?\b", "特殊 ?token|控制符"),
    "Keep as ordinary text": (r"[Nn]ormal text", "普通文本|当作文本"),
    "By strategy": (r"[Ff]ollows? the default", "随策略|按策略"),
    "Held-out loss": (r"[Vv]alidation loss", "留出"),
    # One says something: 第 3 条. 轮 is an epoch, 轮次结束符 the token at the end of one.
    "Turn %(number)d": (r"[Uu]tterance", "第 [^ ]+ 轮(?!（)|轮次(?!结束符)"),
}


def test_no_setting_has_a_second_name() -> None:
    messages, translated = extracted(), catalogue()
    for ours, (english, chinese) in SECOND_NAMES.items():
        assert ours in messages
        second = [f"{where}: {text}" for text, where in messages.items() if re.search(english, text)]
        second += [text for texts in translated.values() for text in texts if re.search(chinese, text)]
        assert second == [], ours


def test_no_two_settings_and_no_two_of_their_values_read_the_same() -> None:
    translated = catalogue()
    labels = [translated[item.label][0] for item in MASK_FIELDS]
    assert len(set(labels)) == len(labels)
    for item in MASK_FIELDS:
        words = [translated[word.label][0] for word in item.words.values()]
        assert len(set(words)) == len(words)
