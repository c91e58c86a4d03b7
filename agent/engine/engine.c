#include <stdlib.h>

#include "agent/engine/answer.h"
#include "agent/engine/engine.h"
#include "agent/engine/fallback.h"

/* Takes that a decision holds without memory of its own; few requests are subject to more. */
#define TAKES_INLINE 4

struct engine_decision {
    struct engine *engine;
    struct engine_client *client;
    struct ruleset *rules; /* a reference while pending; else the engine's own is good enough */
    uint64_t stream_id;
    uint64_t frame_id;
    uint64_t now;
    const struct rules_rule *bypass;
    size_t count;
    size_t unanswered;
    struct answer answer;
    struct engine_take *takes; /* inline_takes or memory of its own */
    size_t room;
    struct engine_take inline_takes[TAKES_INLINE];
    struct engine_decision *next; /* of those not in use */
};

struct engine {
    struct engine_options options;
    struct store *store;
    struct ruleset *rules;
    const struct rules_set *set; /* rules->set */
    size_t max_pending;
    size_t pending;
    struct engine_decision *spare;
    struct value *values;   /* by slot */
    struct rules_hit *hits; /* by rule */
    uint8_t *text;          /* the subjects of the decision that is being begun */
    size_t text_size;
    size_t text_room;
    struct engine_counters counters;
};

/* ---- rule sets ----------------------------------------------------------------------------- */

struct ruleset *ruleset_create(struct rules_set *set)
{
    struct ruleset *ruleset = calloc(1, sizeof(*ruleset));
    if (!ruleset)
        return NULL;
    ruleset->set = set;
    atomic_init(&ruleset->references, 1);
    return ruleset;
}

struct ruleset *ruleset_hold(struct ruleset *ruleset)
{
    atomic_fetch_add(&ruleset->references, 1);
    return ruleset;
}

void ruleset_release(struct ruleset *ruleset)
{
    if (!ruleset || atomic_fetch_sub(&ruleset->references, 1) != 1)
        return;
    rules_free(ruleset->set);
    free(ruleset);
}

/* ---- life ---------------------------------------------------------------------------------- */

bool engine_use(struct engine *engine, struct ruleset *rules)
{
    const struct rules_set *set = rules->set;
    /* At least one of each, since calloc(0) may be NULL. */
    struct value *values = calloc(set->slot_count + 1, sizeof(*values));
    struct rules_hit *hits = calloc(set->rule_count + 1, sizeof(*hits));
    if (!values || !hits) {
        free(values);
        free(hits);
        return false;
    }
    free(engine->values);
    free(engine->hits);
    ruleset_hold(rules);
    ruleset_release(engine->rules);
    engine->rules = rules;
    engine->set = set;
    engine->values = values;
    engine->hits = hits;
    return true;
}

struct engine *engine_create(const struct engine_options *options)
{
    struct engine *engine = calloc(1, sizeof(*engine));
    if (!engine)
        return NULL;
    engine->options = *options;
    engine->options.rules = NULL; /* no reference of ours */
    engine->store = options->store;
    engine->max_pending = options->max_pending;
    if (!engine_use(engine, options->rules)) {
        free(engine);
        return NULL;
    }
    return engine;
}

static void free_decision(struct engine_decision *decision)
{
    if (decision->takes != decision->inline_takes)
        free(decision->takes);
    free(decision);
}

void engine_free(struct engine *engine)
{
    if (!engine)
        return;
    while (engine->spare) {
        struct engine_decision *decision = engine->spare;
        engine->spare = decision->next;
        free_decision(decision);
    }
    ruleset_release(engine->rules);
    free(engine->values);
    free(engine->hits);
    free(engine->text);
    free(engine);
}

const struct rules_settings *engine_settings(const struct engine *engine)
{
    return &engine->set->settings;
}

const struct engine_counters *engine_counters(const struct engine *engine)
{
    return &engine->counters;
}

size_t engine_pending(const struct engine *engine)
{
    return engine->pending;
}

/* ---- decisions ----------------------------------------------------------------------------- */

static struct engine_decision *decision_get(struct engine *engine)
{
    struct engine_decision *decision = engine->spare;
    if (decision) {
        engine->spare = decision->next;
    } else {
        decision = calloc(1, sizeof(*decision));
        if (!decision)
            return NULL;
        decision->engine = engine;
        decision->takes = decision->inline_takes;
        decision->room = TAKES_INLINE;
    }
    decision->count = 0;
    decision->bypass = NULL;
    decision->rules = NULL;
    return decision;
}

static void decision_put(struct engine_decision *decision)
{
    decision->next = decision->engine->spare;
    decision->engine->spare = decision;
}

static bool decision_grow(struct engine_decision *decision, size_t count)
{
    if (count <= decision->room)
        return true;
    bool own = decision->takes != decision->inline_takes;
    if (count < 2 * decision->room)
        count = 2 * decision->room;
    struct engine_take *takes =
        reallocarray(own ? decision->takes : NULL, count, sizeof(*decision->takes));
    if (!takes)
        return false;
    if (!own)
        memcpy(takes, decision->inline_takes, decision->count * sizeof(*takes));
    decision->takes = takes;
    decision->room = count;
    return true;
}

/* Room for one more subject. */
static bool grow_text(struct engine *engine)
{
    if (engine->text_room - engine->text_size >= RULES_SUBJECT_MAX)
        return true;
    size_t room = 2 * engine->text_room + 4 * RULES_SUBJECT_MAX;
    uint8_t *text = realloc(engine->text, room);
    if (!text)
        return false;
    engine->text = text;
    engine->text_room = room;
    return true;
}

/* Writes whom a hit counts, for a store whose keys others read; only the values, which the next
 * message overwrites, can say it. */
static bool add_text(struct engine *engine, const struct rules_hit *hit)
{
    if (!engine->store->operations->names_keys)
        return true;
    if (!grow_text(engine))
        return false;
    struct writer w = writer_open(engine->text + engine->text_size, RULES_SUBJECT_MAX);
    rules_subject_text(hit->rule, engine->values, &w);
    engine->text_size += writer_size(&w);
    return true;
}

static bool add_limits(struct engine *engine, struct engine_decision *decision,
                       const struct rules_hit *hit)
{
    size_t text_at = engine->text_size;
    if (!decision_grow(decision, decision->count + hit->limit_count) || !add_text(engine, hit))
        return false;
    for (size_t i = 0; i < hit->limit_count; i++) {
        const struct rules_limit *limit = &hit->limits[i];
        decision->takes[decision->count++] = (struct engine_take){
            .take = {.key = rules_key(limit, hit->subject),
                     .limit = &limit->limit,
                     .wanted = hit->cost,
                     .leased = hit->rule->consistency == RULES_LEASED,
                     .subject = {NULL, engine->text_size - text_at},
                     .name = limit->store_name},
            .limit = limit,
            .decision = decision,
            .text_at = text_at,
        };
    }
    return true;
}

/* Reads one message's arguments into the slots, and what its rules ask into the decision. */
static enum error match_message(struct engine *engine, struct engine_decision *decision,
                                struct cursor *c, struct spop_message *message)
{
    const struct rules_set *set = engine->set;
    struct spop_argument argument;

    for (size_t i = 0; i < set->slot_count; i++)
        engine->values[i].type = VALUE_NULL;
    while (spop_next_argument(c, message, &argument)) {
        int slot = rules_slot(set, argument.name);
        if (slot >= 0)
            engine->values[slot] = argument.value;
    }
    if (c->error)
        return c->error;

    size_t hits = rules_match(set, rules_message(set, message->name), engine->values, engine->hits);
    for (size_t i = 0; i < hits; i++) {
        const struct rules_hit *hit = &engine->hits[i];
        if (hit->kind == RULES_HIT_NO_KEY)
            counter_add(&engine->counters.key_absent, 1);
        else if (hit->kind == RULES_HIT_ALLOW)
            decision->bypass = decision->bypass ? decision->bypass : hit->rule;
        else if (!add_limits(engine, decision, hit))
            return ERROR_NO_MEMORY;
    }
    return ERROR_NONE;
}

/* All messages are read before anything is charged, so a NOTIFY that turns out malformed at its end
 * has cost nobody anything. */
static enum error match_notify(struct engine *engine, struct engine_decision *decision,
                               struct slice payload)
{
    struct cursor c = cursor_open(payload);
    struct spop_message message = {0};
    size_t count = 0;
    while (spop_next_message(&c, &message)) {
        if (++count > ENGINE_MESSAGES_MAX)
            return ERROR_RANGE;
        enum error error = match_message(engine, decision, &c, &message);
        if (error)
            return error;
    }
    return c.error;
}

static unsigned sharers_of(const struct engine *engine)
{
    return engine->options.agents ? engine->options.agents(engine->options.context) : 1;
}

static void settle(struct engine *engine, struct engine_take *take, enum store_status status)
{
    struct engine_counters *counters = &engine->counters;
    struct counter *const counter_of[] = {
        [STORE_FULL] = &counters->store_full,
        [STORE_UNAVAILABLE] = &counters->store_unavailable,
        [STORE_LATE] = &counters->store_late,
    };
    take->status = status;
    take->sharers = 0;
    if (status == STORE_ANSWERED)
        return;
    counter_add(counter_of[status], 1);
    fallback(&(struct fallback_stores){engine->store, engine->options.local}, take,
             sharers_of(engine), take->decision->now);
    if (take->take.result.granted)
        counter_add(&counters->fallback_units, take->take.result.granted);
}

/* All or nothing: a request that one limit refuses is charged to none. */
static void give_back(struct engine *engine, struct engine_decision *decision)
{
    for (size_t i = 0; i < decision->count; i++) {
        struct engine_take *take = &decision->takes[i];
        if (take->limit->rule->charge_denied)
            continue;
        if (take->status == STORE_LATE)
            store_withdraw(engine->store, &take->take);
        if (take->sharers)
            fallback_give(engine->options.local, take, decision->now);
        else if (take->status == STORE_ANSWERED && take->take.result.granted)
            store_give(engine->store, &take->take, take->take.result.granted, decision->now);
    }
}

static void conclude(struct engine *engine, struct engine_decision *decision)
{
    struct engine_counters *counters = &engine->counters;
    decision->answer = answer_choose(decision->takes, decision->count, decision->bypass);
    if (decision->answer.allow) {
        counter_add(&counters->allowed, 1);
        if (!decision->answer.reason)
            counter_add(decision->bypass ? &counters->bypassed : &counters->unmatched, 1);
    } else {
        counter_add(&counters->refused, 1);
        give_back(engine, decision);
    }
}

static void set_pending(struct engine *engine, size_t pending)
{
    engine->pending = pending;
    counter_set(&engine->counters.pending, pending);
}

static void take_answered(struct store_take *store_take, enum store_status status)
{
    struct engine_take *take = (struct engine_take *)store_take;
    struct engine_decision *decision = take->decision;
    struct engine *engine = decision->engine;

    settle(engine, take, status);
    if (--decision->unanswered)
        return;
    conclude(engine, decision);
    decision->client->answered(decision->client, decision);
    set_pending(engine, engine->pending - 1);
    ruleset_release(decision->rules);
    decision_put(decision);
}

/* Where it is known that one of the limits refuses, nobody needs to be asked of the others: what
 * they granted would be given back. Leaves the takes that refuse, and those that are charged
 * whether or not the request is refused. */
static void drop_needless(struct engine *engine, struct engine_decision *decision)
{
    bool refused = false;
    for (size_t i = 0; i < decision->count; i++) {
        struct engine_take *take = &decision->takes[i];
        take->refused = store_refuses(engine->store, &take->take, decision->now);
        refused = refused || take->refused;
    }
    if (!refused)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < decision->count; i++)
        if (decision->takes[i].refused || decision->takes[i].limit->rule->charge_denied)
            decision->takes[kept++] = decision->takes[i];
    decision->count = kept;
}

/* True when every take was answered at once. */
static bool take_all(struct engine *engine, struct engine_decision *decision)
{
    bool may_wait = engine->pending < engine->max_pending;
    decision->unanswered = 0;
    if (engine->store->operations->refuses && decision->count > 1)
        drop_needless(engine, decision);
    for (size_t i = 0; i < decision->count; i++) {
        struct engine_take *take = &decision->takes[i];
        take->take.answered = take_answered;
        take->take.subject.data = engine->text ? engine->text + take->text_at : NULL;
        enum store_status status = take->refused ? STORE_ANSWERED : STORE_UNAVAILABLE;
        if (may_wait && !take->refused)
            status = store_take(engine->store, &take->take, decision->now);
        if (status == STORE_PENDING)
            decision->unanswered++;
        else
            settle(engine, take, status);
    }
    if (!may_wait && decision->count)
        counter_add(&engine->counters.pending_full, 1);
    return decision->unanswered == 0;
}

void engine_write(const struct engine_decision *decision, uint32_t max_frame_size,
                  struct writer *output)
{
    const struct ruleset *rules = decision->rules ? decision->rules : decision->engine->rules;
    answer_write(&decision->answer, rules->set->settings.answer, decision->stream_id,
                 decision->frame_id, max_frame_size, output);
}

enum engine_outcome engine_notify(struct engine *engine, struct engine_client *client,
                                  const struct spop_frame *notify, uint64_t now,
                                  uint32_t max_frame_size, struct writer *output)
{
    struct engine_decision *decision = decision_get(engine);
    if (!decision)
        return ENGINE_NO_MEMORY;
    decision->client = client;
    decision->stream_id = notify->stream_id;
    decision->frame_id = notify->frame_id;
    decision->now = now;
    engine->text_size = 0;

    enum error error = match_notify(engine, decision, notify->payload);
    if (error) {
        decision_put(decision);
        return error == ERROR_NO_MEMORY ? ENGINE_NO_MEMORY : ENGINE_MALFORMED;
    }
    if (!take_all(engine, decision)) {
        decision->rules = ruleset_hold(engine->rules);
        set_pending(engine, engine->pending + 1);
        return ENGINE_PENDING;
    }
    conclude(engine, decision);
    engine_write(decision, max_frame_size, output);
    decision_put(decision);
    return ENGINE_ANSWERED;
}
