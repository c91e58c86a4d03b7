"""The fixture `report`, for suites that measure: keeps what a test has measured."""

import os

import pytest


@pytest.fixture
def report():
    """report("what", {name: number}): a line of what the suite has measured, in the file
    $SLUICE_MEASURED."""
    path = os.environ.get("SLUICE_MEASURED")

    def write(what, measured):
        line = f"{what}: " + ", ".join(f"{name} {show(n)}" for name, n in measured.items())
        print(line)
        if path:
            with open(path, "a", encoding="utf-8") as file:
                file.write(line + "\n")

    return write


def show(number):
    return f"{number:.3g}" if isinstance(number, float) and number != int(number) else f"{number:.0f}"
