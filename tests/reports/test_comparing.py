"""What differs between two runs."""

from __future__ import annotations

from typing import Any

from cellyard.reports import compare_runs


def run(**more: Any) -> dict[str, Any]:
    return {"id": 1, "state": "succeeded", "notebook": "n", "created": 1.0, "parameters": {}, "metrics": {}} | more


def step(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "state": "succeeded", "source": "x = 1", "line": name, "seconds": 1.0} | more


def made(artifact: str, shape: str, *columns: str) -> dict[str, Any]:
    preview = {"type": "pandas.DataFrame", "shape": shape, "schema": list(columns)}
    return {"id": artifact, "names": ["df"], "previews": {"df": preview}}


def test_equal_runs_differ_in_nothing():
    one = (run(parameters={"a": 1}), [step("load", outputs=[made("f", "3 rows")])])
    found = compare_runs(one, one)
    assert (found["parameters"], found["metrics"], found["packages"]) == ({}, {}, {})
    [same] = found["steps"]
    assert (same["code"], same["line"]) == ([], None)
    assert same["outputs"][0]["same"]


def test_each_difference_is_told_as_a_pair():
    first = (
        run(parameters={"a": 1, "gone": None}, metrics={"auc": 0.5, "same": 1}),
        [
            step(
                "load",
                source="x = 1\ny = 2",
                packages={"numpy": "1", "pandas": "2"},
                outputs=[made("f", "3", "a: int")],
            ),
            step("dropped"),
        ],
    )
    second = (
        run(id=2, parameters={"a": 2}, metrics={"auc": 0.75, "same": 1}),
        [
            step("added"),
            step(
                "load",
                source="x = 1\ny = 3",
                line="load --cpu 2",
                seconds=2.0,
                packages={"numpy": "2", "pandas": "2"},
                outputs=[made("g", "4", "a: float")],
            ),
        ],
    )
    found = compare_runs(first, second)
    assert found["parameters"] == {"a": [1, 2], "gone": [None, None]}
    assert found["metrics"] == {"auc": [0.5, 0.75]}
    assert found["packages"] == {"numpy": ["1", "2"]}
    assert [(each["name"], each["in"]) for each in found["steps"]] == [
        ("added", [False, True]),
        ("load", [True, True]),
        ("dropped", [True, False]),
    ]
    load = found["steps"][1]
    assert load["code"] == ["@@ -1,2 +1,2 @@", " x = 1", "-y = 2", "+y = 3"]
    assert load["line"] == ["load", "load --cpu 2"]
    assert load["seconds"] == [1.0, 2.0]
    [output] = load["outputs"]
    assert not output["same"]
    assert [each["schema"] for each in output["schemas"]] == [["a: int"], ["a: float"]]


def test_of_steps_with_one_name_the_last_counts():
    first = (run(), [step("load", source="1"), step("load", source="2")])
    second = (run(), [step("load", source="2")])
    assert compare_runs(first, second)["steps"][0]["code"] == []
