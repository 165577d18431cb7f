"""RoutIT's messages, waits and limits, without a network."""

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from etl.extract.credentials import (
    BasicCredentials,
    OAuth2ClientCredentials,
    basic_header,
    token_of,
)
from etl.extract.deadline import Clock, Deadline
from etl.extract.http_answer import Answer
from etl.extract.http_body import decoded, html_title, is_html, safe_text
from etl.extract.https import HttpLimits, HttpsSource, Reply
from etl.extract.routit import (
    Messages,
    Pending,
    RateWindow,
    Ready,
    RoutitClient,
    is_given_up,
    next_wait_s,
    xml_message,
    xml_root,
)
from tests.flow.routit_service import MESSAGES, POLL
from transforms.errors import ConfigError, SourceError, SourceUnavailable
from transforms.profile import RateLimit

SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def client_hearing(body: bytes, status: int = 200) -> RoutitClient:
    """A client whose service answers everything with ``body``."""

    def transport(_: Deadline) -> httpx.MockTransport:
        return httpx.MockTransport(
            lambda _: httpx.Response(status, stream=httpx.ByteStream(body))
        )

    source = HttpsSource(
        "https://api.example", transport=transport, limits=HttpLimits(attempts=1)
    )
    return RoutitClient(source, POLL)


# --- waits ---


@pytest.mark.parametrize(
    ("attempt", "retry_after_s", "jitter", "wait_s"),
    [
        # doubles from 30 s to at most 900 s
        (0, None, 0.0, 30),
        (1, None, 0.0, 60),
        (4, None, 0.0, 480),
        (5, None, 0.0, 900),
        (1000, None, 0.0, 900),
        # chance takes up to a quarter off, but never below the first wait
        (0, None, 1.0, 30),
        (1, None, 1.0, 45),
        (5, None, 1.0, 675),
        (5, None, 0.5, 788),
        # the service is never asked sooner than it said, up to the longest wait
        (0, 200, 0.0, 200),
        (5, 200, 0.0, 900),
        (0, 86_400, 0.0, 900),
        (0, 1, 0.0, 30),
        (0, 0, 0.0, 30),
    ],
)
def test_the_next_wait(
    attempt: int, retry_after_s: int | None, jitter: float, wait_s: int
) -> None:
    assert next_wait_s(POLL, attempt, retry_after_s, jitter) == wait_s


def test_a_request_is_given_up_after_six_hours() -> None:
    assert not is_given_up(POLL, 21_599)
    assert is_given_up(POLL, 21_600)


def test_at_most_25_requests_leave_in_any_5_seconds() -> None:
    window, now, sent = RateWindow(RateLimit(25, 5)), 100.0, []
    for _ in range(60):
        now += window.wait_s(now)
        window = window.after(now)
        sent.append(now)
        now += 0.01
    assert sent[24] == pytest.approx(100.24)
    assert sent[25] == pytest.approx(105.0)
    assert all(later - first >= 5 for first, later in zip(sent, sent[25:], strict=False))
    assert len(window.sent) == 25


# --- names ---


def test_all_faults_of_the_message_names_are_told_at_once() -> None:
    names = {**MESSAGES, "ulr": "DownloadUrl", "code": "Error Code"}
    del names["url"], names["period"]
    with pytest.raises(ConfigError) as caught:
        Messages.from_profile(names)
    assert str(caught.value) == (
        "[source.poll.messages] of the profile: missing period; missing url; "
        "unknown ulr; code = 'Error Code' is no XML name"
    )


def test_no_profile_names_no_client() -> None:
    with pytest.raises(ConfigError, match="missing account"):
        RoutitClient(HttpsSource("https://api.example"), replace(POLL, messages={}))


def test_a_message_is_plain_xml() -> None:
    content = {"AccountId": "1 & <2>"}
    assert xml_message("RequestCdrs", content) == (
        b"<?xml version='1.0' encoding='utf-8'?>\n"
        b"<RequestCdrs><AccountId>1 &amp; &lt;2&gt;</AccountId></RequestCdrs>"
    )


@pytest.mark.parametrize(
    ("account", "period"),
    [
        ("10001", "202613"),
        ("10001", "2026-10"),
        ("10001", ""),
        ("", "202610"),
        ("a b", "202610"),
    ],
)
def test_an_account_or_period_written_wrongly_is_not_sent(
    account: str, period: str
) -> None:
    with pytest.raises(ConfigError, match="YYYYMM"):
        client_hearing(b"").request(account, period)


# --- replies ---


def test_replies_are_read_by_name_whatever_their_namespace() -> None:
    pending = b'<r xmlns="urn:x"><Status>Pending</Status></r>'
    assert client_hearing(pending).status("R1") == Pending(None)
    ready = (
        f"<r><a><Status> Ready </Status></a><DownloadUrl>https://api.example/f?t=1</DownloadUrl>"
        f"<Sha256>{SHA256.upper()}</Sha256><SizeBytes>12</SizeBytes></r>"
    )
    assert client_hearing(ready.encode()).status("R1") == Ready(
        "https://api.example/f?t=1", SHA256, 12
    )


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            b"<r><Status>Failed</Status><Message>Geen data</Message></r>",
            "Failed.*Geen data",
        ),
        (b"<r><Status>Odd\x7f</Status></r>", "'Odd' of request R1"),
        (b"<r><Other/></r>", "has no Status"),
        (b"<r><Status>Ready</Status></r>", "has no DownloadUrl"),
        (b"<r><Status>Ready</Status><Status>Pending</Status></r>", "has Status 2 times"),
        (
            b"<r><Status>Ready</Status><DownloadUrl>u</DownloadUrl><Sha256>zz</Sha256></r>",
            "no sha256: 'zz'",
        ),
        (b"Internal failure", "no XML.*begins 'Internal failure'"),
        (b'{"error": 1}', "no XML"),
        ("<r>é</r>".encode("latin-1"), "not UTF-8"),
        (b"<!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>", "DOCTYPE or entities"),
        ("<!DOCTYPE r><r/>".encode("utf-16"), "not UTF-8"),
        (b"<?xml version='1.0' encoding='utf-7'?>+ADwAIQ-DOCTYPE r+AD4-<r/>", "no XML"),
    ],
)
def test_a_reply_that_cannot_be_used_is_told_apart(body: bytes, said: str) -> None:
    with pytest.raises(SourceError, match=said) as caught:
        client_hearing(body).status("R1")
    assert type(caught.value) is SourceError


def test_a_cut_reply_is_worth_trying_again() -> None:
    with pytest.raises(SourceUnavailable, match="stops before its end"):
        client_hearing(b"<r><Status>Pend").status("R1")


def test_a_reply_with_another_status_is_an_error_unless_its_body_says_more() -> None:
    with pytest.raises(SourceError, match="status 400"):
        client_hearing(b"<r/>", status=400).status("R1")
    with pytest.raises(SourceUnavailable, match="code 108"):
        client_hearing(b"<r><Code>108</Code></r>", status=400).status("R1")


def test_code_0_is_no_error() -> None:
    body = b"<r><Code>0</Code><RequestId>R7</RequestId></r>"
    assert client_hearing(body).request("10001", "202610").request_id == "R7"


def test_a_document_may_start_with_a_bom() -> None:
    assert xml_root(b"\xef\xbb\xbf<r/>").tag == "r"


# --- what a person gets to see ---


def test_foreign_text_is_made_safe_to_read() -> None:
    assert safe_text(b"a\r\nb\x1b[31m +31612345678") == "a b [31m [number]"
    assert safe_text("06 12-34 56 78 9") == "[number]"
    assert safe_text("left\u202eright\u2028next") == "left right next"
    assert safe_text("x" * 300) == "x" * 200 + "…"
    assert safe_text(b"\xff\xfe") == "��"


def test_a_web_page_is_known_by_its_start_or_its_type() -> None:
    assert is_html(b"\xef\xbb\xbf\n<!DOCTYPE HTML>")
    assert is_html(b"<HTML>")
    assert is_html(b"anything", "text/html; charset=utf-8")
    assert not is_html(b"<RequestCdrs/>", "text/xml")
    assert html_title(b"<html><title>\n Log&nbsp;in \n</title>") == "Log in"
    assert html_title(b"<html>no title") == "<html>no title"


def test_addresses_and_credentials_are_not_shown() -> None:
    shown = [
        repr(BasicCredentials("user", "canary")),
        repr(OAuth2ClientCredentials("https://t.example", "id", "canary")),
        repr(Ready("https://h.example/canary")),
        repr(Reply(200, {"set-cookie": "canary"}, b"canary")),
        repr(token_of(b'{"access_token": "canary"}', "", 0.0)),
    ]
    assert not [text for text in shown if "canary" in text]


# --- credentials ---


def test_a_login_travels_as_its_standard_says() -> None:
    assert basic_header(BasicCredentials("a", "b:c")) == "Basic YTpiOmM="
    client = OAuth2ClientCredentials("https://t.example", "a", "b+c")
    assert basic_header(client) == "Basic YTpiJTJCYw=="  # a:b%2Bc


@pytest.mark.parametrize("secret", ["", "abc\n", "a\x00b"])
def test_a_secret_file_with_a_stray_line_end_is_named_not_shown(secret: str) -> None:
    with pytest.raises(ConfigError, match="control characters") as caught:
        HttpsSource("https://api.example", credentials=BasicCredentials("u", secret))
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"access_token": 7}', b'{"access_token": "a\\nb"}', b"<html>"],
)
def test_a_token_reply_without_a_usable_token_is_an_error(body: bytes) -> None:
    with pytest.raises(SourceError, match="not with a token"):
        token_of(body, "https://t.example", 0.0)


def test_a_token_is_renewed_half_a_minute_before_it_expires() -> None:
    body = b'{"access_token": "t", "expires_in": 3600}'
    assert token_of(body, "", 100.0).renew_at == 3670.0
    assert token_of(b'{"access_token": "t"}', "", 100.0).renew_at == 370.0


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: HttpsSource("http://api.example"), "only https"),
        (lambda: HttpsSource("https://u:p@api.example"), "user in its address"),
        (lambda: HttpsSource("https://api.example/?key=1"), "query or fragment"),
        (lambda: HttpsSource("api.example"), "only https"),
        (lambda: HttpsSource("https://a.example", allowed_hosts=["b/c"]), "allowed_hosts"),
        (
            lambda: HttpsSource(
                "https://a.example",
                credentials=OAuth2ClientCredentials("http://t.example", "i", "s"),
            ),
            "only https",
        ),
    ],
)
def test_an_address_in_the_settings_is_checked_at_once(
    make: Callable[[], HttpsSource], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        make()


# --- headers and bodies ---


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": "99999"}, 900),
        (
            {
                "retry-after": "Tue, 24 Nov 2026 07:01:30 GMT",
                "date": "Tue, 24 Nov 2026 07:00:00 GMT",
            },
            90,
        ),
        ({"retry-after": "Tue, 24 Nov 2026 07:01:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_the_wait_a_service_asks_for(headers: dict[str, str], wait_s: int | None) -> None:
    assert Answer(503, "", headers).retry_after_s(900) == wait_s


def test_an_unknown_or_spoilt_packing_is_an_error() -> None:
    with pytest.raises(SourceError, match="'br', which is not supported"):
        list(decoded([b"x"], "br"))
    with pytest.raises(SourceError, match="damaged"):
        list(decoded([b"not gzip at all"], "gzip"))


def test_a_deadline_counts_down() -> None:
    seconds = iter([0.0, 2.0, 2.0, 6.0])
    deadline = Deadline(Clock(monotonic=lambda: next(seconds)), 5)
    assert deadline.remaining_s == 3.0
    assert not deadline.is_over
    assert deadline.is_over
