"""An agent's life: commands, start, reload, drain, end; and its admin addresses."""

import ipaddress
import json
import os
import re
import signal
import socket
import stat
import threading

import pytest

import admin
import spop
import stack

SRC = ipaddress.ip_address("192.0.2.1")
ASK = {"src": SRC, "path": "/"}
ADMIN = 'admin: "tcp://127.0.0.1:0"\n'
RULES = ADMIN + """
rules:
  - name: client
    key: [ src ]
    limits: [ { limit: LIMIT, window: 1h, algorithm: sliding-log } ]
"""


def rules(limit):
    return RULES.replace("LIMIT", str(limit))


def metric(agent, name):
    text = admin.request(agent, "/metrics").body
    return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)[1])


# ---- SIGTERM -------------------------------------------------------------------------------------


def test_drain_answers_every_question_read_then_says_goodbye(bench):
    agent = bench.agent(rules(10000))
    connections = []
    for _ in range(4):
        connection = spop.Connection(agent.tcp_address())
        connection.hello()
        connections.append(connection)
    idle = spop.Connection(f"unix://{bench.socket('sluice')}")
    idle.hello()
    frames = b"".join(spop.encode_notify(i, 1, ("m", ASK)) for i in range(1, 501))
    for connection in connections:
        connection.send(frames)
    agent.send_signal(signal.SIGTERM)
    for connection in connections:
        acks = [connection.receive() for _ in range(500)]
        assert {ack.kind for ack in acks} == {spop.ACK}
        assert sorted(ack.stream for ack in acks) == list(range(1, 501))
        assert connection.expect_disconnect() == 0
        connection.close()
    assert idle.expect_disconnect() == 0
    idle.close()
    assert agent.wait() == 0
    assert re.search(r'msg="?draining"?', agent.log())
    assert re.search(r'msg="?stopped"?', agent.log())


def test_drain_under_load_comes_to_an_end_and_loses_no_answer(bench):
    """A peer that never pauses: what was read is answered, in order of reading, and it ends."""
    agent = bench.agent("connections: { drain_timeout: 20s }\n" + rules(10000))
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        broken = threading.Event()

        def send():
            stream = 1
            try:
                while True:
                    batch = range(stream, stream + 50)
                    connection.send(
                        b"".join(spop.encode_notify(i, 1, ("m", ASK)) for i in batch)
                    )
                    stream += 50
            except OSError:
                broken.set()

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        streams = [connection.receive().stream for _ in range(1000)]
        agent.send_signal(signal.SIGTERM)
        while (frame := connection.receive()).kind == spop.ACK:
            streams.append(frame.stream)
        assert frame.kind == spop.AGENT_DISCONNECT
        assert frame.pairs()["status-code"] == 0
        # None left out: the streams answered are the first that were sent.
        assert sorted(streams) == list(range(1, len(streams) + 1))
        connection.socket.shutdown(socket.SHUT_RDWR)
        sender.join(stack.WAIT)
        assert broken.is_set()
    assert agent.wait() == 0


def test_no_new_connections_while_it_ends(bench):
    agent = bench.agent(rules(10))
    path = bench.socket("sluice")
    address = agent.tcp_address()
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    assert agent.stop() == 0
    assert not os.path.exists(path)
    with pytest.raises(OSError):
        spop.connect(address)


def test_sigint_ends_it_too(bench):
    agent = bench.agent(rules(10))
    agent.send_signal(signal.SIGINT)
    assert agent.wait() == 0


# ---- SIGHUP --------------------------------------------------------------------------------------


def test_reload_puts_new_rules_in_force_and_keeps_counts(bench):
    listen = f'listen: [ "unix://{bench.socket()}", "tcp://127.0.0.1:0" ]\n'
    agent = bench.agent(listen + rules(3))
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert [connection.ask(ASK)["remaining"] for _ in range(2)] == [2, 1]
        agent.reload(listen + rules(5))
        agent.wait_for_log(r'msg="rules reloaded"')
        # The connection lives on, and the two that were counted still are.
        stack.wait_until(lambda: metric(agent, 'sluice_reloads_total{result="ok"}') == 1, "metric")
        assert connection.ask(ASK)["limit"] == 5
        answers = [connection.ask(ASK) for _ in range(3)]
        assert [answer["allow"] for answer in answers] == [True, True, False]


def test_reload_of_a_broken_file_keeps_the_old_rules(bench):
    listen = f'listen: [ "unix://{bench.socket()}", "tcp://127.0.0.1:0" ]\n'
    agent = bench.agent(listen + rules(3))
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert connection.ask(ASK)["remaining"] == 2
        agent.reload(listen + rules(3).replace("limits", "limit") + "  - name: 7\n    nonsense: 1\n")
        agent.wait_for_log(r'msg="reload failed')
        for place in (":7:5: ", ":9:5: "):  # both mistakes, each with its place
            assert f"{agent.rules_path}{place}" in agent.log()
        assert metric(agent, 'sluice_reloads_total{result="failed"}') == 1
        assert connection.ask(ASK)["remaining"] == 1
        # A file that is gone is as broken as one that is wrong.
        agent.rules_path.unlink()
        agent.send_signal(signal.SIGHUP)
        agent.wait_for_log(r'msg="reload failed', count=2)
        assert connection.ask(ASK)["remaining"] == 0
        agent.reload(listen + rules(4))
        agent.wait_for_log(r'msg="rules reloaded"')
        assert metric(agent, "sluice_rules") == 1


def test_reloads_under_load_lose_no_answer(bench):
    listen = f'listen: [ "unix://{bench.socket()}", "tcp://127.0.0.1:0" ]\nworkers: 2\n'
    agent = bench.agent(listen + rules(10000))
    connections = [spop.Connection(agent.tcp_address()) for _ in range(3)]
    for connection in connections:
        connection.hello()
    done = threading.Event()
    failures = []
    asked = [0, 0, 0]

    def ask(index):
        try:
            while not done.is_set():
                assert "allow" in connections[index].ask(ASK)
                asked[index] += 1
        except Exception as error:  # told by the main thread
            failures.append(repr(error))

    threads = [threading.Thread(target=ask, args=(i,), daemon=True) for i in range(3)]
    for thread in threads:
        thread.start()
    for i in range(1, 11):
        agent.reload(listen + rules(10000 - i) + "  - { name: other, key: [ path ], limits: [ "
                     f"{{ limit: {i * 1000}, window: 1m }} ] }}\n")
        agent.wait_for_log(r'msg="rules reloaded"', count=i)
        before = min(asked)
        stack.wait_until(lambda: min(asked) > before or failures, "answers after a reload")
    done.set()
    for thread in threads:
        thread.join(stack.WAIT)
    assert not failures
    for connection in connections:
        connection.close()


# ---- start ---------------------------------------------------------------------------------------


def test_broken_rule_file_does_not_start(bench):
    agent = bench.agent("rules:\n  - name: x\n    limits: 3\n", ready=False)
    agent.expected_status = 1
    assert agent.wait() == 1
    assert f"{agent.rules_path}:" in agent.log()


def test_address_in_use_does_not_start(bench):
    first = bench.agent(rules(10))
    second = bench.agent(
        f'listen: [ "{first.tcp_address()}" ]\n' + rules(10), name="second", ready=False
    )
    second.expected_status = 1
    assert second.wait() == 1
    assert "Address already in use" in second.log()


def test_socket_left_by_a_killed_agent_is_replaced(bench):
    agent = bench.agent(rules(10))
    path = bench.socket("sluice")
    agent.kill()
    agent.expected_status = -signal.SIGKILL
    assert os.path.exists(path)
    agent = bench.agent(rules(10))
    with spop.Connection(f"unix://{path}") as connection:
        connection.hello()
        assert connection.ask(ASK)["remaining"] == 9


def test_second_agent_on_a_living_socket_is_refused(bench):
    bench.agent(rules(10))
    path = bench.socket("sluice")
    second = bench.agent(f'listen: [ "unix://{path}" ]\n' + rules(10), name="second", ready=False)
    second.expected_status = 1
    assert second.wait() == 1
    assert "Address already in use" in second.log() and path in second.log()
    # And the first has not lost it.
    with spop.Connection(f"unix://{path}") as connection:
        connection.hello()
        assert connection.ask(ASK)["remaining"] == 9


def test_systemd_is_told(bench):
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.settimeout(stack.WAIT)
    path = bench.socket("notify")
    told.bind(path)

    def expect(*states):
        """Each of the states, in this order, whatever else is told along with them."""
        waiting = list(states)
        while waiting:
            lines = told.recv(4096).decode().splitlines()
            if waiting[0] in lines:
                waiting.pop(0)

    agent = bench.agent(rules(10), environment={"NOTIFY_SOCKET": path})
    expect("READY=1")
    agent.send_signal(signal.SIGHUP)
    expect("RELOADING=1", "READY=1")
    agent.send_signal(signal.SIGTERM)
    expect("STOPPING=1")
    assert agent.wait() == 0
    told.close()


def test_mode_of_a_unix_socket(bench):
    path = bench.socket("moded")
    bench.agent(f'listen: [ {{ address: "unix://{path}", mode: 0640 }} ]\n' + rules(10))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640


def test_abstract_socket(bench):
    name = os.path.basename(bench.directory)
    bench.agent(f'listen: [ "unix://@{name}" ]\n' + rules(10))
    answer = bench.run("ask", f"unix://@{name}", "src:ipv4=192.0.2.1")
    assert answer.returncode == 0 and "remaining=9" in answer.stdout


def test_json_log(bench):
    agent = bench.agent(rules(10), arguments=["--log-format", "json"], ready=False)
    agent.wait_for_log(r'"msg":"ready"')
    agent.stop()
    lines = [json.loads(line) for line in agent.log().splitlines()]
    assert {"listening", "ready", "draining", "stopped"} <= {line["msg"] for line in lines}
    assert all({"time", "level", "msg"} <= line.keys() for line in lines)


# ---- admin ---------------------------------------------------------------------------------------


def test_admin_addresses(bench):
    agent = bench.agent(rules(2))
    assert admin.request(agent, "/health").status == 200
    assert admin.request(agent, "/ready").status == 200
    assert admin.request(agent, "/nothing").status == 404
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        for _ in range(5):
            connection.ask(ASK)
        assert metric(agent, 'sluice_decisions_total{outcome="allowed"}') == 2
        assert metric(agent, 'sluice_decisions_total{outcome="refused"}') == 3
        assert metric(agent, "sluice_notifies_total") == 5
        assert metric(agent, "sluice_connections") == 1
        connection.send(b"\0\0\0\0")
        assert connection.expect_disconnect() == 4
    assert metric(agent, 'sluice_frames_refused_total{code="4"}') == 1


# ---- commands ------------------------------------------------------------------------------------


def test_validate(bench):
    good = os.path.join(bench.directory, "good.yml")
    bad = os.path.join(bench.directory, "bad.yml")
    with open(good, "w") as file:
        file.write('listen: [ "tcp://127.0.0.1:0" ]\n' + rules(1))
    with open(bad, "w") as file:
        file.write('listen: [ "tcp://127.0.0.1:0" ]\nrules:\n  - name: a\n    kee: [ src ]\n'
                   "    limits: [ { limit: x, window: 1h } ]\n")
    assert bench.run("validate", good).returncode == 0
    refused = bench.run("validate", bad)
    assert refused.returncode == 1
    # All that is wrong at once, each with its place.
    assert f"{bad}:4:5: " in refused.stderr and "key" in refused.stderr
    assert re.search(rf"{re.escape(bad)}:5:\d+: ", refused.stderr)
    assert bench.run("validate", os.path.join(bench.directory, "absent.yml")).returncode == 1
    assert bench.run("validate", stack.ROOT / "haproxy" / "sluice.yml").returncode == 0


def test_ask(bench):
    agent = bench.agent(rules(1))
    for address in (agent.tcp_address(), f"unix://{bench.socket('sluice')}"):
        answer = bench.run("ask", address, "src:ipv4=192.0.2.1", "path=/")
        assert answer.returncode == 0, answer.stderr
        pairs = dict(line.split("=", 1) for line in answer.stdout.splitlines())
        assert pairs["rule"] == "client" and pairs["limit"] == "1"
        first = address == agent.tcp_address()
        assert pairs["allow"] == ("true" if first else "false")
        assert pairs["deny"] == ("false" if first else "true")
    agent.stop()
    assert bench.run("ask", agent.tcp_address(), "a=b").returncode == 1


def test_version_and_help(bench):
    assert re.fullmatch(r"sluice \d+\.\d+\.\d+\n", bench.run("version").stdout)
    for words in (["--help"], *([c, "--help"] for c in ("serve", "validate", "explain", "replay", "spoe-config", "ask"))):
        told = bench.run(*words)
        assert told.returncode == 0 and "usage" in told.stdout.lower()
    assert bench.run("serv").returncode == 2
