#include "agent/bounds.h"
#include "agent/totals.h"

enum bound_change bound_look(struct bound *bound, uint64_t count, uint64_t now)
{
    bool is_more = count != bound->count;
    if (is_more && !bound->is_met)
        bound->before = bound->count;
    if (is_more)
        bound->met_at = now;
    bound->count = count;
    bool was_met = bound->is_met;
    bound->is_met = is_more || (was_met && now - bound->met_at < BOUND_QUIET);
    if (bound->is_met == was_met)
        return BOUND_UNCHANGED;
    return bound->is_met ? BOUND_MET : BOUND_OVER;
}

static uint64_t count_of(const struct control *control, enum bound_kind kind)
{
    struct store_statistics statistics;
    switch (kind) {
    case BOUND_STORE:
        store_statistics(control->store, &statistics);
        return statistics.full_total;
    case BOUND_KEYS:
        return control->sharing.watch ? TOTAL_STORE(control, full) : 0;
    case BOUND_PENDING:
    case BOUND_KINDS:
        break;
    }
    return TOTAL_DECISIONS(control, pending_full);
}

static void look(struct bound *bound, const struct control *control, enum bound_kind kind,
                 uint64_t now)
{
    static const struct {
        const char *met;
        const char *over;
    } messages[BOUND_KINDS] = {
        [BOUND_STORE] = {"the memory store is full: on_store_error answers for new keys",
                         "the memory store has room again"},
        [BOUND_KEYS] = {"no room for more keys of Redis: on_store_error answers for new ones",
                        "there is room for keys of Redis again"},
        [BOUND_PENDING] = {"too many requests wait for the store: on_store_error answers others",
                           "no more than may wait for the store do again"},
    };
    switch (bound_look(bound, count_of(control, kind), now)) {
    case BOUND_MET:
        log_event(LOG_WARNING, messages[kind].met);
        break;
    case BOUND_OVER:
        log_event(LOG_INFO, messages[kind].over, LOG_INT("times", bound->count - bound->before));
        break;
    case BOUND_UNCHANGED:
        break;
    }
}

void bounds_look(struct bounds *bounds, const struct control *control, uint64_t now)
{
    for (int kind = 0; kind < BOUND_KINDS; kind++)
        look(&bounds->bounds[kind], control, (enum bound_kind)kind, now);
}
