/* An engine, a client of it, and a store that does as it is told. */
#pragma once

#include <stdlib.h>

#include "agent/engine/engine.h"
#include "agent/scripted_store.h"

#define SECOND UINT64_C(1000000)
#define NOW    (UINT64_C(1750000000) * SECOND + 17)

struct bench {
    struct engine_client client; /* first */
    struct scripted_store store;
    struct store *local; /* NULL: none */
    unsigned agents;
    uint64_t now;       /* of the next requests; NOW at first */
    int64_t wall_ahead; /* 0 at first */
    struct engine *engine;
    uint8_t output[65536];
    struct writer writer;
    size_t answered;
};

static inline void client_answered(struct engine_client *client,
                                   const struct engine_decision *decision)
{
    struct bench *bench = (struct bench *)client;
    bench->answered++;
    engine_write(decision, 16380, &bench->writer);
}

static inline struct ruleset *load(const char *text)
{
    struct rules_report *report = calloc(1, sizeof(*report));
    struct rules_set *set = rules_load(slice_of_string(text), 1, report);
    ck_assert_msg(set, "%zu:%.*s", report->problems[0].line, SLICE_ARGS(report->problems[0].text));
    rules_report_free(report);
    free(report);
    return ruleset_create(set);
}

static inline unsigned bench_agents(void *context)
{
    return ((struct bench *)context)->agents;
}

/* agents: how many share the limits where the store fails; 0: there is no store to fall back to. */
static inline struct bench *bench_shared(const char *text, size_t max_pending, unsigned agents)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct ruleset *rules = load(text);
    bench->client.answered = client_answered;
    scripted_open(&bench->store);
    bench->agents = agents ? agents : 1;
    bench->now = NOW;
    bench->local = agents ? store_memory_create(1000, 1 << 20) : NULL;
    bench->engine = engine_create(&(struct engine_options){.store = &bench->store.store,
                                                           .local = bench->local,
                                                           .agents = bench_agents,
                                                           .context = bench,
                                                           .wall_ahead = &bench->wall_ahead,
                                                           .max_pending = max_pending,
                                                           .rules = rules});
    ruleset_release(rules);
    bench->writer = writer_open(bench->output, sizeof(bench->output));
    return bench;
}

static inline struct bench *bench_with(const char *text, size_t max_pending)
{
    return bench_shared(text, max_pending, 0);
}

static inline void bench_close(struct bench *bench)
{
    ck_assert_uint_eq(engine_pending(bench->engine), 0);
    engine_free(bench->engine);
    scripted_close(&bench->store);
    store_free(bench->local);
    free(bench);
}

static inline void write_request(struct writer *w, const char *message, const char *path,
                                 uint8_t client)
{
    struct value src = {.type = VALUE_IPV4, .address = {192, 0, 2, client}};
    struct value text = {.type = VALUE_STRING, .bytes = slice_of_string(path)};
    spop_write_message(w, slice_of_string(message), 3);
    spop_write_argument(w, SLICE("src"), &src);
    spop_write_argument(w, SLICE("unused"), &text);
    spop_write_argument(w, SLICE("path"), &text);
}

static inline enum engine_outcome notify(struct bench *bench, struct slice payload,
                                         uint64_t frame_id)
{
    struct spop_frame frame = {.type = SPOP_FRAME_NOTIFY,
                               .flags = SPOP_FLAG_FIN,
                               .stream_id = 3,
                               .frame_id = frame_id,
                               .payload = payload};
    return engine_notify(bench->engine, &bench->client, &frame, bench->now, 16380, &bench->writer);
}

static inline enum engine_outcome request(struct bench *bench, const char *path, uint8_t client,
                                          uint64_t frame_id)
{
    uint8_t bytes[512];
    struct writer w = writer_open(bytes, sizeof(bytes));
    write_request(&w, "sluice-request", path, client);
    return notify(bench, writer_slice(&w), frame_id);
}

/* The next ACK as "name=value ...", in order. */
static inline const char *next_answer(struct bench *bench, uint64_t frame_id)
{
    static char text[2048];
    struct spop_frame frame;
    struct spop_action action;
    struct slice output = writer_slice(&bench->writer);
    int64_t size = spop_frame_decode(output, 16380, &frame);
    ck_assert_int_gt(size, 0);
    ck_assert_uint_eq(frame.type, SPOP_FRAME_ACK);
    ck_assert_uint_eq(frame.stream_id, 3);
    ck_assert_uint_eq(frame.frame_id, frame_id);
    struct writer w = writer_open(text, sizeof(text) - 1);
    struct cursor c = cursor_open(frame.payload);
    while (spop_next_action(&c, &action)) {
        ck_assert_int_eq(action.scope, SPOP_SCOPE_TRANSACTION);
        writer_bytes(&w, writer_size(&w) ? SLICE(" ") : SLICE(""));
        writer_bytes(&w, action.name);
        writer_uint8(&w, '=');
        value_print(&action.value, &w);
    }
    ck_assert_int_eq(c.error, ERROR_NONE);
    text[writer_size(&w)] = 0;
    memmove(bench->output, bench->output + size, output.size - (size_t)size);
    bench->writer.position -= size;
    return text;
}

static inline void expect(struct bench *bench, const char *path, uint8_t client, const char *answer)
{
    ck_assert_int_eq(request(bench, path, client, 1), ENGINE_ANSWERED);
    ck_assert_str_eq(next_answer(bench, 1), answer);
}
