"""The report: results as JSON, as text, and as one HTML page that needs nothing else.

Effects: writes files. The charts are SVG inside the page: no scripts, no fonts, no links.
"""

import json
import os
import platform
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any, Final

Document = dict[str, Any]

BAR_HEIGHT: Final = 22
NAME_WIDTH: Final = 400
BAR_WIDTH: Final = 420
PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>cdr-etl benchmarks</title>
<style>
body {{ font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; color: #222 }}
table {{ border-collapse: collapse; margin: .5em 0 1.5em }}
td, th {{ border-bottom: 1px solid #ddd; padding: .2em .8em .2em 0; text-align: left }}
td.n {{ text-align: right; font-variant-numeric: tabular-nums }}
svg text {{ font: 13px sans-serif }} .met {{ color: #176117 }} .missed {{ color: #9a1c1c }}
p.note {{ color: #555 }}
</style>
<h1>cdr-etl benchmarks</h1>
{body}
</html>
"""


def machine(server: str) -> Document:
    """What the figures were measured on; only ratios carry over to another machine."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.system(),
        "mariadb": server,
        "load_average_before": round(os.getloadavg()[0], 2),
    }


def write_json(path: Path, document: Document) -> None:
    """Write the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def text(document: Document) -> str:
    """Write the results for a terminal."""
    return "\n".join(_text_lines(document))


def _text_lines(document: Document) -> Iterator[str]:
    for contest in document["contests"].values():
        yield f"\n{contest['title']}"
        for name, side in contest["sides"].items():
            peak = f"  {side['peak_mb']:,.0f} MB" if "peak_mb" in side else ""
            yield (f"  {name:62} {side['median_s']:8.2f} s  {side['rate']:12,.0f}/s{peak}")
        for name, each in contest["ratios"].items():
            yield f"  {name:44} {each['ratio']:6.2f}x{_verdict(each)}"
        for name, each in contest.get("limits", {}).items():
            word = "met" if _is_within(each) else "MISSED"
            yield (
                f"  {name:44} {each['peak_mb']:6,.0f} MB  "
                f"(wanted under {each['most_mb']:,.0f} MB: {word})"
            )


def _is_within(limit: Document) -> bool:
    return bool(limit["peak_mb"] < limit["most_mb"])


def _verdict(ratio: Document) -> str:
    if ratio["target"] is None:
        return ""
    word = "met" if ratio["ratio"] >= ratio["target"] else "MISSED"
    return f"  (wanted {ratio['target']:g}x: {word})"


def html(document: Document) -> str:
    """Write the results as a page."""
    about = document["machine"]
    told = (
        f"{document['rows']:,} records, {document['rounds']} rounds, medians. "
        f"{about['cores']} cores, Python {about['python']}, MariaDB {about['mariadb']} "
        f"with {' '.join(document['server_options'])}. Only ratios carry over to another "
        "machine."
    )
    sections = [_section(each) for each in document["contests"].values()]
    body = f"<p>{escape(told)}</p>\n" + "\n".join(sections)
    return PAGE.format(body=body)


def _section(contest: Document) -> str:
    notes = "".join(f'<p class="note">{escape(note)}</p>' for note in contest["notes"])
    return (
        f"<h2>{escape(contest['title'])}</h2>\n{notes}\n{_bars(contest['sides'])}\n"
        f"{_ratio_table(contest['ratios'])}{_limit_table(contest.get('limits', {}))}"
    )


def _bars(sides: Document) -> str:
    """One bar for each side, as long as it is fast."""
    fastest = max(side["rate"] for side in sides.values())
    rows = []
    for number, (name, side) in enumerate(sides.items()):
        top = number * BAR_HEIGHT
        width = max(1, round(BAR_WIDTH * side["rate"] / fastest))
        colour = "#2a6f97" if name.startswith("etl") else "#9db4c0"
        label = f"{side['median_s']:.2f} s, {side['rate']:,.0f}/s"
        rows.append(
            f'<text x="0" y="{top + 15}">{escape(name)}</text>'
            f'<rect x="{NAME_WIDTH}" y="{top + 3}" width="{width}" height="15" '
            f'fill="{colour}"/>'
            f'<text x="{NAME_WIDTH + width + 6}" y="{top + 15}">{escape(label)}</text>'
        )
    height = len(sides) * BAR_HEIGHT + 6
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{NAME_WIDTH + BAR_WIDTH + 170}" '
        f'height="{height}" role="img">{"".join(rows)}</svg>'
    )


def _ratio_table(ratios: Document) -> str:
    if not ratios:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each['side'])} against "
        f"{escape(' or '.join(each['against']))}</td>"
        f'<td class="n">{each["ratio"]:.2f}x</td>{_verdict_cell(each)}</tr>'
        for each in ratios.values()
    )
    return f"<table><tr><th>speed of<th>ratio<th>wanted</tr>{rows}</table>"


def _limit_table(limits: Document) -> str:
    if not limits:
        return ""
    rows = "".join(
        f"<tr><td>{escape(each['side'])}</td>"
        f'<td class="n">{each["peak_mb"]:,.0f} MB</td>{_limit_cell(each)}</tr>'
        for each in limits.values()
    )
    return f"<table><tr><th>memory of<th>most<th>wanted</tr>{rows}</table>"


def _limit_cell(each: Document) -> str:
    word = "met" if _is_within(each) else "missed"
    return f'<td class="{word}">under {each["most_mb"]:,.0f} MB: {word}</td>'


def _verdict_cell(each: Document) -> str:
    if each["target"] is None:
        return "<td></td>"
    is_met = each["ratio"] >= each["target"]
    word = "met" if is_met else "missed"
    return f'<td class="{word}">{each["target"]:g}x: {word}</td>'
