"""sluice explain: why each rule matches or not, in the file's words, and the answer."""

import re

import pytest

import stack

RULES = """rules:
  - name: probes
    match: { path: { in: [ /health, "/a, b]" ] } }
    action: allow
  - name: login
    message: sluice-request
    match:
      method: POST
      path:
        prefix:
          - /login
          - /auth
    key: [ src/64 ]
    limits:
      - { limit: 5, window: 1m, algorithm: sliding-log }
      - { limit: 100, window: 1d }
  - name: nested
    match:
      any: [ { host: a.example }, { all: [ { host: b.example }, { path: { suffix: .b } } ] } ]
      not: { src: { cidr: 192.0.2.0/24 } }
      agent: { not: { contains: bot, ignore_case: true } }   # not for robots
      token: { exists: false }
    key: []
    limits: { limit: 1, window: 1s }
  - name: tenant
    key: [ tenant, real_ip/64 ]
    limits: { limit: 10, window: 1s, algorithm: token-bucket, burst: 20 }
  - { name: other, message: sluice-connection, action: allow }
  - { name: block, match: { path: { prefix: /blocked } }, action: deny }
  - { name: client, key: src, limits: { limit: 2, window: 1h } }
"""


@pytest.fixture
def explain(bench):
    path = bench.directory + "/explained.yml"
    with open(path, "w") as file:
        file.write("listen: tcp://127.0.0.1:0\n" + RULES)

    def run(*arguments):
        """{rule: what is said of it}, and the answer."""
        done = bench.run("explain", path, *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        rules, _, answer = done.stdout.partition("\nrules:\n")[2].partition(
            "\n\nan agent that has counted nothing yet answers:\n")
        said = {}
        for line in rules.splitlines():
            if line.startswith("   "):
                said[name] += "\n" + line
            else:
                name, _, text = line.strip().partition(" (line ")
                said[name] = text.partition("): ")[2]
        return said, answer
    return run


def test_what_keeps_each_rule_from_matching(explain):
    said, _ = explain("src=192.0.2.1", "method=GET", "path=/x", "host=c.example",
                      "agent=A-Bot", "token=t")
    assert said["probes"] == 'no: path in [ /health, "/a, b]" ], and it is "/x"'
    # Of a list that goes on below, its beginning.
    assert said["login"] == ('no: method is POST, and it is "GET"\n'
                             '      path prefix - /login, and it is "/x"')
    assert said["nested"].splitlines() == [
        'no: host is a.example, and it is "c.example"',
        '      host is b.example, and it is "c.example"',
        '      path suffix .b, and it is "/x"',
        "      not src cidr 192.0.2.0/24, and it is 192.0.2.1",
        '      not agent contains bot, and it is "A-Bot"',
        '      token exists false, and it is "t"',
    ]
    assert said["other"] == "no: it is for message sluice-connection"


def test_what_was_not_sent(explain):
    said, _ = explain()
    assert said["probes"] == 'no: path in [ /health, "/a, b]" ], and it wasn\'t sent'
    assert said["tenant"] == "yes, but tenant of its key wasn't sent: it doesn't apply"
    said, _ = explain("tenant=a", "real_ip=unknown")
    assert said["tenant"] == "yes, but real_ip of its key is no address: it doesn't apply"


def test_whom_it_counts_and_how(explain):
    said, answer = explain("src=2001:db8::1", "method=POST", "path=/login", "tenant=a c",
                           "real_ip=198.51.100.7")
    assert said["login"].splitlines() == [
        "yes",
        "    key    2001:db8::/64",
        "    limit  login-1m: 5 in 1m, sliding-log",
        "    limit  login-1d: 100 in 1d, sliding-window",
    ]
    assert said["tenant"].splitlines() == [
        "yes",
        "    key    =a%20c,198.51.100.7",
        "    limit  tenant: 10 in 1s, token-bucket with burst 20",
    ]
    assert "  rule=client\n" in answer and "  remaining=1\n" in answer


def test_modes_tiers_and_costs(bench):
    path = bench.directory + "/modes.yml"
    with open(path, "w") as file:
        file.write("""listen: tcp://127.0.0.1:0
rules:
  - { name: shy, key: src, mode: shadow, limits: { limit: 1, window: 1h } }
  - { name: shape, key: src, mode: delay, max_delay: 20s,
      limits: { limit: 6, window: 1m, burst: 2, algorithm: token-bucket } }
  - name: plan
    key: tenant
    cost: { arg: units, max: 50 }
    tiers: { by: plan, gold: { limit: 1000, window: 1s }, free: unlimited,
             default: { limit: 100, window: 1s } }
  - { name: none, key: src, tiers: { by: plan, silver: { limit: 7, window: 1s } } }
  - { name: few, key: src, enforce: 0%, limits: { limit: 5, window: 1s } }
""")
    done = bench.run("explain", path, "src=192.0.2.1", "tenant=a", "plan=gold", "units=70")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.partition("\nrules:\n")[2].partition("\n\n")[0].splitlines() == [
        "  shy (line 3): yes",
        "    key    192.0.2.1",
        "    limit  shy: 1 in 1h, sliding-window",
        "    mode   shadow: counted and reported, never refused",
        "  shape (line 4): yes",
        "    key    192.0.2.1",
        "    limit  shape: 6 in 1m, token-bucket with burst 2",
        "    mode   delay of at most 20s",
        "  plan (line 6): yes",
        "    key    =a",
        "    limit  plan: 1000 in 1s, sliding-window",
        "    cost   50",
        "  none (line 11): yes, but it has no limits for this request: it doesn't apply",
        "  few (line 12): yes",
        "    key    192.0.2.1",
        "    limit  few: 5 in 1s, sliding-window",
        "    mode   not of the 0.00% that are enforced: never refused",
    ]
    done = bench.run("explain", path, "tenant=a", "plan=free")
    assert "    key    =a\n    limit  none for this key\n" in done.stdout


def test_rules_that_are_charged_at_another_message(bench):
    path = bench.directory + "/charge.yml"
    with open(path, "w") as file:
        file.write("""listen: tcp://127.0.0.1:0
rules:
  - name: login
    message: sluice-request
    match: { path: /login }
    key: src
    limits: { limit: 2, window: 1h }
    charge: { message: told, match: { status: { in: [ 401, 403 ] } } }
""")

    def said(*arguments):
        done = bench.run("explain", path, "src=192.0.2.1", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.partition("\nrules:\n")[2].splitlines()[0]

    assert said("path=/login") == \
        "  login (line 3): yes, it is checked here and charged at message told"
    assert said("path=/") == '  login (line 3): no: path is /login, and it is "/"'
    assert said("-m", "told", "status=401") == "  login (line 3): yes, it is charged here"
    assert said("-m", "told", "status=200") == \
        "  login (line 3): no: status in [ 401, 403 ], and it is 200"
    assert said("-m", "other") == \
        "  login (line 3): no: it is for message sluice-request, and charged at told"


def test_where_the_search_ends(explain):
    said, answer = explain("path=/health")
    assert said["probes"] == "yes: it is allowed, and no rule behind it is considered"
    assert list(said) == ["probes", "6 more, not considered"]
    assert "  rule=probes\n" in answer + "\n"
    said, answer = explain("path=/blocked/x", "src=192.0.2.1")
    assert said["block"] == "yes: it is refused, and no rule behind it is considered"
    assert "  deny=true\n" in answer and "  rule=block\n" in answer + "\n"


def test_the_answer_is_that_of_a_new_agent(bench, explain):
    agent = bench.agent(RULES)
    for arguments in (["src=192.0.2.1", "method=POST", "path=/auth/x"], ["path=/blocked"],
                      ["host=a.example", "tenant=x", "real_ip=::1"], []):
        _, answer = explain(*arguments)
        agent.stop()
        agent = bench.agent(RULES)
        asked = bench.run("ask", agent.tcp_address(), *arguments).stdout
        # Seconds to a window's end may be other ones by then.
        def steady(text):
            return [line.split(";t=")[0] for line in text.split() if not line.startswith("reset=")]
        assert steady(answer) == steady(asked)


def test_messages_and_arguments_that_nobody_reads_are_told(bench, explain):
    path = bench.directory + "/explained.yml"
    done = bench.run("explain", path, "-m", "sluice-reqest", "sorce:string=192.0.2.1")
    assert done.stdout.splitlines()[:2] == [
        "message sluice-reqest, which no rule names",
        "  sorce=192.0.2.1 (string), which no rule reads",
    ]


def test_a_long_value_is_cut(explain):
    said, _ = explain("path=/" + "x" * 16000)
    assert 'and it is "/xxx' in said["probes"] and said["probes"].endswith('x..."')
    assert len(said["probes"]) < 200


def test_every_type_is_named_as_it_is_given(bench):
    given = {"null": "", "bool": "true", "int32": "-1", "uint32": "1", "int64": "-1", "uint64": "1",
             "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "string": "1", "binary": "00ff"}
    done = bench.run("explain", stack.ROOT / "haproxy" / "sluice.yml",
                     *(f"a:{name}={value}" for name, value in given.items()))
    assert re.findall(r"^  a=.* \((.*?)\)", done.stdout, re.M) == list(given)


def test_wrong_command_lines_and_files(bench):
    assert bench.run("explain").returncode == 2
    shipped = stack.ROOT / "haproxy" / "sluice.yml"
    done = bench.run("explain", shipped, "src")
    assert done.returncode == 2 and "src: expected NAME=VALUE" in done.stderr
    assert bench.run("explain", shipped, *["a=b"] * 256).returncode == 2
    done = bench.run("explain", shipped, "a=" + "x" * 17000)
    assert done.returncode == 1 and "larger than a frame" in done.stderr
    done = bench.run("explain", "/absent.yml")
    assert (done.returncode, done.stdout) == (1, "")


def test_the_candidate_is_explained_too(bench):
    with open(bench.directory + "/rules.yml", "w") as file:
        file.write("""listen: tcp://127.0.0.1:0
candidate: new.yml
rules: [ { name: a, key: src, limits: { limit: 5, window: 1h } } ]
""")
    with open(bench.directory + "/new.yml", "w") as file:
        file.write("""listen: tcp://127.0.0.1:0
rules: [ { name: b, match: { tenant: acme }, action: deny } ]
""")
    done = bench.run("explain", bench.directory + "/rules.yml", "src=192.0.2.1", "tenant=acme")
    assert (done.returncode, done.stderr) == (0, "")
    active, found, candidate = done.stdout.partition(f"\nits candidate {bench.directory}/new.yml\n")
    assert found
    assert "  tenant=acme (string), which no rule reads\n" in active
    assert "  rule=a\n" in active and "  rule=b\n" not in active
    assert "  tenant=acme (string)\n" in candidate
    assert "  deny=true\n  rule=b\n" in candidate

    with open(bench.directory + "/new.yml", "a") as file:
        file.write("rulse: []\n")
    done = bench.run("explain", bench.directory + "/rules.yml", "src=192.0.2.1")
    assert done.returncode == 1
    assert f'{bench.directory}/new.yml:3:1: unknown key "rulse"' in done.stderr
