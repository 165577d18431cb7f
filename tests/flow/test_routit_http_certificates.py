"""Certificates: which of them a provider's service may show us.

The key below was made for these tests and protects nothing: it speaks for "localhost".
"""

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from etl.extract.https import HttpLimits, HttpsSource
from tests.flow.routit_service import IMPATIENT
from transforms.errors import ConfigError, SourceRejected

KEY = """\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIO9k9ouiwZt8xHMcSOo+JQD8j2hX3034zgltjXpxBXiGoAoGCCqGSM49
AwEHoUQDQgAE7zgd6VYUpBusHyGK8CrvAMwxc6VMXDT5SXgf+sRT2NKZGVKfpCKL
tAb5nti3w5foMQ82VINOyVYSg/+MEz6HQw==
-----END EC PRIVATE KEY-----
"""

# Good from 2020 through 2119.
LOCALHOST = """\
-----BEGIN CERTIFICATE-----
MIIBczCCARqgAwIBAgIUGvjnf+76S7BLPT8eSlbL1BCv8GwwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTIwMDEwMTAwMDAwMFoYDzIxMjAwMTAx
MDAwMDAwWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAATvOB3pVhSkG6wfIYrwKu8AzDFzpUxcNPlJeB/6xFPY0pkZUp+kIou0
Bvme2LfDl+gxDzZUg07JVhKD/4wTPodDo0gwRjAUBgNVHREEDTALgglsb2NhbGhv
c3QwDwYDVR0TAQH/BAUwAwEB/zAdBgNVHQ4EFgQUkay2hxLm3BUMg6/6B4ZGND7p
ZT4wCgYIKoZIzj0EAwIDRwAwRAIgeVC1hKYhIfJspPa/G2swtNQXU7tG8E4GdRUl
0WEveXoCIEZ6jyKkOZ8PeU0ULqa2X8DZ8WaWJmixkcid1dtRNHI1
-----END CERTIFICATE-----
"""

# The same, but good on 1 January 2020 only.
EXPIRED = """\
-----BEGIN CERTIFICATE-----
MIIBcjCCARigAwIBAgIUNoqwv4pqmBdSpPB6QZse1dSbtPQwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MB4XDTIwMDEwMTAwMDAwMFoXDTIwMDEwMjAw
MDAwMFowFDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE7zgd6VYUpBusHyGK8CrvAMwxc6VMXDT5SXgf+sRT2NKZGVKfpCKLtAb5
nti3w5foMQ82VINOyVYSg/+MEz6HQ6NIMEYwFAYDVR0RBA0wC4IJbG9jYWxob3N0
MA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFJGstocS5twVDIOv+geGRjQ+6WU+
MAoGCCqGSM49BAMCA0gAMEUCIQCtBY9U9zZtiMfdxFgccN8V++78HacbahUZ/JzD
PdBHCAIgaNKlItHKD93Ph3wZzIg7kKvu0cVr4dsLVFpp34OgJ2c=
-----END CERTIFICATE-----
"""


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class _Server(HTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up at the handshake is the point of these tests."""

    def get_request(self) -> tuple[ssl.SSLSocket, tuple[str, int]]:
        raw, address = super().get_request()
        raw.settimeout(5)
        try:
            return self.context.wrap_socket(raw, server_side=True), address
        except OSError:
            raw.close()
            raise

    context: ssl.SSLContext


@contextmanager
def service_showing(certificate: str, folder: Path) -> Iterator[int]:
    """An https service on 127.0.0.1; yields its port."""
    chain = folder / "service.pem"
    chain.write_text(KEY + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = _Server(("127.0.0.1", 0), _Handler)
    server.context = context
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def trusted(certificate: str, folder: Path) -> Path:
    path = folder / "authority.pem"
    path.write_text(certificate)
    return path


def ask(host: str, port: int, ca_file: Path | None = None) -> bytes:
    source = HttpsSource(
        f"https://{host}:{port}",
        limits=HttpLimits(deadline_s=5),
        clock=IMPATIENT,
        ca_file=ca_file,
    )
    return source.post("/queued", b"<r/>", "application/xml").body


def test_a_certificate_of_a_trusted_authority_is_accepted(tmp_path: Path) -> None:
    with service_showing(LOCALHOST, tmp_path) as port:
        assert ask("localhost", port, trusted(LOCALHOST, tmp_path)) == b"ok"


def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with (
        service_showing(LOCALHOST, tmp_path) as port,
        pytest.raises(SourceRejected, match="no certificate we trust: self-signed"),
    ):
        ask("localhost", port)


def test_a_certificate_of_another_host_is_refused(tmp_path: Path) -> None:
    with (
        service_showing(LOCALHOST, tmp_path) as port,
        pytest.raises(SourceRejected, match=r"no certificate we trust: .*mismatch"),
    ):
        ask("127.0.0.1", port, trusted(LOCALHOST, tmp_path))


def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    with (
        service_showing(EXPIRED, tmp_path) as port,
        pytest.raises(SourceRejected, match=r"no certificate we trust: .*expired"),
    ):
        ask("localhost", port, trusted(EXPIRED, tmp_path))


def test_an_authority_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"authority\.pem"):
        HttpsSource("https://a.example", ca_file=trusted("no certificate", tmp_path))
