"""Style: how a report looks, in light and dark, on a screen and on paper."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --good: #1a7f37; --bad: #cf222e; --mild: #9a6700; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 0 0 .4rem; }
section { border-top: 1px solid var(--line); padding: 1rem 0; }
table { border-collapse: collapse; } th { text-align: left; font-weight: 500; opacity: .7; }
th, td { padding: .1rem 1rem .1rem 0; vertical-align: top; overflow-wrap: anywhere; }
pre { background: var(--soft); padding: .6rem .8rem; overflow-x: auto; border-radius: 6px; font-size: 13px; }
pre.stderr { border-left: 3px solid var(--mild); } pre.error { border-left: 3px solid var(--bad); }
td pre { margin: 0; padding: .2rem .4rem; } td.id { font-family: monospace; opacity: .6; }
img { max-width: 100%; background: #fff; border-radius: 6px; }
iframe { width: 100%; border: 1px solid var(--line); border-radius: 6px; background: #fff; color-scheme: light; }
figure { display: inline-block; margin: 0 1rem 1rem 0; } figcaption { opacity: .7; }
.state { font-size: .8rem; padding: .1rem .5rem; border-radius: 1rem; border: 1px solid; vertical-align: middle; }
.succeeded { color: var(--good); } .failed, .lost { color: var(--bad); } .cancelled { color: var(--mild); }
.metric { display: inline-block; margin: 0 2rem 1rem 0; vertical-align: top; } .metric svg { display: block; }
svg text { fill: currentColor; font: 12px system-ui, sans-serif; }
summary { cursor: pointer; opacity: .7; }
@media print { details > * { display: block; } section { break-inside: avoid; } }
"""
"""For a <style> element; loads nothing."""
