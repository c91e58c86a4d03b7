#include "agent/bench/answers.h"

static bool is_seen(const struct bench_seen *seen, struct slice payload)
{
    return seen->size && payload.size >= seen->size &&
           (!seen->whole || payload.size == seen->size) &&
           memcmp(payload.data, seen->bytes, seen->size) == 0;
}

static uint64_t *source_counter(struct bench_answers *answers, struct slice name)
{
    name.size = name.size < BENCH_SOURCE_SIZE ? name.size : BENCH_SOURCE_SIZE - 1;
    for (size_t i = 0; i < answers->source_count; i++)
        if (slice_equal(name, slice_of_string(answers->sources[i].name)))
            return &answers->sources[i].answers;
    /* Names go into a report: one that isn't plain is told only as another. */
    for (size_t i = 0; i < name.size; i++)
        if (name.data[i] <= ' ' || name.data[i] > '~' || name.data[i] == '"' ||
            name.data[i] == '\\')
            return &answers->other_sources;
    if (name.size == 0 || answers->source_count == BENCH_SOURCES_MAX)
        return &answers->other_sources;
    memcpy(answers->sources[answers->source_count].name, name.data, name.size);
    return &answers->sources[answers->source_count++].answers;
}

/* Reads all of it, and keeps the beginning up to where outcome and source were known. */
static enum error read_answer(struct bench_answers *answers, struct slice payload,
                              struct bench_seen *seen)
{
    struct cursor c = cursor_open(payload);
    struct spop_action action;
    size_t known = 0;
    *seen = (struct bench_seen){.outcome = &answers->undecided};
    while (spop_next_action(&c, &action)) {
        bool deny = slice_equal(action.name, SLICE("deny"));
        if (action.type == SPOP_SET_VAR && action.value.type == VALUE_BOOL &&
            (deny || slice_equal(action.name, SLICE("allow"))))
            seen->outcome = action.value.boolean == deny ? &answers->refused : &answers->allowed;
        if (action.type == SPOP_SET_VAR && action.value.type == VALUE_STRING &&
            slice_equal(action.name, SLICE("source")))
            seen->source = source_counter(answers, action.value.bytes);
        if (!known && seen->source && seen->outcome != &answers->undecided)
            known = (size_t)(c.position - payload.data);
    }
    seen->whole = !known;
    seen->size = known ? known : payload.size;
    return c.error;
}

static void remember(struct bench_answers *answers, const struct bench_seen *seen,
                     struct slice payload)
{
    if (seen->size > BENCH_SEEN_SIZE || !seen->size)
        return;
    struct bench_seen *place = &answers->seen[answers->seen_next++ % BENCH_SEEN];
    *place = *seen;
    memcpy(place->bytes, payload.data, seen->size);
}

enum error bench_answers_add(struct bench_answers *answers, struct slice payload)
{
    struct bench_seen read;
    const struct bench_seen *seen = NULL;
    for (size_t i = 0; i < BENCH_SEEN && !seen; i++)
        if (is_seen(&answers->seen[i], payload))
            seen = &answers->seen[i];
    if (!seen) {
        enum error error = read_answer(answers, payload, &read);
        if (error)
            return error;
        remember(answers, &read, payload);
        seen = &read;
    }
    ++*seen->outcome;
    if (seen->source)
        ++*seen->source;
    return ERROR_NONE;
}
