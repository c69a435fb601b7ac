"""What a gate found, as the files that CI systems read: JUnit for GitHub, GitLab and Jenkins, Markdown for a job's summary.

Pure: server and command line write the same. A gate that could not be judged has files too, which say why.
"""

import re
from typing import Final, Literal
from xml.etree import ElementTree as ET

from app.core.i18n import gettext as _
from app.core.markdown import on_one_line
from app.gates.schemas import CriterionOut, GateOut, SweepGateOut, figure

SUITE: Final = "sft-studio gate"
# What XML 1.0 cannot hold in any spelling.
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
Judged = Literal["run", "sweep"]
_SIGNS: Final = {"min": "≥", "max": "≤"}


def junit(gate: GateOut) -> str:
    """A test case for each criterion, `failure` where it is not met, `skipped` where nothing could be compared."""
    root, suite = suites_of(gate.run, moment_of(gate), len(gate.criteria) + len(gate.left_out))
    place = f"run-{gate.run_id}"
    for one in gate.criteria:
        case = ET.SubElement(suite, "testcase", classname=place, name=clean(_asked(one)), time="0")
        if not one.passed:
            failure = ET.SubElement(case, "failure", message=clean(one.detail), type=one.rule)
            failure.text = clean(one.detail)
    for left in gate.left_out:
        case = ET.SubElement(suite, "testcase", classname=place, name=clean(left.metric), time="0")
        ET.SubElement(case, "skipped", message=clean(left.detail))
    failed = sum(not one.passed for one in gate.criteria)
    return written(root, suite, failures=failed, skipped=len(gate.left_out))


def junit_not_judged(what: Judged, number: int, why: str) -> str:
    """One test case with an `error`."""
    root, suite = suites_of(f"{what} {number}", None, 1)
    case = ET.SubElement(suite, "testcase", classname=f"{what}-{number}", name="gate", time="0")
    ET.SubElement(case, "error", message=clean(why), type="not_judged").text = clean(why)
    return written(root, suite, errors=1)


def suites_of(run: str, moment: str | None, tests: int) -> tuple[ET.Element, ET.Element]:
    """The root and its one suite, called by what is judged."""
    root = ET.Element("testsuites", name=SUITE, tests=str(tests))
    suite = ET.SubElement(root, "testsuite", name=clean(f"{SUITE}: {run}"), tests=str(tests), time="0")
    if moment:
        suite.set("timestamp", moment)
    return root, suite


def written(
    root: ET.Element, suite: ET.Element, *, failures: int = 0, errors: int = 0, skipped: int = 0
) -> str:
    """The file, with how many cases ended how."""
    for element in (root, suite):
        element.set("failures", str(failures))
        element.set("errors", str(errors))
        element.set("skipped", str(skipped))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def markdown(gate: GateOut, page: str = "") -> str:
    """A heading that says how it ended, a row for each criterion; `page` is the run's address."""
    heading = _("Gate passed") if gate.passed else _("Gate not passed")
    title = on_one_line(gate.run)
    about = _("Run %(id)d, %(name)s")
    heads = ("", _("Metric"), _("Value"), _("Wanted"), _("Reference"))
    lines = [
        f"## {'✅' if gate.passed else '❌'} {heading}",
        "",
        about % {"id": gate.run_id, "name": f"[{title}]({page})" if page else title},
        "",
        f"| {' | '.join(heads)} |",
        "|---|---|---:|---:|---:|",
        *(_row(one) for one in gate.criteria),
        "",
    ]
    lines += [f"- {on_one_line(left.detail)}" for left in gate.left_out]
    return "\n".join(lines).rstrip() + "\n"


def markdown_not_judged(what: Judged, number: int, why: str) -> str:
    """What kept the gate from being judged."""
    named = (_("run %(id)d") if what == "run" else _("sweep %(id)d")) % {"id": number}
    heading = _("Gate not judged")
    return f"## ⚠️ {heading}\n\n{named}: {on_one_line(why)}\n"


def _row(one: CriterionOut) -> str:
    mark = "✅" if one.passed else "❌"
    reference = "" if one.reference is None else figure(one.reference)
    return f"| {mark} | `{one.metric}` | {figure(one.value)} | {wanted(one)} | {reference} |"


def _asked(one: CriterionOut) -> str:
    return f"{one.metric} {wanted(one)}"


def wanted(one: CriterionOut) -> str:
    """≥ 0.8, ≤ 2.5; of a comparison, which side of the limit is good shows in the sign too."""
    if one.rule in _SIGNS:
        return f"{_SIGNS[one.rule]} {figure(one.limit)}"
    return f"{'≥' if one.better == 'higher' else '≤'} {figure(one.limit)}"


def moment_of(gate: GateOut | SweepGateOut) -> str:
    """When it was judged."""
    return gate.judged_at.strftime("%Y-%m-%dT%H:%M:%S")


def clean(text: str) -> str:
    """Without what XML cannot hold."""
    return _NOT_XML.sub("", text)
