"""Whose words a message holds: the table of role names that are understood, in any case and with blanks
around."""

from __future__ import annotations

FUNCTION_CALL = "function_call"  # ShareGPT: an assistant message whose whole text is a tool call

_NAMES = {
    "system": "system developer 系统",
    "user": "user human customer client buyer prospect lead prompter 用户 客户 顾客 买家",
    "assistant": "assistant gpt chatgpt bot model ai agent sales salesperson seller rep"
    " 助手 销售 客服 顾问 卖家",
    "tool": "tool function observation tool_response function_response ipython 工具",
    FUNCTION_CALL: "function_call tool_call",
}
ROLE_OF = {name: role for role, names in _NAMES.items() for name in names.split()}


def get_role(name: str) -> str | None:
    """system, user, assistant, tool or FUNCTION_CALL; None for a name that is not in the table."""
    return ROLE_OF.get(name.strip().lower())
