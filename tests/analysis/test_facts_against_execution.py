"""The facts of random programs, compared with what running them really does."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import HealthCheck, assume, event, given, settings

from cellyard.analysis import analyze

from .programs import Observed, fresh_namespace, observe, programs, straight_programs

pytestmark = pytest.mark.filterwarnings("ignore::SyntaxWarning")

EXAMPLES = 400
ALL = frozenset(fresh_namespace())


def run(source: str, without: frozenset[str] = frozenset()) -> Observed:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return observe(source, without)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(programs)
def test_what_a_program_really_does_is_in_its_facts(source):
    facts = analyze(source)
    seen = run(source)
    event("completed" if seen.completed else seen.error)
    assert seen.read <= facts.reads, "a name was read from before"
    assert seen.written <= facts.writes, "a name was bound"
    assert seen.deleted <= facts.deletes, "a name was unbound"
    assert seen.changed <= facts.mutates, "a value of before was changed in place"
    assert not seen.changed & facts.pure_reads, "a pure read was changed in place"
    assert not facts.uses_dynamic
    alone = run(source, ALL - facts.reads)
    assert (alone.error, alone.bound) == (seen.error, seen.bound), "it runs the same where only its reads exist"
    for name in facts.required:
        assert not run(source, frozenset({name})).completed, f"it cannot complete without {name}, which it requires"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(straight_programs)
def test_in_straight_code_the_facts_are_exact(source):
    # Python reaches a name bound by := in a comprehension past the namespace's own methods.
    assume(":=" not in source)
    facts = analyze(source)
    seen = run(source)
    if seen.completed and facts.reads == facts.required:
        assert facts.reads == seen.read
        assert facts.deletes == seen.deleted
        assert facts.writes == seen.written
