"""KernelCalls: asks the driver in a notebook's kernel (``kernel_magics.driving``), between cells."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping, Sequence
from typing import Any

from cellyard.errors import CellyardError, error_from_dict

__all__ = ["KernelCalls", "answered", "question"]

_DEADLINE = 300.0
_CALL = "__import__('kernel_magics.driving', fromlist=['answer']).answer(get_ipython(), {method!r}, {given!r})"


def question(given: Sequence[Any], named: Mapping[str, Any]) -> str:
    """The arguments of a call, as the driver reads them."""
    return json.dumps({"given": list(given), "named": dict(named)})


def answered(text: str) -> Any:
    """What the driver has answered. Raises what it has raised."""
    found: dict[str, Any] = json.loads(text)
    if "error" in found:
        raise error_from_dict(found["error"])
    return found["answer"]


class KernelCalls:
    """The calls to one kernel; ``client`` is its asynchronous client."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def call(self, method: str, given: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """What the driver's method answers. Raises what it raises of ours, and CellyardError for anything else."""
        asked = self._client.execute(
            "", silent=True, user_expressions={"it": _CALL.format(method=method, given=question(given, named))}
        )
        while True:
            reply = await self._client.get_shell_msg(timeout=_DEADLINE)
            if reply["parent_header"].get("msg_id") == asked:
                break
        found = reply["content"].get("user_expressions", {}).get("it", {"status": "error", "evalue": "no answer"})
        if found["status"] != "ok":
            trace = "\n".join(found.get("traceback") or ())
            raise CellyardError(f"the kernel could not be asked: {found.get('ename', '')}: {found['evalue']}\n{trace}")
        return answered(ast.literal_eval(found["data"]["text/plain"]))
