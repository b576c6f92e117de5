"""The shell of a step: IPython's own, whose output becomes messages. No history, no terminal, no settings of a user."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import contextvars
import linecache
import os
import sys
import traceback
import types
from collections.abc import Iterator, Mapping
from typing import Any

import IPython.core.compilerop
import IPython.core.displayhook
import IPython.core.displaypub
import IPython.core.interactiveshell
import IPython.core.page
from traitlets import Any as AnyTrait

from cellyard.artifacts.exceptions import has_group
from cellyard.worker.earlier_cells import EarlierCells
from cellyard.worker.magics_state import load_waiting_extensions
from cellyard.worker.outputs import Channel
from cellyard.worker.pager_magics import PagerMagics

__all__ = ["StepShell", "make_shell", "warm"]


# Half of IPython's functions have no annotations.
_DisplayHook: Any = IPython.core.displayhook.DisplayHook
_DisplayPublisher: Any = IPython.core.displaypub.DisplayPublisher
_Compiler: Any = IPython.core.compilerop.CachingCompiler
_page: Any = IPython.core.page
_Result: Any = IPython.core.interactiveshell.ExecutionResult
_Info: Any = IPython.core.interactiveshell.ExecutionInfo
_Shell: Any = IPython.core.interactiveshell.InteractiveShell


_UNDERS = ("_", "__", "___")
#: Magics that tell what is loaded, or change that.
_OF_EXTENSIONS = {"load_ext", "reload_ext", "unload_ext", "lsmagic", "magic", "quickref"}


class StepDisplayHook(_DisplayHook):  # type: ignore[misc]
    """The value of the last expression, as an ``execute_result`` message."""

    channel: Channel | None = None
    values: tuple[Any, ...] = ()
    """What the cell has shown so, in order."""
    _before: Mapping[str, Any] = types.MappingProxyType({})
    _now: Mapping[str, Any] = _before
    _is_active = False

    def begin(self) -> None:
        """What the names of shown values are bound to now is what earlier cells have shown."""
        self.check_for_underscore()
        names = self.shell.user_ns
        self._before = {name: names[name] for name in _UNDERS if name in names}
        self._now = self._before

    def end(self) -> None:
        """They are again what they were when the cell began, where nobody but this hook has bound them since: the
        notebook's own shell goes on from there."""
        if self._is_untouched():
            names = self.shell.user_ns
            for name in self._now:
                del names[name]
            names.update(self._before)

    def _is_untouched(self) -> bool:
        return all(self.shell.user_ns.get(name, self) is value for name, value in self._now.items())

    def quiet(self) -> bool:
        return bool(self.semicolon_at_end_of_expression(self.shell.step_source))

    def __call__(self, result: Any = None) -> None:
        self.check_for_underscore()
        if result is None or self.quiet():
            return
        data, metadata = self.compute_format_data(result)
        self.fill_exec_result(result)
        if result is not self.shell.user_ns["_oh"]:  # ``Out`` is not shown in itself
            self.values += (result,)
            self._advance(result)
        if self.channel is not None and data:
            self.channel.show({"type": "execute_result", "data": data, "metadata": metadata})

    def _advance(self, result: Any) -> None:
        """For the rest of the cell it is the last value, where the cell has any use for that."""
        if self._now and self._is_untouched():
            last = (result, *(self._now.get(name, "") for name in _UNDERS))
            self._now = dict(zip(_UNDERS, last, strict=False))
            self.shell.user_ns.update(self._now)
            self.shell.user_ns["_oh"][self.prompt_count] = result


class StepDisplayPublisher(_DisplayPublisher):  # type: ignore[misc]
    """``display()`` and rich output, as messages."""

    channel: Channel | None = None

    def _setup_execution_tracking(self) -> None:
        """Only the history of outputs would need it."""

    def publish(self, data: dict[str, Any], metadata: dict[str, Any] | None = None, **options: Any) -> None:
        if self.channel is None:
            return
        kind = "update_display_data" if options.get("update") else "display_data"
        transient = options.get("transient") or {}
        self.channel.show({"type": kind, "data": data, "metadata": metadata or {}, "transient": transient})

    def clear_output(self, wait: bool = False) -> None:
        if self.channel is not None:
            self.channel.show({"type": "clear_output", "wait": wait})


class StepCompiler(_Compiler):  # type: ignore[misc]
    """Calls the step's cell as the kernel calls it, in tracebacks, warnings and whatever else asks where code is."""

    own: tuple[str, int] | None = None

    def get_code_name(self, raw_code: str, transformed_code: str, number: int) -> str:
        return self.own[0] if self.own else str(super().get_code_name(raw_code, transformed_code, number))

    def cache(self, transformed_code: str, number: int = 0, raw_code: str | None = None) -> str:
        name: str = super().cache(transformed_code, self.own[1] if self.own else number, raw_code)
        self.own = None  # what the cell itself may have compiled has names of its own
        return name

    def know(self, files: Mapping[str, tuple[int, str]]) -> None:
        """The texts of earlier cells, with their numbers, which functions of this step come from."""
        for name, (number, text) in files.items():
            linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
            self._filename_map[name] = number

    def shown(self, name: str) -> str | None:
        """How a cell is called where its code is shown; None of other files."""
        return f"Cell In[{number}]" if (number := self._filename_map.get(name)) is not None else None


class StepShell(_Shell):  # type: ignore[misc]
    """One cell is run in it, then the process ends."""

    displayhook_class = AnyTrait(StepDisplayHook)
    display_pub_class = AnyTrait(StepDisplayPublisher)
    compiler_class = AnyTrait(StepCompiler)
    # Libraries ask these two whether a notebook shows what they print: pandas (how wide a table may be), rich,
    # plotly and others look at the class's name, pandas and Dask at whether there is a kernel.
    kernel = None
    step_source = ""
    line_offset = 0
    step_traceback: list[str] = []  # noqa: RUF012 - replaced as a whole
    #: What the error is told with beside that, where another process has raised it.
    step_told: Mapping[str, Any] = types.MappingProxyType({})
    #: Not the publisher's: that is another while ``%%capture`` runs.
    _channel: Channel | None = None
    #: How many cells run now: this one, one that it runs, …
    _depth = 0
    _loop: asyncio.AbstractEventLoop
    #: Whether what is shown now is the error that ends the cell.
    _is_ending = False

    def init_magics(self) -> None:
        super().init_magics()
        self.register_magics(PagerMagics)

    def init_history(self) -> None:
        """The cells before this one are all the history that a step has; no database is opened for one."""
        self.history_manager = EarlierCells(self)
        self.configurables.append(self.history_manager)

    def init_io(self) -> None:
        """The child sets its streams itself."""

    def init_hooks(self) -> None:
        super().init_hooks()
        self.set_hook("show_in_pager", _page.as_hook(self._show_in_pager), 99)

    def _show_in_pager(self, text: Any, start: int = 0, *_: Any, **__: Any) -> None:
        """Help and files are shown beside the notebook, as a kernel does."""
        data = text if isinstance(text, dict) else {"text/plain": text}
        self._pay({"source": "page", "data": data, "start": max(0, start)})

    def set_next_input(self, text: str, replace: bool = False) -> None:
        """The next cell of the notebook gets that text."""
        self._pay({"source": "set_next_input", "text": text, "replace": replace})

    def _pay(self, payload: dict[str, Any]) -> None:
        """Send what belongs to the kernel's reply, not to the cell's outputs."""
        if self._channel is not None:
            self._channel.show({"type": "payload", "payload": payload})

    def init_virtualenv(self) -> None:
        """The worker's interpreter is the environment."""

    @contextlib.contextmanager
    def _tee(self, channel: str) -> Iterator[None]:
        """IPython keeps a second copy of all text in its history; here the run's log is the one copy."""
        yield

    def enable_gui(self, gui: str | None = None) -> None:
        """There is no event loop of a window system here; figures are shown inline."""

    def transform_cell(self, raw_cell: str) -> str:
        """The cell as Python, moved down by the lines above it, so that tracebacks show the cell's own numbers."""
        transformed: str = super().transform_cell(raw_cell)
        return transformed if self._depth else "\n" * self.line_offset + transformed

    def find_line_magic(self, magic_name: str) -> Any:
        return self._find_with_lazy_load("line", magic_name)

    def find_cell_magic(self, magic_name: str) -> Any:
        return self._find_with_lazy_load("cell", magic_name)

    def find_magic(self, magic_name: str, magic_kind: str = "line") -> Any:
        return self._find_with_lazy_load(magic_kind, magic_name)

    def _find_with_lazy_load(self, type_: str, magic_name: str) -> Any:
        """Also in the extensions that the notebook has loaded."""
        found = self.magics_manager.find(type_, magic_name)
        if (found is None or magic_name in _OF_EXTENSIONS) and load_waiting_extensions():
            found = self.magics_manager.find(type_, magic_name)
        return found

    def ask_exit(self) -> None:
        """``exit()`` ends the cell; the process ends with it anyway."""
        raise SystemExit

    def begin(self, count: int, file: str, shown: Mapping[str, Any], sources: Mapping[str, list[str]] | None) -> None:
        """Number ``count`` is the next cell, ``file`` its name as one; ``shown`` are values of earlier cells by their
        names ``_5``, ``sources`` all earlier cells, where they are wanted."""
        self.compile.own = (file or self.compile.get_code_name(self.step_source, "", count), count)
        self.execution_count = count + 1  # as in a kernel while its cell runs
        outputs = {number: shown[f"_{number}"] for number in sorted(int(name[1:]) for name in shown)}
        self.displayhook.begin()
        own = self.history_manager.begin(sources, count, outputs)
        self.user_ns.update(own)
        self.user_ns_hidden.update(own)

    def connect(self, channel: Channel) -> None:
        """Send all output there from now on."""
        self._channel = channel
        self.displayhook.channel = channel
        self.display_pub.channel = channel

    def open_loop(self) -> None:
        """The event loop that cells find running; each process has its own."""
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)

    def close_loop(self) -> None:
        """A process that forks has none."""
        asyncio.set_event_loop(None)
        self._loop.close()

    def run_in_loop(self, source: str) -> Any:
        """Run the cell while an event loop runs, as one does in a kernel, whether the cell awaits anything or not."""
        context = contextvars.copy_context()
        try:
            return self._loop.run_until_complete(self._loop.create_task(self._run(source), context=context))
        except BaseException as error:  # noqa: BLE001 - an interrupt that struck while everything waited
            result = _Result(_Info(source, False, False, True, "", None))
            result.error_in_exec = error
            self.showtraceback(running_compiled_code=True)
            return result
        finally:
            _take_over(context)

    async def _run(self, source: str) -> Any:
        transformed, failure = source, None
        try:
            transformed = self.transform_cell(source)
        except Exception:  # noqa: BLE001 - whatever it is, it is the cell's error
            failure = sys.exc_info()
        result = None
        try:
            result = await self.run_cell_async(
                source, store_history=False, transformed_cell=transformed, preprocessing_exc_tuple=failure
            )
        finally:
            self.events.trigger("post_execute")
            self.events.trigger("post_run_cell", result)
        return result

    async def run_code(self, *arguments: Any, **options: Any) -> Any:
        self._depth += 1
        try:
            return await super().run_code(*arguments, **options)
        finally:
            self._depth -= 1

    def showtraceback(self, exc_tuple: Any = None, *arguments: Any, **options: Any) -> None:
        """An error that ends the cell is shown by the notebook when it is raised there; one on the way, of a value that
        cannot be shown or of a cell that this one runs, is an output."""
        self.step_traceback = []
        caller = sys._getframe(1).f_code.co_name
        self._is_ending = self._depth <= 1 and exc_tuple is None and caller in {"run_code", "run_in_loop"}
        try:
            if self._is_ending and has_group(sys.exc_info()[1]):
                # IPython would print it; nobody is to print it twice.
                self.step_traceback = [traceback.format_exc().rstrip("\n")]
                return
            super().showtraceback(exc_tuple, *arguments, **options)
        finally:
            self._is_ending = False

    def show_usage_error(self, exc: BaseException) -> None:
        if not self._is_ending:
            super().show_usage_error(exc)

    def _showtraceback(self, etype: Any, evalue: Any, stb: list[str]) -> None:
        self.step_traceback = stb
        if self._depth and not self._is_ending and self._channel is not None:
            message = {"type": "error", "ename": etype.__name__, "evalue": str(evalue), "traceback": stb}
            self._channel.show(message)


_warn = IPython.core.interactiveshell.warn  # type: ignore[attr-defined]


def _warn_unless_ending(message: str, *arguments: Any, **options: Any) -> None:
    """IPython's word on how to exit, for an exit that ends the cell, is said by the notebook's shell."""
    if not message.startswith("To exit:") or StepShell.instance()._depth > 1:
        _warn(message, *arguments, **options)


def _take_over(context: contextvars.Context) -> None:
    """What the cell has set in its context (numpy's way of printing, decimal's precision) holds here, too."""
    for variable, value in context.items():
        if variable.get(None) is not value:
            variable.set(value)


StepShell.__name__ = StepShell.__qualname__ = "ZMQInteractiveShell"
StepShell.__module__ = "ipykernel.zmqshell"


def make_shell() -> StepShell:
    """The process's shell, made on the first call."""
    shell: StepShell = StepShell.instance(colors="nocolor")
    shell.user_ns["__name__"] = "__main__"
    IPython.core.interactiveshell.__dict__["warn"] = _warn_unless_ending
    # By these, too, libraries tell a notebook from a terminal.
    shell.config.IPKernelApp.update({})
    known = types.ModuleType("ipykernel.zmqshell", "The shell of a kernel, here that of a step.")
    known.__dict__["ZMQInteractiveShell"] = StepShell
    sys.modules.setdefault(known.__name__, known)
    # Also outside of cells: a package imported ahead, or with an input, asks at its import whether it is in a notebook.
    builtins.__dict__["get_ipython"] = shell.get_ipython
    return shell


def warm() -> None:
    """Make the shell, and run through everything once that is slow only the first time."""
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    shell = make_shell()
    shell.colors = "neutral"
    shell.step_source = "1/0;"
    shell.run_cell("[1, 2];", store_history=False)
    shell.run_cell("def f():\n    1/0\nf()", store_history=False)
    shell.user_ns.pop("f", None)
    for last in ("last_type", "last_value", "last_traceback", "last_exc"):  # %debug of a step is to find none of ours
        vars(sys).pop(last, None)
    shell.InteractiveTB.tb = None
    import threadpoolctl  # noqa: F401

    import cellyard.worker.child  # noqa: F401
    from cellyard.worker.rehearsal import rehearse

    # Python specialises code after some calls.
    shell.open_loop()
    rehearse(shell, times=10)
    shell.close_loop()
