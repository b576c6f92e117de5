"""Memory that frames and series have in common with arrays beside them: what ``to_numpy()`` gives, or what a frame was
made of without a copy.

What frames share with each other, copy-on-write hides. An array shows what becomes of its frame, so both travel
together. One that cannot be written to leads to no frame by itself: that may be large, and the array shows no change
where the frame is not.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cellyard.artifacts.memory import owner_of

__all__ = ["FrameMemory"]


class FrameMemory:
    """What a walk has met, by the ids of the arrays that own memory."""

    def __init__(self) -> None:
        self._frames: dict[int, set[str]] = {}
        self._written: set[int] = set()
        self.is_held_elsewhere = False
        """Whether an array, met or not, shows memory of a frame that was met."""

    def note_block(self, name: str, block: Any) -> None:
        """A part of a frame that ``name`` leads to. One whose memory other frames show, too, is copied before it is
        changed, which no array shows; where they arrive, they would not know of each other."""
        if len(_blocks_of(block)) > 1:
            return
        self._frames.setdefault(id(owner_of(block.values)), set()).add(name)
        self.is_held_elsewhere = self.is_held_elsewhere or _is_held_elsewhere(block)

    def note_array(self, owner: Any, array: Any) -> None:
        """An array beside frames, which need not be its owner: that every view leads to."""
        if array.flags.writeable and array is not owner:
            self._written.add(id(owner))

    def __contains__(self, owner: int) -> bool:
        return owner in self._frames

    def joined(self, owners: Mapping[int, bool], leading: Collection[str] | None) -> Iterator[tuple[int, str]]:
        """Owners of memory and names of frames that show it, where these are to travel together; of arrays that are
        only read, frames that are ``leading``. ``owners``: of all arrays, and whether one is met by itself."""
        for owner in self._frames.keys() & owners.keys():
            names = self._frames[owner]
            is_written = owners[owner] or owner in self._written
            if leading is None or is_written or not names.isdisjoint(leading):
                yield from ((owner, name) for name in sorted(names))


def _blocks_of(block: Any) -> list[Any]:
    """It and others of pandas that show the same memory, which know of each other."""
    refs = getattr(getattr(block, "refs", None), "referenced_blocks", ())
    return [block, *(each for ref in refs if (each := ref()) is not None and each is not block)]


def _is_held_elsewhere(block: Any) -> bool:
    """Whether more refers to its memory than this block."""
    owner = owner_of(block.values)
    own = 2  # this variable, the argument of getrefcount
    return sys.getrefcount(owner) > 1 + own
