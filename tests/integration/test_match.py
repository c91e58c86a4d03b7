"""Each operator of `match`, asked by a real HAProxy: what its types look like on the wire is its
own choice, and another one in each version."""

import pathlib
import signal

import pytest
import spop
import stack

# Arguments of every type that HAProxy makes of a header; what isn't there isn't sent.
ARGUMENTS = (
    " api_key=req.hdr(x-api-key)",
    " which=req.hdr(x-which) t=req.hdr(x-t) n=req.hdr_val(x-n) ip=req.hdr_ip(x-ip)"
    " raw=req.hdr(x-raw),base64 yes=req.hdr(x-yes),bool",
)

# A rule is refused by when `x-which` names it and its condition holds.
CONDITIONS = {
    "is": "t: x",
    "is-number": "n: 5",
    "is-bool": "yes: true",
    "is-address": 'ip: "2001:db8::1"',
    "in": "t: { in: [ a, b ] }",
    "in-file": "t: { in_file: lists/words.txt }",
    "prefix": "path: { prefix: [ /a/, /b/ ] }",
    "suffix": "t: { suffix: .php }",
    "contains": "t: { contains: bot }",
    "contains-raw": "raw: { contains: Ym90 }",
    "regex": "path: { regex: '^/v[0-9]+/(orders|items)$' }",
    "lt": "n: { lt: 10 }",
    "le": "n: { le: 10 }",
    "gt": "n: { gt: 10 }",
    "ge": "n: { ge: 10 }",
    "between": "n: { between: [ -5, 10 ] }",
    "number-in-text": "t: { gt: 1000 }",
    "cidr": "ip: { cidr: [ 192.0.2.0/24, 2001:db8::/32 ] }",
    "cidr-text": "t: { cidr: 192.0.2.0/24 }",
    "cidr-file": "ip: { cidr_file: lists/networks.txt }",
    "exists": "t: { exists: true }",
    "missing": "t: { exists: false }",
    "not": "t: { not: { prefix: a } }",
    "ignore-case": "t: { is: Straight, ignore_case: true }",
    "ignore-case-in": "t: { in: [ One, TWO ], ignore_case: true }",
    "ignore-case-prefix": "t: { prefix: Abc, ignore_case: true }",
    "ignore-case-suffix": "t: { suffix: .PHP, ignore_case: true }",
    "ignore-case-contains": "t: { contains: Bot, ignore_case: true }",
    "ignore-case-regex": "t: { regex: '^v[a-c]$', ignore_case: true }",
    "ignore-case-in-file": "t: { in_file: lists/words.txt, ignore_case: true }",
    "regex-hostile": "t: { regex: '^(a+)+$' }",
    "any": "any: [ { t: x }, { n: { gt: 10 } } ]",
    "all": "all: [ { t: { prefix: a } }, { t: { suffix: z } } ]",
    "not-all": "not: { t: x, n: 5 }",
    "nested": "any: [ { not: { any: [ { t: x }, { n: 5 } ] } }, { all: [ { t: y } ] } ]",
}

FILES = {
    "words.txt": "# what is blocked\nblocked\nalso this # one\n5\n",
    "networks.txt": "198.51.100.0/24 # an office\n\n2001:db8:1::/48\n",
}

# Of each rule: requests that it refuses, and requests that it lets pass.
EXAMPLES = {
    "is": ([{"x-t": "x"}], [{"x-t": "X"}, {"x-t": "xx"}, {}]),
    "is-number": ([{"x-n": "5"}, {"x-n": "05"}], [{"x-n": "6"}, {}]),
    "is-bool": ([{"x-yes": "1"}], [{"x-yes": "0"}, {}]),
    "is-address": ([{"x-ip": "2001:db8::1"}, {"x-ip": "2001:0db8:0::0001"}],
                   [{"x-ip": "2001:db8::2"}, {"x-ip": "192.0.2.1"}, {}]),
    "in": ([{"x-t": "a"}, {"x-t": "b"}], [{"x-t": "c"}, {}]),
    "in-file": ([{"x-t": "blocked"}, {"x-t": "also this"}, {"x-t": "5"}],
                [{"x-t": "# what is blocked"}, {"x-t": "also"}, {}]),
    "prefix": ([{"path": "/a/x"}, {"path": "/b/"}], [{"path": "/a"}, {"path": "/x/a/"}]),
    "suffix": ([{"x-t": "x.php"}], [{"x-t": "x.php5"}, {}]),
    "contains": ([{"x-t": "a bot."}], [{"x-t": "a BOT."}, {"x-t": "bo"}, {}]),
    "contains-raw": ([{"x-raw": "bot"}], [{"x-raw": "bat"}, {}]),
    "regex": ([{"path": "/v1/orders"}, {"path": "/v22/items"}],
              [{"path": "/v1/orders/"}, {"path": "/v/items"}]),
    "lt": ([{"x-n": "9"}, {"x-n": "-20"}], [{"x-n": "10"}, {}]),
    "le": ([{"x-n": "10"}], [{"x-n": "11"}, {}]),
    "gt": ([{"x-n": "11"}], [{"x-n": "10"}, {}]),
    "ge": ([{"x-n": "10"}], [{"x-n": "9"}, {"x-n": "-20"}, {}]),
    "between": ([{"x-n": "-5"}, {"x-n": "10"}], [{"x-n": "-6"}, {"x-n": "11"}, {}]),
    "number-in-text": ([{"x-t": "1001"}], [{"x-t": "1000"}, {"x-t": "many"}, {}]),
    "cidr": ([{"x-ip": "192.0.2.7"}, {"x-ip": "2001:db8:5::5"}],
             [{"x-ip": "192.0.3.7"}, {"x-ip": "2001:db9::"}, {}]),
    "cidr-text": ([{"x-t": "192.0.2.7"}], [{"x-t": "192.0.3.7"}, {"x-t": "192.0.2"}, {}]),
    "cidr-file": ([{"x-ip": "198.51.100.255"}, {"x-ip": "2001:db8:1:2::"}],
                  [{"x-ip": "198.51.101.0"}, {"x-ip": "2001:db8:2::"}, {}]),
    "exists": ([{"x-t": "any"}], [{}]),
    "missing": ([{}], [{"x-t": "any"}]),
    "not": ([{"x-t": "b"}, {}], [{"x-t": "a"}, {"x-t": "ab"}]),
    "ignore-case": ([{"x-t": "STRAIGHT"}, {"x-t": "straight"}], [{"x-t": "strait"}, {}]),
    "ignore-case-in": ([{"x-t": "ONE"}, {"x-t": "two"}], [{"x-t": "three"}, {}]),
    "ignore-case-prefix": ([{"x-t": "aBCd"}], [{"x-t": "xabc"}, {}]),
    "ignore-case-suffix": ([{"x-t": "x.Php"}], [{"x-t": "x.ph"}, {}]),
    "ignore-case-contains": ([{"x-t": "a BOT."}], [{"x-t": "b o t"}, {}]),
    "ignore-case-regex": ([{"x-t": "VB"}], [{"x-t": "vd"}, {}]),
    "ignore-case-in-file": ([{"x-t": "BLOCKED"}, {"x-t": "Also This"}], [{"x-t": "fresh"}, {}]),
    # One for which a matcher without bounds takes for ever: then it doesn't hold.
    "regex-hostile": ([{"x-t": "a" * 20}], [{"x-t": "a" * 4000 + "b"}, {}]),
    "any": ([{"x-t": "x"}, {"x-n": "11"}], [{"x-t": "y", "x-n": "10"}, {}]),
    "all": ([{"x-t": "az"}, {"x-t": "abcz"}], [{"x-t": "a"}, {"x-t": "z"}, {}]),
    "not-all": ([{"x-t": "x"}, {"x-n": "5"}, {}], [{"x-t": "x", "x-n": "5"}]),
    "nested": ([{}, {"x-t": "z"}, {"x-t": "y", "x-n": "5"}], [{"x-t": "x"}, {"x-n": "5"}]),
}


def write_lists(bench, files):
    folder = pathlib.Path(bench.directory) / "lists"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def refused_by(haproxy, which, example):
    """The rule that refuses a request; None when it passes."""
    headers = {"x-which": which, **example}
    path = headers.pop("path", "/")
    answer = haproxy.request(path, headers=headers)
    if answer.status == 200:
        return None
    assert answer.status == 429
    return answer.body.split("by the rule ")[1].rstrip(".\n")


@pytest.fixture
def haproxy(bench, haproxy_binary):
    write_lists(bench, FILES)
    rules = "".join(
        f"  - {{ name: {name}, action: deny, match: {{ which: {name}, {condition} }} }}\n"
        for name, condition in CONDITIONS.items()
    )
    bench.agent("rules:\n" + rules)
    return bench.haproxy(haproxy_binary, spoe_edits=[ARGUMENTS])


def test_each_operator(haproxy):
    assert EXAMPLES.keys() == CONDITIONS.keys()
    for name, (refused, passing) in EXAMPLES.items():
        for example in refused:
            assert refused_by(haproxy, name, example) == name, (name, example)
        for example in passing:
            assert refused_by(haproxy, name, example) is None, (name, example)


# ---- rules that stop the search -------------------------------------------------------------------

STOPPING = """
rules:
  - name: all
    key: [ src ]
    limits: [ { limit: 3, window: 1h, algorithm: sliding-log } ]
  - { name: friends, match: { path: /friends }, action: allow }
  - { name: blocked, match: { path: { prefix: / } }, action: deny }
  - name: never
    key: [ src ]
    limits: [ { limit: 0, window: 1h } ]
"""


def test_deny_refuses_counts_nothing_and_ends_the_search(bench, haproxy_binary):
    bench.agent(STOPPING)
    haproxy = bench.haproxy(haproxy_binary)
    for _ in range(5):
        answer = haproxy.request("/x")
        assert answer.status == 429
        assert answer.body == "Too many requests, by the rule blocked.\n"
    # What it refused was charged to no rule before it; an allow before it wins.
    assert [haproxy.request("/friends").status for _ in range(4)] == [200] * 3 + [429]


# ---- files of values ------------------------------------------------------------------------------


def test_files_are_read_again_with_the_rules(bench):
    rules = """
rules:
  - { name: blocked, match: { t: { in_file: lists/words.txt } }, action: deny }
"""
    write_lists(bench, FILES)
    agent = bench.agent(rules)
    with spop.Connection(agent.tcp_address()) as connection:
        connection.hello()

        def denied(*texts):
            return [connection.ask({"t": text})["deny"] for text in texts]

        assert denied("blocked", "fresh") == [True, False]
        # Not before they are told to.
        write_lists(bench, {"words.txt": "fresh\n"})
        assert denied("blocked", "fresh") == [True, False]
        agent.send_signal(signal.SIGHUP)
        agent.wait_for_log(r"rules reloaded")
        stack.wait_until(lambda: denied("fresh") == [True], "the new list to be in force")
        assert denied("blocked", "fresh") == [False, True]
        # One that is wrong is refused whole, and said to be where it is.
        write_lists(bench, {"words.txt": "fresh\n10.0.0.0/8\n"})
        agent.send_signal(signal.SIGHUP)
        agent.wait_for_log(r"lists/words\.txt:2:1: a value is .*10\.0\.0\.0/8")
        assert denied("blocked", "fresh") == [False, True]
    path = str(agent.rules_path)
    done = bench.run("validate", path)
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"{bench.directory}/lists/words.txt:2:1: a value is \"10.0.0.0/8\", expected an address")
    assert "  2 | 10.0.0.0/8\n    | ^\n" in done.stderr
