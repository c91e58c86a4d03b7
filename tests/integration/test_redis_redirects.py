"""Redis redirects to a server that isn't known yet: a look for it begins at once, and until it is
found on_store_error answers. The one that redirects isn't held for failed meanwhile, for it serves its
other keys."""

import socket

import failures
import fleet as fleets
import pytest
import redis
import scripted
import stack
from fleet import PATIENT, Fleet, rule

# Less than a look comes in unasked.
SOON = 15.0

# What a redirect counts once for, a look, passes so often before a breaker opens.
BREAKER = {"failures": 30, "within": "10s", "pause": "1s", "max_pause": "1s"}


def fleet_of(bench, store):
    return Fleet(bench, {**store, **PATIENT, "breaker": BREAKER},
                 [rule(limit=1_000_000, on_store_error="deny")], agents=1)


def wait_shared(fleet, key):
    stack.wait_until(lambda: fleet.ask(key)[0]["source"] == "redis", f"{key} to be shared", SOON)


def test_a_slot_that_moves_to_a_node_that_is_not_known(bench):
    with redis.Cluster(bench.directory, replicas=0) as cluster:
        fleet = fleet_of(bench, fleets.cluster(cluster))
        assert fleet.ask("client")[0]["source"] == "redis"
        (key,) = (key for server in cluster.servers for key in server.keys() if "=client" in key)
        target = cluster.add_primary()
        cluster.wait_ok()
        with cluster.migrating(redis.slot(key), target) as migration:
            migration.move(key)
            wait_shared(fleet, "client")
        wait_shared(fleet, "client")
        assert target.keys() == [key]
        assert fleet.total("sluice_redis_commands_again_total", why="ask") > 0
        assert fleet.total("sluice_redis_breaker_opened_total") == 0


def test_a_primary_that_hands_over(bench):
    with redis.Cluster(bench.directory) as cluster:
        fleet = fleet_of(bench, fleets.cluster(cluster))
        assert fleet.ask("client")[0]["source"] == "redis"
        (old,) = (server for server in cluster.primaries()
                  if any("=client" in key for key in server.keys()))
        (new,) = cluster.replicas(old)
        new.command("CLUSTER", "FAILOVER")
        stack.wait_until(lambda: new.role() == "master", "the replica to take over")
        wait_shared(fleet, "client")


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_nobody_is_connected_to_because_a_server_says_so(bench, word):
    with redis.Server(bench.directory) as server, scripted.Scripted(server) as relay, \
            socket.create_server(("127.0.0.1", 0)) as stranger:
        fleet = fleet_of(bench, fleets.single(relay))
        redirect = scripted.error(f"{word} 1 127.0.0.1:{stranger.getsockname()[1]}")
        with relay.answering(failures.replies(redirect)):
            answers = fleet.ask("client", times=BREAKER["failures"] + 5)
        assert {answer["source"] for answer in answers} == {"fallback"}
        assert fleet.ask("client")[0]["source"] == "redis"
        assert fleet.total("sluice_redis_breaker_opened_total") == 0
        stranger.setblocking(False)
        with pytest.raises(BlockingIOError):
            stranger.accept()
