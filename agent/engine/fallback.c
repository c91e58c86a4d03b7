#include "agent/engine/fallback.h"

/* A store that can't answer may be back at any moment. */
#define RETRY 1000000

struct limit fallback_share(const struct limit *limit, unsigned sharers)
{
    struct limit share = *limit;
    if (limit->units == 0)
        return share;
    share.units = limit->units / sharers ? limit->units / sharers : 1;
    if (limit->algorithm == LIMIT_TOKEN_BUCKET)
        share.burst = limit->burst / sharers ? limit->burst / sharers : 1;
    /* A bucket of few units an hour, with a burst of many, could take too long to fill. */
    if (limit_check(&share))
        share.burst = share.units;
    return share;
}

static bool take_locally(const struct fallback_stores *stores, struct engine_take *take,
                         unsigned sharers, uint64_t now)
{
    struct limit share = fallback_share(take->take.limit, sharers);
    struct store_take local = {.key = take->take.key,
                               .limit = &share,
                               .wanted = take->take.wanted,
                               .probe = take->take.probe};
    uint64_t used = store_known(stores->store, &take->take, now);
    store_memory_raise(stores->local, &local, used / sharers + (used % sharers != 0), now);
    if (store_take(stores->local, &local, now) != STORE_ANSWERED)
        return false;
    take->take.result = local.result;
    take->take.taken_at = local.taken_at;
    take->sharers = sharers;
    return true;
}

void fallback(const struct fallback_stores *stores, struct engine_take *take, unsigned sharers,
              uint64_t now)
{
    const struct limit *limit = take->take.limit;
    enum rules_fallback what = take->limit->rule->on_store_error;
    take->take.source = STORE_SOURCE_FALLBACK;
    take->sharers = 0;
    /* A limit of 0 needs no store to refuse. */
    bool deny = what == RULES_FALLBACK_DENY || limit->units == 0;
    if (what == RULES_FALLBACK_LOCAL && !deny && stores->local &&
        take_locally(stores, take, sharers, now))
        return;
    take->take.result = (struct limit_result){
        .granted = deny ? 0 : take->take.wanted,
        .remaining = deny ? 0 : limit_capacity(limit),
        .retry_after = deny ? RETRY : 0,
        .reset_after = limit->window,
    };
}

void fallback_give(struct store *local, const struct engine_take *take, uint64_t now)
{
    struct limit share = fallback_share(take->take.limit, take->sharers);
    struct store_take given = take->take;
    given.limit = &share;
    if (given.result.granted)
        store_give(local, &given, given.result.granted, now);
}
