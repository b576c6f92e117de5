"""Stand-ins: names whose values stay in the store until they are used.

A stand-in shows type, shape, size and a preview without fetching. Any other use fetches the value, and puts it in the
place of the stand-in wherever its group's names are still bound to one.
"""

from __future__ import annotations

import html
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import wrapt

from cellyard.artifacts.previews import size_in_words
from cellyard.artifacts.reference import Preview, Reference
from cellyard.errors import CellyardError, error_from_dict
from kernel_magics.remote_errors import shown_where_used, told_by_name

__all__ = ["LazyGroup", "StandIn", "group_of", "is_stand_in"]


class LazyGroup:
    """One artifact that is not loaded yet. ``load`` returns its values by name; ``replaced`` is told which names of the
    namespace have got theirs."""

    def __init__(
        self,
        reference: Reference,
        load: Callable[[Reference], dict[str, Any]],
        namespace: dict[str, Any],
        unavailable: CellyardError | None = None,
        *,
        replaced: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self.reference = reference
        self.unavailable = unavailable
        self._load = load
        self._namespace = namespace
        self._replaced = replaced
        self._values: dict[str, Any] | None = None
        self._lock = threading.RLock()
        self.keeps: Sequence[Any] = ()
        """What must live until these values are loaded: classes that came beside them, and that only they name."""

    @property
    def is_fetched(self) -> bool:
        return self._values is not None

    @property
    def is_out_of_reach(self) -> bool:
        """Whether asking for a value, now and from here, can only fail."""
        return self.unavailable is not None

    @property
    def is_pending(self) -> bool:
        """Whether the step that makes the values may still run."""
        return False

    def fetch(self) -> dict[str, Any]:
        """The values, loaded once; names that are still bound to this group's stand-ins get them.

        Raises what loading raises, and the reason where the value could not travel at all.
        """
        with self._lock:
            self.check_available()
            if self._values is None:
                self._values = self._load(self.reference)
                self._replace(self._values)
                self.keeps = ()
            return self._values

    def fetch_one(self, name: str) -> Any:
        """The value of one name."""
        return self.fetch()[name]

    def words(self, name: str) -> str:
        """What to say of a name whose value nobody knows yet; nothing where there is a preview."""
        return ""

    def check_available(self, name: str = "") -> None:
        """Raise the reason, where the value could not travel at all."""
        if self.unavailable is not None:
            # Anew each time: one that was raised before would show where that was.
            raise error_from_dict(self.unavailable.to_dict())

    def _replace(self, values: Mapping[str, Any]) -> None:
        found = {
            name: values[value._self_name]
            for name, value in list(self._namespace.items())
            if is_stand_in(value) and group_of(value) is self
        }
        self._namespace.update(found)
        self._replaced(found)

    def preview(self, name: str) -> Preview:
        return self.reference.previews[name]


class StandIn(wrapt.LazyObjectProxy[Any]):
    """Stands for ``name`` of ``group``. One that was kept aside (in a list, say) is the value from the fetch on."""

    def __new__(cls, group: LazyGroup, name: str) -> StandIn:
        # Python finds these methods on the type alone, before anything is called that could fetch.
        interface = type("Interface", (), dict.fromkeys(group.preview(name).methods))
        made: StandIn = super().__new__(cls, None, interface=interface)
        return made

    def __init__(self, group: LazyGroup, name: str) -> None:
        super().__init__(lambda: _used(group, name))
        self._self_group = group
        self._self_name = name

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        # IPython asks for it before it shows anything; where there will never be a value, that must not raise.
        if self._self_group.is_out_of_reach:
            return type(self)
        try:
            return self.__wrapped__.__class__
        except NotImplementedError as error:  # which its formatters take for an answer
            raise told_by_name(error) from error

    def __getattr__(self, name: str) -> Any:
        # IPython asks any object for these when it displays it; they must not fetch.
        if name.startswith(("_ipython_", "_repr_")) and not self._self_group.is_fetched:
            raise AttributeError(name)
        return super().__getattr__(name)

    def __repr__(self) -> str:
        group = self._self_group
        return repr(self.__wrapped__) if group.is_fetched else describe(group, self._self_name)

    def __str__(self) -> str:
        return str(self.__wrapped__)

    def _repr_html_(self) -> str | None:
        group = self._self_group
        if not group.is_fetched:
            return describe_html(group, self._self_name)
        own = getattr(self.__wrapped__, "_repr_html_", None)
        return own() if own is not None else None

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _itself, (self.__wrapped__,)

    def __copy__(self) -> Any:
        import copy

        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        import copy

        return copy.deepcopy(self.__wrapped__, memo)


def _used(group: LazyGroup, name: str) -> Any:
    """The value; what keeps it from that is shown where it was used."""
    try:
        return group.fetch_one(name)
    except (CellyardError, KeyboardInterrupt) as error:
        raise shown_where_used(error) from None


def _itself(value: Any) -> Any:
    return value


def is_stand_in(value: Any) -> bool:
    """True for stand-ins; never fetches."""
    return issubclass(type(value), StandIn)


def group_of(value: Any) -> LazyGroup:
    """The group of a stand-in."""
    group: LazyGroup = value._self_group
    return group


def describe(group: LazyGroup, name: str) -> str:
    """A stand-in in words and lines."""
    if words := group.words(name):
        return words
    preview = group.preview(name)
    if group.unavailable is not None:
        return f"<{name}: {preview.type}, not available here: {group.unavailable}>"
    parts = [preview.type, preview.shape, size_in_words(group.reference.size)]
    head = f"<{name}: {', '.join(part for part in parts if part)}; fetched when used>"
    return f"{head}\n{preview.text}" if preview.text else head


def describe_html(group: LazyGroup, name: str) -> str:
    """The same as HTML that needs nothing else on the page."""
    preview = group.preview(name)
    body = preview.html or f"<pre>{html.escape(preview.text)}</pre>"
    head, _, _ = describe(group, name).partition("\n")
    return f'<div style="color: GrayText">{html.escape(head.strip("<>"))}</div>{body if not group.unavailable else ""}'
