"""Make Data Docs readable without a network.

As generated, the pages fetch style sheets, scripts and a picture with this installation's id from
other people's servers; on a closed network they stay bare and the index stays empty. Here the
foreign links go, a small style of ours comes in, and the index becomes a plain table.
"""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOREIGN = re.compile(
    r"<script\b[^>]*\bsrc=\"?https?:[^>]*>\s*</script>"
    r"|<script\b(?![^>]*\bsrc=)[^>]*>.*?</script>"
    r"|<link\b[^>]*\bhref=\"?https?:[^>]*>"
    r"|<img\b[^>]*\bsrc=\"?https?:[^>]*>"
    r"|<footer\b.*?</footer>"
    r"|<style\b.*?</style>"
    r"|\s(?:href|src)=\"?https?:[^\s>]*",
    re.DOTALL | re.IGNORECASE,
)
_MARK = "<!-- readable offline -->"
STYLE = """
body { font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1.5rem; color: #1d2733; background: #fff; }
h1 { font-size: 1.6rem; } h2, h3, h4, h5 { margin: 1.4rem 0 .4rem; }
a { color: #0b62a4; text-decoration: none; } a:hover { text-decoration: underline; }
table { border-collapse: collapse; margin: .6rem 0 1.2rem; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid #dde3ea;
  vertical-align: top; }
th { font-weight: 600; color: #51606f; } td.n { text-align: right; }
.passed { color: #1a7f37; } .warning { color: #9a6700; } .blocking { color: #b42318; font-weight: 600; }
.sticky > .card:first-child, [id^="section-1-"].collapse, a[data-toggle="collapse"], .modal, button {
  display: none; }
.fa-check-circle::before { content: "✓"; color: #1a7f37; } .fa-times::before { content: "✗"; color: #b42318; }
.fa-exclamation-triangle::before { content: "!"; color: #9a6700; } i { font-style: normal; }
ol.breadcrumb { list-style: none; padding: 0; } ol.breadcrumb li { display: inline; margin-right: .5rem; }
"""


@dataclass(frozen=True)
class _Run:
    """One stored run of a suite, as the index shows it."""

    suite: str
    at: str
    page: str
    n_passed: int
    n_warnings: int
    n_blocking: int
    failures: list[dict[str, Any]]


def finish_pages(gx_dir: Path, docs_dir: Path) -> None:
    """Clean every page that is new, and write the index.

    Args:
        gx_dir: working directory of Great Expectations, with the stored runs.
        docs_dir: the site as Great Expectations wrote it.
    """
    for page in docs_dir.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if _MARK not in text:
            cleaned = _FOREIGN.sub("", text)
            style = f"{_MARK}<style>{STYLE}</style></head>"
            page.write_text(cleaned.replace("</head>", style, 1), encoding="utf-8")
    (docs_dir / "index.html").write_text(_index(gx_dir, docs_dir), encoding="utf-8")


def _index(gx_dir: Path, docs_dir: Path) -> str:
    stored = gx_dir / "gx" / "uncommitted" / "validations"
    newest: dict[str, _Run] = {}
    earlier: dict[str, list[_Run]] = {}
    for path in sorted(
        stored.glob("*/*/*/*.json"), key=lambda path: path.parent.name, reverse=True
    ):
        run = _read_run(path, stored, docs_dir)
        if run.suite in newest:
            earlier.setdefault(run.suite, []).append(run)
        else:
            newest[run.suite] = run
    order = {"raw": 0, "staging": 1, "features": 2, "marts": 3}
    runs = sorted(
        newest.values(), key=lambda run: (order.get(run.suite.split("__")[0], 9), run.suite)
    )
    rows = "".join(_row(run, earlier.get(run.suite, [])) for run in runs)
    heads = "".join(
        f"<th>{head}</th>"
        for head in ("suite", "checked", "passed", "warnings", "blocking", "earlier runs", "")
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Gates</title>{_MARK}'
        f"<style>{STYLE}</style></head><body><h1>Gates</h1><p>The newest run of every suite. A blocking "
        "expectation that fails holds its batch or stops publishing; a warning is data.</p>"
        f"<table><tr>{heads}</tr>{rows}</table>{_failures(runs)}</body></html>"
    )


def _read_run(path: Path, stored: Path, docs_dir: Path) -> _Run:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    failures = [result for result in content["results"] if not result["success"]]
    failed = [_meta(failure, "severity") for failure in failures]
    page = (Path("validations") / path.relative_to(stored)).with_suffix(".html")
    return _Run(
        suite=content["suite_name"],
        at=str(content["meta"].get("validation_time", ""))[:19].replace("T", " "),
        page=page.as_posix() if (docs_dir / page).exists() else "",
        n_passed=len(content["results"]) - len(failed),
        n_warnings=failed.count("warning"),
        n_blocking=len(failed) - failed.count("warning"),
        failures=failures,
    )


def _meta(result: dict[str, Any], key: str) -> str:
    return str(result["expectation_config"].get("meta", {}).get(key, ""))


def _failures(runs: list[_Run]) -> str:
    """What failed in the newest runs: the rows found, and why it matters."""
    rows = []
    for run in runs:
        for failure in sorted(run.failures, key=lambda failure: _meta(failure, "severity")):
            found = failure["result"].get("partial_unexpected_index_list") or []
            texts = [", ".join(f"{key} {value}" for key, value in row.items()) for row in found[:5]]
            severity = _meta(failure, "severity")
            cells = (
                _link(run.page, html.escape(run.suite), severity),
                f'<span class="{html.escape(severity)}">{html.escape(severity)}</span>',
                "<br>".join(html.escape(text) for text in texts),
                html.escape(_meta(failure, "why")),
            )
            rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    if not rows:
        return "<p>Nothing failed.</p>"
    heads = "".join(f"<th>{head}</th>" for head in ("suite", "severity", "found", "why it matters"))
    return f"<h2>What failed</h2><table><tr>{heads}</tr>{''.join(rows)}</table>"


def _row(run: _Run, earlier: list[_Run]) -> str:
    name = html.escape(run.suite)
    older = " ".join(_link(old.page, old.at[11:16], _worst(old)) for old in earlier)
    return (
        f"<tr><td>{_link(run.page, name, _worst(run))}</td><td>{html.escape(run.at)} UTC</td>"
        f'<td class="n passed">{run.n_passed}</td>'
        f'<td class="n{" warning" if run.n_warnings else ""}">{run.n_warnings}</td>'
        f'<td class="n{" blocking" if run.n_blocking else ""}">{run.n_blocking}</td>'
        f"<td>{older}</td><td>{_link(f'expectations/{name}.html', 'what is expected', '')}</td></tr>"
    )


def _worst(run: _Run) -> str:
    if run.n_blocking:
        return "blocking"
    return "warning" if run.n_warnings else "passed"


def _link(page: str, text: str, kind: str) -> str:
    if not page:
        return text
    return f'<a class="{kind}" href="{html.escape(page)}">{text}</a>'
