/* The heaviest keys: what is found, and by how much it is wrong. */
#include <stdio.h>

#include "agent/engine/decision.h"
#include "bench.h"
#include "main.h"
#include "random.h"

#define RULES                                                                                      \
    "listen: tcp://127.0.0.1:0\n"                                                                  \
    "rules:\n"                                                                                     \
    "  - { name: client, key: src, limits: { limit: 1000000, window: 1h } }\n"

/* Decisions of one rule about subjects that are numbers, without an engine. */
struct feed {
    struct ruleset *rules;
    struct engine_decision decision;
    struct engine_take take;
    struct top *top;
    char text[32];
};

static struct feed *feed_open(void)
{
    struct feed *feed = calloc(1, sizeof(*feed));
    feed->rules = load(RULES);
    feed->take.limit = &feed->rules->set->rules[0].limits[0];
    feed->take.take.wanted = 1;
    feed->decision.takes = &feed->take;
    feed->decision.count = 1;
    feed->decision.now = NOW;
    feed->top = top_create(NOW);
    return feed;
}

static void feed_close(struct feed *feed)
{
    top_free(feed->top);
    ruleset_release(feed->rules);
    free(feed);
}

static void count(struct feed *feed, unsigned subject, bool refused, uint32_t weight)
{
    int size = snprintf(feed->text, sizeof(feed->text), "%u", subject);
    feed->take.subject = slice_of(feed->text, (size_t)size);
    feed->take.take.result.granted = refused ? 0 : 1;
    top_count(feed->top, &feed->decision, weight);
}

static struct top_list read_by(struct feed *feed, enum top_measure measure)
{
    struct top_list list;
    ck_assert(top_read(&feed->top, 1, measure, feed->decision.now, &list));
    return list;
}

/* NULL: it isn't listed. */
static const struct top_key *find(const struct top_list *list, unsigned subject)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", subject);
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->keys[i].subject, text) == 0)
            return &list->keys[i];
    return NULL;
}

START_TEST(few_keys_are_counted_exactly)
{
    struct feed *feed = feed_open();
    for (unsigned i = 0; i < TOP_ENTRIES; i++)
        for (unsigned j = 0; j <= i; j++)
            count(feed, i, j % 2, 1);
    struct top_list list = read_by(feed, TOP_REQUESTS);
    ck_assert_uint_eq(list.count, TOP_ENTRIES);
    for (unsigned i = 0; i < TOP_ENTRIES; i++) {
        const struct top_key *key = &list.keys[TOP_ENTRIES - 1 - i];
        ck_assert_ptr_eq(find(&list, i), key);
        ck_assert_str_eq(key->rule, "client");
        ck_assert_uint_eq(key->count[TOP_REQUESTS], i + 1);
        ck_assert_uint_eq(key->count[TOP_REFUSED], (i + 1) / 2);
        ck_assert_uint_eq(key->excess, 0);
    }
    free(list.keys);
    list = read_by(feed, TOP_REFUSED);
    ck_assert_uint_eq(list.count, TOP_ENTRIES - 1); /* one was never refused */
    ck_assert_uint_eq(list.missing, 0);
    free(list.keys);
    feed_close(feed);
}
END_TEST

/* Against exact counts, on random streams in which some keys are much heavier than others. */
START_TEST(errors_stay_within_what_is_said)
{
    enum {
        KEYS = 5000,
        EVENTS = 200000
    };
    static uint64_t exact[TOP_MEASURES][KEYS];
    struct random random = random_open("errors_stay_within_what_is_said");
    struct feed *feed = feed_open();
    memset(exact, 0, sizeof(exact));
    for (unsigned i = 0; i < EVENTS; i++) {
        unsigned subject = (unsigned)(random_next(&random) % KEYS);
        subject = (unsigned)(random_next(&random) % (subject + 1));
        subject = (unsigned)(random_next(&random) % (subject + 1));
        uint32_t weight = 1 + (uint32_t)(random_next(&random) % 4);
        bool refused = (subject + random_next(&random)) % 3 == 0;
        count(feed, subject, refused, weight);
        exact[TOP_REQUESTS][subject] += weight;
        exact[TOP_REFUSED][subject] += refused ? weight : 0;
    }
    for (int measure = 0; measure < TOP_MEASURES; measure++) {
        struct top_list list = read_by(feed, (enum top_measure)measure);
        ck_assert_uint_eq(list.count, TOP_ENTRIES);
        ck_assert_uint_gt(list.missing, 0);
        for (unsigned i = 0; i < KEYS; i++) {
            const struct top_key *key = find(&list, i);
            if (!key) {
                ck_assert_uint_le(exact[measure][i], list.missing);
                continue;
            }
            ck_assert_uint_ge(key->count[measure], exact[measure][i]);
            ck_assert_uint_le(key->count[measure] - key->excess, exact[measure][i]);
            ck_assert_uint_le(key->excess, list.missing);
            ck_assert_uint_ge(key->count[TOP_REQUESTS], key->count[TOP_REFUSED]);
        }
        for (size_t i = 1; i < list.count; i++)
            ck_assert_uint_ge(list.keys[i - 1].count[measure], list.keys[i].count[measure]);
        free(list.keys);
    }
    feed_close(feed);
}
END_TEST

START_TEST(what_is_older_than_two_minutes_is_gone)
{
    struct feed *feed = feed_open();
    count(feed, 1, false, 1);
    feed->decision.now = NOW + TOP_MINUTE;
    count(feed, 2, false, 1);
    struct top_list list = read_by(feed, TOP_REQUESTS);
    ck_assert(find(&list, 1) && find(&list, 2));
    ck_assert_uint_eq(list.since, NOW);
    free(list.keys);
    feed->decision.now = NOW + 2 * TOP_MINUTE;
    count(feed, 3, false, 1);
    list = read_by(feed, TOP_REQUESTS);
    ck_assert(!find(&list, 1) && find(&list, 2) && find(&list, 3));
    ck_assert_uint_eq(list.since, NOW + TOP_MINUTE);
    free(list.keys);
    /* Also where nothing comes any more. */
    feed->decision.now = NOW + 10 * TOP_MINUTE;
    list = read_by(feed, TOP_REQUESTS);
    ck_assert_uint_eq(list.count, 0);
    ck_assert_uint_eq(list.since, feed->decision.now);
    free(list.keys);
    feed_close(feed);
}
END_TEST

START_TEST(several_engines_are_one_list)
{
    struct feed *a = feed_open();
    struct feed *b = feed_open();
    for (int i = 0; i < 3; i++)
        count(a, 7, true, 1), count(b, 7, false, 1), count(b, 8, false, 1);
    struct top *both[] = {a->top, b->top};
    struct top_list list;
    ck_assert(top_read(both, 2, TOP_REQUESTS, NOW, &list));
    ck_assert_uint_eq(list.count, 2);
    ck_assert_str_eq(list.keys[0].subject, "7");
    ck_assert_uint_eq(list.keys[0].count[TOP_REQUESTS], 6);
    ck_assert_uint_eq(list.keys[0].count[TOP_REFUSED], 3);
    free(list.keys);
    feed_close(a);
    feed_close(b);
}
END_TEST

/* How many of so many a second are looked at, and what they stand for. */
static void draw(struct top *top, uint64_t rate, uint64_t seconds, uint64_t *looked, uint64_t *sum)
{
    static uint64_t now = NOW;
    *looked = *sum = 0;
    for (uint64_t i = 0; i < rate * seconds; i++) {
        uint32_t weight = top_draw(top, now + i * SECOND / rate);
        *looked += weight != 0;
        *sum += weight;
    }
    now += seconds * SECOND;
}

START_TEST(under_load_some_stand_for_all)
{
    struct top *top = top_create(NOW);
    uint64_t looked;
    uint64_t sum;
    draw(top, TOP_RATE - 1, 3, &looked, &sum);
    ck_assert_uint_eq(looked, 3 * (TOP_RATE - 1));
    ck_assert_uint_eq(sum, looked);
    draw(top, 100 * TOP_RATE, 5, &looked, &sum);
    ck_assert_uint_le(looked, (5 + 7) * TOP_RATE); /* 7: until it has got used to it */
    ck_assert_uint_ge(looked, 5 * TOP_RATE / 3);
    ck_assert_uint_ge(sum, UINT64_C(490) * TOP_RATE);
    ck_assert_uint_le(sum, UINT64_C(510) * TOP_RATE);
    /* And each again, once they are few. */
    draw(top, 100, 3, &looked, &sum);
    draw(top, 100, 3, &looked, &sum);
    ck_assert_uint_eq(looked, 300);
    ck_assert_uint_eq(sum, 300);
    top_free(top);
}
END_TEST

UNIT_MAIN("top", few_keys_are_counted_exactly, errors_stay_within_what_is_said,
          what_is_older_than_two_minutes_is_gone, several_engines_are_one_list,
          under_load_some_stand_for_all)
