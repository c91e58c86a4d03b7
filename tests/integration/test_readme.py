"""What README and docs/ show is right: every rule file in them loads, what commands are shown to
print they print, every metric is there."""
import os
import re
import subprocess
from pathlib import Path

import pytest

from test_lifecycle import admin

ROOT = Path(__file__).resolve().parents[2]
SLUICE = ROOT / os.environ.get("SLUICE_BINARY", "build/release/agent/sluice")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "".join(page.read_text() for page in PAGES)
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S)


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_loads(text):
    if "listen:" not in text:
        text = "listen: tcp://127.0.0.1:0\n" + text
    done = subprocess.run([SLUICE, "validate", "-"], input=text, text=True,
                          capture_output=True, timeout=60, check=False)
    if "tls:" in text and "which has no TLS" in done.stderr:
        assert done.stderr.count("\n") == 1 # that, and nothing else
        return
    if text.startswith("# odd.yml"):
        assert done.returncode == 0 and ": warning: " in done.stderr
        return
    assert (done.returncode, done.stderr) == (0, "")


# ---- what commands print -------------------------------------------------------------------------

# Those that end by themselves and say the same each time.
REPEATABLE = re.compile(r"(sed|for|sluice (validate|explain|replay)) ")


def sessions(text):
    """[[command, what it prints], ...] of the indented blocks, in order: "$ " begins a command, "> "
    goes on with it."""
    found = []
    for block in re.findall(r"^    \$ .*\n(?:(?:    .*)?\n)*", text, re.M):
        for line in re.sub(r"^    ", "", block, flags=re.M).strip("\n").split("\n"):
            if line.startswith("$ "):
                found.append([line[2:], ""])
            elif line.startswith("> "):
                found[-1][0] += "\n" + line[2:]
            else:
                found[-1][1] += line + "\n"
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_print_what_is_shown(page, tmp_path):
    text = page.read_text()
    (tmp_path / "haproxy").symlink_to(ROOT / "haproxy")
    (tmp_path / "sluice").symlink_to(SLUICE)
    for whole, name in re.findall(r"^```yaml\n(# (\S+\.yml)\n.*?)^```", text, re.M | re.S):
        (tmp_path / name).write_text(whole)
    commands = [(command, printed) for command, printed in sessions(text)
                if REPEATABLE.match(command)]
    assert len(commands) >= 6 or page.name != "README.md"
    for command, printed in commands:
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
        assert done.stdout.rstrip("\n") == printed.rstrip("\n"), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.is_file(), target
        titles = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
        assert not anchor or anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
                                        for title in titles}, target


def test_the_metrics_are_those_that_are_served(bench):
    """With a store that is shared, since that has all of them; nothing has to be there to share."""
    agent = bench.agent("""
listen: tcp://127.0.0.1:0
admin: tcp://127.0.0.1:0
store: { mode: single, nodes: [ "127.0.0.1:1" ] }
rules: []
""")
    row = r"^\| `(sluice_\w+)(?:\{[a-z,]*\})?` \| (?:counter|gauge) \|"
    said = set(re.findall(r"^# HELP (\S+) ", admin(agent, "/metrics")[1], re.M))
    assert set(re.findall(row, TEXT, re.M)) == said
