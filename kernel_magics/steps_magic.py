"""``%steps``: what the notebook's steps are doing, and a few words to them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from cellyard.artifacts.exceptions import words_of
from cellyard.artifacts.previews import size_in_words
from cellyard.artifacts.reference import is_held
from cellyard.errors import CellyardError, NotFound, UsageError
from cellyard.model.resources import Resources, format_duration
from cellyard.model.states import in_words, is_terminal
from cellyard.tables import Table, aligned
from kernel_magics.displayed import is_shown_name
from kernel_magics.leaving import LeavingCommand
from kernel_magics.live_output import LiveOutput
from kernel_magics.pipeline_magic import PipelineCommand
from kernel_magics.preflight import Preflight, preflight
from kernel_magics.remote_errors import lines_of, shown_by, shown_plainly
from kernel_magics.session import Session
from kernel_magics.sizes import SizesTable

if TYPE_CHECKING:
    from kernel_magics.comeback import Earlier

__all__ = ["StepsCommand", "StepsTable"]


class StepsTable(Table):
    """Steps."""

    columns = ("step", "state", "size", "time", "peak memory", "outputs", "run")
    nothing = "No steps have run in this notebook yet: start a cell with %%step NAME --cpu 2 --memory 4GiB"

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        super().__init__([_row(step) for step in steps])


def _row(step: Mapping[str, Any]) -> list[str]:
    started, finished = step.get("started"), step.get("finished")
    took = format_duration(finished - started) if started and finished else ""
    outputs = [name for output in step.get("outputs") or () for name in output["names"] if not is_held(name)]
    peak = size_in_words(step["peak_memory"]) if step.get("peak_memory") else ""
    size = str(Resources.from_dict(step["resources"]))
    return [step["name"], step["state"], size, took, peak, ", ".join(outputs), str(step["run_id"])]


class StepsCommand:
    """Shows and steers the steps of one notebook."""

    def __init__(self, session: Session) -> None:
        self.shell = session.shell
        self._session = session
        self._leaving = LeavingCommand(session)
        self._pipeline = PipelineCommand(session)

    def run(self, line: str) -> Any:
        """Carry out ``%steps`` with ``line``."""
        words = line.split()
        verbs: dict[str, Callable[[list[str]], Any]] = {
            "logs": self._logs,
            "cancel": self._cancel,
            "notebook": self._notebook,
            "wait": self._wait,
            "cost": self._cost,
            "reproduce": self._reproduce,
            "preflight": self._preflight,
            "sizes": self._sizes,
            "attach": self._attach,
            "plan": self._pipeline.plan,
            "run": self._pipeline.run,
            "resume": self._pipeline.resume,
            # These take the line as it is: a cron expression has blanks.
            "schedule": lambda _: self._leaving.schedule(_after(line)),
            "export": lambda _: self._leaving.export(_after(line)),
        }
        try:
            if not words:
                return StepsTable(self._known())
            if words[0] not in verbs:
                raise UsageError(f"%steps {words[0]}: not known. Say %steps, or one of {', '.join(sorted(verbs))}.")
            return verbs[words[0]](words[1:])
        except (CellyardError, KeyboardInterrupt) as error:
            raise shown_plainly(error) from None

    def _known(self) -> list[Mapping[str, Any]]:
        return list(self._session.client.notebook_steps(self._session.identity.notebook))

    def _find(self, words: Sequence[str]) -> Mapping[str, Any]:
        known = {step["name"]: step for step in self._known()}
        has_run = f"This notebook has run: {', '.join(known) or 'none'}."
        if not words:
            raise UsageError(f"which step? {has_run}")
        if words[0] not in known:
            raise NotFound(what=f"step {words[0]!r}", hint=has_run)
        return known[words[0]]

    def _of_run(self, name: str, run: str) -> Mapping[str, Any]:
        if not run.isdecimal():
            raise UsageError(f"{run!r} is no number of a run: `cellyard runs` shows the runs that there are.")
        known = {step["name"]: step for step in self._session.client.steps(int(run))}
        if name not in known:
            raise NotFound(what=f"step {name!r} in run {run}", hint=f"It has: {', '.join(known) or 'none'}.")
        return known[name]

    def _logs(self, words: list[str]) -> None:
        """What the step's attempts have shown: all of them, each under a line of its own, or the one of that number."""
        step = self._find(words)
        only = _attempt(words, step)
        output = LiveOutput(self.shell, replays=True)
        told = 0
        for event in self._session.client.events(0, run=step["run_id"]):
            if event["kind"] != "output" or event["step_id"] != step["id"] or only not in (None, event["attempt"]):
                continue
            if only is None and step["attempt"] > 1 and event["attempt"] != told:
                told = event["attempt"]
                print(f"--- attempt {told} of {step['attempt']}")
            output.show(event["content"])

    def _cancel(self, words: list[str]) -> None:
        step = self._find(words)
        if step["token"] is None or is_terminal(step["state"]):
            raise UsageError(
                f"step {step['name']!r} does not run: it {in_words(step['state'])} (run {step['run_id']})."
            )
        # The token of its first attempt names the step for good.
        self._session.client.cancel(step["token"].partition(".")[0])

    def _attach(self, words: list[str]) -> None:
        """Take over the steps that earlier kernels have begun, all or those of these names, one after the other. The
        first failure is raised when all have been seen; the others are shown."""
        comeback = self._session.comeback
        found = [each for each in comeback.look() if not words or each.name in words]
        if not found:
            raise NotFound(what="step of an earlier kernel that could be attached", hint="%steps shows what has run.")
        first: BaseException | None = None
        for earlier in found:
            comeback.drop(earlier)
            failure = self._attached(earlier)
            if first is not None and failure is not None:
                LiveOutput(self.shell).error(type(failure).__name__, words_of(failure), lines_of(failure))
            first = first or failure
        if first is not None:
            raise shown_by(self.shell, first)

    def _attached(self, earlier: Earlier) -> BaseException | None:
        """The failure of a step that has been taken over, or of taking it over: those after it are to be seen too."""
        from kernel_magics.step_magic import StepCell

        try:
            return StepCell(self._session).attach(earlier)
        except CellyardError as error:
            return error

    def _check(self, words: Sequence[str], names: Collection[str]) -> None:
        """Raises NotFound for the first word that is none of the names."""
        for word in words:
            if word not in names:
                raise NotFound(what=f"step {word!r}", hint=f"There is: {', '.join(names) or 'none'}.")

    def _sizes(self, words: list[str]) -> SizesTable:
        found = self._session.client.sizes(self._session.identity.notebook)
        self._check(words, [each["name"] for each in found])
        return SizesTable([each for each in found if not words or each["name"] in words])

    def _reproduce(self, words: list[str]) -> None:
        """Bind what the step was given, and offer its source as the next cell, to be run here."""
        step = self._of_run(*words) if len(words) == 2 else self._find(words)
        namespace = self._session.namespace
        for each in step["inputs"]:
            namespace.load(each)  # before anything is bound: a value that is gone must not cost the one that is here
        bound: list[str] = []
        for each in step["inputs"]:
            names = [name for name in each.get("bind") or each["names"] if not is_shown_name(name)]
            namespace.bind([each], (), (), keep=set(each["names"]) - set(names))
            bound += [name for name in names if not is_held(name)]
        self.shell.set_next_input(step["source"])
        given = f"{', '.join(bound)} as it was given" if bound else "it was given no values"
        given += self._bind_item(step)
        print(f"step {step['name']!r} of run {step['run_id']}: {given}; its source is in the next cell")

    def _bind_item(self, step: Mapping[str, Any]) -> str:
        """Bind one item of a step that ran once per item: the first that failed, or the first. What to say of it."""
        if (mapped := step["options"]["map"]) is None:
            return ""
        name, items = mapped
        failed = (step["error"] or {}).get("item")
        names = self.shell.user_ns
        try:
            names[name] = next(islice(eval(items, names), failed or 0, None))
        except Exception as error:  # noqa: BLE001 - whatever the user's expression raises here
            return f", and {name} could not be bound to an item of {items} ({type(error).__name__}: {error})"
        which = "the first" if failed is None else f"item {failed}, the first that failed,"
        return f", and {name} is {which} of {items}"

    def _preflight(self, words: list[str]) -> Preflight:
        return preflight(self._session, words)

    def _cost(self, words: list[str]) -> None:
        """What the latest run of each step has cost, and all of them together."""
        known = self._known()
        self._check(words, [step["name"] for step in known])
        prices = self._session.client.settings.prices
        if not prices:
            raise UsageError("there is no price table: set CELLYARD_PRICE_CPU, _PRICE_MEMORY or _PRICE_GPU, per hour.")
        amounts = {
            step["name"]: each["amount"]
            for step in known
            for each in self._session.client.cost(step["run_id"])["steps"]
            if each["step_id"] == step["id"] and (not words or step["name"] in words)
        }
        rows = [*amounts.items(), ("together", sum(amounts.values()))]
        print("\n".join(aligned([(name, prices.words(amount)) for name, amount in rows])))

    def _wait(self, words: list[str]) -> None:
        pending = self._session.pending
        if words:
            self._check(words, [*pending.names(), *(step["name"] for step in self._known())])
        pending.wait(words)

    def _notebook(self, words: list[str]) -> str:
        if words:
            self._session.identity = self._session.identity.at(" ".join(words))
        return self._session.identity.notebook


def _attempt(words: Sequence[str], step: Mapping[str, Any]) -> int | None:
    """The number of the attempt that is asked for, if one is."""
    if len(words) < 2:
        return None
    if not words[1].isdigit() or not 1 <= int(words[1]) <= step["attempt"]:
        raise UsageError(
            f"step {step['name']!r} has had {step['attempt']} attempt(s), and none is called {words[1]!r}."
        )
    return int(words[1])


def _after(line: str) -> str:
    """The line without its first word."""
    return line.strip().partition(" ")[2]
