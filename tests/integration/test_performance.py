"""The driver of tests/run bench: its pages, its chart, and one row that takes no time."""

import re
import subprocess
import sys
import xml.etree.ElementTree

import pytest
import stack

sys.path.insert(0, str(stack.ROOT / "tests" / "bench"))

import bench as driver  # noqa: E402
import chart  # noqa: E402
import page  # noqa: E402
from result import at_least, at_most, not_measured  # noqa: E402

ROWS = [
    (1, [at_most("a & <b>", "1 us", "2 us", 0.5, 2.0)]),
    (2, [at_least("c", "1/s", "2/s", 0.5, 0.95), not_measured("d", "why", ">= 1x")]),
]


def test_targets_are_met_or_not():
    assert at_most("", "", "", 2.0, 2.0).met and not at_most("", "", "", 2.01, 2.0).met
    assert at_least("", "", "", 0.95, 0.95).met and not at_least("", "", "", 0.94, 0.95).met
    assert not at_least("", "", "", 0.0, 0.95).met
    assert at_most("", "", "", 1.0, 2.0).used == 0.5
    assert at_least("", "", "", 2.0, 1.0).used == 0.5
    assert not_measured("", "", "").met is None


def test_table():
    assert page.table(ROWS).splitlines()[2:] == [
        "| 1 | a & <b> | 1 us | 2 us | 0.50x | <= 2.00x | met |",
        "| 2 | c | 1/s | 2/s | 0.50x | >= 0.95x | **missed** |",
        "| 2 | d | why |  |  | >= 1x |  |",
    ]


def test_pages_are_replaced_between_their_markers():
    text = "a\n<!-- bench:x -->\nold\n<!-- bench:end -->\n<!-- bench:y -->\n<!-- bench:end -->\nb\n"
    assert page.between(text, "x", "new \\1\n") == text.replace("old\n", "new \\1\n")
    assert page.between(text, "y", "new\n").endswith("y -->\nnew\n<!-- bench:end -->\nb\n")
    with pytest.raises(ValueError):
        page.between(text, "z", "")


def test_chart_is_well_formed_and_has_all_that_has_a_target():
    root = xml.etree.ElementTree.fromstring(chart.chart(ROWS, "t < u"))
    bars = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("x")]
    assert [bar.get("fill") for bar in bars] == ["#2c7fb8", "#d95f0e"]
    assert float(bars[1].get("width")) > float(bars[0].get("width"))


def test_sizing_says_what_there_is():
    assert page.sizing({}) == ""
    said = page.sizing({"server_us": 2.0, "bytes_a_key": 70})
    assert "350,000 decisions/s" in said and "70 MB" in said


def test_every_row_is_explained_and_has_a_place():
    text = (stack.ROOT / "docs" / "performance.md").read_text()
    explained = re.findall(r"^\| ([\d, ]+) \| [\w`]", text.partition("## How it is measured")[2], re.M)
    assert [int(n) for row in explained for n in row.split(",")] == list(driver.ROWS)
    page.between(text, "table", "")
    readme = (stack.ROOT / "README.md").read_text()
    page.between(page.between(readme, "table", ""), "sizing", "")
    assert set(driver.IN_README) <= set(driver.ROWS)


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-B", stack.ROOT / "tests" / "bench" / "bench.py", *map(str, arguments)],
        capture_output=True, text=True, timeout=120)


def test_a_row_can_be_measured_alone(sluice, tmp_path):
    done = run("--sluice", sluice, "--results", tmp_path, 12)
    assert done.returncode == 0, done.stderr
    assert "start to ready" in done.stdout
    assert page.table([]) in (tmp_path / "performance.md").read_text()
    assert "start to ready" in (tmp_path / "performance.svg").read_text()


def test_a_row_that_fails_is_told(tmp_path):
    done = run("--sluice", "/bin/false", "--results", tmp_path, 12)
    assert done.returncode == 1
    assert "row 12 failed: " in done.stderr


def test_wrong_rows_are_told():
    done = run(14)
    assert done.returncode == 2 and "there is no row 14, expected 1 to 13" in done.stderr
