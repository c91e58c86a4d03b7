"""What decisions cost Redis, by its own account (INFO commandstats)."""

import pytest

import fleet as fleets
import redis
import scenarios
from fleet import PATIENT, Fleet, rule
from scenarios import ALGORITHMS, FULL


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_refused_flood(bench, report, flavour):
    with redis.Server(bench.directory, flavour) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(FULL))
        for algorithm in ALGORITHMS:
            report(f"refused flood, {flavour}, {algorithm}",
                   scenarios.refused_flood(fleet, server, FULL, algorithm))


@pytest.mark.parametrize("consistency", ["exact", "leased"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_hot_key(bench, report, algorithm, consistency):
    """One key, as fast as agents answer, and nothing refused."""
    requests = 200_000 if algorithm != "sliding-log" else 5_000
    with redis.Server(bench.directory) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT),
                      [rule(limit=2 * requests, algorithm=algorithm, consistency=consistency)])
        before = server.calls()
        result = fleet.load(requests=requests, keys=1, in_flight=64).result()
        result.check_answered()
        assert result.allowed == [requests]
        calls = server.calls_since(before)
        takes = calls.get("incrby", 0) + calls.get("evalsha", 0) + calls.get("eval", 0)
        # Six workers with a question each under way, and two connections of 64 requests at each.
        assert takes <= requests / 4
        report(f"hot key, {algorithm}, {consistency}",
               {"requests": requests, "questions": takes, "requests a question": requests / takes,
                "seconds": result.seconds})
