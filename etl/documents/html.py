"""The invoice as a page: for a screen, a phone and a printer.

Pure but for reading the template that ships with the program. Everything that comes from
outside is escaped; the page loads nothing from anywhere.
"""

from functools import cache
from typing import TYPE_CHECKING

from etl.documents.view import view_of
from transforms.invoice import Invoice

if TYPE_CHECKING:
    from jinja2 import Template


def html_document(invoice: Invoice) -> bytes:
    """Write an invoice as one HTML page."""
    return _template().render(view=view_of(invoice)).encode()


@cache
def _template() -> "Template":
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("etl", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    return environment.get_template("invoice.html")
