/* What rule files are refused for: a wrong store. Each row is a whole file and everything that is
 * said about it. */
#include "helper.h"

/* The store's value begins at line 3, column 8. */
#define AFTER(text) "listen: :0\nrules: []\n" text

static const struct wrong_file wrong_files[] = {
    {AFTER("store: memory\n"),
     "3:8: store is \"memory\", expected a mapping with keys from nodes, mode, master, prefix, "
     "deadline, connect_timeout, heartbeat, breaker, auth, sentinel_auth, tls, max_keys, "
     "log_memory, instance_id\n"},
    {AFTER("store: []\n"), "3:8: store is a list, expected a mapping with keys from nodes, mode, "
                           "master, prefix, deadline, connect_timeout, heartbeat, breaker, auth, "
                           "sentinel_auth, tls, max_keys, log_memory, instance_id\n"},
    {AFTER("store: { mode: memroy }\n"),
     "3:16: mode is \"memroy\", expected one of memory, single, sentinel, ketama, cluster; did you "
     "mean \"memory\"?\n"},
    {AFTER("store: { mode: redis }\n"),
     "3:16: mode is \"redis\", expected one of memory, single, sentinel, ketama, cluster\n"},
    {AFTER("store: { mode: [ memory ] }\n"),
     "3:16: mode is a list, expected one of memory, single, sentinel, ketama, cluster\n"},
    {AFTER("store: { mode: disk, max_keys: 0 }\n"),
     "3:16: mode is \"disk\", expected one of memory, single, sentinel, ketama, cluster\n"
     "3:32: max_keys is \"0\", expected a whole number from 1 to 1000000000\n"},
    {AFTER("store: { mode: '' }\n"),
     "3:16: mode is \"\", expected one of memory, single, sentinel, ketama, cluster\n"},
    {AFTER("store: { max_keys: 1e6, log_memory: 64MB }\n"),
     "3:20: max_keys is \"1e6\", expected a whole number from 1 to 1000000000\n"
     "3:37: log_memory is \"64MB\", expected bytes, or a number and KiB, MiB or GiB, from 0 to "
     "1024GiB\n"},
    {AFTER("store: { log_memory: 2048GiB, max_key: 3 }\n"),
     "3:22: log_memory is \"2048GiB\", expected bytes, or a number and KiB, MiB or GiB, from 0 to "
     "1024GiB\n"
     "3:31: unknown key \"max_key\" in store, expected one of nodes, mode, master, prefix, "
     "deadline, connect_timeout, heartbeat, breaker, auth, sentinel_auth, tls, max_keys, "
     "log_memory, instance_id; did you mean \"max_keys\"?\n"},
    {AFTER("store: \n"
           "  mode: memory\n"
           "  mode: memory\n"),
     "5:3: key \"mode\" again in store, expected it once (it is on line 4)\n"},
    {AFTER("store: { nodes: redis }\n"), "3:17: nodes in a store with mode memory, expected only "
                                         "with mode single, sentinel, ketama or cluster\n"},
    {AFTER("store: { mode: memory, nodes: [ redis-1 ] }\n"),
     "3:31: nodes in a store with mode memory, expected only with mode single, sentinel, ketama or "
     "cluster\n"},
    {AFTER("store: { mode: memory, master: m, auth: { password_env: P }, sentinel_auth: { "
           "password_env: Q }, tls: {} }\n"),
     "3:32: master in a store with mode memory, expected only with mode sentinel\n"
     "3:41: auth in a store with mode memory, expected only with mode single, sentinel, ketama or "
     "cluster\n"
     "3:77: sentinel_auth in a store with mode memory, expected only with mode sentinel\n"
     "3:103: tls in a store with mode memory, expected only with mode single, sentinel, ketama or "
     "cluster\n"},
    {AFTER("store: { mode: single }\n"), "3:8: a store with mode single has no key \"nodes\", "
                                         "expected at least one address, as in [ redis-1:6379 ]\n"},
    {AFTER("store: { mode: sentinel }\n"),
     "3:8: a store with mode sentinel has no key \"nodes\", expected at least one address, as in [ "
     "redis-1:6379 ]\n"
     "3:8: a store with mode sentinel has no key \"master\", expected the name that the Sentinels "
     "have for the primary, as in mymaster\n"},
    {AFTER("store: { mode: ketama }\n"), "3:8: a store with mode ketama has no key \"nodes\", "
                                         "expected at least one address, as in [ redis-1:6379 ]\n"},
    {AFTER("store: { mode: cluster }\n"),
     "3:8: a store with mode cluster has no key \"nodes\", expected at least one address, as in [ "
     "redis-1:6379 ]\n"},
    {AFTER("store: { mode: cluster, node: redis-1 }\n"),
     "3:25: unknown key \"node\" in store, expected one of nodes, mode, master, prefix, deadline, "
     "connect_timeout, heartbeat, breaker, auth, sentinel_auth, tls, max_keys, log_memory, "
     "instance_id; did you mean \"nodes\"?\n"},
    {AFTER("store: { mode: cluster, nodes: }\n"),
     "3:32: nodes is empty, expected a list of addresses, as in [ redis-1:6379 ]\n"},
    {AFTER("store: { mode: cluster, nodes: [] }\n"),
     "3:32: nodes is an empty list, expected at least one address\n"},
    {AFTER("store: { mode: single, nodes: [] }\n"),
     "3:31: nodes is an empty list, expected at least one address\n"},
    {AFTER("store: { mode: single, nodes: [ a, b, c ] }\n"),
     "3:36: one address too many in nodes, expected at most 1 with mode single\n"},
    {AFTER("store: { mode: single, nodes: a, master: m }\n"),
     "3:42: master in a store with mode single, expected only with mode sentinel\n"},
    {AFTER("store: { mode: cluster, nodes: a, master: m, sentinel_auth: { password_env: P } }\n"),
     "3:43: master in a store with mode cluster, expected only with mode sentinel\n"
     "3:61: sentinel_auth in a store with mode cluster, expected only with mode sentinel\n"},
    {AFTER("store: { mode: sentinel, nodes: a }\n"),
     "3:8: a store with mode sentinel has no key \"master\", expected the name that the Sentinels "
     "have for the primary, as in mymaster\n"},
    {AFTER("store: { mode: sentinel, nodes: a, master: two words }\n"),
     "3:44: master is \"two words\", expected a name of 1 to 64 letters, digits, '.', '_' and "
     "'-'\n"},
    {AFTER("store: { mode: sentinel, nodes: a, master: [ m ] }\n"),
     "3:44: master is a list, expected a name of 1 to 64 letters, digits, '.', '_' and '-'\n"},
    {AFTER("store: { mode: sentinel, nodes: a, masters: m }\n"),
     "3:36: unknown key \"masters\" in store, expected one of nodes, mode, master, prefix, "
     "deadline, connect_timeout, heartbeat, breaker, auth, sentinel_auth, tls, max_keys, "
     "log_memory, instance_id; did you mean \"master\"?\n"},
    {AFTER("store: { mode: clustre, nodes: [ { address: a, weight: 2 }, b: ] }\n"),
     "3:16: mode is \"clustre\", expected one of memory, single, sentinel, ketama, cluster; did "
     "you mean \"cluster\"?\n"
     "3:61: unknown key \"b\" in a node, expected one of address, weight\n"
     "3:61: a node has no key \"address\", expected an address, as in redis-1:6379, "
     "[2001:db8::1]:6379 or unix:///run/redis.sock\n"},
    {AFTER("store: { mode: clustre, nodes: [ { address: a, weight: 2 }, 'b:' ], master: x }\n"),
     "3:16: mode is \"clustre\", expected one of memory, single, sentinel, ketama, cluster; did "
     "you mean \"cluster\"?\n"
     "3:61: nodes is \"b:\", expected a port from 1 to 65535\n"},
    {AFTER("store: { mode: cluster, nodes: [ 'a:0', 'a:65536', 'a:', 'a:x', 'a:1:2', ':6379', 'a "
           "b', 'a/0', \"a\\0\", '' ] }\n"),
     "3:34: nodes is \"a:0\", expected a port from 1 to 65535\n"
     "3:41: nodes is \"a:65536\", expected a port from 1 to 65535\n"
     "3:52: nodes is \"a:\", expected a port from 1 to 65535\n"
     "3:58: nodes is \"a:x\", expected a port from 1 to 65535\n"
     "3:65: nodes is \"a:1:2\", expected a port from 1 to 65535\n"
     "3:74: nodes is \":6379\", expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:83: nodes is \"a b\", expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:90: nodes is \"a/0\", expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:97: nodes is \"a?\", expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:104: nodes is \"\", expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"},
    {AFTER("store: { mode: cluster, nodes: [ '2001:db8::1', '::1', '[::1', '[]', '[a]:1', "
           "'[192.0.2.1]:1', '[::1]6379', '[::1]:0', '2001:db8::1:6379' ] }\n"),
     "3:34: nodes is \"2001:db8::1\", expected brackets around an IPv6 address, as in "
     "[2001:db8::1]:6379\n"
     "3:49: nodes is \"::1\", expected brackets around an IPv6 address, as in [2001:db8::1]:6379\n"
     "3:56: nodes is \"[::1\", expected an IPv6 address in the brackets, as in [2001:db8::1]:6379\n"
     "3:64: nodes is \"[]\", expected an IPv6 address in the brackets, as in [2001:db8::1]:6379\n"
     "3:70: nodes is \"[a]:1\", expected an IPv6 address in the brackets, as in "
     "[2001:db8::1]:6379\n"
     "3:79: nodes is \"[192.0.2.1]:1\", expected an IPv6 address in the brackets, as in "
     "[2001:db8::1]:6379\n"
     "3:96: nodes is \"[::1]6379\", expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:109: nodes is \"[::1]:0\", expected a port from 1 to 65535\n"
     "3:120: nodes is \"2001:db8::1:6379\", expected brackets around an IPv6 address, as in "
     "[2001:db8::1]:6379\n"},
    {AFTER("store: { mode: cluster, nodes: [ 'redis://a:6379', 'rediss://:secret@a', "
           "'user:secret@a:6379', 'tcp://a:1', 'http://a/?password=secret' ] }\n"),
     "3:34: nodes has an address with a scheme that isn't unix://, expected host and port alone, "
     "as in redis-1:6379, or unix:///run/redis.sock; tls: {} in store asks for TLS\n"
     "3:52: nodes has an address with a user or password in it, expected host and port alone, as "
     "in redis-1:6379; who we are is said by auth, as in { user: sluice, password_file: "
     "/run/secrets/redis }\n"
     "3:74: nodes has an address with a user or password in it, expected host and port alone, as "
     "in redis-1:6379; who we are is said by auth, as in { user: sluice, password_file: "
     "/run/secrets/redis }\n"
     "3:96: nodes has an address with a scheme that isn't unix://, expected host and port alone, "
     "as in redis-1:6379, or unix:///run/redis.sock; tls: {} in store asks for TLS\n"
     "3:109: nodes has an address with a scheme that isn't unix://, expected host and port alone, "
     "as in redis-1:6379, or unix:///run/redis.sock; tls: {} in store asks for TLS\n"},
    {AFTER("store: { mode: cluster, nodes: [ 'unix://', 'unix://run/redis.sock', 'unix://@redis', "
           "\"unix:///a\\0b\", "
           "'unix:///"
           "ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp"
           "pppppppppppppppppppp' ] }\n"),
     "3:34: nodes is \"unix://\", expected an absolute path, as in unix:///run/redis.sock\n"
     "3:45: nodes is \"unix://run/redis.sock\", expected an absolute path, as in "
     "unix:///run/redis.sock\n"
     "3:70: nodes is \"unix://@redis\", expected an absolute path, as in unix:///run/redis.sock\n"
     "3:87: nodes is \"unix:///a?b\", expected a path of at most 107 bytes, the most a unix socket "
     "can have\n"
     "3:103: nodes is \"unix:///pppppppppppppppppppppppppppppppppppppppppppppppppppppppppp...\", "
     "expected a path of at most 107 bytes, the most a unix socket can have\n"},
    {AFTER("store: { mode: single, nodes: unix:///run/redis.sock, tls: {} }\n"),
     "3:31: a unix socket in a store with tls, expected host and port: servers speak TLS on TCP "
     "only\n"},
    {AFTER(
         "store: { mode: cluster, nodes: [ "
         "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
         "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh"
         "hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh ] }\n"),
     "3:34: nodes is \"hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh...\", "
     "expected an address, as in redis-1:6379, [2001:db8::1]:6379 or unix:///run/redis.sock\n"},
    {AFTER("store: { mode: cluster, nodes: [ [ a ], ~, { address: [ b ] } ] }\n"),
     "3:34: nodes is a list, expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:41: nodes is null, expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"
     "3:55: address is a list, expected an address, as in redis-1:6379, [2001:db8::1]:6379 or "
     "unix:///run/redis.sock\n"},
    {AFTER("store: { mode: cluster, nodes: [ a, b, 'a:6379', '[::1]', '[::1]:6379', unix:///a, "
           "unix:///a ] }\n"),
     "3:40: the same server again in nodes, expected each once\n"
     "3:59: the same server again in nodes, expected each once\n"
     "3:84: the same server again in nodes, expected each once\n"},
    {AFTER("store: { mode: sentinel, master: m, nodes: [ a, 'a:26379', 'a:6379' ] }\n"),
     "3:49: the same server again in nodes, expected each once\n"},
    {AFTER("store: { mode: ketama, nodes: { weight: 2 } }\n"),
     "3:31: a node has no key \"address\", expected an address, as in redis-1:6379, "
     "[2001:db8::1]:6379 or unix:///run/redis.sock\n"},
    {AFTER("store: { mode: ketama, nodes: [ { address: a, weight: 0 }, { address: b, weight: "
           "1000001 }, { address: c, wieght: 2 }, { address: d, weight: 1.5 } ] }\n"),
     "3:55: weight is \"0\", expected a whole number from 1 to 1000000\n"
     "3:82: weight is \"1000001\", expected a whole number from 1 to 1000000\n"
     "3:107: unknown key \"wieght\" in a node, expected one of address, weight; did you mean "
     "\"weight\"?\n"
     "3:142: weight is \"1.5\", expected a whole number from 1 to 1000000\n"},
    {AFTER(
         "store: { mode: ketama, nodes: [ { address: a }, { address: 'a:6379', weight: 2 } ] }\n"),
     "3:49: the same server again in nodes, expected each once\n"},
    {AFTER("store: { mode: cluster, nodes: [ { address: a, weight: 1 }, { address: b, weight: 2 } "
           "] }\n"),
     "3:56: weight of a node in a store with mode cluster, expected only with mode ketama\n"
     "3:83: weight of a node in a store with mode cluster, expected only with mode ketama\n"},
    {AFTER("store: { mode: ketama, nodes: [ { address: a, weight: 1 }, { address: b, weight: 200 } "
           "] }\n"),
     "3:55: weight 1 of a node where the average is 100.5, expected at least one fortieth of it: "
     "with less, ketama gives the node no key\n"},
    {AFTER("store: { mode: ketama, nodes: [ a, { address: b, weight: 79 }, { address: c, weight: "
           "1000 } ] }\n"),
     "3:33: weight 1 of a node where the average is 360, expected at least one fortieth of it: "
     "with less, ketama gives the node no key\n"},
    {AFTER("store: { prefix: 'a b', deadline: 10, connect_timeout: 9ms, heartbeat: 61s }\n"),
     "3:18: prefix is \"a b\", expected at most 64 visible ASCII characters other than '{' and "
     "'}', as in sluice:\n"
     "3:35: deadline is \"10\" without a unit, expected one behind the number: ms, s, m, h or d\n"
     "3:56: connect_timeout is \"9ms\", expected a whole number and ms, s, m, h or d, from 10ms to "
     "1m\n"
     "3:72: heartbeat is \"61s\", expected a whole number and ms, s, m, h or d, from 100ms to "
     "1m\n"},
    {AFTER("store: { prefix: '{x}', deadline: 0ms, connect_timeout: 61s, heartbeat: 99ms }\n"),
     "3:18: prefix is \"{x}\", expected at most 64 visible ASCII characters other than '{' and "
     "'}', as in sluice:\n"
     "3:35: deadline is \"0ms\", expected a whole number and ms, s, m, h or d, from 1ms to 10s\n"
     "3:57: connect_timeout is \"61s\", expected a whole number and ms, s, m, h or d, from 10ms to "
     "1m\n"
     "3:73: heartbeat is \"99ms\", expected a whole number and ms, s, m, h or d, from 100ms to "
     "1m\n"},
    {AFTER("store: { prefix: ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp, "
           "deadline: 10001ms }\n"),
     "3:18: prefix is \"ppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppppp\", "
     "expected at most 64 visible ASCII characters other than '{' and '}', as in sluice:\n"
     "3:95: deadline is \"10001ms\", expected a whole number and ms, s, m, h or d, from 1ms to "
     "10s\n"},
    {AFTER("store: { prefix: \"\\u00e9\" }\n"),
     "3:18: prefix is \"\303\251\", expected at most 64 visible ASCII characters other than '{' "
     "and '}', as in sluice:\n"},
    {AFTER("store: { prefix: \"a\\0\" }\n"),
     "3:18: prefix is \"a?\", expected at most 64 visible ASCII characters other than '{' and '}', "
     "as in sluice:\n"},
    {AFTER("store: { prefix: , instance_id: }\n"),
     "3:18: prefix is empty, expected at most 64 visible ASCII characters other than '{' and '}', "
     "as in sluice:\n"
     "3:33: instance_id is empty, expected a name, as in sluice-1\n"},
    {AFTER("store: { prefix: [ a ] }\n"),
     "3:18: prefix is a list, expected at most 64 visible ASCII characters other than '{' and '}', "
     "as in sluice:\n"},
    {AFTER("store: { breaker: 5 }\n"), "3:19: breaker is \"5\", expected a mapping with keys from "
                                       "failures, within, pause, max_pause\n"},
    {AFTER("store: { breaker: { failures: 0, within: 0s, pause: 0s, max_pause: 2h } }\n"),
     "3:31: failures is \"0\", expected a whole number from 1 to 32\n"
     "3:42: within is \"0s\", expected a whole number and ms, s, m, h or d, from 1ms to 1h\n"
     "3:53: pause is \"0s\", expected a whole number and ms, s, m, h or d, from 1ms to 1h\n"
     "3:68: max_pause is \"2h\", expected a whole number and ms, s, m, h or d, from 1ms to 1h\n"},
    {AFTER("store: { breaker: { failures: 33, failurs: 1 } }\n"),
     "3:31: failures is \"33\", expected a whole number from 1 to 32\n"
     "3:35: unknown key \"failurs\" in breaker, expected one of failures, within, pause, "
     "max_pause; did you mean \"failures\"?\n"},
    {AFTER("store: { breaker: { pause: 31s } }\n"),
     "3:19: a breaker with pause 31s and max_pause 30s, expected a max_pause that is at least "
     "pause\n"},
    {AFTER("store: { breaker: { pause: 3s, max_pause: 2s } }\n"),
     "3:19: a breaker with pause 3s and max_pause 2s, expected a max_pause that is at least "
     "pause\n"},
    {AFTER("store: { breaker: { max_pause: 999ms } }\n"),
     "3:19: a breaker with pause 1s and max_pause 999ms, expected a max_pause that is at least "
     "pause\n"},
    {AFTER("store: { breaker: { pause: 31s, max_pause: x } }\n"),
     "3:44: max_pause is \"x\", expected a whole number and ms, s, m, h or d, from 1ms to 1h\n"},
    {AFTER("store: { mode: single, nodes: a, auth: secret }\n"),
     "3:40: auth is a text, expected a mapping, as in { user: sluice, password_file: "
     "/run/secrets/redis }\n"},
    {AFTER("store: { mode: single, nodes: a, auth: {} }\n"),
     "3:40: auth without a password, expected password_file or password_env, which say where it "
     "is\n"},
    {AFTER("store: { mode: single, nodes: a, auth: { user: u } }\n"),
     "3:40: auth without a password, expected password_file or password_env, which say where it "
     "is\n"},
    {AFTER("store: { mode: single, nodes: a, auth: { user: u, password: secret } }\n"),
     "3:51: unknown key \"password\" in auth, expected one of user, password_file, password_env; "
     "did you mean \"password_env\"?\n"},
    {AFTER("store: { mode: single, nodes: a, auth: { password_file: /p, password_env: P } }\n"),
     "3:40: auth with both password_file and password_env, expected one of them\n"},
    {AFTER("store: { mode: single, nodes: a, auth: { user: a b, password_file: '', password_env: "
           "a-b } }\n"),
     "3:40: auth with both password_file and password_env, expected one of them\n"
     "3:48: user is \"a b\", expected a user's name of 1 to 128 bytes, without blanks\n"
     "3:68: password_file is \"\", expected the path of a file, as in /run/secrets/redis\n"
     "3:86: password_env is no such name, expected the name of an environment variable, as in "
     "REDIS_PASSWORD\n"},
    {AFTER("store: { mode: single, nodes: a, auth: { password_file: \"/p\\0\" } }\n"),
     "3:57: password_file is \"/p?\", expected the path of a file, as in /run/secrets/redis\n"},
    {AFTER("store: { mode: sentinel, nodes: a, master: m, sentinel_auth: { user: u } }\n"),
     "3:62: sentinel_auth without a password, expected password_file or password_env, which say "
     "where it is\n"},
    {AFTER("store: { mode: single, nodes: a, tls: true }\n"),
     "3:39: tls is \"true\", expected a mapping with keys from ca, certificate, key, "
     "server_name\n"},
    {AFTER("store: { mode: single, nodes: a, tls: { certificate: /c } }\n"),
     "3:39: tls with certificate and without key, expected both or neither\n"},
    {AFTER("store: { mode: single, nodes: a, tls: { key: /k } }\n"),
     "3:39: tls with key and without certificate, expected both or neither\n"},
    {AFTER("store: { mode: single, nodes: a, tls: { certificate: /c, kee: /k } }\n"),
     "3:58: unknown key \"kee\" in tls, expected one of ca, certificate, key, server_name; did you "
     "mean \"key\"?\n"},
    {AFTER("store: { mode: single, nodes: a, tls: { ca: '', server_name: 'a b', certificate: [ c "
           "], key: /k } }\n"),
     "3:45: ca is \"\", expected the path of a file, as in /etc/ssl/redis-ca.pem\n"
     "3:62: server_name is \"a b\", expected a host's name of 1 to 253 bytes, as in "
     "redis.example.net\n"
     "3:82: certificate is a list, expected the path of a file, as in /etc/ssl/sluice.pem\n"},
    {AFTER("store: { instance_id: a b }\n"), "3:23: instance_id is \"a b\", expected a name of 1 "
                                             "to 253 letters, digits, '.', '_', '-' and ':'\n"},
    {AFTER("store: { instance_id: "
           "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"
           "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii"
           "iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii }\n"),
     "3:23: instance_id is "
     "\"iiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiiii...\", expected a name "
     "of 1 to 253 letters, digits, '.', '_', '-' and ':'\n"},
    /* No store, but a key that may be meant for one. */
    {AFTER("stor: { mode: cluster }\n"),
     "3:1: unknown key \"stor\" in the file, expected one of listen, admin, workers, store, "
     "defaults, answer, connections, denial_log, candidate, rules, include; did you mean "
     "\"store\"?\n"},
};

START_TEST(every_problem_of_a_wrong_store)
{
    expect_problems(&wrong_files[_i]);
}
END_TEST

int main(void)
{
    return run_wrong_files("errors_store", every_problem_of_a_wrong_store,
                           sizeof(wrong_files) / sizeof(wrong_files[0]));
}
