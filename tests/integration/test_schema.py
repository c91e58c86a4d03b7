"""config/sluice.schema.json says what the loader says: the same keys, words and required keys; right
files pass it, and files with a mistake that a schema can find don't."""

import json
import re
import subprocess

import pytest
import yaml
from jsonschema import Draft202012Validator

import stack
from test_readme import EXAMPLES

SCHEMA = json.loads((stack.ROOT / "config" / "sluice.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
CORPUS = stack.ROOT / "tests" / "fuzz" / "corpus" / "rules"
# In config/ there are files for other programs as well: rule files are told by their key.
FILES = [
    path for path in (*sorted((stack.ROOT / "config").glob("*.yml")),
                      stack.ROOT / "haproxy" / "sluice.yml")
    if re.search("^rules:", path.read_text(), re.M)
]



def put(text, *more):
    """Each text in the place of the "@" of what is before it."""
    for part in more:
        text = text.replace("@", part)
    return text


FILE = "listen: :0\nrules: []\n@\n"
STORE = put(FILE, "store: { mode: ketama, nodes: [ a ], @ }")
RULE = "listen: :0\nrules: [ { name: r, @ } ]\n"
LIMITING = put(RULE, "key: [ src ], limits: { limit: 1, window: 1s }, @")

# Where each mapping of the schema stands in a file.
MAPPINGS = {
    "": "@",
    "listener": "listen: @\nrules: []\n",
    "admin": put(FILE, "admin: @"),
    "store": put(FILE, "store: @"),
    "breaker": put(STORE, "breaker: @"),
    "credentials": put(STORE, "auth: @"),
    "tls": put(STORE, "tls: @"),
    "node": put(FILE, "store: { mode: ketama, nodes: [ @ ] }"),
    "defaults": put(FILE, "defaults: @"),
    "connections": put(FILE, "connections: @"),
    "rule": "listen: :0\nrules: [ @ ]\n",
    "limit": put(RULE, "key: src, limits: @"),
    "override": put(LIMITING, "overrides: [ @ ]"),
    "part": put(RULE, "limits: { limit: 1, window: 1s }, key: [ @ ]"),
    "charge": put(LIMITING, "message: m, charge: @"),
    "penalty": put(LIMITING, "penalty: @"),
    "from_argument": put(LIMITING, "cost: @"),
    "operators": put(RULE, "action: allow, match: { path: @ }"),
}

# Where each list of words stands. By the path in the schema.
WORDS = {
    "algorithm": put(FILE, "defaults: { algorithm: @ }"),
    "on_store_error": put(FILE, "defaults: { on_store_error: @ }"),
    "consistency": put(FILE, "defaults: { consistency: @ }"),
    "variable": put(FILE, "answer: @"),
    "store.mode": put(FILE, "store: { mode: @ }"),
    "rule.action": put(RULE, "action: @"),
    "rule.mode": put(RULE, "mode: @"),
}


# ---- YAML as editors read it, which is the loader's too ------------------------------------------


class Loader(yaml.SafeLoader):
    """YAML 1.2's scalars: no yes and no, no octal and no sexagesimal numbers, no dates."""

    yaml_implicit_resolvers = {}


for tag, pattern, first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^[-+]?(?:0|[1-9][0-9]*)$", "-+0123456789"),
    ("float", r"^[-+]?[0-9]+\.[0-9]+$", "-+0123456789"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), list(first))


def read(text):
    return yaml.load(text, Loader)


def errors(text):
    return [f"{list(error.absolute_path)}: {error.message}"
            for error in VALIDATOR.iter_errors(read(text))]


# ---- what the loader says ------------------------------------------------------------------------


@pytest.fixture
def complaints(sluice):
    def run(text):
        done = subprocess.run([sluice, "validate", "-"], input=text, text=True,
                              capture_output=True, timeout=stack.WAIT)
        return [line for line in done.stderr.splitlines() if not line.startswith(" ")]
    return run


def mapping_of(name):
    """The schema's mapping: of alternatives, the one with keys."""
    found = SCHEMA["$defs"][name] if name else SCHEMA
    for part in [found, *found.get("oneOf", [])]:
        if "properties" in part:
            return part
    return None


def expected_words(complaint):
    listed = re.search(r"expected (?:one of |from )?(.*?)(?:; did you mean .*)?$", complaint)[1]
    return set(listed.replace(" or ", ", ").split(", "))


def test_the_schema_is_one():
    Draft202012Validator.check_schema(SCHEMA)


def test_every_mapping_is_compared():
    names = {name for name in SCHEMA["$defs"] if mapping_of(name)}
    # Any key is an argument in the one, and a value of one in the other.
    assert names - {"match", "tiers"} == set(MAPPINGS) - {""}


@pytest.mark.parametrize("name", MAPPINGS)
def test_the_keys_are_the_loaders(complaints, name):
    said = complaints(put(MAPPINGS[name], "{ zzzzzz: 1 }"))
    unknown = [line for line in said if '"zzzzzz"' in line]
    assert len(unknown) == 1, said
    mapping = mapping_of(name)
    assert expected_words(unknown[0]) == set(mapping["properties"])
    required = set(re.findall(r' has no key "(\w+)"', "\n".join(said)))
    # Of the whole file only what is missing there.
    assert required == set(mapping.get("required", []))


def test_the_words_of_match_are_the_loaders(complaints):
    """They aren't listed by a message, since any other word is an argument."""
    match = SCHEMA["$defs"]["match"]["properties"]
    for word in ["any", "all", "not", "src", *match]:
        is_argument = complaints(put(RULE, "action: allow, match: { @: 1 }", word)) == []
        assert is_argument == (word not in match)


@pytest.mark.parametrize("tiers, right", [
    ("{ by: plan, default: { limit: 1, window: 1s } }", True),
    ("{ by: plan, gold: unlimited, default: [ { limit: 1, window: 1s } ] }", True),
    ("{ by: plan }", False),
    ("{ gold: unlimited }", False),
    ("{ by: [ plan ], gold: unlimited }", False),
    ("{ by: plan, gold: plan }", False),
])
def test_tiers(complaints, tiers, right):
    text = put(RULE, "key: src, tiers: @", tiers)
    assert (complaints(text) == []) == right
    assert (errors(text) == []) == right


@pytest.mark.parametrize("place", WORDS)
def test_the_words_are_the_loaders(complaints, place):
    name, _, key = place.partition(".")
    found = SCHEMA["$defs"][name]
    if key:
        found = found["properties"][key]
    said = complaints(put(WORDS[place], "zzzzzz"))
    listed = [line for line in said if '"zzzzzz"' in line]
    words, variable = found["oneOf"]
    assert expected_words(listed[0]) == set(words["enum"])
    assert variable == {"$ref": "#/$defs/with_variable"}


@pytest.mark.parametrize("value, right", [("${N:-5}", True), ("n${N:-5}", True), ("$N", False)])
def test_a_value_may_be_one_with_a_variable(value, right):
    """Whatever it is that it stands for: numbers, words, durations, truths."""
    text = put(LIMITING, 'enforce: "@", mode: "@", charge_denied: "@", cost: "@"'.replace("@", value))
    text = text.replace("window: 1s", f'window: "{value}", algorithm: "{value}"')
    said = errors(text)
    assert (said == []) == right, said
    assert right or len(said) == 5, said  # window and algorithm are of one mapping


def test_every_list_of_words_is_compared():
    def places(at, path):
        if isinstance(at, dict):
            if "enum" in at:
                yield ".".join(path)
            for key, value in at.items():
                inner = [] if key in ("properties", "oneOf", "items", "$defs") else [key]
                yield from places(value, path + inner)
        elif isinstance(at, list):
            for value in at:
                yield from places(value, path)
    assert set(places(SCHEMA, [])) == set(WORDS)


# ---- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_shipped_files_pass(path):
    assert errors(path.read_text()) == []


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_documents_pass(text):
    if "listen:" not in text:
        text = "listen: :0\n" + text
    assert errors(text) == []


def properties(schema):
    if isinstance(schema, list):
        return {name for part in schema for name in properties(part)}
    if not isinstance(schema, dict):
        return set()
    return {*schema.get("properties", ()), *properties(list(schema.values()))}


def test_the_example_shows_every_key(bench):
    text = (stack.ROOT / "config" / "example.yml").read_text()
    names = properties(SCHEMA)
    assert len(names) > 80
    assert [name for name in names if not re.search(rf"\b{name}\b", text)] == []
    shared = re.search(r"^# store:\n(?:#   .*\n)+", text, re.M)[0]
    shared = re.sub("^# ", "", shared, flags=re.M) + "listen: tcp://127.0.0.1:0\nrules: []\n"
    assert errors(shared) == []
    path = f"{bench.directory}/shared.yml"
    with open(path, "w") as file:
        file.write(shared)
    done = bench.run("validate", path)
    assert done.returncode == 0 or "which has no TLS" in done.stderr


# Mistakes that a schema can find.
FINDABLE = re.compile(r"unknown key|has no key|expected one of (?!them)|without a unit|is a list, expected|"
                      r"is a mapping, expected|is empty, expected")


def test_files_of_the_corpus(complaints):
    """Whatever their names say: the corpus is older than some of the language."""
    right = wrong = 0
    for path in sorted(CORPUS.iterdir()):
        try:
            text = path.read_text()
            tree = read(text)
        except (UnicodeDecodeError, yaml.YAMLError):
            continue
        said = [line for line in complaints(text) if ": warning: " not in line]
        if not said:
            right += 1
            assert errors(text) == [], path.name
        # What depends on the store's mode is left to `sluice validate`.
        elif any(FINDABLE.search(line) and " mode " not in line for line in said):
            wrong += 1
            assert list(VALIDATOR.iter_errors(tree)), f"{path.name}: {said}"
    assert right >= 15 and wrong >= 50
