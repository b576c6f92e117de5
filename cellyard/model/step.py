"""StepRequest: what a face asks the engine to run. Pure; its dictionary is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cellyard.model.resources import Resources
from cellyard.model.step_line import StepLine

__all__ = ["StepRequest"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """One marked cell, ready to run.

    ``notebook`` is the notebook's identity and ``session`` the kernel's; ``run`` joins a run that exists
    (None: the engine opens a run of this one step). ``source`` is the cell below its %%step line, ``line``
    that line with ``{x}`` expanded, ``raw_line`` as it was typed. ``inputs`` are artifact references, opaque
    to the engine. ``packages`` are the top-level modules that the notebook has imported.
    ``environment`` is what the step needs where the kernel's machine is out of reach (opaque here, see
    ``cellyard.environment``); None: it runs on the kernel's machine.
    ``owner`` is who asks for it and ``commit`` what is checked out where the notebook is; a run that is opened for the
    step has them.
    ``key`` says what the step means (see ``model.cache_key``), and ``parts`` what it was made of: the step's result is
    kept under it. With ``reuse`` a result that is there is taken instead of running the step.
    ``private`` (base64) is process state with the user's environment: it is handed to the worker and shown
    in no record, log or repr.
    """

    notebook: str
    session: str
    name: str
    source: str
    run: int | None = None
    cell_id: str | None = None
    line: str = ""
    raw_line: str = ""
    options: StepLine = field(default_factory=StepLine)
    execution_count: int = 0
    inputs: tuple[dict[str, Any], ...] = ()
    private: str = field(default="", repr=False)
    packages: tuple[str, ...] = ()
    environment: dict[str, Any] | None = None
    owner: str | None = None
    commit: str | None = None
    key: str = ""
    parts: dict[str, Any] | None = None
    reuse: bool = False

    @property
    def resources(self) -> Resources:
        """What the step line asks for, before the engine has looked at its capacity."""
        return self.options.resources

    def to_dict(self) -> dict[str, Any]:
        """The whole request as JSON, ``private`` included: for the wire, not for records."""
        data = {each.name: getattr(self, each.name) for each in fields(self)}
        return data | {
            "options": self.options.to_dict(),
            "inputs": list(self.inputs),
            "packages": list(self.packages),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepRequest:
        """The request that :meth:`to_dict` wrote. Keys that it does not know are ignored (a newer face);
        KeyError when ``notebook``, ``session``, ``name`` or ``source`` is missing."""
        known = {each.name: data[each.name] for each in fields(cls) if each.name in data}
        for required in ("notebook", "session", "name", "source"):
            known[required] = str(data[required])
        known["options"] = StepLine.from_dict(data.get("options") or {})
        known["inputs"] = tuple(dict(each) for each in data.get("inputs") or ())
        known["packages"] = tuple(data.get("packages") or ())
        return cls(**known)
