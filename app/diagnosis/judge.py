"""All rules, in the order in which a person should look at what they find."""

from app.diagnosis.answers import loss_of_diversity, parroting
from app.diagnosis.findings import Finding
from app.diagnosis.overfitting import overfitting
from app.diagnosis.progress import no_decrease
from app.diagnosis.record import Record, Settings
from app.diagnosis.stability import instability


def diagnose(record: Record, settings: Settings) -> list[Finding]:
    """What is wrong with a run so far. Where its steps are too large, that is the reason for the rest of the curve."""
    of_answers = [parroting(record, settings), loss_of_diversity(record, settings)]
    return [finding for finding in (*_of_curves(record, settings), *of_answers) if finding is not None]


def _of_curves(record: Record, settings: Settings) -> list[Finding | None]:
    stretches = record.stretches()
    if stretches is None:
        unstable = instability(record, settings)
        return [unstable] if unstable else [overfitting(record, settings), no_decrease(record, settings)]
    before, after = stretches
    unstable = instability(before, settings) or instability(after, settings)
    if unstable:
        return [unstable]
    # Of the first stretch nothing is held out, and batches alone are too noisy to tell more by.
    return [overfitting(after, settings), no_decrease(after, settings)]
