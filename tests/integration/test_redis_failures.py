"""Whatever Redis does: every request is answered, as the rule says, and once Redis is well again it
is asked again, without a restart."""

import pytest

import failures
import network
import outages
import redis
import scripted
from outages import Outages

RATE = 600  # requests a second, for each fallback
PATIENT = "100ms"  # with a sanitizer, on a busy machine

# Of each kind one; tests/chaos has them all.
RUBBISH = ["a text for a number", "a list of 2^31", "no protocol", "MOVED nowhere",
           "TRYAGAIN for ever"]


@pytest.mark.parametrize("name", failures.FAILURES)
def test_failure_of_a_real_server(bench, name):
    with redis.Server(bench.directory) as server:
        outage = Outages(bench, server, RATE, deadline=PATIENT)
        outage.fail(name, failures.FAILURES[name])
        outage.end()


def test_dropped_packets(bench):
    why = network.unavailable()
    if why:
        pytest.skip(f"needs a network namespace: {why}")
    with network.Namespace() as namespace:
        with redis.Server(bench.directory, namespace=namespace) as server:
            outage = Outages(bench, server, RATE, deadline=PATIENT)
            outage.fail("dropped", lambda _: namespace.dropping())
            outage.end()


def test_rubbish(bench):
    with redis.Server(bench.directory) as server, scripted.Scripted(server) as relay:
        outage = Outages(bench, server, RATE, deadline=PATIENT, node=relay)
        for name in RUBBISH:
            script = failures.replies(failures.RUBBISH[name])
            outage.fail(name, lambda _, script=script: relay.answering(script))
        outage.end()


def test_late_replies(bench):
    with redis.Server(bench.directory) as server, scripted.Scripted(server) as relay:
        outages.late_replies(bench, server, relay)


def test_sentinel_failover(bench):
    with redis.Watched(bench.directory) as watched:
        outages.sentinel_failover(bench, watched, RATE, "kill", returns=False)


def test_one_of_several_dead(bench):
    servers = [redis.Server(bench.directory, name=f"redis{i}") for i in range(3)]
    try:
        outages.one_of_several_dead(bench, servers, RATE)
    finally:
        for server in servers:
            server.close()
