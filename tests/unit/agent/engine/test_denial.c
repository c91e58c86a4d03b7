#include <inttypes.h>
#include <stdio.h>

#include "agent/engine/denial.h"
#include "bench.h"
#include "captured_log.h"
#include "main.h"
#include "nth_allocation.h"

static const char rules_text[] =
    "listen: tcp://127.0.0.1:0\n"
    "denial_log: 3\n"
    "rules:\n"
    "  - { name: hidden, match: { path: /.git }, action: deny }\n"
    "  - { name: client, key: [ src, path ], limits: { limit: 1, window: 1h } }\n"
    "  - { name: secret, match: { path: /secret }, key: { arg: src, hash: true },\n"
    "      limits: { limit: 0, window: 1h } }\n";

static struct log_limiter limiter;

/* memory: with a store that answers at once and doesn't ask for subjects, instead of the scripted.
 */
static struct bench *bench_open(bool memory, const char *text)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct ruleset *rules = load(text);
    limiter = (struct log_limiter){.second = 0};
    bench->client.answered = client_answered;
    scripted_open(&bench->store);
    bench->now = NOW;
    bench->engine = engine_create(&(struct engine_options){
        .store = memory ? bench->store.memory : &bench->store.store,
        .max_pending = 100,
        .rules = rules,
        .denials = &limiter,
    });
    ruleset_release(rules);
    bench->writer = writer_open(bench->output, sizeof(bench->output));
    capture();
    return bench;
}

static void end(struct bench *bench)
{
    release();
    bench_close(bench);
}

static void ask(struct bench *bench, const char *path, const char *id)
{
    uint8_t bytes[2048];
    struct writer w = writer_open(bytes, sizeof(bytes));
    struct value src = {.type = VALUE_IPV4, .address = {192, 0, 2, 1}};
    struct value texts[] = {{.type = VALUE_STRING, .bytes = slice_of_string(path)},
                            {.type = VALUE_STRING, .bytes = slice_of_string(id ? id : "")}};
    spop_write_message(&w, SLICE("m"), id ? 3 : 2);
    spop_write_argument(&w, SLICE("src"), &src);
    spop_write_argument(&w, SLICE("path"), &texts[0]);
    if (id)
        spop_write_argument(&w, SLICE("request_id"), &texts[1]);
    notify(bench, writer_slice(&w), 1);
    memset(bytes, 'x', sizeof(bytes)); /* nobody may look at the frame any more */
    bench->writer = writer_open(bench->output, sizeof(bench->output));
}

/* The one line, from its message on. */
static void expect_line(const char *expected)
{
    const char *line = captured();
    const char *message = strstr(line, "msg=");
    ck_assert_uint_eq(lines_of(line), *expected != '\0');
    ck_assert_str_eq(message ? message : "", expected);
}

START_TEST(a_line_says_what_refused_whom)
{
    struct bench *bench = bench_open(true, rules_text);
    ask(bench, "/x", "id-1");
    expect_line("");
    ask(bench, "/x", "id-2");
    expect_line("msg=\"request refused\" rule=client limit=1 source=memory "
                "subject=\"192.0.2.1,=/x\" request_id=id-2\n");
    ask(bench, "/x", NULL);
    expect_line("msg=\"request refused\" rule=client limit=1 source=memory "
                "subject=\"192.0.2.1,=/x\"\n");
    ask(bench, "/.git", "a b\n");
    expect_line("msg=\"request refused\" rule=hidden request_id=\"a b\\u000a\"\n");
    end(bench);
}
END_TEST

START_TEST(what_is_hashed_is_not_told)
{
    struct bench *bench = bench_open(true, rules_text);
    ask(bench, "/secret", NULL);
    const char *line = captured();
    ck_assert_ptr_nonnull(strstr(line, "rule=secret limit=0"));
    ck_assert_ptr_nonnull(strstr(line, "subject=#"));
    ck_assert_ptr_null(strstr(line, "192.0.2.1"));
    end(bench);
}
END_TEST

START_TEST(an_id_is_shown_up_to_its_bound)
{
    struct bench *bench = bench_open(true, rules_text);
    char id[DENIAL_REQUEST_ID_MAX + 2] = "";
    char expected[512];
    memset(id, 'i', DENIAL_REQUEST_ID_MAX);
    snprintf(expected, sizeof(expected), "msg=\"request refused\" rule=hidden request_id=%s\n", id);
    ask(bench, "/.git", id);
    expect_line(expected);
    id[DENIAL_REQUEST_ID_MAX] = 'i';
    ask(bench, "/.git", id);
    expect_line(expected);
    end(bench);
}
END_TEST

START_TEST(those_passed_over_are_counted)
{
    struct bench *bench = bench_open(true, rules_text);
    for (int i = 0; i < 1000; i++)
        ask(bench, "/.git", NULL);
    size_t lines = lines_of(captured());
    ck_assert_uint_ge(lines, 3);
    uint64_t dropped = atomic_load(&limiter.dropped);
    ck_assert_uint_le(dropped, 1000 - lines);
    limiter.second = 0; /* another second */
    ask(bench, "/.git", NULL);
    char expected[128];
    snprintf(expected, sizeof(expected),
             "msg=\"request refused\" rule=hidden suppressed=%" PRIu64 "\n", dropped);
    expect_line(expected);
    end(bench);
}
END_TEST

/* The frame has gone, and other requests have been read, when the answer comes. */
static void refuse_later(struct bench *bench)
{
    ask(bench, "/x", "id-1");
    bench->store.defer = true;
    ask(bench, "/x", "id-2");
    bench->store.defer = false;
    ask(bench, "/y", "id-3");
    ask(bench, "/zzzzzzzzzzzzzzzzzzzzzz", NULL);
    expect_line("");
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->now);
}

START_TEST(who_waited_is_told_of_too)
{
    struct bench *bench = bench_open(false, rules_text);
    for (int i = 0; i < 2; i++) {
        bench->now += 3600 * SECOND * 2;
        refuse_later(bench);
        expect_line("msg=\"request refused\" rule=client limit=1 source=memory "
                    "subject=\"192.0.2.1,=/x\" request_id=id-2\n");
    }
    end(bench);
}
END_TEST

START_TEST(without_memory_a_line_says_less)
{
    struct bench *bench = bench_open(false, rules_text);
    ask(bench, "/x", NULL);
    ask(bench, "/y", NULL); /* the engine has all the memory that it needs but for one thing */
    bench->store.defer = true;
    ask(bench, "/z", NULL);
    bench->store.defer = false;
    armed = true;
    left = 1; /* the second: behind the decision's own */
    bench->store.defer = true;
    ask(bench, "/x", "id");
    armed = false;
    ck_assert(has_failed);
    while (bench->store.count)
        scripted_answer(&bench->store, 0, bench->now);
    expect_line("msg=\"request refused\" rule=client limit=1 source=memory\n");
    end(bench);
}
END_TEST

START_TEST(the_rules_say_whether)
{
    static const char silent[] =
        "listen: :0\nrules: [ { name: a, match: { path: /.git }, action: deny } ]\n";
    struct bench *bench = bench_open(true, silent);
    struct ruleset *next = load(rules_text);
    ask(bench, "/.git", "id");
    expect_line("");
    ck_assert(engine_use(bench->engine, next));
    ruleset_release(next);
    ask(bench, "/.git", "id");
    expect_line("msg=\"request refused\" rule=hidden request_id=id\n");
    end(bench);
}
END_TEST

UNIT_MAIN("denial", a_line_says_what_refused_whom, what_is_hashed_is_not_told,
          an_id_is_shown_up_to_its_bound, those_passed_over_are_counted, who_waited_is_told_of_too,
          without_memory_a_line_says_less, the_rules_say_whether)
