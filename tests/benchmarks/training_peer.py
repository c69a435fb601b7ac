"""The peer's side of the training benchmark: TRL's SFTTrainer with its own defaults, in a process of its own.

Reads a JSON file with the conversations in the order they are to be trained, writes one JSON line a step.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import LoraConfig
from transformers import AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Told(TrainerCallback):
    """Each step's end, and each step's loss."""

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        tell("progress", step=state.global_step)

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        logs = kwargs["logs"]
        if "loss" in logs:
            tell("metric", step=state.global_step, loss=float(logs["loss"]))


def tell(event: str, **fields: Any) -> None:
    sys.__stdout__.write(json.dumps({"event": event, **fields}) + "\n")  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def main(job_file: Path) -> None:
    # Trainer prints its metrics: standard output is for our lines alone.
    sys.stdout = sys.stderr
    job = json.loads(job_file.read_text("utf-8"))
    lora, config = job["lora"], job["config"]
    tokenizer = AutoTokenizer.from_pretrained(job["base_model_path"])
    tokenizer.chat_template = job["chat_template"]
    trainer = SFTTrainer(
        model=job["base_model_path"],
        # TRL's defaults stand: bf16 autocast, gradient checkpointing, padding to the longest of a batch.
        args=SFTConfig(
            output_dir=job["output_dir"],
            assistant_only_loss=True,
            max_length=None,
            use_cpu=True,
            train_sampling_strategy="sequential",
            logging_steps=1,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **config,
        ),
        train_dataset=Dataset.from_list([{"messages": messages} for messages in job["messages"]]),
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **lora),
        callbacks=[Told()],
    )
    batch = next(iter(trainer.get_train_dataloader()))
    trainer.train()
    tell(
        "result",
        peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        trained_in_first_batch=int((batch["labels"] != -100).sum()),
        bf16=trainer.args.bf16,
        gradient_checkpointing=trainer.args.gradient_checkpointing,
        weights=str(next(p for p in trainer.model.parameters() if not p.requires_grad).dtype),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
