"""Results under their keys, what items of unfinished steps have made, and which stored values are spoken of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cellyard.model import StepRequest, StepState, parse_step_line
from cellyard.records import AttemptEnd, CachedResult, Records, RunOrigin

KEY, OTHER = "a" * 64, "b" * 64
FIRST, SECOND, THIRD = "1" * 64, "2" * 64, "3" * 64


def a_run(records: Records, *, resumes: int | None = None) -> int:
    origin = RunOrigin(resumes=resumes)
    return records.create_run(kind="notebook", notebook="n.ipynb", session="", origin=origin)


def a_request(name: str, run: int | None, key: str = KEY) -> StepRequest:
    return StepRequest(
        notebook="n.ipynb",
        session="k",
        name=name,
        source="x = 1",
        run=run,
        options=parse_step_line(name),
        key=key,
        parts={"code": "c"},
        reuse=True,
    )


def succeeded(records: Records, name: str, run: int, key: str, made: str) -> int:
    """A step that has succeeded and whose result is kept; its number."""
    token = f"{name}-{run}-{key[:4]}"
    opened = records.open_step(a_request(name, run, key), token=token)
    outputs = [{"id": made, "names": ["x"], "size": 1}]
    content: dict[str, Any] = {"outputs": outputs, "deleted": [], "result": None, "process_state": None}
    keeps = {"key": key, "notebook": "n.ipynb", "name": name, "parts": {"code": "c"}, "content": content}
    assert records.finish_step(
        AttemptEnd(token=token, state=StepState.SUCCEEDED, outputs=outputs, keeps=keeps, started=1.0)
    )
    return opened.step_id


def found(result: CachedResult | None) -> tuple[int, str]:
    assert result is not None
    return result.run_id, result.content["outputs"][0]["id"]


def test_the_newest_result_of_a_key_is_found_and_of_each_name(records: Records):
    first, second = a_run(records), a_run(records)
    succeeded(records, "load", first, KEY, FIRST)
    succeeded(records, "load", second, KEY, SECOND)
    succeeded(records, "train", first, OTHER, THIRD)
    assert found(records.cached(KEY)) == (second, SECOND)
    assert records.cached("c" * 64) is None
    assert {name: found(each) for name, each in records.cached_by_name("n.ipynb").items()} == {
        "load": (second, SECOND),
        "train": (first, THIRD),
    }
    assert records.cached_by_name("other.ipynb") == {}
    result = records.cached(KEY)
    assert result is not None
    assert records.cached_result(result.id) == result


def test_a_resumed_run_has_the_results_of_those_that_it_goes_on_from(records: Records):
    first = a_run(records)
    second = a_run(records, resumes=first)
    stranger = a_run(records)
    succeeded(records, "load", first, KEY, FIRST)
    succeeded(records, "load", stranger, KEY, SECOND)
    succeeded(records, "train", second, OTHER, THIRD)
    assert {key: found(each) for key, each in records.cached_by_run(second).items()} == {
        KEY: (first, FIRST),
        OTHER: (second, THIRD),
    }
    assert {key: found(each) for key, each in records.cached_by_run(first).items()} == {KEY: (first, FIRST)}


def test_a_step_that_takes_a_result_has_succeeded_with_its_outputs(records: Records):
    first, second = a_run(records), a_run(records)
    succeeded(records, "load", first, KEY, FIRST)
    result = records.cached(KEY)
    assert result is not None
    taken = records.step(records.reuse_step(a_request("load", second), result, token="t2").step_id)
    assert (taken.state, taken.reused, taken.outputs[0]["id"]) == ("succeeded", first, FIRST)
    alone = records.reuse_step(a_request("load", None), result, token="t3")
    assert records.run(alone.run_id).state == "succeeded"


def test_what_cells_have_shown_is_kept(records: Records):
    run = a_run(records)
    kept = CachedResult(
        key=KEY,
        run_id=run,
        step_id=None,
        notebook="n.ipynb",
        name="cell 3",
        created=1.0,
        parts={},
        content={"shown": [{"output_type": "stream", "text": "é"}]},
    )
    records.keep_results([kept])
    stored = records.cached_by_name("n.ipynb")["cell 3"]
    assert replace(stored, id=0) == kept


def test_what_items_have_made_is_kept_until_the_step_has_succeeded(records: Records):
    first = a_run(records)
    second = a_run(records, resumes=first)
    batches = [{"of": "o", "items": [0, 1], "id": FIRST}, {"of": "o", "items": [3], "id": SECOND}]
    for batch in batches:
        records.keep_items(KEY, first, batch)
    records.keep_items(OTHER, first, batches[0])
    assert records.kept_items(KEY) == records.kept_items(KEY, of_run=second) == batches
    assert records.kept_items(KEY, of_run=a_run(records)) == []
    assert FIRST in records.references()
    assert records.forget_results([SECOND]) == 0
    assert records.kept_items(KEY) == batches[:1]
    records.forget_items(KEY)
    assert (records.kept_items(KEY), records.kept_items(OTHER)) == ([], batches[:1])


def test_what_is_thrown_away_may_not_be_taken_any_more(records: Records):
    run = a_run(records)
    succeeded(records, "load", run, KEY, FIRST)
    succeeded(records, "train", run, OTHER, SECOND)
    assert {FIRST, SECOND} <= records.references().keys()
    assert records.forget_results([FIRST, THIRD]) == 1
    assert records.cached(KEY) is None
    assert found(records.cached(OTHER)) == (run, SECOND)
