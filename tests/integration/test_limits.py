"""What is promised of limits, through the whole agent."""

import ipaddress
import re
import selectors
import struct

import admin
import spop
import stack

SRC = ipaddress.ip_address("192.0.2.1")


def metric(agent, name):
    """The value of a metric, labels included in the name."""
    text = admin.request(agent, "/metrics").body
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    assert found, f"no {name} in:\n{text}"
    return float(found[1])


def flood(address, connections, requests, arguments, chunk=500):
    """Asks `requests` times over so many pipelined connections at once; returns how many were
    allowed and how many refused. The answers are looked at for `allow` alone."""
    wanted = requests // connections
    batch = b"".join(spop.encode_notify(i, 1, ("m", arguments)) for i in range(1, chunk + 1))
    name = spop.encode_string("allow")
    peers = []
    for _ in range(connections):
        peer = spop.Connection(address, timeout=120)
        peer.hello()
        peer.socket.setblocking(False)
        peer.to_send = batch * (wanted // chunk)
        peer.sent = peer.acks = 0
        peers.append(peer)
    allowed = refused = 0
    selector = selectors.DefaultSelector()
    for peer in peers:
        selector.register(peer.socket, selectors.EVENT_READ | selectors.EVENT_WRITE, peer)
    while selector.get_map():
        ready = selector.select(60)
        assert ready, "the agent stopped answering"
        for key, events in ready:
            peer = key.data
            if events & selectors.EVENT_WRITE:
                peer.sent += peer.socket.send(peer.to_send[peer.sent : peer.sent + (1 << 17)])
                if peer.sent == len(peer.to_send):
                    selector.modify(peer.socket, selectors.EVENT_READ, peer)
            if events & selectors.EVENT_READ:
                data = peer.buffer + peer.socket.recv(1 << 18)
                at = 0
                while len(data) - at >= 4:
                    size = struct.unpack_from(">I", data, at)[0]
                    if len(data) - at - 4 < size:
                        break
                    assert data[at + 4] == spop.ACK
                    value = data.index(name, at, at + 4 + size) + len(name)
                    if data[value] == 0x11:
                        allowed += 1
                    else:
                        assert data[value] == 0x01
                        refused += 1
                    peer.acks += 1
                    at += 4 + size
                peer.buffer = data[at:]
                if peer.acks == wanted:
                    selector.unregister(peer.socket)
    for peer in peers:
        peer.close()
    return allowed, refused


def test_100000_requests_of_one_key_limit_1000(bench):
    """8 connections, 2 workers: exactly 1,000 are allowed. A window of a day that ends during the
    test would admit 1,000 more; then the test is of no use and is done again in the new window."""
    for attempt in range(2):
        name = f"sluice{attempt}"
        agent = bench.agent("""
rules:
  - name: fixed
    key: [ src ]
    limits: [ { limit: 1000, window: 1d, algorithm: fixed-window } ]
""", name)
        with spop.Connection(agent.tcp_address()) as connection:
            connection.hello()
            other = {"src": ipaddress.ip_address("192.0.2.9")}
            before = connection.ask(other)["reset"]
            counts = flood(agent.tcp_address(), 8, 100_000, {"src": SRC})
            if connection.ask(other)["reset"] <= before:
                break
    assert counts == (1000, 99_000)


def test_100000_requests_of_a_token_bucket(bench):
    agent = bench.agent("""
rules:
  - name: bucket
    key: [ src ]
    limits: [ { limit: 4, window: 1d, burst: 1000, algorithm: token-bucket } ]
""")
    assert flood(agent.tcp_address(), 8, 100_000, {"src": SRC}) == (1000, 99_000)


def test_100000_requests_of_a_sliding_log(bench):
    agent = bench.agent("""
rules:
  - name: log
    key: [ src ]
    limits: [ { limit: 1000, window: 1d, algorithm: sliding-log } ]
""")
    assert flood(agent.tcp_address(), 8, 100_000, {"src": SRC}) == (1000, 99_000)


def test_all_limits_of_a_rule_apply_and_all_or_nothing_is_charged(bench):
    agent = bench.agent("""
rules:
  - name: two
    key: [ src ]
    limits:
      - { limit: 2, window: 1h, algorithm: sliding-log }
      - { limit: 10, window: 1d, algorithm: sliding-log }
""")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        answers = [connection.ask({"src": SRC}) for _ in range(6)]
        assert [answer["allow"] for answer in answers] == [True] * 2 + [False] * 4
        assert answers[5]["rule"] == "two" and answers[5]["limit"] == 2
        assert answers[5]["ratelimit"].startswith('"two-1h";r=0;t=')


def test_request_without_the_key_is_not_limited_and_counted(bench):
    agent = bench.agent("""
admin: "tcp://127.0.0.1:0"
rules:
  - name: keyed
    key: [ api_key ]
    limits: [ { limit: 1, window: 1h, algorithm: sliding-log } ]
""")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        for _ in range(3):
            answer = connection.ask({"src": SRC, "api_key": None})
            assert answer == {"allow": True, "deny": False}
        assert connection.ask({"src": SRC}) == {"allow": True, "deny": False}
        assert [connection.ask({"api_key": "k"})["allow"] for _ in range(2)] == [True, False]
    assert metric(agent, "sluice_rule_key_absent_total") == 4


def test_store_full_is_answered_by_the_rule_and_counted(bench):
    rules = """
admin: "tcp://127.0.0.1:0"
store: { mode: memory, max_keys: 100 }
rules:
  - name: opened
    message: opened
    key: [ n ]
    on_store_error: allow
    limits: [ { limit: 1, window: 1d, algorithm: fixed-window } ]
  - name: closed
    message: closed
    key: [ n ]
    on_store_error: deny
    limits: [ { limit: 1, window: 1d, algorithm: fixed-window } ]
"""
    agent = bench.agent(rules)
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        for n in range(2000):
            assert connection.ask({"n": n}, message="opened")["allow"] is True
        assert metric(agent, "sluice_store_keys") <= metric(agent, "sluice_store_max_keys")
        full = metric(agent, 'sluice_fallbacks_total{cause="full"}')
        assert full >= 2000 - metric(agent, "sluice_store_max_keys")
        answer = connection.ask({"n": 5000}, message="opened")
        assert answer["allow"] is True and answer["source"] == "fallback"
        answer = connection.ask({"n": 5000}, message="closed")
        assert answer["deny"] is True and answer["source"] == "fallback"
        assert answer["rule"] == "closed" and answer["retry_after"] >= 1
        # What has a place in the store is still counted there.
        assert connection.ask({"n": 0}, message="opened")["allow"] is False
    assert len(agent.wait_for_log("level=warning .*the memory store is full")) == 1


def test_limit_0_refuses_always(bench):
    agent = bench.agent("""
rules:
  - name: closed
    key: [ src ]
    limits: [ { limit: 0, window: 1m } ]
""")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        answers = [connection.ask({"src": SRC}) for _ in range(3)]
        assert [answer["deny"] for answer in answers] == [True] * 3
        assert all(answer["retry_after"] >= 1 for answer in answers)


def test_answer_can_be_cut_to_what_is_wanted(bench):
    agent = bench.agent("""
answer: [ rule, retry_after ]
rules:
  - name: client
    key: [ src ]
    limits: [ { limit: 1, window: 1h, algorithm: sliding-log } ]
""")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        assert connection.ask({"src": SRC}) == {"allow": True, "deny": False, "rule": "client"}
        refused = connection.ask({"src": SRC})
        assert refused.keys() == {"allow", "deny", "rule", "retry_after"}
