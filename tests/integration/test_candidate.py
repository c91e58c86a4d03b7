"""A candidate: other rules that are asked the same, and whose answers go nowhere but into metrics."""

import contextlib
import ipaddress
import pathlib
import re
import signal

import pytest

import fleet as fleets
import redis
import spop
import stack
from fleet import FOR_EVER, PATIENT, metrics

ADMIN = 'admin: "tcp://127.0.0.1:0"\n'


def rules(name, limit, key="src", more=""):
    """A rule file without `listen`: one limit of each key."""
    return f"""{ADMIN}{more}
rules:
  - name: {name}
    key: [ {key} ]
    limits: [ {{ limit: {limit}, window: {FOR_EVER}, algorithm: fixed-window }} ]
"""


def write(bench, name, text):
    path = pathlib.Path(bench.directory) / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text if "listen:" in text else "listen: tcp://127.0.0.1:1\n" + text)
    return path


def counts(*agents):
    """(both allow, only the candidate refuses, only those in force do, both refuse)."""
    said = [metrics(agent) for agent in agents]
    return tuple(
        sum(one.sum("sluice_candidate_decisions_total", active=active, candidate=candidate)
            for one in said)
        for active in ("allow", "refuse") for candidate in ("allow", "refuse")
    )


def wait_counts(wanted, *agents):
    stack.wait_until(lambda: sum(counts(*agents)) >= sum(wanted), f"{sum(wanted)} comparisons")
    assert counts(*agents) == wanted


def differences(agent):
    """{(who refuses, rule): how often}"""
    return {
        (labels["by"], labels["rule"]): number
        for labels, number in metrics(agent).all("sluice_candidate_differences_total")
    }


@contextlib.contextmanager
def asking(agent):
    with spop.Connection(agent.addresses()[0], timeout=stack.WAIT) as connection:
        connection.hello()
        yield lambda client=1, **more: connection.ask(
            {"src": ipaddress.ip_address(f"192.0.2.{client}"), **more})


# ---- through HAProxy -----------------------------------------------------------------------------


def test_what_the_candidate_refuses_never_reaches_a_client(bench, haproxy_binary):
    write(bench, "new/rewrite.yml", rules("tight", 3))
    agent = bench.agent(rules("wide", 1000, more="candidate: new/rewrite.yml"))
    haproxy = bench.haproxy(haproxy_binary)
    answers = [haproxy.request() for _ in range(10)]
    assert {answer.status for answer in answers} == {200}
    assert [int(re.search(r";r=(\d+)", a.headers["ratelimit"])[1]) for a in answers] == list(
        range(999, 989, -1))
    assert counts(agent) == (3, 7, 0, 0)
    assert differences(agent) == {("candidate", "tight"): 7}
    # Those in force count as if there were no candidate.
    said = metrics(agent)
    assert said.sum("sluice_decisions_total", outcome="allowed") == 10
    assert said.sum("sluice_decisions_total", outcome="refused") == 0
    assert said.sum("sluice_store_keys") == 1
    assert said.sum("sluice_candidate_skipped_total") == 0
    line = agent.wait_for_log(r'msg="the candidate differs" (.*)$')[0][1]
    assert line.startswith("active=allow active_rule=wide candidate=refuse candidate_rule=tight "
                           "subject=127.0.0.1")


def test_what_the_candidate_would_allow_is_refused(bench, haproxy_binary):
    write(bench, "rewrite.yml", rules("wide", 5))
    agent = bench.agent(rules("tight", 2, more="candidate: rewrite.yml"))
    haproxy = bench.haproxy(haproxy_binary)
    assert [haproxy.request().status for _ in range(8)] == [200] * 2 + [429] * 6
    assert counts(agent) == (2, 0, 3, 3)
    assert differences(agent) == {("active", "tight"): 3}


# ---- with Redis ----------------------------------------------------------------------------------


@pytest.fixture
def server(bench):
    with redis.Server(bench.directory) as made:
        yield made


def shared_agents(bench, server, active, candidate, count=2):
    """Agents with a candidate of one rule, over one Redis."""
    store = fleets.single(server, **PATIENT)
    address = "tcp://127.0.0.1:0"
    write(bench, "rewrite.yml", fleets.rule_file(address, store, [candidate]))
    agents = []
    for i in range(count):
        text = fleets.rule_file(address, {**store, "instance_id": f"agent{i}"}, [active])
        agents.append(bench.agent("candidate: rewrite.yml\n" + text, f"agent{i}"))
    for agent in agents:
        stack.wait_until(lambda agent=agent: fleets.connected(agent), "Redis")
    return agents


def answered_by_redis(ask, times):
    answers = [ask(api_key="k") for _ in range(times)]
    assert {answer["source"] for answer in answers} <= {"redis", "denied-cache"}
    return [answer["allow"] for answer in answers]


def wait_for_the_candidate(ask, agent):
    """Until its own connections are there. What is asked meanwhile is of another key."""
    def is_there():
        before = metrics(agent).sum("sluice_candidate_fallbacks_total")
        compared = sum(counts(agent))
        ask(api_key="other")
        stack.wait_until(lambda: sum(counts(agent)) > compared, "the candidate to answer")
        return metrics(agent).sum("sluice_candidate_fallbacks_total") == before
    stack.wait_until(is_there, "the candidate's connections")


def test_agents_share_the_counters_of_their_candidates(bench, server):
    first, second = shared_agents(bench, server, fleets.rule("wide", limit=10),
                                  fleets.rule("tight", limit=4))
    with asking(first) as ask_first, asking(second) as ask_second:
        # "other" has 10 and 4 of its own: few enough are asked.
        wait_for_the_candidate(ask_first, first)
        wait_for_the_candidate(ask_second, second)
        before = counts(first, second)
        assert answered_by_redis(ask_first, 3) == [True] * 3
        assert answered_by_redis(ask_second, 9) == [True] * 7 + [False] * 2
        wait_counts(tuple(map(sum, zip(before, (4, 6, 0, 2)))), first, second)
    keys = server.command("KEYS", "*{=k}*")
    names = sorted(re.sub(r".*\}:(.*):\d+$", r"\1", key) for key in keys)
    assert names == ["candidate:tight:fixed-window-366d", "wide:fixed-window-366d"]


def test_commands_that_redis_refuses_the_candidate_do_not_fail_those_in_force(bench, server):
    """They would open the breaker of a connection that both used."""
    server.command("ACL", "SETUSER", "default", "-eval", "-evalsha")
    active, = shared_agents(
        bench, server, fleets.rule("wide", limit=1000),
        fleets.rule("bucket", algorithm="token-bucket", on_store_error="deny"), count=1)
    with asking(active) as ask:
        assert answered_by_redis(ask, 50) == [True] * 50
    wait_counts((0, 50, 0, 0), active)
    said = metrics(active)
    assert said.sum("sluice_candidate_fallbacks_total") == 50
    assert said.sum("sluice_fallbacks_total") == 0
    assert said.sum("sluice_redis_errors_total") == 0
    assert said.sum("sluice_redis_breaker_opened_total") == 0


def test_a_drain_does_not_wait_for_the_candidate(bench, server):
    write(bench, "rewrite.yml", fleets.rule_file(
        "tcp://127.0.0.1:0", fleets.single(server, **PATIENT), [fleets.rule("slow")]))
    open_rules = fleets.rule_file("tcp://127.0.0.1:0", fleets.single(server, **PATIENT),
                                  [{"name": "open", "action": "allow"}])
    agent = bench.agent("candidate: rewrite.yml\nconnections: { drain_timeout: 1d }\n" + open_rules)
    stack.wait_until(lambda: fleets.connected(agent), "Redis")
    with asking(agent) as ask:
        wait_for_the_candidate(ask, agent)
        before = sum(counts(agent))
        server.pause()
        for _ in range(5):
            assert ask(api_key="k")["rule"] == "open"
        assert sum(counts(agent)) == before # they wait
    assert agent.stop() == 0 # which has no more patience than a test has
    assert "took too long" not in agent.log()
    server.resume()


# ---- memory --------------------------------------------------------------------------------------


def test_a_candidate_with_too_many_keys_fills_its_own_store_alone(bench):
    small = "store: { mode: memory, max_keys: 10 }\n"
    write(bench, "rewrite.yml", rules("by-path", 1000, key="path"))
    agent = bench.agent(rules("client", 1000, more="candidate: rewrite.yml\n" + small))
    with asking(agent) as ask:
        for i in range(100):
            assert ask(path=f"/{i}")["source"] == "memory"
        for client in range(2, 9):
            assert ask(client, path="/0")["source"] == "memory"
    said = metrics(agent)
    assert said.sum("sluice_store_keys") == 8
    assert said.sum("sluice_store_full_total") == 0
    assert said.sum("sluice_fallbacks_total") == 0
    assert said.sum("sluice_candidate_fallbacks_total") > 0
    assert sum(counts(agent)) == 107


# ---- reloads -------------------------------------------------------------------------------------


def reload(agent, text):
    before = fleets.reloads(agent)
    agent.reload(text)
    stack.wait_until(lambda: fleets.reloads(agent) > before, "the reload")


def candidate_rules(agent):
    return metrics(agent).sum("sluice_candidate_rules")


def test_a_reload_adds_swaps_and_removes_a_candidate(bench):
    write(bench, "rewrite.yml", rules("tight", 1))
    listen = f'listen: "unix://{bench.socket()}"\nworkers: 1\n'
    without = listen + rules("wide", 1000)
    with_one = "candidate: rewrite.yml\n" + without
    agent = bench.agent(without)
    with asking(agent) as ask:
        def ask_twice():
            assert ask()["allow"] and ask()["allow"]

        ask_twice()
        assert (candidate_rules(agent), counts(agent)) == (0, (0, 0, 0, 0))
        reload(agent, with_one)
        assert candidate_rules(agent) == 1
        agent.wait_for_log('msg="a candidate is compared with the rules" rules=1 limits=1')
        ask_twice()
        assert counts(agent) == (1, 1, 0, 0)
        # Its file is read again; its counts stay, those in force being asked on.
        write(bench, "rewrite.yml", rules("tight", 2))
        reload(agent, with_one)
        ask_twice()
        assert counts(agent) == (2, 2, 0, 0)
        write(bench, "rewrite.yml", rules("other", 2))
        reload(agent, with_one)
        ask_twice()
        assert counts(agent) == (4, 2, 0, 0)
        reload(agent, without)
        assert candidate_rules(agent) == 0
        ask_twice()
        assert counts(agent) == (4, 2, 0, 0)
        reload(agent, with_one) # and what it had counted is still there
        ask_twice()
        assert counts(agent) == (4, 4, 0, 0)
        agent.reload(without)
        agent.wait_for_log('msg="rules reloaded"', count=6)
    said = metrics(agent)
    assert said.sum("sluice_decisions_total", outcome="allowed") == 12
    assert said.sum("sluice_candidate_skipped_total") == 0
    assert differences(agent) == {("candidate", "tight"): 2, ("candidate", "other"): 2}


def test_the_option_stands_in_place_of_the_files_candidate(bench):
    given = write(bench, "elsewhere/given.yml", rules("given", 0))
    agent = bench.agent(rules("wide", 1000, more="candidate: no-such-file.yml"),
                        arguments=["--candidate", given])
    with asking(agent) as ask:
        assert ask()["allow"]
        assert differences(agent) == {("candidate", "given"): 1}
        given.write_text("listen: tcp://127.0.0.1:1\nrules: []\n")
        agent.send_signal(signal.SIGHUP)
        agent.wait_for_log('msg="a candidate is compared with the rules" rules=0')
        stack.wait_until(lambda: fleets.reloads(agent) == 1, "the reload")
        assert ask()["allow"]
        assert counts(agent) == (1, 1, 0, 0)


def test_a_reload_with_a_wrong_candidate_is_refused_whole(bench):
    path = write(bench, "rewrite.yml", rules("tight", 1))
    listen = f'listen: "unix://{bench.socket()}"\nworkers: 1\n'
    agent = bench.agent(listen + rules("wide", 1000, more="candidate: rewrite.yml"))
    path.write_text(path.read_text().replace("limits", "limts"))
    agent.reload(listen + rules("wide", 0, more="candidate: rewrite.yml").replace("key", "kay"))
    agent.wait_for_log('msg="reload failed')
    for place in (f"{agent.rules_path}:7:5: ", f"{path}:7:5: "):
        assert place in agent.log()
    with asking(agent) as ask:
        assert ask()["allow"] and ask()["allow"]
    assert counts(agent) == (1, 1, 0, 0)


# ---- validate ------------------------------------------------------------------------------------


def test_validate_looks_into_the_candidate(bench):
    path = write(bench, "new/rewrite.yml", rules("tight", 1, more="admin: x"))
    text = rules("wide", 1, more="candidate: new/rewrite.yml")
    main = write(bench, "main.yml", text.replace(FOR_EVER, "1h")) # which is warned of
    done = bench.run("validate", main)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}:3:1: key \"admin\" again in the file, expected it once")
    path.write_text("listen: :0\nrules: []\n")
    done = bench.run("validate", main)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (f"{main}: ok, 1 rules, 1 limits, 1 arguments\n"
                           f"{main}: its candidate is ok, 0 rules, 0 limits, 0 arguments\n")
    path.write_text("listen: :0\nrules: []\ncandidate: ../main.yml\n")
    done = bench.run("validate", main)
    assert done.stderr.startswith(
        f"{path}:3:12: candidate in a file that is one itself, expected it in the file in force "
        "alone\n")
    path.unlink()
    done = bench.run("validate", main)
    assert done.stderr.startswith(
        f"{main}:3:12: candidate is \"new/rewrite.yml\": No such file or directory, expected a file "
        "that can be read\n")
    # Who doesn't use it doesn't need it.
    log = write(bench, "log.json", '{"time": "2026-01-02T03:04:05Z", "src": "192.0.2.1"}\n')
    assert bench.run("replay", main, "--log", log, "--format", "json").returncode == 0
    # Who does says the same of it.
    assert bench.run("explain", main, "src=192.0.2.1").stderr == done.stderr.splitlines(True)[0]
