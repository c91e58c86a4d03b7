"""What README and docs/ show is right: every rule file in them loads, what commands are shown to
print they print, every metric is there."""
import os
import re
import subprocess
from pathlib import Path

import pytest

import admin

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
REPEATABLE = re.compile(r"(sed|for|cat|sluice (validate|explain|replay|import)) ")


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


# What operations.md shows goes on from one command to the next: test_operations.py.
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "operations.md"],
                         ids=lambda page: page.name)
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


def test_the_agent_of_the_tour_answers_as_is_shown(bench):
    readme = (ROOT / "README.md").read_text()
    rules = re.search(r"^```yaml\n# tour.yml\n(.*?)^```", readme, re.M | re.S)[1]
    rules = re.sub(r"^(listen|admin):.*\n", "", rules, flags=re.M)
    asks = [(command, printed) for command, printed in sessions(readme)
            if command.startswith("sluice ask unix:///tmp/sluice-tour.sock ")]
    agent = bench.agent(rules)

    def ask(command):
        arguments = command.split("#")[0].split("|")[0].split()
        arguments[2] = agent.tcp_address()
        return bench.run(*arguments[1:]).stdout

    def alike(text):
        return re.sub(r"(retry_at|retry_after|reset|t)=\d+", r"\1=N", text)

    (first, answer), (third, refusal), (fourth, begin) = asks
    assert alike(ask(first)) == alike(answer)
    ask(first)
    assert alike(ask(third)) == alike(refusal)
    agent.reload(agent.rules_path.read_text().replace("limit: 2,", "limit: 3,"))
    agent.wait_for_log('msg="rules reloaded"')
    assert ask(fourth).startswith(begin)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        path, _, anchor = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.is_file(), target
        titles = re.findall(r"^#+ (.*)$", other.read_text(), re.M)
        assert not anchor or anchor in {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
                                        for title in titles}, target


# ---- metrics -------------------------------------------------------------------------------------


def told():
    """{name: (labels, type, help)} of the tables in docs/metrics.md, and the names under "Shared
    store"."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    shared = re.search(r"^## Shared store\n(.*?)^## ", text, re.M | re.S)[1]
    row = r"^\| `(\w+)(?:\{([a-z,]*)\})?` \| (counter|gauge|histogram) \| (.*) \|$"
    rows = {name: (labels, kind, about) for name, labels, kind, about in re.findall(row, text, re.M)}
    return rows, {name for name, *_ in re.findall(row, shared, re.M)}


def served(text):
    """The same of what an agent serves; labels None: it has no sample yet."""
    kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M))
    said = {}
    for name, about in re.findall(r"^# HELP (\w+) (.*)$", text, re.M):
        sample = re.search(rf"^{name}(?:_bucket)?(?:\{{(.*)\}})? ", text, re.M)
        labels = sample and ",".join(label for label in re.findall(r'(\w+)="', sample[1] or "")
                                     if label != "le")
        said[name] = (labels, kinds[name], about)
    return said


@pytest.mark.parametrize("is_shared", [False, True], ids=["memory", "shared"])
def test_the_metrics_are_those_that_are_served(bench, is_shared):
    """Nothing has to be there to share."""
    agent = bench.agent(f"""
listen: tcp://127.0.0.1:0
admin: tcp://127.0.0.1:0
store: {'{ mode: single, nodes: [ "127.0.0.1:1" ] }' if is_shared else "{ mode: memory }"}
rules: [ {{ name: a, key: src, limits: {{ limit: 1, window: 1s }} }} ]
""")
    rows, shared = told()
    assert shared < rows.keys()
    if not is_shared:
        rows = {name: row for name, row in rows.items() if name not in shared}
    said = served(admin.request(agent, "/metrics").body)
    for name, (labels, *row) in said.items():
        if labels is None and name in rows:
            said[name] = (rows[name][0], *row)
    assert said == rows
