"""Pipelines as graphs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cellyard.model.pipeline import Edge, Parameter, Pipeline, PipelineStep, Problem


def graph(steps: str, *edges: Edge) -> Pipeline:
    made = (PipelineStep(name=name, cell=cell, cell_id=None, source="") for cell, name in enumerate(steps))
    return Pipeline(tuple(made), edges)


def test_a_step_comes_after_what_it_needs_else_in_the_notebooks_order():
    assert graph("abcd", Edge("d", "a")).order() == ("b", "c", "d", "a")


def test_ancestors_and_descendants():
    found = graph("abcd", Edge("a", "b"), Edge("b", "c"))
    assert found.ancestors("c") == {"a", "b"}
    assert found.descendants("a") == {"b", "c"}
    assert found.ancestors("d") == frozenset()


def test_a_cycle_is_told_with_its_steps():
    found = graph("abc", Edge("a", "b"), Edge("b", "c"), Edge("c", "b")).checked()
    [problem] = found.errors
    assert (problem.cell, "b -> c -> b" in problem.message) == (1, True)


def test_two_makers_of_a_name_without_an_order_are_an_error():
    two = (Edge("a", "c", ("x",)), Edge("b", "c", ("x@2",)))
    [problem] = graph("abc", *two).checked().errors
    assert (problem.cell, "with no order between them" in problem.message) == (2, True)
    assert graph("abc", *two, Edge("a", "b")).checked().errors == ()


def test_checking_twice_tells_nothing_twice():
    once = graph("ab", Edge("a", "b"), Edge("b", "a")).checked()
    assert once.checked() == once


@given(
    st.integers(1, 12).flatmap(
        lambda size: st.tuples(st.just(size), st.sets(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))))
    )
)
def test_any_order_keeps_every_edge_and_loses_steps_only_to_cycles(drawn):
    size, pairs = drawn
    names = [f"s{number}" for number in range(size)]
    steps = tuple(PipelineStep(name=name, cell=cell, cell_id=None, source="") for cell, name in enumerate(names))
    found = Pipeline(steps, tuple(Edge(names[one], names[other]) for one, other in pairs))
    order = found.order()
    place = {name: number for number, name in enumerate(order)}
    for edge in found.edges:
        if edge.target in place:
            assert place[edge.source] < place[edge.target]
    assert bool(found.checked().errors) == (len(order) < size)


def test_it_survives_json():
    step = PipelineStep(name="a", cell=0, cell_id="x", source="1", reads=("y",), makes=("z@2",))
    found = Pipeline(
        (step,), (Edge("a", "b", ("x",)),), (Parameter("p", "int", "1", 0),), (Problem(0, 1, "m"),), (1,), (2,)
    )
    assert Pipeline.from_dict(found.to_dict()) == found
    assert found.to_dict()["edges"] == [{"from": "a", "to": "b", "names": ["x"], "why": "values"}]
