"""sluice replay: what it makes of logs that a real HAProxy has written, and of others."""

import json
import os
import re
import subprocess

import pytest

import stack

RULES = """rules:
  - { name: probes, match: { path: /health }, action: allow }
  - name: login
    match: { path: { prefix: /login }, method: POST }
    key: [ src/64 ]
    limits: { limit: 2, window: 1d, algorithm: sliding-log }
  - name: client
    key: [ src/64 ]
    limits: { limit: 10, window: 1d, algorithm: sliding-log }
"""


def replay(bench, rules, *arguments, log=None, name="replayed"):
    """({rule: (applies to, refuses, before)}, its whole output) of `sluice replay`."""
    path = f"{bench.directory}/{name}.yml"
    with open(path, "w") as file:
        file.write("listen: :0\n" + rules)
    if log is not None:
        with open(bench.directory + "/log", "w") as file:
            file.write(log)
        arguments = ("--log", bench.directory + "/log", *arguments)
    done = bench.run("replay", path, *arguments)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    table = re.search(r"^  rule .*\n((?:  .*\n)*)", done.stdout, re.M)[1]
    rows = {}
    for row in table.splitlines():
        name, cells = re.match(r"  (\S+)((?: +(?:\d+|-)(?!\S))+)", row).groups()
        rows[name] = tuple(int(cell) if cell.isdigit() else None for cell in cells.split())
    return rows, done.stdout


def line(at, client="192.0.2.1", path="/", method="GET", status=200):
    minutes, seconds = divmod(at, 60)
    return (f"{client}:4000 [24/Nov/2026:17:{minutes:02d}:{seconds:02d}.000] www api/api1 "
            f"0/0/1/3/4 {status} 512 - - ---- 1/1/0/0/0 0/0 \"{method} {path} HTTP/1.1\"\n")


# ---- a real log ---------------------------------------------------------------------------------


FORMATS = {
    "shipped": None,  # HAProxy's default, and the rule behind it
    "httplog": "option httplog",
    "own": 'log-format "at=%Ts.%ms from=%ci %HM %{+Q}HU %ST"',
    "json": 'log-format \'{"time":"%trg","ms":%ms,"src":"%ci","method":"%HM","path":"%HPO"}\'',
}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_log_of_haproxys_comes_out_as_the_agent_decided(bench, haproxy_binary, kind):
    agent = bench.agent(RULES)
    shipped = next(text for text in stack.shipped(
        stack.haproxy_file(stack.haproxy_version(haproxy_binary))).splitlines()
        if "log-format" in text)
    edits = [] if kind == "shipped" else [(shipped, "    " + FORMATS[kind])]
    haproxy = bench.haproxy(haproxy_binary, config_edits=edits)
    refused = {}
    for client, method, path, count in (("192.0.2.1", "GET", "/x?y=1", 13),
                                        ("192.0.2.2", "POST", "/login", 6),
                                        ("2001:db8::7", "GET", "/", 12),
                                        ("192.0.2.1", "GET", "/health", 3)):
        for _ in range(count):
            answer = stack.request(haproxy.proxied_port, path, method, claimed=client)
            if answer.status == 429:
                rule = re.search(r"by the rule (\w+)", answer.body)[1]
                refused[rule] = refused.get(rule, 0) + 1
    assert refused == {"login": 4, "client": 5}
    # A line is written when its request has been ended, which may be after its client was answered.
    haproxy.wait_for_log(r"192\.0\.2\.|2001:db8::7", "a line of each request", count=34)
    text = {"own": 'at=%Ts.%ms from=%ci %HM %{+Q}HU %ST'}.get(kind)
    log = haproxy.log()
    rows, said = replay(bench, RULES, *(["--format", text] if text else []), log=log)
    assert {name: row[1] for name, row in rows.items()} == {"probes": 0, **refused}
    assert rows["probes"][0] == 3 and rows["client"][0] == 31 and rows["login"][0] == 6
    assert " 34 requests from " in said
    assert re.search(r"^ +4  login  192\.0\.2\.2$", said, re.M)
    assert re.search(r"^ +3  client  192\.0\.2\.1$", said, re.M)
    assert re.search(r"^ +2  client  2001:db8::/64$", said, re.M)


# ---- its clock and its keys ---------------------------------------------------------------------


def test_time_is_the_logs(bench):
    rules = "rules: [ { name: r, key: src, limits: { limit: 1, window: 10s, " \
            "algorithm: sliding-log } } ]\n"
    log = "".join(line(at) for at in (0, 9, 10, 19, 20, 600))
    rows, said = replay(bench, rules, log=log)
    assert rows == {"r": (6, 2)}
    assert "6 lines, 6 requests from 2026-11-24 17:00:00 to 2026-11-24 17:10:00\n" in said
    assert "refused: 2 requests (33.33 %)" in said


def test_lines_out_of_order_are_of_the_time_before(bench):
    """HAProxy writes a line when a request ends, with the time at which it began."""
    rules = "rules: [ { name: r, key: src, limits: { limit: 9, window: 10s } } ]\n"
    _, said = replay(bench, rules, log=line(90) + line(60) + line(29))
    assert "  1 requests more than a minute older than one before them" in said
    assert "from 2026-11-24 17:01:30 to 2026-11-24 17:01:30" in said


def test_what_a_log_cannot_tell_is_said(bench):
    rules = """rules:
  - { name: a, key: [ src, tenant ], limits: { limit: 1, window: 1s } }
  - { name: b, message: sluice-connection, key: src, limits: { limit: 1, window: 1s } }
  - { name: c, match: { ip: 192.0.2.1 }, action: allow }
"""
    log = line(0) + "Proxy www started.\n\n" + line(0, status=400).replace("GET / HTTP/1.1",
                                                                         "<BADREQ>")
    rows, said = replay(bench, rules, log=log)
    assert rows == {"a": (0, 0), "b": (0, 0), "c": (1, 0)}
    assert said.splitlines()[:4] == [
        "4 lines, 1 requests from 2026-11-24 17:00:00 to 2026-11-24 17:00:00",
        "  1 lines without a request that HAProxy could read",
        "  1 unreadable lines, the first is line 2: expected what the format has behind a variable",
        "  read by rules, but in no line: tenant",
    ]
    assert re.search(r"^  b .*\(of connections: not in a log\)$", said, re.M)


def test_responses_are_told_after_their_requests(bench):
    rules = """rules:
  - name: served
    message: sluice-response
    match: { status: 401 }
    key: [ src, path ]
    limits: { limit: 2, window: 1h, algorithm: sliding-log }
"""
    log = "".join(line(at, path="/login", status=401) for at in range(5)) + line(6)
    rows, said = replay(bench, rules, log=log)
    # The requests themselves are refused by nothing.
    assert rows == {"served": (5, 3)}
    assert "refused: 0 requests" in said


def test_rules_that_are_charged_at_the_response(bench):
    rules = """rules:
  - name: failed
    message: sluice-request
    match: { path: /login }
    key: src
    limits: { limit: 2, window: 1h, algorithm: sliding-log }
    charge: { message: sluice-response, match: { status: 401 } }
"""
    statuses = [401, 200, 200, 401, 401, 200]
    log = "".join(line(at, path="/login", status=status) for at, status in enumerate(statuses))
    rows, said = replay(bench, rules, log=log)
    # What is refused isn't asked of a server, and so charges nothing.
    assert rows == {"failed": (6, 2)}
    assert re.search(r"^  failed .* charged 2$", said, re.M)


def test_captured_headers(bench):
    rules = "rules: [ { name: r, match: { host: a.example }, key: api_key, " \
            "limits: { limit: 1, window: 1h } } ]\n"
    log = "".join(line(at).replace('0/0 "', '0/0 {a.example|k1} {} "') for at in range(3))
    rows, said = replay(bench, rules, "--captures", "host,api_key", log=log)
    assert rows == {"r": (3, 2)} and "=k1" in said


def test_shadow_and_delay_are_told_apart(bench):
    rules = """rules:
  - { name: shy, key: src, mode: shadow, limits: { limit: 1, window: 1h } }
  - { name: shape, key: src, mode: delay, max_delay: 20s,
      limits: { limit: 6, window: 1m, burst: 1, algorithm: token-bucket } }
"""
    rows, said = replay(bench, rules, log="".join(line(0) for at in range(5)))
    assert rows == {"shy": (5, 0), "shape": (5, 2)}
    assert re.search(r"^  shy .* would refuse 4 \(shadow\)$", said, re.M)
    assert re.search(r"^  shape .* delays 2$", said, re.M)


# ---- two files ----------------------------------------------------------------------------------


def test_two_files_are_compared(bench):
    old = bench.directory + "/old.yml"
    with open(old, "w") as file:
        file.write("listen: :0\nrules:\n"
                   "  - { name: gone, match: { path: /b }, action: deny }\n"
                   "  - { name: r, key: src, limits: { limit: 3, window: 1h } }\n")
    rules = "rules:\n" \
            "  - { name: r, key: src, limits: { limit: 2, window: 1h } }\n" \
            "  - { name: new, match: { path: /c }, action: deny }\n"
    log = "".join(line(at, path=path) for at, path in enumerate(["/", "/b", "/", "/", "/", "/c"]))
    rows, said = replay(bench, rules, "--against", old, log=log)
    # Now: the first two pass. Before: /b was refused and not counted, so that /c was one too many.
    assert rows == {"r": (6, 3, 2), "new": (1, 1, None), "gone": (0, 0, 1)}
    assert said.partition("\nrefused: ")[2].splitlines()[:5] == [
        "4 requests (66.67 %)",
        "before: 3 requests (50.00 %)",
        "  by both                    2",
        "  only now                   2",
        "  only before                1",
    ]


# ---- JSON ---------------------------------------------------------------------------------------


def test_addresses_in_json_are_such_by_every_name_that_they_have(bench):
    """As HAProxy sends them; a text would be `=192.0.2.1`."""
    rules = "rules: [ { name: a, key: client_ip, limits: { limit: 1, window: 1m } } ]\n"
    log = '{"time":"2026-11-24T17:00:00Z","client_ip":"192.0.2.1"}\n' * 2
    rows, said = replay(bench, rules, log=log)
    assert rows == {"a": (2, 1)} and said.endswith(" 1  a  192.0.2.1\n")


def test_json_lines(bench):
    rules = "rules: [ { name: r, match: { units: { gt: 5 } }, key: [ src, tenant ], " \
            "limits: { limit: 1, window: 1h } } ]\n"
    log = "".join(json.dumps({"when": 1795540673 + at, "client": "192.0.2.1", "tenant": "ü",
                              "units": 3 * at, "more": {"tenant": "x"}}) + "\n"
                  for at in range(5))
    rows, said = replay(bench, rules, "--time", "when", "-a", "src=client", log=log)
    assert rows == {"r": (3, 2)}
    assert "192.0.2.1,=%C3%BC" in said


# ---- as a program -------------------------------------------------------------------------------


def test_a_log_from_standard_input(bench, sluice):
    path = bench.directory + "/rules.yml"
    with open(path, "w") as file:
        file.write("listen: :0\n" + RULES)
    # The last line has no end; one in the middle is longer than any may be.
    log = line(0) + "x" * 3_000_000 + "\n" + line(1).rstrip("\n")
    done = subprocess.run([sluice, "replay", path, "--log", "-"], input=log, text=True,
                          capture_output=True, timeout=stack.WAIT)
    assert done.returncode == 0
    assert "3 lines, 2 requests" in done.stdout
    assert "1 unreadable lines, the first is line 2: expected lines of less than 1 MiB" in done.stdout


def test_progress_is_shown_on_a_terminal_only(bench, sluice):
    path = bench.directory + "/rules.yml"
    with open(path, "w") as file:
        file.write("listen: :0\n" + RULES)
    with open(bench.directory + "/log", "w") as file:
        file.write(line(0) * 300_000)
    primary, secondary = os.openpty()
    program = subprocess.Popen([sluice, "replay", path, "--log", bench.directory + "/log"],
                               stdout=subprocess.DEVNULL, stderr=secondary)
    os.close(secondary)
    shown = b""
    try:
        while data := os.read(primary, 1 << 16):
            shown += data
    except OSError:
        pass  # the other end is closed
    os.close(primary)
    assert program.wait(stack.WAIT) == 0
    assert re.search(rb"\[#* *\] +\d+ %  \d+ lines, \d+ a second", shown)
    assert shown.endswith(b"\r\x1b[K")


@pytest.mark.parametrize("arguments, status, expected", [
    ((), 2, "FILE is missing"),
    (("a.yml",), 2, "--log is missing, expected an access log"),
    (("-", "--log", "-"), 2, "expected another file than the rules'"),
    (("a.yml", "--log", "b", "-a", "x"), 2, '--argument is "x", expected ARGUMENT=MEMBER'),
    (("{rules}", "--log", "/absent"), 1, "/absent: No such file"),
    (("/absent.yml", "--log", "{log}"), 1, "/absent.yml: No such file"),
    (("{rules}", "--log", "{log}", "--against", "/absent.yml"), 1, "/absent.yml: No such file"),
    (("{rules}", "--log", "{log}", "-f", "%ci %HM"), 1, "^ expected a time in it, as in %tr"),
    (("{rules}", "--log", "{rules}"), 1, "no request in it, expected one a line"),
])
def test_what_is_wrong_is_told(bench, arguments, status, expected):
    with open(bench.directory + "/log", "w") as file:
        file.write(line(0))
    places = {"rules": stack.ROOT / "haproxy" / "sluice.yml", "log": bench.directory + "/log"}
    done = bench.run("replay", *[a.format(**places) if a.startswith("{") else a
                                 for a in arguments])
    assert done.returncode == status
    assert expected in done.stderr
