"""What a gate over a sweep found, as JUnit and as Markdown. Pure, as for one run."""

from xml.etree import ElementTree as ET

from app.core.i18n import gettext as _
from app.core.markdown import on_one_line
from app.gates.reports import clean, moment_of, suites_of, wanted, written
from app.gates.schemas import SweepGateOut, SweptOut, figure


def sweep_junit(found: SweepGateOut) -> str:
    """A test case for each run. Where one run had to pass and one did, the others are `skipped`: they fail nothing."""
    root, suite = suites_of(found.sweep, moment_of(found), len(found.runs))
    failures = skipped = 0
    for one in found.runs:
        name = clean(f"run {one.run_id} ({_values(one)})")
        case = ET.SubElement(suite, "testcase", classname=f"sweep-{found.sweep_id}", name=name, time="0")
        if one.passed:
            continue
        told = clean(told_of(one))
        if found.passed:
            skipped += 1
            ET.SubElement(case, "skipped", message=told)
        else:
            failures += 1
            ET.SubElement(case, "failure", message=told, type="gate").text = told
    return written(root, suite, failures=failures, skipped=skipped)


def sweep_markdown(found: SweepGateOut, page: str = "") -> str:
    """A heading that says how it ended, a row for each run; `page` is the sweep's address."""
    heading = _("Gate passed") if found.passed else _("Gate not passed")
    title = on_one_line(found.sweep)
    about = _("Sweep %(id)d, %(name)s: one of its runs has to pass")
    if found.need == "all":
        about = _("Sweep %(id)d, %(name)s: all of its runs have to pass")
    heads = ("", _("Run"), _("What differs"), _("What came of it"))
    lines = [
        f"## {'✅' if found.passed else '❌'} {heading}",
        "",
        about % {"id": found.sweep_id, "name": f"[{title}]({page})" if page else title},
        "",
        f"| {' | '.join(heads)} |",
        "|---|---:|---|---|",
        *(_row(one, best=one.run_id == found.best_run_id) for one in found.runs),
    ]
    return "\n".join(lines) + "\n"


def _row(one: SweptOut, *, best: bool) -> str:
    mark = "✅" if one.passed else "❌" if one.gate else "⚠️"
    star = " ★" if best else ""
    return f"| {mark} | {one.run_id}{star} | {on_one_line(_values(one))} | {on_one_line(told_of(one))} |"


def _values(one: SweptOut) -> str:
    return ", ".join(f"{name} {value}" for name, value in one.values.items())


def told_of(one: SweptOut) -> str:
    """In a table: why it did not pass; of one that passed, its numbers."""
    if one.gate is None:
        return one.why or ""
    failed = [criterion.detail for criterion in one.gate.criteria if not criterion.passed]
    return " ".join(failed) or ", ".join(
        f"{criterion.metric} {figure(criterion.value)} ({wanted(criterion)})"
        for criterion in one.gate.criteria
    )
