#include <inttypes.h>
#include <stdlib.h>

#include "tests/load/tally.h"

static size_t bucket_of(uint64_t duration)
{
    if (duration < 128)
        return (size_t)duration;
    unsigned power = 63 - (unsigned)__builtin_clzll(duration); /* from 7 on */
    size_t bucket = 128 + 64 * (size_t)(power - 7) + (size_t)((duration >> (power - 6)) - 64);
    return bucket < TALLY_BUCKETS ? bucket : TALLY_BUCKETS - 1;
}

/* The longest duration of a bucket. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < 128)
        return bucket;
    unsigned power = 7 + (unsigned)((bucket - 128) / 64);
    return ((uint64_t)(64 + (bucket - 128) % 64 + 1) << (power - 6)) - 1;
}

bool tally_open(struct tally *tally, uint32_t keys, size_t grants, uint64_t now)
{
    tally->key_count = keys;
    tally->keys = calloc(keys, sizeof(*tally->keys));
    tally->grant_room = grants;
    tally->grants = grants ? calloc(grants, sizeof(*tally->grants)) : NULL;
    tally_begin_phase(tally, SLICE("all"), now);
    if (tally->keys && (tally->grants || !grants))
        return true;
    tally_close(tally);
    return false;
}

void tally_close(struct tally *tally)
{
    free(tally->keys);
    free(tally->grants);
    tally->keys = NULL;
    tally->grants = NULL;
}

static void copy_name(char name[TALLY_NAME_MAX], struct slice from)
{
    size_t size = from.size < TALLY_NAME_MAX ? from.size : TALLY_NAME_MAX - 1;
    if (size)
        memcpy(name, from.data, size);
    name[size] = 0;
}

bool tally_begin_phase(struct tally *tally, struct slice name, uint64_t now)
{
    if (tally->phase_count == TALLY_PHASES_MAX || name.size >= TALLY_NAME_MAX)
        return false;
    struct tally_phase *phase = &tally->phases[tally->phase_count++];
    copy_name(phase->name, name);
    phase->began_at = now;
    return true;
}

struct tally_request tally_ask(struct tally *tally, uint32_t key, uint64_t due)
{
    tally->sent++;
    return (struct tally_request){due, key, (uint32_t)tally->phase_count - 1};
}

/* Names that are too many are counted with the last. */
static size_t source_of(struct tally *tally, struct slice name)
{
    char text[TALLY_NAME_MAX];
    copy_name(text, name);
    for (size_t i = 0; i < tally->source_count; i++)
        if (strcmp(tally->sources[i], text) == 0)
            return i;
    if (tally->source_count == TALLY_SOURCES_MAX)
        return TALLY_SOURCES_MAX - 1;
    memcpy(tally->sources[tally->source_count], text, sizeof(text));
    return tally->source_count++;
}

void tally_answer(struct tally *tally, const struct tally_request *request, bool allowed,
                  struct slice source, uint64_t now)
{
    struct tally_phase *phase = &tally->phases[request->phase];
    struct tally_key *key = &tally->keys[request->key];
    uint64_t duration = now > request->due ? now - request->due : 0;
    tally->answered++;
    phase->sources[source_of(tally, source)]++;
    phase->durations[bucket_of(duration)]++;
    if (duration > phase->longest)
        phase->longest = duration;
    if (!allowed) {
        phase->refused++;
        key->refused++;
        return;
    }
    phase->allowed++;
    key->allowed++;
    if (tally->grant_count < tally->grant_room)
        tally->grants[tally->grant_count++] = (struct tally_grant){request->key, request->due, now};
}

void tally_lose(struct tally *tally, const struct tally_request *request)
{
    tally->lost++;
    tally->phases[request->phase].lost++;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

void tally_print_progress(const struct tally *tally, uint64_t now, FILE *stream)
{
    uint64_t allowed = 0;
    for (size_t i = 0; i < tally->phase_count; i++)
        allowed += tally->phases[i].allowed;
    fprintf(stream,
            "{\"seconds\": %.3f, \"sent\": %" PRIu64 ", \"answered\": %" PRIu64
            ", \"allowed\": %" PRIu64 ", \"lost\": %" PRIu64 "}\n",
            (double)(now - tally->phases[0].began_at) / 1e6, tally->sent, tally->answered, allowed,
            tally->lost);
}

/* The duration that a share (in thousandths of a percent) of the answers were within. */
static uint64_t percentile(const struct tally_phase *phase, uint64_t share)
{
    uint64_t total = phase->allowed + phase->refused;
    uint64_t wanted = (total * share + 99999) / 100000;
    uint64_t seen = 0;
    for (size_t i = 0; i < TALLY_BUCKETS && wanted; i++) {
        seen += phase->durations[i];
        if (seen >= wanted)
            return bucket_end(i) < phase->longest ? bucket_end(i) : phase->longest;
    }
    return 0;
}

static void print_phase(const struct tally *tally, size_t index, uint64_t now, FILE *stream)
{
    static const struct {
        const char *name;
        uint64_t share;
    } percentiles[] = {{"p50", 50000}, {"p90", 90000}, {"p99", 99000}, {"p99.9", 99900}};
    const struct tally_phase *phase = &tally->phases[index];
    bool last = index + 1 == tally->phase_count;
    uint64_t ended_at = last ? now : tally->phases[index + 1].began_at;
    fprintf(stream,
            "%s{\"name\": \"%s\", \"seconds\": %.3f, \"allowed\": %" PRIu64
            ", \"refused\": %" PRIu64 ", \"lost\": %" PRIu64 ", \"sources\": {",
            index ? ", " : "", phase->name, (double)(ended_at - phase->began_at) / 1e6,
            phase->allowed, phase->refused, phase->lost);
    const char *comma = "";
    for (size_t i = 0; i < tally->source_count; i++) {
        if (!phase->sources[i])
            continue;
        fprintf(stream, "%s\"%s\": %" PRIu64, comma, tally->sources[i], phase->sources[i]);
        comma = ", ";
    }
    fputs("}", stream);
    for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++)
        fprintf(stream, ", \"%s\": %" PRIu64, percentiles[i].name,
                percentile(phase, percentiles[i].share));
    fprintf(stream, ", \"longest\": %" PRIu64 "}", phase->longest);
}

static void print_keys(const struct tally *tally, size_t offset, FILE *stream)
{
    for (uint32_t i = 0; i < tally->key_count; i++) {
        const char *key = (const char *)&tally->keys[i];
        fprintf(stream, "%s%" PRIu64, i ? ", " : "", *(const uint64_t *)(key + offset));
    }
}

static void print_grants(const struct tally *tally, FILE *stream)
{
    for (size_t i = 0; i < tally->grant_count; i++) {
        const struct tally_grant *grant = &tally->grants[i];
        fprintf(stream, "%s[%" PRIu32 ", %" PRIu64 ", %" PRIu64 "]", i ? ", " : "", grant->key,
                grant->asked_at, grant->answered_at);
    }
}

void tally_print(const struct tally *tally, uint64_t now, FILE *stream)
{
    fprintf(stream,
            "{\"result\": {\"seconds\": %.3f, \"sent\": %" PRIu64 ", \"answered\": %" PRIu64
            ", \"lost\": %" PRIu64 ", \"unanswered\": %" PRIu64 ", \"strays\": %" PRIu64
            ", \"allowed\": [",
            (double)(now - tally->phases[0].began_at) / 1e6, tally->sent, tally->answered,
            tally->lost, tally->sent - tally->answered - tally->lost, tally->strays);
    print_keys(tally, offsetof(struct tally_key, allowed), stream);
    fputs("], \"refused\": [", stream);
    print_keys(tally, offsetof(struct tally_key, refused), stream);
    fputs("], \"phases\": [", stream);
    for (size_t i = 0; i < tally->phase_count; i++)
        print_phase(tally, i, now, stream);
    fputs("], \"grants\": [", stream);
    print_grants(tally, stream);
    fputs("]}}\n", stream);
}
