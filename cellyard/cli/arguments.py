"""What can be typed. Commands are imported when they are called; errors become exit codes here.

Exit codes: 0 well, 1 a step or cell failed (or values are damaged), 2 what was typed cannot be meant, 3 the
engine cannot be reached, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from cellyard import __version__
from cellyard.errors import CellyardError, EngineError, UsageError
from cellyard.model.states import RunState
from cellyard.service.schedule_options import add_schedule_options

__all__ = ["EXIT_CODES", "main", "make_parser"]

EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (UsageError, 2),
    (EngineError, 3),
    (CellyardError, 1),
    (KeyboardInterrupt, 130),
)
"""The first class that fits gives the code."""
_MOST_DIGITS = 18
_MOST_LISTED = 10_000

Command = Callable[[argparse.Namespace], int]
_Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command; returns the exit code. Errors of ours are one message on standard error."""
    parsed = make_parser().parse_args(arguments)
    command = _command(parsed.command)
    try:
        return command(parsed)
    except tuple(kind for kind, _ in EXIT_CODES) as error:
        if not isinstance(error, KeyboardInterrupt):
            print(f"cellyard: {error}", file=sys.stderr)
        return next(code for kind, code in EXIT_CODES if isinstance(error, kind))
    except BrokenPipeError:
        # `cellyard logs 3 | head`: the reader has seen enough.
        sys.stderr.close()
        return 0


def make_parser() -> argparse.ArgumentParser:
    """The whole grammar of the command line."""
    parser = argparse.ArgumentParser(
        prog="cellyard",
        description="Run the marked cells of notebooks as steps on workers of the size they ask for.",
        epilog="exit codes: 0 well, 1 a step or cell failed, 2 usage, 3 the engine cannot be reached",
    )
    parser.add_argument("--version", action="version", version=f"cellyard {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_run(commands)
    _add_pipeline(commands)
    _add_looking_back(commands)
    _add_store(commands)
    _add_engine(commands)
    _add_lab(commands)
    _add_export(commands)
    _add_schedule(commands)
    _add_kubernetes(commands)
    return parser


def _add(commands: _Commands, name: str, command: str, help: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=help, description=help)
    parser.set_defaults(command=command)
    return parser


def _add_run(commands: _Commands) -> None:
    run = _add(commands, "run", "running:run", "run a notebook, its steps side by side, or a bundle")
    _add_notebook(run)
    _add_choice(run)
    _add_running(run)
    again = _add(commands, "resume", "notebook:resume", "go on where a failed or lost run has stopped")
    again.add_argument("run", type=_run)
    again.add_argument("notebook", type=Path, nargs="?", help="where it is now (default: where it was)")
    _add_running(again)


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--only", action="append", default=[], metavar="STEP", help="only this step, and what it needs; may be repeated"
    )
    parser.add_argument(
        "--from",
        dest="start",
        action="append",
        default=[],
        metavar="STEP",
        help="run this step and all after it, whatever results there are; may be repeated",
    )
    parser.add_argument("--force", action="store_true", help="run everything, whatever results there are")


def _add_running(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--jobs", type=int, default=64, metavar="N", help="so many steps at once at the most (default: 64)"
    )
    run.add_argument(
        "--priority", type=int, default=0, metavar="N", help="of the steps that name none, while they wait"
    )
    run.add_argument(
        "--output",
        metavar="FILE",
        help="where the executed notebook goes, also after a failure: a file or an s3:// URL "
        "(default: NAME.executed.ipynb beside it)",
    )
    run.add_argument("--announce", action="store_true", help="print the run's number as JSON, and nothing else")
    run.add_argument("--name", help="what the run is called")
    run.add_argument("--tag", action="append", default=[], help="a tag for the run; may be repeated")
    run.add_argument("--on", metavar="BACKEND", help="where steps run that do not say: local, kubernetes")
    run.add_argument("--stop-engine", action="store_true", help="stop the engine afterwards, and what it has elsewhere")


def _add_pipeline(commands: _Commands) -> None:
    graph = _add(commands, "graph", "graph:graph", "draw the pipeline that a notebook is")
    _add_notebook(graph)
    graph.add_argument(
        "--format", choices=("text", "mermaid", "json"), default="text", help="how it is drawn (default: text)"
    )

    plan = _add(commands, "plan", "planning:plan", "say what a run of a notebook would do, and why")
    _add_notebook(plan)
    _add_choice(plan)


def _add_notebook(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "notebook", type=Path, help="the .ipynb file, or a .py file of jupytext (run: or the folder of a bundle)"
    )
    _add_parameters(parser)


def _add_parameters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p",
        "--parameter",
        dest="parameters",
        action="append",
        nargs="+",
        default=[],
        metavar="NAME VALUE",
        help="a parameter's value, as NAME VALUE or NAME=VALUE; may be repeated",
    )


def _add_lab(commands: _Commands) -> None:
    lab = _add(commands, "lab", "lab:lab", "open JupyterLab on a notebook, or on an example to begin with")
    lab.add_argument("notebook", type=Path, nargs="?", help="the .ipynb file (default: first-steps.ipynb, made here)")
    lab.add_argument("--option", dest="options", action="append", default=[], help="handed on to JupyterLab")


def _add_export(commands: _Commands) -> None:
    export = _add(
        commands, "export", "export:export", "write what runs a notebook elsewhere, on a schedule or on demand"
    )
    export.add_argument("notebook", type=Path, help="the .ipynb file")
    export.add_argument(
        "--to", default="kubernetes", metavar="TARGET", help="what runs it: kubernetes (the default), bundle"
    )
    export.add_argument(
        "--prove",
        action="store_true",
        help="run it from an empty store in an environment made anew, and compare its values with the notebook's",
    )
    export.add_argument(
        "--prove-here", action="store_true", help="the same in the present environment, which is quicker"
    )
    export.add_argument(
        "--as-notebook",
        action="store_true",
        help="on Kubernetes: run the notebook itself, all its cells, not its bundle",
    )
    _add_parameters(export)
    export.add_argument("--no-lock", action="store_true", help="a bundle without the lock of its packages")
    export.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder for what is written")
    export.add_argument("--schedule", metavar="CRON", help="when, as five cron fields (default: when somebody asks)")
    export.add_argument("--timezone", metavar="TZ", help="the schedule's, such as Europe/Berlin (default: Etc/UTC)")
    export.add_argument(
        "--include", type=Path, action="append", default=[], metavar="FILE", help="a file to lie beside the notebook"
    )
    export.add_argument("--name", help="what it is called there (default: the notebook's name)")
    _add_place(export)
    export.add_argument(
        "--secret", action="append", default=[], metavar="NAME", help="a Secret with the store's credentials"
    )
    export.add_argument(
        "--service-account", metavar="NAME", help="an account that may use the store, instead of one of its own"
    )
    export.add_argument("--cpu", default="1", metavar="N", help="of the pod that runs the plain cells (default: 1)")
    export.add_argument("--memory", default="1GiB", metavar="SIZE", help="of that pod (default: 1GiB)")
    export.add_argument("--deadline", metavar="TIME", help="stop a run, as failed, after this time")
    export.add_argument(
        "--concurrency",
        choices=("forbid", "allow", "replace"),
        default="forbid",
        help="when the next run is due and the last still runs (default: forbid)",
    )
    export.add_argument("--apply", action="store_true", help="put it into the cluster, too")


def _add_schedule(commands: _Commands) -> None:
    schedule = commands.add_parser("schedule", help="run a bundle when it is time", description="Runs on a schedule.")
    actions = schedule.add_subparsers(metavar="ACTION", required=True)
    add = _add(actions, "add", "schedule:add", "have a notebook, as it is now, or a bundle run when it is time")
    add.add_argument("path", type=Path, help="the .ipynb file, or the folder of a bundle")
    add.add_argument("expression", nargs="?", metavar="CRON", help="five cron fields, or @hourly, @daily, @weekly ...")
    add_schedule_options(add)
    _add(actions, "list", "schedule:show_all", "list the schedules, with what comes next and what came last")
    for name, text in (
        ("pause", "start nothing any more, until it is resumed"),
        ("resume", "go on with a schedule that was paused"),
        ("remove", "take a schedule away; its runs stay on record"),
        ("run-now", "start a run of it now"),
    ):
        action = _add(actions, name, f"schedule:{name.replace('-', '_')}", text)
        action.add_argument("name", help="the schedule's")
    history = _add(
        actions, "history", "schedule:history", "list the times that a schedule came, and what became of them"
    )
    history.add_argument("name", help="the schedule's")
    history.add_argument("-n", "--limit", type=_limit, default=20, help="how many (default: 20)")


def _add_kubernetes(commands: _Commands) -> None:
    kubernetes = commands.add_parser(
        "kubernetes", help="prepare a cluster for --on kubernetes", description="What a Kubernetes cluster needs."
    )
    actions = kubernetes.add_subparsers(metavar="ACTION", required=True)
    install = _add(actions, "install", "kubernetes:install_command", "put the operator, rights and a namespace there")
    _add_place(install)
    _add_operator(install)
    install.add_argument(
        "--all-namespaces", action="store_true", help="let the operator serve all namespaces, not only this one"
    )
    install.add_argument("--dry-run", action="store_true", help="print it as YAML, and change nothing")
    check = _add(actions, "check", "kubernetes:check_command", "run a tiny step, and say which link fails")
    _add_place(check)
    _add_operator(check)
    uninstall = _add(actions, "uninstall", "kubernetes:uninstall_command", "take away what install made")
    _add_place(uninstall)
    _add_operator(uninstall)
    uninstall.add_argument("--crds", action="store_true", help="the custom resources of Dask, too")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--namespace", help="where steps run (default: the setting, else the context's, else cellyard)")
    parser.add_argument("--context", help="which cluster: a context of the kubeconfig (default: its current one)")
    parser.add_argument("--image", help="what pods start from (default: the setting, else cellyard/worker:VERSION)")


def _add_operator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--operator-namespace",
        default="cellyard-operator",
        metavar="NAME",
        help="the operator's (default: %(default)s)",
    )


def _add_looking_back(commands: _Commands) -> None:
    runs = _add(commands, "runs", "runs:runs", "list the latest runs")
    runs.add_argument("-n", "--limit", type=_limit, default=20, help="how many (default: 20)")
    runs.add_argument("--notebook", help="only those of this notebook")
    runs.add_argument("--state", choices=[*map(str, RunState)], help="only those in this state")
    runs.add_argument("--tag", action="append", help="only those with this tag; may be repeated")
    runs.add_argument(
        "--where", metavar="QUERY", help="only those that fit, as in 'metrics.auc > 0.9 and params.depth = 3'"
    )
    runs.add_argument(
        "--search", metavar="TEXT", help="only those with these words: in names, tags, parameters, metrics"
    )
    runs.add_argument("--before", type=_run, metavar="RUN", help="only those before this run: the next page")
    compare = _add(commands, "compare", "finding:compare", "say what differs between two runs")
    compare.add_argument("first", type=_run)
    compare.add_argument("second", type=_run)
    compare.add_argument("--json", action="store_true", help="print it as JSON")
    lineage = _add(commands, "lineage", "finding:lineage", "say where a value comes from, and what became of it")
    lineage.add_argument("artifact", help="(the beginning of) its id, RUN:NAME or RUN:STEP:NAME")
    lineage.add_argument("--up", action="store_true", help="only where it comes from")
    lineage.add_argument("--down", action="store_true", help="only what became of it")
    lineage.add_argument("--json", action="store_true", help="print it as JSON")
    report = _add(commands, "report", "finding:report", "write a run as one page of HTML, which needs nothing else")
    report.add_argument("run", type=_run)
    report.add_argument("--output", type=Path, metavar="FILE", help="where it goes (default: run-RUN.html)")
    label = _add(commands, "label", "runs:label", "name a run, add tags to it or remove them")
    label.add_argument("run", type=_run)
    label.add_argument("tags", nargs="*", help="tags to add")
    label.add_argument(
        "--remove", action="append", default=[], metavar="TAG", help="a tag to take away; may be repeated"
    )
    label.add_argument("--name", help="what the run is called ('' for nothing)")
    show = _add(commands, "show", "runs:show", "show one run and its steps")
    show.add_argument("run", type=_run)
    logs = _add(commands, "logs", "runs:logs", "print what a run, or one step of it, has printed")
    logs.add_argument("run", type=_run)
    logs.add_argument("step", nargs="?", help="the step's name (default: all)")
    logs.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    cancel = _add(commands, "cancel", "runs:cancel", "cancel a run and its live steps")
    cancel.add_argument("run", type=_run)


def _add_store(commands: _Commands) -> None:
    _add(commands, "check", "store:check", "read every stored value again and verify its hash")

    gc = _add(commands, "gc", "store:gc", "throw away values that no run of late speaks of")
    gc.add_argument("--keep", default="30d", metavar="TIME", help="of the runs of so long ago (default: 30d)")
    gc.add_argument("--max", metavar="SIZE", help="no more than this, such as 50GiB: the newest stay")
    gc.add_argument("--dry-run", action="store_true", help="only say what would go")


def _add_engine(commands: _Commands) -> None:
    engine = commands.add_parser(
        "engine", help="the background process that does the work", description="The engine process."
    )
    actions = engine.add_subparsers(metavar="ACTION", required=True)
    run = _add(actions, "run", "engine:run", "start it, in the background")
    run.add_argument("--foreground", action="store_true", help="stay, and show everything it logs")
    _add(actions, "status", "engine:status", "say whether it runs, and with what")
    stop = _add(actions, "stop", "engine:stop", "stop it when its running steps have finished")
    stop.add_argument("--now", action="store_true", help="cancel the running steps")


def _run(text: str) -> int:
    """The number of a run."""
    if not text.isdecimal() or len(text) > _MOST_DIGITS:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of a run: `cellyard runs` shows the runs that there are"
        )
    return int(text)


def _limit(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_LISTED:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {_MOST_LISTED:,}")
    return int(text)


def _command(name: str) -> Command:
    module, _, function = name.partition(":")
    found: Command = getattr(importlib.import_module(f"cellyard.cli.{module}"), function)
    return found
