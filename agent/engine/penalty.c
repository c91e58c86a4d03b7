#include "agent/engine/penalty.h"

#include <stdlib.h>

#include "agent/engine/decision.h"

struct penalty {
    struct store_take take; /* first: the store hands it back */
    SLIST_ENTRY(penalty) next;
    struct engine *engine;
    struct ruleset *rules; /* a reference, once it is on its own */
    const struct rules_rule *rule;
    struct hash128 subject;
    uint64_t now;
    bool marking;
    size_t text_size;
    uint8_t text[];
};

struct penalty *penalty_create(struct penalty_list *list, const struct rules_hit *hit,
                               struct slice text)
{
    struct penalty *penalty = calloc(1, sizeof(*penalty) + text.size);
    if (!penalty)
        return NULL;
    penalty->rule = hit->rule;
    penalty->subject = hit->subject;
    penalty->text_size = text.size;
    if (text.size)
        memcpy(penalty->text, text.data, text.size);
    SLIST_INSERT_HEAD(list, penalty, next);
    return penalty;
}

static void answered(struct store_take *take, enum store_status status);

static void write_subject(const struct store_take *take, struct writer *w)
{
    const struct penalty *penalty = (const struct penalty *)take;
    writer_bytes(w, slice_of(penalty->text, penalty->text_size));
}

static void take_unit(struct penalty *penalty, const struct rules_limit *limit)
{
    penalty->take = (struct store_take){
        .key = rules_key(limit, penalty->subject),
        .limit = &limit->limit,
        .wanted = 1,
        .write_subject = write_subject,
        .name = limit->store_name,
        .answered = answered,
    };
    enum store_status status = store_take(penalty->engine->store, &penalty->take, penalty->now);
    if (status != STORE_PENDING)
        answered(&penalty->take, status);
}

/* Where the store can't say how often it was, there is no penalty. */
static void answered(struct store_take *take, enum store_status status)
{
    struct penalty *penalty = (struct penalty *)take;
    struct engine *engine = penalty->engine;
    bool exceeded = status == STORE_ANSWERED && take->result.granted < take->wanted;
    if (exceeded && !penalty->marking) {
        penalty->marking = true;
        take_unit(penalty, penalty->rule->penalty_mark);
        return;
    }
    /* One that finds the mark set already doesn't set it anew. */
    if (penalty->marking && status == STORE_ANSWERED && !exceeded)
        counter_add(&engine->counters.penalties, 1);
    engine->penalties--;
    ruleset_release(penalty->rules);
    free(penalty);
}

void penalties_end(struct penalty_list *list, struct engine *engine, struct ruleset *rules,
                   uint64_t now,
                   bool (*refused)(const void *context, const struct penalty *penalty),
                   const void *context)
{
    struct penalty *penalty;
    while ((penalty = SLIST_FIRST(list)) != NULL) {
        SLIST_REMOVE_HEAD(list, next);
        if (!refused || !refused(context, penalty) || engine->penalties >= engine->max_pending) {
            free(penalty);
            continue;
        }
        penalty->engine = engine;
        penalty->now = now;
        penalty->rules = ruleset_hold(rules);
        engine->penalties++;
        take_unit(penalty, penalty->rule->penalty_count);
    }
}
