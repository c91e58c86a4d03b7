"""HAProxy asks, sluice answers: every shipped HTTP configuration, on every HAProxy."""

import concurrent.futures
import re
import time

import pytest
import stack
from relay import Relay

FROM_OUTSIDE = "192.0.2.7"

# One client, so many requests that no test gets near.
OPEN_RULES = """
rules:
  - name: client
    key: [ src/64 ]
    limits: [ { limit: 1000000, window: 1d, algorithm: fixed-window } ]
"""


def shipped_rules(bench, name="sluice"):
    """haproxy/sluice.yml, listening where the test wants it."""
    return stack.replace(
        stack.shipped("sluice.yml"),
        ('  - { address: "unix:///run/sluice/spop.sock", mode: 0660 }\n',
         f'  - {{ address: "unix://{bench.socket(name)}", mode: 0660 }}\n'),
        ("tcp://127.0.0.1:9000", "tcp://127.0.0.1:0"),
        ("tcp://127.0.0.1:9901", "tcp://127.0.0.1:0"),
    )


def seconds(answer):
    """The t of its RateLimit header."""
    return int(re.search(r";t=(\d+)", answer.headers["ratelimit"])[1])


def test_shipped_rules_allow_and_refuse_exactly(bench, haproxy_binary):
    bench.agent(shipped_rules(bench))
    haproxy = bench.haproxy(haproxy_binary)

    logins = [
        stack.request(haproxy.proxied_port, "/api/auth/login", "POST", claimed=FROM_OUTSIDE)
        for _ in range(8)
    ]
    assert [answer.status for answer in logins] == [200] * 5 + [429] * 3

    # The refused log-ins were not charged to the rule `client`: 30 - 5 are left.
    orders = [
        stack.request(haproxy.proxied_port, "/api/orders", claimed=FROM_OUTSIDE)
        for _ in range(27)
    ]
    assert [answer.status for answer in orders] == [200] * 25 + [429] * 2

    # Who is refused everywhere else is still asked about: probes pass, and so do other clients.
    assert stack.request(haproxy.proxied_port, "/health", claimed=FROM_OUTSIDE).status == 200
    assert stack.request(haproxy.proxied_port, "/api/orders", claimed="192.0.2.8").status == 200
    assert stack.request(haproxy.proxied_port, "/elsewhere", claimed=FROM_OUTSIDE).status == 200

    # What was refused never reached the application.
    assert bench.api().count() == 5 + 25 + 3
    log = haproxy.wait_for_log(r"rule=\S+ source=\S+ .* error=(\S+) id=", count=8 + 27 + 3)
    assert {match[1] for match in log} == {"-"}


def test_refusal_says_when_to_come_back(bench, haproxy_binary):
    bench.agent(shipped_rules(bench))
    haproxy = bench.haproxy(haproxy_binary)
    answers = [haproxy.request("/api/auth/login", "POST") for _ in range(6)]

    # The strictest of the two rules that apply, `login`, is the one told of.
    remaining = [re.match(r'"login";r=(\d+);t=\d+$', a.headers["ratelimit"])[1] for a in answers]
    assert remaining == ["4", "3", "2", "1", "0", "0"]
    assert {a.headers["ratelimit-policy"] for a in answers} == {'"login";q=5;w=900'}
    assert all("retry-after" not in answer.headers for answer in answers[:5])

    refusal = answers[5]
    assert refusal.status == 429
    assert 0 < seconds(refusal) <= int(refusal.headers["retry-after"]) <= 900
    assert refusal.body == "Too many requests, by the rule login.\n"


def test_no_rule_no_headers(bench, haproxy_binary):
    bench.agent(shipped_rules(bench))
    haproxy = bench.haproxy(haproxy_binary)
    answer = haproxy.request("/elsewhere")
    assert answer.status == 200
    assert not {"ratelimit", "ratelimit-policy", "retry-after"} & answer.headers.keys()


def test_ipv6_clients_count_by_64_and_ipv4_whole(bench, haproxy_binary):
    bench.agent("""
rules:
  - name: client
    key: [ src/64 ]
    limits: [ { limit: 2, window: 1h, algorithm: sliding-log } ]
""")
    haproxy = bench.haproxy(haproxy_binary)

    def statuses(*clients):
        return [stack.request(haproxy.proxied_port, "/", claimed=c).status for c in clients]

    assert statuses("2001:db8:1:2::1", "2001:db8:1:2:ffff::2", "2001:db8:1:2::3") == [200, 200, 429]
    assert statuses("2001:db8:1:3::1", "2001:db8:1:3::1", "2001:db8:1:3::1") == [200, 200, 429]
    assert statuses("192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.1") == [200, 200, 200, 429]
    # And one that really comes over IPv6.
    real = [haproxy.request("/", host="::1").status for _ in range(3)]
    assert real == [200, 200, 429]


# ---- the two forms of asking ---------------------------------------------------------------------

TENANT_RULES = """
rules:
  - name: tenant
    key: [ tenant ]
    limits: [ { limit: 1, window: 1h, algorithm: sliding-log } ]
"""
SET_TENANT = (
    "    http-request send-spoe-group sluice sluice-request\n",
    "    http-request set-var(txn.tenant) req.hdr(x-tenant)\n"
    "    http-request send-spoe-group sluice sluice-request\n",
)
SEND_TENANT = ("    args src=src ", "    args tenant=var(txn.tenant) src=src ")
# As the comments of the shipped files say.
EVENT_FORM = [
    ("    groups sluice-request\n", "    messages sluice-request\n"),
    ("    # event on-frontend-http-request\n", "    event on-frontend-http-request\n"),
]


def test_group_form_sees_what_earlier_rules_set(bench, haproxy_binary):
    bench.agent(TENANT_RULES)
    haproxy = bench.haproxy(
        haproxy_binary, config_edits=[SET_TENANT], spoe_edits=[SEND_TENANT]
    )
    acme = {"X-Tenant": "acme"}
    assert [haproxy.request(headers=acme).status for _ in range(2)] == [200, 429]
    assert haproxy.request(headers={"X-Tenant": "other"}).status == 200


def test_event_form_asks_before_them(bench, haproxy_binary):
    bench.agent(TENANT_RULES)
    haproxy = bench.haproxy(
        haproxy_binary,
        config_edits=[(SET_TENANT[0], SET_TENANT[1].replace(SET_TENANT[0], ""))],
        spoe_edits=[SEND_TENANT, *EVENT_FORM],
    )
    # The variable isn't there yet: the rule lacks its key and doesn't apply.
    assert [haproxy.request(headers={"X-Tenant": "acme"}).status for _ in range(3)] == [200] * 3


def test_event_form_limits(bench, haproxy_binary):
    bench.agent(shipped_rules(bench))
    haproxy = bench.haproxy(
        haproxy_binary,
        config_edits=[("    http-request send-spoe-group sluice sluice-request\n", "")],
        spoe_edits=EVENT_FORM,
    )
    statuses = [haproxy.request("/api/auth/login", "POST").status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2


# ---- the agents are away -------------------------------------------------------------------------

FAIL_CLOSED = (
    "    #   http-request deny deny_status 503",
    "    http-request deny deny_status 503",
)


def all_dead(bench, binary, **options):
    agent = bench.agent(shipped_rules(bench))
    # Not for ever: a question to a dead agent may wait this long.
    haproxy = bench.haproxy(binary, patience="1s", **options)
    assert haproxy.request().headers["ratelimit"]
    assert agent.stop() == 0
    return haproxy


def test_all_agents_dead_fail_open(bench, haproxy_binary):
    haproxy = all_dead(bench, haproxy_binary)
    answers = [haproxy.request("/api/auth/login", "POST") for _ in range(10)]
    assert [answer.status for answer in answers] == [200] * 10
    assert all("ratelimit" not in answer.headers for answer in answers)
    haproxy.wait_for_log(r"rule=- source=- .* error=[1-9]\d* id=", count=10)
    # The checks notice, too; after that the same holds.
    stack.wait_until(lambda: not any(haproxy.server_states().values()), "the agent to be seen down")
    assert [haproxy.request().status for _ in range(5)] == [200] * 5


def test_all_agents_dead_fail_closed(bench, haproxy_binary):
    haproxy = all_dead(bench, haproxy_binary, config_edits=[FAIL_CLOSED])
    served = bench.api().count()
    answers = [haproxy.request() for _ in range(10)]
    assert [answer.status for answer in answers] == [503] * 10
    assert {answer.headers["retry-after"] for answer in answers} == {"1"}
    stack.wait_until(lambda: not any(haproxy.server_states().values()), "the agent to be seen down")
    assert [haproxy.request().status for _ in range(5)] == [503] * 5
    assert bench.api().count() == served


def test_fail_closed_refuses_no_answered_request(bench, haproxy_binary):
    bench.agent(shipped_rules(bench))
    haproxy = bench.haproxy(haproxy_binary, config_edits=[FAIL_CLOSED])
    statuses = [haproxy.request("/api/auth/login", "POST").status for _ in range(7)]
    assert statuses == [200] * 5 + [429] * 2
    assert haproxy.request("/elsewhere").status == 200


def test_frozen_agent_costs_the_processing_timeout_only(bench, haproxy_binary):
    agent = bench.agent(shipped_rules(bench))
    # As shipped: no timeout made longer.
    haproxy = bench.haproxy(haproxy_binary, patience=None)
    agent.send_signal(stack.signal.SIGSTOP)
    try:
        answers = [haproxy.request() for _ in range(3)]
        assert [answer.status for answer in answers] == [200] * 3
        haproxy.wait_for_log(r"rule=- source=- .* error=[1-9]\d* id=", count=3)
        stack.wait_until(
            lambda: not any(haproxy.server_states().values()), "the frozen agent to be seen down"
        )
    finally:
        agent.send_signal(stack.signal.SIGCONT)


# ---- connections ---------------------------------------------------------------------------------


def test_health_check_follows_the_agent(bench, haproxy_binary):
    rules = shipped_rules(bench)
    agent = bench.agent(rules)
    haproxy = bench.haproxy(haproxy_binary)  # waits for a check that passed
    agent.stop()
    stack.wait_until(lambda: not any(haproxy.server_states().values()), "the agent to be seen down")
    bench.agent(rules)
    stack.wait_until(lambda: all(haproxy.server_states().values()), "the agent to be seen up again")
    assert '"client";r=29' in haproxy.request().headers["ratelimit"]


def test_unix_and_tcp_listeners_at_once(bench, haproxy_binary):
    agent = bench.agent(OPEN_RULES)
    tcp = agent.tcp_address().removeprefix("tcp://")
    haproxy = bench.haproxy(haproxy_binary, [f"unix@{bench.socket('sluice')}", tcp])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: haproxy.request(), range(64)))
    # One store behind both: each request took a unit of its own.
    remaining = {int(re.search(r";r=(\d+)", a.headers["ratelimit"])[1]) for a in answers}
    assert remaining == set(range(1000000 - 64, 1000000))
    # And both were used, beyond the health checks.
    rows = [row.split(",") for row in haproxy.ask_stats("show stat").splitlines() if row]
    total = rows[0].index("stot")
    used = {row[1]: int(row[total]) for row in rows if row[0] == "sluice"}
    assert used["sluice1"] > 0 and used["sluice2"] > 0


def test_20_streams_a_connection(bench, haproxy_binary):
    bench.agent(OPEN_RULES)
    relay = Relay(bench.socket("relay"), f"unix://{bench.socket('sluice')}")
    haproxy = bench.haproxy(
        haproxy_binary,
        [f"unix@{bench.socket('relay')}"],
        config_edits=[("\nglobal\n", "\nglobal\n    nbthread 1\n")],
    )
    haproxy.request()
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        try:
            relay.hold()
            asked = [pool.submit(haproxy.request) for _ in range(60)]
            stack.wait_until(
                lambda: relay.waiting_in_all() == 60, "the questions to be on their way"
            )
        finally:
            relay.release()
        answers = [future.result() for future in asked]
    relay.close()
    # Many on one connection. 3.1 and later fill one before they open the next; before, HAProxy
    # spreads them as it likes.
    assert relay.most_waiting == 20 if haproxy.version >= (3, 1) else 1 < relay.most_waiting <= 20
    remaining = {int(re.search(r";r=(\d+)", a.headers["ratelimit"])[1]) for a in answers}
    assert remaining == set(range(1000000 - 61, 1000000 - 1))


def test_agent_that_stood_still_answers_all_that_piled_up(bench, haproxy_binary):
    agent = bench.agent(OPEN_RULES)
    # The checks are to be patient with it.
    haproxy = bench.haproxy(haproxy_binary, config_edits=[("fall 2", "fall 1000")])
    haproxy.request()
    agent.send_signal(stack.signal.SIGSTOP)
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        try:
            asked = [pool.submit(haproxy.request) for _ in range(60)]
            stack.wait_until(
                lambda: int(re.search(r"CurrConns: (\d+)", haproxy.ask_stats("show info"))[1]) >= 60,
                "60 requests to be in HAProxy",
            )
        finally:
            agent.send_signal(stack.signal.SIGCONT)
        answers = [future.result() for future in asked]
    remaining = {int(re.search(r";r=(\d+)", a.headers["ratelimit"])[1]) for a in answers}
    assert remaining == set(range(1000000 - 61, 1000000 - 1))


def test_large_buffers_and_arguments(bench, haproxy_binary):
    bench.agent("""
rules:
  - name: header
    key: [ big ]
    limits: [ { limit: 1, window: 1h, algorithm: sliding-log } ]
""")
    haproxy = bench.haproxy(
        haproxy_binary,
        config_edits=[("\nglobal\n", "\nglobal\n    tune.bufsize 65536\n")],
        spoe_edits=[("    args src=src ", "    args big=req.hdr(x-big) src=src ")],
    )
    big = "x" * 50000
    # Only the last byte differs: the whole of the argument has to arrive.
    for ending, expected in (("a", 200), ("b", 200), ("a", 429)):
        assert haproxy.request(headers={"X-Big": big + ending}).status == expected


def test_no_request_is_too_large_to_be_asked_about(bench, haproxy_binary):
    """HAProxy refuses requests that don't fit its buffer. One that fits must fit a question too:
    else a long header would be a way around the limits."""
    bench.agent(OPEN_RULES)
    haproxy = bench.haproxy(haproxy_binary)
    seen = set()
    for size in (8000, *range(14000, 16400, 150)):
        for answer in (
            haproxy.request("/", headers={"X-Api-Key": "k" * size}),
            haproxy.request("/" + "p" * size),
            haproxy.request("/", headers={"Host": "h" * (size // 2), "X-Api-Key": "k" * (size // 2)}),
        ):
            assert answer.status in (400, 431) or "ratelimit" in answer.headers
            seen.add(answer.status)
    assert 200 in seen and seen & {400, 431}, "the sizes don't span the limit"


def test_question_that_fits_no_frame_is_an_error(bench, haproxy_binary):
    """Where arguments repeat parts of the request, they may."""
    bench.agent(shipped_rules(bench))
    repeated = [("    args src=src ", "    args a=req.hdr(x-big) b=req.hdr(x-big) src=src ")]
    haproxy = bench.haproxy(haproxy_binary, spoe_edits=repeated)
    assert haproxy.request(headers={"X-Big": "x" * 9000}).status == 200
    haproxy.wait_for_log(r"error=3 id=")
    assert "ratelimit" in haproxy.request(headers={"X-Big": "x" * 5000}).headers


def test_requests_are_held_back_to_the_rate(bench, haproxy_binary):
    """With HAProxy 3.2, which can; before it they pass at once, up to as many as may wait."""
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
    answers = [
        stack.request(haproxy.proxied_port, "/api/orders", claimed=FROM_OUTSIDE)
        for _ in range(11)
    ]
    took = time.monotonic() - begun
    assert [answer.status for answer in answers] == [200] * 11
    if stack.haproxy_version(haproxy_binary) >= (3, 2):
        assert took >= 10 / 20 - 0.02  # ten times a unit's time; delays are whole milliseconds
