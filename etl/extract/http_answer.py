"""One HTTP answer's status and headers, judged. Pure.

Says which answers mean "not you" or "not now", how long the service wants us to wait,
and whether bytes of an earlier download may be continued.

Units: seconds (`_s`), bytes (`_bytes`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from etl.extract.part_file import Mark
from transforms.errors import SourceError, SourceRejected, SourceUnavailable

_CONTENT_RANGE = re.compile(r"bytes (?P<start>\d{1,18})-\d{1,18}/(?P<total>\d{1,18})")
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]+"')


@dataclass(frozen=True)
class Answer:
    """What came before the body. Header names are lower case."""

    status: int
    where: str
    """The address, fit to be shown."""
    headers: Mapping[str, str] = field(repr=False)

    @property
    def content_type(self) -> str:
        """The body's kind, as the service names it."""
        return self.headers.get("content-type", "")

    @property
    def content_encoding(self) -> str:
        """The body's compression; empty when there is none."""
        name = self.headers.get("content-encoding", "").strip().lower()
        return "" if name == "identity" else name

    @property
    def etag(self) -> str:
        """The version's name, as the service gives it."""
        return self.headers.get("etag", "")

    @property
    def length_bytes(self) -> int | None:
        """How many bytes were announced; None when the service did not say."""
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() else None

    @property
    def is_end_known(self) -> bool:
        """Whether a connection that breaks early can be told from the end of the body."""
        is_chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        return self.length_bytes is not None or is_chunked or self.content_encoding != ""

    @property
    def mark(self) -> Mark | None:
        """What makes a later resume safe: a strong ETag and a length, of plain bytes."""
        is_strong = _STRONG_ETAG.fullmatch(self.etag) is not None
        if not is_strong or self.length_bytes is None or self.content_encoding:
            return None
        return Mark(self.etag, self.length_bytes)

    def retry_after_s(self, cap_s: int) -> int | None:
        """Read Retry-After: seconds, or a date against the service's own clock."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(int(text[:9]), cap_s)
        try:
            until = parsedate_to_datetime(text)
            now = parsedate_to_datetime(self.headers.get("date", ""))
            return max(0, min(int((until - now).total_seconds()), cap_s))
        except (ValueError, TypeError):
            return None

    def is_continuation(self, mark: Mark | None, offset_bytes: int) -> bool:
        """Whether the body goes on exactly where the bytes of ``mark`` stop."""
        found = _CONTENT_RANGE.fullmatch(self.headers.get("content-range", "").strip())
        return (
            self.status == HTTPStatus.PARTIAL_CONTENT
            and found is not None
            and mark is not None
            and self.etag == mark.etag
            and not self.content_encoding
            and int(found["start"]) == offset_bytes
            and int(found["total"]) == mark.size_bytes
        )

    def refuse_failure(self, cap_s: int) -> None:
        """Stop at the statuses that say: not you, or not now.

        Raises:
            SourceRejected: 401 and 403.
            SourceUnavailable: 429 and all of 5xx, with the wait the service asked for.
        """
        if self.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            msg = (
                f"{self.where} refused our credentials ({self.status}); check the sync "
                "profile's credentials and that this machine's address is admitted"
            )
            raise SourceRejected(msg)
        is_failing = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        if is_failing or self.status == HTTPStatus.TOO_MANY_REQUESTS:
            msg = f"{self.where} cannot answer now ({self.status}); try again later"
            raise SourceUnavailable(msg, self.retry_after_s(cap_s))

    def refuse_oversize(self, size_bytes: int, max_bytes: int) -> None:
        """Stop before more is kept than was agreed.

        Raises:
            SourceError: ``size_bytes`` is beyond the limit.
        """
        if size_bytes > max_bytes:
            msg = f"{self.where} sends more than the {max_bytes} bytes we accept"
            raise SourceError(msg)

    def refuse_short(self, size_bytes: int, expected_bytes: int | None) -> None:
        """Stop when bytes are missing.

        Raises:
            SourceUnavailable: Another number of bytes came than was announced.
        """
        if expected_bytes not in (None, size_bytes):
            msg = f"{self.where} is incomplete: {size_bytes} of {expected_bytes} bytes came"
            raise SourceUnavailable(msg)
