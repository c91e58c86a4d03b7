"""What is installed: the tree, the manual, the units, the completion, the libraries."""

import gzip
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import stack
import yaml

SCHEMA = json.loads((stack.ROOT / "config" / "sluice.schema.json").read_text())
MANUAL = stack.ROOT / "config" / "man"
UNITS = stack.ROOT / "config" / "systemd"


@pytest.fixture(scope="module")
def tree(sluice, tmp_path_factory):
    """The build that the agent under test is of, installed; the prefix."""
    build = sluice.parents[1]
    if not (build / "cmake_install.cmake").exists():
        pytest.skip(f"{sluice} is not in a build that could be installed")
    root = tmp_path_factory.mktemp("root")
    done = subprocess.run(
        ["cmake", "--install", build], capture_output=True, text=True,
        env={**os.environ, "DESTDIR": str(root)},
    )
    assert done.returncode == 0, done.stderr
    cache = (build / "CMakeCache.txt").read_text()
    prefix = re.search(r"^CMAKE_INSTALL_PREFIX:\w+=(.*)$", cache, re.MULTILINE)[1]
    return root / prefix.lstrip("/")


def test_the_tree(tree):
    files = {
        str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()
    }
    libraries = {file for file in files if file.endswith((".a", ".pc"))}
    assert {os.path.basename(file) for file in libraries} == {
        "libbase.a", "libspop.a", "liblimit.a", "librules.a", "spop.pc", "rules.pc"}
    assert files - libraries == {
        "bin/sluice",
        "etc/sluice/sluice.yml",
        "include/sluice/base/base.h",
        "include/sluice/rules/explain.h",
        "include/sluice/rules/limit/limit.h",
        "include/sluice/rules/rules.h",
        "include/sluice/spop/spop.h",
        "lib/systemd/system/sluice-admin.socket",
        "lib/systemd/system/sluice.service",
        "lib/systemd/system/sluice.socket",
        "lib/sysusers.d/sluice.conf",
        "share/bash-completion/completions/sluice",
        "share/doc/sluice-dev/changelog.gz",
        "share/doc/sluice-dev/copyright",
        "share/doc/sluice/changelog.gz",
        "share/doc/sluice/copyright",
        "share/doc/sluice/examples/example.yml",
        "share/doc/sluice/examples/haproxy-2.6.cfg",
        "share/doc/sluice/examples/haproxy.cfg",
        "share/doc/sluice/examples/spoe-sluice.conf",
        "share/doc/sluice/examples/tcp.cfg",
        "share/man/man1/sluice.1.gz",
        "share/man/man5/sluice.yml.5.gz",
        "share/sluice/sluice.schema.json",
        "share/zsh/vendor-completions/_sluice",
    }
    assert gzip.decompress((tree / "share/man/man1/sluice.1.gz").read_bytes()) == (
        MANUAL / "sluice.1").read_bytes()
    # The unit starts what was installed, wherever that is.
    unit = (tree / "lib/systemd/system/sluice.service").read_text()
    command = re.search(r"^ExecStart=(\S+) serve -c (\S+)$", unit, re.MULTILINE)
    assert command[1].endswith("/bin/sluice") and command[2].endswith("/etc/sluice/sluice.yml")


# ---- libraries -----------------------------------------------------------------------------------

SPOP = """
#include <stdio.h>
#include <spop/spop.h>

int main(void)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    spop_write_disconnect(&w, SPOP_FRAME_AGENT_DISCONNECT, SPOP_TIMEOUT);
    printf("%zu %s\\n", writer_size(&w), spop_status_text(SPOP_TIMEOUT));
    return 0;
}
"""

RULES = """
#include <stdio.h>
#include <stdlib.h>
#include <rules/rules.h>

int main(void)
{
    static const char text[] =
        "listen: :0\\nrules: [ { name: a, match: { path: { regex: ^/x } }, key: [ src ],"
        " limits: { limit: 5, window: 1m } } ]\\n";
    struct rules_report *report = calloc(1, sizeof(*report));
    struct rules_set *set = rules_load(slice_of_string(text), 1, report);
    printf("%zu rule, capacity %llu\\n", set->rule_count,
           (unsigned long long)limit_capacity(&set->rules[0].limits[0].limit));
    rules_free(set);
    rules_report_free(report);
    free(report);
    return 0;
}
"""


@pytest.mark.parametrize(
    "library, source, expected",
    [("spop", SPOP, r"\d+ .*tim"), ("rules", RULES, "1 rule, capacity 5\n")],
)
def test_a_program_is_built_with_what_pkg_config_says(
        tree, sluice, tmp_path, library, source, expected):
    (pc,) = tree.rglob(f"{library}.pc")
    told = subprocess.run(
        ["pkg-config", "--cflags", "--libs", library], capture_output=True, text=True, check=True,
        env={**os.environ, "PKG_CONFIG_PATH": str(pc.parent)},
    ).stdout.split()
    sanitizers = re.search(
        r"^SLUICE_SANITIZE:\w+=(.+)$", (sluice.parents[1] / "CMakeCache.txt").read_text(),
        re.MULTILINE)
    (tmp_path / "program.c").write_text(source)
    subprocess.run(
        ["cc", "-std=c17", "-Wall", "-Wextra", "-Werror",
         *([f"-fsanitize={sanitizers[1]}"] if sanitizers else []),
         "program.c", "-o", "program", *told],
        cwd=tmp_path, check=True,
    )
    assert re.match(expected, subprocess.run(
        [tmp_path / "program"], capture_output=True, text=True, check=True).stdout)


# ---- the manual ----------------------------------------------------------------------------------


def section(page, title):
    """The text of a section or subsection, up to the next one."""
    found = re.search(rf"^\.S[sh] {re.escape(title)}\n(.*?)(?=^\.S[sh] |\Z)", page,
                      re.MULTILINE | re.DOTALL)
    assert found, f"the manual has no section {title}"
    return found[1]


def commands(bench):
    listed = bench.run("--help").stdout
    return re.findall(r"^  ([a-z-]+) ", listed, re.MULTILINE)


def test_the_manual_has_all_commands_and_options(bench):
    page = (MANUAL / "sluice.1").read_text()
    synopsis = section(page, "SYNOPSIS")
    names = commands(bench)
    assert {"serve", "validate", "ask"} <= set(names)
    for name in names:
        assert f".Cm {name}" in synopsis, name
        text = section(page, name)
        told = bench.run(name, "--help").stdout
        for option in set(re.findall(r"--([a-z][a-z-]+)", told)) - {"help"}:
            assert f"Fl Fl {option}" in text, f"{name} --{option}"
        for option in re.findall(r"^  -([A-Za-z]), --", told, re.MULTILINE):
            assert option == "h" or f".It Fl {option} , Fl Fl" in text, f"{name} -{option}"
        # Nor what there is no more.
        for option in re.findall(r"Fl Fl ([a-z-]+)", text):
            assert f"--{option}" in told, f"{name} --{option}"


SECTIONS = {
    "": "The file", "listener": "listen", "admin": "admin", "connections": "connections",
    "store": "store", "node": "nodes", "breaker": "breaker", "credentials": "auth and sentinel_auth",
    "tls": "tls", "defaults": "defaults", "rule": "A rule", "match": "match",
    "operators": "Operators", "part": "key", "limit": "limits", "tiers": "tiers",
    "override": "overrides", "from_argument": "cost", "charge": "charge", "penalty": "penalty",
}


def test_the_manual_has_all_keys():
    page = (MANUAL / "sluice.yml.5").read_text()
    found = set()
    for name, definition in [("", SCHEMA), *SCHEMA["$defs"].items()]:
        for part in [definition, *definition.get("oneOf", [])]:
            if not part.get("properties"):
                continue
            found.add(name)
            assert name in SECTIONS, f"no section is known for {name} of the schema"
            items = re.findall(r"^\.It (.*)$", section(page, SECTIONS[name]), re.MULTILINE)
            keys = {key for item in items for key in re.findall(r"Sy (\w+)", item)}
            assert keys == set(part["properties"]), SECTIONS[name]
    assert found == set(SECTIONS)
    words = {word for name in ("algorithm", "on_store_error", "consistency", "variable")
             for word in SCHEMA["$defs"][name]["oneOf"][0]["enum"]}
    for word in words:
        assert word in page, word
    example = re.search(r"^\.Bd -literal\n(.*?)^\.Ed", page, re.MULTILINE | re.DOTALL)[1]
    assert yaml.safe_load(example)["rules"][0]["name"] == "login"


def test_the_manual_is_well_formed(tmp_path):
    if not shutil.which("groff"):
        pytest.skip("groff is not installed")
    for page in sorted(MANUAL.iterdir()):
        told = subprocess.run(
            ["groff", "-mandoc", "-Tutf8", "-ww", page], capture_output=True, text=True)
        assert told.returncode == 0 and not told.stderr, told.stderr
        assert "SEE ALSO" in re.sub("\x1b.*?m|.\x08", "", told.stdout)


# ---- systemd -------------------------------------------------------------------------------------


def test_the_units_are_the_rule_files():
    rules = yaml.safe_load(stack.shipped("sluice.yml"))
    spop = (UNITS / "sluice.socket").read_text()
    path = re.search(r"^ListenStream=(.*)$", spop, re.MULTILINE)[1]
    assert rules["listen"][0]["address"] == f"unix://{path}"
    admin = (UNITS / "sluice-admin.socket").read_text()
    assert rules["admin"] == "tcp://" + re.search(r"^ListenStream=(.*)$", admin, re.MULTILINE)[1]


def test_the_service_is_confined():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd is not installed")
    told = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
         UNITS / "sluice.service"], capture_output=True, text=True)
    assert told.returncode == 0, told.stdout[-300:] + told.stderr
    assert float(re.search(r"exposure level for sluice.service: ([0-9.]+)", told.stdout)[1]) < 2.0


# ---- completion ----------------------------------------------------------------------------------


def complete(sluice, *words):
    """What bash would offer for the last of the words."""
    script = """
        PATH=$1:$PATH
        source "$2"
        shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _sluice
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    told = subprocess.run(
        ["bash", "-c", script, "bash", sluice.parent,
         stack.ROOT / "config" / "completion" / "sluice.bash", *words],
        capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    return told.stdout.split()


def test_completion(bench, sluice):
    assert complete(sluice, "sluice", "") == [*commands(bench), "--help", "--version"]
    assert complete(sluice, "sluice", "se") == ["serve"]
    assert {"--config", "--candidate", "--log-level", "-c"} <= set(complete(
        sluice, "sluice", "serve", "-"))
    assert complete(sluice, "sluice", "serve", "--log-f") == ["--log-format"]
    assert complete(sluice, "sluice", "serve", "--log-format", "j") == ["json"]
    assert complete(sluice, "sluice", "spoe-config", "x.yml", "--only", "") == ["spoe", "haproxy"]
    here = str(pathlib.Path(__file__).parent)
    assert complete(sluice, "sluice", "validate", f"{here}/test_inst") == [f"{here}/test_install.py"]
