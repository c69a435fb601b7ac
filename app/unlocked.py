"""A cached property that holds no lock while its value is found.

Until Python 3.12 functools has one lock for a property of all instances: what one slow template is asked for would hold
up every other template.
"""

import functools
from typing import Any, TypeVar, overload

Value = TypeVar("Value")


class cached_property(functools.cached_property[Value]):
    """As in functools. Two threads that ask at the same moment both find the value, and it is the same."""

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> "cached_property[Value]": ...
    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> Value: ...
    def __get__(self, instance: object | None, owner: type[Any] | None = None) -> Any:
        """The value, found at the first time."""
        if instance is None:
            return self
        assert self.attrname is not None
        values = instance.__dict__
        if self.attrname not in values:
            values[self.attrname] = self.func(instance)
        return values[self.attrname]
