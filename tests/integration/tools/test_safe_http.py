"""Test the guard on outgoing HTTP: forbidden addresses, redirects, size and time limits."""

import asyncio
import socket
import time
from typing import Any
from urllib.parse import quote, unquote

import pytest

from runyard_service.outbound import safe_client
from runyard_service.outbound.addresses import is_public
from runyard_service.outbound.errors import OutboundError
from runyard_service.outbound.messages import OutgoingRequest, OutgoingResponse
from runyard_service.outbound.retry_after import retry_after_of
from runyard_service.outbound.safe_client import fetch
from tests.support.servers.loopback import Exchange, LoopbackServer, Received


def fetch_url(
    url: str,
    private_hosts: tuple[str, ...] = (),
    method: str = "GET",
    timeout: float = 10,
    max_response_bytes: int = 1000,
) -> OutgoingResponse:
    """Return the result of one request."""
    headers = {
        "authorization": "Bearer secret",
        "x-api-key": "secret",
        "accept": "application/json",
        "content-type": "text/plain",
    }
    body = None if method == "GET" else b"body"
    request = OutgoingRequest(method, url, headers, body, timeout, max_response_bytes)
    return asyncio.run(fetch(request, private_hosts))


def code_of(url: str, private_hosts: tuple[str, ...] = ()) -> str:
    """Return the error code of a request."""
    with pytest.raises(OutboundError) as caught:
        fetch_url(url, private_hosts)
    return caught.value.code


def send_and_close(exchange: Exchange, data: bytes) -> None:
    """Send these bytes instead of a response, and close the connection."""
    exchange.send_raw(data)
    exchange.cut()


def answer_ok(received: Received, exchange: Exchange) -> None:
    exchange.send(200, b"ok", {"content-type": "text/plain"})


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "LOCALHOST.",
        "2130706433",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "0.0.0.0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "user:secret@127.0.0.1",
    ],
)
def test_loopback_addresses_are_rejected_in_every_notation(host: str) -> None:
    with LoopbackServer(answer_ok) as server:
        # Some platforms do not accept some of these forms as a URL or as a name.
        assert code_of(f"http://{host}:{server.port}/") in {
            "address_refused",
            "url_invalid",
            "unreachable",
        }
        assert server.received == []


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",
        "169.254.169.254",
        "169.254.170.2",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "0.0.0.0",
        "fd00:ec2::254",
        "fe80::1",
        "fe80::1%eth0",
        "ff02::1",
        "::",
        "fec0::1",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    ],
)
def test_private_addresses_are_rejected(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("url", ["ftp://example.com/", "file:///etc/passwd", "http://", "//x", ""])
def test_only_http_and_https(url: str) -> None:
    assert code_of(url) == "url_invalid"


def test_a_private_host_that_is_named_may_be_reached_at_its_port_only() -> None:
    with LoopbackServer(answer_ok) as server, LoopbackServer(answer_ok) as other:
        allowed = (f"localhost:{server.port}",)
        assert fetch_url(f"http://localhost:{server.port}/a", allowed).text == "ok"
        assert server.received[0].headers["host"] == f"localhost:{server.port}"
        assert code_of(f"http://localhost:{other.port}/", allowed) == "address_refused"
        assert code_of(f"http://127.0.0.1:{server.port}/", allowed) == "address_refused"


def redirecting_to(target: str, status: int = 302) -> LoopbackServer:
    """Return a server that redirects every caller to the target."""
    return LoopbackServer(
        lambda received, exchange: exchange.send(status, headers={"location": target})
    )


def test_a_redirect_to_a_private_address_is_rejected() -> None:
    with LoopbackServer(answer_ok) as inner, redirecting_to(inner.url) as outer:
        assert code_of(outer.url, (outer.host_and_port,)) == "address_refused"
        assert inner.received == []


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data", "http://[::1]/"])
def test_a_redirect_to_the_metadata_service_is_rejected(target: str) -> None:
    with redirecting_to(target) as server:
        assert code_of(server.url, (server.host_and_port,)) == "address_refused"


def test_only_the_first_host_may_be_private() -> None:
    """Otherwise a tool's server could read any path of the other private hosts."""
    with LoopbackServer(answer_ok) as inner, redirecting_to(inner.url) as outer:
        allowed = (outer.host_and_port, inner.host_and_port)
        assert code_of(outer.url, allowed) == "address_refused"
        assert inner.received == []


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "fd00:ec2::254"])
def test_an_allowed_name_cannot_lead_to_the_metadata_service(
    monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    resolve_name_to(monkeypatch, "shop.example", [address])
    assert code_of("http://shop.example/", ("shop.example:80",)) == "address_refused"


@pytest.fixture
def _loopback_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a loopback server be the public host of another owner."""
    monkeypatch.setattr(safe_client, "is_public", lambda address: True)


@pytest.mark.usefixtures("_loopback_is_public")
@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_cannot_send_the_body_to_another_host(status: int) -> None:
    with LoopbackServer(answer_ok) as inner, redirecting_to(inner.url, status) as outer:
        with pytest.raises(OutboundError) as caught:
            fetch_url(outer.url, method="POST")
        assert (caught.value.code, caught.value.is_in_doubt) == ("redirect_rejected", True)
        assert inner.received == []


@pytest.mark.usefixtures("_loopback_is_public")
@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_a_redirect_cannot_move_an_effect_to_another_host(method: str) -> None:
    with LoopbackServer(answer_ok) as inner, redirecting_to(inner.url, 302) as outer:
        with pytest.raises(OutboundError) as caught:
            fetch_url(outer.url, method=method)
        assert caught.value.code == "redirect_rejected"
        assert inner.received == []


@pytest.mark.usefixtures("_loopback_is_public")
def test_a_redirect_to_another_host_drops_credentials() -> None:
    with LoopbackServer(answer_ok) as inner, redirecting_to(inner.url) as outer:
        assert fetch_url(outer.url).text == "ok"
        headers = inner.received[0].headers
    assert "authorization" not in headers
    assert "x-api-key" not in headers
    assert headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        (301, "GET", b""),
        (302, "GET", b""),
        (303, "GET", b""),
        (307, "POST", b"body"),
        (308, "POST", b"body"),
    ],
)
def test_a_redirect_within_the_host_is_followed(status: int, method: str, body: bytes) -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        if received.path == "/old":
            exchange.send(status, headers={"location": "new?x=1"})
        else:
            exchange.send(200, b"ok")

    with LoopbackServer(answer) as server:
        fetch_url(f"{server.url}/old", (server.host_and_port,), method="POST")
        first, second = server.received
    assert (first.method, first.body) == ("POST", b"body")
    assert (second.method, second.path, second.body) == (method, "/new?x=1", body)
    assert second.headers["authorization"] == "Bearer secret"


def test_at_most_five_redirects_are_followed() -> None:
    def count_down(received: Received, exchange: Exchange) -> None:
        left = int(received.path[1:])
        if left:
            exchange.send(302, headers={"location": f"/{left - 1}"})
        else:
            exchange.send(200, b"ok")

    with LoopbackServer(count_down) as server:
        assert fetch_url(f"{server.url}/5", (server.host_and_port,)).text == "ok"
        assert code_of(f"{server.url}/6", (server.host_and_port,)) == "too_many_redirects"


def test_a_response_that_is_too_large_is_not_read_completely() -> None:
    def flood(received: Received, exchange: Exchange) -> None:
        exchange.start("text/plain")
        while True:  # until the client closes the connection
            exchange.piece(b"x" * 10_000)

    with LoopbackServer(flood) as server, pytest.raises(OutboundError) as caught:
        fetch_url(server.url, (server.host_and_port,), method="POST")
    # The host has processed the request: an unsafe call must not be repeated.
    assert (caught.value.code, caught.value.is_in_doubt) == ("response_too_large", True)


def test_the_timeout_applies_to_the_whole_response() -> None:
    def drip(received: Received, exchange: Exchange) -> None:
        exchange.start("text/plain")
        for _ in range(100):
            time.sleep(0.1)
            exchange.piece(b"x")

    with LoopbackServer(drip) as server:
        started = time.monotonic()
        with pytest.raises(OutboundError) as caught:
            fetch_url(server.url, (server.host_and_port,), timeout=0.5)
        assert time.monotonic() - started < 5
    assert caught.value.code == "timeout"


def test_unreachable_hosts_are_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert code_of(f"http://127.0.0.1:{port}/", (f"127.0.0.1:{port}",)) == "unreachable"
    assert code_of("http://no-such-host.invalid/") == "unreachable"
    assert code_of(f"http://{'a' * 70}.invalid/") in {"unreachable", "url_invalid"}


def test_text_in_other_encodings_is_decoded() -> None:
    def answer(received: Received, exchange: Exchange) -> None:
        charset = unquote(received.path[1:])
        exchange.send(
            200, "Zoë".encode("latin-1"), {"content-type": f"text/plain; charset={charset}"}
        )

    with LoopbackServer(answer) as server:
        assert fetch_url(f"{server.url}/latin-1", (server.host_and_port,)).text == "Zoë"
        for charset in (
            "nonsense",
            "idna",
            "undefined",
            "base64",
            "unicode_escape",
            "\x22",
            "utf-7",
        ):
            assert (
                fetch_url(f"{server.url}/{quote(charset)}", (server.host_and_port,)).status == 200
            )


# Responses that no HTTP server should send, as raw bytes.
GARBAGE = {
    "nothing": b"",
    "not HTTP": b"\x00\xff\xfe garbage\r\n\r\n",
    "a status that is no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "a header without a colon": b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    "a header with a zero byte": b"HTTP/1.1 200 OK\r\nx: a\x00b\r\n\r\n",
    "a wrong length": b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "a short body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
    "a wrong chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
    "no gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    "a wrong location": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
    "a wrong port": b"HTTP/1.1 302 Found\r\nLocation: http://a:99999999/\r\n\r\n",
    "a location in bytes": b"HTTP/1.1 302 Found\r\nLocation: http://\xff\xfe/\r\n\r\n",
    "a name that IDNA rejects": b"HTTP/1.1 302 Found\r\nLocation: http://xn--\xc3\xa9/\r\n\r\n",
    "a location to nothing": b"HTTP/1.1 302 Found\r\nLocation: http:\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
def test_every_error_of_a_response_is_an_outbound_error_in_doubt(raw: bytes) -> None:
    with (
        LoopbackServer(lambda received, exchange: send_and_close(exchange, raw)) as server,
        pytest.raises(OutboundError) as caught,
    ):
        fetch_url(server.url, (server.host_and_port,), method="POST")
    assert caught.value.is_in_doubt


@pytest.mark.parametrize(
    "retry_after",
    ["", "-1", "Mon, 99 Foo 9999 99:99:99 GMT", "Sat, 01 Jan 0001 00:00:00 +2359", "x" * 9000],
)
def test_an_invalid_retry_after_is_ignored(retry_after: str) -> None:
    assert retry_after_of(retry_after) is None or retry_after_of(retry_after) == 0


def test_a_received_error_status_counts_though_the_body_breaks() -> None:
    def break_off(received: Received, exchange: Exchange) -> None:
        send_and_close(exchange, b"HTTP/1.1 422 No\r\nContent-Length: 100\r\n\r\nshort")

    with LoopbackServer(break_off) as server:
        response = fetch_url(server.url, (server.host_and_port,), method="POST")
    assert (response.status, response.text) == (422, "short")


@pytest.mark.parametrize(
    "end",
    [
        b"Content-Length: 100\r\n\r\nshort",
        b"Content-Type: text/plain; charset=idna\r\nContent-Length: 5\r\n\r\nshort",
        b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nshort",
    ],
)
def test_a_webhook_needs_only_the_status(end: bytes) -> None:
    def break_off(received: Received, exchange: Exchange) -> None:
        send_and_close(exchange, b"HTTP/1.1 200 OK\r\n" + end)

    with LoopbackServer(break_off) as server:
        request = OutgoingRequest(
            "POST", server.url, {}, b"{}", 10, 500, follow_redirects=False, truncate_response=True
        )
        response = asyncio.run(fetch(request, (server.host_and_port,)))
    assert response.status == 200


def test_a_request_that_was_not_sent_is_not_in_doubt() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(OutboundError) as caught:
        fetch_url(f"http://127.0.0.1:{port}/", (f"127.0.0.1:{port}",), method="POST")
    assert not caught.value.is_in_doubt


# --- names ---------------------------------------------------------------------------------------


def resolve_name_to(monkeypatch: pytest.MonkeyPatch, name: str, *answers: list[str]) -> list[str]:
    """Resolve a name to these addresses, one list per look-up; return the recorded look-ups.

    A mock, because the tests have no name server.
    """
    real, looked_up = socket.getaddrinfo, []

    def getaddrinfo(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        if host != name:
            return real(host, port, *args, **kwargs)
        looked_up.append(name)
        addresses = answers[min(len(looked_up), len(answers)) - 1]
        return [
            (
                socket.AF_INET6 if ":" in address else socket.AF_INET,
                socket.SOCK_STREAM,
                6,
                "",
                (address, port),
            )
            for address in addresses
        ]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


@pytest.mark.parametrize(
    "addresses",
    [["10.1.2.3"], ["169.254.169.254"], ["8.8.8.8", "192.168.0.1"], ["2606:4700::1111", "::1"]],
    ids=" ".join,
)
def test_a_name_that_resolves_to_a_private_address_is_rejected(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    resolve_name_to(monkeypatch, "shop.example", addresses)
    assert code_of("http://shop.example/") == "address_refused"


def test_a_redirect_to_a_name_with_a_private_address_is_rejected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_name_to(monkeypatch, "inner.example", ["10.1.2.3"])
    with redirecting_to("http://inner.example/admin") as server:
        assert code_of(server.url, (server.host_and_port,)) == "address_refused"


def test_a_name_is_resolved_once_and_cannot_be_rebound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rebinding: a public address for the check, and another address for the connection."""
    looked_up = resolve_name_to(monkeypatch, "shop.example", ["127.0.0.1"], ["169.254.169.254"])
    with LoopbackServer(answer_ok) as server:
        url = f"http://shop.example:{server.port}/"
        assert fetch_url(url, (f"shop.example:{server.port}",)).text == "ok"
        assert server.received[0].headers["host"] == f"shop.example:{server.port}"
    assert looked_up == ["shop.example"]
