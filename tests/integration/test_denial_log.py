"""The sampled log of refused requests."""

import json
import re
import time

import pytest

import fleet as fleets
import redis
import spop
import stack
from fleet import PATIENT, Fleet, metrics, rule


def refused(agent):
    """The lines, as [{field: value}]."""
    lines = [json.loads(line) for line in agent.log().splitlines() if line.startswith("{")]
    return [line for line in lines if line["msg"] == "request refused"]


RULES = """
admin: tcp://127.0.0.1:0
denial_log: LOG
rules:
  - { name: hidden, match: { path: /.git }, action: deny }
  - { name: hashed, match: { path: /secret }, key: { arg: user, hash: true },
      limits: { limit: 0, window: 1h } }
  - { name: shadow, mode: shadow, key: user, limits: { limit: 0, window: 1h } }
  - { name: client, key: user, limits: { limit: 1, window: 1h } }
"""


def start(bench, count):
    agent = bench.agent(RULES.replace("LOG", str(count)), arguments=["--log-format", "json"],
                        ready=False)
    agent.wait_for_log('"ready"')
    agent.address = f"unix://{bench.socket('sluice')}"
    return agent


def ask(agent, *questions):
    with spop.Connection(agent.address) as connection:
        connection.hello()
        return [connection.ask({"user": "anna", **question}) for question in questions]


def test_lines_and_what_is_in_them(bench):
    agent = start(bench, 1000)
    ask(agent, *({"path": path, "request_id": f"id-{path}"} for path in ("/1", "/2", "/.git")))
    ask(agent, {"path": "/secret"})
    lines = refused(agent)
    for line in lines:
        assert line.pop("level") == "info" and line.pop("time") and line.pop("msg")
    hashed = lines.pop()
    assert lines == [
        {"rule": "client", "limit": 1, "source": "memory", "subject": "=anna",
         "request_id": "id-/2"},
        {"rule": "hidden", "request_id": "id-/.git"},
    ]
    assert hashed["rule"] == "hashed" and hashed["subject"].startswith("#")
    assert "anna" not in json.dumps(hashed)


def test_lines_a_second_are_bounded_and_the_others_counted(bench):
    """Over all workers."""
    agent = start(bench, 2)
    begun = time.monotonic()
    for _ in range(4):
        ask(agent, *[{"path": "/.git"}] * 500)
    seconds = time.monotonic() - begun
    # Where both workers meet a second's end, each may write one more.
    assert 2 <= len(refused(agent)) <= 4 * (seconds + 2)
    # In another second, the next line says how many there were.
    stack.wait_until(lambda: ask(agent, {"path": "/.git"}) and "suppressed" in refused(agent)[-1],
                     "a line that counts the others")
    lines = refused(agent)
    told = len(lines) + sum(line.get("suppressed", 0) for line in lines)
    assert 2000 < told <= metrics(agent).sum("sluice_decisions_total", outcome="refused")


def test_a_reload_turns_it_on_and_off(bench):
    agent = start(bench, 0)
    for before, now, expected in ((0, 0, 0), (0, 1000, 3), (1000, 0, 3)):
        reloads = fleets.reloads(agent)
        agent.reload(agent.rules_path.read_text().replace(f"denial_log: {before}",
                                                          f"denial_log: {now}"))
        stack.wait_until(lambda reloads=reloads: fleets.reloads(agent) > reloads, "the reload")
        ask(agent, *[{"path": "/.git"}] * 3)
        assert len(refused(agent)) == expected


@pytest.mark.parametrize("leased", [False, True], ids=["exact", "leased"])
def test_with_redis(bench, leased):
    """The decision waits while the frame is long gone."""
    with redis.Server(bench.directory) as server:
        rules = [rule(limit=2, consistency="leased" if leased else "exact")]
        fleet = Fleet(bench, fleets.single(server, **PATIENT), rules, agents=1)
        agent = fleet.agents[0]
        file = agent.rules_path.read_text()
        before = fleets.reloads(agent)
        agent.reload(file + "denial_log: 1000\n")
        stack.wait_until(lambda: fleets.reloads(agent) > before, "the reload")
        with spop.Connection(agent.address, timeout=stack.WAIT) as asker:
            asker.hello()
            for i in range(20):
                asker.notify({"api_key": "anna", "request_id": f"id-{i}"})
            acks = [asker.receive() for _ in range(20)]
        assert len(acks) == 20
        lines = [line for line in agent.log().splitlines() if '"request refused"' in line]
        assert len(lines) == 18
        assert all('rule=client limit=2 source=' in line and 'subject="=anna"' in line
                   for line in lines)
        assert {line.rpartition("request_id=")[2] for line in lines} == {
            f"id-{i}" for i in range(2, 20)
        }


def test_a_request_is_found_by_the_name_that_haproxy_gave_it(bench, haproxy_binary):
    """In the answer that the client saw, and in sluice's log."""
    agent = bench.agent("""
denial_log: 1000
rules: [ { name: client, key: [ src/64 ], limits: { limit: 1, window: 1d } } ]
""")
    haproxy = bench.haproxy(haproxy_binary)
    answers = [haproxy.request("/api/orders") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 429, 429]
    lines = [line for line in agent.log().splitlines() if '"request refused"' in line]
    assert [re.search(r" request_id=(\S+)", line)[1] for line in lines] == [
        answer.headers["x-request-id"] for answer in answers[1:]
    ]
    assert all(" subject=127.0.0.1 " in line for line in lines)
