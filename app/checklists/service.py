"""All items in their order."""

from sqlmodel import Session

from app.checklists.data import data_items
from app.checklists.facts import read_facts
from app.checklists.items import Item
from app.checklists.lines import ChecklistLine
from app.checklists.monitoring import monitoring_items
from app.checklists.settings import config_items
from app.checklists.verification import verification_items
from app.core.i18n import gettext, say
from app.runs.models import Run


def checklist_of(session: Session, run: Run) -> list[Item]:
    """Filled in from what is known of the run now."""
    facts = read_facts(session, run)
    return [
        *data_items(facts),
        *config_items(facts),
        *monitoring_items(facts),
        *verification_items(facts),
    ]


def lines_of(session: Session, run: Run) -> list[ChecklistLine]:
    """The same in the reader's language."""
    return [
        ChecklistLine(
            code=one.code,
            part=one.part.value,
            part_title=gettext(one.part.heading),
            title=gettext(one.title),
            state=one.state.value,
            word=gettext(one.word),
            evidence=say(one.sentence),
            link=one.link,
        )
        for one in checklist_of(session, run)
    ]
