"""The tests' own checks can fail."""

import subprocess

import pytest
import stack

CHECK_INCLUDES = stack.ROOT / "tests" / "lib" / "check-includes"


def check_includes(folder, files):
    """Runs the check on a repository of these files; returns (status, what it said)."""
    (folder / "tests" / "lib").mkdir(parents=True)
    script = folder / "tests" / "lib" / "check-includes"
    script.write_bytes(CHECK_INCLUDES.read_bytes())
    script.chmod(0o755)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    subprocess.run(["git", "init", "-q", folder], check=True)
    done = subprocess.run([script], capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_includes_that_go_down_the_staircase_pass(tmp_path):
    status, said = check_includes(tmp_path, {
        "base/base.h": "#include <stdint.h>\n",
        "rules/limit/limit.h": '#include "base/base.h"\n',
        "rules/rules.c": '#include "rules/limit/limit.h"\n',
        "agent/worker.c": '#include <ev.h>\n#include "agent/engine/engine.h"\n',
        "agent/store/redis.c": "#include <hiredis/hiredis.h>\n",
        "tests/unit/test.c": '#include "agent/engine/engine.h"\n',
    })
    assert status == 0, said


@pytest.mark.parametrize("name, text", [
    ("base/a.c", '#include "spop/spop.h"\n'),
    ("spop/a.c", '#include "rules/rules.h"\n'),
    ("rules/limit/a.c", '  #  include "spop/spop.h"\n'),
    ("rules/a.c", "#include <ev.h>\n"),
    ("agent/store/a.c", '#include "agent/engine/engine.h"\n'),
    ("agent/engine/a.c", "#include <hiredis/hiredis.h>\n"),
    ("agent/engine/a.h", '#include "agent/worker.h"\n'),
    ("base/long.c", "\n" * 601),
])
def test_what_climbs_or_is_too_long_is_told(tmp_path, name, text):
    status, said = check_includes(tmp_path, {name: text})
    assert status == 1
    assert name in said
