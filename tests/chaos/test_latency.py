"""What clients wait while Redis fails, through real HAProxys with the shipped configuration: no
longer than the deadline and a little, and once the breakers are open no longer than without Redis.

What runs here goes before other programs of the machine where the system allows it, so that their
share of the waiting isn't counted; where it doesn't, as much more is granted as requests wait when
nothing fails. envoyproxy/ratelimit lets clients wait 10 s where Redis is silent (its issue 462)."""

import contextlib
import os
import re

import pytest

import failures
import fleet as fleets
import network
import outages
import redis
import stack
from fleet import Fleet, rule

RATE = 2_000  # requests a second
DEADLINE = 10_000  # microseconds, the default
MARGIN = 5_000

# HAProxy answers itself: what is measured is the way to the agent and back.
ANSWERS = ("    default_backend api\n",
           '    http-request return status 200 content-type text/plain string "ok\\n"\n'
           "    default_backend api\n")

versions = pytest.mark.parametrize("haproxy_binary", ["2.6", "3.2"], indirect=True,
                                   ids=lambda version: f"haproxy-{version}")


@pytest.fixture
def first_served():
    """Whether programs started from here on have the processor when they want it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        yield False
        return
    yield True
    os.sched_setscheduler(0, *before)


def put_load(bench, haproxy_binary, fleet):
    haproxy = bench.haproxy(
        haproxy_binary, [f"unix@{bench.socket(agent.name)}" for agent in fleet.agents],
        config_edits=[ANSWERS], patience=None, api_port=1,
    )
    load = fleet.load([f"tcp://127.0.0.1:{haproxy.port}"], http=True, rate=RATE, connections=64,
                      keys=50)
    return haproxy, load


def check_answered(haproxy, result, sources):
    """Every request got its answer from the agent: had HAProxy not waited for one, or got none, it
    would have let the request pass all the same, and said so in its log."""
    result.check_answered()
    assert result.sources.keys() == {"200"}
    haproxy.stop()
    logged = re.findall(r" rule=(\S+) source=(\S+) .* error=(\S+) id=", haproxy.log(), re.MULTILINE)
    assert len(logged) == result.answered
    assert {error for _, _, error in logged} == {"-"}
    assert {source for _, source, _ in logged} == sources


def of_phase(result, name):
    return {f"{name} {what}, us": result.phases[name][what]
            for what in ("p50", "p99", "p99.9", "longest")}


@versions
def test_memory_store_to_compare_with(first_served, bench, haproxy_binary, report):
    fleet = Fleet(bench, {"mode": "memory"}, [rule(limit=1_000_000)], agents=1,
                  workers=1, ready=False)
    haproxy, load = put_load(bench, haproxy_binary, fleet)
    load.wait_for("answered", 4 * RATE)
    result = load.stop()
    check_answered(haproxy, result, {"memory"})
    report(f"{version_of(haproxy_binary)}, memory store", of_phase(result, "all"))


@pytest.mark.parametrize("kind", ["silent", "killed", "dropped"])
@versions
def test_redis_fails_under_load(first_served, bench, haproxy_binary, report, kind):
    with contextlib.ExitStack() as open_:
        if kind == "dropped":
            why = network.unavailable()
            if why:
                pytest.skip(f"needs a network namespace: {why}")
            namespace = open_.enter_context(network.Namespace())
            server = open_.enter_context(redis.Server(bench.directory, namespace=namespace))
            failure = lambda _: namespace.dropping()  # noqa: E731
        else:
            server = open_.enter_context(redis.Server(bench.directory))
            failure = failures.FAILURES[kind]
        # One worker: HAProxy may give a second one nothing to ask, and then nothing opens its breaker.
        fleet = Fleet(bench, fleets.single(server), [rule(limit=1_000_000)], agents=1, workers=1)
        haproxy, load = put_load(bench, haproxy_binary, fleet)
        load.wait_for("answered", 2 * RATE)
        load.phase("failing")
        with failure(server):
            outages.wait_open(fleet)
            load.phase("open")
            load.wait_for("answered", 4 * RATE)
            load.phase("cured")
        outages.wait_closed(fleet)
        load.phase("after")
        load.wait_for("answered", RATE)
        result = load.stop()
    check_answered(haproxy, result, {"redis", "fallback"})
    measured = {}
    for name in ("all", "failing", "open", "after"):
        measured.update(of_phase(result, name))
    measured["seconds until the breakers opened"] = result.phases["failing"]["seconds"]
    measured["seconds until they closed"] = result.phases["cured"]["seconds"]
    report(f"{version_of(haproxy_binary)}, Redis {kind}", measured)
    others = 0 if first_served else result.phases["all"]["p99.9"]
    assert result.phases["failing"]["p99.9"] <= DEADLINE + MARGIN + others
    assert result.phases["open"]["p99"] <= MARGIN + others
    # Of pauses of 1, 2 and 4 s, a quarter longer at most, that begin within these four seconds; and
    # of a probe's second to connect.
    assert result.phases["cured"]["seconds"] <= 8


def version_of(haproxy_binary):
    return "HAProxy {}.{}".format(*stack.haproxy_version(haproxy_binary))
