"""HAProxy reloads and agent restarts under load."""

import re
import signal

import stack
from conftest import killed
from load import Load
from test_http import FAIL_CLOSED

RULES = """
rules:
  - name: client
    key: [ src/64 ]
    limits: [ { limit: 1000000, window: 1d, burst: 1000000, algorithm: token-bucket } ]
"""


def decided(answers):
    return [answer for answer in answers if "ratelimit" in answer.headers]


def test_haproxy_reload_under_load_fails_no_decision(bench, haproxy_binary):
    bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary, master=True)
    # The worker serves before the master can be told to reload.
    haproxy.wait_for_log(r"Loading success")
    load = Load(haproxy.port)
    try:
        load.wait_for(100)
        for reloads in range(1, 4):
            haproxy.send_signal(signal.SIGUSR2)
            haproxy.wait_for_log(r"Loading success", count=reloads + 1)
            load.wait_for(100)
    finally:
        answers = load.stop()
    assert {answer.status for answer in answers} == {200}
    assert len(decided(answers)) == len(answers)
    # Every request was charged, and none twice. (The bucket refills 11.6 a second: what the load
    # took is at least what is missing.)
    left = int(re.search(r";r=(\d+)", haproxy.request().headers["ratelimit"])[1])
    assert 1000000 - left <= len(answers) + 1
    assert len(set(re.search(r";r=(\d+)", a.headers["ratelimit"])[1] for a in answers)) > 1
    haproxy.stop()
    assert not re.search(r"SPOE: ", haproxy.log())


def test_restart_of_one_of_two_agents_under_load(bench, haproxy_binary):
    names = ("first", "second")
    agents = {name: bench.agent(RULES, name) for name in names}
    haproxy = bench.haproxy(haproxy_binary, [f"unix@{bench.socket(name)}" for name in names])
    load = Load(haproxy.port)
    try:
        load.wait_for(100)
        for name in names:
            assert agents[name].stop() == 0
            load.wait_for(50)
            agents[name] = bench.agent(RULES, name)
            stack.wait_until(
                lambda: all(haproxy.server_states().values()), "both agents to be up"
            )
            load.wait_for(50)
    finally:
        answers = load.stop()
    # Nobody notices: the other agent is there. What was on its way into a closing connection is
    # the exception, at most one question of each thread and restart.
    assert {answer.status for answer in answers} == {200}
    assert len(answers) - len(decided(answers)) <= 2 * len(load.threads)


def test_restart_of_the_only_agent_under_load(bench, haproxy_binary):
    agent = bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary, patience="2s")
    load = Load(haproxy.port)
    try:
        load.wait_for(100)
        assert agent.stop() == 0
        load.wait_for(20)
        bench.agent(RULES)
        stack.wait_until(lambda: all(haproxy.server_states().values()), "the agent to be up")
        back = load.count()
        load.wait_for(200)
    finally:
        answers = load.stop()
    # Fail open: every request was served, limited or not, ...
    assert {answer.status for answer in answers} == {200}
    # ... and once the agent is back, all are decided again but those that were already waiting.
    assert len(answers[back:]) - len(decided(answers[back:])) <= len(load.threads)


def test_kill_of_one_of_two_agents_under_load(bench, haproxy_binary):
    names = ("first", "second")
    agents = {name: bench.agent(RULES, name) for name in names}
    haproxy = bench.haproxy(haproxy_binary, [f"unix@{bench.socket(name)}" for name in names])
    load = Load(haproxy.port)
    try:
        load.wait_for(100)
        killed(agents["first"])
        load.wait_for(300)
    finally:
        answers = load.stop()
    assert {answer.status for answer in answers} == {200}
    # Those in its hands were lost, and those that its sockets still took.
    undecided = len(answers) - len(decided(answers))
    assert undecided <= 2 * len(load.threads)


def test_restart_under_load_fail_closed_refuses_meanwhile(bench, haproxy_binary):
    agent = bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary, patience="2s", config_edits=[FAIL_CLOSED])
    load = Load(haproxy.port)
    try:
        load.wait_for(50)
        assert agent.stop() == 0
        load.wait_for(50)
        bench.agent(RULES)
        stack.wait_until(lambda: all(haproxy.server_states().values()), "the agent to be up")
        load.wait_for(50)
    finally:
        answers = load.stop()
    # Served with a decision, or refused without one: nothing slips through.
    for answer in answers:
        assert (answer.status == 200) == ("ratelimit" in answer.headers)
        assert answer.status in (200, 503)
    assert {answer.status for answer in answers} == {200, 503}
