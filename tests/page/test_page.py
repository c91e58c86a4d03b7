"""The status page in a real browser: what a person sees and does, while an agent is under load.

    SLUICE_SCREENSHOTS    a folder in which pictures are left to be looked at
"""

import contextlib
import os
import re
import subprocess

import admin
import chromium
import fleet as fleets
import pytest
import redis
import stack

ADMIN = 'admin: "tcp://127.0.0.1:0"\n'

RULES = """
rules:
  - name: health
    match: { path: { in: [ /health ] } }
    action: allow
  - name: login
    match: { path: { prefix: /login } }
    key: [ src/64 ]
    limits: [ { limit: 5, window: 1h } ]
  - name: tenant
    key: [ api_key ]
    limits: [ { limit: 50, window: 10s } ]
    mode: shadow
"""

LOGIN = ("src:ipv4={key}", "method=POST", "path=/login", "api_key=tenant-{key}")

ROW = "#rules tbody tr"


@pytest.fixture
def browser(bench):
    if not chromium.PROGRAM:
        pytest.skip("there is no chromium")
    with chromium.Browser(bench.directory) as opened:
        opened.look()
        yield opened


@contextlib.contextmanager
def load(bench, agent, rate=200, keys=20):
    """Questions of a few addresses, some much more often than others."""
    process = subprocess.Popen(
        [bench.sluice, "bench", agent.tcp_address(), "--rate", str(rate), "--keys", str(keys),
         "--zipf", "1.1", "--duration", "5m", *LOGIN],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def address(agent):
    return f"http://127.0.0.1:{admin.port(agent)}"


def picture(browser, name, **options):
    folder = os.environ.get("SLUICE_SCREENSHOTS")
    if folder:
        os.makedirs(folder, exist_ok=True)
        browser.screenshot(f"{folder}/{name}.png", **options)


def rates_are_shown(browser):
    browser.wait("parseFloat(document.querySelector('#decisions').innerText) > 0", "a rate")


def check_no_harm(browser, agent):
    """No error, and nobody else was asked."""
    assert browser.complaints == []
    elsewhere = [url for url in browser.requests
                 if not url.startswith((address(agent) + "/", "data:"))]
    assert elsewhere == [] and len(browser.requests) > 4


def check_narrow(browser, name):
    """It fits a phone, without scrolling sideways."""
    browser.look(width=360, height=740, phone=True)
    browser.evaluate("new Promise(requestAnimationFrame)")
    width, wide = browser.evaluate(
        "[document.documentElement.scrollWidth, [...document.querySelectorAll('body *')].filter("
        "node => node.getBoundingClientRect().right > 361).map(node => node.outerHTML.slice(0, 90))]")
    assert (width, wide) == (360, [])
    picture(browser, name)


def check_what_is_seen(browser, agent, name):
    browser.go(address(agent) + "/")
    rates_are_shown(browser)
    assert browser.text("#state") == "All well"
    rows = browser.evaluate(
        f"Object.fromEntries([...document.querySelectorAll('{ROW}')].map(row => "
        "[row.querySelector('.name').innerText, [...row.cells].map(cell => cell.innerText)]))")
    assert list(rows)[0] == "login" and set(rows) == {"login", "tenant", "health"}
    assert "5 in 1 h by [ src/64 ]" in rows["login"][0]
    assert "shadow" in rows["tenant"][0]
    browser.wait(f"parseFloat(document.querySelector('{ROW} td:nth-child(4)').innerText) > 0",
                 "refusals")
    assert re.search(r"\d+(\.\d)? %", browser.text(f"{ROW} td:nth-child(5)"))
    # A line is drawn once there are two rates.
    browser.wait(f"document.querySelector('{ROW} .bad').getAttribute('d').includes('L')", "a line")


def click_a_key(browser, agent, name):
    """Opens what its limits stand at."""
    browser.wait("document.querySelector('#top-refused tbody button') !== null", "a refused key")
    browser.click("#top-refused tbody button")
    browser.wait("document.querySelector('#subject').open", "the dialog")
    browser.wait("document.querySelectorAll('.limit').length", "its limits")
    key = browser.text("#subject-key")
    said = browser.text("#subject-limits")
    assert re.fullmatch(r"10\.0\.0\.\d+", key), key
    assert browser.text("#subject-rule") == "login"
    assert "0 of 5 remaining" in said and "refuses now" in said and "admits again in" in said
    look = admin.get(agent, "/key", rule="login", key=key)["limits"][0]
    assert f"from {look['source']}" in said
    picture(browser, f"{name}-key", whole=False)
    browser.press("Escape")
    assert not browser.evaluate("document.querySelector('#subject').open")
    # Where it was: the keyboard goes on from there.
    assert browser.evaluate("document.activeElement.closest('#top-refused') !== null")


# ---- what it shows -------------------------------------------------------------------------------


def test_memory(bench, browser):
    agent = bench.agent(ADMIN + RULES)
    with load(bench, agent):
        check_what_is_seen(browser, agent, "memory")
        assert "memory" in browser.text("#sources")
        picture(browser, "memory-light")
        light = browser.evaluate("getComputedStyle(document.body).backgroundColor")
        browser.look(dark=True)
        assert browser.evaluate("getComputedStyle(document.body).backgroundColor") != light
        picture(browser, "memory-dark")
        check_narrow(browser, "memory-phone")
        browser.look()
        click_a_key(browser, agent, "memory")
    check_no_harm(browser, agent)


def test_redis(bench, browser):
    with redis.Server(bench.directory) as server:
        agent = bench.agent(
            ADMIN + f"store: {{ mode: single, nodes: [ {server.address} ], deadline: 10s, "
            "instance_id: edge-1 }\n" + RULES)
        stack.wait_until(lambda: admin.request(agent, "/health/distributed").status == 200,
                         "the workers to be connected")
        with load(bench, agent):
            check_what_is_seen(browser, agent, "redis")
            row = browser.text("#shards tbody tr")
            assert f"127.0.0.1:{server.port}" in row and "closed" in row and "2 of 2" in row
            assert "edge-1" in browser.text("#place")
            picture(browser, "redis-light")
            check_narrow(browser, "redis-phone")
            browser.look()
            click_a_key(browser, agent, "redis")
            check_no_harm(browser, agent)
            # That isn't all well is said in words, and by the server's row.
            server.kill()
            browser.wait("document.querySelector('#state').innerText.includes('Degraded')", "that")
            browser.wait("document.querySelector('#shards .breaker').innerText !== 'closed'", "why")
            browser.wait("document.querySelector('#shards tbody tr').cells[4].innerText", "an error")
            browser.wait("parseFloat(document.querySelector('#fallbacks').innerText) > 0", "fallbacks")
            browser.look(dark=True)
            picture(browser, "redis-away")


def test_a_thousand_rules(bench, browser):
    """The 50 with most refusals are shown, and a filter finds the others."""
    many = "rules:\n" + "".join(
        f"  - {{ name: rule-{i}, match: {{ api_key: tenant-{i} }}, key: [ src ], "
        "limits: { limit: 1, window: 1h } }\n" for i in range(1000))
    agent = bench.agent(ADMIN + many)
    with load(bench, agent, keys=990):
        browser.go(address(agent) + "/")
        rates_are_shown(browser)
        browser.wait(f"document.querySelector('{ROW} td:nth-child(4)').innerText !== '0'", "refusals")
        assert browser.evaluate(f"document.querySelectorAll('{ROW}').length") == 50
        assert browser.text("#rules-count") == "50 of 1,000 shown"
        browser.click("#filter")
        browser.type("RULE-99")
        browser.wait(f"document.querySelectorAll('{ROW}').length === 11", "rule-99 and rule-990 to 999")
        # Sorted by a button, which the keyboard reaches.
        browser.evaluate("document.querySelector('[data-sort=name]').focus()")
        browser.press("Enter")
        assert browser.text(f"{ROW} .name") == "rule-99"
        assert browser.evaluate(
            "document.querySelector('[data-sort=name]').parentElement.ariaSort") == "ascending"
        browser.click("#filter")
        browser.type("x")
        browser.wait("document.querySelector('#rules').innerText.includes('No rule has such a name')",
                     "that")
    check_no_harm(browser, agent)


def test_nothing_is_made_anew(bench, browser):
    """Rows stay the same nodes, and the focus where it is, from one look to the next."""
    agent = bench.agent(ADMIN + RULES)
    with load(bench, agent):
        browser.go(address(agent) + "/")
        rates_are_shown(browser)
        browser.evaluate(
            "document.querySelector('#filter').focus(); window.made = 0; window.seen = 0;"
            "new MutationObserver(all => { for (const one of all) for (const node of one.addedNodes)"
            " if (node.nodeType === 1) window.made++; }).observe("
            " document.querySelector('#rules tbody'), {childList: true, subtree: true});"
            "new MutationObserver(() => window.seen++).observe("
            " document.querySelector('#decisions-note'), {childList: true}); 0")
        browser.wait("window.seen >= 3", "three looks")
        # As the order changes a row is moved, which is not more than a few times in so many looks.
        assert browser.evaluate("window.made") <= 6
        assert browser.evaluate("document.activeElement.id") == "filter"


def test_a_candidate(bench, browser):
    """What it would do otherwise, by rules."""
    candidate = f"{bench.directory}/candidate.yml"
    with open(candidate, "w") as file:
        file.write("listen: tcp://127.0.0.1:0\n" + RULES.replace("limit: 5,", "limit: 1000,"))
    agent = bench.agent(ADMIN + RULES, arguments=("--candidate", candidate))
    with load(bench, agent):
        browser.go(address(agent) + "/")
        browser.wait("document.querySelector('#differences').innerText.includes('login')",
                     "a difference")
        assert "as it is now" in browser.text("#differences tbody tr")
        assert re.search(r"would refuse 0 more and \d+ fewer", browser.text("#candidate-note"))
        check_narrow(browser, "candidate-phone")
    check_no_harm(browser, agent)


# ---- when it can't show --------------------------------------------------------------------------


def test_the_token(bench, browser):
    secret = f"{bench.directory}/token"
    with open(secret, "w") as file:
        file.write("open sesame\n")
    agent = bench.agent(
        f'admin: {{ address: "tcp://127.0.0.1:0", token_file: {secret} }}\n' + RULES)
    with load(bench, agent):
        browser.go(address(agent) + "/")
        browser.wait("document.activeElement.id === 'token'", "to be asked for it")
        picture(browser, "token", whole=False)
        browser.type("wrong")
        browser.press("Enter")
        browser.wait("document.querySelector('#token-note').innerText === "
                     "\"That isn't the agent's token.\"", "to be told")
        browser.click("#token")
        browser.type("open sesame")
        browser.press("Enter")
        rates_are_shown(browser)
        # It stays with the tab.
        browser.go()
        rates_are_shown(browser)
        assert "open sesame" not in browser.evaluate("document.documentElement.outerHTML")
        browser.click("#forget")
        browser.wait("!document.querySelector('#token-form').hidden", "to be asked again")
        assert browser.evaluate("sessionStorage.length") == 0


def test_an_agent_that_is_away(bench, browser):
    """The last values stay, greyed, and a new agent is followed."""
    port = stack.free_port()
    text = f'admin: "tcp://127.0.0.1:{port}"\n' + RULES
    agent = bench.agent(text)
    with load(bench, agent):
        browser.go(f"http://127.0.0.1:{port}/")
        rates_are_shown(browser)
        browser.wait(f"document.querySelector('{ROW} .all').getAttribute('d').includes('L')", "a line")
    before = browser.text("#decisions-note")
    agent.stop()
    browser.wait("document.querySelector('#state').innerText.startsWith('No answer since')", "that")
    assert browser.text(f"{ROW} .name") and browser.text("#decisions-note") != ""
    assert float(browser.evaluate(
        "new Promise(done => setTimeout(() => "
        "done(getComputedStyle(document.querySelector('main')).opacity), 400))")) < 0.9
    picture(browser, "away")
    agent = bench.agent(text)
    browser.wait("document.querySelector('#state').innerText === 'All well'", "the agent's return")
    with load(bench, agent):
        # What has fallen to 0 is no rate, and the time between is a gap in the lines.
        assert "-" not in browser.text("#decisions")
        rates_are_shown(browser)
        browser.wait(f"/L.*M/.test(document.querySelector('{ROW} .all').getAttribute('d'))", "a gap")
    assert browser.text("#decisions-note") != before
    assert not any("exception" in str(complaint) for complaint in browser.complaints)
