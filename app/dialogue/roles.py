"""Whose words a message holds: our four roles, and the table of other names that are understood, in any case
and with blanks around."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Role(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


ROLES: Final = tuple(role.value for role in Role)
FUNCTION_CALL: Final = "function_call"  # ShareGPT: an assistant message whose whole text is a tool call

_NAMES = {
    Role.SYSTEM.value: "system developer 系统",
    Role.USER.value: "user human customer client buyer prospect lead prompter 用户 客户 顾客 买家",
    Role.ASSISTANT.value: "assistant gpt chatgpt bot robot model ai agent sales salesperson seller rep"
    " 助手 销售 客服 顾问 卖家 机器人",
    Role.TOOL.value: "tool function observation tool_response function_response ipython 工具",
    FUNCTION_CALL: "function_call tool_call",
}
ROLE_OF: Final = {name: role for role, names in _NAMES.items() for name in names.split()}


def get_role(name: str) -> str | None:
    """system, user, assistant, tool or FUNCTION_CALL; None for a name that is not in the table."""
    return ROLE_OF.get(name.strip().lower())
