"""The invoice as PDF: needs the extra ``pdf`` (reportlab).

Pure: the same invoice gives the same bytes. The page is drawn from the view the HTML page
prints; the fonts are those every PDF reader has, so nothing is embedded.

Units: lengths are points.
"""

import re
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from etl.documents.view import View, view_of
from transforms.errors import ConfigError
from transforms.invoice import Invoice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reportlab.lib.colors import Color
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable, Paragraph

    Commands = list[tuple[object, ...]]

INK: Final = "#1c2430"
MARK: Final = "#0b5c7a"
SOFT: Final = "#5d6877"
LINE: Final = "#d9dee5"
WASH: Final = "#f5f7f9"

MARGIN: Final = 50
PADDING: Final = 6
"""What reportlab keeps free within a page's margins."""
FONT, BOLD = "Helvetica", "Helvetica-Bold"

NUMBER_COLUMNS: Final = (70, 90, 90)
"""Widths of the columns with quantity, usage and amount."""
FACT_NAMES: Final = 85

CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]+")

CHARACTERS: Final = "cp1252"
"""What the standard fonts of PDF can print; anything else is printed as ``?``."""


def is_available() -> bool:
    """Whether the extra is installed."""
    return find_spec("reportlab") is not None


def pdf_document(invoice: Invoice) -> bytes:
    """Write an invoice as PDF.

    Raises:
        ConfigError: When the extra is not installed.
    """
    if not is_available():
        message = "PDF needs the extra pdf; install it with: pip install 'cdr-etl[pdf]'"
        raise ConfigError(message)
    return _drawn(view_of(invoice))


def _drawn(view: View) -> bytes:
    from reportlab import rl_config
    from reportlab.lib.pagesizes import A4
    from reportlab.platypus import SimpleDocTemplate, Spacer

    # Text within the file would be for mail of another age, and takes a tenth of the time.
    rl_config.useA85 = 0
    file = BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=MARGIN,
        rightMargin=MARGIN,
        topMargin=MARGIN,
        bottomMargin=MARGIN + 30,
        invariant=1,
        title=_plain(f"{view.title} {view.number}"),
        author=_plain(view.supplier_name),
        lang=view.language,
    )
    width = document.width - 2 * PADDING
    story = [
        _head(view, width),
        Spacer(1, 22),
        _parties(view, width),
        Spacer(1, 24),
        _lines(view, width),
        Spacer(1, 12),
        _sums(view, width),
    ]
    if view.notes:
        story += [
            Spacer(1, 20),
            _text(view.notes_title, size=11, color=MARK, is_bold=True),
            *(_text(note) for note in view.notes),
        ]
    if remarks := [text for text in (view.payment, *view.remarks) if text]:
        story += [Spacer(1, 24), _remarks(remarks, width)]

    def foot(canvas: "Canvas", _document: object) -> None:
        _foot(canvas, view, width)

    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return file.getvalue()


def _head(view: View, width: int) -> "Flowable":
    from reportlab.platypus import Table

    left = _text(view.title, size=22, color=MARK, is_bold=True)
    number = _text(view.number, size=11, color=SOFT)
    right = [_text(view.supplier_name, size=11, is_bold=True, align="right")]
    right += [_text(line, size=9, color=SOFT, align="right") for line in view.supplier]
    table = Table([[[left, number], right]], colWidths=[width * 11 // 20, None])
    table.setStyle(
        [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LEFTPADDING", (0, 0), (-1, -1), 0),
            ("RIGHTPADDING", (0, 0), (-1, -1), 0),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 12),
            ("LINEBELOW", (0, 0), (-1, -1), 2, _color(MARK)),
        ]
    )
    return table


def _parties(view: View, width: int) -> "Flowable":
    from reportlab.platypus import Table

    customer = [_text(line, is_bold=at == 0) for at, line in enumerate(view.customer)]
    room = width // 2 - FACT_NAMES
    rows = [[_plain(name), _cell(text, room)] for name, text in view.facts]
    facts = Table(rows, colWidths=[FACT_NAMES, room])
    facts.setStyle(
        [
            *_TIGHT,
            *_print(FONT, 10, INK),
            ("TEXTCOLOR", (0, 0), (0, -1), _color(SOFT)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    table = Table([[customer, facts]], colWidths=[width // 2, None])
    table.setStyle([*_TIGHT, ("VALIGN", (0, 0), (-1, -1), "TOP")])
    return table


def _lines(view: View, width: int) -> "Flowable":
    from reportlab.platypus import Table

    name_column = width - sum(NUMBER_COLUMNS)
    room = name_column - 2 * PADDING
    rows = [
        [_plain(text) for text in view.headings],
        *(
            [_cell(line.name, room), *map(_plain, (line.quantity, line.usage, line.amount))]
            for line in view.lines
        ),
    ]
    soft = [
        ("TEXTCOLOR", (0, at), (0, at), _color(SOFT))
        for at, line in enumerate(view.lines, start=1)
        if line.is_rounding
    ]
    table = Table(rows, colWidths=[name_column, *NUMBER_COLUMNS], repeatRows=1)
    table.setStyle(
        [
            *_print(FONT, 10, INK),
            *_print(BOLD, 9, SOFT, last_row=0),
            *soft,
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("LINEBELOW", (0, 0), (-1, 0), 1, _color("black")),
            ("LINEBELOW", (0, 1), (-1, -1), 1, _color(LINE)),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("TOPPADDING", (0, 0), (-1, -1), 5),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 6),
        ]
    )
    return table


def _sums(view: View, width: int) -> "Flowable":
    from reportlab.platypus import Table

    rows = [[_plain(name), _plain(amount)] for name, amount in (*view.sums, view.total)]
    table = Table(rows, colWidths=[width * 7 // 20, width // 4], hAlign="RIGHT")
    table.setStyle(
        [
            *_print(FONT, 10, INK),
            *_print(BOLD, 13, INK, first_row=-1),
            ("ALIGN", (1, 0), (-1, -1), "RIGHT"),
            ("TOPPADDING", (0, 0), (-1, -1), 2),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ("TOPPADDING", (0, -1), (-1, -1), 7),
            ("LINEABOVE", (0, -1), (-1, -1), 2, _color(MARK)),
        ]
    )
    return table


def _cell(text: str, room: int) -> "str | Paragraph":
    """A text in a column: as it is where it fits, else laid out over several lines."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    plain = _plain(text)
    return plain if stringWidth(plain, FONT, 10) <= room else _text(text)


def _print(
    font: str, size: int, color: str, *, first_row: int = 0, last_row: int = -1
) -> "Commands":
    """The style of cells that are plain text, for some rows of a table."""
    cells = ((0, first_row), (-1, last_row))
    return [
        ("FONT", *cells, font, size, _leading(size)),
        ("TEXTCOLOR", *cells, _color(color)),
    ]


def _remarks(texts: "Sequence[str]", width: int) -> "Flowable":
    from reportlab.platypus import Table

    table = Table([[[_text(text) for text in texts]]], colWidths=[width])
    table.setStyle(
        [
            ("BACKGROUND", (0, 0), (-1, -1), _color(WASH)),
            ("LINEBEFORE", (0, 0), (0, -1), 2, _color(MARK)),
            ("LEFTPADDING", (0, 0), (-1, -1), 12),
            ("TOPPADDING", (0, 0), (-1, -1), 9),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 9),
        ]
    )
    return table


def _foot(canvas: "Canvas", view: View, width: int) -> None:
    """Print what the supplier is known by, and the page, at the foot of each page."""
    facts = "  ·  ".join(f"{name} {text}".strip() for name, text in view.supplier_facts)
    text = _text(facts, size=8, color=SOFT)
    _, height = text.wrap(width - 60, 60)
    canvas.saveState()
    canvas.setStrokeColor(_color(LINE))
    left = MARGIN + PADDING
    canvas.line(left, MARGIN + 18, left + width, MARGIN + 18)
    text.drawOn(canvas, left, MARGIN + 10 - height)
    canvas.setFont(FONT, 8)
    canvas.setFillColor(_color(SOFT))
    page = f"{view.page_word} {canvas.getPageNumber()}"
    canvas.drawRightString(left + width, MARGIN + 2, page)
    canvas.restoreState()


_TIGHT: Final = [
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 1),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
]


def _text(
    text: str,
    *,
    size: int = 10,
    color: str | None = None,
    is_bold: bool = False,
    align: str = "left",
) -> "Paragraph":
    from reportlab.platypus import Paragraph

    weight = BOLD if is_bold else FONT
    return Paragraph(escape(_plain(text)), _style(size, color or INK, weight, align))


@cache
def _style(size: int, color: str, font: str, align: str) -> "ParagraphStyle":
    from reportlab.lib.styles import ParagraphStyle

    return ParagraphStyle(
        "text",
        fontName=font,
        fontSize=size,
        leading=_leading(size),
        textColor=_color(color),
        alignment=2 if align == "right" else 0,
        splitLongWords=1,
    )


def _leading(size: int) -> int:
    """From one line of text to the next."""
    return size + size // 3 + 1


@cache
def _color(name: str) -> "Color":
    """A color as an object: reading its name again for each word takes long."""
    from reportlab.lib.colors import toColor

    return toColor(name)


def _plain(text: str) -> str:
    """Keep what the fonts can print, on one line."""
    printable = text.encode(CHARACTERS, errors="replace").decode(CHARACTERS)
    return CONTROLS.sub(" ", printable)
