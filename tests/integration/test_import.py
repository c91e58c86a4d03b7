"""sluice import envoy: rules that decide as envoyproxy/ratelimit does."""

import json
import os
import pathlib
import random
import re
import time

import pytest


def convert(bench, text):
    path = pathlib.Path(bench.directory) / "ratelimit.yml"
    path.write_text(text)
    return bench.run("import", "envoy", path)


def rules_of(bench, text, told=""):
    """The path of what was made of it; it is right, and `told` is what was said besides."""
    done = convert(bench, text)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"not converted: (.*)", done.stderr) == ([told] if told else [])
    assert not told or f": {told}\n" in done.stdout.partition("rules:")[0]
    path = pathlib.Path(bench.directory) / "rules.yml"
    path.write_text(done.stdout)
    checked = bench.run("validate", path)
    # That a window is long for counters in memory is for people to decide.
    warnings = re.findall(r"^\S+: (?!warning: limit \S+ has a window of).*", checked.stderr, re.MULTILINE)
    assert (checked.returncode, warnings) == (0, []), done.stdout
    return path


def explain(bench, path, request):
    done = bench.run("explain", path, *(f"{name}={value}" for name, value in request.items()))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def applied(bench, path, request):
    """{rule: (key, limit)} of the rules that apply to a request."""
    said = explain(bench, path, request)
    found = re.findall(
        r"^  (\S+) \(line \d+\): yes.*\n    key +(.*)\n    limit +\S+: (.*)$", said, re.MULTILINE)
    return {name: (key, limit) for name, key, limit in found}


# ---- what is usual ------------------------------------------------------------------------------

EDGE = """
domain: edge
descriptors:
  - key: remote_address
    rate_limit: { unit: second, requests_per_unit: 20 }
  - key: remote_address          # nothing for this one
    value: 198.51.100.7
    rate_limit: { unit: second, requests_per_unit: 0 }
  - key: remote_address          # no limit for our own probes
    value: 203.0.113.9
  - key: path
    value: /login
    descriptors:
      - key: remote_address
        rate_limit: { unit: minute, requests_per_unit: 5 }
"""


def test_an_edge_by_address(bench):
    path = rules_of(bench, EDGE)
    every = "20 in 1s, fixed-window"
    assert applied(bench, path, {"src": "192.0.2.1", "path": "/"}) == {
        "remote_address": ("192.0.2.1", every)}
    assert applied(bench, path, {"src": "192.0.2.1", "path": "/login"}) == {
        "remote_address": ("192.0.2.1", every),
        "path_-login.remote_address": ("192.0.2.1", "5 in 1m, fixed-window")}
    assert applied(bench, path, {"src": "198.51.100.7"}) == {
        "remote_address_198.51.100.7": ("*", "0 in 1s, fixed-window")}
    assert "deny=true" in explain(bench, path, {"src": "198.51.100.7"})
    assert applied(bench, path, {"src": "203.0.113.9"}) == {}
    assert applied(bench, path, {"path": "/login"}) == {}


NOTICES = """
domain: notices
descriptors:
  - key: kind
    value: newsletter
    descriptors:
      - key: recipient
        rate_limit: { unit: day, requests_per_unit: 3 }
      - key: recipient
        value: staff@example.org
        rate_limit: { unlimited: true }
  - key: kind
    descriptors:
      - key: recipient
        rate_limit: { unit: hour, requests_per_unit: 30 }
  - key: recipient
    rate_limit: { unit: day, requests_per_unit: 100 }
"""


def test_nested_descriptors_need_all_their_entries(bench):
    path = rules_of(bench, NOTICES)
    daily = ("=a@example.org", "100 in 1d, fixed-window")
    assert applied(bench, path, {"recipient": "a@example.org"}) == {"recipient": daily}
    assert applied(bench, path, {"kind": "newsletter"}) == {}
    assert applied(bench, path, {"recipient": "a@example.org", "kind": "newsletter"}) == {
        "kind_newsletter.recipient": ("=a@example.org", "3 in 1d, fixed-window"),
        "recipient": daily}
    assert applied(bench, path, {"recipient": "a@example.org", "kind": "reminder"}) == {
        "kind.recipient": ("=reminder,=a@example.org", "30 in 1h, fixed-window"),
        "recipient": daily}
    # Neither limited nor counted, and no fall back to the others of the list.
    said = explain(bench, path, {"recipient": "staff@example.org", "kind": "newsletter"})
    assert re.search(r"kind_newsletter\.recipient \(line \d+\): no", said)
    assert re.search(r"kind\.recipient \(line \d+\): no", said)
    assert re.search(r"kind_newsletter\.recipient_staff-example.org \(line \d+\): yes", said)


def test_a_request_that_one_limit_refuses_is_charged_to_the_others(bench):
    """As in ratelimit; of rules that can't meet it need not be said."""
    assert "charge_denied: true" in rules_of(bench, NOTICES).read_text()
    alone = "domain: d\ndescriptors:\n" + "".join(
        f"  - {{ key: k, value: v{i}, rate_limit: {{ unit: day, requests_per_unit: 3 }} }}\n"
        for i in range(3))
    assert "charge_denied" not in rules_of(bench, alone).read_text()


PATHS = """
domain: paths
descriptors:
  - { key: path, value: /api/*, rate_limit: { unit: minute, requests_per_unit: 60 } }
  - { key: path, value: /api/export, rate_limit: { unit: hour, requests_per_unit: 2 } }
  - { key: path, value: /a*, share_threshold: true, rate_limit: { unit: week, requests_per_unit: 9 } }
  - { key: path, rate_limit: { unit: year, requests_per_unit: 4 } }
"""


@pytest.mark.parametrize("asked, rule, key, limit", [
    ("/api/orders", "path_-api-", "=/api/orders", "60 in 1m"),
    ("/api/export", "path_-api-export", "*", "2 in 1h"),
    ("/api/exports", "path_-api-", "=/api/exports", "60 in 1m"),
    ("/about", "path_-a", "*", "9 in 7d"),
    ("/", "path", "=/", "4 in 365d"),
])
def test_wildcards(bench, asked, rule, key, limit):
    path = rules_of(bench, PATHS)
    assert applied(bench, path, {"path": asked}) == {rule: (key, f"{limit}, fixed-window")}


NETWORKS = """
domain: networks
descriptors:
  - { key: masked_remote_address, value: 192.0.2.0/24, rate_limit: { unit: hour, requests_per_unit: 0 } }
  - { key: masked_remote_address, rate_limit: { unit: hour, requests_per_unit: 9 } }
"""


def test_a_network_is_a_text(bench):
    path = rules_of(bench, NETWORKS)
    name = "masked_remote_address"
    assert list(applied(bench, path, {name: "192.0.2.0/24"})) == [f"{name}_192.0.2.0-24"]
    assert list(applied(bench, path, {name: "192.0.2.0/2"})) == [name]
    assert list(applied(bench, path, {name: "1920.2.0/24"})) == [name]


REPLACES = """
domain: accounts
descriptors:
  - key: class
    value: read
    descriptors:
      - key: user
        rate_limit: { name: reads, unit: second, requests_per_unit: 5 }
  - key: endpoint
    value: /cheap
    descriptors:
      - key: user
        rate_limit: { unit: second, requests_per_unit: 50, replaces: [ { name: reads } ] }
"""


def test_a_limit_that_replaces_another(bench):
    path = rules_of(bench, REPLACES)
    reads, cheap = "class_read.user", "endpoint_-cheap.user"
    assert list(applied(bench, path, {"class": "read", "user": "u"})) == [reads]
    assert list(applied(bench, path, {"endpoint": "/cheap", "user": "u"})) == [cheap]
    both = {"endpoint": "/cheap", "class": "read", "user": "u"}
    assert list(applied(bench, path, both)) == [cheap]
    both["endpoint"] = "/dear"
    assert list(applied(bench, path, both)) == [reads]


def test_shadows_refuse_nothing(bench):
    path = rules_of(bench, """
domain: d
descriptors:
  - { key: user, value: a, shadow_mode: true, rate_limit: { unit: second, requests_per_unit: 0 } }
  - { key: user, value: b, rate_limit: { unit: second, requests_per_unit: 0 } }
""")
    said = explain(bench, path, {"user": "a"})
    assert "allow=true" in said and "shadow=user_a" in said
    assert "deny=true" in explain(bench, path, {"user": "b"})


def test_what_spoe_config_makes_of_it(bench):
    said = bench.run("spoe-config", rules_of(bench, EDGE), "--only", "spoe").stdout
    assert re.search(r"^ +args .*\bsrc=src\b", said, re.MULTILINE)
    assert re.search(r"^ +args .*\bpath=path\b", said, re.MULTILINE)


# ---- what is not --------------------------------------------------------------------------------

ONE = "domain: d\ndescriptors:\n  - { key: k, %s }\n"
LIMIT = "rate_limit: { unit: second, requests_per_unit: 1 }"


@pytest.mark.parametrize("entry, told", [
    (f"{LIMIT}, detailed_metric: true", "detailed_metric: metrics are by rule, never by value"),
    (f"{LIMIT}, value_to_metric: true", "value_to_metric: metrics are by rule, never by value"),
    (f"{LIMIT}, quota_mode: true",
     "quota_mode: it is mode: shadow, whose refusals are told in `shadow`"),
    (f"{LIMIT}, unit: second", '"unit" in a descriptor, where ratelimit passes it over'),
    ("rate_limit: { unit: second, requests_per_unit: 4000000000 }",
     'requests_per_unit "4000000000", which is more than a limit can be: it is 1000000000'),
])
def test_what_is_not_converted_is_told(bench, entry, told):
    rules_of(bench, ONE % entry, told)


def test_wrong_files_are_told_with_their_place(bench):
    done = convert(bench, ONE % "rate_limit: { unit: fortnight, requests_per_unit: many }")
    assert (done.returncode, done.stdout) == (1, "")
    path = f"{bench.directory}/ratelimit.yml"
    assert done.stderr == (
        f'{path}:3:35: unit is "fortnight", expected second, minute, hour, day, week, month or year\n'
        "  3 |   - { key: k, rate_limit: { unit: fortnight, requests_per_unit: many } }\n"
        "    |                                   ^\n"
        f'{path}:3:65: requests_per_unit is "many", expected a whole number from 0 to 4294967295\n'
        "  3 |   - { key: k, rate_limit: { unit: fortnight, requests_per_unit: many } }\n"
        "    |                                                                 ^\n")


@pytest.mark.parametrize("arguments", [
    (), ("envoy",), ("nginx", "a"), ("envoy", "a", "b"), ("--from", "envoy", "a")])
def test_a_wrong_command_line_is_told(bench, arguments):
    done = bench.run("import", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: sluice import" in done.stderr or "expected envoy" in done.stderr


def test_a_file_that_is_not_there_is_told(bench):
    done = bench.run("import", "envoy", "/nowhere.yml")
    assert (done.returncode, done.stderr) == (1, "/nowhere.yml: No such file or directory\n")


# ---- against ratelimit's own way of looking -------------------------------------------------------


def look_up(descriptors, entries):
    """The descriptor that ratelimit finds for a list of (key, value), or None."""
    found = None
    for position, (key, value) in enumerate(entries):
        of_key = [d for d in descriptors if d["key"] == key]
        exact = [d for d in of_key if d.get("value") == value]
        wild = [d for d in of_key
                if d.get("value", "").endswith("*") and value.startswith(d["value"][:-1])]
        any_value = [d for d in of_key if "value" not in d]
        found = (exact + wild + any_value + [None])[0]
        if found is None:
            return None
        descriptors = found.get("descriptors", [])
        if not descriptors and position < len(entries) - 1:
            return None
    return found if found and "rate_limit" in found else None


def key_paths(descriptors, above=()):
    for d in descriptors:
        yield above + (d["key"],)
        yield from key_paths(d.get("descriptors", []), above + (d["key"],))


def expected(descriptors, request):
    """The limits, by the number that each has, of all descriptors that could be sent."""
    found = []
    for keys in set(key_paths(descriptors)):
        if all(key in request for key in keys):
            found.append(look_up(descriptors, [(key, request[key]) for key in keys]))
    limits = [d["rate_limit"] for d in found if d]
    replaced = {r["name"] for limit in limits for r in limit.get("replaces", [])}
    return sorted(limit["requests_per_unit"] for limit in limits
                  if limit.get("name") not in replaced)


KEYS = ["a", "b", "c"]
VALUES = ["x", "xy", "y", "z", "10.0.0.0/8"]
CONFIGURED = [None, *VALUES, "x*", "xy*", "*"]


def some_descriptors(chance, numbers, depth, used=()):
    made, seen = [], set()
    for _ in range(chance.randint(1, 5)):
        key, value = chance.choice([k for k in KEYS if k not in used]), chance.choice(CONFIGURED)
        if (key, value) in seen:
            continue
        seen.add((key, value))
        d = {"key": key}
        if value:
            d["value"] = value
        if chance.random() < 0.7:
            d["rate_limit"] = {"unit": "day", "requests_per_unit": next(numbers)}
            if chance.random() < 0.3:
                d["rate_limit"]["name"] = chance.choice("nm")
            elif chance.random() < 0.3:
                d["rate_limit"]["replaces"] = [{"name": chance.choice("nm")}]
        if depth < 3 and chance.random() < 0.4:
            d["descriptors"] = some_descriptors(chance, numbers, depth + 1, (*used, key))
        made.append(d)
    return made


def test_the_same_limits_apply_as_by_ratelimit(bench):
    seed = int(os.environ.get("SLUICE_TEST_SEED", time.time_ns()))
    print(f"SLUICE_TEST_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(10):
        descriptors = some_descriptors(chance, iter(range(1, 10000)), 1)
        done = convert(bench, json.dumps({"domain": "d", "descriptors": descriptors}))
        assert done.returncode == 0, done.stderr
        path = pathlib.Path(bench.directory) / "rules.yml"
        path.write_text(done.stdout)
        for _ in range(5):
            request = {key: chance.choice([*VALUES, "xyz", "q"])
                       for key in KEYS if chance.random() < 0.75}
            limits = [int(limit.split()[0])
                      for _, limit in applied(bench, path, request).values()]
            assert sorted(limits) == expected(descriptors, request), (descriptors, request)
