"""``cellyard kubernetes install|check|uninstall``."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from cellyard.backends.dask_on_kubernetes.shapes import DEFAULT_IMAGE
from cellyard.kubernetes.api import ManagedApi
from cellyard.kubernetes.checking import Link, check_links
from cellyard.kubernetes.definitions import definitions
from cellyard.kubernetes.installing import Change, install, uninstall
from cellyard.kubernetes.kubeconfig import namespace_of
from cellyard.kubernetes.manifests import Installation, account_manifests, operator_manifests
from cellyard.kubernetes.objects import to_yaml
from cellyard.settings import Settings, load_settings

__all__ = ["check_command", "install_command", "uninstall_command"]

_STATES = {"created": "green", "changed": "cyan", "deleted": "yellow", "kept": "yellow", "ok": "green", "failed": "red"}


def install_command(arguments: argparse.Namespace) -> int:
    """Apply everything and wait until the operator runs; or only print it."""
    settings = _settings(arguments)
    if arguments.dry_run:
        return _print(settings, arguments)
    return asyncio.run(_install(settings, arguments))


def uninstall_command(arguments: argparse.Namespace) -> int:
    """Take away what install made."""
    return asyncio.run(_uninstall(_settings(arguments), arguments))


def check_command(arguments: argparse.Namespace) -> int:
    """One line for each link; 1 when one failed."""
    return asyncio.run(_check(_settings(arguments), arguments))


def _settings(arguments: argparse.Namespace) -> Settings:
    settings = load_settings()
    given = {key: getattr(arguments, key) for key in ("namespace", "context", "image") if getattr(arguments, key, None)}
    return replace(settings, kubernetes=replace(settings.kubernetes, **given))


def _wanted(settings: Settings, arguments: argparse.Namespace, namespace: str) -> Installation:
    return Installation(
        namespace=namespace,
        operator_namespace=arguments.operator_namespace,
        image=settings.kubernetes.image or DEFAULT_IMAGE,
        pull_secrets=settings.kubernetes.image_pull_secrets,
    )


def _print(settings: Settings, arguments: argparse.Namespace) -> int:
    wanted = _wanted(settings, arguments, namespace_of(settings.kubernetes))
    served = () if arguments.all_namespaces else (wanted.namespace,)
    made = [*account_manifests(wanted), *operator_manifests(replace(wanted, served=served)), *definitions()]
    print(to_yaml(made), end="")
    return 0


async def _install(settings: Settings, arguments: argparse.Namespace) -> int:
    async with ManagedApi.opened(settings.kubernetes) as api:
        wanted = _wanted(settings, arguments, api.namespace)
        print(
            f"{api.server}: steps in {wanted.namespace}, operator in {wanted.operator_namespace}, image {wanted.image}"
        )
        await _show(install(api, wanted, definitions(), everywhere=arguments.all_namespaces))
    print("The operator runs. Next: cellyard kubernetes check")
    return 0


async def _uninstall(settings: Settings, arguments: argparse.Namespace) -> int:
    async with ManagedApi.opened(settings.kubernetes) as api:
        wanted = _wanted(settings, arguments, api.namespace)
        await _show(uninstall(api, wanted, definitions() if arguments.crds else []))
    return 0


async def _show(changes: AsyncIterator[Change]) -> None:
    """Each change as it happens; those that change nothing are counted."""
    console, same = Console(), 0
    async for each in changes:
        if each.became in ("unchanged", "absent"):
            same += 1
            continue
        line = Text(f"{each.became:<9} ", style=_STATES.get(each.became, "")).append(each.object, style="default")
        console.print(line.append(f" ({each.note})" if each.note else "", style="dim"), soft_wrap=True)
    if same:
        console.print(Text(f"{same} more were so already", style="dim"))


async def _check(settings: Settings, arguments: argparse.Namespace) -> int:
    console, links = Console(), []
    with console.status("...") as status:
        async for link in check_links(settings, operator_namespace=arguments.operator_namespace):
            if isinstance(link, str):
                status.update(link)
            else:
                links.append(link)
    console.print(_table(links))
    return 0 if all(link.ok for link in links) else 1


def _table(links: list[Link]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("link", "state", "found"):
        table.add_column(name, overflow="fold")
    for link in links:
        state = {True: "ok", False: "failed", None: "not tried"}[link.ok]
        found = Text(link.found)
        if link.advice:
            found.append(f"\n{link.advice}", style="bold")
        table.add_row(link.name, Text(state, style=_STATES.get(state, "dim")), found)
    return table
