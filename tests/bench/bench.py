"""Measures every row of the table of targets on this machine: see --help."""

import argparse
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import chart
import measure
import page
import rows_haproxy
import rows_memory
import rows_redis
import stack
from result import Line, not_measured

ROWS = {
    1: rows_memory.row_1,
    2: rows_memory.row_2,
    3: rows_haproxy.row_3,
    4: rows_redis.row_4,
    5: rows_redis.row_5,
    6: rows_redis.row_6,
    7: rows_redis.row_7,
    8: rows_redis.row_8,
    9: rows_memory.row_9,
    10: rows_memory.row_10,
    11: rows_memory.row_11,
    12: rows_memory.row_12,
    13: rows_haproxy.row_13,
}

# Those that README shows: of a row, so many lines.
IN_README = {1: 1, 2: 1, 3: 4, 4: 2, 6: 1, 7: 2, 8: 1, 10: 2, 13: 2}

DOCS = measure.ROOT / "docs"


def machine():
    """What it is measured on: the processor, how many cores, what else goes on."""
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*: (.*)$", text, re.M)
    cores = len(measure.CORES)
    return f"{model[1] if model else os.uname().machine}, {cores} core{'s' if cores > 1 else ''}"


def commit():
    done = subprocess.run(["git", "-C", measure.ROOT, "rev-parse", "--short", "HEAD"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def measure_row(number, sluice):
    begun, busy = time.monotonic(), os.getloadavg()[0]
    try:
        lines, numbers = ROWS[number](sluice)
        failed = False
    except (stack.Failed, OSError, AssertionError, subprocess.SubprocessError) as error:
        print(f"row {number} failed: {error}", file=sys.stderr)
        lines, numbers, failed = [not_measured("failed", str(error).split("\n")[0][:200], "")], {}, True
    for line in lines:
        verdict = {True: "met", False: "MISSED", None: ""}[line.met]
        print(f"{number:>3}  {line.what}\n       {line.ours} | {line.beside} | {line.ratio} "
              f"(target {line.target}) {verdict}")
    print(f"     [{time.monotonic() - begun:.0f} s]", flush=True)
    return {"lines": [dataclasses.asdict(line) for line in lines], "numbers": numbers,
            "failed": failed, "date": time.strftime("%Y-%m-%d"), "busy": busy}


def write(results, folder, readme=None):
    """The table and the chart, of all rows that there are results of. readme: then they go between
    the markers of the pages there are, and a part of them into this one."""
    rows = [(number, [Line(**line) for line in results[str(number)]["lines"]])
            for number in ROWS if str(number) in results]
    numbers = {name: value for result in results.values()
               for name, value in result["numbers"].items()}
    dates = sorted({result["date"] for result in results.values()})
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    head = f"{when}, commit {commit()}, {machine()}"
    # The rows themselves keep up to two processors busy.
    busy = max(result["busy"] for result in results.values())
    if busy > 2.5:
        head += f", busy with other work (load average up to {busy:.1f}): trust CPU times, not rates"
    (folder / "performance.svg").write_text(chart.chart(rows, f"sluice: {head}"))
    path = folder / "performance.md"
    if readme is None:
        path.write_text(f"{head}.\n\n{page.table(rows)}\n{page.sizing(numbers)}")
        return
    path.write_text(page.between(path.read_text(), "table", f"{head}.\n\n{page.table(rows)}"))
    short = [(number, lines[:IN_README[number]]) for number, lines in rows if number in IN_README]
    text = page.between(readme.read_text(), "table", f"{head}:\n\n{page.table(short)}")
    readme.write_text(page.between(text, "sizing", page.sizing(numbers)))


def arguments():
    parser = argparse.ArgumentParser(
        prog="tests/run bench", description="Measures the rows of the table of targets "
        "(docs/performance.md), each side by side with what it is compared to, and writes the table "
        "and a chart into build/bench-results. It takes about 5 minutes.")
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW",
                        help=f"only these, of {min(ROWS)} to {max(ROWS)} (default: all)")
    parser.add_argument("--write", action="store_true",
                        help="also into docs/ and README.md, together with the rows that were "
                        "measured before and not now")
    parser.add_argument("--sluice", type=pathlib.Path, metavar="FILE",
                        default=measure.ROOT / "build" / "release" / "agent" / "sluice",
                        help="the program (default: build/release/agent/sluice)")
    parser.add_argument("--results", type=pathlib.Path, metavar="FOLDER",
                        default=measure.ROOT / "build" / "bench-results",
                        help="where to (default: build/bench-results)")
    given = parser.parse_args()
    for row in given.rows:
        if row not in ROWS:
            parser.error(f"there is no row {row}, expected {min(ROWS)} to {max(ROWS)}")
    return given


def main():
    given = arguments()
    sluice = given.sluice.resolve()
    kept = given.results / "results.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    print(f"{machine()}, load average {os.getloadavg()[0]:.2f}, {commit()}", flush=True)
    given.results.mkdir(parents=True, exist_ok=True)
    failed = []
    for number in given.rows or ROWS:
        results[str(number)] = measure_row(number, sluice)
        failed += [number] if results[str(number)]["failed"] else []
        kept.write_text(json.dumps(results, indent=1))
    write(results, given.results)
    print(f"table and chart: performance.md and performance.svg in {given.results}")
    if failed:
        sys.exit(f"rows that failed: {', '.join(map(str, failed))}")
    if given.write:
        write(results, DOCS, measure.ROOT / "README.md")


if __name__ == "__main__":
    main()
