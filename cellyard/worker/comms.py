"""Widgets made in a step: their messages go to the notebook as those of a kernel do, which so shows them, live.

Nothing comes back. What the user does with a widget has no effect, and a note says so.
"""

from __future__ import annotations

import binascii
from typing import Any

import wrapt

from cellyard.worker.outputs import Channel

__all__ = ["forward_comms"]

NOTE = "note: widgets made in a step are shown as the step sets them; using them has no effect\n"
#: Widgets that only show something.
_PASSIVE = {
    "AccordionModel", "AudioModel", "BoxModel", "FloatProgressModel", "GridBoxModel", "HBoxModel", "HTMLMathModel",
    "HTMLModel", "ImageModel", "IntProgressModel", "LabelModel", "LayoutModel", "OutputModel", "TabModel", "VBoxModel",
    "VideoModel",
}  # fmt: skip


def forward_comms(channel: Channel) -> None:
    """Have every comm that the process opens speak through the channel, once the library is imported."""
    wrapt.register_post_import_hook(lambda library: _replace(library, channel), "comm")


def _replace(library: Any, channel: Channel) -> None:
    told = False

    class StepComm(library.BaseComm):  # type: ignore[misc, unused-ignore]
        """One way only."""

        def publish_msg(
            self, msg_type: str, data: Any = None, metadata: Any = None, buffers: Any = None, **keys: Any
        ) -> None:
            nonlocal told
            content = {"data": data or {}, "comm_id": self.comm_id, **keys}
            encoded = [binascii.b2a_base64(bytes(each), newline=False).decode() for each in buffers or ()]
            if msg_type == "comm_open" and not told and _may_be_used(content):
                told = True
                channel.write("stderr", NOTE)
            channel.show(
                {
                    "type": "comm",
                    "message": msg_type,
                    "content": content,
                    "metadata": metadata or {},
                    "buffers": encoded,
                }
            )

    library.create_comm = StepComm


def _may_be_used(content: dict[str, Any]) -> bool:
    model = content["data"].get("state", {}).get("_model_name", "")
    return bool(model) and model not in _PASSIVE and not model.endswith("StyleModel")
