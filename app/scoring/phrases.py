"""Finding phrases the way a reader does: whole words, not inside a longer word, and aware of negation."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from app.scoring.text import Span, fold

# Longer words in which a short Chinese word means something else. Applied to every phrase list.
COMPOUNDS: dict[str, tuple[str, ...]] = {
    "差": (
        "差异", "差别", "差距", "差不多", "差旅", "出差", "时差", "误差", "偏差", "差价", "差额", "温差",
        "公差", "落差", "参差", "差点", "差一点", "反差", "差事", "交差", "差遣", "差错", "补差", "相差",
        "价差", "方差", "色差", "差使",
    ),
    "烂": ("灿烂", "烂漫", "绚烂", "腐烂", "烂熟", "滚瓜烂熟"),
    "垃圾": (
        "垃圾邮件", "垃圾短信", "垃圾桶", "垃圾箱", "垃圾分类", "垃圾处理", "垃圾回收", "垃圾袋",
        "垃圾信息", "垃圾车",
    ),
    "保证": ("保证金", "质量保证体系", "质量保证部", "质量保证书"),
    "绝对": ("绝对值", "绝对路径", "绝对数", "绝对地址"),
    "贵": ("贵公司", "贵司", "贵方", "贵姓", "贵宾", "宝贵", "尊贵", "贵单位", "贵团队", "可贵", "贵州"),
    "第一": (
        "第一次", "第一步", "第一时间", "第一季度", "第一年", "第一个", "第一批", "第一阶段", "第一周",
        "第一天",
    ),
    "坑": ("坑位", "坑洼", "避坑"),
    "假": ("假如", "假设", "假期", "放假", "请假", "假日", "休假", "暑假", "寒假"),
    "渣": ("豆渣", "残渣"),
    "garbage": ("garbage collection", "garbage collector", "garbage disposal", "garbage bin"),
    "junk": ("junk mail", "junk folder", "junk food"),
    "trash": ("trash can", "trash folder", "trash bin"),
    "rubbish": ("rubbish bin",),
}  # fmt: skip

_CLAUSE_BREAK = re.compile(
    r"[,.;:!?。、\n()\[\]]|\b(?:but|however|although|because)\b|但是|但|不过|而是|然而|可是|因为"
)
_WINDOW = 48
_CHINESE_WINDOW = 9
_PSEUDO_NEGATION = re.compile(
    r"\b(?:not only|not just|not merely|no doubt|nothing but|no wonder|not to mention|no problem|no matter|"
    r"without (?:a |any )?doubt|no question|can't wait|cannot wait|couldn't be more|not surprisingly|"
    r"(?:not|n't) (?:hesitate|worry|forget|miss))\b"
    r"|不但|不仅|不只|不光|不止|不愧|不得不|不断|不错|不妨|不用担心|不必担心|没问题|没想到|无非|无论|不管|非常|除非|特别|"
    r"个别|区别|分别|性别|了不起|别人|级别|类别|别的|别家|非凡|未来|不同|不少|不久|差不多|不好意思|无疑|毫无疑问|不要错过|不会错|不用怕|不用愁"
)
_NEGATION = re.compile(
    r"\b(?:not|no|never|nobody|nothing|none|neither|nor|without|cannot|cant|dont|wont|[a-z]+n't|unable|"
    r"refus(?:e|es|ed|ing)|avoid(?:s|ing)?|instead of|rather than|hardly|far from|beware of)\b"
)
_CHINESE_NEGATION = re.compile(r"不|没|无法|未|别|勿|并非|绝非|而非|禁止|拒绝|避免|难以|谈不上")
_NEGATED_AFTER = re.compile(r"不了|不到|不起|nothing\b| nothing\b")


@lru_cache(maxsize=4096)
def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """A whole-word pattern for a folded phrase; a trailing `*` lets a Latin word go on (`discount*`)."""
    folded = fold(phrase).strip()
    open_ended = folded.endswith("*")
    body = folded.rstrip("*").strip()
    pattern = r"\s+".join(re.escape(part) for part in body.split())
    before = r"(?<![a-z0-9])" if re.match(r"[a-z0-9]", body) else ""
    after = r"[a-z'-]*" if open_ended else r"(?![a-z0-9])" if re.search(r"[a-z0-9]$", body) else ""
    return re.compile(before + pattern + after)


def find_phrase(folded: str, phrase: str, exceptions: Sequence[str] = ()) -> list[Span]:
    """Where `phrase` stands as itself: not inside one of its known compounds nor inside a given exception."""
    hits = [match.span() for match in phrase_pattern(phrase).finditer(folded)]
    if not hits:
        return []
    longer = (*COMPOUNDS.get(fold(phrase).strip(), ()), *exceptions)
    covered = [match.span() for word in longer for match in phrase_pattern(word).finditer(folded)]
    return [hit for hit in hits if not any(start <= hit[0] and hit[1] <= end for start, end in covered)]


def find_any(folded: str, phrases: Iterable[str], exceptions: Sequence[str] = ()) -> list[tuple[str, Span]]:
    """Every phrase found with its place, in reading order."""
    found = [(phrase, span) for phrase in phrases for span in find_phrase(folded, phrase, exceptions)]
    return sorted(found, key=lambda item: item[1])


def is_negated(folded: str, span: Span) -> bool:
    """Whether a negation in the same clause governs the span ("cannot guarantee", "不保证", "保证不了")."""
    start, end = span
    if _NEGATED_AFTER.match(folded, end):
        return True
    before = folded[max(0, start - _WINDOW) : start]
    clause = _CLAUSE_BREAK.split(before)[-1]
    clause = _PSEUDO_NEGATION.sub(lambda match: " " * len(match.group()), clause)
    words_near = " ".join(clause.split()[-7:])
    return bool(_NEGATION.search(words_near) or _CHINESE_NEGATION.search(clause[-_CHINESE_WINDOW:]))


def merge(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sorted spans without overlap, ready for highlighting."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)
