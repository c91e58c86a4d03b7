"""Restarts that nobody notices: listening sockets that outlive the agent."""

import os
import re
import signal
import socket

import pytest
import spop
import stack
from test_lifecycle import ASK, admin

RULES = """
rules:
  - name: client
    key: [ src ]
    limits: [ { limit: 1000, window: 1h, algorithm: sliding-log } ]
"""


@pytest.fixture
def sockets(bench):
    """Both of an agent, as sluice.socket and sluice-admin.socket of systemd would hold them."""
    opened = stack.ListeningSockets(
        (f"unix://{bench.socket()}", "spop"), ("tcp://127.0.0.1:0", "admin")
    )
    yield opened
    opened.close()


def rules(sockets, text=RULES):
    return f'listen: "{sockets.addresses[0]}"\nadmin: "{sockets.addresses[1]}"\n{text}'


def ask(address, timeout=stack.WAIT):
    with spop.Connection(address) as connection:
        connection.hello()
        return connection.ask(ASK)["remaining"]


def test_passed_sockets_outlive_the_agent(bench, sockets):
    spop_address, admin_address = sockets.addresses
    inode = os.stat(bench.socket()).st_ino
    agent = bench.agent(rules(sockets), sockets=sockets)
    assert len(re.findall('msg="socket passed"', agent.log())) == 2
    assert agent.addresses() == [spop_address]
    assert f"address={admin_address}" in agent.log()
    assert ask(spop_address) == 999
    assert admin(agent, "/ready")[0] == 200
    for end in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        agent.expected_status = -end if end == signal.SIGKILL else 0
        agent.stop(end)
        # Neither unlinked nor shut: who comes now waits for the next one.
        assert os.stat(bench.socket()).st_ino == inode
        waiting = spop.Connection(spop_address)
        page = socket.create_connection(
            ("127.0.0.1", int(admin_address.rpartition(":")[2])), stack.WAIT
        )
        page.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        agent = bench.agent(rules(sockets), sockets=sockets)
        waiting.hello()
        assert waiting.ask(ASK)["remaining"] == 999
        waiting.close()
        assert page.recv(100).split()[1] == b"200"
        page.close()
    # A reload has nothing to do with them.
    agent.reload(rules(sockets))
    agent.wait_for_log('msg="rules reloaded"')
    assert ask(spop_address) == 998
    assert "restart to change them" not in agent.log()


def test_addresses_that_were_not_passed_are_opened(bench, sockets):
    own = bench.socket("own")
    text = rules(sockets).replace("listen: ", f'listen: [ "unix://{own}", ').replace(
        "\nadmin", " ]\nadmin", 1)
    agent = bench.agent(text, sockets=sockets)
    assert agent.addresses() == [f"unix://{own}", sockets.addresses[0]]
    assert (ask(f"unix://{own}"), ask(sockets.addresses[0])) == (999, 998)
    agent.stop()
    assert not os.path.exists(own) and os.path.exists(bench.socket())


def test_a_passed_socket_that_the_file_does_not_name_is_an_error(bench, sockets):
    text = rules(sockets).replace(bench.socket(), bench.socket("other"))
    agent = bench.agent(text, sockets=sockets, ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    assert "can't use the sockets that were passed" in agent.log()
    assert f"the passed socket {sockets.addresses[0]} (spop) is no address of the rule file" in (
        agent.log())
