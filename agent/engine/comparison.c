#include "agent/engine/comparison.h"

#include <stdlib.h>

#include "agent/engine/decision.h"

/* The subjects of a decision, of which the one that is logged is nearly always the first. */
#define TEXT_MAX ((size_t)2 * RULES_SUBJECT_MAX)

/* What one of the two says. A copy: its rules may be gone before the other is in. */
struct verdict {
    bool is_in;
    bool allow;
    uint8_t rule_size; /* 0: no rule decided */
    char rule[RULES_NAME_MAX];
};

struct comparison_pair {
    struct engine_client client; /* first: the candidate's engine hands it back */
    struct comparison *comparison;
    struct engine_decision *active; /* while it is pending; else NULL */
    struct verdict verdicts[COMPARISON_SIDES];
    bool fell_back;
    struct slice subject; /* in text: that of the limit that the candidate reports */
    size_t text_size;
    uint8_t text[TEXT_MAX];
    LIST_ENTRY(comparison_pair) link; /* of those that wait, or of those not in use */
};

LIST_HEAD(pair_list, comparison_pair);

struct comparison {
    struct comparison_options options;
    struct engine *engine; /* the candidate's */
    bool ended;
    size_t waiting;
    struct pair_list pairs; /* that wait */
    struct pair_list spare;
};

/* ---- the end of a pair --------------------------------------------------------------------- */

static struct slice rule_of(const struct verdict *verdict)
{
    return slice_of(verdict->rule, verdict->rule_size);
}

static const char *word_of(const struct verdict *verdict)
{
    return verdict->allow ? "allow" : "refuse";
}

static void differ(const struct comparison_pair *pair)
{
    static struct log_limiter limiter;
    const struct comparison_options *options = &pair->comparison->options;
    const struct verdict *active = &pair->verdicts[COMPARISON_ACTIVE];
    const struct verdict *candidate = &pair->verdicts[COMPARISON_CANDIDATE];
    enum comparison_side side = active->allow ? COMPARISON_CANDIDATE : COMPARISON_ACTIVE;
    /* A refusal is always a rule's. */
    size_t index = comparison_rules_index(options->rules, side, rule_of(&pair->verdicts[side]));
    counter_add(&options->counters->differences[index], 1);
    log_limited(
        &limiter, LOG_INFO, "the candidate differs", LOG_STRING("active", word_of(active)),
        LOG_SLICE("active_rule", rule_of(active)), LOG_STRING("candidate", word_of(candidate)),
        LOG_SLICE("candidate_rule", rule_of(candidate)), LOG_SLICE("subject", pair->subject));
}

static void conclude(const struct comparison_pair *pair)
{
    struct comparison_counters *counters = pair->comparison->options.counters;
    bool active = pair->verdicts[COMPARISON_ACTIVE].allow;
    bool candidate = pair->verdicts[COMPARISON_CANDIDATE].allow;
    if (pair->comparison->ended) {
        counter_add(&counters->skipped[COMPARISON_ENDED], 1);
        return;
    }
    counter_add(&counters->decisions[active][candidate], 1);
    if (pair->fell_back)
        counter_add(&counters->fallbacks, 1);
    if (active != candidate)
        differ(pair);
}

static void note(struct comparison_pair *pair, enum comparison_side side,
                 const struct engine_decision *decision)
{
    struct verdict *verdict = &pair->verdicts[side];
    const struct answer *answer = &decision->answer;
    const struct rules_rule *rule = answer->reason ? answer->reason->limit->rule : answer->named;
    verdict->is_in = true;
    verdict->allow = answer->allow;
    verdict->rule_size = rule ? (uint8_t)rule->name.size : 0;
    if (rule)
        memcpy(verdict->rule, rule->name.data, rule->name.size);
}

static void note_candidate(struct comparison_pair *pair, const struct engine_decision *decision)
{
    const struct engine_take *reason = decision->answer.reason;
    note(pair, COMPARISON_CANDIDATE, decision);
    pair->fell_back = false;
    for (size_t i = 0; i < decision->count; i++)
        pair->fell_back |= decision->takes[i].status != STORE_ANSWERED;
    pair->subject = slice_of(NULL, 0);
    if (reason && reason->text_at <= pair->text_size &&
        reason->subject.size <= pair->text_size - reason->text_at)
        pair->subject = slice_of(pair->text + reason->text_at, reason->subject.size);
}

static bool is_whole(const struct comparison_pair *pair)
{
    return pair->verdicts[COMPARISON_ACTIVE].is_in && pair->verdicts[COMPARISON_CANDIDATE].is_in;
}

/* ---- pairs --------------------------------------------------------------------------------- */

static void candidate_answered(struct engine_client *client,
                               const struct engine_decision *decision);

static struct comparison_pair *pair_get(struct comparison *comparison)
{
    struct comparison_pair *pair = LIST_FIRST(&comparison->spare);
    if (pair) {
        LIST_REMOVE(pair, link);
        return pair;
    }
    pair = calloc(1, sizeof(*pair));
    if (pair) {
        pair->client.answered = candidate_answered;
        pair->comparison = comparison;
    }
    return pair;
}

static void pair_put(struct comparison_pair *pair)
{
    pair->verdicts[COMPARISON_ACTIVE].is_in = false;
    pair->verdicts[COMPARISON_CANDIDATE].is_in = false;
    pair->active = NULL;
    LIST_INSERT_HEAD(&pair->comparison->spare, pair, link);
}

/* A pair that has waited, for one of its two. */
static void came_in(struct comparison_pair *pair)
{
    if (!is_whole(pair))
        return;
    LIST_REMOVE(pair, link);
    pair->comparison->waiting--;
    conclude(pair);
    pair_put(pair);
}

static void candidate_answered(struct engine_client *client, const struct engine_decision *decision)
{
    struct comparison_pair *pair = (struct comparison_pair *)client;
    note_candidate(pair, decision);
    came_in(pair);
}

void comparison__answered(struct engine_decision *active)
{
    struct comparison_pair *pair = active->pair;
    active->pair = NULL;
    pair->active = NULL;
    note(pair, COMPARISON_ACTIVE, active);
    came_in(pair);
}

static void skip(struct comparison *comparison, enum comparison_skip why)
{
    counter_add(&comparison->options.counters->skipped[why], 1);
}

/* The subjects of the decision that the engine has begun last, as far as there is room. */
static void keep_text(struct comparison_pair *pair, const struct engine *engine)
{
    pair->text_size = engine->text_size < TEXT_MAX ? engine->text_size : TEXT_MAX;
    if (pair->text_size)
        memcpy(pair->text, engine->text, pair->text_size);
}

void comparison__begin(struct comparison *comparison, struct engine_decision *active,
                       const struct spop_frame *notify)
{
    size_t max_pending = comparison->options.engine.max_pending;
    if (comparison->waiting >= max_pending || engine_pending(comparison->engine) >= max_pending) {
        skip(comparison, COMPARISON_PENDING);
        return;
    }
    struct engine_decision *decision;
    struct comparison_pair *pair = pair_get(comparison);
    enum engine_outcome outcome =
        pair ? engine__decide(comparison->engine, &pair->client, notify, active->now, &decision)
             : ENGINE_NO_MEMORY;
    if (outcome != ENGINE_ANSWERED && outcome != ENGINE_PENDING) {
        /* Malformed it isn't, or there would be no decision of those in force. */
        skip(comparison, COMPARISON_MEMORY);
        if (pair)
            pair_put(pair);
        return;
    }
    keep_text(pair, comparison->engine);
    if (outcome == ENGINE_ANSWERED) {
        note_candidate(pair, decision);
        engine__put(decision);
    }
    if (active->rules) { /* pending */
        active->pair = pair;
        pair->active = active;
    } else {
        note(pair, COMPARISON_ACTIVE, active);
    }
    if (is_whole(pair)) {
        conclude(pair);
        pair_put(pair);
        return;
    }
    LIST_INSERT_HEAD(&comparison->pairs, pair, link);
    comparison->waiting++;
}

/* ---- life ---------------------------------------------------------------------------------- */

struct comparison *comparison_create(const struct comparison_options *options)
{
    struct comparison *comparison = calloc(1, sizeof(*comparison));
    if (!comparison)
        return NULL;
    comparison->options = *options;
    comparison->options.engine.subjects = true;
    comparison->options.engine.rules = NULL; /* no reference of ours */
    LIST_INIT(&comparison->pairs);
    LIST_INIT(&comparison->spare);
    struct engine_options engine = comparison->options.engine;
    engine.rules = options->engine.rules;
    comparison->engine = engine_create(&engine);
    if (comparison->engine)
        return comparison;
    free(comparison);
    return NULL;
}

bool comparison_use(struct comparison *comparison, struct ruleset *rules)
{
    return engine_use(comparison->engine, rules);
}

void comparison_end(struct comparison *comparison)
{
    comparison->ended = true;
}

static void free_pairs(struct pair_list *pairs)
{
    struct comparison_pair *pair;
    while ((pair = LIST_FIRST(pairs)) != NULL) {
        LIST_REMOVE(pair, link);
        free(pair);
    }
}

void comparison_free(struct comparison *comparison)
{
    struct comparison_pair *pair;
    if (!comparison)
        return;
    LIST_FOREACH(pair, &comparison->pairs, link)
    {
        pair->active->pair = NULL; /* for the candidate's side none waits */
        skip(comparison, COMPARISON_ENDED);
    }
    free_pairs(&comparison->pairs);
    free_pairs(&comparison->spare);
    engine_free(comparison->engine);
    free(comparison);
}

size_t comparison_pending(const struct comparison *comparison)
{
    return engine_pending(comparison->engine);
}
