#include <stdlib.h>

#include "agent/engine/decision.h"
#include "agent/engine/denial.h"

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
    size_t room = 2 * engine->text_room + 4 * (size_t)RULES_SUBJECT_MAX;
    uint8_t *text = realloc(engine->text, room);
    if (!text)
        return false;
    engine->text = text;
    engine->text_room = room;
    return true;
}

/* Writes whom a hit counts, where people want to read it, or a penalty may outlast the message. */
static bool add_text(struct engine *engine, const struct rules_hit *hit)
{
    bool for_penalty = hit->rule->penalty_mark && engine->store->operations->names_keys;
    if (!engine->wants_text && !for_penalty)
        return true;
    if (!grow_text(engine))
        return false;
    struct writer w = writer_open(engine->text + engine->text_size, RULES_SUBJECT_MAX);
    rules_subject_text(hit->rule, engine->values, &w);
    engine->text_size += writer_size(&w);
    return true;
}

/* Keeps what says whom a hit counts, which the next message overwrites, where the store may want
 * it: mostly it knows the key, and writing the text would be a large part of a decision. */
static bool add_parts(struct engine *engine, const struct rules_hit *hit)
{
    if (!engine->store->operations->names_keys)
        return true;
    if (engine->part_room - engine->part_count < RULES_MAX_KEY_PARTS) {
        size_t room = 2 * engine->part_room + 4 * (size_t)RULES_MAX_KEY_PARTS;
        struct value *larger = reallocarray(engine->parts, room, sizeof(*larger));
        if (!larger)
            return false;
        engine->parts = larger;
        engine->part_room = room;
    }
    rules_subject_parts(hit->rule, engine->values, engine->parts + engine->part_count);
    engine->part_count += hit->rule->key_count;
    return true;
}

/* Whom a hit counts: where its text is, and what it is made of. */
struct subject {
    size_t text_at;
    size_t text_size;
    size_t parts_at;
};

static bool add_subject(struct engine *engine, const struct rules_hit *hit, struct subject *subject)
{
    *subject = (struct subject){.text_at = engine->text_size, .parts_at = engine->part_count};
    if (!add_text(engine, hit) || !add_parts(engine, hit))
        return false;
    subject->text_size = engine->text_size - subject->text_at;
    return true;
}

static void write_subject(const struct store_take *store_take, struct writer *w)
{
    const struct engine_take *take = (const struct engine_take *)store_take;
    const struct value *parts = take->decision->engine->parts;
    rules_subject_write(take->limit->rule, parts + take->parts_at, w);
}

static bool make_room(struct engine_decision *decision, size_t size)
{
    if (size <= decision->kept_room)
        return true;
    uint8_t *larger = realloc(decision->kept, size);
    if (!larger)
        return false;
    decision->kept = larger;
    decision->kept_room = size;
    return true;
}

/* The subjects, as they are in the engine's text, and the id behind them. */
void engine__keep_text(struct engine_decision *decision)
{
    const struct engine *engine = decision->engine;
    size_t size = engine->text_size;
    if (!make_room(decision, size + decision->request_id.size + 1)) {
        decision->request_id.size = 0;
        for (size_t i = 0; i < decision->count; i++)
            decision->takes[i].subject.size = 0;
        return;
    }
    if (size)
        memcpy(decision->kept, engine->text, size);
    if (decision->request_id.size)
        memcpy(decision->kept + size, decision->request_id.data, decision->request_id.size);
    decision->request_id.data = decision->kept + size;
    for (size_t i = 0; i < decision->count; i++)
        decision->takes[i].subject.data = decision->kept + decision->takes[i].text_at;
}

static enum engine_role role_of(const struct rules_hit *hit)
{
    if (hit->kind == RULES_HIT_CHARGE)
        return ENGINE_CHARGED;
    return hit->enforced ? ENGINE_ENFORCED : ENGINE_SHADOW;
}

/* What is charged has been used already: of more than is left, what is left. */
static uint64_t wanted_of(const struct rules_hit *hit, const struct limit *limit)
{
    uint64_t most = limit->units ? limit_capacity(limit) : hit->cost;
    return hit->kind == RULES_HIT_CHARGE && hit->cost > most ? most : hit->cost;
}

static struct engine_take *add_take(struct engine_decision *decision, const struct rules_hit *hit,
                                    const struct rules_limit *limit, const struct subject *subject)
{
    struct engine_take *take = &decision->takes[decision->count++];
    *take = (struct engine_take){
        .take = {.key = rules_key(limit, hit->subject),
                 .limit = &limit->limit,
                 .wanted = wanted_of(hit, &limit->limit),
                 .probe = hit->kind == RULES_HIT_LIMIT && hit->rule->charged_later,
                 .partial = hit->kind == RULES_HIT_CHARGE,
                 .leased = hit->rule->consistency == RULES_LEASED,
                 .write_subject = write_subject,
                 .name = limit->store_name},
        .limit = limit,
        .decision = decision,
        .role = role_of(hit),
        .subject = {NULL, subject->text_size},
        .text_at = subject->text_at,
        .parts_at = subject->parts_at,
    };
    store_expect(decision->engine->store, take->take.key);
    return take;
}

/* What the hit's own limits need, and whether the subject is being penalised. */
static bool add_penalty(struct engine_decision *decision, const struct rules_hit *hit,
                        const struct subject *subject, const struct penalty **penalty)
{
    const struct engine *engine = decision->engine;
    *penalty = NULL;
    if (!hit->rule->penalty_mark || hit->kind != RULES_HIT_LIMIT || !hit->enforced)
        return true;
    struct slice text =
        slice_of(engine->text ? engine->text + subject->text_at : NULL, subject->text_size);
    *penalty = penalty_create(&decision->penalties, hit, text);
    if (!*penalty)
        return false;
    struct engine_take *mark = add_take(decision, hit, hit->rule->penalty_mark, subject);
    mark->take.wanted = 1;
    mark->take.probe = true;
    return true;
}

static bool add_limits(struct engine *engine, struct engine_decision *decision,
                       const struct rules_hit *hit)
{
    struct subject subject;
    const struct penalty *penalty;
    if (hit->limit_count == 0) {
        if (hit->kind == RULES_HIT_LIMIT && !decision->named.unlimited)
            decision->named.unlimited = hit->rule;
        return true;
    }
    if (!decision_grow(decision, decision->count + hit->limit_count + 1) ||
        !add_subject(engine, hit, &subject) || !add_penalty(decision, hit, &subject, &penalty))
        return false;
    for (size_t i = 0; i < hit->limit_count; i++)
        add_take(decision, hit, &hit->limits[i], &subject)->penalty = penalty;
    return true;
}

static bool add_hit(struct engine *engine, struct engine_decision *decision,
                    const struct rules_hit *hit)
{
    struct answer_rules *named = &decision->named;
    switch (hit->kind) {
    case RULES_HIT_NO_KEY:
        counter_add(&engine->counters.key_absent, 1);
        return true;
    case RULES_HIT_ALLOW:
        named->allows = named->allows ? named->allows : hit->rule;
        return true;
    case RULES_HIT_DENY:
        named->denies = named->denies ? named->denies : hit->rule;
        return true;
    case RULES_HIT_LIMIT:
    case RULES_HIT_CHARGE:
        return add_limits(engine, decision, hit);
    }
    return true;
}

/* Messages name their arguments in the same order again and again, so that a look at the name that
 * came at this place last mostly saves looking it up. -1: no rule has it. */
static int slot_of(struct engine *engine, size_t place, struct slice name)
{
    struct engine_position *last = &engine->positions[place % ENGINE_POSITIONS];
    if (name.size && slice_equal(slice_of(last->name, last->name_size), name))
        return last->slot;
    int slot = rules_slot(engine->set, name);
    if (name.size && name.size <= sizeof(last->name)) {
        last->slot = slot;
        last->name_size = (uint8_t)name.size;
        memcpy(last->name, name.data, name.size);
    }
    return slot;
}

/* Reads one message's arguments into the slots. */
static enum error read_arguments(struct engine *engine, struct engine_decision *decision,
                                 struct cursor *c, struct spop_message *message)
{
    struct spop_argument argument;
    for (size_t i = 0; i < engine->set->slot_count; i++)
        engine->values[i].type = VALUE_NULL;
    for (size_t i = 0; spop_next_argument(c, message, &argument); i++) {
        int slot = slot_of(engine, i, argument.name);
        if (slot >= 0)
            engine->values[slot] = argument.value;
        if (engine->logs_denials)
            denial_note(decision, &argument);
    }
    return c->error;
}

/* What the rules of one message ask goes into the decision. */
static enum error match_message(struct engine *engine, struct engine_decision *decision,
                                struct cursor *c, struct spop_message *message)
{
    enum error error = read_arguments(engine, decision, c, message);
    if (error)
        return error;
    size_t hits = rules_match(engine->matcher, rules_message(engine->set, message->name),
                              engine->values, engine->hits);
    for (size_t i = 0; i < hits; i++)
        if (!add_hit(engine, decision, &engine->hits[i]))
            return ERROR_NO_MEMORY;
    return ERROR_NONE;
}

/* The matcher's count ends with the rule set, and is no other thread's to read. */
static void count_overruns(struct engine *engine)
{
    uint64_t overruns = rules_regex_overruns(engine->matcher);
    if (overruns == engine->regex_overruns)
        return;
    counter_add(&engine->counters.regex_overruns, overruns - engine->regex_overruns);
    engine->regex_overruns = overruns;
}

enum error engine__read(struct engine *engine, struct engine_decision *decision,
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
    count_overruns(engine);
    return c.error;
}

static bool has_counter(const struct engine_decision *decision, const struct rules_limit *limit)
{
    for (size_t i = 0; i < decision->count; i++)
        if (hash128_equal(decision->takes[i].limit->identity, limit->identity))
            return true;
    return false;
}

/* All that a rule counts a subject in, each counter once. */
static bool add_counters(struct engine *engine, struct engine_decision *decision,
                         const struct rules_hit *hit)
{
    const struct rules_rule *rule = hit->rule;
    struct subject subject;
    if (!decision_grow(decision, RULES_MAX_COUNTERS + 2) || !add_subject(engine, hit, &subject))
        return false;
    if (rule->penalty_mark) {
        add_take(decision, hit, rule->penalty_mark, &subject);
        add_take(decision, hit, rule->penalty_count, &subject);
    }
    for (size_t i = 0; i < rule->list_count; i++)
        for (size_t j = 0; j < rule->lists[i].count; j++)
            if (!has_counter(decision, &rule->lists[i].limits[j]) &&
                decision->count < RULES_MAX_COUNTERS + 2)
                add_take(decision, hit, &rule->lists[i].limits[j], &subject);
    return true;
}

enum error engine__read_rule(struct engine *engine, struct engine_decision *decision,
                             const struct rules_rule *rule, struct slice payload, bool every)
{
    struct cursor c = cursor_open(payload);
    struct spop_message message = {0};
    struct rules_hit hit;
    enum error error =
        spop_next_message(&c, &message) ? read_arguments(engine, decision, &c, &message) : c.error;
    if (error)
        return error;
    rules_apply(engine->matcher, rule, engine->values, &hit);
    if (hit.kind != RULES_HIT_LIMIT)
        return ERROR_RANGE;
    bool added = every ? add_counters(engine, decision, &hit) : add_limits(engine, decision, &hit);
    return added ? ERROR_NONE : ERROR_NO_MEMORY;
}
