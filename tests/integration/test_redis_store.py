"""What agents promise together through Redis, in short runs; tests/chaos has the long ones."""

import contextlib
import itertools
import signal

import pytest

import fleet as fleets
import outages
import redis
import scenarios
import scripted
import spop
import stack
from fleet import PATIENT, Fleet, rule
from scenarios import ALGORITHMS, SHORT


@pytest.fixture
def server(bench):
    with redis.Server(bench.directory) as made:
        yield made


# ---- counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", redis.FLAVOURS)
def test_exact_across_agents(bench, flavour):
    with redis.Server(bench.directory, flavour) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(SHORT))
        for algorithm in ALGORITHMS:
            scenarios.exact(fleet, SHORT, algorithm)


def test_leased_across_agents(bench, server):
    fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(SHORT, leased=True))
    for algorithm in ALGORITHMS:
        scenarios.leased(fleet, SHORT, algorithm)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with redis.Cluster(tmp_path_factory.mktemp("cluster")) as made:
        yield made


def test_slots_migrated(bench, cluster):
    scenarios.slots_migrated(bench, cluster, SHORT, slots=3)


def test_primary_killed(bench, cluster):
    """The last one on this cluster."""
    scenarios.primary_killed(bench, cluster, SHORT)


def test_windows_by_the_clock(bench, server):
    """Windows of a second, each used up to the last unit and no further."""
    limit = 20
    fleet = Fleet(bench, fleets.single(server, **PATIENT),
                  [rule(limit=limit, window="1s", algorithm="fixed-window")])
    result = fleet.load(requests=4_000, keys=10, rate=1_000, grants=10_000).result()
    result.check_answered()
    scenarios.check_windows(result, limit, 1_000_000)


def test_no_span_of_a_sliding_log_has_more(bench, server):
    limit = 20
    fleet = Fleet(bench, fleets.single(server, **PATIENT),
                  [rule(limit=limit, window="1s", algorithm="sliding-log")])
    result = fleet.load(requests=3_000, keys=10, rate=1_000, grants=10_000).result()
    result.check_answered()
    for grants in result.grants:
        assert len(grants) > limit
        assert fleets.most_in_a_span(grants, 1_000_000) <= limit


def test_all_limits_of_a_rule_or_none_are_charged(bench, server):
    """What one limit refuses is charged to no other; with charge_denied it is."""
    limits = [
        {"limit": 2, "window": "1s", "algorithm": "fixed-window"},
        {"limit": 4, "window": fleets.FOR_EVER, "algorithm": "fixed-window"},
    ]
    rules = [
        {"name": name, "match": {"api_key": {"prefix": name}}, "key": ["api_key"], "limits": limits,
         "charge_denied": name == "charged"}
        for name in ("whole", "charged")
    ]
    fleet = Fleet(bench, fleets.single(server, **PATIENT), rules, agents=2)
    keys = itertools.count()

    def allowed_in_two_windows(name):
        """None where the machine was too slow for one of the windows."""
        allowed = []
        key = f"{name}-{next(keys)}"
        for _ in range(2):
            second = next_second(server)
            answers = [a for agent in fleet.agents for a in fleet.ask(key, agent, times=3)]
            allowed.append(sum(answer["allow"] for answer in answers))
            if server.command("TIME")[0] != second:
                return None
        return allowed

    for name, later in (("whole", 2), ("charged", 0)):
        assert stack.wait_until(lambda name=name: allowed_in_two_windows(name),
                                "two windows of which all was asked") == [2, later]


def next_second(server):
    """The second that begins now by the server's clock, once it does."""
    begun = server.command("TIME")[0]
    return stack.wait_until(lambda: (now := server.command("TIME")[0]) != begun and now,
                            "the next second")


def test_every_key_has_a_time_to_live(bench, server):
    fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(SHORT))
    for algorithm in ALGORITHMS:
        scenarios.exact(fleet, SHORT, algorithm)
    keys = server.keys()
    assert len(keys) >= len(ALGORITHMS) * SHORT.keys
    assert all(key.startswith("sluice:{") for key in keys)
    with server.client() as client:
        assert all(client.command("PTTL", key) > 0 for key in keys)


@pytest.mark.parametrize("algorithm", ["token-bucket", "sliding-log"])
def test_scripts_flushed(bench, server, algorithm):
    scenarios.scripts_flushed(bench, server, SHORT, algorithm, flushes=3)


def test_restarted_empty(bench, server):
    scenarios.restarted_empty(bench, server, SHORT)


@pytest.mark.parametrize("consistency", ["exact", "leased"])
def test_agent_killed_and_another_added(bench, server, consistency):
    scenarios.agent_replaced(bench, server, SHORT, consistency=consistency)


def test_replies_lost(bench, server):
    with scripted.Scripted(server) as relay:
        # At the pace of the script that stands in between.
        scale = SHORT._replace(requests=4_000, keys=10, limit=200, rate=4_000)
        scenarios.replies_lost(bench, relay, scale, cuts=5)


def test_leases_give_back_what_they_do_not_use(bench, server):
    """An agent that has leased units and gets no more requests: Redis counts in the end what was let
    through, and another agent can have the rest."""
    limit = 1000
    fleet = Fleet(bench, fleets.single(server, **PATIENT),
                  [rule(limit=limit, consistency="leased")], agents=2)
    first, second = (agent.address for agent in fleet.agents)
    result = fleet.load([first], requests=600, keys=1).result()
    assert result.allowed == [600] and result.sources["lease"] > 0
    stack.wait_until(lambda: outages.count_of(server, "k0") == 600, "the leases to be given back")
    assert fleet.total("sluice_redis_units_back_total") > 0
    allowed = 600

    def used_up():
        nonlocal allowed
        allowed += fleet.load([second], requests=100, keys=1).result().allowed[0]
        return allowed >= limit

    stack.wait_until(used_up, "the rest to be used", interval=0)
    assert allowed == limit == outages.count_of(server, "k0")


# ---- what Redis is asked ------------------------------------------------------------------------


def test_windows_need_no_script(bench, server):
    fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(SHORT))
    before = server.calls()
    for algorithm in ("fixed-window", "sliding-window"):
        scenarios.exact(fleet, SHORT, algorithm)
    assert server.calls_since(before).keys().isdisjoint({"eval", "evalsha"})


def test_refused_flood_never_reaches_redis(bench, server):
    fleet = Fleet(bench, fleets.single(server, **PATIENT), scenarios.rules(SHORT))
    for algorithm in ("fixed-window", "token-bucket"):
        scenarios.refused_flood(fleet, server, SHORT, algorithm)


def test_hot_key_is_one_question_a_round_trip(bench, server):
    """However many requests of a key wait: one question is under way, and all that came meanwhile
    are the next."""
    with scripted.Scripted(server) as relay:
        fleet = Fleet(bench, fleets.single(relay, **PATIENT), [rule(limit=1_000_000)], agents=1,
                      workers=1)
        with contextlib.ExitStack() as open_:
            askers = [
                open_.enter_context(spop.Connection(fleet.agents[0].address, timeout=stack.WAIT))
                for _ in range(10)
            ]
            for asker in askers:
                asker.hello()
            relay.hold()
            askers[0].notify({"api_key": "hot"})
            stack.wait_until(lambda: relay.count("INCRBY") == 1, "the first question")
            for i in range(1, 1000):
                askers[i % 10].notify({"api_key": "hot"})
            fleet.wait_metric("sluice_notifies_total", lambda n: n == 1000, "all to have come")
            assert relay.count("INCRBY") == 1
            relay.release()
            answers = [askers[i % 10].receive().variables() for i in range(1000)]
        assert all(answer["txn.allow"] and answer["txn.source"] == "redis" for answer in answers)
        amounts = [words[2] for words in relay.commands if words[0].upper() == "INCRBY"]
        assert amounts == ["1", "999"]


# ---- rules and agents ---------------------------------------------------------------------------


def test_changed_limit_counts_at_once(bench, server):
    """Though a refusal was remembered under the old one."""
    fleet = Fleet(bench, fleets.single(server, **PATIENT), [rule(limit=5)], agents=2)
    first, second = fleet.agents
    assert [a["allow"] for a in fleet.ask("k", first, times=7)] == [True] * 5 + [False] * 2
    assert not fleet.ask("k", second)[0]["allow"]
    # By the worker that the connection is given to: the other may not have heard of it.
    assert fleet.ask("k", first, times=2)[-1]["source"] == "denied-cache"
    fleet.reload([rule(limit=8)])
    assert [a["allow"] for a in fleet.ask("k", first, times=2)] == [True] * 2
    assert [a["allow"] for a in fleet.ask("k", second, times=2)] == [True, False]
    fleet.reload([rule(limit=3)])
    assert not any(fleet.ask("k", agent)[0]["allow"] for agent in fleet.agents)


HEARTBEAT = {"heartbeat": "200ms"}


def wait_agents(fleet, number):
    fleet.wait_metric("sluice_agents", lambda n: n == number, f"{number} agents to be alive")


def test_live_agents_are_counted(bench, server):
    fleet = Fleet(bench, fleets.single(server, **HEARTBEAT), [rule()], agents=3)
    wait_agents(fleet, 3)
    fleet.kill(fleet.agents[0])
    wait_agents(fleet, 2)
    fleet.add()
    wait_agents(fleet, 3)
    # One that ends in order says goodbye.
    assert fleet.agents[1].stop() == 0
    wait_agents(fleet, 2)


@pytest.mark.parametrize("limit, used", [(300, 0), (300, 150), (2, 0)])
def test_agents_alone_share_what_is_left(bench, server, limit, used):
    """Without Redis, three agents let through no more than the limit between them, less what they
    know to be used. Each has a unit at least: with a limit of 2 that makes 3, as they say."""
    keys = 4
    store = fleets.single(server, deadline="20ms", breaker={"failures": 2}, **HEARTBEAT)
    fleet = Fleet(bench, store, [rule(limit=limit)], agents=3)
    wait_agents(fleet, 3)
    if used:
        before = fleet.load(requests=used * keys, keys=keys, in_flight=1).result()
        assert before.allowed == [used] * keys
    server.pause()
    result = fleet.load(requests=2 * limit * keys, keys=keys).result()
    server.resume()
    result.check_answered()
    assert result.sources.keys() == {"fallback"}
    ratio = fleets.metrics(fleet.agents[0]).sum("sluice_fallback_excess_ratio_max")
    assert ratio == max(1, 3 / limit)
    for allowed in result.allowed:
        assert 0 < allowed <= ratio * limit
    if used:
        # Not every worker has heard of the last requests that others let through.
        assert sum(result.allowed) <= keys * (limit - used) * 1.25


@pytest.mark.parametrize("end", ["drain", "reload"])
def test_no_decision_is_lost_when_redis_is_silent(bench, server, end):
    """Neither by SIGTERM nor by SIGHUP, while requests wait for Redis."""
    fleet = Fleet(bench, fleets.single(server, deadline="1s"), [rule(limit=1000)], agents=1)
    (agent,) = fleet.agents
    with spop.Connection(agent.address, timeout=stack.WAIT) as asker:
        asker.hello()
        server.pause()
        streams = {asker.notify({"api_key": f"k{i}"}) for i in range(50)}
        fleet.wait_metric("sluice_notifies_total", lambda n: n == 50, "all to have come")
        if end == "drain":
            agent.send_signal(signal.SIGTERM)
        else:
            fleet.reload([rule(limit=2000)])
        answers = [asker.receive() for _ in range(50)]
        assert {answer.kind for answer in answers} == {spop.ACK}
        assert {answer.stream for answer in answers} == streams
        assert {answer.variables()["txn.source"] for answer in answers} == {"fallback"}
        if end == "drain":
            assert asker.expect_disconnect() == 0
            assert agent.wait() == 0
    server.resume()
