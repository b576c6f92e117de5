"""ItemValues: what the items of a step have made, stored batch by batch, and put together at the end.

Where the step's result is kept under a key, which says that code and inputs are the same, each batch is told: another
try then takes what this one has made. The items themselves are compared by their digest; where they have none, nothing
is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from cellyard.artifacts.artifact import load, pack_group, store_packed, writing
from cellyard.artifacts.canonical import canonical_digest
from cellyard.artifacts.store import Store
from cellyard.errors import CannotTravel, CellyardError

__all__ = ["ItemValues"]


class ItemValues:
    """Of one step, whose names are ``namespace``. ``earlier`` are batches that were told before, ``tell`` tells one;
    None where the step has no key. ``wanted``: names that have to travel."""

    def __init__(
        self,
        store: Store,
        namespace: dict[str, Any],
        *,
        wanted: Collection[str] = (),
        earlier: Sequence[Mapping[str, Any]] = (),
        tell: Callable[..., None] | None = None,
    ) -> None:
        self.store = store
        self._namespace = namespace
        self._wanted = wanted
        self._earlier = earlier
        self._tell = tell
        self._of: str | None = None
        self._batches: list[tuple[Sequence[int], str]] = []
        self.done_before: frozenset[int] = frozenset()
        self.left_out: dict[str, str] = {}
        """Names that cannot travel, and why."""

    @property
    def are_kept(self) -> bool:
        """Whether another try will know what was made."""
        return self._of is not None

    def begin(self, items: Sequence[Any]) -> None:
        """These are the items; what they have made in an earlier try is there already."""
        if self._tell is None:
            return
        self._of = canonical_digest(list(items))
        for batch in self._earlier:
            if batch["of"] == self._of and self._is_there(batch["id"]):
                self._batches.append((batch["items"], batch["id"]))
        self.done_before = frozenset(index for indexes, _ in self._batches for index in indexes)

    def stored(self, values: dict[str, list[Any]]) -> dict[str, Any]:
        """Store what a batch has made, by name; what :meth:`made` is to be given. Raises CannotTravel for a name that
        has to, and whatever the store raises. In whichever process."""
        left_out: dict[str, str] = {}
        while True:
            try:
                with writing(self.store, self._namespace) as (batch, definitions):
                    packed = pack_group(values, self._namespace)
                    return {"id": store_packed(packed, values, batch, definitions).id, "left_out": left_out}
            except CannotTravel as error:
                if error.name in self._wanted or error.name not in values:
                    raise
                left_out[error.name] = str(error)
                values = {name: each for name, each in values.items() if name != error.name}

    def made(self, indexes: Sequence[int], stored: Mapping[str, Any]) -> None:
        """These items have ended well, and what they made is in the store."""
        self._batches.append((indexes, stored["id"]))
        self.left_out |= stored["left_out"]
        if self._tell is not None and self._of is not None:
            self._tell("items", of=self._of, items=list(indexes), id=stored["id"])

    def gathered(self, names: Collection[str], total: int) -> dict[str, list[Any]]:
        """Each name's values in the order of the items; None where an item has not made it. A name that cannot travel
        from one of them is left out."""
        found: dict[str, list[Any]] = {name: [None] * total for name in names if name not in self.left_out}
        for indexes, id in self._batches:
            values = load(self.store, {"id": id}, self._namespace)
            for name in found.keys() & values.keys():
                for index, value in zip(indexes, values[name], strict=True):
                    found[name][index] = value
        return found

    def _is_there(self, id: str) -> bool:
        try:
            load(self.store, {"id": id}, self._namespace)
        except CellyardError:  # it was thrown away meanwhile: its items run again
            return False
        return True
