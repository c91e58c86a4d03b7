#include <stddef.h>

#include "rules/loader.h"

struct draft {
    struct limit count;
    struct limit mark;
};

#define WINDOW(member)                                                                             \
    offsetof(struct draft, member) + offsetof(struct limit, window), sizeof(uint64_t),             \
        LIMIT_WINDOW_MIN, LIMIT_WINDOW_MAX

static const struct rules__field penalty_fields[] = {
    {"after", rules__load_number, "a whole number, as in 20", true,
     offsetof(struct draft, count) + offsetof(struct limit, units), sizeof(uint64_t), 1,
     LIMIT_UNITS_MAX},
    {"within", rules__load_duration, "a duration, as in 1m", true, WINDOW(count)},
    {"for", rules__load_duration, "a duration, as in 10m", true, WINDOW(mark)},
};
static const struct rules__schema penalty_schema = RULES__SCHEMA("penalty", penalty_fields);

/* The two limits that a penalty is. */
struct kind {
    const char *name; /* behind the rule's, in the names of the limit and of its store */
    uint8_t identity;
    size_t counter;
};
static const struct kind count_kind = {"penalty-count", 'C', RULES_MAX_COUNTERS};
static const struct kind mark_kind = {"penalty", 'P', RULES_MAX_COUNTERS + 1};

/* "login:penalty-10m": no algorithm is called penalty, so it is none of the rule's own limits. */
static struct slice store_name_of(struct rules__loader *loader, const struct rules_rule *rule,
                                  const struct kind *kind, uint64_t window)
{
    char buffer[RULES_STORE_NAME_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    rules__begin_store_name(loader, rule, &w);
    writer_bytes(&w, slice_of_string(kind->name));
    writer_uint8(&w, '-');
    rules_print_duration(window, &w);
    return rules__keep(loader, writer_slice(&w));
}

static const struct rules_limit *make_limit(struct rules__loader *loader,
                                            const struct rules_rule *rule,
                                            const struct limit *limit, const struct kind *kind,
                                            const struct rules__node *node)
{
    char name[RULES_NAME_MAX + 32];
    struct writer w = writer_open(name, sizeof(name));
    struct rules_limit *made = rules__allocate(loader, 1, sizeof(*made));
    if (!made)
        return NULL;
    writer_bytes(&w, rule->name);
    writer_uint8(&w, '-');
    writer_bytes(&w, slice_of_string(kind->name));
    *made = (struct rules_limit){
        .limit = *limit,
        .rule = rule,
        .name = rules__claim_name(loader, rule, kind->counter, writer_slice(&w), node),
        .identity = rules__identity(loader, rule, kind->identity, limit),
        .store_name = store_name_of(loader, rule, kind, limit->window),
    };
    rules__write_policy(loader, made);
    return made;
}

void rules__load_penalty(struct rules__loader *loader, struct rules_rule *rule,
                         const struct rules__node *node)
{
    struct draft draft = {
        .count = {.algorithm = LIMIT_SLIDING_WINDOW},
        .mark = {.algorithm = LIMIT_SLIDING_LOG, .units = 1},
    };
    /* The longer of the two names. */
    const size_t longest = RULES_NAME_MAX - strlen(count_kind.name) - 1;
    rules__walk(loader, &penalty_schema, node, &draft);
    if (rule->name.size > longest) {
        rules__problem(loader, node,
                       "penalty in a rule whose name has %zu bytes, expected at most %zu, for its "
                       "limits are called NAME-%s and NAME-%s",
                       rule->name.size, longest, mark_kind.name, count_kind.name);
        return;
    }
    if (!rule->name.size || !draft.count.window || !draft.mark.window)
        return; /* reported */
    rule->penalty_count = make_limit(loader, rule, &draft.count, &count_kind, node);
    rule->penalty_mark = make_limit(loader, rule, &draft.mark, &mark_kind, node);
}
