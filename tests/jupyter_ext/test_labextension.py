"""What is built, and that both languages mean the same by the JSON between them."""

from __future__ import annotations

import gzip
import re
from dataclasses import fields

import pytest

from cellyard.model.pipeline import Edge, Parameter, PipelineStep, Problem
from cellyard.model.resources import Resources
from cellyard.model.sizing import Proposal
from cellyard.records import AttemptRecord, RunRecord, ScheduleRecord, StepRecord
from tests.house.source_tree import ROOT

MOST_BYTES = 150 * 1024
WIRE = (ROOT / "js" / "src" / "wire.ts").read_text(encoding="utf-8")

# What the routes add to a record: the names of a run's steps, the next times and the last firing of a schedule, and
# what its bundle takes.
ADDED = {
    "Run": {"steps", "seconds"},
    "Step": {"seconds"},
    "Attempt": {"seconds"},
    "Schedule": {"next", "last", "takes"},
}
SAME = {
    "Attempt": AttemptRecord,
    "Parameter": Parameter,
    "PipelineStep": PipelineStep,
    "Problem": Problem,
    "Proposal": Proposal,
    "Resources": Resources,
    "Run": RunRecord,
    "Schedule": ScheduleRecord,
    "Step": StepRecord,
}


def keys(interface: str) -> set[str]:
    """The keys of a type in wire.ts."""
    body = re.search(rf"^export interface {interface} {{\n(.*?)^}}", WIRE, re.MULTILINE | re.DOTALL)
    assert body is not None, interface
    return set(re.findall(r"^  (\w+)\??:", body[1], re.MULTILINE))


@pytest.mark.parametrize("interface", sorted(SAME))
def test_a_type_of_the_page_has_only_keys_that_python_writes(interface):
    computed = {"resources"} if interface == "PipelineStep" else set()
    written = {each.name for each in fields(SAME[interface])} | ADDED.get(interface, set()) | computed
    assert keys(interface) <= written


def test_an_edge_is_what_python_writes():
    assert keys("Edge") == set(Edge("a", "b").to_dict())


def weight() -> int:
    """Bytes of all scripts, gzipped as servers send them."""
    static = ROOT / "jupyter_ext" / "labextension" / "static"
    return sum(len(gzip.compress(each.read_bytes(), 9)) for each in static.glob("*.js"))


def test_the_extension_is_light(labextension):
    assert 0 < weight() <= MOST_BYTES
