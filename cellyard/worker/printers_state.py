"""How values of a type are shown, as the notebook or a library has told IPython, as a part of the process state.

Printers are known by their type's module and name: the type need not be there yet where they are applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from IPython.lib import pretty

from cellyard.artifacts.process_objects import formatters_here
from cellyard.worker.callbacks import Callback, travelling

__all__ = ["capture_printers", "set_printers"]

_Key = tuple[str, str, str]
#: Made from the precision, which is among the settings of the shell, where it is IPython's own.
_OF_PRECISION = ("text/plain", "builtins", "float")
_OF_FORMATTERS = "IPython.core.formatters"
#: Of figures, which are drawn as the section of figures says.
_OF_FIGURES = "matplotlib"


def capture_printers() -> dict[_Key, Callback]:
    """By MIME type, module and name, what differs from what every shell has; empty where there is no shell."""
    found = {key: travelling(printer) for key, printer in _printers().items()}
    return {key: callback for key, callback in found.items() if callback is not None}


def _printers() -> dict[_Key, Any]:
    found: dict[_Key, Any] = {}
    for mime, formatter in formatters_here().items():
        for kind, printer in getattr(formatter, "type_printers", {}).items():
            if pretty._type_pprinters.get(kind) is not printer and not isinstance(kind, str):
                found[mime, kind.__module__, kind.__name__] = printer
        for (module, name), printer in getattr(formatter, "deferred_printers", {}).items():
            if pretty._deferred_type_pprinters.get((module, name)) is not printer:
                found[mime, module, name] = printer
    return {key: printer for key, printer in found.items() if not _is_set_otherwise(key, printer)}


def _is_set_otherwise(key: _Key, printer: Any) -> bool:
    is_own = getattr(printer, "__module__", "") == _OF_FORMATTERS
    return (key == _OF_PRECISION and is_own) or key[1].startswith(_OF_FIGURES)


def set_printers(value: Mapping[_Key, Callback]) -> None:
    """Have these and no others, beside what every shell has."""
    formatters = formatters_here()
    now = _printers()
    for mime, module, name in now.keys() - value.keys():
        for printers, key in _places(formatters[mime], module, name):
            del printers[key]
    for (mime, module, name), printer in value.items():
        formatter: Any = formatters.get(mime)
        if not hasattr(formatter, "deferred_printers") or now.get((mime, module, name)) is printer.function():
            continue
        places = list(_places(formatter, module, name))
        for printers, key in places or [(formatter.deferred_printers, (module, name))]:
            printers[key] = printer.function()


def _places(formatter: Any, module: str, name: str) -> Iterator[tuple[dict[Any, Any], Any]]:
    """Where the formatter has a printer of that type."""
    for kind in [each for each in formatter.type_printers if (each.__module__, each.__name__) == (module, name)]:
        yield formatter.type_printers, kind
    if (module, name) in formatter.deferred_printers:
        yield formatter.deferred_printers, (module, name)
