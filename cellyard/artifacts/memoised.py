"""Functions under ``functools.cache`` or ``lru_cache``: with what they remember, and how often they were asked."""

from __future__ import annotations

import functools
import gc
import types
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["memoised_reduce", "rebuild_memoised"]

_Entry = tuple[tuple[Any, ...], dict[str, Any], Any]
#: Up to how many questions are asked again for the count of ``cache_info``.
_MOST = 1_000_000


def memoised_reduce(cached: Any, is_packable: Callable[[Any], bool]) -> Any:
    """The reduction of such a function of the notebook, else NotImplemented. Without what it remembers, where a part of
    that is not packable."""
    if getattr(cached, "__module__", None) != "__main__":
        return NotImplemented
    info = cached.cache_info()
    entries = list(_entries(cached)) if info.currsize else []
    if entries and not is_packable(entries):
        entries, info = [], info._replace(hits=0, misses=0)
    made = (cached.__wrapped__, cached.cache_parameters())
    # As a state: what it remembers may lead back to it.
    return rebuild_memoised, made, (entries, info.hits, info.misses), None, None, _remember


def rebuild_memoised(wrapped: Any, parameters: dict[str, Any]) -> Any:
    """The function, which remembers nothing yet."""
    return functools.lru_cache(**parameters)(wrapped)


def _entries(cached: Any) -> Iterator[_Entry]:
    """Arguments and results, the oldest first. Python shows them to its garbage collector alone: key and result of each
    link of a bounded cache, then the table, the function and the mark between positional and named arguments."""
    info, is_typed = cached.cache_info(), cached.cache_parameters()["typed"]
    held = [each for each in gc.get_referents(cached) if each is not type(cached)]
    links = 0 if info.maxsize is None else info.currsize
    table, _, mark = held[3 * links : 3 * links + 3]
    found = table.items() if info.maxsize is None else zip(held[: 3 * links : 3], held[1 : 3 * links : 3], strict=True)
    for key, result in found:
        yield (*_arguments(key, mark, is_typed=is_typed), result)


def _arguments(key: Any, mark: Any, *, is_typed: bool) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if type(key) is not tuple:
        return (key,), {}
    at = next((index for index, each in enumerate(key) if each is mark), None)
    if at is None:
        return (key[: len(key) // 2] if is_typed else key), {}
    rest = key[at + 1 :]
    size = (len(rest) - at) // 3 * 2 if is_typed else len(rest)  # a type for each argument, behind all
    return key[:at], dict(zip(rest[:size:2], rest[1:size:2], strict=True))


def _answer(*_: Any, **__: Any) -> Any:
    return "the answer"


def _fail(*_: Any, **__: Any) -> Any:
    raise LookupError


def _remember(cached: Any, state: tuple[list[_Entry], int, int]) -> None:
    """Ask it all again, with a function that knows the answers: its counts are not to be had otherwise."""
    entries, hits, misses = state
    function = cached.__wrapped__
    if type(function) is not types.FunctionType:
        return
    own = function.__code__
    try:
        function.__code__ = _in_place_of(own, _fail.__code__)
        for _ in range(min(misses - len(entries), _MOST)):
            _ask_in_vain(cached)
        for arguments, named, result in entries:
            function.__code__ = _in_place_of(own, _answering(result))
            cached(*arguments, **named)
        for _ in range(min(hits, _MOST) if entries else 0):
            cached(*entries[-1][0], **entries[-1][1])
    finally:
        function.__code__ = own


def _in_place_of(own: types.CodeType, code: types.CodeType) -> types.CodeType:
    return code.replace(co_freevars=own.co_freevars)


def _answering(result: Any) -> types.CodeType:
    code = _answer.__code__
    constants = tuple(result if each == "the answer" else each for each in code.co_consts)
    return code.replace(co_consts=constants)


def _ask_in_vain(cached: Any) -> None:
    """A question that nobody has asked, and that gets no answer."""
    try:
        cached(object())
    except LookupError:
        return
