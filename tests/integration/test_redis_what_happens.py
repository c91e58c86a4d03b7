"""Rows of README's table "What happens when ..." about Redis that need no failure of a server that
was well: what clients see, and which metric shows it. The other rows: test_redis_failures.py and
test_redis_store.py."""

import contextlib

import pytest

import fleet as fleets
import redis
import scripted
import spop
import stack
from fleet import PATIENT, Fleet, metrics, rule


def check_fallback(fleet, shown):
    """Requests are answered by the rule alone, at once, and these metrics show it."""
    for agent in fleet.agents:
        answers = fleet.ask("k", agent, times=12)
        assert {answer["source"] for answer in answers} == {"fallback"}
        assert [answer["allow"] for answer in answers] == [True] * 10 + [False] * 2
        stack.wait_until(lambda agent=agent: shown(metrics(agent)), "the metrics to show it")


def not_there(said):
    return (
        said.sum("sluice_redis_up") == 0
        and said.sum("sluice_fallbacks_total", cause="unavailable") > 0
        and said.sum("sluice_fallbacks_total", cause="late") == 0
    )


def test_redis_absent_at_the_start(bench):
    """The agent serves without it, and counts with it as soon as it is there."""
    server = redis.Server(bench.directory, start=False)
    fleet = Fleet(bench, fleets.single(server), [rule(limit=10)], agents=2, ready=False)
    check_fallback(fleet, not_there)
    with server.start():
        fleet.wait_connected()
        for agent in fleet.agents:
            stack.wait_until(lambda agent=agent: fleet.ask("k2", agent)[0]["source"] == "redis",
                             "Redis to be asked")


def test_name_that_does_not_resolve(bench):
    store = {"mode": "single", "nodes": ["redis.sluice-test.invalid:6379"]}
    fleet = Fleet(bench, store, [rule(limit=10)], agents=1, ready=False)
    check_fallback(fleet, lambda said: not_there(said) and said.sum(
        "sluice_topology_refreshes_total", result="failed") > 0)


@pytest.mark.parametrize("full", [False, True], ids=["half-open", "backlog-full"])
def test_server_that_accepts_and_never_answers(bench, full):
    with scripted.HalfOpen(full) as server:
        store = fleets.single(server, connect_timeout="100ms", breaker={"failures": 2})
        fleet = Fleet(bench, store, [rule(limit=10)], agents=1, workers=1, ready=False)
        check_fallback(fleet, lambda said: not_there(said) and said.sum(
            "sluice_redis_breaker_opened_total") > 0)


MAX_KEYS = 50


@contextlib.contextmanager
def small_agent(bench, server, on_store_error="deny"):
    """An agent that knows few keys, and a connection to it."""
    store = fleets.single(server, max_keys=MAX_KEYS, **PATIENT)
    fleet = Fleet(bench, store, [rule(limit=1, on_store_error=on_store_error)], agents=1, workers=1)
    with spop.Connection(fleet.agents[0].address, timeout=stack.WAIT) as asker:
        asker.hello()
        yield fleet, asker


def test_keys_that_were_forgotten_still_count(bench):
    with redis.Server(bench.directory) as server, small_agent(bench, server) as (fleet, asker):
        for i in range(10 * MAX_KEYS):
            assert asker.ask({"api_key": f"k{i}"})["allow"]
        assert fleet.total("sluice_redis_keys") <= MAX_KEYS + 1
        assert fleet.total("sluice_redis_keys_evicted_total") >= 9 * MAX_KEYS - 1
        answer = asker.ask({"api_key": "k0"})
        assert (answer["allow"], answer["source"]) == (False, "redis")
        assert fleet.total("sluice_redis_keys_full_total") == 0


def test_more_keys_under_way_than_there_is_room_for(bench):
    with redis.Server(bench.directory) as server, small_agent(bench, server) as (fleet, asker):
        server.pause()
        for i in range(3 * MAX_KEYS):
            asker.notify({"api_key": f"k{i}"})
        full = 2 * MAX_KEYS - 1
        early = [asker.receive().variables() for _ in range(full)]
        assert {answer["txn.source"] for answer in early} == {"fallback"}
        assert not any(answer["txn.allow"] for answer in early)
        assert fleet.total("sluice_redis_keys_full_total") == full
        assert fleet.total("sluice_fallbacks_total", cause="full") == full
        fleet.agents[0].wait_for_log("level=warning .*no room for more keys of Redis")
        server.resume()
        late = [asker.receive().variables() for _ in range(MAX_KEYS + 1)]
        assert {(a["txn.source"], a["txn.allow"]) for a in late} == {("redis", True)}
