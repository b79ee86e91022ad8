"""Replay recorded responses of providers byte by byte, and compare what goes back to them."""

import http.client

import pytest

from tests.support.servers.raw_exchanges import RawServer, exchange_names, read_response


@pytest.mark.parametrize("chunk_bytes", [None, 7])
@pytest.mark.parametrize("name", exchange_names())
def test_the_server_sends_the_bytes_of_the_file(name: str, chunk_bytes: int | None) -> None:
    with RawServer(name, chunk_bytes=chunk_bytes) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        connection.request("POST", "/", b"{}")
        response = connection.getresponse()
        assert response.read() == read_response(name).body
        connection.close()
    assert response.status == 200
