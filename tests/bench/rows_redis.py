"""The rows of an agent that shares its counters through Redis."""

import threading
import time

import fleet
import measure
import stack
from measure import agent_us, alternate, median, median_ratio, per_second
from result import Line, at_least, at_most, rate, us

MANY = 100_000
FEW = 10_000

# So that nothing is missed for a deadline on a machine that is busy otherwise.
PATIENT = {"deadline": "10s", "connect_timeout": "10s"}

# What asks for units; the heartbeat, the clock and the like are left out.
TAKES = ("incrby", "decrby", "get", "set", "evalsha", "eval")


def shared(server):
    return {"mode": "single", "nodes": [f"unix://{server.socket_path}"], **PATIENT}


def takes(server, before):
    calls = server.calls_since(before)
    return sum(calls.get(name, 0) for name in TAKES)


def agent_on(stage, server, name, **options):
    agent = stage.agent(name, measure.rules(**options), shared(server))
    stack.wait_until(lambda: fleet.connected(agent), f"{name} to be connected")
    return agent


def fill(stage, agent, keys, rounds=1):
    stage.load(agent, "--count", rounds * keys, "--keys", keys, "--in-turn", "--in-flight", 128)


# ---- 4: what a decision costs the server ---------------------------------------------------------


def server_us(stage, server, agent):
    """The server's CPU a decision."""
    before = measure.cpu_seconds(server.pid)
    result = stage.load(agent, "--keys", MANY, "--in-flight", 128)
    if set(result["sources"]) != {"redis"}:
        raise stack.Failed(f"decisions were not Redis's: {result['sources']}")
    return (measure.cpu_seconds(server.pid) - before) * 1e6 / result["answered"]


def incrby_us(server, count=1_000_000):
    """The server's CPU an INCRBY, on keys as long as ours."""
    before = measure.cpu_seconds(server.pid)
    measure.run(measure.pinned(
        measure.AGENT_CORE, "redis-benchmark", "-s", server.socket_path, "-q", "-P", 64, "-c", 4,
        "-n", count, "-r", MANY, "INCRBY", "other:{__rand_int__}:client:fixed-window-1d:20000", 1))
    return (measure.cpu_seconds(server.pid) - before) * 1e6 / count


def row_4(sluice):
    with measure.Stage(sluice) as stage:
        server = stage.redis()
        agents = {
            "fixed": agent_on(stage, server, "fixed", algorithm="fixed-window"),
            "sliding": agent_on(stage, server, "sliding", algorithm="sliding-window"),
        }
        for agent in agents.values():
            fill(stage, agent, MANY)
        incrby_us(server, 10 * MANY)
        found = alternate(
            incrby=lambda: incrby_us(server),
            **{name: lambda agent=agent: server_us(stage, server, agent)
               for name, agent in agents.items()},
        )
    plain = found["incrby"]
    return [
        at_most(f"Redis's CPU a decision, exact, 100,000 keys, {name}-window",
                us(median(found[name])), f"pipelined INCRBY {us(median(plain))}",
                median_ratio(found[name], plain), 1.5)
        for name in ("fixed", "sliding")
    ], {"server_us": median(found["sliding"])}


# ---- 5: one hot key ------------------------------------------------------------------------------


def hot(stage, server, agent):
    calls = server.calls()
    reads = int(server.info("stats")["total_reads_processed"])
    result = stage.load(agent, "--in-flight", 128, *measure.ONE_KEY)
    result["calls"] = takes(server, calls)
    # Two of them were our own, and a heartbeat and such may be among them.
    result["round_trips"] = int(server.info("stats")["total_reads_processed"]) - reads - 2
    return result


def row_5(sluice):
    with measure.Stage(sluice) as stage:
        server = stage.redis()
        shared_agent, alone = agent_on(stage, server, "shared"), stage.agent("alone")
        found = alternate(
            exact=lambda: hot(stage, server, shared_agent),
            memory=lambda: stage.load(alone, "--in-flight", 128),
        )
    exact, memory = per_second(found["exact"]), per_second(found["memory"])
    calls = median([r["calls"] / max(r["round_trips"], 1) for r in found["exact"]])
    batch = median([r["answered"] / max(r["calls"], 1) for r in found["exact"]])
    return [
        at_least("decisions/s, exact on Redis, one hot key, 4 x 128 in flight", rate(median(exact)),
                 f"row 2, memory: {rate(median(memory))}", median_ratio(exact, memory), 0.5),
        at_most("calls a round trip", f"{calls:.2f}",
                f"{batch:.0f} decisions a call", calls, 1.1, "{:.2f}"),
    ], {}


# ---- 6: leases -----------------------------------------------------------------------------------


def leased(stage, server, agent):
    calls = server.calls()
    result = stage.load(agent, "--keys", FEW, "--zipf", 1, "--in-flight", 128)
    return 100 * takes(server, calls) / result["answered"]


def over_admitted(stage, server):
    """Two agents, a tenth of what is asked may pass: how much more did."""
    limit, keys = 100, 1000
    text = measure.rules(limit=limit, window="366d", algorithm="fixed-window",
                         more="    consistency: leased\n").replace("src/64", "api_key")
    addresses = []
    for i in (1, 2):
        store = {**shared(server), "instance_id": f"admit{i}"}
        agent = stage.agent(f"admit{i}", text.replace("name: client", "name: admit"), store)
        stack.wait_until(lambda agent=agent: fleet.connected(agent), "an agent to be connected")
        addresses.append(agent.address)
    result = fleet.Load(stage, addresses, requests=10 * limit * keys, keys=keys).result()
    result.check_answered()
    return result.over(limit), sum(result.allowed), limit * keys


def row_6(sluice):
    with measure.Stage(sluice) as stage:
        server = stage.redis()
        agent = agent_on(stage, server, "leased", more="    consistency: leased\n")
        fill(stage, agent, FEW)
        stage.load(agent, "--keys", FEW, "--zipf", 1, "--in-flight", 128) # leases grow
        calls = median(alternate(calls=lambda: leased(stage, server, agent))["calls"])
        over, allowed, limit = over_admitted(stage, server)
    return [
        at_most("Redis calls in 100 decisions, leased, 10,000 keys by Zipf's law",
                f"{calls:.2f}", "exact: 100 but for what is coalesced", calls, 1.0, "{:.2f}"),
        Line("over-admitted by two agents that were asked for ten times as much", f"{over}",
             f"{allowed:,} of {limit:,} allowed", f"{over}", "0", over == 0),
    ], {"leased_calls": calls}


# ---- 7: a flood that is refused ------------------------------------------------------------------


def row_7(sluice):
    with measure.Stage(sluice) as stage:
        server = stage.redis()
        flooded = agent_on(stage, server, "flooded", limit=1, window="366d",
                           algorithm="fixed-window")
        alone = stage.agent("alone")
        fill(stage, flooded, FEW, rounds=3)
        before = server.calls()
        found = alternate(flood=lambda: stage.load(flooded), row1=lambda: stage.load(alone))
        calls = takes(server, before)
    refused = sum(result["refused"] for result in found["flood"])
    asked = sum(result["answered"] for result in found["flood"])
    if refused != asked:
        raise stack.Failed(f"{asked - refused} of a flood were allowed")
    flood, row1 = agent_us(found["flood"]), agent_us(found["row1"])
    return [
        Line("Redis calls, all refused, 10,000 keys", f"{calls}", f"{refused:,} refusals",
             f"{calls}", "0", calls == 0),
        at_most("CPU a refusal, 4 x 20 in flight", us(median(flood)),
                f"row 1, allowed: {us(median(row1))}", median_ratio(flood, row1), 1.0),
    ], {"refusal_us": median(flood)}


# ---- 8: latency ----------------------------------------------------------------------------------


class Pings:
    """Redis's round trips, one a millisecond, while something else is asked of it."""

    def __init__(self, server):
        self.times = []
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(server,), daemon=True)
        self.thread.start()

    def _run(self, server):
        with server.client() as client:
            while not self.stopping.wait(0.001):
                begun = time.perf_counter_ns()
                client.command("PING")
                self.times.append((time.perf_counter_ns() - begun) / 1000)

    def p99(self):
        self.stopping.set()
        self.thread.join(stack.WAIT)
        return sorted(self.times)[int(len(self.times) * 0.99)]


def row_8(sluice):
    with measure.Stage(sluice) as stage:
        server = stage.redis()
        agent, floor = agent_on(stage, server, "exact"), stage.floor()
        fill(stage, agent, FEW)
        half = int(stage.load(agent, "--in-flight", 20)["answers_per_second"] / 2)

        def under_load():
            pings = Pings(server)
            result = stage.load(agent, "--rate", half, "--in-flight", 128)
            return result["latency_us"]["p99"], pings.p99()

        found = alternate(
            exact=under_load,
            floor=lambda: stage.load(floor, "--rate", half, "--in-flight", 128)["latency_us"]["p99"],
        )
    # Of each round: what was added, and what of it the round trip isn't.
    added = [exact - floor for (exact, _), floor in zip(found["exact"], found["floor"])]
    trips = [trip for _, trip in found["exact"]]
    beyond = median([all_of_it - trip for all_of_it, trip in zip(added, trips)])
    line = at_most(
        f"added latency, p99, at half load ({half:,} requests/s, open loop), exact",
        f"{us(median(added))} more than with the do-nothing agent",
        f"Redis's round trip, p99, meanwhile {us(median(trips))}", beyond, 100.0, "{:.0f} us")
    line.target = "<= that + 100 us"
    line.ratio = f"that {beyond:+.0f} us"
    return [line], {}
