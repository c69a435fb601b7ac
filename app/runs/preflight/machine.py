"""Of the machine: precision, memory, disk. Where workers run elsewhere and none has told what it has, this machine's memory only
suggests theirs.
"""

from collections.abc import Iterator
from typing import Final

from app.files import gigabytes
from app.recipes.config import TrainingConfig
from app.recipes.memory import Fits, fits
from app.runs.planning import MemoryPlan
from app.runs.preflight.facts import Facts
from app.runs.preflight.items import Change, Item, Level, Name, ok, warning
from app.sentences import N_, Sentence

_TIGHT_HERE: Final = N_("Tight: about %(needed)s GB at the peak of %(free)s GB that are free on %(device)s.")
_HERE: Final = N_("About %(needed)s GB at the peak of %(free)s GB that are free on %(device)s.")
_TIGHT_ELSEWHERE: Final = N_(
    "Tight: about %(needed)s GB at the peak of the %(total)s GB that %(device)s has."
)
_ELSEWHERE: Final = N_("About %(needed)s GB at the peak of the %(total)s GB that %(device)s has.")
_MISSING: Final = N_(
    "No worker has told of %(device)s, so nobody knows whether the run fits there, and it waits until one comes."
)
_HELPS_MISSING: Final = N_("Start a worker that has it, or choose another device.")
# From this share of the free disk on it is tight.
_TIGHT: Final = 0.8


def machine_items(facts: Facts) -> Iterator[Item]:
    """In the order of the list."""
    config = facts.plan.config
    if config is None:
        return
    if facts.ground.device is not None:
        yield _precision(facts, config)
    if facts.ground.missing is not None:
        sentence = Sentence.of(_MISSING, device=facts.ground.missing)
        yield warning(Name.MEMORY, sentence, helps=_HELPS_MISSING)
    elif facts.plan.memory is not None:
        yield _memory(facts, config, facts.plan.memory)
    if facts.plan.disk is not None and facts.ground.free_disk is not None:
        yield _disk(config, facts.plan.disk, facts.ground.free_disk)


def _precision(facts: Facts, config: TrainingConfig) -> Item:
    device = facts.ground.device
    assert device is not None
    if config.bf16 is True and not device.has_bf16:
        message = N_(
            "bf16 is asked for and %(device)s has no units for it: it would be slower and less exact than fp32."
        )
        helps = N_("auto computes in bf16 where the device is good at it.")
        sentence = Sentence.of(message, device=device.title)
        return warning(Name.PRECISION, sentence, helps=helps, change=Change("bf16", "auto"))
    half = device.has_bf16 if config.bf16 == "auto" else config.bf16
    message = N_("bf16, for which %(device)s has units.") if half else N_("fp32 on %(device)s.")
    return ok(Name.PRECISION, message, device=device.title)


def _memory(facts: Facts, config: TrainingConfig, memory: MemoryPlan) -> Item:
    device = memory.device
    sizes = {
        "needed": gigabytes(memory.needed),
        "free": gigabytes(device.free),
        "total": gigabytes(device.memory),
        "device": device.title,
    }
    never = fits(memory.needed, device.memory)
    change = _lighter(config)
    helps = N_("Lower the batch size or the length limit, switch gradient checkpointing on, or take QLoRA.")
    if never is Fits.NO:
        message = N_("It needs about %(needed)s GB at the peak, and %(device)s has %(total)s GB in all.")
        sentence = Sentence.of(message, **sizes)
        if facts.ground.is_sure:
            return Item(
                Name.MEMORY,
                Level.ERROR,
                sentence,
                helps=Sentence(helps),
                change=change,
                field="per_device_train_batch_size",
            )
        return warning(Name.MEMORY, sentence, helps=helps, change=change)
    if memory.fits is Fits.NO:
        message = N_(
            "It needs about %(needed)s GB at the peak; %(free)s GB of the %(total)s GB of %(device)s are free now."
        )
        return warning(Name.MEMORY, Sentence.of(message, **sizes), helps=helps, change=change)
    tight = memory.fits is Fits.TIGHT
    if not device.knows_free:
        return ok(Name.MEMORY, _TIGHT_ELSEWHERE if tight else _ELSEWHERE, **sizes)
    return ok(Name.MEMORY, _TIGHT_HERE if tight else _HERE, **sizes)


def _lighter(config: TrainingConfig) -> Change | None:
    """The one field that takes the least from a run and saves the most."""
    if not config.gradient_checkpointing:
        return Change("gradient_checkpointing", "true")
    batch = config.per_device_train_batch_size
    return Change("per_device_train_batch_size", str(batch // 2)) if batch > 1 else None


def _disk(config: TrainingConfig, needed: int, free: int) -> Item:
    sizes = {"needed": gigabytes(needed), "free": gigabytes(free), "kept": config.save_total_limit}
    change = Change("save_total_limit", "2") if config.save_total_limit > 2 else None
    helps = N_("Keep fewer checkpoints, or free some space.")
    if needed > free:
        message = N_(
            "Its checkpoints, %(kept)d of them kept, need up to %(needed)s GB of the disk; %(free)s GB are free."
        )
        return Item(
            Name.DISK,
            Level.ERROR,
            Sentence.of(message, **sizes),
            helps=Sentence(helps),
            change=change,
            field="save_total_limit",
        )
    if needed > _TIGHT * free:
        message = N_(
            "Its checkpoints, %(kept)d of them kept, need up to %(needed)s GB of %(free)s GB that are free on the disk."
        )
        return warning(Name.DISK, Sentence.of(message, **sizes), helps=helps, change=change)
    message = N_("Up to %(needed)s GB for %(kept)d checkpoints of %(free)s GB that are free on the disk.")
    return ok(Name.DISK, message, None, **sizes)
