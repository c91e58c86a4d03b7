"""What happens to a fleet's counts when something fails under load: scenarios that the integration
tests run small and the chaos suite at full size. Each asserts what is promised and returns what was
measured, as {name: number}."""

import collections

import fleet as fleets
import redis
import stack
from fleet import FOR_EVER, PATIENT, Fleet, rule

# requests: over all keys, twice the limit for each; rate: a second, where something is to happen
# meanwhile.
Scale = collections.namedtuple("Scale", "requests keys limit rate")

FULL = Scale(requests=200_000, keys=100, limit=1000, rate=40_000)
SHORT = Scale(requests=8_000, keys=20, limit=200, rate=8_000)

ALGORITHMS = ("fixed-window", "sliding-window", "token-bucket", "sliding-log")

def rate(scale, algorithm):
    """A script costs Redis about ten times what a counter does."""
    return scale.rate if algorithm.endswith("-window") else scale.rate // 4


# While Redis can't be asked, these admit nothing: what is over the limit is then Redis's doing.
STRICT = {"on_store_error": "deny"}


def rules(scale, leased=False, window=FOR_EVER, **more):
    """A rule for each algorithm; its keys begin with the algorithm's name."""
    if leased:
        more["consistency"] = "leased"
    return [
        rule(algorithm, scale.limit, window, algorithm, keys=f"{algorithm}-", **more)
        for algorithm in ALGORITHMS
    ]


def prefix(algorithm):
    return f"{algorithm}-"


def exact(fleet, scale, algorithm="fixed-window"):
    """Every key is asked for twice its limit, of all agents at once: it gets its limit."""
    result = fleet.load(requests=scale.requests, keys=scale.keys, prefix=prefix(algorithm)).result()
    result.check_answered()
    assert "fallback" not in result.sources
    assert result.allowed == [scale.limit] * scale.keys
    return {"seconds": result.seconds, **result.sources}


def leased(fleet, scale, algorithm="fixed-window"):
    """The same with leases: never more than the limit. Less by what an agent holds when another one
    is refused, for that refusal is remembered; a lease is at most a quarter of what remains, shared
    by the agents, so that in all it comes to little."""
    result = fleet.load(requests=scale.requests, keys=scale.keys, prefix=prefix(algorithm)).result()
    result.check_answered()
    assert "fallback" not in result.sources
    assert result.sources.get("lease", 0) > 0
    assert max(result.allowed) <= scale.limit
    held = scale.limit * scale.keys - sum(result.allowed)
    assert held <= scale.limit * scale.keys / 10
    return {"seconds": result.seconds, "not used": held, **result.sources}


def check_windows(result, limit, window):
    """Of fixed windows: no window had more than the limit, and those that the load was there for
    from beginning to end had exactly the limit. window: microseconds."""
    for grants in result.grants:
        windows = fleets.by_window(grants, window)
        inner = sorted(windows)[1:-1]
        assert len(inner) >= 2
        for index in windows:
            assert windows[index][0] <= limit
        for index in inner:
            assert sum(windows[index]) >= limit
        # And so in all, where what was near an edge can't be told apart.
        assert len(inner) * limit <= len(grants) <= len(windows) * limit


# ---- parts of Redis fail ------------------------------------------------------------------------


def keys_of(server, prefix_):
    """The numbers of a load's keys that a server has."""
    found = set()
    for key in server.keys():
        subject = key[key.find("{") + 1 : key.find("}")]
        number = subject.rpartition(prefix_)[2]
        if prefix_ in subject and number.isdigit():
            found.add(int(number))
    return found


def primary_killed(bench, cluster, scale, on_store_error="deny", agents=3, behind=0):
    """A primary dies in the middle of a run. Redis replicates after it has answered: what the
    replica hasn't got when the primary dies is admitted once more. Keys of other shards notice
    nothing. behind: so many requests of all keys are answered while the replica is cut off."""
    name = f"{on_store_error}-"
    patient = PATIENT if on_store_error == "deny" else {}
    fleet = Fleet(bench, fleets.cluster(cluster, **patient), [
        rule(limit=scale.limit, keys=name, on_store_error=on_store_error)
    ], agents)
    fleet.wait_metric("sluice_agents", lambda n: n == agents, "all agents known")
    load = fleet.load(keys=scale.keys, rate=scale.rate, prefix=name)
    load.wait_for("answered", scale.requests // 4)
    victim = cluster.primaries()[0]
    struck = keys_of(victim, name)
    others = set(range(scale.keys)) - struck
    replicas = cluster.replicas(victim)
    if behind:
        for replica in replicas:
            replica.pause()
        # What has come to the replica's machine is not lost to it: hence this.
        victim.command("CLIENT", "KILL", "TYPE", "REPLICA")
        begun = load.last["allowed"]
        load.wait_for("answered", behind)
    load.phase("failing")
    victim.kill()
    admitted = load.last["allowed"] - begun if behind else 0
    for replica in replicas:
        replica.resume()
    heir = cluster.wait_promoted(replicas)
    fleet.wait_metric("sluice_topology_version", lambda n: n > 1, "the new primary to be known")
    fleet.wait_metric("sluice_topology_slots_served", lambda n: n == redis.SLOTS, "all slots served")
    load.phase("after")
    # As much again, so that what is left of each limit is used up.
    load.wait_for("answered", scale.requests)
    result = load.stop()
    result.check_answered()

    assert struck and others and heir is not victim
    if patient:
        assert {result.allowed[key] for key in others} == {scale.limit}
    assert result.phases["failing"]["sources"].get("fallback", 0) > 0
    over = sum(max(result.allowed[key] - scale.limit, 0) for key in struck)
    under = sum(max(scale.limit - result.allowed[key], 0) for key in struck)
    # The whole of Redis's state lost is once more the limit; agents on their own admit it once more
    # between them, what it doesn't divide by rounded in their favour.
    bound = 2 if on_store_error == "deny" else 3
    assert max(result.allowed[key] for key in struck) <= bound * scale.limit
    if behind:
        # All that was admitted meanwhile, but no more, is lost; and of this shard only.
        assert 0 < over <= admitted + load.in_flight + scale.rate // 10
    # What was charged just before the primary died, and the replica knows of, with no reply left.
    assert under <= load.in_flight
    return {"keys of the dead primary": len(struck), "allowed over their limits": over,
            "of": len(struck) * scale.limit, "charged and not used": under,
            "allowed of all keys while the replica was cut off": admitted,
            "seconds until all was as before": result.phases["failing"]["seconds"],
            "longest answer, us": result.phases["failing"]["longest"],
            "p99.9, us": result.phases["failing"]["p99.9"]}


def slots_migrated(bench, cluster, scale, algorithm="fixed-window", slots=5):
    """Slots move from one primary to another in the middle of a run, with a pause in the middle of
    each where some keys are here and some are there. Not one decision is lost or made twice."""
    fleet = Fleet(bench, fleets.cluster(cluster, **PATIENT), rules(scale, **STRICT))
    load = fleet.load(keys=scale.keys, rate=rate(scale, algorithm), prefix=prefix(algorithm))
    load.wait_for("answered", scale.requests // 10)
    source, target = cluster.primaries()[:2]
    moved = [key for key in source.keys() if f"{{={prefix(algorithm)}" in key][:slots]
    assert len(moved) == slots
    for key in moved:
        with cluster.migrating(redis.slot(key), target) as migration:
            load.wait_for("answered", scale.keys)
            migration.move(key)
            load.wait_for("answered", scale.keys)
        assert key in target.keys()
    load.wait_for("answered", scale.requests)
    result = load.stop()
    result.check_answered()
    assert "fallback" not in result.sources
    assert result.allowed == [scale.limit] * scale.keys
    asked = fleet.total("sluice_redis_commands_again_total", why="ask")
    assert asked > 0
    return {"slots": slots, "commands sent on by ASK": asked,
            "by MOVED": fleet.total("sluice_redis_commands_again_total", why="moved"),
            "longest answer, us": result.phases["all"]["longest"]}


def restarted_empty(bench, server, scale, algorithm="fixed-window"):
    """Redis comes back without its data in the middle of a run: each limit is admitted once more,
    and not twice."""
    fleet = Fleet(bench, fleets.single(server, **PATIENT), rules(scale, **STRICT))
    load = fleet.load(keys=scale.keys, rate=rate(scale, algorithm), prefix=prefix(algorithm))
    load.wait_for("answered", scale.requests // 4)
    server.kill()
    load.wait_for("answered", scale.keys)
    server.start()
    fleet.wait_connected()
    load.phase("after")
    load.wait_for("answered", scale.requests)
    result = load.stop()
    result.check_answered()
    for allowed in result.allowed:
        assert scale.limit <= allowed <= 2 * scale.limit
    return {"allowed over the limits": result.over(scale.limit),
            "of": scale.limit * scale.keys}


def scripts_flushed(bench, server, scale, algorithm, flushes=5):
    """SCRIPT FLUSH in the middle of a run, again and again."""
    fleet = Fleet(bench, fleets.single(server, **PATIENT), rules(scale, **STRICT))
    before = server.calls()
    load = fleet.load(requests=scale.requests, keys=scale.keys, rate=rate(scale, algorithm),
                      prefix=prefix(algorithm))
    for _ in range(flushes):
        load.wait_for("allowed", scale.limit * scale.keys // (2 * flushes))
        server.command("SCRIPT", "FLUSH")
    result = load.result()
    result.check_answered()
    assert "fallback" not in result.sources
    assert result.allowed == [scale.limit] * scale.keys
    calls = server.calls_since(before)
    # The first time, and after each flush.
    assert calls["eval"] >= flushes
    assert fleet.total("sluice_redis_commands_again_total", why="repeat") >= flushes
    return calls


def replies_lost(bench, relay, scale, cuts=10):
    """Connections are cut in the middle of a run, with replies under way: what Redis granted and
    nobody heard of is not granted again. relay: a scripted.Scripted in front of a server."""
    fleet = Fleet(bench, fleets.single(relay, **PATIENT, breaker={"pause": "50ms"}),
                  rules(scale, **STRICT))
    loads = {
        algorithm: fleet.load(keys=scale.keys, rate=scale.rate // 4, prefix=prefix(algorithm))
        for algorithm in ALGORITHMS
    }
    for _ in range(cuts):
        loads["fixed-window"].wait_for("answered", scale.keys)
        relay.hold()
        commands = len(relay.commands)
        stack.wait_until(lambda: len(relay.commands) >= commands + len(ALGORITHMS),
                         "questions to be under way")
        relay.cut()
        fleet.wait_connected()
    for load in loads.values():
        load.wait_for("answered", scale.requests - load.last["answered"])
    results = {algorithm: load.stop() for algorithm, load in loads.items()}
    for algorithm, result in results.items():
        result.check_answered()
        assert result.sources["fallback"] > 0
        assert max(result.allowed) <= scale.limit
        # All was asked for that there was: Redis itself refused every key in the end.
        for key in range(scale.keys):
            (answer,) = fleet.ask(f"{prefix(algorithm)}{key}")
            assert (answer["allow"], answer["remaining"]) == (False, 0)
            assert answer["source"] in ("redis", "denied-cache")
    return {f"charged and not used, {name}": scale.limit * scale.keys - sum(result.allowed)
            for name, result in results.items()}


# ---- agents fail --------------------------------------------------------------------------------


def agent_replaced(bench, server, scale, algorithm="fixed-window", consistency="exact"):
    """An agent is killed outright in the middle of a run and another one is added. What the dead
    one was asked and hadn't answered is lost, and charged at most once; what it had leased too."""
    fleet = Fleet(bench, fleets.single(server, **PATIENT),
                  rules(scale, leased=consistency == "leased", **STRICT))
    fleet.wait_metric("sluice_agents", lambda n: n == 3, "all agents known")
    in_flight, connections = 8, 4
    load = fleet.load(keys=scale.keys, rate=rate(scale, algorithm), prefix=prefix(algorithm),
                      in_flight=in_flight, connections=connections)
    load.wait_for("answered", scale.requests // 4)
    fleet.kill(fleet.agents[0])
    load.wait_for("answered", scale.keys)
    load.connect(fleet.add())
    load.wait_for("answered", scale.requests)
    result = load.stop()
    result.check_answered(lost=in_flight * connections)
    assert max(result.allowed) <= scale.limit
    missing = scale.limit * scale.keys - sum(result.allowed)
    # Each worker's lease of a key is at most a quarter of the limit, shared by three agents; and it
    # is charged until the window ends.
    stranded = 0 if consistency == "exact" else fleet.workers * scale.keys * scale.limit // (4 * 3)
    assert missing <= result.lost + stranded
    return {"in the dead agent's hands": result.lost, "charged and not used": missing,
            "at most": result.lost + stranded}


# ---- what Redis is asked ------------------------------------------------------------------------

# What decisions ask of it; the rest is about connections, clocks and heartbeats.
DECIDING = ("get", "set", "incrby", "decrby", "evalsha", "eval")


def deciding(calls):
    return {name: number for name, number in calls.items() if name in DECIDING}


def refused_flood(fleet, server, scale, algorithm):
    """Once it has been refused, a key costs Redis nothing."""
    options = {"keys": scale.keys, "prefix": prefix(algorithm)}
    # Every agent, each worker of it and each key: all have been refused after this.
    def all_refused():
        result = fleet.load(requests=scale.requests, **options).result()
        return set(result.sources) == {"denied-cache"}

    stack.wait_until(all_refused, "all to be refused from memory", interval=0)
    before = server.calls()
    result = fleet.load(requests=scale.requests, **options).result()
    result.check_answered()
    assert sum(result.allowed) == 0
    assert deciding(server.calls_since(before)) == {}
    return {"requests": result.answered, "calls": 0, "seconds": result.seconds}
