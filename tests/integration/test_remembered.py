"""Refusals that HAProxy remembers: the lines with `#+` of the shipped configurations."""

import collections
import json
import re
import time

import stack
from test_lifecycle import metric

# As the comment of the shipped files says.
TAKEN_IN = [("#+ ", "")]
NAMED = [("    #   http-request set-var(txn.sluice.rule)", "    http-request set-var(txn.sluice.rule)"),
         ("    #   http-request set-var(txn.sluice.source)",
          "    http-request set-var(txn.sluice.source)")]

HAMMERED = "192.0.2.7"


def rules(*added, limit=2, window="1h", store=""):
    client = {"name": "client", "match": {"path": {"prefix": "/api/"}}, "key": ["src/64"],
              "limits": [{"limit": limit, "window": window, "algorithm": "sliding-log"}]}
    return f"admin: tcp://127.0.0.1:0\n{store}rules: {json.dumps([*added, client])}\n"


def start(bench, binary, text):
    agent = bench.agent(text)
    return agent, bench.haproxy(binary, config_edits=[*TAKEN_IN, *NAMED])


def ask(haproxy, client=HAMMERED, path="/api/orders", method="GET"):
    return stack.request(haproxy.proxied_port, path, method, claimed=client)


def refused(agent):
    return metric(agent, 'sluice_decisions_total{outcome="refused"}')


def logged(haproxy, count):
    """[(status, path, rule, source), ...] of so many requests, in no order: threads log for
    themselves."""
    lines = haproxy.wait_for_log(
        r" (\d{3}) \d+ .*\"\S+ (\S+) HTTP/1.1\" rule=(\S+) source=(\S+) .*error=(\S+) id=", count=count)
    assert len(lines) == count
    assert {line[5] for line in lines} == {"-"}
    return [line.groups()[:4] for line in lines]


def count_logged(haproxy, count):
    """{(status, rule, source): how many} of so many requests."""
    return collections.Counter((status, rule, source)
                               for status, _, rule, source in logged(haproxy, count))


def test_a_flood_is_refused_without_asking(bench, haproxy_binary):
    agent, haproxy = start(bench, haproxy_binary, rules())
    answers = [ask(haproxy) for _ in range(32)]
    assert [answer.status for answer in answers] == [200] * 2 + [429] * 30
    assert refused(agent) == 1
    assert {answer.body for answer in answers[2:]} == {"Too many requests, by the rule client.\n"}
    waits = [int(answer.headers["retry-after"]) for answer in answers[2:]]
    assert all(3500 < wait <= 3601 for wait in waits)

    # Others are asked about, and so is what the rule doesn't match.
    assert [ask(haproxy, client="192.0.2.8").status for _ in range(3)] == [200, 200, 429]
    assert ask(haproxy, path="/elsewhere").status == 200
    assert refused(agent) == 2
    assert ask(haproxy, client="192.0.2.8").status == 429
    assert refused(agent) == 2
    assert count_logged(haproxy, 37) == {
        ("200", "client", "memory"): 4,
        ("429", "client", "memory"): 2,
        ("429", "client", "haproxy"): 30,
        ("200", "-", "-"): 1,
    }


def test_the_log_tells_who_refused(bench, haproxy_binary):
    bench.agent(rules(limit=0))
    haproxy = bench.haproxy(haproxy_binary, config_edits=TAKEN_IN)
    assert [ask(haproxy).status for _ in range(3)] == [429] * 3
    lines = haproxy.wait_for_log(r" 429 \d+ - - (\S+) .*rule=(\S+) source=(\S+) .*error=- ", count=3)
    assert sorted(line.groups() for line in lines) == [
        ("LR--", "-", "-"), ("LR--", "-", "-"), ("PR--", "client", "memory")]


def test_who_counts_as_one_is_remembered_as_one(bench, haproxy_binary):
    agent, haproxy = start(bench, haproxy_binary, rules())
    of_one = ["2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:2::3", "2001:db8:1:2::4"]
    assert [ask(haproxy, client).status for client in of_one] == [200, 200, 429, 429]
    assert refused(agent) == 1
    assert ask(haproxy, "2001:db8:1:3::1").status == 200


def test_it_is_asked_again_when_the_time_has_come(bench, haproxy_binary):
    """Neither before, nor is anything refused that the agent would allow: all that is remembered
    is refused within the time from the unit's take until it comes free."""
    agent, haproxy = start(bench, haproxy_binary, rules(limit=1, window="3s"))
    before = time.monotonic()
    assert ask(haproxy).status == 200
    after = time.monotonic()

    begun = []

    def again():
        begun.append(time.monotonic())
        return ask(haproxy, path=f"/api/{len(begun)}").status == 200

    stack.wait_until(again, "the client to be let in again")
    assert time.monotonic() - before >= 3
    source_of = {path: source for _, path, _, source in logged(haproxy, 1 + len(begun))}
    remembered = [at for number, at in enumerate(begun, 1)
                  if source_of[f"/api/{number}"] == "haproxy"]
    assert remembered and remembered[-1] < after + 3
    assert refused(agent) == len(begun) - 1 - len(remembered)


def test_it_is_asked_now_and_then_however_long_the_flood(bench, haproxy_binary):
    agent = bench.agent(rules())
    haproxy = bench.haproxy(haproxy_binary, config_edits=[*TAKEN_IN, ("expire 1m", "expire 1s")])
    asked = 0

    def asked_again():
        nonlocal asked
        asked += 1
        return ask(haproxy).status == 429 and refused(agent) == 3

    stack.wait_until(asked_again, "a third question about who is refused")
    assert asked > 5


def test_agents_with_clocks_of_their_own(bench, haproxy_binary):
    agent = bench.agent(rules())
    haproxy = bench.haproxy(haproxy_binary, config_edits=[
        *TAKEN_IN,
        ("    http-request send-spoe-group", "    http-request set-var(txn.now) date\n"
         "    http-request send-spoe-group"),
        ("    http-request sc-set-gpt(0,0) var(txn.sluice.retry_at)",
         "    http-request set-var(txn.until) var(txn.now),add(txn.sluice.retry_after) "
         "if { sc0_tracked }\n"
         "    http-request sc-set-gpt(0,0) var(txn.until)"),
    ])
    answers = [ask(haproxy) for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 2 + [429] * 4
    assert refused(agent) == 1
    assert all(3500 < int(answer.headers["retry-after"]) <= 3601 for answer in answers[2:])


def test_refusals_by_other_rules_are_not_remembered(bench, haproxy_binary):
    """They say nothing of the client's other requests."""
    login = {"name": "login", "match": {"path": "/api/login"}, "key": ["src/64"],
             "limits": [{"limit": 0, "window": "1h"}]}
    agent, haproxy = start(bench, haproxy_binary, rules(login))
    assert [ask(haproxy, path="/api/login").status for _ in range(3)] == [429] * 3
    assert refused(agent) == 3
    assert [ask(haproxy).status for _ in range(3)] == [200, 200, 429]


def test_refusals_for_want_of_a_store_are_not_remembered(bench, haproxy_binary):
    """It may be back at any moment."""
    store = ('store: { mode: single, nodes: [ "127.0.0.1:1" ] }\n'
             "defaults: { on_store_error: deny }\n")
    agent, haproxy = start(bench, haproxy_binary, rules(store=store))
    assert [ask(haproxy).status for _ in range(3)] == [429] * 3
    assert refused(agent) == 3
    assert count_logged(haproxy, 3) == {("429", "client", "fallback"): 3}


# ---- a request's name ----------------------------------------------------------------------------


def test_a_request_has_one_name_everywhere(bench, haproxy_binary):
    """In HAProxy's log, in what the application is sent, and in the answer; none of the client's."""
    bench.agent(rules())
    haproxy = bench.haproxy(haproxy_binary)
    answers = [stack.request(haproxy.port, "/api/orders", headers={"X-Request-ID": "forged"})
               for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    names = [answer.headers["x-request-id"] for answer in answers]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name) for name in names)
    lines = haproxy.wait_for_log(
        r" (\d{3}) \d+ .*rule=client source=memory remaining=(\d+) shadow=- error=- id=(\S+)$",
        count=3)
    assert {line.groups() for line in lines} == {
        ("200", "1", names[0]), ("200", "0", names[1]), ("429", "0", names[2])}
    assert [headers.get_all("X-Request-ID") for headers in bench.api().headers] == [
        [name] for name in names[:2]]


def test_the_name_is_given_by_a_proxy_before(bench, haproxy_binary):
    bench.agent(rules())
    haproxy = bench.haproxy(haproxy_binary, config_edits=[
        ("%[uuid()]", "%[req.hdr(x-request-id)]"),
        ("    unique-id-header X-Request-ID\n    http-request del-header X-Request-ID\n", ""),
    ])
    answer = haproxy.request(headers={"X-Request-ID": "given"})
    assert answer.headers["x-request-id"] == "given"
    haproxy.wait_for_log(" id=given$")
    assert bench.api().headers[0].get_all("X-Request-ID") == ["given"]


def test_one_refused_request_is_found_in_both_logs(bench, haproxy_binary):
    agent = bench.agent("denial_log: 1000\n" + rules(limit=0))
    haproxy = bench.haproxy(haproxy_binary)
    names = [ask(haproxy, client).headers["x-request-id"] for client in (HAMMERED, "192.0.2.8")]
    assert len(set(names)) == 2
    told = agent.wait_for_log(r'msg="request refused" rule=client .*subject=(\S+) request_id=(\S+)',
                              count=2)
    assert {line.groups() for line in told} == set(zip((HAMMERED, "192.0.2.8"), names))
    lines = haproxy.wait_for_log(r"^(\S+):\d+ .* 429 .* rule=client .* id=(\S+)$", count=2)
    assert {line.groups() for line in lines} == set(zip((HAMMERED, "192.0.2.8"), names))


def test_what_a_trial_would_refuse_is_in_the_log(bench, haproxy_binary):
    trial = {"name": "trial", "mode": "shadow", "key": ["src"],
             "limits": [{"limit": 1, "window": "1h"}]}
    bench.agent(rules(trial))
    haproxy = bench.haproxy(haproxy_binary)
    assert [haproxy.request().status for _ in range(2)] == [200] * 2
    lines = haproxy.wait_for_log(r"rule=client source=memory remaining=(\d+) shadow=(\S+) ", count=2)
    assert {line.groups() for line in lines} == {("1", "-"), ("0", "trial")}
