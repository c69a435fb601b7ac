"""What stands beside the files: how to start them, what they train, and what is otherwise there."""

from app.interchange.exports.tool_configs import one_line
from app.interop.handing import TOOL_NAMES, TOOL_VERSIONS, HandedRun, Handing, Tool, command_of

README = "README.md"


def readme_text(run: HandedRun, handing: Handing, trained_tokens: int) -> str:
    """English, as the tools' own options are."""
    tool, command = TOOL_NAMES[handing.tool], command_of(handing.tool, run.launch)
    what = "a LoRA adapter on" if run.config.use_peft else "every weight of"
    lines = [
        f"# {one_line(run.title)} in {tool}",
        "",
        f"In this folder, where {tool} is installed (written for and run with {TOOL_VERSIONS[handing.tool]}):",
        "",
        f"    {command}",
        "",
        f"It trains {what} {run.model}: {run.samples} samples with {trained_tokens} trained tokens, "
        f"{run.held_out} held out, {run.steps} steps. The samples are tokenized already. They are the very tokens and "
        f"labels that the mask check proved, so {tool} applies no chat template and masks nothing itself.",
        "",
        _another_folder(handing.tool, command),
    ]
    if handing.notes:
        lines += ["", "What is otherwise than in the studio:", ""]
        lines += [f"- {note.english()}" for note in handing.notes]
    return "\n".join(lines) + "\n"


def _another_folder(tool: Tool, command: str) -> str:
    how = {
        "llamafactory": f"`{command} model_name_or_path=FOLDER`",
        "axolotl": f"`{command} --base-model FOLDER`",
    }
    return f"A base model in a folder of yours: {how.get(tool, f'`{command} --model FOLDER`')}."
