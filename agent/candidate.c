#include "agent/candidate.h"

static void end(struct candidate *candidate, struct engine *active)
{
    if (!candidate->comparison)
        return;
    engine_compare(active, NULL);
    comparison_end(candidate->comparison);
    if (candidate->redis)
        store_redis_cancel(candidate->redis);
    comparison_free(candidate->comparison);
    store_free(candidate->redis);
    candidate->comparison = NULL;
    candidate->redis = NULL;
}

static bool begin(struct candidate *candidate, struct engine *active, struct ruleset *rules)
{
    const struct candidate_options *options = &candidate->options;
    struct comparison_options comparison = {
        .engine = options->engine, .counters = &candidate->counters, .rules = options->rules};
    comparison.engine.rules = rules;
    comparison.engine.denials = NULL; /* it refuses nothing in earnest */
    comparison.engine.store = *options->memory;
    comparison.engine.local = NULL;
    if (options->redis.watch) {
        candidate->redis = store_redis_create(&options->redis);
        if (!candidate->redis)
            return false;
        comparison.engine.store = candidate->redis;
        comparison.engine.local = *options->memory;
    }
    candidate->comparison = comparison_create(&comparison);
    if (candidate->comparison) {
        engine_compare(active, candidate->comparison);
        return true;
    }
    if (candidate->redis) {
        store_redis_cancel(candidate->redis);
        store_free(candidate->redis);
    }
    candidate->redis = NULL;
    return false;
}

void candidate_use(struct candidate *candidate, struct engine *active, struct ruleset *rules)
{
    bool used = true;
    if (!rules)
        end(candidate, active);
    else if (candidate->comparison)
        used = comparison_use(candidate->comparison, rules);
    else
        used = begin(candidate, active, rules);
    if (used)
        return;
    log_event(LOG_ERROR, "out of memory: a worker has no candidate");
    end(candidate, active);
}

void candidate_follow(struct candidate *candidate)
{
    if (candidate->redis)
        store_redis_follow(candidate->redis);
}
