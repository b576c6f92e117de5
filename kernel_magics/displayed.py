"""What IPython keeps of values that cells have shown: ``_``, ``__``, ``___``, ``_5``, and ``Out``, in step with each
other, as they are after a plain cell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kernel_magics.stand_ins import is_stand_in

__all__ = ["Displayed", "is_shown_name"]

UNDERS = ("_", "__", "___")
_NUMBERED = re.compile(r"_[1-9][0-9]*\Z")
_OUT = {"Out", "_oh"}
_IN = {"In", "_ih", "_i", "_ii", "_iii"}
_NUMBERED_INPUT = re.compile(r"_i[1-9][0-9]*\Z")
_OUT_USE = re.compile(r"\b(?:Out|_oh)\b(?:\s*\[\s*([1-9][0-9]*)\s*\])?")
_HISTORY = "hist|history|recall|rep|rerun|macro|save|load|loadpy|notebook|logstart|logon|pastebin"
_HISTORY_USE = re.compile(rf"""%(?:{_HISTORY})\b|magic\(\s*["'](?:{_HISTORY})["']|\bhistory_manager\b""")


def is_shown_name(name: str) -> bool:
    """Whether IPython binds the name to a value that was shown."""
    return name in UNDERS or _NUMBERED.match(name) is not None


class Displayed:
    """The shown values of one shell."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell

    def meant(self, source: str, used: Iterable[str]) -> set[str]:
        """The names of shown values that a cell means by ``Out``, which itself does not travel."""
        if _OUT.isdisjoint(used):
            return set()
        numbers = {match[1] for match in _OUT_USE.finditer(source)}
        shown = self._shell.user_ns.get("_oh", {})
        if None in numbers or not numbers:
            return {f"_{number}" for number in shown}
        return {f"_{number}" for number in numbers if int(number) in shown}

    def sources(self, source: str, used: Iterable[str]) -> dict[str, list[str]] | None:
        """The cells before this one, as Python and as they were written, for one that uses ``In`` by any of its names
        or a magic that reads the history."""
        if not _HISTORY_USE.search(source) and not any(name in _IN or _NUMBERED_INPUT.match(name) for name in used):
            return None
        manager = self._shell.history_manager
        if manager is None:
            return None
        parsed, raw = list(manager.input_hist_parsed), list(manager.input_hist_raw)
        for at, text in enumerate(raw):
            if text.startswith("%%step"):  # a step knows no steps: for it they are cells
                raw[at] = text.partition("\n")[2]
                parsed[at] = self._shell.input_transformer_manager.transform_cell(raw[at])
        return {"parsed": parsed, "raw": raw}

    def rebound(self, values: Mapping[str, Any], known: Callable[[str], bool]) -> None:
        """The namespace has these values now. Those of names that were ``known`` to the step as IPython's are what was
        shown, as the step has left it; others the notebook has bound itself."""
        for name, value in values.items():
            if _NUMBERED.match(name):
                self._shell.user_ns.get("_oh", {})[int(name[1:])] = value
            elif name in UNDERS and known(name):
                self._set_under(name, value)

    def following(self, name: str, value: Any) -> list[str]:
        """The names that are bound to the very value of ``name``: they are where that has come from a step and was
        shown, and will have what the name gets."""
        names = self._shell.user_ns
        return [under for under in UNDERS if under != name and names.get(under, self) is value]

    def follow(self, names: Iterable[str], value: Any) -> None:
        """They have got that value."""
        for name in names:
            self._shell.user_ns[name] = value
            self._set_under(name, value)

    def replaced(self, values: Mapping[str, Any]) -> None:
        """The namespace has got these values in the place of stand-ins for them."""
        self.rebound(values, lambda name: is_stand_in(self._bound(name)))

    def own(self) -> set[str]:
        """Those of ``_``, ``__`` and ``___`` that IPython has bound, and not the notebook."""
        names = self._shell.user_ns
        return {under for under in UNDERS if under in names and self._bound(under) is names[under]}

    def _bound(self, under: str) -> Any:
        """What IPython itself has bound the name to."""
        hidden = self._shell.user_ns_hidden
        return hidden[under] if under in hidden else getattr(self._shell.displayhook, under)

    def _set_under(self, name: str, value: Any) -> None:
        """As its own: IPython goes on binding a name only where it finds what it has bound itself."""
        setattr(self._shell.displayhook, name, value)
        if name in self._shell.user_ns_hidden:
            self._shell.user_ns_hidden[name] = value

    def show(self, value: Any) -> None:
        """The value is the latest that was shown."""
        self._shell.displayhook.update_user_ns(value)
