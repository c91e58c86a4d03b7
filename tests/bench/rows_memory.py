"""The rows of an agent that has its counters in memory."""

import os
import re
import shutil
import subprocess
import time

import measure
import stack
from measure import ROUNDS, agent_us, alternate, median, median_ratio, per_second
from result import at_least, at_most, not_measured, rate, us

KEYS_FEW = 10_000
KEYS_MANY = 10_000_000


def against_floor(stage, in_flight, **agents):
    """{"floor": [what loads say], ...} of the do-nothing agent and of these."""
    agents = {"floor": stage.floor(), **agents}
    return alternate(**{
        name: lambda agent=agent: stage.load(agent, "--in-flight", in_flight)
        for name, agent in agents.items()
    })


def two_answers(stage):
    return {
        "all": stage.agent("all"),
        "least": stage.agent("least", settings="workers: 1\nanswer: []"),
    }


def row_1(sluice):
    with measure.Stage(sluice) as stage:
        found = against_floor(stage, 20, **two_answers(stage))
    floor, ours, least = (agent_us(found[name]) for name in ("floor", "all", "least"))
    return [
        at_most("CPU a decision, 4 x 20 in flight, all variables answered", us(median(ours)),
                f"do-nothing agent {us(median(floor))}", median_ratio(ours, floor), 2.0),
        at_most("the same, `allow` and `deny` alone, as the do-nothing agent answers",
                us(median(least)), f"do-nothing agent {us(median(floor))}",
                median_ratio(least, floor), 2.0),
    ], {"decision_us": median(ours), "decisions": median(per_second(found["all"]))}


def row_2(sluice):
    with measure.Stage(sluice) as stage:
        found = against_floor(stage, 128, **two_answers(stage))
    floor = agent_us(found["floor"])
    lines = []
    for name, what in (("all", "CPU a decision, 4 x 128 in flight, all variables answered"),
                       ("least", "the same, `allow` and `deny` alone")):
        ours = agent_us(found[name])
        line = at_most(what, us(median(ours)),
                       f"do-nothing agent {us(median(floor))}, {median_ratio(ours, floor):.2f}x",
                       median(ours), 0.5, "{:.2f} us")
        line.target = "<= 0.5 us, or <= 5x"
        line.used = min(median(ours) / 0.5, median_ratio(ours, floor) / 5)
        line.met = line.used <= 1
        lines.append(line)
    return lines, {"batched_us": median(agent_us(found["all"])),
                   "batched": median(per_second(found["all"]))}


# ---- many rules ----------------------------------------------------------------------------------


def many_rules(count):
    """So many tenants with a rule each, of which a request is of one. Requests are for 10,000 paths,
    /t0000/ to /t9999/; where there are fewer rules, the first digits tell."""
    digits = len(str(count - 1))
    end = "/" if count == KEYS_FEW else ""
    return "".join(
        f"\n  - {{ name: t{i}, match: {{ path: {{ prefix: /t{i:0{digits}}{end} }}, method: GET }}, "
        f"key: [ src/64 ], limits: [ {{ limit: 1000000000, window: 1d }} ] }}"
        for i in range(count)
    )


def row_9(sluice):
    with measure.Stage(sluice) as stage:
        agents = {count: stage.agent(f"rules{count}", many_rules(count)) for count in (10, KEYS_FEW)}
        found = alternate(**{
            str(count): lambda agent=agent: stage.load(
                agent, "--in-flight", 128, "--keys", KEYS_FEW, "src:ipv4={key}", "method=GET",
                "path=/t{key}/orders", "host=www.example.org", "api_key=k")
            for count, agent in agents.items()
        })
    few, many = agent_us(found["10"]), agent_us(found["10000"])
    program = sluice.parents[1] / "tests" / "bench" / "match"
    table = measure.run(measure.pinned(measure.AGENT_CORE, program, "--forms", 10, 10_000))
    forms = re.findall(r"^\| (\S.*?) +\| +(\d+) \| +(\d+) \| +([\d.]+)x", table, re.M)
    name, ten, ten_thousand, worst = max(forms, key=lambda form: float(form[3]))
    return [
        at_most("CPU a decision, 10,000 rules, one for each of 10,000 paths", us(median(many)),
                f"10 rules {us(median(few))}", median_ratio(many, few), 2.0),
        at_most(f"matching alone, the worst of {len(forms)} forms of match ({name})",
                f"{ten_thousand} ns", f"10 rules {ten} ns", float(worst), 2.0),
    ], {}


# ---- many keys -----------------------------------------------------------------------------------


def row_10(sluice):
    with measure.Stage(sluice) as stage:
        store = {"mode": "memory", "max_keys": KEYS_MANY + KEYS_MANY // 20}
        many, few = stage.agent("many", store=store), stage.agent("few")
        before = measure.resident_bytes(many.pid)
        stage.load(many, "--count", KEYS_MANY, "--keys", KEYS_MANY, "--in-turn", "--in-flight", 128)
        size = (measure.resident_bytes(many.pid) - before) / KEYS_MANY
        stage.load(few, "--count", KEYS_FEW, "--keys", KEYS_FEW, "--in-turn", "--in-flight", 128)
        found = alternate(
            many=lambda: stage.load(many, "--keys", KEYS_MANY, "--in-flight", 128),
            few=lambda: stage.load(few, "--keys", KEYS_FEW, "--in-flight", 128),
        )
    cost = {name: agent_us(results) for name, results in found.items()}
    return [
        at_most("bytes a key, 10 M keys (difference of resident memory)", f"{size:.0f} B", "",
                size, 96, "{:.0f} B"),
        at_most("CPU a decision, 10 M keys at random", us(median(cost["many"])),
                f"10,000 keys {us(median(cost['few']))}",
                median_ratio(cost["many"], cost["few"]), 3.0),
    ], {"bytes_a_key": size}


# ---- workers -------------------------------------------------------------------------------------


def row_11(sluice):
    target = ">= 1.80x"
    with measure.Stage(sluice) as stage:
        if len(measure.CORES) >= 3:
            cores = f"{measure.CORES[0]},{measure.CORES[1]}"
            loads = ",".join(map(str, measure.CORES[2:]))
        else:
            cores = loads = ",".join(map(str, measure.CORES))
        agents = {n: stage.agent(f"workers{n}", settings=f"workers: {n}", core=cores)
                  for n in (1, 2)}
        found = alternate(**{
            str(n): lambda n=n: stage.load(agents[n], "--in-flight", 128, "--connections", 8,
                                           core=loads)
            for n in agents
        })
    if len(measure.CORES) >= 3:
        one, two = per_second(found["1"]), per_second(found["2"])
        return [at_least("decisions/s, 2 workers", rate(median(two)), f"1 worker {rate(median(one))}",
                         median_ratio(two, one), 1.8)], {}
    one, two = agent_us(found["1"]), agent_us(found["2"])
    line = not_measured(
        "decisions/s, 2 workers",
        f"not measured: {len(measure.CORES)} cores, and the load needs one", target)
    line.beside = (f"CPU a decision, which shows what they cost each other: {us(median(two))} with "
                   f"2, {us(median(one))} with 1")
    line.ratio = f"({median_ratio(two, one):.2f}x)"
    return [line], {}


# ---- the program ---------------------------------------------------------------------------------


def milliseconds_to_ready(sluice, path):
    begun = time.monotonic()
    with subprocess.Popen([sluice, "serve", "-c", path], stderr=subprocess.PIPE, text=True) as agent:
        for line in agent.stderr:
            if "msg=ready" in line or 'msg="ready"' in line:
                took = time.monotonic() - begun
                resident = measure.resident_bytes(agent.pid)
                agent.terminate()
                return 1000 * took, resident
    raise stack.Failed("the agent never said that it is ready")


def row_12(sluice):
    with measure.Stage(sluice) as stage:
        stripped = stage.directory / "stripped"
        shutil.copy(sluice, stripped)
        measure.run(["strip", stripped])
        path = stage.directory / "start.yml"
        path.write_text(f"listen: unix://{stage.directory}/start.sock\n"
                        f"admin: tcp://127.0.0.1:0\nrules:{measure.rules()}")
        starts = [milliseconds_to_ready(stripped, path) for _ in range(ROUNDS)]
        size = os.path.getsize(stripped)
    return [
        at_most("the program, stripped", f"{size / 1e6:.2f} MB", "", size / 1e6, 1.0, "{:.2f} MB"),
        at_most("resident memory, idle", f"{starts[0][1] / 1e6:.1f} MB", "",
                median([resident for _, resident in starts]) / 1e6, 10.0, "{:.1f} MB"),
        at_most("start to ready", f"{median([took for took, _ in starts]):.1f} ms", "",
                median([took for took, _ in starts]), 50.0, "{:.1f} ms"),
    ], {}
