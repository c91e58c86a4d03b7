/* The environment's say: each row is a store of a file, three variables, and either the store that
 * comes of it or everything that is said against it. */
#include "helper.h"

struct row {
    const char *store; /* NULL: the file has none */
    const char *mode;
    const char *nodes;
    const char *instance;
    const char *outcome;
};

#define KETAMA "{ mode: ketama, nodes: [ { address: a, weight: 3 }, b ], instance_id: file }"

static const struct row rows[] = {
    /* Nothing, or what is empty, changes nothing. */
    {NULL, "", "", "", "memory\n"},
    {KETAMA, "", "", "", "ketama a=a:6379*3 b=b:6379*1 (file)\n"},
    /* Each variable alone. */
    {NULL, "memory", "", "", "memory\n"},
    {KETAMA, "cluster", "", "", "cluster a=a:6379*1 b=b:6379*1 (file)\n"},
    {KETAMA, "ketama", "", "", "ketama a=a:6379*3 b=b:6379*1 (file)\n"},
    {KETAMA, "", "c:7,[::1]:8", "", "ketama c:7=c:7*1 [::1]:8=::1:8*1 (file)\n"},
    {KETAMA, "", "", "pod-1", "ketama a=a:6379*3 b=b:6379*1 (pod-1)\n"},
    {NULL, "", "", "pod-1", "memory (pod-1)\n"},
    /* The file's, and the environment's in its place. */
    {NULL, "cluster", "a b:7", "i", "cluster a=a:6379*1 b:7=b:7*1 (i)\n"},
    {"{ mode: memory }", "cluster", "a", "", "cluster a=a:6379*1\n"},
    {"{ mode: memory }", "single", "unix:///r.sock", "", "single unix:///r.sock=/r.sock:0*1\n"},
    {"{ mode: single, nodes: a }", "ketama", "b c", "", "ketama b=b:6379*1 c=c:6379*1\n"},
    {"{ mode: cluster, nodes: a }", "sentinel", "", "",
     "0:0: DISTRIBUTED_REDIS_MODE is sentinel and the file's store has no key \"master\", expected "
     "there the name that the Sentinels have for the primary, as in mymaster\n"},
    {"{ mode: sentinel, master: m, nodes: a }", "", "b", "", "sentinel b=b:26379*1\n"},
    {"{ mode: cluster, nodes: [ 'file:x' ] }", "", "b", "", "cluster b=b:6379*1\n"},
    /* Whatever stands between nodes. */
    {NULL, "cluster", "a,b c\td\ne\r\nf,,g , h", "",
     "cluster a=a:6379*1 b=b:6379*1 c=c:6379*1 d=d:6379*1 e=e:6379*1 f=f:6379*1 g=g:6379*1 "
     "h=h:6379*1\n"},
    {NULL, "cluster", " ,a, ", "", "cluster a=a:6379*1\n"},
    /* What the file says for the sake of its own mode is passed over. */
    {KETAMA, "memory", "", "", "memory (file)\n"},
    {"{ mode: sentinel, master: m, nodes: a, sentinel_auth: { password_env: P }, tls: {} }",
     "memory", "", "", "memory\n"},
    {"{ mode: sentinel, master: m, nodes: 'a:1', sentinel_auth: { password_env: P }, tls: {} }",
     "cluster", "", "", "cluster a:1=a:1*1\n"},
    /* What is wrong. */
    {NULL, "Cluster", "", "",
     "0:0: DISTRIBUTED_REDIS_MODE is \"Cluster\", expected one of memory, single, sentinel, "
     "ketama, "
     "cluster; did you mean \"cluster\"?\n"},
    {NULL, "redis", "a:x", "a b",
     "0:0: DISTRIBUTED_REDIS_MODE is \"redis\", expected one of memory, single, sentinel, ketama, "
     "cluster\n"
     "0:0: INSTANCE_ID is \"a b\", expected a name of 1 to 253 letters, digits, '.', '_', '-' and "
     "':'\n"
     "0:0: REDIS_CLUSTER_NODES is \"a:x\", expected a port from 1 to 65535\n"},
    {NULL, "cluster", "", "",
     "0:0: DISTRIBUTED_REDIS_MODE is cluster and the file's store has no key \"nodes\", expected "
     "there at least one address, as in [ redis-1:6379 ], or REDIS_CLUSTER_NODES\n"},
    {NULL, "cluster", " , ", "",
     "0:0: REDIS_CLUSTER_NODES is an empty list, expected at least one address\n"},
    {NULL, "sentinel", "", "",
     "0:0: DISTRIBUTED_REDIS_MODE is sentinel and the file's store has no key \"nodes\", expected "
     "there at least one address, as in [ redis-1:6379 ], or REDIS_CLUSTER_NODES\n"
     "0:0: DISTRIBUTED_REDIS_MODE is sentinel and the file's store has no key \"master\", expected "
     "there the name that the Sentinels have for the primary, as in mymaster\n"},
    {NULL, "", "a", "",
     "0:0: REDIS_CLUSTER_NODES in a store with mode memory, expected only with mode single, "
     "sentinel, ketama or cluster\n"},
    {KETAMA, "memory", "a", "",
     "0:0: REDIS_CLUSTER_NODES in a store with mode memory, expected only with mode single, "
     "sentinel, ketama or cluster\n"},
    {NULL, "single", "a b", "",
     "0:0: one address too many in REDIS_CLUSTER_NODES, expected at most 1 with mode single (of "
     "DISTRIBUTED_REDIS_MODE)\n"},
    {KETAMA, "single", "", "",
     "3:60: one address too many in nodes, expected at most 1 with mode single (of "
     "DISTRIBUTED_REDIS_MODE)\n"},
    {NULL, "cluster", "a,a:6379", "",
     "0:0: the same server again in REDIS_CLUSTER_NODES, expected each once\n"},
    {NULL, "cluster", "redis://:secret@a", "",
     "0:0: REDIS_CLUSTER_NODES has an address with a user or password in it, expected host and "
     "port alone, as in redis-1:6379; who we are is said by auth, as in { user: sluice, "
     "password_file: /run/secrets/redis }\n"},
    {NULL, "cluster", "\xff", "\x80\n",
     "0:0: INSTANCE_ID is \"?\\n\", expected a name of 1 to 253 letters, digits, '.', '_', '-' and "
     "':'\n"
     "0:0: REDIS_CLUSTER_NODES is \"?\", expected an address, as in redis-1:6379, "
     "[2001:db8::1]:6379 or unix:///run/redis.sock\n"},
    {"{ mode: single, nodes: a, tls: {} }", "", "unix:///r.sock", "",
     "0:0: a unix socket in a store with tls, expected host and port: servers speak TLS on TCP "
     "only\n"},
    /* The file is to be right in itself where it isn't replaced. */
    {"{ mode: clustre }", "cluster", "a", "",
     "3:16: mode is \"clustre\", expected one of memory, single, sentinel, ketama, cluster; did "
     "you mean \"cluster\"?\n"},
    {"{ nods: a }", "cluster", "", "",
     "3:10: unknown key \"nods\" in store, expected one of nodes, mode, master, prefix, deadline, "
     "connect_timeout, heartbeat, breaker, auth, sentinel_auth, tls, max_keys, log_memory, "
     "instance_id; did you mean \"nodes\"?\n"},
};

static struct slice whole(const char *text)
{
    return slice_of_string(text);
}

static void print_store(const struct rules_store *store, char *out, size_t size)
{
    int at = snprintf(out, size, "%s", rules_store_mode_name(store->mode));
    for (size_t i = 0; i < store->node_count; i++)
        at += snprintf(out + at, size - (size_t)at, " %.*s=%.*s:%u*%u",
                       SLICE_ARGS(store->nodes[i].name), SLICE_ARGS(store->nodes[i].host),
                       store->nodes[i].port, store->nodes[i].weight);
    if (store->instance_id.size)
        at += snprintf(out + at, size - (size_t)at, " (%.*s)", SLICE_ARGS(store->instance_id));
    snprintf(out + at, size - (size_t)at, "\n");
}

START_TEST(every_outcome)
{
    static struct rules_report report;
    const struct row *row = &rows[_i];
    char file[1024];
    char outcome[4096] = "";
    size_t size = 0;
    snprintf(file, sizeof(file), "listen: :0\nrules: []\n%s%s\n", row->store ? "store: " : "",
             row->store ? row->store : "");
    struct rules_environment environment = {
        .overrides = {whole(row->mode), whole(row->nodes), whole(row->instance)}};
    struct rules_set *set = rules_load_with(whole(file), SEED, &environment, &report);
    ck_assert((set == NULL) == (report.count > 0));
    if (set)
        print_store(&set->settings.store, outcome, sizeof(outcome));
    for (size_t i = 0; i < report.count; i++)
        size += (size_t)snprintf(outcome + size, sizeof(outcome) - size, "%zu:%zu: %.*s\n",
                                 report.problems[i].line, report.problems[i].column,
                                 SLICE_ARGS(report.problems[i].text));
    ck_assert_msg(strcmp(outcome, row->outcome) == 0, "\n%s\ngives\n%sinstead of\n%s",
                  row->store ? row->store : "no store", outcome, row->outcome);
    rules_report_free(&report);
    rules_free(set);
}
END_TEST

START_TEST(problems_of_the_environment_say_so)
{
    static struct rules_report report;
    char line[256];
    struct rules_environment environment = {.overrides = {.mode = SLICE("x")}};
    ck_assert_ptr_null(
        rules_load_with(SLICE("listen: :0\nrules: []\nworkers: 0\n"), SEED, &environment, &report));
    ck_assert_uint_eq(report.count, 2);
    rules_problem_print(&report.problems[0], "file.yml", line, sizeof(line));
    ck_assert_str_eq(line, "environment: DISTRIBUTED_REDIS_MODE is \"x\", expected one of memory, "
                           "single, sentinel, ketama, cluster");
    rules_problem_print(&report.problems[1], "file.yml", line, sizeof(line));
    ck_assert_str_eq(line,
                     "file.yml:3:10: workers is \"0\", expected auto or a whole number from 1 "
                     "to 256");
    rules_report_free(&report);
}
END_TEST

START_TEST(the_most_nodes_and_one_more)
{
    static struct rules_report report;
    static char nodes[1 << 16];
    size_t size = 0;
    for (size_t i = 0; i < RULES_MAX_NODES; i++)
        size += (size_t)snprintf(nodes + size, sizeof(nodes) - size, "n-%zu,", i);
    struct rules_environment environment = {
        .overrides = {.mode = SLICE("cluster"), .nodes = slice_of(nodes, size)}};
    struct slice file = SLICE("listen: :0\nrules: []\n");
    struct rules_set *set = rules_load_with(file, SEED, &environment, &report);
    ck_assert_ptr_nonnull(set);
    ck_assert_uint_eq(set->settings.store.node_count, RULES_MAX_NODES);
    memset(nodes, 'X', size); /* nothing points into it */
    ck_assert_msg(slice_equal(set->settings.store.nodes[255].name, SLICE("n-255")), "%.*s",
                  SLICE_ARGS(set->settings.store.nodes[255].name));
    rules_free(set);
    rules_report_free(&report);

    size = 0;
    for (size_t i = 0; i < RULES_MAX_NODES + 100; i++)
        size += (size_t)snprintf(nodes + size, sizeof(nodes) - size, "n-%zu ", i);
    environment.overrides.nodes = slice_of(nodes, size);
    ck_assert_ptr_null(rules_load_with(file, SEED, &environment, &report));
    ck_assert_uint_eq(report.count, 1);
    ck_assert_msg(slice_equal(report.problems[0].text,
                              SLICE("one address too many in REDIS_CLUSTER_NODES, expected at most "
                                    "256")),
                  "%.*s", SLICE_ARGS(report.problems[0].text));
    rules_report_free(&report);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("overrides");
    TCase *tcase = tcase_create("overrides");
    tcase_add_loop_test(tcase, every_outcome, 0, sizeof(rows) / sizeof(rows[0]));
    tcase_add_test(tcase, problems_of_the_environment_say_so);
    tcase_add_test(tcase, the_most_nodes_and_one_more);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
