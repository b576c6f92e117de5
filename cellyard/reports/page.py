"""Page: one run as HTML in a single file. It opens without a network: nothing is loaded from anywhere, no script runs,
and everything that comes from a notebook is text, an image, or inside a frame that may do nothing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

from cellyard.model import Resources, format_duration, format_memory
from cellyard.reports.drawing import curve, timeline
from cellyard.reports.style import STYLE

__all__ = ["run_report"]

Json = Mapping[str, Any]
_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b\x0c\x0e-\x1f]")
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]*={0,2}\s*")
_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
_MOST_TEXT = 200_000
_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'"
)


def run_report(run: Json, steps: Sequence[Json], logged: Json, events: Iterable[Json]) -> str:
    """The page of a run: as the engine tells of it, its steps, what it logged, and its events."""
    shown = _outputs_by_step(events)
    title = f"Run {run['id']}" + (f": {run['name']}" if run.get("name") else "")
    body = [
        f"<h1>{escape(title)} <span class='state {escape(run['state'])}'>{escape(run['state'])}</span></h1>",
        _table(_facts(run)),
        _error(run.get("error")),
        _section("Parameters", _table((name, _value(value)) for name, value in logged["parameters"].items())),
        _section("Metrics", "".join(_metric(name, points) for name, points in logged["metrics"].items())),
        _section("Figures", "".join(map(_figure, logged["figures"]))),
        _section("When", timeline(steps)),
        *(_step(step, shown.get(step["id"], [])) for step in steps),
    ]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        "<meta name='viewport' content='width=device-width'><meta name='referrer' content='no-referrer'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _facts(run: Json) -> Iterator[tuple[str, str]]:
    changed = " (the notebook was changed since)" if run.get("changed") else ""
    facts = {
        "notebook": run["notebook"],
        "began": _date(run.get("started") or run["created"]),
        "took": _took(run.get("seconds")),
        "owner": run.get("owner"),
        "commit": run.get("commit") and run["commit"] + changed,
        "tags": ", ".join(run.get("tags") or ()),
    }
    return ((key, str(value)) for key, value in facts.items() if value)


def _step(step: Json, outputs: Sequence[Json]) -> str:
    head = f"<h2>{escape(step['name'])} <span class='state {escape(step['state'])}'>{escape(step['state'])}</span></h2>"
    packages = ", ".join(f"{name} {version}" for name, version in (step.get("packages") or {}).items())
    facts = {
        "asked for": f"%%step {step['line']}".strip(),
        "size": str(Resources.from_dict(step["resources"])),
        "took": _took(step.get("seconds")),
        "peak memory": format_memory(step["peak_memory"]) if step.get("peak_memory") else "",
        "attempts": str(step["attempt"]) if step.get("attempt", 1) > 1 else "",
        "packages": packages,
    }
    made = "".join(map(_made, _values(step)))
    return (
        f"<section id='step-{int(step['id'])}'>{head}{_table((k, v) for k, v in facts.items() if v)}"
        f"<details><summary>code</summary><pre class='code'>{escape(step['source'])}</pre></details>"
        f"{''.join(map(_output, outputs))}{_error(step.get('error'))}"
        + (f"<details><summary>values</summary><table>{made}</table></details>" if made else "")
        + "</section>"
    )


def _values(step: Json) -> Iterator[tuple[str, Json]]:
    for reference in step.get("outputs") or ():
        for name in reference["names"]:
            if name.isidentifier():
                yield name, {**((reference.get("previews") or {}).get(name) or {}), "id": reference["id"]}


def _made(value: tuple[str, Json]) -> str:
    name, facts = value
    what = f"{facts.get('type', '')} {facts.get('shape', '')}".strip()
    return (
        f"<tr><th>{escape(name)}</th><td>{escape(what)}</td><td class='id'>{escape(str(facts['id'])[:16])}</td>"
        f"<td><pre>{escape(str(facts.get('text', ''))[:2000])}</pre></td></tr>"
    )


def _outputs_by_step(events: Iterable[Json]) -> dict[int, list[Json]]:
    """The messages of each step in order; text of one stream that came in pieces is one again."""
    found: dict[int, list[Any]] = {}
    for event in events:
        if event["kind"] != "output":
            continue
        messages, message = found.setdefault(event["step_id"], []), dict(event["content"])
        last = messages[-1] if messages else {}
        if message["type"] == "stream" == last.get("type") and message["name"] == last["name"]:
            last["text"] += message["text"]
        elif message["type"] == "clear_output":
            messages.clear()
        elif message["type"] == "update_display_data":
            _update(messages, message)
        else:
            messages.append(message)
    return found


def _update(messages: list[Any], message: Json) -> None:
    wanted = (message.get("transient") or {}).get("display_id")
    for each in messages:
        if wanted and (each.get("transient") or {}).get("display_id") == wanted:
            each["data"] = message["data"]


def _output(message: Json) -> str:
    if message["type"] == "stream":
        return _pre(_overwritten(_plain(message["text"])), str(message["name"]))
    if message["type"] == "error":
        return _pre(_plain("\n".join(message["traceback"])), "stderr")
    if message["type"] in ("display_data", "execute_result"):
        return _shown(message.get("data") or {})
    return ""


def _shown(data: Json) -> str:
    """The richest form that may be shown without trust."""
    picture = _picture(data)
    if picture:
        return picture
    if data.get("text/html"):
        return _frame(_text(data["text/html"]))
    return _pre(_plain(_text(data.get("text/plain", ""))), "result") if data.get("text/plain") else ""


def _picture(data: Json) -> str:
    for kind in _IMAGES:
        content = _text(data.get(kind) or "")
        if content and _BASE64.fullmatch(content):
            return f"<img alt='' src='data:{kind};base64,{''.join(content.split())}'>"
    vector = _text(data.get("image/svg+xml") or "")
    # As an image: a drawing that is part of the page could bring scripts along.
    return f"<img alt='' src='data:image/svg+xml,{quote(vector)}'>" if vector else ""


def _frame(html: str) -> str:
    """Without scripts, forms, links that leave, or anything from a network: the page's policy holds inside, too."""
    height = min(600, 60 + 26 * max(1, html.count("<tr")))
    style = "<style>body{font:13px system-ui;margin:4px}td,th{padding:2px 8px;text-align:right}</style>"
    return f"<iframe sandbox style='height:{height}px' srcdoc=\"{escape(style + html)}\"></iframe>"


def _figure(figure: Json) -> str:
    return f"<figure>{_picture(figure['data'])}<figcaption>{escape(str(figure['name']))}</figcaption></figure>"


def _metric(name: str, points: Sequence[Json]) -> str:
    last = points[-1]["value"]
    drawn = curve([(number if each["at"] is None else each["at"], each["value"]) for number, each in enumerate(points)])
    return f"<div class='metric'><b>{escape(name)}</b> <span>{escape(_value(last))}</span>{drawn}</div>"


def _error(error: Json | None) -> str:
    if not error:
        return ""
    lines = [_plain(line) for line in error.get("traceback") or ()]
    head = f"{error.get('type', 'Error')}: {error.get('message', '')}"
    return _pre("\n".join([*lines, head]) if head not in "".join(lines) else "\n".join(lines), "error")


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in rows)
    return f"<table>{cells}</table>" if cells else ""


def _pre(text: str, kind: str) -> str:
    if len(text) > _MOST_TEXT:
        half = _MOST_TEXT // 2
        text = f"{text[:half]}\n[... {len(text) - _MOST_TEXT:,} characters are left out ...]\n{text[-half:]}"
    return f"<pre class='{escape(kind)}'>{escape(text)}</pre>"


def _overwritten(text: str) -> str:
    """What a terminal shows in the end of lines that were written over, as progress bars are."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _plain(text: str) -> str:
    return _ANSI.sub("", text)


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _value(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))


def _took(seconds: float | None) -> str:
    return "" if seconds is None else format_duration(round(seconds, 2))
