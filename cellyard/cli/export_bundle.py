"""``cellyard export NOTEBOOK --to bundle``, or to another target that is a bundle: gather, export, lock, write."""

from __future__ import annotations

import argparse
from pathlib import Path

from cellyard.errors import UsageError
from cellyard.exporters import Exporter
from cellyard.exporters.bundle_reading import read_bundle
from cellyard.exporters.bundling import content_of, make_bundle, write_export
from cellyard.notebook.parameters import parse_assignments

__all__ = ["export_bundle"]


def export_bundle(arguments: argparse.Namespace, exporter: Exporter) -> int:
    """Write the bundle, and say what is in it."""
    for name in ("schedule", "timezone", "secret", "service_account", "apply", "deadline"):
        if getattr(arguments, name):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is of no use to a bundle: schedule it with `cellyard schedule add DIR`.")
    included = {_relative(path, arguments.notebook): content_of(path) for path in arguments.include}
    given = parse_assignments(arguments.parameters)
    _say("reading the notebook" + ("" if arguments.no_lock else ", and locking the packages that it needs"))
    made = make_bundle(
        arguments.notebook,
        included,
        name=arguments.name,
        lock=not arguments.no_lock,
        given=given,
        exporter=exporter,
    )
    write_export(made, arguments.output)
    for note in made.notes:
        _say(f"note: {note}")
    _say(f"wrote {len(made.files) + len(made.data)} files to {arguments.output}")
    return _prove(arguments) if arguments.prove or arguments.prove_here else 0


def _prove(arguments: argparse.Namespace) -> int:
    """Try it, and write the verdict into the bundle; 0, or 1 when it does not hold."""
    from cellyard.exporters.proving import prove, write_proof

    proof = prove(
        read_bundle(arguments.output.absolute()),
        arguments.notebook.absolute(),
        environment="present" if arguments.prove_here else "new",
        parameters=parse_assignments(arguments.parameters),
        tell=_say,
    )
    write_proof(proof, arguments.output)
    for each in proof.comparisons:
        if not each.holds:
            _say(f"{each.step} {each.role} {each.name}: {each.verdict}. {each.detail}")
    if proof.problem:
        _say(proof.problem)
    same = sum(each.holds for each in proof.comparisons)
    verdict = "proven" if proof.holds else "NOT proven"
    _say(f"{verdict}: {same} of {len(proof.comparisons)} values are the notebook's ({arguments.output / 'proof.md'})")
    return 0 if proof.holds else 1


def _say(text: str) -> None:
    # At once: whoever reads along wants to know how far it is.
    print(text, flush=True)


def _relative(path: Path, notebook: Path) -> str:
    """The file's place beside the notebook, as the notebook's code would find it."""
    try:
        return path.absolute().relative_to(notebook.absolute().parent).as_posix()
    except ValueError:
        return path.name
