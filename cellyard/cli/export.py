"""``cellyard export NOTEBOOK --to TARGET --output DIR``."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from cellyard.cli.export_bundle import export_bundle
from cellyard.errors import UsageError
from cellyard.exporters import Export, ExportRequest, Schedule, create_exporter
from cellyard.exporters.bundling import bundle_for_job, content_of, write_export
from cellyard.kubernetes.kubeconfig import namespace_of
from cellyard.model.resources import Resources, parse_cpu, parse_duration, parse_memory
from cellyard.notebook.parameters import parse_assignments
from cellyard.schedules.cron import parse_schedule
from cellyard.settings import Settings, load_settings

__all__ = ["export"]

_NEXT = 3


def export(arguments: argparse.Namespace) -> int:
    """Write the export's files, apply it when asked to, and say when it will run."""
    exporter = create_exporter(arguments.to)
    if exporter.about.writes_bundle:
        return export_bundle(arguments, exporter)
    request = _request(arguments)
    takes_bundle = exporter.about.carries_bundle and not arguments.as_notebook
    if arguments.parameters and not takes_bundle:
        raise UsageError("-p is for bundles: the parameters of a notebook that runs itself are those it has.")
    notes: list[str] = []
    if takes_bundle:
        given = parse_assignments(arguments.parameters)
        bundle, notes = bundle_for_job(arguments.notebook, request.files, given)
        request = replace(request, options={**request.options, "bundle": bundle})
    made = exporter.export(request)
    write_export(made, arguments.output)
    for name in made.files:
        print(f"wrote {arguments.output / name}")
    for note in (*made.notes, *notes):
        print(f"note: {note}")
    if arguments.apply:
        asyncio.run(_apply(made, request.settings))
    _say_when(request.schedule)
    return 0


def _request(arguments: argparse.Namespace) -> ExportRequest:
    if arguments.timezone and not arguments.schedule:
        raise UsageError("a time zone is of use only with a schedule: --schedule '0 6 * * *'.")
    schedule = parse_schedule(arguments.schedule, arguments.timezone) if arguments.schedule else None
    return ExportRequest(
        notebook=arguments.notebook.name,
        content=b"" if arguments.notebook.is_dir() else content_of(arguments.notebook),
        files={path.name: content_of(path) for path in arguments.include},
        settings=_settings(arguments),
        schedule=schedule,
        options=_options(arguments),
    )


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    resources = Resources(parse_cpu(arguments.cpu, option="--cpu"), parse_memory(arguments.memory, option="--memory"))
    deadline = parse_duration(arguments.deadline, option="--deadline") if arguments.deadline else None
    return {
        "name": arguments.name or "",
        "resources": resources,
        "secrets": tuple(arguments.secret),
        "service_account": arguments.service_account,
        "concurrency": arguments.concurrency.capitalize(),
        "deadline": None if deadline is None else max(1, round(deadline)),
    }


def _settings(arguments: argparse.Namespace) -> Settings:
    """The settings with what was typed, and a store that pods can reach."""
    settings = load_settings()
    given = {key: getattr(arguments, key) for key in ("namespace", "context", "image") if getattr(arguments, key)}
    if not settings.store.startswith("s3://"):
        raise UsageError(
            f"the store {settings.store} is a folder of this machine, which pods cannot reach: "
            "set CELLYARD_STORE=s3://BUCKET/PREFIX."
        )
    kubernetes = replace(settings.kubernetes, **given)
    return replace(settings, kubernetes=replace(kubernetes, namespace=namespace_of(kubernetes)))


async def _apply(made: Export, settings: Settings) -> None:
    from cellyard.kubernetes.api import ManagedApi
    from cellyard.kubernetes.objects import called

    async with ManagedApi.opened(settings.kubernetes) as api:
        for each in made.objects:
            await api.apply(each)
            print(f"applied {called(each)}")


def _say_when(schedule: Schedule | None) -> None:
    if schedule is None:
        print("It has no schedule, and runs when somebody asks for it (see README.md).")
        return
    print(f"It runs: {schedule}")
    print(f"next: {_times(schedule.next(_NEXT, after=datetime.now(UTC)))}")


def _times(times: Sequence[datetime]) -> str:
    return ", ".join(f"{each:%a %d %b %Y %H:%M %Z}" for each in times)
