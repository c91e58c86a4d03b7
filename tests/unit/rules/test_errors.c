/* What rule files are refused for: YAML that is none, and wrong settings. Each row is a whole
 * file and everything that is said about it. */
#include "helper.h"

/* What is wrong follows a file that would be right. */
#define AFTER(text) "listen: :0\nrules: []\n" text

static const struct wrong_file wrong_files[] = {
    {"", "1:1: the file is empty, expected a mapping with at least listen and rules\n"},
    {"# nothing but a comment\n",
     "1:1: the file is empty, expected a mapping with at least listen and rules\n"},
    {"---\n"
     "...\n",
     "2:1: the file is empty, expected a mapping with keys from listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {"~\n", "1:1: the file is null, expected a mapping with keys from listen, admin, workers, "
            "store, defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {"listen\n",
     "1:1: the file is \"listen\", expected a mapping with keys from listen, admin, "
     "workers, store, defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {"listen\n"
     "b: 2\n",
     "2:2: invalid YAML: mapping values are not allowed in this context, expected quotes around a "
     "text that has \": \" in it, or a key at its mapping's indentation\n"},
    {"[ listen ]\n",
     "1:1: the file is a list, expected a mapping with keys from listen, admin, "
     "workers, store, defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {"42: 1\n", "1:1: unknown key \"42\" in the file, expected one of listen, admin, workers, "
                "store, defaults, answer, connections, denial_log, candidate, rules, include\n"
                "1:1: the file has no key \"listen\", expected at least one address, as in "
                "tcp://127.0.0.1:9000\n"
                "1:1: the file has no key \"rules\", expected a list of rules, or [] for none\n"},
    {"listen: [ :0\n"
     "rules: []\n",
     "1:11: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {"listen: :0\n"
     "rules: [\n",
     "3:1: invalid YAML while parsing a flow node: did not find expected node content, expected a "
     "value\n"},
    {"listen: { address: :0\n"
     "rules: []\n",
     "1:20: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {"listen: :0\n"
     "\x09rules: []\n",
     "2:1: invalid YAML while scanning a plain scalar that starts on line 1: found a tab character "
     "that violates indentation, expected spaces for indentation\n"},
    {"listen: :0\n"
     " rules: []\n",
     "2:7: invalid YAML: mapping values are not allowed in this context, expected quotes around a "
     "text that has \": \" in it, or a key at its mapping's indentation\n"},
    {"listen: a: b\n"
     "rules: []\n",
     "1:10: invalid YAML: mapping values are not allowed in this context, expected quotes around a "
     "text that has \": \" in it, or a key at its mapping's indentation\n"},
    {"listen: \":0\n"
     "rules: []\n",
     "3:1: invalid YAML while scanning a quoted scalar that starts on line 1: found unexpected end "
     "of stream, expected a closing quote\n"},
    {"listen: ':0\n", "2:1: invalid YAML while scanning a quoted scalar that starts on line 1: "
                      "found unexpected end of stream, expected a closing quote\n"},
    {"listen: @abstract\n"
     "rules: []\n",
     "1:9: invalid YAML while scanning for the next token: found character that cannot start any "
     "token, expected quotes around a text that starts with @\n"},
    {"listen: %x\n"
     "rules: []\n",
     "1:9: invalid YAML while scanning for the next token: found character that cannot start any "
     "token, expected quotes around a text that starts with %\n"},
    {"listen: - :0\n"
     "rules: []\n",
     "1:9: invalid YAML: block sequence entries are not allowed in this context, expected each '-' "
     "at the start of a line\n"},
    {"listen: \"\\q\"\n", "1:10: invalid YAML while parsing a quoted scalar: found unknown escape "
                          "character, expected well-formed YAML\n"},
    {"%YAML 2.0\n"
     "---\n",
     "1:1: invalid YAML: found incompatible YAML document, expected %YAML 1.1 or none\n"},
    {"%FOO\n", "1:5: invalid YAML while scanning a directive: found unknown directive name, "
               "expected well-formed YAML\n"},
    {"listen: |\n"
     "  a\n"
     "\x09"
     "b\n",
     "3:1: invalid YAML while scanning a block scalar that starts on line 1: found a tab character "
     "where an indentation space is expected, expected spaces for indentation\n"},
    {"listen: \x07\n", "1:9: control character U+0007, expected text (in double quotes, YAML "
                       "writes it as \\u0007)\n"},
    {"listen: \xff\n", "1:9: byte 0xff is not UTF-8, expected a file in UTF-8\n"},
    {"listen: \xc3\xa9\xc3(\n", "1:10: byte 0xc3 is not UTF-8, expected a file in UTF-8\n"},
    {"listen: \xed\xa0\x80\n", "1:9: byte 0xed is not UTF-8, expected a file in UTF-8\n"},
    {"listen: \xc0\xaf\n", "1:9: byte 0xc0 is not UTF-8, expected a file in UTF-8\n"},
    {"listen: \xf4\x90\x80\x80\n", "1:9: byte 0xf4 is not UTF-8, expected a file in UTF-8\n"},
    {"listen: \xe2\x80\xa8\n", "1:9: control character U+2028, expected text (in double quotes, "
                               "YAML writes it as \\u2028)\n"},
    {"\n"
     "\x0d\n"
     "\x0dx: \x7f\n",
     "4:4: control character U+007F, expected text (in double quotes, YAML writes it as "
     "\\u007F)\n"},
    {"\xe2\x80\xa9", "1:1: control character U+2029, expected text (in double quotes, YAML writes "
                     "it as \\u2029)\n"},
    {"a\xef\xbb\xbf"
     "b: 1\n",
     "1:2: control character U+FEFF, expected text (in double quotes, YAML writes it as "
     "\\uFEFF)\n"},
    {"listen: \xc3\xa9@\xe2\x82", "1:11: byte 0xe2 is not UTF-8, expected a file in UTF-8\n"},
    {AFTER("---\n"
           "listen: :0\n"
           "rules: []\n"),
     "3:1: a second document, expected one in a file\n"},
    {AFTER("...\n"
           "---\n"
           "listen: 3\n"),
     "4:1: a second document, expected one in a file\n"},
    {"listen: *nowhere\n"
     "rules: []\n",
     "1:9: alias of an unknown anchor \"nowhere\", expected one that stands above it as "
     "&nowhere\n"},
    {"listen: &a [ *a ]\n"
     "rules: []\n",
     "1:14: alias of \"a\" inside the value it names, expected no loop\n"},
    {"listen: &a [ [ *a ] ]\n"
     "rules: []\n",
     "1:14: listen is a list, expected an address, as in tcp://127.0.0.1:9000\n"
     "1:16: alias of \"a\" inside the value it names, expected no loop\n"},
    {"listen: :0\n"
     "rules: &r\n"
     "  - *r\n",
     "3:5: alias of \"r\" inside the value it names, expected no loop\n"},
    {"listen: !!str x\n"
     "rules: []\n",
     "1:9: tag !!str, expected a value without one\n"
     "1:9: listen is \"x\", expected an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 or "
     "unix:///run/sluice/spop.sock\n"},
    {"listen: :0\n"
     "rules: !list []\n",
     "2:8: tag !list, expected a value without one\n"},
    {"listen: :0\n"
     "rules: [ { name: r, action: allow, match: { a: { <<: { is: x } } } } ]\n",
     "2:50: merge key \"<<\", expected the keys themselves (merge keys are not supported; aliases "
     "of whole values are)\n"},
    {AFTER("<<: { workers: 3 }\n"), "3:1: merge key \"<<\", expected the keys themselves (merge "
                                    "keys are not supported; aliases of whole values are)\n"},
    {AFTER("? [ 1 ]\n"
           ": 2\n"),
     "3:3: a key of the file is a list, expected one of listen, admin, workers, store, defaults, "
     "answer, connections, denial_log, candidate, rules, include\n"},
    {AFTER("? { a: b }\n"
           ": 2\n"),
     "3:3: a key of the file is a mapping, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {"{}\n", "1:1: the file has no key \"listen\", expected at least one address, as in "
             "tcp://127.0.0.1:9000\n"
             "1:1: the file has no key \"rules\", expected a list of rules, or [] for none\n"},
    {"rules: []\n", "1:1: the file has no key \"listen\", expected at least one address, as in "
                    "tcp://127.0.0.1:9000\n"},
    {"listen: :0\n",
     "1:1: the file has no key \"rules\", expected a list of rules, or [] for none\n"},
    {AFTER("listen: :1\n"),
     "3:1: key \"listen\" again in the file, expected it once (it is on line 1)\n"},
    {AFTER("lisen: :1\n"),
     "3:1: unknown key \"lisen\" in the file, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include; did you mean "
     "\"listen\"?\n"},
    {AFTER("Workers: 1\n"),
     "3:1: unknown key \"Workers\" in the file, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include; did you mean "
     "\"workers\"?\n"},
    {AFTER("wrokers: 1\n"
           "workers: 1\n"),
     "3:1: unknown key \"wrokers\" in the file, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include; did you mean "
     "\"workers\"?\n"},
    {AFTER("limits: []\n"), "3:1: unknown key \"limits\" in the file, expected one of listen, "
                            "admin, workers, store, defaults, answer, connections, denial_log, "
                            "candidate, rules, include\n"},
    {AFTER("\"\": 1\n"),
     "3:1: unknown key \"\" in the file, expected one of listen, admin, "
     "workers, store, defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {AFTER("a very long key that goes on and on and on and on and on, past what a message can "
           "hold: 1\n"),
     "3:1: unknown key \"a very long key that goes on and on and on and on and on, past wha...\" "
     "in the file, expected one of listen, admin, workers, store, defaults, answer, connections, "
     "denial_log, candidate, rules, include\n"},
    {AFTER("? \"a\\nb\\t\\u0001\"\n"
           ": 1\n"),
     "3:3: unknown key \"a\\nb\\t?\" in the file, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include\n"},
    {"listen:\n"
     "rules: []\n",
     "1:8: listen is empty, expected at least one address, as in tcp://127.0.0.1:9000\n"},
    {"listen: null\n"
     "rules:\n",
     "1:9: listen is null, expected at least one address, as in tcp://127.0.0.1:9000\n"
     "2:7: rules is empty, expected a list of rules, or [] for none\n"},
    {"listen: []\n"
     "rules: {}\n",
     "1:9: listen is an empty list, expected at least one address, as in tcp://127.0.0.1:9000\n"
     "2:8: rules is a mapping, expected a list of rules, or [] for none\n"},
    {"listen: 9000\n"
     "rules: x\n",
     "1:9: listen is \"9000\", expected an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 "
     "or unix:///run/sluice/spop.sock\n"
     "2:8: rules is \"x\", expected a list of rules, or [] for none\n"},
    {"listen: tcp://127.0.0.1\n"
     "rules: []\n",
     "1:9: listen is \"tcp://127.0.0.1\", expected an address, as in tcp://127.0.0.1:9000, "
     "tcp://[::1]:9000 or unix:///run/sluice/spop.sock\n"},
    {"listen: tcp://127.0.0.1:65536\n"
     "rules: []\n",
     "1:9: listen is \"tcp://127.0.0.1:65536\", expected a port from 0 to 65535\n"},
    {"listen: tcp://::1:9000\n"
     "rules: []\n",
     "1:9: listen is \"tcp://::1:9000\", expected an address, as in tcp://127.0.0.1:9000, "
     "tcp://[::1]:9000 or unix:///run/sluice/spop.sock\n"},
    {"listen: unix://relative\n"
     "rules: []\n",
     "1:9: listen is \"unix://relative\", expected an absolute path, as in "
     "unix:///run/sluice/spop.sock, or unix://@name\n"},
    {"listen: [ [ :0 ] ]\n"
     "rules: []\n",
     "1:13: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {"listen: [ :1, :2, :1 ]\n"
     "rules: []\n",
     "1:11: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {"listen: [ unix:///a, { address: unix:///a } ]\n"
     "rules: []\n",
     "1:22: the same address again, expected each once\n"},
    {"listen: { adress: :0 }\n"
     "rules: []\n",
     "1:19: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {"listen: { mode: 0600 }\n"
     "rules: []\n",
     "1:9: an address of listen has no key \"address\", expected an address, as in "
     "unix:///run/sluice/spop.sock\n"},
    {"listen: { address: :0, mode: 0600 }\n"
     "rules: []\n",
     "1:20: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {"listen: { address: unix://@x, mode: 0600 }\n"
     "rules: []\n",
     "1:37: mode for an address that is not a file, expected only with unix:///PATH\n"},
    {"listen: { address: unix:///x, mode: 0888 }\n"
     "rules: []\n",
     "1:37: mode is \"0888\", expected octal permissions from 0001 to 0777, as in 0660\n"},
    {"listen: { address: unix:///x, mode: 0 }\n"
     "rules: []\n",
     "1:37: mode is \"0\", expected octal permissions from 0001 to 0777, as in 0660\n"},
    {"listen: { address: unix:///x, mode: 01777 }\n"
     "rules: []\n",
     "1:37: mode is \"01777\", expected octal permissions from 0001 to 0777, as in 0660\n"},
    {"listen: { address: unix:///x, mode: rw }\n"
     "rules: []\n",
     "1:37: mode is \"rw\", expected octal permissions from 0001 to 0777, as in 0660\n"},
    {"listen: { address: x, mode: 0600 }\n"
     "rules: []\n",
     "1:20: address is \"x\", expected an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 or "
     "unix:///run/sluice/spop.sock\n"},
    {"admin: { address: unix:///b }\n"
     "listen: [ unix:///a, unix:///b ]\n"
     "rules: []\n",
     "1:8: admin is an address of listen, expected one of its own\n"},
    {"listen: tcp://127.0.0.1:9000\n"
     "admin: tcp://:9000\n"
     "rules: []\n",
     "2:8: admin is an address of listen, expected one of its own\n"},
    {AFTER("admin: here\n"),
     "3:8: admin is \"here\", expected an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 or "
     "unix:///run/sluice/spop.sock\n"},
    {AFTER("admin: [ :1, :2 ]\n"),
     "3:10: invalid YAML while parsing a flow node: did not find expected node content, expected "
     "quotes around a text that starts with :\n"},
    {AFTER("admin: [ h:1, h:2 ]\n"),
     "3:8: admin is a list, expected an address, as in tcp://127.0.0.1:9000\n"},
    {AFTER("admin: {}\n"),
     "3:8: admin has no key \"address\", expected an address, as in tcp://127.0.0.1:9901\n"},
    {AFTER("admin: { address: h:1, token: secret }\n"),
     "3:24: unknown key \"token\" in admin, expected one of address, mode, token_file\n"},
    {AFTER("admin: { address: h:1, mode: 0600 }\n"),
     "3:30: mode for an address that is not a file, expected only with unix:///PATH\n"},
    {AFTER("admin: { address: unix:///x, mode: 0999 }\n"),
     "3:36: mode is \"0999\", expected octal permissions from 0001 to 0777, as in 0660\n"},
    {AFTER("admin: { address: h:1, token_file: \"\" }\n"),
     "3:36: token_file is \"\", expected the path of a file, as in /run/secrets/sluice-admin\n"},
    {AFTER("workers: 0\n"),
     "3:10: workers is \"0\", expected auto or a whole number from 1 to 256\n"},
    {AFTER("workers: 257\n"),
     "3:10: workers is \"257\", expected auto or a whole number from 1 to 256\n"},
    {AFTER("workers: many\n"),
     "3:10: workers is \"many\", expected auto or a whole number from 1 to 256\n"},
    {AFTER("workers: [ 1 ]\n"),
     "3:10: workers is a list, expected auto or a whole number from 1 to 256\n"},
    {AFTER("defaults: { algorithm: leaky-bucket }\n"),
     "3:24: algorithm is \"leaky-bucket\", expected one of fixed-window, sliding-window, "
     "token-bucket, sliding-log\n"},
    {AFTER("defaults: { algoritm: sliding-log, on_store_error: fail }\n"),
     "3:13: unknown key \"algoritm\" in defaults, expected one of algorithm, on_store_error, "
     "consistency, message; did you mean \"algorithm\"?\n"
     "3:52: on_store_error is \"fail\", expected one of local, allow, deny\n"},
    {AFTER("defaults: { algorithm: token_bucket, message: two words }\n"),
     "3:24: algorithm is \"token_bucket\", expected one of fixed-window, sliding-window, "
     "token-bucket, sliding-log; did you mean \"token-bucket\"?\n"
     "3:47: message is \"two words\", expected a name of 1 to 64 letters, digits, '.', '_', '-' "
     "and ':'\n"},
    {AFTER("defaults: sliding-log\n"),
     "3:11: defaults is \"sliding-log\", expected a mapping with "
     "keys from algorithm, on_store_error, consistency, message\n"},
    {AFTER("defaults: { consistency: lease, charge_denied: true }\n"),
     "3:26: consistency is \"lease\", expected one of exact, leased; did you mean \"leased\"?\n"
     "3:33: unknown key \"charge_denied\" in defaults, expected one of algorithm, on_store_error, "
     "consistency, message\n"},
    {AFTER("answer: retry-after\n"),
     "3:9: answer is \"retry-after\", expected one of allow, deny, retry_after, retry_at, "
     "delay_ms, rule, source, limit, remaining, reset, ratelimit, ratelimit_policy, shadow; did "
     "you mean "
     "\"retry_after\"?\n"},
    {AFTER("answer: [ rule, rule, everything ]\n"),
     "3:17: \"rule\" again in answer, expected it once\n"
     "3:23: answer is \"everything\", expected one of allow, deny, retry_after, retry_at, "
     "delay_ms, rule, source, limit, remaining, reset, ratelimit, ratelimit_policy, shadow\n"},
    {AFTER("answer: { rule: true }\n"),
     "3:9: answer is a mapping, expected one of allow, deny, retry_after, retry_at, delay_ms, "
     "rule, source, limit, remaining, reset, ratelimit, ratelimit_policy, shadow\n"},
    {AFTER("answer:\n"),
     "3:8: answer is empty, expected a list of variable names, as in [ rule, retry_after ]\n"},
    {AFTER("connections: { max: 0, max_frame_size: 255 }\n"),
     "3:21: max is \"0\", expected a whole number from 1 to 1000000\n"
     "3:40: max_frame_size is \"255\", expected bytes, or a number and KiB, MiB or GiB, from 256 "
     "to 1MiB\n"},
    {AFTER("connections: { max_frame_size: 2MiB }\n"),
     "3:32: max_frame_size is \"2MiB\", expected bytes, or a number and KiB, MiB or GiB, from 256 "
     "to 1MiB\n"},
    {AFTER("connections: { idle_timeout: 30, hello_timeout: 0s, drain_timeout: 2d }\n"),
     "3:30: idle_timeout is \"30\" without a unit, expected one behind the number: ms, s, m, h or "
     "d\n"
     "3:49: hello_timeout is \"0s\", expected a whole number and ms, s, m, h or d, from 1ms to 1d\n"
     "3:68: drain_timeout is \"2d\", expected a whole number and ms, s, m, h or d, from 0s to "
     "1d\n"},
    {AFTER("denial_log: 1001\n"),
     "3:13: denial_log is \"1001\", expected a whole number from 0 to 1000\n"},
    {AFTER("denial_log: 10/s\n"),
     "3:13: denial_log is \"10/s\", expected a whole number from 0 to 1000\n"},
    {AFTER("connections: { idle_timeout: none, timeout: 1s }\n"),
     "3:30: idle_timeout is \"none\", expected a whole number and ms, s, m, h or d, from 0s to "
     "366d\n"
     "3:36: unknown key \"timeout\" in connections, expected one of max, max_frame_size, "
     "idle_timeout, hello_timeout, drain_timeout\n"},
    {AFTER("connections: 4096\n"),
     "3:14: connections is \"4096\", expected a mapping with keys from max, max_frame_size, "
     "idle_timeout, hello_timeout, drain_timeout\n"},
    {"listen: 1\n"
     "work: 2\n"
     "store: 3\n"
     "rules:\n"
     "- 4\n"
     "- { name: 5 5 }\n"
     "admin: 6\n",
     "1:9: listen is \"1\", expected an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 or "
     "unix:///run/sluice/spop.sock\n"
     "2:1: unknown key \"work\" in the file, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include\n"
     "3:8: store is \"3\", expected a mapping with keys from nodes, mode, master, prefix, "
     "deadline, connect_timeout, heartbeat, breaker, auth, sentinel_auth, tls, max_keys, "
     "log_memory, instance_id\n"
     "5:3: a rule is \"4\", expected a mapping with keys from " RULE_KEYS "\n"
     "6:3: a rule without limits and without action, expected either key and limits, or an "
     "action: allow or deny\n"
     "6:11: name is \"5 5\", expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"
     "7:8: admin is \"6\", expected an address, as in tcp://127.0.0.1:9000, tcp://[::1]:9000 or "
     "unix:///run/sluice/spop.sock\n"},
};

START_TEST(every_problem_of_a_wrong_file)
{
    expect_problems(&wrong_files[_i]);
}
END_TEST

int main(void)
{
    return run_wrong_files("errors", every_problem_of_a_wrong_file,
                           sizeof(wrong_files) / sizeof(wrong_files[0]));
}
