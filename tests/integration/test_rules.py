"""What rules can say beside `match`, asked by a real HAProxy: keys, limits and modes."""

import concurrent.futures
import re
import time

import pytest

import redis
import stack

# Arguments of the headers that the examples send. What isn't there isn't sent.
ARGUMENTS = (
    " api_key=req.hdr(x-api-key)",
    " which=req.hdr(x-which) tenant=req.hdr(x-tenant) plan=req.hdr(x-plan) n=req.hdr_val(x-n)"
    " real_ip=req.hdr(x-real-ip) units=req.hdr(x-units)",
)


def which(name, rest):
    """A rule that is asked for by the header x-which."""
    return f"  - {{ name: {name}, match: {{ which: {name} }}, {rest} }}\n"


@pytest.fixture
def start(bench, haproxy_binary):
    def with_rules(rules, head=""):
        bench.agent(f"{head}rules:\n{rules}")
        return bench.haproxy(haproxy_binary, spoe_edits=[ARGUMENTS])

    return with_rules


def ask(haproxy, name, client="192.0.2.1", path="/", **headers):
    """The answer to a request that the rule `name` is for; x_n="5" is the header x-n."""
    named = {key.replace("_", "-"): value for key, value in headers.items()}
    return stack.request(haproxy.proxied_port, path, claimed=client,
                         headers={"x-which": name, **named})


# ---- keys -----------------------------------------------------------------------------------------

KEYS = {
    "whole": "[ tenant ]",
    "number": "n",
    "address": "[ src ]",
    "v6": "[ src/64 ]",
    "both": "[ src/24/56 ]",
    "text-address": "[ real_ip/64 ]",
    "lower": "[ { arg: tenant, lower: true } ]",
    "segments": "[ { arg: path, segments: 2 } ]",
    "hash": "[ { arg: tenant, hash: true } ]",
    "default": "[ { arg: tenant, default: nobody } ]",
    "several": "[ tenant, plan, src/24/64 ]",
    "all": "[]",
}

# Of each key: groups of requests that are counted as one, each group apart from the others.
SUBJECTS = {
    "whole": [[{"x_tenant": "a"}, {"x_tenant": "a", "path": "/b"}], [{"x_tenant": "A"}],
              [{"x_tenant": "a%2e"}]],
    "number": [[{"x_n": "5"}, {"x_n": "05"}], [{"x_n": "-5"}], [{"x_n": "50"}]],
    "address": [[{"client": "192.0.2.1"}] * 2, [{"client": "192.0.2.2"}],
                [{"client": "2001:db8::1"}], [{"client": "2001:db8::2"}]],
    "v6": [[{"client": "2001:db8:1:2::1"}, {"client": "2001:db8:1:2:ffff::"}],
           [{"client": "2001:db8:1:3::1"}], [{"client": "192.0.2.1"}], [{"client": "192.0.2.2"}]],
    "both": [[{"client": "192.0.2.1"}, {"client": "192.0.2.254"}], [{"client": "192.0.3.1"}],
             [{"client": "2001:db8:1:200::1"}, {"client": "2001:db8:1:2ff::1"}],
             [{"client": "2001:db8:1:300::1"}]],
    "text-address": [[{"x_real_ip": "2001:db8::1"}, {"x_real_ip": "2001:0DB8:0::2"}],
                     [{"x_real_ip": "192.0.2.1"}, {"x_real_ip": "::ffff:192.0.2.1"}],
                     [{"x_real_ip": "192.0.2.2"}]],
    "lower": [[{"x_tenant": "Acme"}, {"x_tenant": "ACME"}], [{"x_tenant": "acme2"}]],
    "segments": [[{"path": "/a/b/c"}, {"path": "/a/b?x=1"}, {"path": "//a/./x/../b/d"}],
                 [{"path": "/a"}], [{"path": "/a/c"}]],
    "hash": [[{"x_tenant": "a"}] * 2, [{"x_tenant": "b"}]],
    "default": [[{}, {"x_tenant": "nobody"}], [{"x_tenant": "somebody"}]],
    "several": [[{"x_tenant": "a", "x_plan": "b"}] * 2, [{"x_tenant": "ab", "x_plan": ""}],
                [{"x_tenant": "a", "x_plan": "b", "client": "192.0.3.1"}]],
    "all": [[{}, {"client": "192.0.2.99", "path": "/x"}]],
}

# Requests that lack a part of the key, so that the rule doesn't apply to them.
WITHOUT = {
    "whole": {},
    "number": {},
    "text-address": {"x_real_ip": "192.0.2.1.5"},
    "lower": {},
    "hash": {},
    "several": {"x_tenant": "a"},
}

ONE = "limits: { limit: 1, window: 1d, algorithm: sliding-log }"


def test_each_part_of_a_key(start):
    haproxy = start("".join(which(name, f"key: {key}, {ONE}") for name, key in KEYS.items()))
    assert SUBJECTS.keys() == KEYS.keys()
    for name, groups in SUBJECTS.items():
        for group in groups:
            statuses = [ask(haproxy, name, **example).status for example in group]
            assert statuses == [200] + [429] * (len(group) - 1), (name, group)
        # Each is a subject that has been counted.
        for group in groups:
            assert ask(haproxy, name, **group[0]).status == 429, (name, group)
    for name, example in WITHOUT.items():
        assert [ask(haproxy, name, **example).status for _ in range(2)] == [200] * 2, name


def test_a_hashed_value_is_nowhere_in_redis(bench, start):
    with redis.Server(bench.directory) as server:
        haproxy = start(
            which("open", f"key: [ tenant ], {ONE}")
            + which("hash", f"key: [ {{ arg: tenant, hash: true }} ], {ONE}"),
            f'store: {{ mode: single, nodes: [ "{server.address}" ], deadline: 10s }}\n')
        for name in ("open", "hash"):
            # What the agent let through before it knew Redis is not what this is about.
            stack.wait_until(
                lambda name=name: ask(haproxy, name, x_tenant="s3cret").status == 429,
                "the limit to be reached")
        keys = server.keys()
        assert [key for key in keys if "s3cret" in key] == ["sluice:{=s3cret}:open:sliding-log-1d:log"]
        hashed = [key for key in keys if ":hash:" in key]
        assert len(hashed) == 1 and re.match(r"sluice:\{#[0-9a-f]{32}\}:hash:", hashed[0])


# ---- limits ---------------------------------------------------------------------------------------

LIMITS = """
  - name: tenant
    match: { which: tenant }
    key: [ tenant ]
    tiers:
      by: plan
      default: { limit: 2, window: 1d, algorithm: sliding-log }
      gold: { limit: 4, window: 1d, algorithm: sliding-log }
      internal: unlimited
    overrides:
      - { key: [ acme ], limits: { limit: 1, window: 1d, algorithm: sliding-log } }
      - { key: [ ourselves ], limits: unlimited }
  - name: planned
    match: { which: planned }
    key: [ tenant ]
    tiers: { by: plan, gold: { limit: 1, window: 1d, algorithm: sliding-log } }
  - name: closed
    match: { which: closed }
    key: [ tenant ]
    limits: { limit: 0, window: 1m }
  - name: burst
    match: { which: burst }
    key: [ tenant ]
    limits: { limit: 1, window: 1d, burst: 3, algorithm: token-bucket }
  - name: several
    match: { which: several }
    key: [ tenant ]
    limits:
      - { limit: 2, window: 1h, algorithm: sliding-log }
      - { limit: 3, window: 1d, algorithm: sliding-log, name: daily }
"""


def passing(haproxy, name, times=6, **headers):
    """How many of so many requests pass, all of them before the first that doesn't."""
    statuses = [ask(haproxy, name, **headers).status for _ in range(times)]
    passed = statuses.count(200)
    assert statuses == [200] * passed + [429] * (times - passed)
    return passed


def test_limits_by_tier_and_override(start):
    haproxy = start(LIMITS)
    assert passing(haproxy, "tenant", x_tenant="a") == 2
    assert passing(haproxy, "tenant", x_tenant="b", x_plan="gold") == 4
    assert passing(haproxy, "tenant", x_tenant="c", x_plan="silver") == 2
    assert passing(haproxy, "tenant", x_tenant="d", x_plan="internal") == 6
    # Who changes its tier keeps its counts.
    assert passing(haproxy, "tenant", x_tenant="a", x_plan="gold") == 2
    # An override is before all tiers.
    assert passing(haproxy, "tenant", x_tenant="acme", x_plan="gold") == 1
    assert passing(haproxy, "tenant", x_tenant="ourselves") == 6
    answer = ask(haproxy, "tenant", x_tenant="ourselves")
    assert "ratelimit" not in answer.headers
    haproxy.wait_for_log(r"rule=tenant source=- .* error=- id=")
    # Without a default the rule is for those tiers alone.
    assert passing(haproxy, "planned", x_tenant="a", x_plan="gold") == 1
    assert passing(haproxy, "planned", x_tenant="a", x_plan="silver") == 6
    assert passing(haproxy, "planned", x_tenant="a") == 6


def test_kinds_of_limits(start):
    haproxy = start(LIMITS)
    assert passing(haproxy, "closed", x_tenant="a") == 0
    assert passing(haproxy, "burst", x_tenant="a") == 3
    assert passing(haproxy, "several", x_tenant="a") == 2
    assert ask(haproxy, "several", x_tenant="a").headers["ratelimit-policy"] == (
        '"several-1h";q=2;w=3600')


COSTS = "".join(
    which(name, f"key: [ tenant ], cost: {cost}, "
                "limits: { limit: 10, window: 1d, algorithm: sliding-log }")
    for name, cost in {
        "fixed": "3",
        "argument": "{ arg: units, default: 5, min: 2, max: 6 }",
    }.items())


def test_a_request_takes_as_many_units_as_it_costs(start):
    haproxy = start(COSTS)

    def left(name, **headers):
        return int(re.search(r";r=(\d+)", ask(haproxy, name, **headers).headers["ratelimit"])[1])

    assert [left("fixed", x_tenant="a") for _ in range(3)] == [7, 4, 1]
    assert ask(haproxy, "fixed", x_tenant="a").status == 429
    for units, cost in {"3": 3, "6": 6, "7": 6, "99999999999999999999": 6, "1": 2, "0": 2, "-4": 2,
                        "": 5, "many": 5, "2.5": 5, None: 5}.items():
        headers = {} if units is None else {"x_units": units}
        assert left("argument", x_tenant=f"of {units}", **headers) == 10 - cost, units
    # What is left for another that is cheaper isn't taken by one that is refused.
    spent = [ask(haproxy, "argument", x_tenant="b", x_units=units).status
             for units in ("6", "6", "4", "2")]
    assert spent == [200, 429, 200, 429]


# ---- modes ----------------------------------------------------------------------------------------

MODES = """
  - { name: trial, mode: shadow, match: { which: trial }, key: [ tenant ],
      limits: { limit: 2, window: 1d, algorithm: sliding-log } }
  - { name: part, enforce: 25%, match: { which: part }, key: [ tenant ],
      limits: { limit: 0, window: 1d } }
  - { name: more, enforce: 50%, match: { which: part }, key: [ tenant ],
      limits: { limit: 100, window: 1d } }
"""
SHADOW = ("    log-format \"", "    log-format \"shadow=%[var(txn.sluice.shadow)] ")


def test_a_shadow_is_told_and_refuses_nobody(bench, haproxy_binary):
    bench.agent("rules:\n" + MODES)
    haproxy = bench.haproxy(haproxy_binary, spoe_edits=[ARGUMENTS], config_edits=[SHADOW])
    assert passing(haproxy, "trial", x_tenant="a") == 6
    log = haproxy.wait_for_log(r"^shadow=(\S+) ", count=6)
    assert [match[1] for match in log] == ["-"] * 2 + ["trial"] * 4


def test_a_part_of_the_subjects_is_always_the_same(bench, haproxy_binary):
    agent = bench.agent("rules:\n" + MODES)
    haproxy = bench.haproxy(haproxy_binary, spoe_edits=[ARGUMENTS])

    def refused():
        return {n for n in range(200) if ask(haproxy, "part", x_tenant=f"t{n}").status == 429}

    first = refused()
    assert 25 <= len(first) <= 80
    # Also by an agent that was started anew, and there are more where the part is larger.
    agent.stop()
    agent = bench.agent("rules:\n" + MODES.replace("25%", "50%"))
    stack.wait_until(lambda: ask(haproxy, "part", x_tenant=f"t{min(first)}").status == 429,
                     "the new agent to be asked")
    second = refused()
    assert first < second
    assert 60 <= len(second) <= 140


def test_a_flood_is_shaped_to_the_rate(bench, haproxy_binary):
    """20 a second, one at once, and 2 s that one may wait: of 60 requests at a time 41 pass. HAProxy
    3.2 holds them back, so that they come out one in 50 ms; before it they pass at once."""
    bench.agent("""
rules:
  - name: shape
    key: [ src/64 ]
    mode: delay
    max_delay: 2s
    limits: { limit: 20, window: 1s, algorithm: token-bucket, burst: 1 }
""")
    haproxy = bench.haproxy(haproxy_binary)
    begun = time.monotonic()

    def request(_):
        answer = stack.request(haproxy.proxied_port, "/", claimed="192.0.2.7")
        return answer.status, time.monotonic() - begun

    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        answers = list(pool.map(request, range(60)))
    passed = sorted(took for status, took in answers if status == 200)
    last_question = max((took for status, took in answers if status == 429), default=passed[-1])
    print(f"{len(passed)} passed; the rate was {(len(passed) - 1) / passed[-1]:.2f} a second")
    # What the bucket gained until the last was asked passes too.
    assert 41 <= len(passed) <= 41 + 20 * last_question
    if stack.haproxy_version(haproxy_binary) >= (3, 2):
        for i, took in enumerate(passed):
            assert took >= i / 20 - 0.002  # HAProxy's clock and the agent's are of milliseconds
