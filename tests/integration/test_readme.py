"""What README and docs/ show is right: every rule file in them loads, every metric is there."""
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
    assert (done.returncode, done.stderr) == (0, "")


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
