"""The magics as IPython meets them. Light: the work is imported when a magic is first used."""

from __future__ import annotations

from typing import Any

from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand

from cellyard.model.step_line import help_text
from kernel_magics.session import Session

__all__ = ["CellyardMagics"]


@magics_class
class CellyardMagics(Magics):
    """``%%step`` and ``%steps``."""

    def __init__(self, session: Session) -> None:
        super().__init__(session.shell)
        self._session = session

    @no_var_expand
    @cell_magic
    def step(self, line: str, cell: str) -> None:
        __tracebackhide__ = True
        try:
            self._session.prepared()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("the step has not begun") from None
        from kernel_magics.step_magic import StepCell

        StepCell(self._session).run(line, cell)

    step.__doc__ = help_text()

    @line_magic
    def steps(self, line: str) -> Any:
        """Show or steer this notebook's steps.

        %steps                   a table: state, size, time, peak memory, outputs
        %steps logs NAME [N]     what the step's last run has shown; of several attempts all, or the Nth
        %steps cancel NAME       stop the step
        %steps attach [NAMES]    take over steps that an earlier kernel began: what they showed, what they made
        %steps preflight [NAMES] what would keep steps from running, looked at without running any
        %steps reproduce NAME [RUN]  the inputs of a step into this kernel, its source into a new cell
        %steps cost [NAMES]      what the latest run of each step has cost, by the price table of the settings
        %steps sizes [NAMES]     which sizes to ask for, by what earlier runs used
        %steps wait [NAMES]      wait for steps that were begun with --async (all), and raise what failed
        %steps plan [OPTIONS]    what a run of the notebook, as it was last saved, would do, and why
        %steps run [OPTIONS]     run it as a pipeline; both take -p NAME VALUE, --only STEP, --from STEP, --force
        %steps resume [RUN]      go on where a run of it has stopped (the newest, unless its number is given)
        %steps notebook [PATH]   say which notebook this is, where no front end does
        """
        self._session.prepared()
        from kernel_magics.steps_magic import StepsCommand

        return StepsCommand(self._session).run(line)
