"""Stopping: interrupts, cancelling and timeouts of steps, at any moment: before they have come, while they are opened,
while they wait for their next attempt, and while they run."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from cellyard.background import Background
from cellyard.errors import CellyardError, StepCancelled
from cellyard.execution.live import LiveStep, LiveSteps
from cellyard.execution.reusing import Reuser
from cellyard.model import StepRequest

__all__ = ["Stopper"]

GRACE = 2.0
"""Seconds between the interrupt that a timeout sends and the end by force."""
_REMEMBERED = 1000


class Stopper:
    """Stops the live steps of one runner. ``give_up`` ends a step whose current attempt is not with its backend."""

    def __init__(
        self,
        steps: LiveSteps,
        reuser: Reuser,
        background: Background,
        give_up: Callable[[LiveStep, CellyardError], None],
    ) -> None:
        self._steps = steps
        self._reuser = reuser
        self._background = background
        self._give_up = give_up
        self._early: deque[str] = deque(maxlen=_REMEMBERED)
        self.opening: dict[str, asyncio.Future[LiveStep]] = {}
        """Steps that are being written to the records, by their handles."""

    async def being_opened(self, handle: str) -> LiveStep | None:
        """The step of that handle, once it has been opened; None where it is not being opened."""
        opening = self.opening.get(handle)
        return None if opening is None else await asyncio.shield(opening)

    async def interrupt(self, handle: str) -> None:
        """As the stop button: KeyboardInterrupt in the step; one that waits is taken out, and one that is unknown is
        refused if it comes later."""
        live = await self._found(handle)
        if live is None:
            return
        live.done = replace(live.done, interrupted=True)
        if live.delay is not None:
            self._give_up(live, StepCancelled(step=live.name, by=" while it waited for its next attempt"))
        else:
            await live.backend.interrupt(live.token)

    async def cancel(self, handle: str, *, by: str = "") -> None:
        """End the step by force. One that is unknown is refused if it comes later; finished: ignored."""
        live = await self._found(handle)
        if live is None:
            return
        if live.done.cancelled_by is None:
            live.done = replace(live.done, cancelled_by=by)
        if live.delay is not None:
            self._give_up(live, StepCancelled(step=live.name, by=by))
        else:
            await live.backend.cancel(live.token)

    async def _found(self, handle: str) -> LiveStep | None:
        live = self._steps.by_handle(handle) or await self.being_opened(handle)
        if live is None:
            self._early.append(handle)
            self._reuser.give_up(handle)
        return live

    def refuse_stopped(self, request: StepRequest, handle: str) -> None:
        """Raises StepCancelled where the step has been stopped before it came."""
        if handle in self._early:
            raise StepCancelled(step=request.name, by=" before it began")

    def stopped(self, live: LiveStep, when: str) -> bool:
        """Whether the step has been stopped while no attempt of it was with its backend; it is then given up."""
        is_stopped = live.done.interrupted or live.done.cancelled_by is not None
        if is_stopped:
            self._give_up(live, StepCancelled(step=live.name, by=live.done.cancelled_by or when))
        return is_stopped

    def limit_time(self, live: LiveStep, *, spent: float = 0.0) -> None:
        """From now on the step's timeout counts, of which it has ``spent`` some seconds."""
        timeout = live.request.options.timeout
        if timeout is not None:
            loop = asyncio.get_running_loop()
            live.timers.append(loop.call_later(max(0.0, timeout - spent), self._time_out, live))

    def _time_out(self, live: LiveStep) -> None:
        if live.done.timed_out:
            return
        live.done = replace(live.done, timed_out=True)
        self._background.spawn(live.backend.interrupt(live.token))
        loop = asyncio.get_running_loop()
        live.timers.append(loop.call_later(GRACE, lambda: self._background.spawn(live.backend.cancel(live.token))))
