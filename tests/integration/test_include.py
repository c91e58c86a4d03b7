"""Rule files that include others and are made with variables, served to a real HAProxy."""

import os
import signal

import stack

RULES = """
include: rules.d/*.yml
rules:
  - name: all
    key: [ src/64 ]
    limits: [ { limit: "${TEST_LIMIT:-1000}", window: 1d } ]
"""
LOGIN = """
rules:
  - name: login
    match: { path: { prefix: /login } }
    key: [ src/64 ]
    limits: [ { limit: %s, window: 1d } ]
"""


def folder_of(bench):
    folder = os.path.join(bench.directory, "rules.d")
    os.makedirs(folder, exist_ok=True)
    return folder


def write(bench, name, text):
    with open(os.path.join(folder_of(bench), name), "w") as file:
        file.write(text)


def statuses(haproxy, path, count):
    return [haproxy.request(path).status for _ in range(count)]


def test_rules_of_an_included_file_limit(bench, haproxy_binary):
    write(bench, "10-login.yml", LOGIN % 2)
    write(bench, ".10-login.yml.swp", "not: a rule file")
    bench.agent(RULES, environment={"TEST_LIMIT": "5"})
    haproxy = bench.haproxy(haproxy_binary)
    assert statuses(haproxy, "/login", 3) == [200, 200, 429]
    assert haproxy.request("/login").headers["ratelimit"].startswith('"login";')
    # The third was charged to none; what is left of `all` is what the environment says.
    assert statuses(haproxy, "/", 4) == [200, 200, 200, 429]


def test_reload_follows_the_included_files(bench, haproxy_binary):
    write(bench, "10-login.yml", LOGIN % 1)
    agent = bench.agent(RULES)
    haproxy = bench.haproxy(haproxy_binary)
    assert statuses(haproxy, "/login", 2) == [200, 429]

    # One that is wrong changes nothing, and is named.
    write(bench, "20-more.yml", LOGIN % 7)
    agent.send_signal(signal.SIGHUP)
    agent.wait_for_log(r"20-more\.yml:3:11: .*login")
    assert statuses(haproxy, "/login", 1) == [429]

    write(bench, "20-more.yml", "rules: []\n")
    os.remove(os.path.join(folder_of(bench), "10-login.yml"))
    agent.send_signal(signal.SIGHUP)
    stack.wait_until(lambda: haproxy.request("/login").status == 200, "the rule to be gone")
