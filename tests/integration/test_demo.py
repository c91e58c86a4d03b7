"""haproxy/demo, and that the shipped files agree with each other and with the agent."""

import difflib
import glob
import os
import pathlib
import re
import signal
import subprocess
import tempfile

import stack

DEMO = stack.ROOT / "haproxy" / "demo"


def demo(*arguments, temporary, **options):
    return subprocess.Popen(
        [DEMO, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ, "TMPDIR": temporary}, **options
    )


def alike(text):
    """Without what differs from one time to the next."""
    text = re.sub(r"(retry-after: |t=)\d+", r"\1N", re.sub(r"\d+ left", "N left", text))
    return re.sub(r"x-request-id: [0-9a-f-]{36}", "x-request-id: ID", text)


def test_demo_once(bench, sluice, haproxy_binary):
    shown = demo("--once", "--sluice", sluice, "--haproxy", haproxy_binary,
                 temporary=bench.directory)
    output = shown.communicate(timeout=120)[0]
    assert shown.returncode == 0, output
    assert re.search(r"127\.0\.0\.12 +greedy +63 +33 +30 +client", output)
    assert re.search(r"127\.0\.0\.13 +at the log-in +23 +8 +15 +login", output)
    assert re.search(r"< retry-after: \d+", output)
    assert "exactly those that the rules demand" in output
    readme = (stack.ROOT / "README.md").read_text()
    told = re.search(r"^    Three clients:\n(?:    .*\n|\n)*", readme, re.M)[0]
    assert alike(re.sub(r"^    ", "", told, flags=re.M).strip()) in alike(output)
    assert glob.glob(f"{bench.directory}/*") == []


def test_demo_notices_wrong_refusals(bench, sluice):
    """An agent that allows one log-in more."""
    wrong = pathlib.Path(bench.directory) / "wrong-sluice"
    wrong.write_text(
        '#!/bin/sh\n'
        'for word; do case $word in *.yml) sed -i "s/limit: 5,/limit: 6,/" "$word";; esac; done\n'
        f'exec {sluice} "$@"\n'
    )
    wrong.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="sluice-test.") as temporary:
        shown = demo("--once", "--sluice", wrong, temporary=temporary)
        output = shown.communicate(timeout=120)[0]
    assert shown.returncode == 1, output
    assert "NOT the refusals" in output


def test_demo_stays_and_cleans_up_when_interrupted(bench, sluice):
    shown = demo("--sluice", sluice, temporary=bench.directory, start_new_session=True)
    port = None
    for line in shown.stdout:
        found = re.search(r"curl -i http://127\.0\.0\.1:(\d+)/api/orders", line)
        port = int(found[1]) if found else port
        if "Requests as they come" in line:
            break
    assert port, "the demo ended before it named its address"
    assert stack.request(port, "/api/orders").status == 200
    assert stack.request(port, "/api/orders", source="127.0.0.12").status == 429
    assert any("429" in line and "127.0.0.12" in line for line in shown.stdout)
    children = pathlib.Path(f"/proc/{shown.pid}/task/{shown.pid}/children").read_text().split()
    assert len(children) == 2
    os.killpg(shown.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    shown.stdout.read()
    assert shown.wait(60) == 0
    assert glob.glob(f"{bench.directory}/*") == []
    assert not any(os.path.exists(f"/proc/{child}") for child in children)


def test_demo_help_and_wrong_arguments():
    told = subprocess.run([DEMO, "--help"], capture_output=True, text=True)
    assert told.returncode == 0 and "--once" in told.stdout
    assert subprocess.run([DEMO, "--onec"], capture_output=True).returncode == 2


def test_the_two_haproxy_files_differ_only_where_they_must():
    new, old = (stack.shipped(name).splitlines() for name in ("haproxy.cfg", "haproxy-2.6.cfg"))
    changed = [
        line for line in difflib.ndiff(new, old)
        if line[:2] in ("- ", "+ ") and not line[2:].lstrip().startswith("#")
    ]
    pause = "http-request pause var(txn.sluice.delay_ms) if { var(txn.sluice.delay_ms) -m found }"
    assert changed == [f"-     {pause}", "-     mode spop", "+     mode tcp"]


def test_haproxy_knows_every_variable_of_the_answer(bench, tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("listen: tcp://127.0.0.1:0\nanswer: [ nothing ]\nrules: []\n")
    told = bench.run("validate", wrong).stderr
    sent = re.search(r"expected one of ([a-z_, ]+)", told)[1].split(", ")
    assert {"allow", "shadow"} <= set(sent)
    listed = re.findall(r"^    register-var-names (.*)$", stack.shipped("spoe-sluice.conf"),
                        re.MULTILINE)
    assert len(listed) == 2
    for names in listed:
        assert set(names.split()) == set(sent)
