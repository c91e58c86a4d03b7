#include "agent/offline.h"

#include "agent/question.h"

bool offline_open(struct offline *offline, struct ruleset *rules, uint64_t max_keys,
                  uint64_t log_memory)
{
    *offline = (struct offline){.store = store_memory_create(max_keys, log_memory)};
    if (offline->store)
        offline->engine = engine_create(
            &(struct engine_options){.store = offline->store, .max_pending = 1, .rules = rules});
    return offline->engine != NULL;
}

void offline_close(struct offline *offline)
{
    engine_free(offline->engine);
    store_free(offline->store);
}

static void never(struct engine_client *client, const struct engine_decision *decision)
{
    (void)client; /* the memory store answers at once */
    (void)decision;
}

bool offline_ask(struct offline *offline, struct slice payload, uint64_t now,
                 uint8_t room[OFFLINE_ROOM], struct slice *answer)
{
    static struct engine_client client = {never};
    struct writer output = writer_open(room, OFFLINE_ROOM);
    struct spop_frame ack;
    struct spop_frame notify = {
        .type = SPOP_FRAME_NOTIFY,
        .flags = SPOP_FLAG_FIN,
        .stream_id = 1,
        .frame_id = 1,
        .payload = payload,
    };
    if (engine_notify(offline->engine, &client, &notify, now, QUESTION_FRAME_MAX, &output) !=
            ENGINE_ANSWERED ||
        spop_frame_decode(writer_slice(&output), QUESTION_FRAME_MAX, &ack) <= 0)
        return false;
    *answer = ack.payload;
    return true;
}
