"""What each algorithm promises of time, while windows come and go: from what clients were answered,
and when. Agents whose clocks are wrong agree on windows all the same."""

import os

import pytest

import fleet as fleets
import redis
import scenarios
from fleet import PATIENT, Fleet, rule
from scenarios import ALGORITHMS

LIMIT, KEYS = 50, 10
WINDOW = 1_000_000  # microseconds
LEASE = WINDOW // 10  # a lease is spent within this
SECONDS = 6
DEMAND = 10  # times what is allowed

FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


@pytest.fixture
def server(bench):
    with redis.Server(bench.directory) as made:
        yield made


def run(bench, server, algorithm, environments=None, **more):
    fleet = Fleet(bench, fleets.single(server, **PATIENT),
                  [rule(limit=LIMIT, window="1s", algorithm=algorithm, **more)],
                  environments=environments)
    rate = LIMIT * KEYS * DEMAND
    result = fleet.load(requests=rate * SECONDS, keys=KEYS, rate=rate, grants=1_000_000).result()
    result.check_answered()
    assert "fallback" not in result.sources
    return fleet, result


def check(result, algorithm, life=0):
    """life: how long a unit may lie between being charged and being spent."""
    for grants in result.grants:
        # Nor is it far too little.
        assert len(grants) >= 0.8 * LIMIT * (SECONDS - 1)
        if algorithm == "sliding-log":
            assert fleets.most_in_a_span(grants, WINDOW - life) <= LIMIT
        elif algorithm == "token-bucket":
            for span in (WINDOW // 10, WINDOW, 3 * WINDOW):
                bound = LIMIT + LIMIT * (span + life) / WINDOW
                assert fleets.most_in_a_span(grants, span) <= bound
        else:
            assert fleets.most_in_a_span(grants, WINDOW) <= 2 * LIMIT
            for sure, _ in fleets.by_window(grants, WINDOW).values():
                assert sure <= LIMIT


def measured(result):
    spans = [fleets.most_in_a_span(grants, WINDOW) for grants in result.grants]
    return {"allowed a key": sum(result.allowed) / KEYS, "most in a second": max(spans)}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_exact(bench, server, report, algorithm):
    _, result = run(bench, server, algorithm)
    check(result, algorithm)
    if algorithm == "fixed-window":
        scenarios.check_windows(result, LIMIT, WINDOW)
    report(f"windows of 1 s, limit {LIMIT}, {algorithm}", measured(result))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_leased(bench, server, report, algorithm):
    _, result = run(bench, server, algorithm, consistency="leased")
    check(result, algorithm, LEASE)
    report(f"windows of 1 s, limit {LIMIT}, {algorithm}, leased",
           {**measured(result), **result.sources})


@pytest.mark.parametrize("algorithm", ["fixed-window", "sliding-window"])
def test_wrong_clocks(bench, server, report, algorithm):
    """One agent's machine is ahead by less than a window, one is an hour behind, one a day ahead."""
    if not os.path.exists(FAKETIME):
        pytest.skip("needs Debian's faketime")
    wrong = {"agent1": 0.4, "agent2": -3600, "agent3": 86400}
    fleet, result = run(bench, server, algorithm, environments={
        name: {"LD_PRELOAD": FAKETIME, "FAKETIME": f"{by:+g}s", "DONT_FAKE_MONOTONIC": "1"}
        for name, by in wrong.items()
    })
    for agent in fleet.agents:
        offset = fleets.metrics(agent).sum("sluice_redis_clock_offset_seconds")
        assert abs(offset + wrong[agent.name]) < 0.1
    check(result, algorithm)
    if algorithm == "fixed-window":
        scenarios.check_windows(result, LIMIT, WINDOW)
    report(f"wrong clocks, {algorithm}", measured(result))
