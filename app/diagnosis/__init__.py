"""What goes wrong in a training run, read from its recorded curves and sample answers. Pure: no database, no torch.

`record` what is judged · `findings` what is found: code, place, evidence, remedy · `statistics` means, noise and swings ·
one module a kind: `overfitting`, `progress` (no decrease), `stability` (explosion, fall then rise, oscillation),
`answers` (parroting, loss of diversity) · `remedies` the fields to change · `copies` what an answer repeats of the
training set · `judge` all of it in order. A rule says nothing where there is too little to tell.
"""

from app.diagnosis.findings import Evidence, Finding, FindingCode
from app.diagnosis.judge import diagnose
from app.diagnosis.record import EvalPoint, Record, SampleAnswer, Settings, TrainPoint

__all__ = [
    "EvalPoint",
    "Evidence",
    "Finding",
    "FindingCode",
    "Record",
    "SampleAnswer",
    "Settings",
    "TrainPoint",
    "diagnose",
]
