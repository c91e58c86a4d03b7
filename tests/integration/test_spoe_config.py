"""sluice spoe-config: what it prints, real HAProxys take and act on."""

import base64
import http.client
import json
import re
import socket
import ssl
import subprocess
import time

import pytest

import stack
from test_lifecycle import metric

LISTEN = 'listen: [ "unix://{socket}", "tcp://127.0.0.1:0" ]\nworkers: 2\n'

# Every name that help and README speak of, and each of the other forms; one that nobody knows.
NAMES = """src src_port dst dst_port frontend request_id unique_id method path query url http_version
host authority
user_agent referer origin accept accept_language content_type content_length cookie authorization
api_key bearer user real_ip forwarded_for body_size ssl ssl_sni ssl_version ssl_cipher ssl_alpn ja3
client_cert client_cert_dn client_cert_cn client_cert_issuer client_cert_serial client_cert_sha1
client_cert_verify country ip client_ip port sni tls tls_sni tls_version tls_cipher tls_alpn alpn ua
agent referrer x_forwarded_for x_real_ip x_api_key client_dn client_cn tls_fingerprint
ssl_fingerprint header_x_tenant cookie_session param_page jwt_sub
status response_status response_header_x_cost tenant ten-ant:x""".split()


def printed(bench, rules, *arguments, name="rules"):
    """(the rule file's path, what spoe-config prints for these rules)."""
    path = bench.directory + f"/{name}.yml"
    if "listen:" not in rules:
        rules = LISTEN.format(socket=bench.socket("sluice")) + rules
    with open(path, "w") as file:
        file.write(rules)
    done = bench.run("spoe-config", path, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return path, done.stdout


def version_word(binary):
    return "%d.%d" % stack.haproxy_version(binary)


def configuration(bench, binary, rules, edits=(), spoe_edits=(), arguments=()):
    """Writes both files as they are printed, but for ports and paths; returns HAProxy's."""
    version = version_word(binary)
    _, spoe = printed(bench, rules, "--haproxy", version, "--only", "spoe")
    _, proxies = printed(bench, rules, "--haproxy", version, "--only", "haproxy", *arguments)
    spoe_path = bench.directory + "/spoe.conf"
    path = bench.directory + "/haproxy.cfg"
    with open(spoe_path, "w") as file:
        file.write(stack.replace(spoe, *spoe_edits))
    proxies = stack.replace(proxies, ("/etc/haproxy/spoe-sluice.conf", spoe_path), *edits)
    with open(path, "w") as file:
        file.write(proxies)
    return path


def check(binary, path):
    done = subprocess.run([binary, "-c", "-f", path], capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert done.returncode == 0 and "WARNING" not in said, said


def arguments_rule(names, message=""):
    """A rule that reads each of them."""
    match = "".join(f"      {name}: x\n" for name in names)
    return f"  - name: every{message}\n    message: {message or 'sluice-request'}\n" \
           f"    action: allow\n    match:\n{match}"


def test_haproxy_takes_every_argument_in_every_phase(bench, haproxy_binary):
    """Also where a message can't have it: then it is left out."""
    rest = [name for name in NAMES if "status" not in name and "response" not in name]
    rules = ("rules:\n" + arguments_rule(NAMES, "sluice-response") +
             arguments_rule(rest, "sluice-connection") + arguments_rule(rest))
    path = configuration(bench, haproxy_binary, rules)
    with open(bench.directory + "/spoe.conf") as file:
        spoe = file.read()
    for message, names in (("sluice-response", NAMES), ("sluice-request", rest),
                           ("sluice-connection", ["src", "dst_port", "ssl_sni", "country"])):
        section = spoe.partition(f"spoe-message {message}\n")[2].partition("\nspoe-")[0]
        for name in names:
            assert f"    args {name}=" in section, (message, name)
    assert "args method=" not in spoe.partition("[sluice-tcp]")[2]
    assert "# method, for every" in spoe.partition("[sluice-tcp]")[2]
    with open(path) as file:
        assert "    # TO FILL IN, where tenant comes from:" in file.read()
    check(haproxy_binary, path)


@pytest.mark.parametrize("name", ["haproxy/sluice.yml", "config/example.yml"])
def test_haproxy_takes_what_is_printed_for_the_shipped_rules(bench, haproxy_binary, name):
    rules = (stack.ROOT / name).read_text()
    path = configuration(bench, haproxy_binary, rules)
    check(haproxy_binary, path)
    _, spoe = printed(bench, rules, "--only", "spoe")
    # And the rules find all that they read.
    with open(bench.directory + "/validate-spoe.conf", "w") as file:
        file.write(spoe)
    done = bench.run("validate", bench.directory + "/rules.yml", "--spoe",
                     bench.directory + "/validate-spoe.conf")
    assert (done.returncode, done.stderr) == (0, "")


# ---- in operation -------------------------------------------------------------------------------


def start(bench, binary, rules, bind="", edits=(), arguments=()):
    """An agent with these rules and HAProxy as it is printed for them; returns its port."""
    port = stack.free_port()
    rules = LISTEN.format(socket=bench.socket("sluice")) + rules
    bench.agent(rules)
    edits = [("    bind :80\n", f"    bind 127.0.0.1:{port}{bind}\n"),
             ("    # default_backend api\n", "    default_backend api\n"),
             ("timeout connect 20ms", "timeout connect 20s"), *edits]
    path = configuration(bench, binary, rules, edits, [
        ("timeout processing 50ms", "timeout processing 20s"),
        ("timeout hello 50ms", "timeout hello 20s"),
        ("    log global\n", ""),
    ], arguments)
    with open(path, "a") as file:
        file.write(f"backend api\n    mode http\n    timeout connect 20s\n    timeout server 20s\n"
                   f"    server api 127.0.0.1:{bench.api().port}\n")
    check(binary, path)
    program = stack.Program("haproxy", [binary, "-db", "-f", path], bench.directory)
    bench.programs.append(program)

    def serves():
        if not program.running():
            raise stack.Failed(program.log())
        try:
            stack.request(port, "/") if not bind else None
            return True
        except OSError:
            return False
    stack.wait_until(serves, "HAProxy to serve")
    return port


def token(**claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
    return f"{part({'alg': 'none'})}.{part(claims)}.x"


REQUESTS = [
    ("method", "PURGE", {"method": "PURGE"}),
    ("path", "/only/path", {"path": "/only/path?x"}),
    ("query", "a=1", {"path": "/?a=1"}),
    ("host", "shop.example", {"headers": {"Host": "SHOP.example:8080"}}),
    ("user_agent", "Mozilla/5.0 (X11, like Gecko)",
     {"headers": {"User-Agent": "Mozilla/5.0 (X11, like Gecko)"}}),
    ("referer", "http://a.example/,b", {"headers": {"Referer": "http://a.example/,b"}}),
    ("api_key", "k-1", {"headers": {"X-API-Key": "k-1"}}),
    ("content_length", 17, {"method": "POST", "headers": {"Content-Length": "17"}}),
    ("bearer", "opaque", {"headers": {"Authorization": "Bearer opaque"}}),
    ("jwt_plan", "gold", {"headers": {"Authorization": "Bearer " + token(plan="gold")}}),
    ("user", "anna", {"headers": {"Authorization":
                                  "Basic " + base64.b64encode(b"anna:x").decode()}}),
    ("real_ip", "192.0.2.77", {"headers": {"X-Real-IP": "192.0.2.77"}}),
    ("forwarded_for", "2001:db8::7", {"headers": {"X-Forwarded-For": "192.0.2.1, 2001:db8::7"}}),
    ("header_x_tenant", "acme", {"headers": {"X-Tenant": "acme"}}),
    ("cookie_session", "s1", {"headers": {"Cookie": "a=b; session=s1"}}),
    ("param_page", "7", {"path": "/?page=7"}),
]


def test_arguments_say_what_the_request_says(bench, haproxy_binary):
    """Each rule is met by one of the requests, by what its argument is, and refuses it."""
    rules = "rules:\n"
    for name, value, _ in REQUESTS:
        rules += f"  - {{ name: {name}, match: {{ {name}: {json.dumps(value)} }}, action: deny }}\n"
    rules += "  - { name: tenant, match: { tenant: x }, action: deny }\n"
    port = start(bench, haproxy_binary, rules)
    for name, _, request in REQUESTS:
        path = request.get("path", "/")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=stack.WAIT)
        connection.putrequest(request.get("method", "GET"), path, skip_host=True,
                              skip_accept_encoding=True)
        for header, value in {"Host": "a.example", **request.get("headers", {})}.items():
            connection.putheader(header, value)
        connection.endheaders()
        if "Content-Length" in request.get("headers", {}):
            connection.send(b"x" * 17)
        response = connection.getresponse()
        body = response.read().decode()
        connection.close()
        assert response.status == 429, name
        assert len(response.getheader("X-Request-ID")) == 36
        assert body == f"Too many requests, by the rule {name}.\n"
    assert stack.request(port, "/").status == 200


def test_variables_to_fill_in_are_sent_once_they_are_set(bench, haproxy_binary):
    rules = """rules:
  - { name: country, match: { country: CH }, action: deny }
  - { name: tenant, match: { tenant: acme }, action: deny }
"""
    countries = bench.directory + "/country.map"
    with open(countries, "w") as file:
        file.write("127.0.0.0/8 CH\n")
    port = start(bench, haproxy_binary, rules)
    assert stack.request(port, "/", headers={"X-Tenant": "acme"}).status == 200
    bench.programs.pop().stop()
    bench.programs.pop().stop()
    port = start(bench, haproxy_binary, rules, edits=[
        ("# http-request set-var(txn.sluice_arg.tenant) req.hdr(?)",
         "http-request set-var(txn.sluice_arg.tenant) req.hdr(x-tenant)"),
        ("# http-request set-var(txn.sluice_arg.country) src,map_ip(/etc/haproxy/country.map)",
         f"http-request set-var(txn.sluice_arg.country) src,map_ip({countries}) "
         "if { path /from }"),
    ])
    assert "rule tenant" in stack.request(port, "/", headers={"X-Tenant": "acme"}).body
    assert "rule country" in stack.request(port, "/from").body
    assert stack.request(port, "/").status == 200


def test_a_response_is_told_with_what_its_request_was(bench, haproxy_binary):
    rules = """rules:
  - name: served
    message: sluice-response
    match: { status: 200, method: GET, path: { prefix: /api/ } }
    key: [ src, path ]
    limits: { limit: 5, window: 1h }
"""
    port = start(bench, haproxy_binary, rules)
    seen = [stack.request(port, path).headers.get("ratelimit")
            for path in ("/api/a", "/api/a", "/api/b", "/else")]
    assert [text and re.match(r'"served";r=(\d)', text)[1] for text in seen] == ["4", "3", "4", None]


def test_what_is_charged_at_the_response_is_refused_at_the_request(bench, haproxy_binary):
    rules = """rules:
  - name: login
    message: sluice-request
    match: { path: { prefix: /login } }
    key: [ src, header_x_user ]
    limits: { limit: 2, window: 1h }
    charge: { message: told, match: { header_x_user: { exists: true } } }
"""
    port = start(bench, haproxy_binary, rules)

    def ask(user):
        return stack.request(port, "/login", headers={"X-User": user}).status

    assert [ask("anna") for _ in range(3)] == [200, 200, 429]
    assert ask("bert") == 200


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A file with a key and a certificate that it signs itself."""
    folder = tmp_path_factory.mktemp("certificate")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=client.example", "-keyout", folder / "key", "-out",
                    folder / "certificate"], check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key").read_text() + (folder / "certificate").read_text())
    return both


def test_what_tls_tells(bench, haproxy_binary, certificate):
    rules = """rules:
  - name: hello
    match: { ssl: true, ssl_version: TLSv1.2, ssl_sni: a.example, client_cert: true,
             client_cert_cn: client.example }
    key: [ ja3, client_cert_dn, client_cert_sha1 ]
    limits: { limit: 2, window: 1h }
"""
    port = start(bench, haproxy_binary, rules,
                 bind=f" ssl crt {certificate} ca-file {certificate} verify optional")

    def ask(ciphers):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
        context.load_cert_chain(certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", port, context=context,
                                                 timeout=stack.WAIT)
        plain = stack.wait_until(lambda: connect(port), "HAProxy to listen")
        connection.sock = context.wrap_socket(plain, server_hostname="a.example")
        connection.request("GET", "/")
        response = connection.getresponse()
        response.read()
        connection.close()
        return response.status

    assert [ask("ECDHE+AESGCM") for _ in range(3)] == [200, 200, 429]
    # Another client by its fingerprint.
    assert ask("ECDHE+CHACHA20") == 200


def connect(port):
    try:
        return socket.create_connection(("127.0.0.1", port), timeout=stack.WAIT)
    except OSError:
        return None


def test_connections_are_refused_before_they_say_anything(bench, haproxy_binary):
    tcp = stack.free_port()
    rules = """rules:
  - { name: connections, message: sluice-connection, key: [ src, dst_port ],
      limits: { limit: 1, window: 1h } }
  - { name: others, match: { path: /x }, action: deny }
"""
    port = start(bench, haproxy_binary, rules, edits=[
        ("    bind :5432\n", f"    bind 127.0.0.1:{tcp}\n"),
        ("    # default_backend servers\n", "    default_backend servers\n"),
        ("backend sluice\n", "backend servers\n    mode tcp\n    timeout connect 20s\n"
         f"    timeout server 20s\n    server api 127.0.0.1:{bench.api().port}\n\n"
         "backend sluice\n"),
    ])
    assert stack.request(tcp, "/").status == 200
    with pytest.raises((OSError, http.client.HTTPException)):
        stack.request(tcp, "/")
    assert stack.request(port, "/x").status == 429


def test_requests_are_held_back_where_haproxy_can(bench, haproxy_binary):
    rules = """rules:
  - { name: shape, key: src, mode: delay, max_delay: 10s,
      limits: { limit: 10, window: 1s, burst: 1, algorithm: token-bucket } }
"""
    port = start(bench, haproxy_binary, rules)
    with open(bench.directory + "/haproxy.cfg") as file:
        has_pause = "    http-request pause " in file.read()
    assert has_pause == (stack.haproxy_version(haproxy_binary) >= (3, 2))
    begun = time.monotonic()
    assert [stack.request(port, "/").status for _ in range(4)] == [200] * 4
    # At most one at once, and one more each tenth of a second: the start has asked for one already.
    assert not has_pause or time.monotonic() - begun >= 0.2


REMEMBERED = """rules:
  - { name: login, match: { path: { prefix: /login } }, key: src, limits: { limit: 2, window: 1h } }
  - { name: client, key: src/64, limits: { limit: 20, window: 1h } }
"""


def test_refusals_are_remembered_where_that_is_right(bench, haproxy_binary):
    port = start(bench, haproxy_binary, "admin: tcp://127.0.0.1:0\n" + REMEMBERED, edits=[
        ("    acl sluice_asks_0 always_false\n", "    acl sluice_asks_0 path -m beg /login\n"),
    ], arguments=["--remember-refusals"])
    agent = bench.programs[0]

    def refused(path, times):
        answers = [stack.request(port, path) for _ in range(times)]
        assert all(answer.headers["retry-after"] for answer in answers if answer.status == 429)
        return [answer.status for answer in answers].count(429)

    assert refused("/login", 6) == 4
    assert metric(agent, 'sluice_decisions_total{outcome="refused"}') == 1
    assert refused("/else", 1) == 0
    assert refused("/else", 40) > 20
    assert metric(agent, 'sluice_decisions_total{outcome="refused"}') == 2
    assert "by the rule login." in stack.request(port, "/login").body
    assert "by the rule client." in stack.request(port, "/else").body
    assert metric(agent, 'sluice_decisions_total{outcome="refused"}') == 2


# ---- what it prints -----------------------------------------------------------------------------


@pytest.mark.parametrize("rule, said", [
    ("key: src/56", "acl sluice_asks_0 always_true"),
    ("key: src/56", "src,ipmask(32,56),table_gpt(0,sluice-refusals)"),
    ("key: real_ip", "track-sc0 req.hdr_ip(x-real-ip),ipmask(32,128) table"),
    ("key: client_ip", "src,ipmask(32,128),table_gpt(0,sluice-refusals)"),
    ("key: dst", "dst,ipmask(32,128),table_gpt(0,sluice-refusals)"),
    ("key: [ src, path ]", "# Not of r: its key is not an address alone."),
    ("key: path", "# Not of r: its key is not known to be an address."),
    ("key: src, cost: { arg: size, default: 1 }", "# Not of r: its cost is an argument's."),
    ("key: src, charge_denied: true", "# Not of r: it counts what is refused."),
    ("key: src, penalty: { after: 2, within: 1m, for: 1h }", "# Not of r: it counts what is refused."),
    ("key: src, consistency: leased", "# Not of r: units that are taken ahead come back."),
    ("key: src, match: { path: /x }", "# r: requests with { path: /x }\n    # TO FILL IN"),
])
def test_of_which_rules_refusals_are_remembered(bench, rule, said):
    rules = f"rules: [ {{ name: r, limits: {{ limit: 1, window: 1h }}, {rule} }} ]\n"
    _, proxies = printed(bench, rules, "--only", "haproxy", "--remember-refusals")
    assert said in proxies
    assert ("sc-set-gpt" in proxies) == ("Not of r" not in said)
    assert "refusals" not in printed(bench, rules, "--only", "haproxy")[1]


def test_refusals_of_tiers_and_of_too_many_rules_are_not_remembered(bench):
    tiers = "tiers: { by: plan, default: { limit: 1, window: 1h }, gold: unlimited }"
    rules = f"rules:\n- {{ name: t, key: src, {tiers} }}\n" + "".join(
        f"- {{ name: r{i}, key: src, limits: {{ limit: 1, window: 1h }} }}\n" for i in range(9))
    _, proxies = printed(bench, rules, "--only", "haproxy", "--remember-refusals")
    assert re.findall("# Not of (.*)", proxies) == [
        "t: its limits are an argument's.", "r8: those before it are as many as can be."]
    assert "store gpt(8)\n" in proxies


def test_what_lets_pass_before_is_not_to_be_refused(bench):
    rules = "rules:\n  - { name: open, match: { path: /health }, action: allow }\n" + REMEMBERED[7:]
    _, proxies = printed(bench, rules, "--only", "haproxy", "--remember-refusals")
    assert ("    # client: requests with anything\n"
            "    # but not with { path: /health } (open)\n"
            "    # TO FILL IN, as in: acl sluice_asks_1 path -m beg /api/\n"
            "    acl sluice_asks_1 always_false\n") in proxies


def test_an_answer_without_a_time_is_told(bench):
    path = bench.directory + "/rules.yml"
    with open(path, "w") as file:
        file.write("listen: :0\nanswer: [ rule, source ]\nrules: []\n")
    done = bench.run("spoe-config", path, "--remember-refusals")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{path}: answer lacks retry_at, expected it with --remember-refusals\n"


def test_what_the_candidate_reads_is_sent_too(bench, haproxy_binary):
    rules = LISTEN.format(socket=bench.socket("sluice")) + f"candidate: {bench.directory}/new.yml\n" \
        "rules: [ { name: a, match: { path: /x }, key: src, limits: { limit: 1, window: 1h } } ]\n"
    with open(bench.directory + "/new.yml", "w") as file:
        file.write("""listen: :0
rules:
  - { name: b, key: [ src, header_x_tenant ], limits: { limit: 1, window: 1h } }
  - { name: c, message: told, match: { status: 401 }, key: user_agent,
      limits: { limit: 1, window: 1h } }
""")
    path = configuration(bench, haproxy_binary, rules)
    check(haproxy_binary, path)
    with open(bench.directory + "/spoe.conf") as file:
        spoe = file.read()
    request = spoe.partition("spoe-message sluice-request\n")[2].partition("\n\n")[0]
    assert re.findall(r"# (\w+), for ([^:\n]*)", request) == [
        ("header_x_tenant", "b of the candidate"), ("path", "a"), ("request_id", "the log"),
        ("src", "a, b of the candidate")]
    told = spoe.partition("spoe-message told\n")[2].partition("\n\n")[0]
    assert "args status=status\n" in told and "args user_agent=var(" in told
    with open(path) as file:
        assert "    http-response send-spoe-group sluice told\n" in file.read()


def test_a_request_can_be_found_in_the_log(bench):
    _, proxies = printed(bench, "answer: [ rule, remaining ]\nrules: []\n", "--only", "haproxy")
    assert "    unique-id-format %[uuid()]\n" in proxies
    assert ("    # rule=%[var(txn.sluice.rule)] remaining=%[var(txn.sluice.remaining)] "
            "error=%[var(txn.sluice.error)] id=%ID\n") in proxies


def test_all_of_it_is_one_spoe_file(bench):
    rules = "rules: [ { name: a, match: { tenant: x }, action: allow } ]\n"
    _, whole = printed(bench, rules)
    _, spoe = printed(bench, rules, "--only", "spoe")
    _, proxies = printed(bench, rules, "--only", "haproxy")
    assert whole == spoe + "\n\n" + "".join(
        f"# {line}\n" if line else "#\n" for line in proxies.splitlines())
    assert "mode spop" in proxies
    assert "mode tcp" in printed(bench, rules, "--only", "haproxy", "--haproxy", "2.6")[1]


@pytest.mark.parametrize("listen, server", [
    ("unix:///run/a.sock", "unix@/run/a.sock"),
    ("unix://@sluice", "abns@sluice"),
    ("tcp://192.0.2.1:9000", "192.0.2.1:9000"),
    ("tcp://[2001:db8::1]:9000", "[2001:db8::1]:9000"),
    ("tcp://:9000", "127.0.0.1:9000"),
    ("tcp://:0", "127.0.0.1:9000"),
])
def test_the_agents_are_where_they_listen(bench, listen, server):
    _, proxies = printed(bench, f'listen: "{listen}"\nrules: []\n', "--only", "haproxy")
    assert proxies.endswith(f"    server sluice1 {server}\n")


def test_only_variables_that_are_sent_are_used(bench):
    _, whole = printed(bench, "answer: []\nrules: []\n")
    assert "register-var-names allow deny\n" in whole
    assert not re.search(r"txn\.sluice\.(?!deny|error)", whole)


@pytest.mark.parametrize("arguments, expected", [
    ((), "usage"),
    (("a.yml", "b.yml"), "usage"),
    (("a.yml", "--haproxy", "1.8"), 'is "1.8", expected 2.6, 3.0 or 3.2'),
    (("a.yml", "--only", "x"), 'is "x", expected spoe or haproxy'),
])
def test_a_wrong_command_line_is_told(bench, arguments, expected):
    done = bench.run("spoe-config", *arguments)
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_wrong_file_is_told(bench):
    done = bench.run("spoe-config", "/absent.yml")
    assert (done.returncode, done.stdout) == (1, "")
    assert "/absent.yml" in done.stderr
