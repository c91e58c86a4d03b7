#include <inttypes.h>

#include "agent/store/breaker.h"
#include "agent/store/ketama.h"
#include "helper.h"
#include "random.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

static void expect_text(struct slice s, const char *text)
{
    ck_assert_msg(slice_equal(s, slice_of_string(text)), "%.*s instead of %s", SLICE_ARGS(s), text);
}

/* A set whose store is as the text says. */
static struct rules_set *load_store(const char *store)
{
    static char text[1 << 16];
    snprintf(text, sizeof(text), "listen: :0\nrules: []\nstore: %s\n", store);
    return load(text);
}

static void expect_node(const struct rules_node *node, const char *name, const char *host,
                        unsigned port, unsigned weight)
{
    expect_text(node->name, name);
    expect_text(node->host, host);
    ck_assert_uint_eq(node->port, port);
    ck_assert_uint_eq(node->weight, weight);
    ck_assert_uint_eq(strlen((const char *)node->host.data), node->host.size);
}

START_TEST(a_store_that_says_nothing_has_every_default)
{
    static const char *const files[] = {"listen: :0\nrules: []\n",
                                        "listen: :0\nrules: []\nstore: {}\n",
                                        "listen: :0\nrules: []\nstore: { mode: memory }\n"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct rules_set *set = load(files[i]);
        const struct rules_store *store = &set->settings.store;
        ck_assert_int_eq(store->mode, RULES_STORE_MEMORY);
        ck_assert_uint_eq(store->max_keys, 1000000);
        ck_assert_uint_eq(store->log_memory, 64 << 20);
        ck_assert_uint_eq(store->node_count, 0);
        expect_text(store->prefix, "sluice:");
        ck_assert_uint_eq(store->deadline, 10 * MS);
        ck_assert_uint_eq(store->connect_timeout, S);
        ck_assert_uint_eq(store->heartbeat, S);
        ck_assert_uint_eq(store->breaker_failures, 5);
        ck_assert_uint_eq(store->breaker_within, 10 * S);
        ck_assert_uint_eq(store->breaker_pause, S);
        ck_assert_uint_eq(store->breaker_max_pause, 30 * S);
        ck_assert(!store->tls);
        const struct slice empty[] = {
            store->master,
            store->user,
            store->password_file,
            store->password_env,
            store->sentinel_user,
            store->sentinel_password_file,
            store->sentinel_password_env,
            store->tls_ca,
            store->tls_certificate,
            store->tls_key,
            store->tls_server_name,
            store->instance_id,
        };
        for (size_t k = 0; k < sizeof(empty) / sizeof(empty[0]); k++)
            ck_assert_uint_eq(empty[k].size, 0);
        rules_free(set);
    }
}
END_TEST

START_TEST(every_key_of_a_store)
{
    struct rules_set *set = load_store(
        "{ mode: sentinel, nodes: [ s-1, 's-2:5000', '[2001:db8::1]', '[::1]:7', 192.0.2.1, "
        "unix:///run/s.sock, { address: S_3.example } ], master: my-master.1, prefix: 'p|\"@:', "
        "deadline: 10s, connect_timeout: 60s, heartbeat: 100ms, max_keys: 7, log_memory: 8, "
        "breaker: { failures: 32, within: 1h, pause: 1ms, max_pause: 2ms }, auth: { user: u, "
        "password_env: REDIS_PASSWORD }, sentinel_auth: { user: \"d\\u00e9f\", password_file: "
        "/run/a secret }, instance_id: pod-0.ns:1 }");
    const struct rules_store *store = &set->settings.store;
    ck_assert_int_eq(store->mode, RULES_STORE_SENTINEL);
    ck_assert_uint_eq(store->node_count, 7);
    expect_node(&store->nodes[0], "s-1", "s-1", 26379, 1);
    expect_node(&store->nodes[1], "s-2:5000", "s-2", 5000, 1);
    expect_node(&store->nodes[2], "[2001:db8::1]", "2001:db8::1", 26379, 1);
    expect_node(&store->nodes[3], "[::1]:7", "::1", 7, 1);
    expect_node(&store->nodes[4], "192.0.2.1", "192.0.2.1", 26379, 1);
    expect_node(&store->nodes[5], "unix:///run/s.sock", "/run/s.sock", 0, 1);
    expect_node(&store->nodes[6], "S_3.example", "S_3.example", 26379, 1);
    expect_text(store->master, "my-master.1");
    expect_text(store->prefix, "p|\"@:");
    ck_assert_uint_eq(store->deadline, 10 * S);
    ck_assert_uint_eq(store->connect_timeout, 60 * S);
    ck_assert_uint_eq(store->heartbeat, 100 * MS);
    ck_assert_uint_eq(store->max_keys, 7);
    ck_assert_uint_eq(store->log_memory, 8);
    ck_assert_uint_eq(store->breaker_failures, 32);
    ck_assert_uint_eq(store->breaker_within, 3600 * S);
    ck_assert_uint_eq(store->breaker_pause, MS);
    ck_assert_uint_eq(store->breaker_max_pause, 2 * MS);
    expect_text(store->user, "u");
    expect_text(store->password_file, "");
    expect_text(store->password_env, "REDIS_PASSWORD");
    expect_text(store->sentinel_user, "d\xc3\xa9"
                                      "f");
    expect_text(store->sentinel_password_file, "/run/a secret");
    expect_text(store->sentinel_password_env, "");
    ck_assert(!store->tls);
    expect_text(store->instance_id, "pod-0.ns:1");
    rules_free(set);
}
END_TEST

START_TEST(nodes_have_the_port_of_their_mode)
{
    struct rules_set *set = load_store("{ nodes: redis-1, mode: single, prefix: '' }");
    ck_assert_int_eq(set->settings.store.mode, RULES_STORE_SINGLE);
    ck_assert_uint_eq(set->settings.store.node_count, 1);
    expect_node(&set->settings.store.nodes[0], "redis-1", "redis-1", 6379, 1);
    expect_text(set->settings.store.prefix, "");
    rules_free(set);
    set = load_store("{ nodes: [ a, { address: 'b:1', weight: 3 } ], mode: ketama }");
    ck_assert_int_eq(set->settings.store.mode, RULES_STORE_KETAMA);
    expect_node(&set->settings.store.nodes[0], "a", "a", 6379, 1);
    expect_node(&set->settings.store.nodes[1], "b:1", "b", 1, 3);
    rules_free(set);
    set = load_store("{ nodes: [ 'a:65535', a ], mode: cluster }");
    ck_assert_int_eq(set->settings.store.mode, RULES_STORE_CLUSTER);
    expect_node(&set->settings.store.nodes[0], "a:65535", "a", 65535, 1);
    expect_node(&set->settings.store.nodes[1], "a", "a", 6379, 1);
    rules_free(set);
}
END_TEST

START_TEST(tls_may_say_much_or_nothing)
{
    struct rules_set *set = load_store("{ mode: single, nodes: a, tls: {} }");
    ck_assert(set->settings.store.tls);
    expect_text(set->settings.store.tls_ca, "");
    rules_free(set);
    set = load_store("{ mode: single, nodes: a, tls: { ca: ca.pem, certificate: /c.pem, key: "
                     "/k.pem, server_name: redis.example } }");
    ck_assert(set->settings.store.tls);
    expect_text(set->settings.store.tls_ca, "ca.pem");
    expect_text(set->settings.store.tls_certificate, "/c.pem");
    expect_text(set->settings.store.tls_key, "/k.pem");
    expect_text(set->settings.store.tls_server_name, "redis.example");
    rules_free(set);
}
END_TEST

START_TEST(rules_say_how_they_are_charged)
{
    struct rules_set *set = load("listen: :0\n"
                                 "rules:\n"
                                 "  - { name: a, key: [], limits: { limit: 1, window: 1s } }\n"
                                 "  - { name: b, key: [], limits: { limit: 1, window: 1s },\n"
                                 "      consistency: exact, charge_denied: true }\n"
                                 "  - { name: c, key: [], limits: { limit: 1, window: 1s },\n"
                                 "      charge_denied: false }\n"
                                 "defaults: { consistency: leased }\n");
    ck_assert_int_eq(set->rules[0].consistency, RULES_LEASED);
    ck_assert_int_eq(set->rules[1].consistency, RULES_EXACT);
    ck_assert(!set->rules[0].charge_denied);
    ck_assert(set->rules[1].charge_denied);
    ck_assert(!set->rules[2].charge_denied);
    rules_free(set);
    set = load_rule("{ name: r, key: [], limits: { limit: 1, window: 1s } }");
    ck_assert_int_eq(set->rules[0].consistency, RULES_EXACT);
    rules_free(set);
    set = load_rule("{ name: r, key: [], limits: { limit: 1, window: 1s }, consistency: leased }");
    ck_assert_int_eq(set->rules[0].consistency, RULES_LEASED);
    rules_free(set);
}
END_TEST

/* "store: { mode: MODE, nodes: [ n-0, n-1, ... ] }". */
static const char *many_nodes(const char *mode, size_t count)
{
    static char text[1 << 16];
    int size =
        snprintf(text, sizeof(text), "listen: :0\nrules: []\nstore: { mode: %s, nodes: [ ", mode);
    for (size_t i = 0; i < count; i++)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "n-%zu,\n", i);
    snprintf(text + size, sizeof(text) - (size_t)size, "] }\n");
    return text;
}

START_TEST(the_most_nodes)
{
    struct rules_set *set = load(many_nodes("cluster", RULES_MAX_NODES));
    ck_assert_uint_eq(set->settings.store.node_count, RULES_MAX_NODES);
    rules_free(set);
    set = load(many_nodes("ketama", RULES_MAX_NODES));
    ck_assert_uint_eq(set->settings.store.node_count, RULES_MAX_NODES);
    rules_free(set);
    const char *text = many_nodes("cluster", RULES_MAX_NODES + 2);
    ck_assert_str_eq(problems_of(slice_of_string(text)),
                     "259:1: one address too many in nodes, expected at most 256\n");
}
END_TEST

START_TEST(the_longest_texts)
{
    static char text[1 << 14];
    char host[256];
    char path[108];
    char name[254];
    memset(host, 'h', sizeof(host) - 1);
    memset(path, 'p', sizeof(path) - 1);
    memset(name, 'n', sizeof(name) - 1);
    host[sizeof(host) - 1] = 0;
    path[0] = '/';
    path[sizeof(path) - 1] = 0;
    name[sizeof(name) - 1] = 0;
    snprintf(text, sizeof(text),
             "{ mode: cluster, nodes: [ %s, unix://%s ], prefix: %.64s, instance_id: %s, auth: { "
             "user: %.128s, password_env: %.128s }, deadline: 1ms, connect_timeout: 10ms, "
             "heartbeat: 1m }",
             host, path, name, name, name, name);
    struct rules_set *set = load_store(text);
    const struct rules_store *store = &set->settings.store;
    ck_assert_uint_eq(store->nodes[0].host.size, ENDPOINT_HOST_MAX);
    ck_assert_uint_eq(store->nodes[1].host.size, ENDPOINT_PATH_MAX);
    ck_assert_uint_eq(store->prefix.size, RULES_PREFIX_MAX);
    ck_assert_uint_eq(store->instance_id.size, RULES_INSTANCE_MAX);
    rules_free(set);
}
END_TEST

/* What the loader lets through, a breaker and a continuum can be made of. */
START_TEST(what_is_accepted_is_what_the_store_takes)
{
    struct rules_set *set = load_store("{ breaker: { failures: 32, max_pause: 1h } }");
    ck_assert_uint_eq(set->settings.store.breaker_failures, BREAKER_FAILURES_MAX);
    ck_assert_uint_le(set->settings.store.breaker_max_pause, BREAKER_DURATION_MAX);
    rules_free(set);
    ck_assert_uint_le(RULES_MAX_NODES, KETAMA_SERVERS_MAX);
}
END_TEST

/* How many servers have a point of the continuum that ketama makes of them. */
static size_t served(const uint32_t *weights, size_t count)
{
    static char names[RULES_MAX_NODES][24];
    struct ketama_server servers[RULES_MAX_NODES];
    bool has_point[RULES_MAX_NODES] = {0};
    struct ketama *ketama;
    size_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof(names[i]), "n-%zu", i);
        servers[i] = (struct ketama_server){slice_of_string(names[i]), weights[i]};
    }
    ck_assert_int_eq(ketama_create(servers, count, &ketama), ERROR_NONE);
    for (size_t i = 0; i < ketama->count; i++)
        has_point[ketama->points[i].server] = true;
    for (size_t i = 0; i < count; i++)
        sum += has_point[i];
    ketama_free(ketama);
    return sum;
}

START_TEST(weights_are_refused_that_ketama_gives_no_point)
{
    static char text[1 << 16];
    static struct rules_report report;
    struct random random = random_open("weights");
    size_t refused = 0;
    for (int round = 0; round < 2000; round++) {
        uint32_t weights[20];
        size_t count = 1 + (size_t)random_below(&random, 20);
        uint64_t most = random_below(&random, 2) ? 200 : RULES_WEIGHT_MAX;
        int size =
            snprintf(text, sizeof(text), "listen: :0\nrules: []\nstore: { mode: ketama, nodes: [ ");
        for (size_t i = 0; i < count; i++) {
            /* Now and then what is on the edge: a fortieth of the average, or nearly. */
            weights[i] = 1 + (uint32_t)random_below(&random, most);
            if (i == 0 && random_below(&random, 2))
                weights[i] = 1 + (uint32_t)(most / 80);
            size += snprintf(text + size, sizeof(text) - (size_t)size,
                             "{ address: n-%zu, weight: %" PRIu32 " },\n", i, weights[i]);
        }
        size += snprintf(text + size, sizeof(text) - (size_t)size, "] }\n");
        struct rules_set *set = rules_load(slice_of(text, (size_t)size), SEED, &report);
        ck_assert_msg(report.count == count - served(weights, count), "%zu problems:\n%s",
                      report.count, text);
        refused += set == NULL;
        rules_free(set);
        rules_report_free(&report);
    }
    ck_assert_uint_gt(refused, 100);
    ck_assert_uint_lt(refused, 1900);
}
END_TEST

START_TEST(stores_are_equal_when_all_settings_are)
{
    /* Each differs from each. */
    static const char *const stores[] = {
        "{}",
        "{ max_keys: 7 }",
        "{ log_memory: 7 }",
        "{ prefix: x }",
        "{ deadline: 11ms }",
        "{ connect_timeout: 2s }",
        "{ heartbeat: 2s }",
        "{ breaker: { failures: 6 } }",
        "{ breaker: { within: 9s } }",
        "{ breaker: { pause: 2s } }",
        "{ breaker: { max_pause: 9s } }",
        "{ instance_id: a }",
        "{ mode: single, nodes: a }",
        "{ mode: cluster, nodes: a }",
        "{ mode: cluster, nodes: b }",
        "{ mode: cluster, nodes: [ a, b ] }",
        "{ mode: ketama, nodes: [ a, b ] }",
        "{ mode: ketama, nodes: [ a, { address: b, weight: 2 } ] }",
        "{ mode: sentinel, nodes: a, master: m }",
        "{ mode: sentinel, nodes: a, master: n }",
        "{ mode: sentinel, nodes: a, master: n, auth: { password_env: P } }",
        "{ mode: sentinel, nodes: a, master: n, auth: { password_file: P } }",
        "{ mode: sentinel, nodes: a, master: n, auth: { password_env: P, user: u } }",
        "{ mode: sentinel, nodes: a, master: n, sentinel_auth: { password_env: P } }",
        "{ mode: sentinel, nodes: a, master: n, sentinel_auth: { password_file: P } }",
        "{ mode: sentinel, nodes: a, master: n, sentinel_auth: { password_env: P, user: u } }",
        "{ mode: single, nodes: a, tls: {} }",
        "{ mode: single, nodes: a, tls: { ca: a } }",
        "{ mode: single, nodes: a, tls: { certificate: a, key: b } }",
        "{ mode: single, nodes: a, tls: { certificate: a, key: c } }",
        "{ mode: single, nodes: a, tls: { certificate: b, key: b } }",
        "{ mode: single, nodes: a, tls: { server_name: a } }",
    };
    for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
        struct rules_set *a = load_store(stores[i]);
        for (size_t k = 0; k < sizeof(stores) / sizeof(stores[0]); k++) {
            struct rules_set *b = load_store(stores[k]);
            ck_assert_msg(rules_store_equal(&a->settings.store, &b->settings.store) == (i == k),
                          "%s and %s", stores[i], stores[k]);
            rules_free(b);
        }
        rules_free(a);
    }
}
END_TEST

UNIT_MAIN("store", a_store_that_says_nothing_has_every_default, every_key_of_a_store,
          nodes_have_the_port_of_their_mode, tls_may_say_much_or_nothing,
          rules_say_how_they_are_charged, the_most_nodes, the_longest_texts,
          what_is_accepted_is_what_the_store_takes, weights_are_refused_that_ketama_gives_no_point,
          stores_are_equal_when_all_settings_are)
