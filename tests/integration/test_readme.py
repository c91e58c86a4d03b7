"""What README shows is right: every rule file in it loads."""
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SLUICE = ROOT / os.environ.get("SLUICE_BINARY", "build/release/agent/sluice")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_there_are_examples():
    assert len(EXAMPLES) >= 5


@pytest.mark.parametrize("text", EXAMPLES)
def test_example_loads(text):
    if "listen:" not in text:
        text = "listen: tcp://127.0.0.1:0\n" + text
    done = subprocess.run([SLUICE, "validate", "-"], input=text, text=True,
                          capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
