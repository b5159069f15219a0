"""The comparison page of a replay: one HTML file that loads nothing and runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from perennial.jobs.replay.chart import Line, line_chart
from perennial.jobs.replay.results import Check, Replay, Training

_STYLE = """
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#595959;--grid:#d9d9d9;--paper:#fff;--now:#0072b2;--before:#b34a00;
--mark:#007a57}
@media (prefers-color-scheme:dark){:root{--ink:#eee;--soft:#b5b5b5;--grid:#444;--paper:#16181c;--now:#56b4e9;
--before:#f0a35e;--mark:#4fc79f}}
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:var(--ink);
background:var(--paper)}
svg{width:100%;height:auto}svg text{font-size:13px;fill:var(--ink)}
.end{text-anchor:end}.mid{text-anchor:middle}
.grid{stroke:var(--grid)}.mark{stroke:var(--mark);stroke-width:3}
path{fill:none;stroke-width:2.5;stroke-linecap:round;stroke-linejoin:round}
.now{stroke:var(--now)}.before{stroke:var(--before);stroke-dasharray:7 5}
figure{margin:1rem 0}figcaption{color:var(--soft);font-size:.9rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}.wide{overflow-x:auto}
th,td{border:1px solid var(--grid);padding:.3rem .7rem;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
"""


def page(found: Replay) -> bytes:
    """The page, as UTF-8 HTML; everything that came from data is escaped."""
    title = f"Replay of {found.model} on {found.file}"
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(summary(found))}</p>",
        _section("All predicted rows", _metrics(found)),
        _section(f"{found.metric} per period", _chart(found)),
        _section("Periods", _periods(found)),
        _section("Trainings", _trainings(found.trainings)),
        _section("Checks", _checks(found.checks)),
    ]
    html = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )
    return html.encode()


def summary(found: Replay) -> str:
    """What was played and what came of it, in a few sentences."""
    left_out = [
        f"{count:,} {what}"
        for count, what in (
            (found.refused, "did not fit the spec"),
            (found.unlabelled, "have no truth"),
            (found.unplaced, "have no place in time"),
        )
        if count
    ]
    causes = found.by_cause
    sentences = (
        f"{found.arrived:,} rows arrived from {found.start:%Y-%m-%d} to {found.end:%Y-%m-%d}, in steps of "
        f"{found.every}; their truth came {found.label_delay} later.",
        f"The first version learnt from the {found.initial_rows:,} rows before.",
        f"{_count(len(found.checks), 'check')} led to {_count(len(found.trainings), 'training')}: "
        f"{found.promotions:,} promoted, {found.rejections:,} not.",
        f"Reasons: new rows {causes['new_rows']:,}, drift {causes['drift']:,}, decay {causes['decay']:,}.",
        "" if found.shuffled is None else f"Rows were shuffled against time (seed {found.shuffled}).",
        f"Of all rows, {', '.join(left_out)}." if left_out else "",
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _chart(found: Replay) -> str:
    lines = [Line("retrained", "now", [period.retrained for period in found.periods])]
    if found.static is not None:
        lines.append(Line("static", "before", [period.static for period in found.periods]))
    versions = [period.version for period in found.periods]
    marks = [place for place in range(1, len(versions)) if versions[place] != versions[place - 1]]
    times = [period.since for period in found.periods]
    caption = f"{'Lower' if found.lower_is_better else 'Higher'} is better. A mark below: another version serves."
    chart = line_chart(f"{found.metric} per period", times, lines, marks)
    return f"<figure>{chart}<figcaption>{escape(caption)}</figcaption></figure>"


def _metrics(found: Replay) -> str:
    rows = [(name, _number((found.static or {}).get(name)), _number(value)) for name, value in found.retrained.items()]
    return _table(("Metric", "Static", "Retrained"), rows)


def _periods(found: Replay) -> str:
    rows = [
        (f"{one.since:%Y-%m-%d %H:%M}", f"{one.rows:,}", _number(one.static), _number(one.retrained), one.version)
        for one in found.periods
    ]
    return _table(("From", "Rows", "Static", "Retrained", "Version in service"), rows)


def _trainings(trainings: Sequence[Training]) -> str:
    rows = [
        (
            f"{one.time:%Y-%m-%d %H:%M}",
            "; ".join(one.reasons),
            one.version or "",
            "promoted" if one.promoted else "failed" if one.failed else "not promoted",
            one.failed or " ".join(one.gate),
        )
        for one in trainings
    ]
    return _table(("Time", "Why", "Version", "Became", "Gate"), rows)


def _checks(checks: Sequence[Check]) -> str:
    rows = [
        (
            f"{one.time:%Y-%m-%d %H:%M}",
            f"{one.rows:,}",
            f"{one.labels:,}",
            one.drift if one.drift_share is None else f"{one.drift} ({one.drift_share:.0%})",
            one.performance_status if one.performance is None else f"{one.performance_status} ({one.performance:.4g})",
            "train" if one.retrain else f"wait: {one.blocked}" if one.blocked else "wait",
        )
        for one in checks
    ]
    return _table(("Time", "Rows", "Truths", "Drift", "Performance", "Decision"), rows)


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells are escaped; numbers stand to the right."""
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    if not lines:
        return "<p>None.</p>"
    return f'<div class="wide" tabindex="0"><table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table></div>'


def _cell(text: str) -> str:
    numeric = text.replace(",", "").replace(".", "").replace("-", "").isdigit() and text.count("-") < 2
    return f'<td class="n">{escape(text)}</td>' if numeric else f"<td>{escape(text)}</td>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.4f}"
