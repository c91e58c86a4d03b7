#include <stdlib.h>

#include "agent/offline.h"
#include "agent/question.h"
#include "agent/replay.h"
#include "agent/spoe_config.h"

/* Keys that are counted, at most; a power of two twice as large is the table. */
#define KEYS_MAX 500000u
#define TABLE    (1u << 20)

struct named_rule {
    struct slice name;
    const struct replay_rule *rule;
};

struct key {
    struct hash128 hash;
    struct replay_key key;
};

struct replay_run {
    struct rules_set *set; /* the ruleset's */
    struct ruleset *ruleset;
    struct offline offline;
    struct rules_matcher *matcher;
    struct rules_hit *hits;
    struct value *values; /* by slot */
    int *fields;          /* by slot; -1: the log hasn't got it */
    struct spoe_model *model;
    struct replay_rule *rules;
    struct named_rule *named; /* these, in the order of their names */
    struct key *keys;         /* [KEYS_MAX] */
    uint32_t *table;          /* [TABLE]: 0, or an index of keys and 1 */
    size_t key_count;
    bool keys_left_out;
    struct arena texts;
    uint8_t payload[QUESTION_FRAME_MAX];
};

/* ---- life ---------------------------------------------------------------------------------- */

static bool open_engine(struct replay_run *run)
{
    const struct rules_store *store = &run->set->settings.store;
    /* Only what is looked at. */
    run->set->settings.answer = 1u << RULES_ANSWER_ALLOW | 1u << RULES_ANSWER_DENY |
                                1u << RULES_ANSWER_RULE | 1u << RULES_ANSWER_SHADOW |
                                1u << RULES_ANSWER_DELAY_MS;
    return offline_open(&run->offline, run->ruleset, store->max_keys, store->log_memory);
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(((const struct named_rule *)a)->name,
                         ((const struct named_rule *)b)->name);
}

static void sort_rules(struct replay_run *run)
{
    for (size_t i = 0; i < run->set->rule_count; i++)
        run->named[i] = (struct named_rule){run->set->rules[i].name, &run->rules[i]};
    qsort(run->named, run->set->rule_count, sizeof(*run->named), compare_names);
}

static void find_fields(struct replay_run *run, const struct replay_fields *fields)
{
    for (size_t slot = 0; slot < run->set->slot_count; slot++) {
        struct slice name = run->set->slot_names[slot];
        run->fields[slot] = -1;
        for (size_t i = 0; i < fields->count && run->fields[slot] < 0; i++)
            if (slice_equal(fields->names[i], name) ||
                slice_equal(fields->names[i], spoe_usual_name(name)))
                run->fields[slot] = (int)i;
    }
}

struct replay_run *replay_run_create(struct rules_set *set, const struct replay_fields *fields)
{
    struct replay_run *run = calloc(1, sizeof(*run));
    struct ruleset *ruleset = run ? ruleset_create(set) : NULL;
    if (!ruleset) {
        rules_free(set);
        free(run);
        return NULL;
    }
    run->ruleset = ruleset;
    run->set = set;
    run->matcher = rules_matcher_create(set);
    run->hits = calloc(set->rule_count + 1, sizeof(*run->hits));
    run->values = calloc(set->slot_count + 1, sizeof(*run->values));
    run->fields = calloc(set->slot_count + 1, sizeof(*run->fields));
    run->rules = calloc(set->rule_count + 1, sizeof(*run->rules));
    run->named = calloc(set->rule_count + 1, sizeof(*run->named));
    run->keys = calloc(KEYS_MAX, sizeof(*run->keys));
    run->table = calloc(TABLE, sizeof(*run->table));
    run->model = spoe_model_create(set, NULL);
    bool ready = run->matcher && run->hits && run->values && run->fields && run->rules &&
                 run->named && run->keys && run->table && run->model && open_engine(run);
    if (!ready) {
        replay_run_free(run);
        return NULL;
    }
    find_fields(run, fields);
    sort_rules(run);
    return run;
}

void replay_run_free(struct replay_run *run)
{
    if (!run)
        return;
    rules_matcher_free(run->matcher);
    offline_close(&run->offline);
    ruleset_release(run->ruleset);
    free(run->hits);
    free(run->values);
    free(run->fields);
    free(run->rules);
    free(run->named);
    free(run->keys);
    free(run->table);
    free(run->model);
    arena_free(&run->texts);
    free(run);
}

/* ---- whom is refused ----------------------------------------------------------------------- */

/* Where a key is, or is to be. */
static uint32_t *find_place(struct replay_run *run, struct hash128 hash)
{
    uint32_t at = (uint32_t)hash.low & (TABLE - 1);
    while (run->table[at] && !hash128_equal(run->keys[run->table[at] - 1].hash, hash))
        at = (at + 1) & (TABLE - 1);
    return &run->table[at];
}

static void count_key(struct replay_run *run, const struct rules_hit *hit)
{
    struct hash128 hash = hit->subject;
    hash.low ^= (hit->rule->index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    uint32_t *place = find_place(run, hash);
    if (!*place) {
        char text[RULES_SUBJECT_MAX];
        struct writer w = writer_open(text, sizeof(text));
        if (run->key_count == KEYS_MAX) {
            run->keys_left_out = true;
            return;
        }
        rules_subject_text(hit->rule, run->values, &w);
        struct slice kept = arena_copy(&run->texts, writer_slice(&w));
        run->keys[run->key_count] =
            (struct key){hash, {.rule = hit->rule->index, .text = kept.data ? kept : SLICE("?")}};
        *place = (uint32_t)++run->key_count;
    }
    run->keys[*place - 1].key.refused++;
}

size_t replay_run_top(const struct replay_run *run, struct replay_key top[REPLAY_TOP])
{
    size_t count = 0;
    for (size_t i = 0; i < run->key_count; i++) {
        const struct replay_key *key = &run->keys[i].key;
        if (count == REPLAY_TOP && key->refused <= top[count - 1].refused)
            continue;
        size_t at = count < REPLAY_TOP ? count++ : count - 1;
        for (; at > 0 && top[at - 1].refused < key->refused; at--)
            top[at] = top[at - 1];
        top[at] = *key;
    }
    return count;
}

/* ---- requests ------------------------------------------------------------------------------ */

struct answer {
    bool deny;
    bool delayed;
    struct slice rule;
    struct slice shadow;
};

static void read_answer(struct slice payload, struct answer *answer)
{
    struct cursor c = cursor_open(payload);
    struct spop_action action;
    *answer = (struct answer){0};
    while (spop_next_action(&c, &action)) {
        if (slice_equal(action.name, SLICE("deny")))
            answer->deny = action.value.boolean;
        else if (slice_equal(action.name, SLICE("rule")))
            answer->rule = action.value.bytes;
        else if (slice_equal(action.name, SLICE("shadow")))
            answer->shadow = action.value.bytes;
        else if (slice_equal(action.name, SLICE("delay_ms")))
            answer->delayed = true;
    }
}

static bool write_message(struct replay_run *run, const char *message, struct writer *w)
{
    size_t count = 0;
    for (size_t slot = 0; slot < run->set->slot_count; slot++)
        count += run->values[slot].type != VALUE_NULL;
    if (count > QUESTION_ARGUMENTS)
        return false;
    spop_write_message(w, slice_of_string(message), (uint8_t)count);
    for (size_t slot = 0; slot < run->set->slot_count; slot++)
        if (run->values[slot].type != VALUE_NULL)
            spop_write_argument(w, run->set->slot_names[slot], &run->values[slot]);
    return !w->error;
}

/* Which rules apply; the hit of the one that a refusal names, if that counts somebody. */
static const struct rules_hit *count_rules(struct replay_run *run, int message,
                                           const struct answer *answer)
{
    const struct rules_hit *found = NULL;
    size_t count = rules_match(run->matcher, message, run->values, run->hits);
    for (size_t i = 0; i < count; i++) {
        const struct rules_hit *hit = &run->hits[i];
        struct replay_rule *rule = &run->rules[hit->rule->index];
        rule->applied += hit->kind != RULES_HIT_NO_KEY && hit->kind != RULES_HIT_CHARGE;
        rule->charged += hit->kind == RULES_HIT_CHARGE;
        rule->shadow += slice_equal(answer->shadow, hit->rule->name);
        if (!slice_equal(answer->rule, hit->rule->name))
            continue;
        rule->refused += answer->deny;
        rule->delayed += answer->delayed;
        if (answer->deny && hit->kind == RULES_HIT_LIMIT)
            found = hit;
    }
    return found;
}

static enum replay_decision ask(struct replay_run *run, size_t message, uint64_t time)
{
    uint8_t room[OFFLINE_ROOM];
    struct writer payload = writer_open(run->payload, sizeof(run->payload));
    struct slice told;
    struct answer answer;
    if (!write_message(run, run->model->messages[message].name, &payload) ||
        !offline_ask(&run->offline, writer_slice(&payload), time, room, &told))
        return REPLAY_FAILED;
    read_answer(told, &answer);
    const struct rules_hit *hit =
        count_rules(run, run->model->messages[message].numbers[0], &answer);
    if (hit)
        count_key(run, hit);
    return answer.deny ? REPLAY_REFUSED : REPLAY_ALLOWED;
}

enum replay_decision replay_run_request(struct replay_run *run,
                                        const struct replay_request *request)
{
    enum replay_decision decision = REPLAY_ALLOWED;
    for (size_t slot = 0; slot < run->set->slot_count; slot++) {
        int field = run->fields[slot];
        run->values[slot].type = VALUE_NULL;
        if (field >= 0)
            run->values[slot] = request->values[field];
    }
    for (size_t m = 0; m < run->model->message_count; m++) {
        enum replay_decision made = REPLAY_ALLOWED;
        if (run->model->messages[m].phase == SPOE_REQUEST)
            made = ask(run, m, request->time);
        if (made == REPLAY_FAILED)
            return made;
        if (made == REPLAY_REFUSED)
            decision = made;
    }
    /* What is refused has no response of a server's. */
    for (size_t m = 0; decision == REPLAY_ALLOWED && m < run->model->message_count; m++)
        if (run->model->messages[m].phase == SPOE_RESPONSE &&
            ask(run, m, request->time) == REPLAY_FAILED)
            return REPLAY_FAILED;
    return decision;
}

/* ---- what has become of it ----------------------------------------------------------------- */

const struct rules_set *replay_run_set(const struct replay_run *run)
{
    return run->set;
}

const struct replay_rule *replay_run_rules(const struct replay_run *run)
{
    return run->rules;
}

const struct replay_rule *replay_run_rule(const struct replay_run *run, struct slice name)
{
    const struct named_rule *found =
        bsearch(&(struct named_rule){.name = name}, run->named, run->set->rule_count,
                sizeof(*run->named), compare_names);
    return found ? found->rule : NULL;
}

int replay_run_field(const struct replay_run *run, uint32_t slot)
{
    return run->fields[slot];
}

bool replay_run_asks(const struct replay_run *run, const struct rules_rule *rule)
{
    for (size_t m = 0; m < run->model->message_count; m++)
        if (run->model->messages[m].numbers[0] == rule->message &&
            run->model->messages[m].phase == SPOE_CONNECTION)
            return false;
    return true;
}

uint64_t replay_run_full(const struct replay_run *run)
{
    return counter_read(&engine_counters(run->offline.engine)->store_full);
}

bool replay_run_keys_left_out(const struct replay_run *run)
{
    return run->keys_left_out;
}
