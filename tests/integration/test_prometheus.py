"""config/: what Prometheus and Grafana are to be given works with a real Prometheus and what agents
serve. Grafana itself isn't run."""

import itertools
import json
import math
import re
import subprocess

import pytest
import yaml

import admin
import fleet as fleets
import prometheus
import redis
import stack
from fleet import PATIENT, Fleet, rule
from prometheus import CONFIG
from test_readme import told

PAGE = (stack.ROOT / "docs" / "metrics.md").read_text()
DASHBOARD = json.loads((CONFIG / "grafana" / "dashboards" / "sluice.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = {
    f"{panel['title']} ({target['refId']})": target["expr"]
    for panel in PANELS for target in panel["targets"]
}
(GROUP,) = yaml.safe_load((CONFIG / "alerts.yml").read_text())["groups"]
ALERTS = GROUP["rules"]


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [
    ("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"),
    ("test", "rules", "alerts_test.yml"),
], ids="-".join)
def test_promtool_finds_nothing_wrong(words):
    done = subprocess.run(["promtool", *words], cwd=CONFIG, text=True, capture_output=True,
                          timeout=stack.WAIT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tested_and_told_of():
    tested = (CONFIG / "alerts_test.yml").read_text()
    row = r"^\| `(Sluice\w+)` \| (\w+) \| .+ \|$"
    assert re.findall(row, PAGE, re.M) == [
        (alert["alert"], alert["labels"]["severity"]) for alert in ALERTS
    ]
    for alert in ALERTS:
        assert alert["alert"] in tested
        assert alert["labels"]["severity"] in ("critical", "warning")
        assert alert["annotations"].keys() == {"summary", "runbook"}


def test_only_metrics_that_there_are():
    names = told()[0]
    histograms = {name for name, (_, kind, _) in names.items() if kind == "histogram"}
    known = {"up", *names, *(name + "_bucket" for name in histograms)} - histograms
    for text in (*EXPRESSIONS.values(), *(alert["expr"] for alert in ALERTS)):
        used = set(re.findall(r"\b(?:sluice|process)_\w+|\bup\b", text))
        assert used and used <= known, text


def test_the_dashboard_is_laid_out():
    """Nothing lies on anything else, or outside."""
    taken = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        places = set(itertools.product(range(at["x"], at["x"] + at["w"]),
                                       range(at["y"], at["y"] + at["h"])))
        assert at["x"] + at["w"] <= 24 and not places & taken, panel["title"]
        taken |= places
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) and len(EXPRESSIONS) > 50


def test_grafana_is_told_where_the_dashboard_is():
    folder = CONFIG / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    scraped = yaml.safe_load((CONFIG / "prometheus.yml").read_text())["global"]["scrape_interval"]
    assert (source["type"], source["jsonData"]["timeInterval"]) == ("prometheus", scraped)
    (provider,) = yaml.safe_load((folder / "dashboards" / "sluice.yml").read_text())["providers"]
    assert provider["options"]["path"] == "/etc/grafana/dashboards"


# ---- with agents under load ----------------------------------------------------------------------


def filled_in(expression):
    """With what Grafana would put in for its variables."""
    for name, value in (("$__rate_interval", "4s"), ("$job", "sluice"), ("$instance", ".*")):
        expression = expression.replace(name, value)
    assert "$" not in expression
    return expression


def test_no_panel_is_empty_and_the_alerts_can_fire(bench):
    """Two agents, Redis, and rules of every kind that has a panel."""
    rules = [
        rule(name="leased", keys="k1", limit=10_000_000, consistency="leased"),
        rule(name="small", keys="k2", limit=5),
        rule(name="shadow", limit=1, mode="shadow"),
    ]
    with redis.Server(bench.directory) as server:
        breaker = {"failures": 2, "pause": "1s"}
        store = fleets.single(server, breaker=breaker, **{**PATIENT, "deadline": "1s"})
        fleet = Fleet(bench, store, rules, agents=2)
        watching = prometheus.Prometheus(
            bench.directory, [admin.address(agent) for agent in fleet.agents]
        )
        bench.programs.append(watching)
        watching.wait_ready()
        load = fleet.load(requests=100_000_000, keys=50, rate=1000)
        empty = dict(EXPRESSIONS)

        def nothing_is_empty():
            for title, expression in list(empty.items()):
                values = watching.values(filled_in(expression))
                if any(not math.isnan(number) for _, number in values):
                    del empty[title]
            return not empty

        # Rates are empty until their window has filled.
        try:
            stack.wait_until(nothing_is_empty, "every panel to show something", interval=0.2)
        except stack.Failed:
            pytest.fail(f"empty panels: {empty}")
        check_figures(watching)
        for annotation in DASHBOARD["annotations"]["list"]:
            watching.values(filled_in(annotation["expr"]))

        said = watching.rules()
        assert said.keys() == {alert["alert"] for alert in ALERTS}
        server.kill()
        expected = {"SluiceBreakerOpen", "SluiceFallback"}
        # On a busy machine those on latency may be too.
        stack.wait_until(
            lambda: expected <= {name for name, alert in watching.rules().items()
                                 if alert["state"] != "inactive"},
            f"{expected} to be pending", interval=0.2,
        )
        assert {alert["health"] for alert in watching.rules().values()} == {"ok"}
        load.stop()


def check_figures(watching):
    """Some of what the panels say, against what is being done."""
    shown = {title: watching.values(filled_in(expression))
             for title, expression in EXPRESSIONS.items()}

    def one(title):
        ((_, number),) = shown[title]
        return number

    assert one("Agents (A)") == 2
    assert one("Breakers not closed (A)") == 0
    assert one("Answered by on_store_error (A)") == 0
    assert 0 < one("Refused (A)") < 1
    assert 0 < one("Slowest hundredth (A)") <= 1
    assert one("Requests answered by one question (A)") >= 1
    rules = {labels["rule"] for labels, _ in shown["By rule (A)"]}
    assert rules == {"leased", "small", "shadow"}
