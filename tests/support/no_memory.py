"""A process to which the system gives no more memory and which ends of that, as a program or from within another one."""

import resource

import psutil
from pydantic_core import to_json


def abort_for_memory() -> None:
    """As what is written in Rust or C++ does where it gets no more: it prints a line and aborts."""
    text = "a" * 2**27
    limit = psutil.Process().memory_info().vms + 2**25
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    to_json(text)


if __name__ == "__main__":
    abort_for_memory()
