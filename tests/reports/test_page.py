"""The report of a run: one file that needs nothing else, in which nothing of a notebook's is more than text."""

from __future__ import annotations

import base64
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.reports import run_report

PNG = base64.b64encode(b"\x89PNG not really").decode()
EVIL = "<script>alert(1)</script><img src=https://example.org/x onerror=alert(1)>'\"&"
ADDRESSES = {"src", "href", "action", "formaction", "data", "poster", "background", "srcset", "ping", "xlink:href"}


class Page(HTMLParser):
    """Every tag and attribute of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def run(**more: Any) -> dict[str, Any]:
    facts = {"id": 3, "state": "succeeded", "notebook": "n.ipynb", "created": 1e9, "started": 1e9, "seconds": 5.0}
    return facts | {"name": None, "tags": [], "owner": "ada", "commit": None, "changed": None, "error": None} | more


def step(**more: Any) -> dict[str, Any]:
    facts = {"id": 1, "name": "fit", "state": "succeeded", "line": "fit --cpu 2", "source": "x = 1"}
    sizes = {"resources": {"cpu": 2, "memory": None, "gpu": 0}, "seconds": 2.0, "peak_memory": 1 << 20, "attempt": 1}
    times = {"started": 1e9, "finished": 1e9 + 2, "error": None, "packages": {"numpy": "2.0"}, "outputs": []}
    return facts | sizes | times | more


def output(**message: Any) -> dict[str, Any]:
    return {"kind": "output", "step_id": 1, "content": message}


def logged(**more: Any) -> dict[str, Any]:
    return {"parameters": {}, "metrics": {}, "figures": []} | more


def evil_page(text: str) -> str:
    reference = {"id": "f" * 64, "names": ["x"], "previews": {"x": {"type": text, "shape": text, "text": text}}}
    error = {"type": text, "message": text, "traceback": [text]}
    return run_report(
        run(name=text, notebook=text, owner=text, tags=[text], commit=text, error=error),
        [step(name=text, source=text, line=text, packages={text: text}, outputs=[reference], error=error)],
        logged(
            parameters={text: text},
            metrics={text: [{"at": 0, "value": 1.0}, {"at": 1, "value": 2.0}]},
            figures=[{"name": text, "data": {"image/png": text}}, {"name": "s", "data": {"image/svg+xml": text}}],
        ),
        [
            output(type="stream", name="stdout", text=text),
            output(type="display_data", data={"text/html": text, "text/plain": text}),
            output(type="display_data", data={"image/png": text, "text/plain": text}),
            output(type="execute_result", data={"image/svg+xml": f"<svg>{text}</svg>"}),
            output(type="error", ename=text, evalue=text, traceback=[text]),
        ],
    )


def check_harmless(html: str, usual: set[str]) -> None:
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= usual
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], (tag, attributes)
        for name in ADDRESSES & attributes.keys():
            assert (attributes[name] or "").startswith("data:image/"), (tag, attributes)
        if tag == "iframe":
            assert attributes["sandbox"] in (None, "")


TAGS = {tag for tag, _ in Page(evil_page("plain")).tags}


def test_the_page_has_only_tags_of_its_own_whatever_a_notebook_says():
    assert "script" not in TAGS
    check_harmless(evil_page(EVIL), TAGS)
    assert EVIL in Page(evil_page(EVIL)).text


@given(st.text(alphabet="<>/\"'&;=-! abcimgscriptonerror:\n\x1b[]\x00", max_size=60))
def test_no_text_gets_out_of_its_place(text):
    check_harmless(evil_page(text), TAGS)


def test_a_policy_forbids_loading_anything():
    policy = next(
        a["content"] for t, a in Page(evil_page("x")).tags if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "script-src" not in policy


def test_everything_of_the_run_is_there():
    page = run_report(
        run(name="nightly", tags=["a", "b"], commit="c" * 40, changed=True),
        [step(), step(id=2, name="never", state="cancelled", started=None, finished=None, seconds=None)],
        logged(
            parameters={"depth": 3, "on": True},
            metrics={"auc": [{"at": None, "value": 0.5}, {"at": None, "value": 0.75}, {"at": 3, "value": "nan"}]},
            figures=[{"name": "roc", "data": {"image/png": PNG}}],
        ),
        [
            output(type="stream", name="stdout", text="10%\r50%"),
            output(type="stream", name="stdout", text="\r100%\n\x1b[31mred\x1b[0m"),
            output(type="display_data", data={"text/plain": "old"}, transient={"display_id": "d"}),
            output(type="update_display_data", data={"text/plain": "new"}, transient={"display_id": "d"}),
            output(type="display_data", data={"image/png": PNG}),
        ],
    )
    text = Page(page).text
    for each in ("nightly", "a, b", "c" * 40, "changed since", "depth", "auc", "nan", "2 values", "fit", "never"):
        assert each in text, each
    assert "100%\nred" in text
    assert "50%" not in text
    assert "new" in text
    assert "old" not in text
    assert page.count(f"data:image/png;base64,{PNG}") == 2


def test_a_very_long_output_keeps_its_ends():
    page = run_report(run(), [step()], logged(), [output(type="stream", name="stdout", text="a" + "b" * 10**6 + "c")])
    assert len(page) < 400_000
    assert "characters are left out" in page
    assert "bbbc</pre>" in page


@pytest.mark.parametrize(
    "points", [[], [(0, 1.0)], [(0, "nan"), (1, "inf")], [(0, 1.0), (0, 1.0)], [(i, i) for i in range(5000)]]
)
def test_any_curve_can_be_drawn(points):
    from cellyard.reports.drawing import curve

    drawn = curve(points)
    assert "nan" not in drawn
    assert len(drawn) < 30_000
