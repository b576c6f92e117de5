"""A rehearsal of a trivial step, before there is one.

In the step parent it has Python specialise the code of the path, so that no child need write to those pages. In a child
it is done before the step arrives: the pages that any step writes are then the child's own already. Copying them is
most of what a trivial step costs.
"""

from __future__ import annotations

import pickle

from cellyard.artifacts.artifact import DefinitionStore, pack_group, store_packed
from cellyard.artifacts.sharing import find_sharing
from cellyard.worker import process_state
from cellyard.worker.link import pack
from cellyard.worker.local_modules import look_over
from cellyard.worker.shell import StepShell

__all__ = ["rehearse"]


class _Nowhere:
    """A writer that keeps nothing."""

    url = ""

    def put(self, data: bytes | bytearray | memoryview) -> str:
        return ""


_NOWHERE = _Nowhere()


def rehearse(shell: StepShell, times: int = 1) -> None:
    """Go through what a step does: state, cell, values, answer. Leaves nothing behind. The shell has a loop."""
    look_over()
    for number in range(times):
        process_state.apply(pickle.loads(pickle.dumps(process_state.portable(process_state.capture()))))
        shell.step_source = "None;"
        shell.run_in_loop("None;")
        values = {"number": number, "items": [number], "module": pickle}
        find_sharing(values, holders=2)
        packed = pack_group(values, shell.user_ns)
        reference = store_packed(packed, values, _NOWHERE, DefinitionStore(shell.user_ns, _NOWHERE))
        pack(["finished", reference.to_dict()])
