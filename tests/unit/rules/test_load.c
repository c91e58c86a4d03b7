#include "helper.h"

#define MS UINT64_C(1000)
#define S  UINT64_C(1000000)

static void expect_text(struct slice s, const char *text)
{
    ck_assert_msg(slice_equal(s, slice_of_string(text)), "%.*s instead of %s", SLICE_ARGS(s), text);
}

static void expect_endpoint(const struct endpoint *endpoint, const char *text)
{
    char buffer[256];
    struct writer w = writer_open(buffer, sizeof(buffer));
    endpoint_print(endpoint, &w);
    expect_text(writer_slice(&w), text);
}

START_TEST(the_least_file_has_every_default)
{
    struct rules_set *set = load("listen: tcp://127.0.0.1:9000\nrules: []\n");
    const struct rules_settings *settings = &set->settings;
    ck_assert_uint_eq(settings->listener_count, 1);
    expect_endpoint(&settings->listeners[0].endpoint, "tcp://127.0.0.1:9000");
    ck_assert_uint_eq(settings->listeners[0].mode, 0);
    ck_assert(!settings->has_admin);
    ck_assert_uint_eq(settings->workers, 0);
    ck_assert_int_eq(settings->store.mode, RULES_STORE_MEMORY);
    ck_assert_uint_eq(settings->store.max_keys, 1000000);
    ck_assert_uint_eq(settings->store.log_memory, 64 << 20);
    ck_assert_uint_eq(settings->answer, (1u << RULES_ANSWERS) - 1);
    ck_assert_uint_eq(settings->max_connections, 4096);
    ck_assert_uint_eq(settings->max_frame_size, 65532);
    ck_assert_uint_eq(settings->idle_timeout, 600 * S);
    ck_assert_uint_eq(settings->hello_timeout, 10 * S);
    ck_assert_uint_eq(settings->drain_timeout, 10 * S);
    ck_assert_uint_eq(settings->denial_log, 0);
    ck_assert_uint_eq(set->rule_count, 0);
    ck_assert_uint_eq(set->limit_count, 0);
    ck_assert_uint_eq(set->slot_count, 0);
    ck_assert_uint_eq(match(set, -1, NULL, NULL), 0);
    rules_free(set);
}
END_TEST

START_TEST(every_setting)
{
    struct rules_set *set = load("listen:\n"
                                 "  - tcp://[::1]:9000\n"
                                 "  - { address: unix:///run/sluice/spop.sock, mode: 0660 }\n"
                                 "  - { address: unix:///run/sluice/two.sock, mode: 777 }\n"
                                 "  - \"unix://@sluice\"\n"
                                 "admin: :9901\n"
                                 "workers: 256\n"
                                 "store: { mode: memory, max_keys: 1000, log_memory: 512KiB }\n"
                                 "answer: [ rule, retry_after ]\n"
                                 "connections:\n"
                                 "  max: 100\n"
                                 "  max_frame_size: 256\n"
                                 "  idle_timeout: 0s\n"
                                 "  hello_timeout: 250ms\n"
                                 "  drain_timeout: 1m\n"
                                 "denial_log: 1000\n"
                                 "rules: []\n");
    const struct rules_settings *settings = &set->settings;
    ck_assert_uint_eq(settings->listener_count, 4);
    expect_endpoint(&settings->listeners[0].endpoint, "tcp://[::1]:9000");
    expect_endpoint(&settings->listeners[1].endpoint, "unix:///run/sluice/spop.sock");
    ck_assert_uint_eq(settings->listeners[1].mode, 0660);
    ck_assert_uint_eq(settings->listeners[2].mode, 0777);
    expect_endpoint(&settings->listeners[3].endpoint, "unix://@sluice");
    ck_assert(settings->has_admin);
    expect_endpoint(&settings->admin, "tcp://127.0.0.1:9901");
    ck_assert_uint_eq(settings->workers, 256);
    ck_assert_uint_eq(settings->store.max_keys, 1000);
    ck_assert_uint_eq(settings->store.log_memory, 512 << 10);
    ck_assert_uint_eq(settings->answer, 1u << RULES_ANSWER_ALLOW | 1u << RULES_ANSWER_DENY |
                                            1u << RULES_ANSWER_RULE |
                                            1u << RULES_ANSWER_RETRY_AFTER);
    ck_assert_uint_eq(settings->max_connections, 100);
    ck_assert_uint_eq(settings->max_frame_size, 256);
    ck_assert_uint_eq(settings->idle_timeout, 0);
    ck_assert_uint_eq(settings->hello_timeout, 250 * MS);
    ck_assert_uint_eq(settings->drain_timeout, 60 * S);
    ck_assert_uint_eq(settings->denial_log, 1000);
    rules_free(set);
}
END_TEST

START_TEST(allow_and_deny_are_always_sent)
{
    struct rules_set *set = load("listen: :0\nanswer: []\nrules: []\n");
    ck_assert_uint_eq(set->settings.answer, 1u << RULES_ANSWER_ALLOW | 1u << RULES_ANSWER_DENY);
    rules_free(set);
    set = load("listen: :0\nanswer: source\nrules: []\n");
    ck_assert_uint_eq(set->settings.answer, 1u << RULES_ANSWER_ALLOW | 1u << RULES_ANSWER_DENY |
                                                1u << RULES_ANSWER_SOURCE);
    rules_free(set);
}
END_TEST

START_TEST(every_key_of_a_rule)
{
    struct rules_set *set =
        load("listen: :0\n"
             "rules:\n"
             "  - name: probes\n"
             "    match: { path: /health }\n"
             "    action: allow\n"
             "  - name: Log_in.2-x\n"
             "    message: check-request\n"
             "    match: { path: { prefix: /login, suffix: [ .php, .cgi ] }, method: POST }\n"
             "    key: [ src/64, user ]\n"
             "    limits:\n"
             "      - { limit: 5, window: 15m }\n"
             "      - { limit: 100, window: 1d, algorithm: token-bucket, burst: 7, name: slow }\n"
             "      - { limit: 10, window: 1d, algorithm: sliding-log }\n"
             "    on_store_error: deny\n"
             "  - name: all\n"
             "    key: []\n"
             "    limits: { limit: 0, window: 250ms, algorithm: token-bucket }\n");
    ck_assert_uint_eq(set->rule_count, 3);
    ck_assert_uint_eq(set->limit_count, 4);
    const struct rules_rule *probes = &set->rules[0];
    expect_text(probes->name, "probes");
    ck_assert_uint_eq(probes->line, 3);
    ck_assert_int_eq(probes->action, RULES_ACTION_ALLOW);
    ck_assert_uint_eq(probes->limit_count, 0);

    const struct rules_rule *login = &set->rules[1];
    expect_text(login->name, "Log_in.2-x");
    ck_assert_uint_eq(login->index, 1);
    ck_assert_uint_eq(login->line, 6);
    ck_assert_int_eq(login->action, RULES_ACTION_LIMIT);
    ck_assert_int_eq(login->on_store_error, RULES_FALLBACK_DENY);
    ck_assert_uint_eq(login->limit_count, 3);
    const struct rules_limit *limits = login->limits;
    ck_assert_ptr_eq(limits[2].rule, login);
    expect_text(limits[0].name, "Log_in.2-x-15m");
    expect_text(limits[0].policy, "\"Log_in.2-x-15m\";q=5;w=900");
    ck_assert_int_eq(limits[0].limit.algorithm, LIMIT_SLIDING_WINDOW);
    ck_assert_uint_eq(limits[0].limit.units, 5);
    ck_assert_uint_eq(limits[0].limit.window, 900 * S);
    expect_text(limits[1].name, "slow");
    ck_assert_int_eq(limits[1].limit.algorithm, LIMIT_TOKEN_BUCKET);
    ck_assert_uint_eq(limits[1].limit.burst, 7);
    expect_text(limits[2].name, "Log_in.2-x-1d-sliding-log");
    expect_text(limits[2].policy, "\"Log_in.2-x-1d-sliding-log\";q=10;w=86400");

    const struct rules_rule *all = &set->rules[2];
    ck_assert_int_eq(all->on_store_error, RULES_FALLBACK_LOCAL);
    expect_text(all->limits[0].name, "all");
    expect_text(all->limits[0].policy, "\"all\";q=0;w=1"); /* a window of 0 would say: none */
    ck_assert_uint_eq(all->limits[0].limit.burst, 0);
    rules_free(set);
}
END_TEST

START_TEST(the_largest_values)
{
    rules_free(load_rule("{ name: r, key: [], limits: [ { limit: 10000, window: 366d, algorithm: "
                         "sliding-log }, { limit: 1000000000, window: 366d, algorithm: "
                         "token-bucket, burst: 1000000000 } ] }\n"));
    rules_free(load("listen: :0\nworkers: 1\nstore: { max_keys: 1000000000, log_memory: 1024GiB }\n"
                    "connections: { max: 1000000, max_frame_size: 1MiB, idle_timeout: 366d,\n"
                    "               hello_timeout: 1d, drain_timeout: 1d }\nrules: []\n"));
    /* Port 0 is any that is free: two of them are two. */
    struct rules_set *set = load("listen: [ \":0\", \":0\" ]\nrules: []\n");
    ck_assert_uint_eq(set->settings.listener_count, 2);
    rules_free(set);
}
END_TEST

START_TEST(defaults_hold_wherever_they_stand)
{
    struct rules_set *set =
        load("rules:\n"
             "  - { name: a, key: [], limits: { limit: 9, window: 1s } }\n"
             "  - name: b\n"
             "    key: []\n"
             "    message: other\n"
             "    on_store_error: local\n"
             "    limits: { limit: 9, window: 1s, algorithm: fixed-window }\n"
             "listen: :0\n"
             "defaults: { algorithm: token-bucket, on_store_error: allow, message: check }\n");
    ck_assert_int_eq(set->rules[0].limits[0].limit.algorithm, LIMIT_TOKEN_BUCKET);
    ck_assert_uint_eq(set->rules[0].limits[0].limit.burst, 9); /* that of the limit */
    ck_assert_int_eq(set->rules[0].on_store_error, RULES_FALLBACK_ALLOW);
    ck_assert_int_eq(set->rules[0].message, rules_message(set, SLICE("check")));
    ck_assert_int_eq(set->rules[1].limits[0].limit.algorithm, LIMIT_FIXED_WINDOW);
    ck_assert_int_eq(set->rules[1].on_store_error, RULES_FALLBACK_LOCAL);
    ck_assert_int_eq(set->rules[1].message, rules_message(set, SLICE("other")));
    ck_assert_int_ne(set->rules[0].message, set->rules[1].message);
    ck_assert_int_eq(rules_message(set, SLICE("neither")), -1);
    rules_free(set);
}
END_TEST

START_TEST(policies_round_windows_up)
{
    struct rules_set *set = load_rule("{ name: a, key: [], limits: [ { limit: 1, window: 1s }, "
                                      "{ limit: 2, window: 1001ms }, { limit: 3, window: 1ms }, "
                                      "{ limit: 1000000000, window: 366d } ] }\n");
    expect_text(set->rules[0].limits[0].policy, "\"a-1s\";q=1;w=1");
    expect_text(set->rules[0].limits[1].policy, "\"a-1001ms\";q=2;w=2");
    expect_text(set->rules[0].limits[2].policy, "\"a-1ms\";q=3;w=1");
    expect_text(set->rules[0].limits[3].policy, "\"a-366d\";q=1000000000;w=31622400");
    rules_free(set);
}
END_TEST

START_TEST(slots_are_those_that_rules_read)
{
    struct rules_set *set = load_rule("{ name: a, match: { path: /x, m: { in: [ A ] } }, "
                                      "key: [ src/64, path ], limits: { limit: 1, window: 1s } }");
    ck_assert_uint_eq(set->slot_count, 3);
    for (size_t i = 0; i < set->slot_count; i++)
        ck_assert_int_eq(rules_slot(set, set->slot_names[i]), (int)i);
    ck_assert_int_ge(rules_slot(set, SLICE("src")), 0);
    ck_assert_int_eq(rules_slot(set, SLICE("src/64")), -1);
    ck_assert_int_eq(rules_slot(set, SLICE("")), -1);
    ck_assert_int_eq(rules_slot(set, slice_of(NULL, 0)), -1);
    static char long_name[RULES_NAME_MAX + 1];
    ck_assert_int_eq(rules_slot(set, slice_of(long_name, sizeof(long_name))), -1);
    rules_free(set);
}
END_TEST

START_TEST(anchors_and_aliases_repeat_whole_values)
{
    struct rules_set *set =
        load("listen: :0\n"
             "rules:\n"
             "  - { name: a, match: &m { path: { in: &list [ /x, /y ] } }, key: &k [ src ],\n"
             "      limits: &l { limit: 1, window: 1s } }\n"
             "  - { name: b, match: *m, key: *k, limits: [ *l, { limit: 2, window: 1h } ] }\n"
             "  - { name: c, match: { path: { prefix: *list } }, key: *k, limits: *l }\n");
    ck_assert_uint_eq(set->rule_count, 3);
    ck_assert_uint_eq(set->rules[1].limit_count, 2);
    ck_assert_uint_eq(set->rules[1].limits[0].limit.units, 1);
    struct message message = message_of(set);
    struct rules_hit hits[3];
    give(&message, "path", text_value("/y"));
    give(&message, "src", text_value("s"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 3);
    give(&message, "path", text_value("/y2"));
    ck_assert_uint_eq(match(set, -1, message.values, hits), 1);
    rules_free(set);
}
END_TEST

START_TEST(yaml_in_all_its_shapes)
{
    /* Comments, a byte order mark, a document's marks, CRLF, quotes, block and folded texts. */
    struct rules_set *set = load("\xef\xbb\xbf%YAML 1.1\r\n"
                                 "---\r\n"
                                 "# a comment\r\n"
                                 "\"listen\": ':0'\r\n"
                                 "'rules':\r\n"
                                 "- name: >-\r\n"
                                 "    folded\r\n"
                                 "  \"action\": |-\r\n"
                                 "    allow\r\n"
                                 "  match: {path: \"\\u00e9\\x41\", ? other : 'it''s'}\r\n"
                                 "...\r\n"
                                 "# the end\r\n");
    expect_text(set->rules[0].name, "folded");
    ck_assert_uint_eq(set->rules[0].line, 6);
    struct message message = message_of(set);
    struct rules_hit hit;
    give(&message, "path",
         text_value("\xc3\xa9"
                    "A"));
    give(&message, "other", text_value("it's"));
    ck_assert_uint_eq(match(set, -1, message.values, &hit), 1);
    rules_free(set);
}
END_TEST

START_TEST(nothing_points_into_the_text)
{
    char text[] = "listen: unix:///run/some/path.sock\nadmin: host.example:1\nrules: [ { name: "
                  "abcdef, match: { argument: literal }, action: allow, message: mess } ]\n";
    struct rules_set *set = load(text);
    memset(text, 'X', sizeof(text) - 1);
    expect_endpoint(&set->settings.listeners[0].endpoint, "unix:///run/some/path.sock");
    expect_endpoint(&set->settings.admin, "tcp://host.example:1");
    expect_text(set->rules[0].name, "abcdef");
    ck_assert_int_eq(rules_message(set, SLICE("mess")), 0);
    ck_assert_int_eq(rules_slot(set, SLICE("argument")), 0);
    struct value value = text_value("literal");
    struct rules_hit hit;
    ck_assert_uint_eq(match(set, 0, &value, &hit), 1);
    rules_free(set);
}
END_TEST

START_TEST(nothing_to_free_is_freed)
{
    rules_free(NULL);
    struct rules_report report;
    ck_assert_ptr_null(rules_load(SLICE("x"), SEED, &report));
    rules_report_free(&report);
    rules_report_free(&report);
    ck_assert_uint_eq(report.count, 0);
}
END_TEST

START_TEST(admin_with_permissions_and_a_token)
{
    struct rules_set *set = load("listen: :0\nrules: []\n"
                                 "admin: { address: unix:///run/admin.sock, mode: 0640, "
                                 "token_file: /run/token }\n");
    const struct rules_settings *settings = &set->settings;
    ck_assert(settings->has_admin);
    expect_endpoint(&settings->admin, "unix:///run/admin.sock");
    ck_assert_uint_eq(settings->admin_mode, 0640);
    ck_assert_str_eq((const char *)settings->admin_token_file.data, "/run/token");
    rules_free(set);

    set = load("listen: :0\nrules: []\nadmin: { address: \"[::]:9901\" }\n");
    expect_endpoint(&set->settings.admin, "tcp://[::]:9901");
    ck_assert_uint_eq(set->settings.admin_mode, 0);
    ck_assert_uint_eq(set->settings.admin_token_file.size, 0);
    rules_free(set);
}
END_TEST

START_TEST(a_rule_keeps_its_words)
{
    struct rules_set *set =
        load("listen: :0\nrules:\n"
             "  - { name: a, action: allow }\n"
             "  - name: b\n"
             "    match:\n"
             "      path: { prefix: [ /x, \"a \\\"b\\\\\\t\" ] }\n"
             "      method: POST\n"
             "    key: [ src/64, tenant ]\n"
             "    tiers:\n      by: plan\n      gold: unlimited\n"
             "  - { name: c, key: [], limits: { limit: 1, window: 1s }, cost: 1 }\n");
    expect_text(set->rules[0].words->match, "");
    expect_text(set->rules[0].words->key, "");
    expect_text(set->rules[1].words->match,
                "{ path: { prefix: [ /x, \"a \\\"b\\\\\xef\xbf\xbd\" ] }, method: POST }");
    expect_text(set->rules[1].words->key, "[ src/64, tenant ]");
    expect_text(set->rules[1].words->tiers, "{ by: plan, gold: unlimited }");
    expect_text(set->rules[2].words->key, "[]");
    expect_text(set->rules[2].words->cost, "1");
    rules_free(set);
}
END_TEST

START_TEST(long_words_are_cut)
{
    static char text[4000] =
        "listen: :0\nrules: [ { name: a, action: allow, match: { path: { in: [ ";
    for (int i = 0; i < 200; i++)
        sprintf(text + strlen(text), "/%d, ", i);
    strcat(text, "/last ] } } } ]\n");
    struct rules_set *set = load(text);
    struct slice words = set->rules[0].words->match;
    ck_assert_uint_le(words.size, RULES_WORDS_MAX);
    ck_assert_uint_gt(words.size, RULES_WORDS_MAX - 20);
    ck_assert(slice_has_prefix(words, SLICE("{ path: { in: [ /0, /1, ")));
    ck_assert(slice_has_suffix(words, SLICE("...")));
    rules_free(set);
}
END_TEST

UNIT_MAIN("load", the_least_file_has_every_default, every_setting, allow_and_deny_are_always_sent,
          every_key_of_a_rule, the_largest_values, defaults_hold_wherever_they_stand,
          policies_round_windows_up, slots_are_those_that_rules_read,
          anchors_and_aliases_repeat_whole_values, yaml_in_all_its_shapes,
          nothing_points_into_the_text, nothing_to_free_is_freed,
          admin_with_permissions_and_a_token, a_rule_keeps_its_words, long_words_are_cut)
