#include <stdlib.h>

#include "agent/engine/comparison.h"
#include "agent/engine/decision.h"
#include "agent/engine/denial.h"
#include "agent/engine/fallback.h"
#include "agent/engine/rule_counters.h"

/* ---- life ---------------------------------------------------------------------------------- */

/* Goes on counting by other rules. */
static bool carry_over_counts(struct engine *engine, struct ruleset *rules)
{
    struct rule_counters *before = engine->rule_counters;
    struct rule_counters *counters = rule_counters_create(rules);
    if (!counters || (before && !rule_counters_add(counters, before))) {
        rule_counters_release(counters);
        return false;
    }
    pthread_mutex_lock(&engine->rule_counters_lock);
    engine->rule_counters = counters;
    pthread_mutex_unlock(&engine->rule_counters_lock);
    rule_counters_release(before);
    return true;
}

bool engine_use(struct engine *engine, struct ruleset *rules)
{
    const struct rules_set *set = rules->set;
    /* At least one of each, since calloc(0) may be NULL. */
    struct value *values = calloc(set->slot_count + 1, sizeof(*values));
    struct rules_hit *hits = calloc(set->rule_count + 1, sizeof(*hits));
    struct rules_matcher *matcher = rules_matcher_create(set);
    if (!values || !hits || !matcher || !carry_over_counts(engine, rules)) {
        rules_matcher_free(matcher);
        free(values);
        free(hits);
        return false;
    }
    rules_matcher_free(engine->matcher);
    engine->regex_overruns = 0;
    memset(engine->positions, 0, sizeof(engine->positions));
    engine->logs_denials = engine->options.denials && set->settings.denial_log;
    free(engine->values);
    free(engine->hits);
    ruleset_hold(rules);
    ruleset_release(engine->rules);
    engine->rules = rules;
    engine->set = set;
    engine->matcher = matcher;
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
    pthread_mutex_init(&engine->rule_counters_lock, NULL);
    if (!engine_use(engine, options->rules)) {
        pthread_mutex_destroy(&engine->rule_counters_lock);
        free(engine);
        return NULL;
    }
    return engine;
}

static void free_decision(struct engine_decision *decision)
{
    if (decision->takes != decision->inline_takes)
        free(decision->takes);
    free(decision->kept);
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
    rules_matcher_free(engine->matcher);
    rule_counters_release(engine->rule_counters);
    pthread_mutex_destroy(&engine->rule_counters_lock);
    ruleset_release(engine->rules);
    free(engine->values);
    free(engine->hits);
    free(engine->text);
    free(engine->parts);
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

void engine_compare(struct engine *engine, struct comparison *comparison)
{
    engine->comparison = comparison;
}

struct rule_counters *engine_rule_counters(struct engine *engine)
{
    pthread_mutex_lock(&engine->rule_counters_lock);
    struct rule_counters *counters = rule_counters_hold(engine->rule_counters);
    pthread_mutex_unlock(&engine->rule_counters_lock);
    return counters;
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
        decision->room = ENGINE_TAKES_INLINE;
    }
    decision->count = 0;
    decision->named = (struct answer_rules){0};
    SLIST_INIT(&decision->penalties);
    decision->rules = NULL;
    decision->request_id.size = 0;
    decision->pair = NULL;
    decision->weight = 0;
    return decision;
}

unsigned engine__sharers(const struct engine *engine)
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
             engine__sharers(engine), take->decision->now);
    if (take->take.result.granted && !take->take.probe)
        counter_add(&counters->fallback_units, take->take.result.granted);
}

static void give_one_back(struct engine *engine, struct engine_take *take)
{
    uint64_t now = take->decision->now;
    if (take->status == STORE_LATE)
        store_withdraw(engine->store, &take->take);
    if (take->sharers)
        fallback_give(engine->options.local, take, now);
    else if (take->status == STORE_ANSWERED && take->take.result.granted)
        store_give(engine->store, &take->take, take->take.result.granted, now);
}

/* All or nothing: a request that one limit refuses is charged to none. Of one that passes, only a
 * limit that would have refused it has granted a part, which is no use. */
static void give_back(struct engine *engine, struct engine_decision *decision)
{
    for (size_t i = 0; i < decision->count; i++) {
        struct engine_take *take = &decision->takes[i];
        if (take->take.probe || take->role == ENGINE_CHARGED)
            continue;
        bool useless =
            decision->answer.allow ? answer_is_refusal(take) : !take->limit->rule->charge_denied;
        if (useless)
            give_one_back(engine, take);
    }
}

/* Whether one of the rule's own limits has refused. */
static bool brings_penalty(const void *context, const struct penalty *penalty)
{
    const struct engine_decision *decision = context;
    for (size_t i = 0; i < decision->count; i++)
        if (decision->takes[i].penalty == penalty && answer_is_refusal(&decision->takes[i]))
            return true;
    return false;
}

static struct ruleset *rules_of(const struct engine_decision *decision)
{
    return decision->rules ? decision->rules : decision->engine->rules;
}

static void count(struct engine_counters *counters, const struct answer *answer)
{
    counter_add(answer->allow ? &counters->allowed : &counters->refused, 1);
    size_t source = answer->reason ? (size_t)answer->reason->take.source : STORE_SOURCES;
    counter_add(&counters->by_source[source][answer->allow], 1);
    if (answer->allow && !answer->reason)
        counter_add(answer->named && answer->named->action == RULES_ACTION_ALLOW
                        ? &counters->bypassed
                        : &counters->unmatched,
                    1);
    if (answer->shadow)
        counter_add(&counters->shadow_refused, 1);
    if (answer->delay)
        counter_add(&counters->delayed, 1);
}

static void conclude(struct engine *engine, struct engine_decision *decision)
{
    const int64_t *ahead = engine->options.wall_ahead;
    decision->answer = answer_choose(decision->takes, decision->count, &decision->named);
    decision->answer.asked_at = decision->now + (ahead ? (uint64_t)*ahead : 0);
    count(&engine->counters, &decision->answer);
    rule_counters_count(engine->rule_counters, rules_of(decision), decision);
    if (!decision->answer.allow && engine->options.denials) {
        uint32_t per_second = rules_of(decision)->set->settings.denial_log;
        if (per_second)
            denial_write(decision, per_second);
    }
    if (decision->weight)
        top_count(engine->options.top, decision, decision->weight);
    give_back(engine, decision);
    if (!SLIST_EMPTY(&decision->penalties))
        penalties_end(&decision->penalties, engine, rules_of(decision), decision->now,
                      brings_penalty, decision);
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
    if (decision->pair)
        comparison__answered(decision);
    set_pending(engine, engine->pending - 1);
    ruleset_release(decision->rules);
    engine__put(decision);
}

static bool stays_charged(const struct engine_take *take)
{
    return take->role == ENGINE_CHARGED || take->limit->rule->charge_denied;
}

/* Where it is known that the request will be refused, nobody needs to be asked of the limits that
 * would grant it: that would be given back. Leaves the takes that refuse, and those that are
 * charged whether or not the request is refused. */
static void drop_needless(struct engine *engine, struct engine_decision *decision)
{
    bool refused = decision->named.denies != NULL;
    for (size_t i = 0; i < decision->count; i++) {
        struct engine_take *take = &decision->takes[i];
        take->refused = take->role == ENGINE_ENFORCED &&
                        store_refuses(engine->store, &take->take, decision->now);
        refused = refused || take->refused;
    }
    if (!refused)
        return;
    size_t kept = 0;
    for (size_t i = 0; i < decision->count; i++)
        if (decision->takes[i].refused || stays_charged(&decision->takes[i]))
            decision->takes[kept++] = decision->takes[i];
    decision->count = kept;
}

/* True when every take was answered at once. */
static bool take_all(struct engine *engine, struct engine_decision *decision)
{
    bool may_wait = engine->pending < engine->max_pending;
    decision->unanswered = 0;
    if (decision->named.denies || (engine->store->operations->refuses && decision->count > 1))
        drop_needless(engine, decision);
    for (size_t i = 0; i < decision->count; i++) {
        struct engine_take *take = &decision->takes[i];
        take->take.answered = take_answered;
        take->take.returns = decision->count > 1 && !take->take.probe && !stays_charged(take);
        take->subject.data = engine->text ? engine->text + take->text_at : NULL;
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

uint64_t engine_begun_at(const struct engine_decision *decision)
{
    return decision->now;
}

void engine_write(const struct engine_decision *decision, uint32_t max_frame_size,
                  struct writer *output)
{
    answer_write(&decision->answer, rules_of(decision)->set->settings.answer, decision->stream_id,
                 decision->frame_id, max_frame_size, output);
}

void engine__put(struct engine_decision *decision)
{
    decision->next = decision->engine->spare;
    decision->engine->spare = decision;
}

/* Reads what is asked. Of outcome ENGINE_PENDING, the store is to be asked. */
static enum engine_outcome begin(struct engine *engine, struct engine_client *client,
                                 const struct spop_frame *notify, uint64_t now,
                                 struct engine_decision **begun)
{
    struct engine_decision *decision = decision_get(engine);
    if (!decision)
        return ENGINE_NO_MEMORY;
    decision->client = client;
    decision->stream_id = notify->stream_id;
    decision->frame_id = notify->frame_id;
    decision->payload = notify->payload;
    decision->now = now;
    decision->weight = engine->options.top ? top_draw(engine->options.top, now) : 0;
    engine->wants_text = engine->options.subjects || engine->logs_denials || decision->weight;
    if (engine->begun_count == 0)
        engine->text_size = engine->part_count = 0;

    enum error error = engine__read(engine, decision, notify->payload);
    if (error) {
        penalties_end(&decision->penalties, engine, engine->rules, now, NULL, NULL);
        engine__put(decision);
        return error == ERROR_NO_MEMORY ? ENGINE_NO_MEMORY : ENGINE_MALFORMED;
    }
    *begun = decision;
    return ENGINE_PENDING;
}

/* Asks the store. False when it answers later. */
static bool ask(struct engine *engine, struct engine_decision *decision)
{
    if (take_all(engine, decision)) {
        conclude(engine, decision);
        return true;
    }
    decision->rules = ruleset_hold(engine->rules);
    if (engine->logs_denials || decision->weight)
        engine__keep_text(decision);
    set_pending(engine, engine->pending + 1);
    return false;
}

enum engine_outcome engine__decide(struct engine *engine, struct engine_client *client,
                                   const struct spop_frame *notify, uint64_t now,
                                   struct engine_decision **made)
{
    enum engine_outcome outcome = begin(engine, client, notify, now, made);
    if (outcome == ENGINE_PENDING && ask(engine, *made))
        outcome = ENGINE_ANSWERED;
    return outcome;
}

static void compare(struct engine *engine, struct engine_decision *decision)
{
    struct spop_frame notify = {.stream_id = decision->stream_id,
                                .frame_id = decision->frame_id,
                                .payload = decision->payload};
    if (engine->comparison)
        comparison__begin(engine->comparison, decision, &notify);
}

enum engine_outcome engine_notify(struct engine *engine, struct engine_client *client,
                                  const struct spop_frame *notify, uint64_t now,
                                  uint32_t max_frame_size, struct writer *output)
{
    struct engine_decision *decision = NULL;
    enum engine_outcome outcome = engine__decide(engine, client, notify, now, &decision);
    if (outcome == ENGINE_ANSWERED)
        engine_write(decision, max_frame_size, output);
    if (decision)
        compare(engine, decision);
    if (outcome == ENGINE_ANSWERED)
        engine__put(decision);
    return outcome;
}

enum engine_outcome engine_begin(struct engine *engine, struct engine_client *client,
                                 const struct spop_frame *notify, uint64_t now)
{
    /* What a store that fetches nothing is asked sooner is answered sooner. */
    size_t most = engine->store->operations->expect ? ENGINE_AHEAD : 1;
    if (engine->begun_count >= most)
        engine_finish(engine);
    struct engine_decision *decision;
    enum engine_outcome outcome = begin(engine, client, notify, now, &decision);
    if (outcome == ENGINE_PENDING)
        engine->begun[engine->begun_count++] = decision;
    return outcome;
}

void engine_finish(struct engine *engine)
{
    size_t count = engine->begun_count;
    engine->begun_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct engine_decision *decision = engine->begun[i];
        bool answered = ask(engine, decision);
        if (answered)
            decision->client->answered(decision->client, decision);
        compare(engine, decision);
        if (answered)
            engine__put(decision);
    }
}
