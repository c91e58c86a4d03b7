"""Rules that are checked at the request and charged at the response; and those that penalise."""

import re
import time

import pytest

import fleet as fleets
import redis
import spop
import stack
from fleet import PATIENT, Fleet
from test_tcp import banner_port, greeting  # noqa: F401

CLIENT = "192.0.2.7"

# As the comments of the shipped files say.
CONFIG_EDITS = [
    ("    #   http-request set-var(txn.sluice_path) path\n",
     "    http-request set-var(txn.sluice_path) path\n"),
    ("    #   http-response send-spoe-group sluice sluice-response\n",
     "    http-response send-spoe-group sluice sluice-response\n"),
]
MESSAGE = [
    ("# spoe-message sluice-response\n#     args src=src",
     "spoe-message sluice-response\n    args src=src"),
]
SPOE_EDITS = [
    ("    groups sluice-request\n", "    groups sluice-request sluice-response\n"),
    *MESSAGE,
    ("# spoe-group sluice-response\n#     messages sluice-response\n",
     "spoe-group sluice-response\n    messages sluice-response\n"),
]
# The other form: both messages are sent by events, and no rule of HAProxy asks.
EVENT_CONFIG_EDITS = [
    CONFIG_EDITS[0],
    ("    http-request send-spoe-group sluice sluice-request\n", ""),
]
EVENT_SPOE_EDITS = [
    ("    groups sluice-request\n", "    messages sluice-request sluice-response\n"),
    ("    # event on-frontend-http-request\n", "    event on-frontend-http-request\n"),
    *MESSAGE,
    ("path=var(txn.sluice_path)\n#\n# spoe-group sluice-response\n#     messages sluice-response\n",
     "path=var(txn.sluice_path)\n    event on-http-response\n"),
]

LOGIN = {
    "name": "login",
    "message": "sluice-request",
    "match": {"path": "/login", "method": "POST"},
    "key": ["src/64"],
    "limits": [{"limit": 3, "window": "1d", "algorithm": "sliding-log"}],
    "charge": {"message": "sluice-response",
               "match": {"path": "/login", "status": {"in": [401, 403]}}},
}


def rules_text(*rules):
    return "rules: " + fleets.json.dumps(rules) + "\n"


def login(haproxy, answer, client=CLIENT, path="/login"):
    """(status, what is left) of an attempt that the application would answer so."""
    got = stack.request(haproxy.proxied_port, path, "POST", claimed=client,
                        headers={"X-Answer": str(answer)})
    left = re.match(r'"login";r=(\d+)', got.headers.get("ratelimit", ""))
    return got.status, int(left[1]) if left else None


# ---- in an agent's memory -------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["group", "event"])
def test_only_failed_logins_count(bench, haproxy_binary, form):
    bench.agent(rules_text(LOGIN))
    config, spoe = ((CONFIG_EDITS, SPOE_EDITS) if form == "group"
                    else (EVENT_CONFIG_EDITS, EVENT_SPOE_EDITS))
    haproxy = bench.haproxy(haproxy_binary, config_edits=config, spoe_edits=spoe)

    # Each is told what was left when it was checked.
    assert [login(haproxy, 200) for _ in range(5)] == [(200, 3)] * 5
    assert [login(haproxy, answer) for answer in (401, 200, 403, 404, 500)] == [
        (401, 3), (200, 2), (403, 2), (404, 1), (500, 1)]
    # What fails elsewhere, or another's, is not counted.
    assert login(haproxy, 401, path="/api/orders") == (401, None)
    assert login(haproxy, 401, client="192.0.2.8") == (401, 3)
    assert login(haproxy, 401) == (401, 1)
    served = bench.api().count()
    assert [login(haproxy, answer) for answer in (200, 401, 401)] == [(429, 0)] * 3
    assert bench.api().count() == served
    assert login(haproxy, 200, client="192.0.2.8") == (200, 2)
    log = haproxy.wait_for_log(r"rule=\S+ source=\S+ .* error=(\S+) id=", count=17)
    assert {match[1] for match in log} == {"-"}


def test_a_request_without_a_response_is_not_charged(bench, haproxy_binary):
    """Whether the application gives none, or the client doesn't wait for it."""
    charge = {"message": "sluice-response", "match": {"path": "/login"}}
    bench.agent(rules_text({**LOGIN, "charge": charge}))
    haproxy = bench.haproxy(haproxy_binary, config_edits=CONFIG_EDITS, spoe_edits=SPOE_EDITS)
    assert [login(haproxy, "none") for _ in range(6)] == [(502, 3)] * 6
    assert [login(haproxy, 200) for _ in range(4)] == [(200, 3), (200, 2), (200, 1), (429, 0)]


def test_a_response_costs_what_it_says(bench, haproxy_binary):
    """100 bytes a client, by what was sent: who has one left gets one more answer, of any size."""
    bytes_rule = {
        "name": "bytes",
        "message": "sluice-request",
        "key": ["src"],
        "limits": [{"limit": 100, "window": "1d", "algorithm": "fixed-window"}],
        "cost": {"arg": "size", "default": 1},
        "charge": {"message": "sluice-response"},
    }
    with redis.Server(bench.directory) as server:
        fleet = Fleet(bench, fleets.single(server, **PATIENT), [bytes_rule], agents=2)
        haproxies = [
            bench.haproxy(haproxy_binary, [f"unix@{bench.socket(agent.name)}"],
                          config_edits=CONFIG_EDITS, name=f"haproxy-{agent.name}",
                          spoe_edits=[*SPOE_EDITS, ("status=status", "size=res.hdr(content-length)")])
            for agent in fleet.agents
        ]
        answers = []
        for i in range(8):
            haproxy = haproxies[i % 2]
            answers.append(stack.request(haproxy.proxied_port, "/" + "x" * 15, claimed=CLIENT))
        # 13 bytes and its path are a body's: 30 each, and of the fourth 10 are left.
        assert [int(answer.headers["content-length"]) for answer in answers[:4]] == [30] * 4
        assert [answer.status for answer in answers] == [200] * 4 + [429] * 4
        left = [re.match(r'"bytes";r=(\d+)', answer.headers["ratelimit"])[1] for answer in answers]
        assert left == ["100", "70", "40", "10", "0", "0", "0", "0"]


def test_requests_responses_and_connections_side_by_side(bench, haproxy_binary, banner_port):
    """Three messages, to one agent: each meets its own rules."""
    connections = {"name": "connections", "message": "sluice-connection", "key": ["src/64"],
                   "limits": [{"limit": 3, "window": "1d", "algorithm": "sliding-log"}]}
    answered = {"name": "answered", "message": "sluice-response", "match": {"status": 401},
                "key": ["src/64"],
                "limits": [{"limit": 100, "window": "1d", "algorithm": "sliding-log"}]}
    agent = bench.agent("admin: tcp://127.0.0.1:0\n" + rules_text(LOGIN, answered, connections))
    haproxy = bench.haproxy(haproxy_binary, config_edits=CONFIG_EDITS, spoe_edits=SPOE_EDITS,
                            tcp_backend_port=banner_port)
    here = "127.0.0.1"
    seen = []
    for _ in range(5):
        seen.append((login(haproxy, 401, client=here)[0], greeting(haproxy.tcp_port) != b""))
    assert seen == [(401, True)] * 3 + [(429, False)] * 2
    said = fleets.metrics(agent)
    outcomes = {(labels["rule"], labels["outcome"]): number
                for labels, number in said.all("sluice_rule_decisions_total") if number}
    assert outcomes["login", "refused"] == 2 and outcomes["login", "allowed"] == 3
    assert outcomes["connections", "refused"] == 2 and outcomes["connections", "allowed"] == 3
    assert outcomes["answered", "allowed"] == 3 and ("answered", "refused") not in outcomes


# ---- shared ---------------------------------------------------------------------------------------


@pytest.fixture
def server(bench):
    with redis.Server(bench.directory) as made:
        yield made


def two_sites(bench, binary, store, rules):
    """Two HAProxies, each with an agent of its own, that share a store. One worker each: what refused
    a request is told alike by those who remember it and those who ask, only then."""
    fleet = Fleet(bench, store, rules, agents=2, workers=1)
    return fleet, [
        bench.haproxy(binary, [f"unix@{bench.socket(agent.name)}"], config_edits=CONFIG_EDITS,
                      spoe_edits=SPOE_EDITS, name=f"haproxy-{agent.name}")
        for agent in fleet.agents
    ]


def test_failed_logins_count_wherever_they_fail(bench, haproxy_binary, server):
    _, (here, there) = two_sites(bench, haproxy_binary, fleets.single(server, **PATIENT), [LOGIN])
    assert [login(here, answer) for answer in (200, 401, "none")] == [(200, 3), (401, 3), (502, 2)]
    assert [login(there, answer) for answer in (200, 403)] == [(200, 2), (403, 2)]
    assert login(here, 401) == (401, 1)
    assert [login(site, answer) for site in (here, there) for answer in (200, 401)] == [
        (429, 0)] * 4
    assert [login(site, 200, client="192.0.2.8") for site in (here, there)] == [(200, 3)] * 2
    # Who has failed nowhere has no key.
    keys = [key for key in server.keys() if "login" in key]
    assert keys == ["sluice:{192.0.2.7}:login:sliding-log-1d:log"]


PENALTY = {
    "name": "login",
    "message": "sluice-request",
    "key": ["src/64"],
    "limits": [{"limit": 2, "window": "1s", "algorithm": "token-bucket"}],
}
FOR_LONG = {"after": 3, "within": "1h", "for": "1h"}


def penalise(haproxy, client=CLIENT):
    """Asks until that brings a penalty, which is longer than the limit's own wait."""
    def refused_for_long():
        answer = stack.request(haproxy.proxied_port, "/", claimed=client)
        return answer.status == 429 and int(answer.headers["retry-after"]) > 1

    stack.wait_until(refused_for_long, "the penalty", interval=0)


def test_who_is_refused_often_here_is_refused_for_long_there(bench, haproxy_binary, server):
    fleet, (here, there) = two_sites(bench, haproxy_binary, fleets.single(server, **PATIENT),
                                     [{**PENALTY, "penalty": FOR_LONG}])
    answer = stack.request(there.proxied_port, "/", claimed=CLIENT)
    assert (answer.status, answer.headers["ratelimit"]) == (200, '"login";r=1;t=1')
    penalise(here)
    for site in (there, here, there):
        answer = stack.request(site.proxied_port, "/", claimed=CLIENT)
        assert answer.status == 429
        assert answer.body == "Too many requests, by the rule login.\n"
        assert 3000 < int(answer.headers["retry-after"]) <= 3600
        assert answer.headers["ratelimit"].startswith('"login-penalty";r=0;t=3')
        assert answer.headers["ratelimit-policy"] == '"login-penalty";q=1;w=3600'
    for site in (here, there):
        assert stack.request(site.proxied_port, "/", claimed="192.0.2.8").status == 200
    assert fleet.total("sluice_penalties_total") == 1
    # A reload doesn't lift it.
    fleet.reload([{**PENALTY, "penalty": FOR_LONG}])
    assert stack.request(there.proxied_port, "/", claimed=CLIENT).status == 429


def test_all_of_a_subject_is_on_one_shard_of_a_cluster(bench, haproxy_binary):
    """Its limits of each kind, and what penalises it, which holds wherever it asks."""
    rule = {
        **PENALTY,
        "limits": [
            {"limit": 2, "window": "1s", "algorithm": "token-bucket"},
            {"limit": 1000, "window": "1d", "algorithm": "sliding-log"},
            {"limit": 1000, "window": "1d", "algorithm": "fixed-window"},
            {"limit": 1000, "window": "1d", "algorithm": "sliding-window"},
        ],
        "penalty": FOR_LONG,
    }
    clients = [f"192.0.2.{i}" for i in range(1, 7)]
    with redis.Cluster(bench.directory, replicas=0) as cluster:
        fleet, (here, there) = two_sites(
            bench, haproxy_binary, fleets.cluster(cluster, **PATIENT), [rule])
        for client in clients:
            penalise(here, client)
        for client in clients:
            answer = stack.request(there.proxied_port, "/", claimed=client)
            assert (answer.status, int(answer.headers["retry-after"]) > 3000) == (429, True)
        assert stack.request(there.proxied_port, "/", claimed="192.0.2.100").status == 200
        assert fleet.total("sluice_penalties_total") == len(clients)
        kept = {}
        for server in cluster.servers:
            for key in server.keys():
                tag = re.match(r"sluice:\{([^}]+)\}:login:(\S+)", key)
                if tag:
                    kept.setdefault(tag[1], {}).setdefault(server, []).append(tag[2])
        assert kept.keys() >= {*clients}
        assert all(len(servers) == 1 for servers in kept.values())
        kinds = ("token-bucket", "sliding-log", "fixed-window", "sliding-window", "penalty-count",
                 "penalty-1h")
        for client in clients:
            names = " ".join(*kept[client].values())
            assert all(kind in names for kind in kinds), names
        # And subjects are on all of them.
        assert len({server for servers in kept.values() for server in servers}) > 1


def test_a_penalty_ends(bench, haproxy_binary, server):
    _, (here, there) = two_sites(bench, haproxy_binary, fleets.single(server, **PATIENT),
                                 [{**PENALTY, "penalty": {**FOR_LONG, "for": "2s"}}])
    begun = time.monotonic()
    penalise(here)
    answer = stack.wait_until(
        lambda: next((answer for answer in [stack.request(there.proxied_port, "/", claimed=CLIENT)]
                      if answer.status == 200), None),
        "the penalty to end")
    # Not before, however often it was asked meanwhile.
    assert time.monotonic() - begun >= 2
    assert answer.headers["ratelimit"].startswith('"login";r=1;')


def test_a_flood_of_penalised_requests_does_not_reach_redis(bench, server):
    """And whoever is on the list stays on it when Redis fails."""
    rule = {**PENALTY, "key": ["api_key"], "penalty": FOR_LONG}
    del rule["message"]
    store = fleets.single(server, deadline="1s", breaker={"failures": 2})
    # Of one worker each, which all are asked of: each remembers for itself.
    fleet = Fleet(bench, store, [rule], agents=2, workers=1)
    here, there = fleet.agents
    with spop.Connection(here.address, timeout=stack.WAIT) as asker:
        asker.hello()
        stack.wait_until(lambda: asker.ask({"api_key": "k"}).get("retry_after", 0) > 1,
                         "the penalty", interval=0)
    assert [answer["limit"] for answer in fleet.ask("k", there, times=3)] == [1] * 3
    before = server.calls()
    for agent in fleet.agents:
        answers = fleet.ask("k", agent, times=500)
        assert {answer["source"] for answer in answers} == {"denied-cache"}
    counted = server.calls_since(before)
    assert not {name: count for name, count in counted.items()
                if name in ("eval", "evalsha", "incrby")}
    server.pause()
    for agent in fleet.agents:
        assert not any(answer["allow"] for answer in fleet.ask("k", agent, times=3))
    server.resume()
