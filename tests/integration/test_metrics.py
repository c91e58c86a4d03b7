"""What /metrics says is what happened, in a form that Prometheus has nothing to say against."""

import os
import pathlib
import subprocess

import pytest

import fleet as fleets
import redis
import spop
import stack
from fleet import PATIENT, Fleet, metrics, rule
from test_lifecycle import ASK

RULES = """
listen: tcp://127.0.0.1:0
admin: tcp://127.0.0.1:0
connections: { max: MAX }
rules:
  - { name: probes, match: { path: /health }, action: allow }
  - { name: client, key: src, limits: { limit: 3, window: 1h, algorithm: sliding-log } }
"""


def rules(connections=100):
    return RULES.replace("MAX", str(connections))


def check_form(said):
    """By Prometheus's own tool, and what that doesn't look at."""
    linted = subprocess.run(["promtool", "check", "metrics"], input=said.text, text=True,
                            capture_output=True, timeout=stack.WAIT)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")
    names = {(name, *sorted(pairs.items())) for name, pairs, _ in said.samples}
    assert len(names) == len(said.samples)


def check_durations(said, name, number, **labels):
    """As many as that, the buckets ascending to all of them."""
    buckets = [count for _, count in said.all(name + "_bucket", **labels)]
    assert buckets == sorted(buckets) and len(buckets) == 18
    assert said.sum(name + "_count", **labels) == buckets[-1] == number
    assert (said.sum(name + "_sum", **labels) > 0) == (number > 0)


def metrics_after(agent, **counts):
    """Once histograms count as many (None: as commands were sent): a decision at the end of the turn
    that answers it, a command when it is answered."""
    def settled():
        said = metrics(agent)
        return said if all(said.sum(f"sluice_{name}_duration_seconds_count") == (
            said.sum("sluice_redis_commands_total") if count is None else count)
            for name, count in counts.items()) else None

    return stack.wait_until(settled, f"all to be measured: {counts}")


def source(said, name, outcome):
    return said.sum("sluice_decisions_by_source_total", source=name, outcome=outcome)


# ---- one agent -----------------------------------------------------------------------------------


def test_decisions_by_source_and_how_long_they_took(bench):
    agent = bench.agent(rules())
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        for _ in range(7):
            connection.ask(ASK)
        connection.ask({**ASK, "path": "/health"})
        said = metrics_after(agent, decision=8)
    check_form(said)
    assert source(said, "memory", "allowed") == 3
    assert source(said, "memory", "refused") == 4
    assert source(said, "none", "allowed") == 1
    assert said.sum("sluice_decisions_by_source_total") == said.sum("sluice_decisions_total") == 8
    check_durations(said, "sluice_decision_duration_seconds", 8)


def test_the_process(bench):
    agent = bench.agent(rules())
    first = metrics(agent)
    assert first.sum("process_max_fds") >= first.sum("process_open_fds")
    open_fds = len(os.listdir(f"/proc/{agent.pid}/fd"))
    # The admin server may still hold the connection that the first question came on.
    assert abs(first.sum("process_open_fds") - open_fds) <= 1
    assert first.sum("process_virtual_memory_bytes") >= first.sum("process_resident_memory_bytes") > 0
    started = os.stat(f"/proc/{agent.pid}").st_ctime
    assert abs(first.sum("process_start_time_seconds") - started) < 5
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        for _ in range(1000):
            connection.ask(ASK)
    assert metrics(agent).sum("process_cpu_seconds_total") > first.sum("process_cpu_seconds_total")


HIDE = "mount -t proc -o subset=pid proc /proc && exec"


def test_the_process_where_proc_has_nothing_but_processes(bench):
    """As the packaged unit has it: ProcSubset=pid."""
    tried = subprocess.run(["unshare", "-m", "sh", "-c", HIDE + " true"], text=True,
                           capture_output=True, timeout=stack.WAIT)
    if tried.returncode != 0:
        pytest.skip(f"no /proc without its other files can be had here: {tried.stderr.strip()}")
    program = f"{bench.directory}/hidden"
    with open(program, "w") as file:
        file.write(f"#!/bin/sh\nexec unshare -m sh -c '{HIDE} \"$0\" \"$@\"' {bench.sluice} \"$@\"\n")
    os.chmod(program, 0o755)
    bench.sluice = program
    agent = bench.agent(rules())
    said = metrics(agent)
    started = os.stat(f"/proc/{agent.pid}").st_ctime
    assert abs(said.sum("process_start_time_seconds") - started) < 5
    assert said.sum("process_open_fds") > 0 and said.sum("process_resident_memory_bytes") > 0


def test_the_rule_file_and_its_reloads(bench):
    agent = bench.agent(rules())
    said = metrics(agent)
    assert said.sum("sluice_reload_last_successful") == 1
    assert said.sum("sluice_connections_max") == 100
    loaded = said.sum("sluice_rules_loaded_timestamp_seconds")
    assert said.sum("sluice_rules_file_timestamp_seconds") <= loaded

    agent.reload(rules("many"))
    stack.wait_until(lambda: metrics(agent).sum("sluice_reloads_total", result="failed") == 1,
                     "the reload to fail")
    os.utime(agent.rules_path, (loaded + 60, loaded + 60))
    said = metrics(agent)
    assert said.sum("sluice_reload_last_successful") == 0
    assert said.sum("sluice_connections_max") == 100
    assert said.sum("sluice_rules_loaded_timestamp_seconds") == loaded
    assert said.sum("sluice_rules_file_timestamp_seconds") == loaded + 60

    agent.reload(rules(101))
    stack.wait_until(lambda: metrics(agent).sum("sluice_connections_max") == 101, "the reload")
    assert metrics(agent).sum("sluice_reload_last_successful") == 1
    os.unlink(agent.rules_path)
    assert "sluice_rules_file_timestamp_seconds" not in metrics(agent).text


def test_a_file_that_the_rule_file_reads_and_its_change(bench):
    """Of `include` and of `in_file`; what else is in the folder isn't looked at."""
    folder = pathlib.Path(bench.directory) / "rules.d"
    folder.mkdir()
    (folder / "more.yml").write_text(
        "rules: [ { name: b, match: { a: { in_file: values } }, action: deny } ]\n")
    (folder / "values").write_text("x\n")
    agent = bench.agent("""
admin: tcp://127.0.0.1:0
include: rules.d/*.yml
rules: [ { name: a, action: deny } ]
""")
    loaded = int(metrics(agent).sum("sluice_rules_loaded_timestamp_seconds"))
    for later, name in enumerate(("more.yml", "values"), start=60):
        os.utime(folder / name, (loaded + later, loaded + later))
        assert metrics(agent).sum("sluice_rules_file_timestamp_seconds") == loaded + later
    (folder / "other.txt").write_text("")
    os.utime(folder / "other.txt", (loaded + 100, loaded + 100))
    assert metrics(agent).sum("sluice_rules_file_timestamp_seconds") == loaded + 61


def test_regular_expressions_given_up(bench):
    agent = bench.agent("""
admin: tcp://127.0.0.1:0
rules: [ { name: a, match: { path: { regex: "^a" } }, action: deny } ]
""")
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()
        for path in ("a" * 8192, "a" * 8193, "a" * 8193):
            connection.ask({"path": path})
        assert metrics(agent).sum("sluice_regex_overruns_total") == 2


# ---- with Redis ----------------------------------------------------------------------------------


@pytest.fixture
def server(bench):
    with redis.Server(bench.directory) as made:
        yield made


def test_sources_and_commands_of_a_shared_store(bench, server):
    fleet = Fleet(bench, fleets.single(server, **PATIENT), [rule(limit=5)], agents=1)
    agent = fleet.agents[0]
    fleet.ask("a", times=8)
    said = metrics_after(agent, decision=8, redis_command=None)
    check_form(said)
    assert source(said, "redis", "allowed") == 5
    assert source(said, "redis", "refused") + source(said, "denied-cache", "refused") == 3
    assert source(said, "denied-cache", "refused") >= 2
    check_durations(said, "sluice_decision_duration_seconds", 8)
    check_durations(said, "sluice_redis_command_duration_seconds",
                    said.sum("sluice_redis_commands_total"), shard=server.address)
    assert said.sum("sluice_redis_max_keys") >= 1000000
    assert said.sum("sluice_agents") == 1


def test_coalescing(bench, server):
    """Many questions about one key that come at once are few to Redis."""
    fleet = Fleet(bench, fleets.single(server, **PATIENT), [rule(limit=100000)], agents=1)
    fleet.load(requests=20_000, keys=1, connections=1, in_flight=200).result().check_answered()
    said = metrics(fleet.agents[0])
    takes = said.sum("sluice_redis_takes_total", by="redis")
    assert takes == source(said, "redis", "allowed") == 20_000
    assert takes / said.sum("sluice_redis_calls_total", kind="take") > 10


def test_leases_held_and_given_back(bench, server):
    """What was charged ahead is spent, or comes back."""
    fleet = Fleet(bench, fleets.single(server, **PATIENT),
                  [rule(limit=10_000_000, consistency="leased")], agents=1)
    agent = fleet.agents[0]
    load = fleet.load(requests=100_000_000, keys=2)
    fleet.wait_metric("sluice_redis_leases", lambda held: held > 0, "a lease")
    fleet.wait_metric("sluice_redis_leased_units", lambda held: held > 0, "units of it")
    load.stop().check_answered()
    fleet.wait_metric("sluice_redis_leases", lambda held: held == 0, "leases to end")
    said = metrics(agent)
    assert said.sum("sluice_redis_leased_units") == 0
    spent = said.sum("sluice_redis_takes_total", by="lease")
    unspent = said.sum("sluice_redis_lease_units_unspent_total")
    assert spent > 0 and unspent > 0
    assert said.sum("sluice_redis_lease_units_total") == spent + unspent
    # Those that had come to wait for Redis were asked of it, and got some of what came for a lease.
    assert source(said, "lease", "allowed") >= spent


def test_breakers_open_and_close(bench, server):
    breaker = {"failures": 2, "within": "10s", "pause": "100ms", "max_pause": "100ms"}
    fleet = Fleet(bench, fleets.single(server, connect_timeout="10s", breaker=breaker),
                  [rule(limit=5)], agents=1, workers=1)

    def transitions(state):
        return fleet.total("sluice_redis_breaker_transitions_total", state=state)

    server.kill()
    stack.wait_until(lambda: transitions("open") >= 2 and transitions("half-open") >= 1,
                     "a probe in vain")
    assert transitions("closed") == 0
    fleet.ask("a", times=6)
    said = metrics(fleet.agents[0])
    check_form(said)
    assert source(said, "fallback", "allowed") == 5
    assert source(said, "fallback", "refused") == 1
    server.start()
    stack.wait_until(lambda: transitions("closed") == 1, "the breaker to close")
    assert transitions("open") == transitions("half-open")


def test_agents_that_come_and_go(bench, server):
    """Each change is a line of the log."""
    fleet = Fleet(bench, fleets.single(server, heartbeat="200ms", **PATIENT), [rule()], agents=1)
    first = fleet.agents[0]
    second = fleet.add()
    fleet.wait_metric("sluice_agents", lambda number: number == 2, "both to be counted")
    first.wait_for_log("agents that share the limits.* agents=2 before=1$")
    second.stop()
    fleet.wait_metric("sluice_agents", lambda number: number == 1, "the other to be gone")
    first.wait_for_log("agents that share the limits.* agents=1 before=2$")
