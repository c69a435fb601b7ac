"""Libraries that others import for a case that seldom comes: here they are imported once something is asked of them.

transformers imports `datasets`, and with it pandas, to tell a dataset of that kind from ours; peft imports bitsandbytes to
know a quantized layer. A job's process would spend a quarter of its start, and 130 MB, on what it does not use. And
transformers reads the source of each of its models, two thousand files, to know their names: once is enough.
"""

import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

LATE: Final = ("bitsandbytes", "datasets")
# torch's own variable, read wherever something is to be compiled.
_NO_COMPILER: Final = "TORCHDYNAMO_DISABLE"
_MODELS: Final = "transformers.models"
# Which names are in which module, by what must be installed for them.
_Names = dict[frozenset[str], dict[str, set[str]]]
_lock: Final = threading.RLock()


class _Later(ModuleType):
    """A module before its code has run. Without a `__path__` of its own at first, so that importing a part of it runs it too."""

    def __getattr__(self, name: str) -> Any:
        with _lock:
            own = vars(self)
            if "__path__" not in own:
                spec: ModuleSpec = own["__spec__"]
                own["__path__"] = spec.submodule_search_locations
                try:
                    _run(spec, self)
                except BaseException:
                    # Whoever asks next is told the same.
                    own.pop("__path__", None)
                    raise
                object.__setattr__(self, "__class__", ModuleType)
            return _given(self, name) if isinstance(self, _Later) else getattr(self, name)


def import_late(*names: str) -> None:
    """Let these packages be imported when something is first asked of them. One that is not installed, or is here already, is
    left as it is; what is wrong with one is raised where it is asked.
    """
    for name in names:
        spec = None if name in sys.modules else importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            module = importlib.util.module_from_spec(spec)
            del module.__path__
            object.__setattr__(module, "__class__", _Later)
            sys.modules[name] = module


class ModelsReadOnce(MetaPathFinder):
    """Finds nothing. When the package of transformers' models is about to ask which names they have, it is told what transformers
    itself has found out by reading them, rather than letting it read them all again.
    """

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == _MODELS:
            sys.meta_path.remove(self)
            _tell_names(sys.modules["transformers.utils.import_utils"])


def read_models_once() -> None:
    """From now on in this process, unless the models are here already."""
    if _MODELS not in sys.modules and not any(isinstance(one, ModelsReadOnce) for one in sys.meta_path):
        sys.meta_path.insert(0, ModelsReadOnce())


def _tell_names(utils: Any) -> None:
    read = utils.define_import_structure
    folder = Path(sys.modules["transformers"].__path__[0]) / "models"

    def names_in(module_path: str, prefix: str | None = None) -> _Names:
        if prefix is not None or Path(module_path) != folder / "__init__.py":
            found: _Names = read(module_path, prefix)
            return found
        # As transformers asked, which has the answer at hand, and has put its other modules beside these.
        whole: _Names = read(folder, prefix="models")
        return {
            needed: {
                module.removeprefix("models."): names
                for module, names in modules.items()
                if module.startswith("models.")
            }
            for needed, modules in whole.items()
        }

    utils.define_import_structure = names_in


@contextmanager
def nothing_collected() -> Iterator[None]:
    """While many modules are imported, which stay to the end: looking through them for garbage again and again takes a sixth
    of the time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _run(spec: ModuleSpec, module: ModuleType) -> None:
    assert spec.loader is not None
    # bitsandbytes has kernels of its own for CPUs and CUDA: what it would have compiled is for other devices.
    with _nothing_compiled() if spec.name == "bitsandbytes" else nullcontext():
        spec.loader.exec_module(module)


def _given(module: ModuleType, name: str) -> Any:
    """What the module, whose code is running, has so far."""
    try:
        return vars(module)[name]
    except KeyError:
        raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}") from None


@contextmanager
def _nothing_compiled() -> Iterator[None]:
    """What asks torch to compile a function meanwhile keeps the function as it is, and the compiler is not imported for it."""
    before = os.environ.get(_NO_COMPILER)
    os.environ[_NO_COMPILER] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_NO_COMPILER]
        else:
            os.environ[_NO_COMPILER] = before
