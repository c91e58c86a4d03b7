"""Every way to fail, on each server, with what requests waited meanwhile."""

import contextlib

import pytest

import failures
import fleet as fleets
import outages
import redis
import scenarios
import scripted
from fleet import Fleet, rule
from outages import Outages
from scenarios import FULL

RATE = 1_000  # requests a second, for each fallback

# A rate at which this machine has time to spare, so that waiting is Redis's doing.
MODEST = FULL._replace(requests=40_000, limit=200, rate=10_000)


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_real_servers(bench, report, flavour):
    with redis.Server(bench.directory, flavour) as server:
        outage = Outages(bench, server, RATE, agents=2)
        for name, failure in failures.FAILURES.items():
            outage.fail(name, failure)
        measured = outage.end()
    for name in failures.FAILURES:
        report(f"{flavour}, {name}", {
            what.removeprefix(f"{name}: "): number for what, number in measured.items()
            if what.startswith(f"{name}: ")
        })


def test_rubbish(bench, report):
    with redis.Server(bench.directory) as server, scripted.Scripted(server) as relay:
        outage = Outages(bench, server, RATE // 4, node=relay)
        for name, reply in failures.RUBBISH.items():
            outage.fail(name, lambda _, reply=reply: relay.answering(failures.replies(reply)))
        measured = outage.end()
    for name in failures.RUBBISH:
        report(f"rubbish, {name}", {
            what.removeprefix(f"{name}: "): number for what, number in measured.items()
            if what.startswith(f"{name}: ")
        })


def test_replies_lost(bench, report):
    with redis.Server(bench.directory) as server, scripted.Scripted(server) as relay:
        # At the pace of the script that stands in between.
        scale = FULL._replace(requests=32_000, keys=20, limit=800, rate=8_000)
        report("replies lost", scenarios.replies_lost(bench, relay, scale, cuts=20))


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
@pytest.mark.parametrize("fail", ["kill", "pause"])
def test_sentinel(bench, report, fail, flavour):
    with redis.Watched(bench.directory, flavour) as watched:
        report(f"sentinel, {flavour}, {fail}",
               outages.sentinel_failover(bench, watched, RATE, fail))


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_cluster_failover(bench, report, flavour):
    with redis.Cluster(bench.directory, flavour) as cluster:
        report(f"cluster, {flavour}, primary killed",
               scenarios.primary_killed(bench, cluster, MODEST, "local"))


def test_no_herd_when_redis_returns(bench, report):
    """Silent for some seconds, before the eyes of six workers: each probes now and then, and comes
    back with one connection."""
    with redis.Server(bench.directory) as server:
        fleet = Fleet(bench, fleets.single(server), [rule(limit=1_000_000)])
        load = fleet.load(keys=50, rate=RATE)
        load.wait_for("answered", RATE)
        connects = {a: fleets.metrics(a).sum("sluice_redis_connects_total") for a in fleet.agents}
        received = int(server.info("stats")["total_connections_received"])
        load.phase("silent")
        with failures.silent(server):
            load.wait_for("answered", 5 * RATE)
        load.phase("cured")
        outages.wait_closed(fleet)
        load.phase("after")
        load.wait_for("answered", RATE)
        result = load.stop()
        result.check_answered()
        received = int(server.info("stats")["total_connections_received"]) - received
    for agent, before in connects.items():
        assert fleets.metrics(agent).sum("sluice_redis_connects_total") - before <= fleet.workers
    # In five seconds the pauses are at least 0.75, 1.5 and 3 s: a probe after the first two, and
    # one when the server is well. The rest is the threads that look for servers, and this test.
    assert received <= 60
    report("Redis silent for 5 s, 6 workers", {
        "connections made": received, "seconds until all were back": result.phases["cured"]["seconds"],
        "longest answer, us": result.phases["silent"]["longest"]})


def test_connections_never_accepted(bench, report):
    """Half open: nobody accepts; and full: the kernel doesn't either."""
    for name, full in (("half open", False), ("backlog full", True)):
        with contextlib.ExitStack() as open_:
            server = open_.enter_context(scripted.HalfOpen(full))
            fleet = Fleet(bench, fleets.single(server, instance_id=name.replace(" ", "-")),
                          [rule(limit=1_000_000, on_store_error="deny")], agents=1, ready=False)
            result = fleet.load(requests=3 * RATE, rate=RATE).result()
            result.check_answered()
            assert result.sources.keys() == {"fallback"}
            report(f"{name} from the start", {
                "p99.9, us": result.phases["all"]["p99.9"],
                "longest answer, us": result.phases["all"]["longest"]})
            fleet.agents[0].stop()
