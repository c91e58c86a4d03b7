"""Exact counts across agents, whatever fails: 3 agents of 2 workers, 200,000 requests over 100 keys
with a limit of 1,000 each."""

import pytest

import fleet as fleets
import redis
import scenarios
from fleet import PATIENT, Fleet
from scenarios import ALGORITHMS, FULL


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with redis.Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


@pytest.fixture
def empty(cluster):
    """The cluster, with nothing in it and everybody alive."""
    for server in cluster.primaries():
        server.command("FLUSHALL")
    return cluster


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exact_on_a_cluster(bench, empty, report, algorithm):
    fleet = Fleet(bench, fleets.cluster(empty, **PATIENT), scenarios.rules(FULL))
    report(f"exact, {algorithm}", scenarios.exact(fleet, FULL, algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_leased_on_a_cluster(bench, empty, report, algorithm):
    fleet = Fleet(bench, fleets.cluster(empty, **PATIENT), scenarios.rules(FULL, leased=True))
    report(f"leased, {algorithm}", scenarios.leased(fleet, FULL, algorithm))


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_exact_on_each_server(bench, report, flavour):
    with redis.Server(bench.directory, flavour) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(FULL))
        for algorithm in ALGORITHMS:
            report(f"{flavour}, {algorithm}", scenarios.exact(fleet, FULL, algorithm))


@pytest.mark.parametrize("on_store_error", ["deny", "local"])
def test_primary_killed(bench, report, on_store_error):
    with redis.Cluster(bench.directory) as cluster:
        report(f"primary killed, on_store_error: {on_store_error}",
               scenarios.primary_killed(bench, cluster, FULL, on_store_error))


def test_primary_killed_whose_replica_is_behind(bench, report):
    """What asynchronous replication loses is admitted once more, and no more than that."""
    with redis.Cluster(bench.directory, node_timeout=2000) as cluster:
        report("primary killed, replica cut off before",
               scenarios.primary_killed(bench, cluster, FULL, behind=20_000))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_slots_migrated(bench, empty, report, algorithm):
    report(f"slots migrated, {algorithm}",
           scenarios.slots_migrated(bench, empty, FULL, algorithm))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_restarted_empty(bench, report, algorithm):
    with redis.Server(bench.directory) as server:
        report(f"restarted empty, {algorithm}",
               scenarios.restarted_empty(bench, server, FULL, algorithm))


@pytest.mark.parametrize("algorithm", ["token-bucket", "sliding-log"])
def test_scripts_flushed(bench, report, algorithm):
    with redis.Server(bench.directory) as server:
        report(f"scripts flushed, {algorithm}",
               scenarios.scripts_flushed(bench, server, FULL, algorithm))


@pytest.mark.parametrize("consistency", ["exact", "leased"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_agent_replaced(bench, report, algorithm, consistency):
    with redis.Server(bench.directory) as server:
        report(f"agent killed and another added, {algorithm}, {consistency}",
               scenarios.agent_replaced(bench, server, FULL, algorithm, consistency))
