"""What docs/migrating.md shows of stick-tables is right, and the rule beside it does the same."""

import re

import pytest
import stack

PAGE = (stack.ROOT / "docs" / "migrating.md").read_text()
BLOCKS = re.findall(r"^### (.*?)\n.*?^```(haproxy|haproxy-tcp)\n(.*?)^```\n\n```yaml\n(.*?)^```",
                    PAGE, re.MULTILINE | re.DOTALL)
NAMES = [name for name, *_ in BLOCKS]

FRAME = """
global
    stats socket {stats} level admin
defaults
    mode {mode}
    timeout client 10s
    timeout server 10s
    timeout connect 10s
frontend www
    bind 127.0.0.1:{port} accept-proxy
{block}
    default_backend api
backend api
    server api1 127.0.0.1:{api}
"""


def test_there_is_one_of_each():
    assert len(BLOCKS) == len(re.findall("^### ", PAGE, re.MULTILINE)) == 7


class Tables(stack.HAProxy):
    """HAProxy with one of the page's tables."""

    def __init__(self, binary, directory, block, mode, api):
        self.binary = binary
        self.proxied_port = stack.free_port()
        self.stats_path = directory / "tables.stats"
        (directory / "plans.map").write_text("k-gold gold\n")
        self.config_path = directory / "tables.cfg"
        self.config_path.write_text(FRAME.format(
            stats=self.stats_path, mode=mode, port=self.proxied_port, api=api,
            block=block.replace("/etc/haproxy/", f"{directory}/")))
        self.files = ["-f", self.config_path]
        self.check()

    def start(self, directory):
        stack.Program.__init__(self, "tables", [self.binary, "-db", *self.files], directory)


def written(bench, binary, name):
    """Its configuration, which haproxy -c is content with; and the rules beside it."""
    _, kind, block, rules = BLOCKS[NAMES.index(name)]
    mode = "tcp" if kind.endswith("tcp") else "http"
    return Tables(binary, stack.pathlib.Path(bench.directory), block, mode, bench.api().port), rules


def tables(bench, binary, name):
    made, rules = written(bench, binary, name)
    made.start(bench.directory)
    bench.programs.append(made)
    stack.wait_until(lambda: made.stats_path.exists(), "HAProxy to have started")
    return made, rules


@pytest.mark.parametrize("name", NAMES)
def test_haproxy_takes_it(bench, haproxy_binary, name):
    written(bench, haproxy_binary, name)


def statuses(port, count, path="/", method="GET", answer="200", claimed="192.0.2.1"):
    return [stack.request(port, path, method, claimed=claimed, headers={"X-Answer": answer}).status
            for _ in range(count)]


def test_the_rule_lets_as_many_through_as_the_table(bench, haproxy_binary):
    made, rules = tables(bench, haproxy_binary, "Requests of a client")
    bench.agent(rules)
    haproxy = bench.haproxy(haproxy_binary)
    for port in (made.proxied_port, haproxy.proxied_port):
        assert statuses(port, 22) == 20 * [200] + [429, 429]
        assert statuses(port, 1, claimed="192.0.2.2") == [200]


def test_failed_log_ins_are_those_that_count(bench, haproxy_binary):
    made, rules = tables(bench, haproxy_binary, "Failed log-ins only")
    bench.agent(rules)
    response = (
        "\nspoe-message sluice-response\n    args src=src status=status\n"
        "\nspoe-group sluice-response\n    messages sluice-response\n")
    haproxy = bench.haproxy(
        haproxy_binary,
        config_edits=[("    log-format", "    http-response send-spoe-group sluice sluice-response\n"
                       "    log-format")],
        spoe_edits=[("    groups sluice-request\n", "    groups sluice-request sluice-response\n"),
                    ("\n[sluice-tcp]\n", response + "\n[sluice-tcp]\n")])
    for port in (made.proxied_port, haproxy.proxied_port):
        assert statuses(port, 9, "/login") == 9 * [200]
        assert statuses(port, 5, "/login", answer="401") == 5 * [401]
        assert statuses(port, 1, "/login") == [429]
        assert statuses(port, 1, "/") == [200]
