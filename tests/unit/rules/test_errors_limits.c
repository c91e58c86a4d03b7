/* What rule files are refused for: wrong keys, limits and modes. Each row is a whole file and
 * everything that is said about it. */
#include "helper.h"

/* The first rule begins at line 3, column 3. */
#define RULE(text) "listen: :0\nrules:\n- " text "\n"

/* A rule whose key is at line 3, column 19. */
#define KEY(text)                                                                                  \
    "listen: :0\nrules:\n- { name: r, key: " text ", limits: { limit: 1, window: 1s } }\n"

/* A rule whose cost is at line 3, column 11. */
#define COST(text)                                                                                 \
    "listen: :0\nrules:\n- { cost: " text                                                          \
    ", name: r, key: [], limits: { limit: 10, window: 1s } }\n"

/* Rules whose tiers and overrides are at line 3, column 12 and 16. */
#define TIERS(text) "listen: :0\nrules:\n- { tiers: " text ", name: r, key: a }\n"
#define OVERRIDES(key, text)                                                                       \
    "listen: :0\nrules:\n- { overrides: " text ", name: r, key: " key                              \
    ", limits: { limit: 1, window: 1s } }\n"
#define LIMITS ", limits: unlimited }"

/* A rule whose mode and so on begins at line 3, column 5, with a token bucket. */
#define MODE(text)                                                                                 \
    "listen: :0\ndefaults: { algorithm: token-bucket }\nrules: [\n  { " text                       \
    ", name: r, key: a, limits: { limit: 1, window: 1s } } ]\n"

/* A rule of message req whose charge is at line 3, column 13. */
#define CHARGE(text)                                                                               \
    "listen: :0\nrules:\n- { charge: " text                                                        \
    ", name: r, message: req, key: a, limits: { limit: 1, window: 1s } }\n"

/* A rule whose penalty is at line 3, column 14. */
#define PENALTY(text)                                                                              \
    "listen: :0\nrules:\n- { penalty: " text                                                       \
    ", name: r, key: a, limits: { limit: 1, window: 1s } }\n"

static const struct wrong_file wrong_files[] = {
    {RULE("{ name: r, key: , limits: { limit: 1, window: 1s } }"),
     "3:19: key is empty, expected a list of arguments, as in [ src/64 ], or [] for one counter "
     "for all\n"},
    {RULE("{ name: r, key: { src: 64 }, limits: { limit: 1, window: 1s } }"),
     "3:19: a part of key has no key \"arg\", expected an argument, as in tenant or src/64\n"
     "3:21: unknown key \"src\" in a part of key, expected one of arg, lower, segments, hash, "
     "default\n"},
    {RULE("{ name: r, key: [ src/32 ], limits: { limit: 1, window: 1s } }"),
     "3:21: key is \"src/32\", expected an IPv6 prefix length from 33 to 128 behind the '/', or "
     "IPv4's and IPv6's, as in src/24/64\n"},
    {RULE("{ name: r, key: [ src/24 ], limits: { limit: 1, window: 1s } }"),
     "3:21: key is \"src/24\", expected an IPv6 prefix length from 33 to 128 behind the '/', or "
     "IPv4's and IPv6's, as in src/24/64\n"},
    {RULE("{ name: r, key: [ src/129, b/33/64, c/0/64, d/24/0 ], limits: { limit: 1, window: 1s } "
          "}"),
     "3:21: key is \"src/129\", expected an IPv6 prefix length from 33 to 128 behind the '/', or "
     "IPv4's and IPv6's, as in src/24/64\n"
     "3:30: key is \"b/33/64\", expected an IPv4 prefix length from 1 to 32 and an IPv6 one from 1 "
     "to 128, as in src/24/64\n"
     "3:39: key is \"c/0/64\", expected an IPv4 prefix length from 1 to 32 and an IPv6 one from 1 "
     "to 128, as in src/24/64\n"
     "3:47: key is \"d/24/0\", expected an IPv4 prefix length from 1 to 32 and an IPv6 one from 1 "
     "to 128, as in src/24/64\n"},
    {RULE("{ name: r, key: [ src/, /64, a/b, 'a b', '', [ a ] ], limits: { limit: 1, window: 1s } "
          "}"),
     "3:21: key is \"src/\", expected an IPv6 prefix length from 33 to 128 behind the '/', or "
     "IPv4's and IPv6's, as in src/24/64\n"
     "3:27: an argument of key is empty, expected a name of 1 to 64 letters, digits, '.', '_', '-' "
     "and ':'\n"
     "3:32: key is \"a/b\", expected an IPv6 prefix length from 33 to 128 behind the '/', or "
     "IPv4's and IPv6's, as in src/24/64\n"
     "3:37: an argument of key is \"a b\", expected a name of 1 to 64 letters, digits, '.', '_', "
     "'-' and ':'\n"
     "3:44: an argument of key is \"\", expected a name of 1 to 64 letters, digits, '.', '_', '-' "
     "and ':'\n"
     "3:48: key is a list, expected an argument, as in tenant, src/64 (IPv6 by /64) or src/24/64 "
     "(IPv4 by /24 too), or a mapping, as in { arg: host, lower: true }\n"},
    {RULE("{ name: r, key: [ src/24/64/3 ], limits: { limit: 1, window: 1s } }"),
     "3:21: key is \"src/24/64/3\", expected an IPv4 prefix length from 1 to 32 and an IPv6 one "
     "from 1 to 128, as in src/24/64\n"},
    {RULE("{ name: r, key: [ src, user, src/64 ], limits: { limit: 1, window: 1s } }"),
     "3:32: argument src again in key, expected it once\n"},
    {RULE("{ name: r, key: [ a, b, c, d, e, f, g, h, i ], limits: { limit: 1, window: 1s } }"),
     "3:45: one argument too many in a key, expected at most 8\n"},
    {KEY("{}"), "3:19: a part of key has no key \"arg\", expected an argument, as in tenant or "
                "src/64\n"},
    {KEY("[ { arg: } ]"), "3:28: arg is empty, expected an argument, as in tenant or src/64\n"},
    {KEY("{ arg: [ a ] }"), "3:26: arg is a list, expected an argument, as in tenant or src/64\n"},
    {KEY("{ arg: a b }"), "3:26: an argument of key is \"a b\", expected a name of 1 to 64 "
                          "letters, digits, '.', '_', '-' and ':'\n"},
    {KEY("{ arg: src/24 }"), "3:26: arg is \"src/24\", expected an IPv6 prefix length from 33 to "
                             "128 behind the '/', or IPv4's and IPv6's, as in src/24/64\n"},
    {KEY("{ arg: a, lowr: true }"),
     "3:29: unknown key \"lowr\" in a part of key, expected one of arg, lower, segments, hash, "
     "default; did you mean \"lower\"?\n"},
    {KEY("{ arg: a, lower: yes, hash: 1 }"), "3:36: lower is \"yes\", expected one of false, true\n"
                                             "3:47: hash is \"1\", expected one of false, true\n"},
    {KEY("{ arg: a, lower: , segments: , hash: , default: }"),
     "3:36: lower is empty, expected true or false\n"
     "3:48: segments is empty, expected a whole number, as in 2\n"
     "3:56: hash is empty, expected true or false\n"
     "3:67: default is empty, expected a text of at most 64 bytes\n"},
    {KEY("{ arg: a, segments: 0 }"),
     "3:39: segments is \"0\", expected a whole number from 1 to 16\n"},
    {KEY("{ arg: a, segments: 17 }"),
     "3:39: segments is \"17\", expected a whole number from 1 to 16\n"},
    {KEY("{ arg: a, segments: two }"),
     "3:39: segments is \"two\", expected a whole number from 1 to 16\n"},
    {KEY("{ arg: a/64, segments: 2, lower: true }"),
     "3:42: segments of an argument with a prefix length, expected only of a text\n"
     "3:52: lower of an argument with a prefix length, expected only of a text\n"},
    {KEY("{ arg: a, default: [ none ] }"),
     "3:38: default is a list, expected a text of at most 64 bytes\n"},
    {KEY("{ arg: a, default: ~ }"), "3:38: default is null, expected a text of at most 64 bytes\n"},
    {KEY("{ arg: a, default: ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd }"),
     "3:38: default is \"ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd\", "
     "expected a text of at most 64 bytes\n"},
    {KEY("[ a, { arg: a, hash: true } ]"), "3:24: argument a again in key, expected it once\n"},
    {KEY("[ { arg: a, arg: b } ]"),
     "3:31: key \"arg\" again in a part of key, expected it once (it is on line 3)\n"},
    {RULE("{ name: r, key: [], limits: }"),
     "3:31: limits is empty, expected a list of limits, as in [ { limit: 5, window: 15m } ]\n"},
    {RULE("{ name: r, key: [], limits: [] }"),
     "3:31: limits is an empty list, expected at least one limit\n"},
    {RULE("{ name: r, key: [], limits: 5 }"),
     "3:31: a limit is \"5\", expected a mapping, as in { limit: 5, window: 15m }, or unlimited\n"},
    {RULE("{ name: r, key: [], limits: [ [] ] }"),
     "3:33: a limit is a list, expected a mapping, as in { limit: 5, window: 15m }, or "
     "unlimited\n"},
    {RULE("{ name: r, key: [], limits: [ unlimted, { limit: unlimted, window: 1s } ] }"),
     "3:33: a limit is \"unlimted\", expected a mapping, as in { limit: 5, window: 15m }, or "
     "unlimited\n"
     "3:52: limit is \"unlimted\", expected a whole number from 0 to 1000000000, or unlimited\n"},
    {RULE("{ name: r, key: [], limits: { limit: unlimited, window: 5 } }"),
     "3:59: window is \"5\" without a unit, expected one behind the number: ms, s, m, h or d\n"},
    {RULE("{ name: r, key: [], limits: {} }"),
     "3:31: a limit has no key \"limit\", expected a whole number from 0 to 1000000000, or "
     "unlimited\n"
     "3:31: a limit has no key \"window\", expected a duration, as in 10s\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5 } }"),
     "3:31: a limit has no key \"window\", expected a duration, as in 10s\n"},
    {RULE("{ name: r, key: [], limits: { lmit: 5, window: 1s } }"),
     "3:33: unknown key \"lmit\" in a limit, expected one of limit, window, burst, algorithm, "
     "name; did you mean \"limit\"?\n"},
    {RULE("{ name: r, key: [], limits: { limit: -1, window: 1s } }"),
     "3:40: limit is \"-1\", expected a whole number from 0 to 1000000000, or unlimited\n"},
    {RULE("{ name: r, key: [], limits: { limit: 1000000001, window: 1s } }"),
     "3:40: limit is \"1000000001\", expected a whole number from 0 to 1000000000, or unlimited\n"},
    {RULE("{ name: r, key: [], limits: { limit: 1.5, window: 1s } }"),
     "3:40: limit is \"1.5\", expected a whole number from 0 to 1000000000, or unlimited\n"},
    {RULE("{ name: r, key: [], limits: { limit: many, window: long } }"),
     "3:40: limit is \"many\", expected a whole number from 0 to 1000000000, or unlimited\n"
     "3:54: window is \"long\", expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 15 } }"),
     "3:51: window is \"15\" without a unit, expected one behind the number: ms, s, m, h or d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 0s } }"),
     "3:51: window is \"0s\", expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 367d } }"),
     "3:51: window is \"367d\", expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 1w } }"),
     "3:51: window is \"1w\", expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 1h30m } }"),
     "3:51: window is \"1h30m\", expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: [ 1s ] } }"),
     "3:51: window is a list, expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 1s, burst: 3 } }"),
     "3:62: burst of a limit with algorithm sliding-window, expected only with token-bucket\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 1s, burst: 0, algorithm: token-bucket } "
          "}"),
     "3:62: burst is \"0\", expected a whole number from 1 to 1000000000\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 1s, algorithm: gcra } }"),
     "3:66: algorithm is \"gcra\", expected one of fixed-window, sliding-window, token-bucket, "
     "sliding-log\n"},
    {RULE("{ name: r, key: [], limits: { limit: 10001, window: 1s, algorithm: sliding-log } }"),
     "3:40: limit is 10001, expected at most 10000 with algorithm sliding-log, which remembers "
     "each unit\n"},
    {RULE("{ name: r, key: [], limits: { limit: 5, window: 1s, name: a b } }"),
     "3:61: name is \"a b\", expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {RULE("{ name: r, key: [], limits: [ { limit: 5, window: 60s }, { limit: 6, window: 1m } ] }"),
     "3:60: a second limit with algorithm sliding-window and window 1m, expected one of them to "
     "differ\n"},
    {RULE("{ name: r, key: [], limits: [ { limit: 5, window: 60s, name: x }, { limit: 6, window: "
          "1h, name: x } ] }"),
     "3:99: a limit named x again, expected a name of its own (rule r on line 3 has one so "
     "named)\n"},
    {RULE("{ name: r-1s, key: [], limits: { limit: 1, window: 1h } }\n"
          "- { name: r, key: [], limits: [ { limit: 1, window: 1s }, { limit: 1, window: 1h } ] }"),
     "4:33: a limit named r-1s again, expected a name of its own (rule r-1s on line 3 has one so "
     "named)\n"},
    {RULE("{ name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn, key: [], "
          "limits: [ { limit: 1, window: 1s }, { limit: 1, window: 1h } ] }"),
     "3:94: the name nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-1s of this "
     "limit is too long, expected a shorter name of the rule, or a name of the limit's own, of at "
     "most 64 bytes\n"
     "3:120: the name nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn-1h of this "
     "limit is too long, expected a shorter name of the rule, or a name of the limit's own, of at "
     "most 64 bytes\n"},
    {COST("0"), "3:11: cost is \"0\", expected a whole number from 1 to 1000000000, or a mapping, "
                "as in { arg: units, max: 100 }\n"},
    {COST("1000000001"), "3:11: cost is \"1000000001\", expected a whole number from 1 to "
                         "1000000000, or a mapping, as in { arg: units, max: 100 }\n"},
    {COST("-1"), "3:11: cost is \"-1\", expected a whole number from 1 to 1000000000, or a "
                 "mapping, as in { arg: units, max: 100 }\n"},
    {COST("units"), "3:11: cost is \"units\", expected a whole number from 1 to 1000000000, or a "
                    "mapping, as in { arg: units, max: 100 }\n"},
    {COST("[ 5 ]"), "3:11: cost is a list, expected a whole number from 1 to 1000000000, or a "
                    "mapping, as in { arg: units, max: 100 }\n"},
    {COST(""), "3:11: cost is empty, expected a whole number from 1 to 1000000000, or a mapping, "
               "as in { arg: units, max: 100 }\n"},
    {COST("{}"), "3:11: cost has no key \"arg\", expected an argument, as in units\n"},
    {COST("{ arg: a b, min: 0, max: many, default: 1.5 }"),
     "3:18: arg is \"a b\", expected a name of 1 to 64 letters, digits, '.', '_', '-' and ':'\n"
     "3:28: min is \"0\", expected a whole number from 1 to 1000000000\n"
     "3:36: max is \"many\", expected a whole number from 1 to 1000000000\n"
     "3:51: default is \"1.5\", expected a whole number from 1 to 1000000000\n"},
    {COST("{ arg: a, min: 5, max: 3 }"),
     "3:26: min of cost is 5 and max 3, expected max to be at least min\n"},
    {COST("{ arg: a, min: 2, max: 4, default: 5 }"),
     "3:46: default of cost is 5, expected a number from 2, its min, to 4, its max\n"},
    {COST("{ arg: a, min: 2, default: 1 }"),
     "3:38: default of cost is 1, expected a number from 2, its min, to 1000000000, its max\n"},
    {COST("{ args: a }"),
     "3:13: unknown key \"args\" in cost, expected one of arg, default, min, max; did you mean "
     "\"arg\"?\n"},
    {COST("11"), "3:11: cost is 11 at least, which limit r never grants, expected at most 10\n"},
    {COST("{ arg: a, min: 11 }"),
     "3:11: cost is 11 at least, which limit r never grants, expected at most 10\n"},
    {RULE("{ name: r, action: allow, cost: 1 }"),
     "3:35: cost in a rule with an action, expected only in a rule that limits\n"},
    {TIERS("gold"), "3:12: tiers is \"gold\", expected a mapping, as in { by: plan, default: { "
                    "limit: 100, window: 1s } }\n"},
    {TIERS(""), "3:12: tiers is empty, expected a mapping, as in { by: plan, default: { limit: "
                "100, window: 1s } }\n"},
    {TIERS("[ gold ]"), "3:12: tiers is a list, expected a mapping, as in { by: plan, default: { "
                        "limit: 100, window: 1s } }\n"},
    {TIERS("{}"),
     "3:12: tiers has no key \"by\", expected an argument, as in plan\n3:12: tiers has no tier, "
     "expected limits for values of its argument, as in gold: { limit: 1000, window: 1s }\n"},
    {TIERS("{ by: plan }"), "3:12: tiers has no tier, expected limits for values of its argument, "
                            "as in gold: { limit: 1000, window: 1s }\n"},
    {TIERS("{ gold: unlimited }"),
     "3:12: tiers has no key \"by\", expected an argument, as in plan\n"},
    {TIERS("{ by: [ plan ], gold: 5, silver: [], default: }"),
     "3:18: by is a list, expected a name of 1 to 64 letters, digits, '.', '_', '-' and ':'\n"
     "3:34: a limit is \"5\", expected a mapping, as in { limit: 5, window: 15m }, or unlimited\n"
     "3:45: tier \"silver\" is an empty list, expected at least one limit\n"
     "3:58: a limit is empty, expected a mapping, as in { limit: 5, window: 15m }, or unlimited\n"},
    {TIERS("{ by: plan, gold: unlimited, by: plan, gold: unlimited }"),
     "3:41: key \"by\" again in tiers, expected it once (it is on line 3)\n"
     "3:51: key \"gold\" again in tiers, expected it once (it is on line 3)\n"},
    {TIERS("{ by: plan, '': unlimited, [ a ]: unlimited, ~: unlimited }"),
     "3:24: a key of tiers is \"\", expected by, default, or a value of the argument, of 1 to 64 "
     "bytes\n"
     "3:39: a key of tiers is a list, expected by, default, or a value of the argument, of 1 to 64 "
     "bytes\n"
     "3:57: a key of tiers is null, expected by, default, or a value of the argument, of 1 to 64 "
     "bytes\n"},
    {TIERS("{ by: plan, ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt: "
           "unlimited }"),
     "3:24: a key of tiers is "
     "\"ttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttttt\", expected by, default, "
     "or a value of the argument, of 1 to 64 bytes\n"},
    {TIERS("{ by: plan, gold: { limit: 1, window: 1s, name: x }, default: { limit: 1, window: 1m, "
           "name: x } }"),
     "3:104: a limit named x again, expected a name of its own (rule r on line 3 has one so "
     "named)\n"},
    {TIERS("{ by: plan, gold: unlimited }, limits: unlimited"),
     "3:12: tiers in a rule with limits, expected one of them (a tier can be called default)\n"},
    {RULE("{ name: r, action: deny, tiers: { by: plan }, overrides: [] }"),
     "3:35: tiers in a rule with an action, expected only in a rule that limits\n"
     "3:60: overrides in a rule with an action, expected only in a rule that limits\n"},
    {RULE("{ name: r, key: a, overrides: [] }"),
     "3:3: a rule with a key and without limits, expected both\n"},
    /* Overrides. */
    {OVERRIDES("a", ""), "3:16: overrides is empty, expected a list, as in [ { key: [ acme ], "
                         "limits: { limit: 500, window: 1s } } ]\n"},
    {OVERRIDES("a", "[ acme ]"),
     "3:18: an override is \"acme\", expected a mapping with keys from key, limits\n"},
    {OVERRIDES("a", "{}"),
     "3:16: an override has no key \"key\", expected a list of values, as in [ acme ]\n"
     "3:16: an override has no key \"limits\", expected a list of limits, as in [ { limit: 5, "
     "window: 15m } ]\n"},
    {OVERRIDES("a", "[ { key: acme, limits: 5 }, { key: x, limits: [] } ]"),
     "3:39: a limit is \"5\", expected a mapping, as in { limit: 5, window: 15m }, or unlimited\n"
     "3:62: limits is an empty list, expected at least one limit\n"},
    {OVERRIDES("[ a, b ]", "[ { key: x" LIMITS ", { key: [ x, y, z ]" LIMITS " ]"),
     "3:25: key of an override has 1 value, expected 2, as many as the rule's key has arguments\n"
     "3:56: key of an override has 3 values, expected 2, as many as the rule's key has "
     "arguments\n"},
    {OVERRIDES("a", "[ { key: []" LIMITS " ]"), "3:25: key of an override has 0 values, expected "
                                                "1, as many as the rule's key has arguments\n"},
    {OVERRIDES("[]", "[ { key: []" LIMITS " ]"),
     "3:16: overrides in a rule with an empty key, expected a key whose values they name\n"},
    /* Nothing more is said where the rule's key is wrong already. */
    {OVERRIDES("[ a, b c ]", "[ { key: x" LIMITS ", { key: x" LIMITS " ]"),
     "3:101: an argument of key is \"b c\", expected a name of 1 to 64 letters, digits, '.', '_', "
     "'-' and ':'\n"},
    {OVERRIDES("[ a, b, c ]", "[ { key: [ x, [ y ], ~ ]" LIMITS " ]"),
     "3:30: key of an override is a list, expected a value of the rule's key, of at most 256 "
     "bytes: text, a number, true, false or an address\n"
     "3:37: key of an override is null, expected a value of the rule's key, of at most 256 bytes: "
     "text, a number, true, false or an address\n"},
    {OVERRIDES("a", "[ { key: x" LIMITS ",\n {"
                    " key: 'x'" LIMITS " ]"),
     "4:9: an override of the same key again, expected it once (it is on line 3)\n"},
    {OVERRIDES("{ arg: a, lower: true }", "[ { key: x" LIMITS ", { key: X" LIMITS " ]"),
     "3:56: an override of the same key again, expected it once (it is on line 3)\n"},
    {OVERRIDES("a", "[ { key: '2001:DB8::1'" LIMITS ", { key: '::ffff:192.0.2.1'" LIMITS " ]"),
     "3:25: key of an override is \"2001:DB8::1\", expected the address as it is counted: "
     "2001:db8::1\n"
     "3:68: key of an override is \"::ffff:192.0.2.1\", expected the address as it is counted: "
     "192.0.2.1\n"},
    {OVERRIDES("{ arg: a, segments: 2 }", "[ { key: /api/v1/users" LIMITS " ]"),
     "3:25: key of an override is \"/api/v1/users\", expected a path of at most 2 segments, which "
     "are counted\n"},
    {OVERRIDES("a/24/64", "[ { key: acme" LIMITS ", { key: 192.0.2.1" LIMITS
                          ", { key: '2001:db8::/63'" LIMITS ", { key: 192.0.2.1/24" LIMITS " ]"),
     "3:25: key of an override is \"acme\", expected an address or a network, as in 192.0.2.0/24 "
     "or 2001:db8::/32\n"
     "3:59: key of an override is \"192.0.2.1\", expected a network as it is counted, as in "
     "192.0.2.0/24\n"
     "3:98: key of an override is \"2001:db8::/63\", expected a network as it is counted, as in "
     "2001:db8::/64\n"
     "3:143: key of an override is \"192.0.2.1/24\", expected no bits behind the prefix, as in "
     "192.0.2.0/24\n"},
    /* Modes. */
    {MODE("mode: off"), "4:11: mode is \"off\", expected one of enforce, shadow, delay\n"},
    {MODE("mode: shadwo"), "4:11: mode is \"shadwo\", expected one of enforce, shadow, delay; did "
                           "you mean \"shadow\"?\n"},
    {MODE("mode: [ shadow ]"), "4:11: mode is a list, expected one of enforce, shadow, delay\n"},
    {MODE("mode: "), "4:11: mode is empty, expected enforce, shadow or delay\n"},
    {MODE("mode: delay"), "4:11: mode: delay without max_delay, expected how long a request may "
                          "wait, as in max_delay: 500ms\n"},
    {MODE("max_delay: 1s"),
     "4:16: max_delay in a rule without mode: delay, expected both or none\n"},
    {MODE("mode: shadow, max_delay: 1s, enforce: 10%"),
     "4:30: max_delay in a rule without mode: delay, expected both or none\n"
     "4:43: enforce in a rule with mode: shadow, which refuses nobody, expected it with another "
     "mode\n"},
    {MODE("mode: delay, max_delay: 61s"),
     "4:29: max_delay is \"61s\", expected a whole number and ms, s, m, h or d, from 1ms to 1m\n"},
    {MODE("mode: delay, max_delay: 0s"),
     "4:29: max_delay is \"0s\", expected a whole number and ms, s, m, h or d, from 1ms to 1m\n"},
    {MODE("mode: delay, max_delay: 5"),
     "4:29: max_delay is \"5\" without a unit, expected one behind the number: ms, s, m, h or d\n"},
    {MODE("mode: delay, max_delay: "),
     "4:29: max_delay is empty, expected a duration, as in 500ms\n"},
    {MODE("mode: wait, max_delay: 1s"),
     "4:11: mode is \"wait\", expected one of enforce, shadow, delay\n"},
    {RULE("{ name: r, key: [], mode: delay, max_delay: 1s, limits: [ { limit: 1, window: 1s }, { "
          "limit: 1, window: 1m, algorithm: token-bucket } ] }"),
     "3:61: a limit with algorithm sliding-window in a rule with mode: delay, expected "
     "token-bucket, which knows how long to wait\n"
     "3:87: a limit of which no unit comes within max_delay: 1s, expected a max_delay of at least "
     "1m\n"},
    {MODE("mode: delay, max_delay: 999ms"),
     "4:61: a limit of which no unit comes within max_delay: 999ms, expected a max_delay of at "
     "least 1s\n"},
    {RULE("{ name: r, key: [], mode: delay, max_delay: 1m, limits: { limit: 10000000, window: 1s, "
          "burst: 400000001, algorithm: token-bucket } }"),
     "3:59: a limit that can't be kept with what max_delay adds to its burst, expected a burst "
     "from 1 to 1000000000 units\n"},
    {RULE("{ name: r, key: [], mode: delay, max_delay: 31622400s, limits: { limit: 1, window: "
          "366d, algorithm: token-bucket } }"),
     "3:47: max_delay is \"31622400s\", expected a whole number and ms, s, m, h or d, from 1ms to "
     "1m\n"},
    {RULE("{ name: r, key: [], mode: delay, max_delay: 1s, limits: { limit: 31622400, window: "
          "366d, burst: 31622400, algorithm: token-bucket } }"),
     "3:59: a limit that can't be kept with what max_delay adds to its burst, expected a burst "
     "that the rate refills within 366d\n"},
    {MODE("enforce: 10"), "4:14: enforce is \"10\", expected a part of the subjects from 0% to "
                          "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 100.01%"), "4:14: enforce is \"100.01%\", expected a part of the subjects from "
                               "0% to 100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 101%"), "4:14: enforce is \"101%\", expected a part of the subjects from 0% to "
                            "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: '-1%'"), "4:14: enforce is \"-1%\", expected a part of the subjects from 0% to "
                             "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: '%'"), "4:14: enforce is \"%\", expected a part of the subjects from 0% to "
                           "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 0.001%"), "4:14: enforce is \"0.001%\", expected a part of the subjects from "
                              "0% to 100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 1.%"), "4:14: enforce is \"1.%\", expected a part of the subjects from 0% to "
                           "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: .5%"), "4:14: enforce is \".5%\", expected a part of the subjects from 0% to "
                           "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 0.5.5%"), "4:14: enforce is \"0.5.5%\", expected a part of the subjects from "
                              "0% to 100%, as in 10% or 0.25%\n"},
    {MODE("enforce: '10 %'"), "4:14: enforce is \"10 %\", expected a part of the subjects from 0% "
                              "to 100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 10%%"), "4:14: enforce is \"10%%\", expected a part of the subjects from 0% to "
                            "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: ten%"), "4:14: enforce is \"ten%\", expected a part of the subjects from 0% to "
                            "100%, as in 10% or 0.25%\n"},
    {MODE("enforce: 99999999999999999999%"),
     "4:14: enforce is \"99999999999999999999%\", expected a part of the subjects from 0% to 100%, "
     "as in 10% or 0.25%\n"},
    {MODE("enforce: [ 10% ]"), "4:14: enforce is a list, expected a part of the subjects from 0% "
                               "to 100%, as in 10% or 0.25%\n"},
    {MODE("enforce: "), "4:14: enforce is empty, expected a part of the subjects from 0% to 100%, "
                        "as in 10% or 0.25%\n"},
    {RULE("{ name: r, key: [], enforce: 10%, limits: { limit: 1, window: 1s } }"),
     "3:32: enforce in a rule with an empty key, expected a key of whose subjects it is a part\n"},
    {RULE("{ name: r, action: allow, mode: delay, max_delay: 1s, enforce: 1% }"),
     "3:35: mode in a rule with an action, expected only in a rule that limits\n"
     "3:53: max_delay in a rule with an action, expected only in a rule that limits\n"
     "3:66: enforce in a rule with an action, expected only in a rule that limits\n"},
    /* Charged later. */
    {CHARGE("res"), "3:13: charge is \"res\", expected a mapping with keys from message, match\n"},
    {CHARGE(""), "3:13: charge is empty, expected a mapping, as in { message: response, match: { "
                 "status: { in: [ 401, 403 ] } } }\n"},
    {CHARGE("{}"),
     "3:13: charge has no key \"message\", expected the name of a SPOE message, as in response\n"},
    {CHARGE("{ message: req }"),
     "3:24: message of charge is \"req\", at which the rule is checked, expected another one\n"},
    {CHARGE("{ message: a b }"), "3:24: message is \"a b\", expected a name of 1 to 64 letters, "
                                 "digits, '.', '_', '-' and ':'\n"},
    {CHARGE("{ message: , match: }"),
     "3:24: message is empty, expected the name of a SPOE message, as in response\n"
     "3:33: match is empty, expected a mapping, as in { status: { in: [ 401, 403 ] } }\n"},
    {CHARGE("{ mesage: res, match: { status: [ 401 ] } }"),
     "3:15: unknown key \"mesage\" in charge, expected one of message, match; did you mean "
     "\"message\"?\n"
     "3:45: status is a list, expected a value or a mapping, as in { in: [ ... ] }\n"},
    {RULE("{ name: r, key: [], limits: unlimited, charge: { message: res } }"),
     "3:61: charge in a rule for every message, expected one at which the rule is checked, as in "
     "message: request\n"},
    {"listen: :0\ndefaults: { message: res }\nrules:\n- { name: r, key: [], limits: unlimited, "
     "charge: { message: res } }\n",
     "4:61: message of charge is \"res\", at which the rule is checked, expected another one\n"},
    {CHARGE("{ message: res }, mode: delay, max_delay: 1s, charge_denied: true"),
     "3:13: charge in a rule with mode: delay, expected mode: enforce or shadow, since nobody "
     "waits for what isn't charged yet\n"
     "3:74: charge_denied in a rule with charge, expected one of them, since no request is charged "
     "when it is checked\n"
     "3:119: a limit with algorithm sliding-window in a rule with mode: delay, expected "
     "token-bucket, which knows how long to wait\n"},
    {RULE("{ name: r, action: deny, charge: { message: res } }"),
     "3:36: charge in a rule with an action, expected only in a rule that limits\n"},
    /* Penalties. */
    {PENALTY("10m"),
     "3:14: penalty is \"10m\", expected a mapping with keys from after, within, for\n"},
    {PENALTY(""),
     "3:14: penalty is empty, expected a mapping, as in { after: 20, within: 1m, for: 10m }\n"},
    {PENALTY("{}"), "3:14: penalty has no key \"after\", expected a whole number, as in 20\n"
                    "3:14: penalty has no key \"within\", expected a duration, as in 1m\n"
                    "3:14: penalty has no key \"for\", expected a duration, as in 10m\n"},
    {PENALTY("{ after: 0, within: 1, for: 0s }"),
     "3:23: after is \"0\", expected a whole number from 1 to 1000000000\n"
     "3:34: within is \"1\" without a unit, expected one behind the number: ms, s, m, h or d\n"
     "3:42: for is \"0s\", expected a whole number and ms, s, m, h or d, from 1ms to 366d\n"},
    {PENALTY("{ after: 1, in: 1m, for: 1m }"),
     "3:14: penalty has no key \"within\", expected a duration, as in 1m\n"
     "3:26: unknown key \"in\" in penalty, expected one of after, within, for\n"},
    {RULE("{ name: nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn, key: [], limits: "
          "unlimited, penalty: { after: 1, within: 1s, for: 1s } }"),
     "3:101: penalty in a rule whose name has 51 bytes, expected at most 50, for its limits are "
     "called NAME-penalty and NAME-penalty-count\n"},
    {RULE("{ name: r, key: [], limits: { limit: 1, window: 1s }, penalty: { after: 1, within: 1s, "
          "for: 1s } }\n"
          "- { name: r-penalty, key: [], limits: { limit: 1, window: 1s } }"),
     "4:39: a limit named r-penalty again, expected a name of its own (rule r on line 3 has one so "
     "named)\n"},
    {RULE("{ name: r, action: allow, penalty: { after: 1, within: 1s, for: 1s } }"),
     "3:38: penalty in a rule with an action, expected only in a rule that limits\n"},
};

START_TEST(every_problem_of_wrong_limits)
{
    expect_problems(&wrong_files[_i]);
}
END_TEST

int main(void)
{
    return run_wrong_files("errors_limits", every_problem_of_wrong_limits,
                           sizeof(wrong_files) / sizeof(wrong_files[0]));
}
