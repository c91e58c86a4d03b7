"""Restarts that nobody notices: in place, by SIGUSR2, with the connections; and by another process,
with the listening sockets that a service manager holds."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess

import admin
import fleet as fleets
import pytest
import redis
import spop
import stack
from load import Load
from test_lifecycle import ADMIN, ASK, metric

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
    assert admin.request(agent, "/ready").status == 200
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


# ---- in place ------------------------------------------------------------------------------------


def restart(agent):
    done = len(re.findall('msg="?restarted', agent.log()))
    agent.send_signal(signal.SIGUSR2)
    return agent.wait_for_log(r'msg="?restarted"? connections=(\d+)', count=done + 1)[-1][1]


def descriptors(agent):
    return len(os.listdir(f"/proc/{agent.pid}/fd"))


def test_a_restart_in_place_keeps_connections_and_listeners(bench):
    agent = bench.agent(f'listen: [ "unix://{bench.socket()}", "tcp://127.0.0.1:0" ]\n'
                        f'admin: "unix://{bench.socket("admin")}"\n' + RULES)
    inode = os.stat(bench.socket()).st_ino
    silent = spop.connect(f"unix://{bench.socket()}")  # no handshake yet
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert connection.ask(ASK)["remaining"] == 999
        for i in range(4):
            assert restart(agent) == "2"
            if i == 0:
                before = descriptors(agent)
            # The counts were in its memory.
            assert [connection.ask(ASK)["remaining"] for _ in range(2)] == [999, 998]
        assert descriptors(agent) == before
        assert ask(f"unix://{bench.socket()}") == 997
    with spop.Connection(f"unix://{bench.socket()}") as connection:
        connection.hello()
        assert connection.ask(ASK)["remaining"] == 996
        # What comes in the meantime waits: half of it here, half with the next program.
        frame = spop.encode_notify(7, 1, ("m", ASK))
        connection.send(frame[:9])
        agent.send_signal(signal.SIGUSR2)
        agent.wait_for_log('msg="?restarting', count=5)
        connection.send(frame[9:])
        assert connection.receive().stream == 7
        assert connection.ask(ASK)["remaining"] in (999, 998)
    silent.close()
    assert os.stat(bench.socket()).st_ino == inode
    agent.stop()
    assert not os.path.exists(bench.socket())
    assert not os.path.exists(bench.socket("admin"))


def test_counts_on_redis_outlive_a_restart_in_place(bench):
    with redis.Server(bench.directory) as server:
        agent = bench.agent(f"store: {json.dumps(fleets.single(server, **fleets.PATIENT))}\n" + RULES)
        with spop.Connection(agent.tcp_address()) as connection:
            connection.hello()

            def remaining_on_redis():
                """Once it is reached, which a program is ready without."""
                def answered():
                    answer = connection.ask(ASK)
                    return answer if answer["source"] == "redis" else None
                return stack.wait_until(answered, "Redis to be reached")["remaining"]

            assert remaining_on_redis() == 999
            restart(agent)
            assert remaining_on_redis() == 998
        before = descriptors(agent)
        restart(agent)
        stack.wait_until(lambda: descriptors(agent) <= before, "no more descriptors than before")


def test_what_only_a_restart_changes(bench):
    listen = 'listen: [ "unix://{}", "tcp://127.0.0.1:0" ]\n'
    agent = bench.agent(listen.format(bench.socket("old")) + RULES)
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        agent.rules_path.write_text(
            "workers: 1\n" + listen.format(bench.socket("new")) + RULES)
        restart(agent)
        assert connection.ask(ASK)["remaining"] == 999
        assert ask(f"unix://{bench.socket('new')}") == 998
        with pytest.raises(OSError):
            spop.connect(f"unix://{bench.socket('old')}")
    assert re.findall(r"workers=(\d+)", agent.log())[-1] == "1"


def test_a_restart_that_would_fail_is_none(bench, sluice):
    program = os.path.join(bench.directory, "program")
    shutil.copy(sluice, program)
    bench.sluice = program
    agent = bench.agent(RULES)
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        right = agent.rules_path.read_text()
        agent.rules_path.write_text(right + "    nonsense: 1\n")
        agent.send_signal(signal.SIGUSR2)
        agent.wait_for_log('msg="no restart now"')
        assert "nonsense" in agent.log()
        agent.rules_path.write_text(right)
        # An upgrade that doesn't take the file; renamed into place, as packages do it.
        other = program + ".new"
        for text in ("#!/bin/sh\necho too old >&2\nexit 1\n", "neither script nor program"):
            with open(other, "w") as file:
                file.write(text)
            os.chmod(other, 0o755)
            os.rename(other, program)
            agent.send_signal(signal.SIGUSR2)
            agent.wait_for_log("no restart", count=2 if "sh" in text else 3)
        assert "too old" in agent.log()
        assert connection.ask(ASK)["remaining"] == 999
        os.unlink(program)
        agent.send_signal(signal.SIGUSR2)
        agent.wait_for_log('msg="no restart now".*error="No such file or directory"')
        shutil.copy(sluice, other)
        os.rename(other, program)
        restart(agent)
        assert os.readlink(f"/proc/{agent.pid}/exe") == program
        assert connection.ask(ASK)["remaining"] == 999


def test_a_restart_waits_no_longer_than_a_drain_for_who_does_not_read(bench):
    agent = bench.agent(ADMIN + "connections: { drain_timeout: 1s }\n" + RULES)
    deaf = spop.Connection(agent.tcp_address())
    deaf.hello()
    frames = b"".join(spop.encode_notify(i, 1, ("m", ASK)) for i in range(1, 201))
    deaf.socket.setblocking(False)

    def stalled():
        try:
            while True:
                deaf.socket.send(frames)
        except BlockingIOError:
            return metric(agent, "sluice_connection_stalls_total") > 0

    stack.wait_until(stalled, "the agent to read no more from a peer that doesn't read")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert restart(agent) == "1"
        assert connection.ask(ASK)["allow"]
    deaf.close()


def test_systemd_is_told_of_a_restart_as_of_a_reload(bench):
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.settimeout(stack.WAIT)
    told.bind(bench.socket("notify"))
    agent = bench.agent(RULES, environment={"NOTIFY_SOCKET": bench.socket("notify")})
    restart(agent)
    states = [told.recv(4096).decode().splitlines()[0] for _ in range(3)]
    assert states == ["READY=1", "RELOADING=1", "READY=1"]
    agent.stop()
    assert told.recv(4096) == b"STOPPING=1"
    told.close()


# ---- under load ----------------------------------------------------------------------------------

FAIL_CLOSED = ("    #   http-request deny deny_status 503", "    http-request deny deny_status 503")
NO_API = ("    default_backend api\n", "    http-request return status 200\n    default_backend api\n")
MANY = RULES.replace("limit: 1000,", "limit: 1000000000,").replace("sliding-log", "token-bucket")


class Wrk(stack.Program):
    """Load by wrk, until stop()."""

    def __init__(self, bench, port):
        command = ["wrk", "-t1", "-c32", "-d600", f"http://127.0.0.1:{port}/"]
        super().__init__("wrk", command, bench.directory)
        bench.programs.append(self)

    def stop(self, number=signal.SIGINT, timeout=stack.WAIT):
        return super().stop(number, timeout)

    def result(self):
        """(requests, failures)"""
        self.stop()
        requests = int(re.search(r"(\d+) requests in", self.log())[1])
        refused = re.search(r"Non-2xx or 3xx responses: (\d+)", self.log())
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+)", self.log())
        failed = [*(refused.groups() if refused else ()), *(errors.groups() if errors else ())]
        return requests, sum(map(int, failed))


def asked(haproxy):
    """Requests that HAProxy has answered."""
    rows = haproxy.ask_stats("show stat").splitlines()
    columns = rows[0].lstrip("# ").split(",")
    for row in rows[1:]:
        cells = dict(zip(columns, row.split(",")))
        if (cells.get("pxname"), cells.get("svname")) == ("www", "FRONTEND"):
            return int(cells["req_tot"])
    raise stack.Failed("HAProxy knows no frontend www")


def go_on(haproxy, requests=300):
    target = asked(haproxy) + requests
    stack.wait_until(lambda: asked(haproxy) >= target, f"{requests} more requests")


def test_restarts_in_place_under_load_fail_no_decision(bench, haproxy_binary):
    """Fail closed, so that a question without an answer would be a 503."""
    agent = bench.agent(MANY)
    haproxy = bench.haproxy(haproxy_binary, config_edits=[FAIL_CLOSED, NO_API])
    wrk = Wrk(bench, haproxy.port)
    go_on(haproxy)
    for _ in range(5):
        assert int(restart(agent)) > 0
        go_on(haproxy)
    requests, failed = wrk.result()
    assert failed == 0
    assert requests > 5 * 300
    haproxy.stop()
    assert "SPOE: " not in haproxy.log() and "is DOWN" not in haproxy.log()


def test_one_process_after_the_other_under_load_refuses_no_connection(
        bench, haproxy_binary, sockets):
    """With the listening sockets held by somebody else. What is on its way into a connection that
    ends is undecided; nothing else is, for new connections wait for the next process."""
    agent = bench.agent(rules(sockets, MANY), sockets=sockets)
    haproxy = bench.haproxy(haproxy_binary, [f"unix@{bench.socket()}"])
    load = Load(haproxy.port)
    try:
        for _ in range(3):
            load.wait_for(50)
            assert agent.stop() == 0
            agent = bench.agent(rules(sockets, MANY), sockets=sockets)
            load.wait_for(50)
    finally:
        answers = load.stop()
    assert {answer.status for answer in answers} == {200}
    undecided = [answer for answer in answers if "ratelimit" not in answer.headers]
    assert len(undecided) <= 3 * len(load.threads)
    assert "is DOWN" not in haproxy.log()
