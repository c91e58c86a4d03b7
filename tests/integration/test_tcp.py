"""TCP-mode frontends: haproxy/tcp.cfg."""

import contextlib
import errno
import socket
import threading

import pytest
import stack

RULES = """
rules:
  - name: connections
    message: sluice-connection
    key: [ src/64 ]
    limits: [ { limit: 3, window: 1h, algorithm: sliding-log } ]
"""


@pytest.fixture
def banner_port():
    """A server that says a word to each connection and closes it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                # HAProxy may have let go of it already: then there is nobody to greet.
                with connection, contextlib.suppress(ConnectionError):
                    connection.sendall(b"hello\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join(stack.WAIT)


def greeting(port, send_end=False):
    """What the server says; nothing when HAProxy refused the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=stack.WAIT) as client:
        try:
            if send_end:
                client.shutdown(socket.SHUT_WR)
            return client.makefile("rb").read()
        except OSError as error:
            if error.errno in (errno.ECONNRESET, errno.ENOTCONN):
                return b""
            raise


def test_connections_are_limited(bench, haproxy_binary, banner_port):
    bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary, tcp_backend_port=banner_port)
    said = [greeting(haproxy.tcp_port) for _ in range(5)]
    assert said == [b"hello\n"] * 3 + [b""] * 2
    lines = haproxy.wait_for_log(
        r" database \S+ .*rule=connections source=memory remaining=(\d) shadow=- error=- id=(\S+)$",
        count=5)
    assert sorted(line[1] for line in lines) == ["0", "0", "0", "1", "2"]
    assert len({line[2] for line in lines}) == 5
    # HTTP requests send another message, so the rule has nothing to do with them.
    assert haproxy.request().status == 200


def test_group_form(bench, haproxy_binary, banner_port):
    bench.agent(RULES)
    haproxy = bench.haproxy(
        haproxy_binary,
        tcp_backend_port=banner_port,
        tcp_edits=[("    #   tcp-request inspect-delay 1s\n",
                    "    tcp-request inspect-delay 20s\n"
                    "    tcp-request content send-spoe-group sluice-tcp sluice-connection\n")],
        spoe_edits=[
            ("    messages sluice-connection\n", "    groups sluice-connection\n"),
            ("    event on-frontend-tcp-request\n", ""),
            ("# spoe-group sluice-connection\n#     groups sluice-connection\n",
             "spoe-group sluice-connection\n    messages sluice-connection\n"),
        ],
    )
    said = [greeting(haproxy.tcp_port) for _ in range(5)]
    assert said == [b"hello\n"] * 3 + [b""] * 2


def test_client_that_sends_its_end_at_once_is_limited_too(bench, haproxy_binary, banner_port):
    bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary, tcp_backend_port=banner_port)
    said = [greeting(haproxy.tcp_port, send_end=True) for _ in range(6)]
    # HAProxy may drop an allowed one of these before the server has answered, but lets none slip.
    assert said[3:] == [b""] * 3


def test_agents_dead_fail_open(bench, haproxy_binary, banner_port):
    agent = bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary, tcp_backend_port=banner_port, patience="1s")
    agent.stop()
    assert [greeting(haproxy.tcp_port) for _ in range(5)] == [b"hello\n"] * 5


def test_agents_dead_fail_closed(bench, haproxy_binary, banner_port):
    agent = bench.agent(RULES)
    haproxy = bench.haproxy(
        haproxy_binary,
        tcp_backend_port=banner_port,
        patience="1s",
        tcp_edits=[("    #   tcp-request content reject if", "    tcp-request content reject if")],
    )
    assert greeting(haproxy.tcp_port) == b"hello\n"
    agent.stop()
    assert [greeting(haproxy.tcp_port) for _ in range(5)] == [b""] * 5
