#include "agent/engine/top.h"

#include <pthread.h>
#include <stdlib.h>

#include "agent/engine/decision.h"
#include "agent/engine/rule_counters.h"

#define PLACES (2 * TOP_ENTRIES) /* of the hash table, a power of two */
#define SECOND UINT64_C(1000000)

/* One measure's heaviest keys. The entries are a heap: none is lighter than that at (i - 1) / 2. */
struct sketch {
    enum top_measure measure;
    size_t count;
    struct top_key entries[TOP_ENTRIES];
    uint16_t order[TOP_ENTRIES];   /* the heap, of entries */
    uint16_t heap_at[TOP_ENTRIES]; /* where in it an entry is */
    uint16_t places[PLACES];       /* by hash: 1 + an entry; 0: none */
};

struct minute {
    uint64_t began;
    uint32_t sampling;
    struct sketch sketches[TOP_MEASURES];
};

struct top {
    uint32_t skip;        /* the request that is looked at next: 1 is the next */
    uint32_t weight;      /* requests that one stands for */
    uint32_t looked;      /* at, in this second */
    uint64_t second;      /* that began then */
    uint64_t chance;      /* the state of its random numbers */
    pthread_mutex_t lock; /* of the minutes */
    unsigned present;
    struct minute minutes[2];
};

/* ---- life ---------------------------------------------------------------------------------- */

static void begin_minute(struct minute *minute, uint64_t now)
{
    minute->began = now;
    minute->sampling = 1;
    for (int i = 0; i < TOP_MEASURES; i++) {
        struct sketch *sketch = &minute->sketches[i];
        sketch->measure = (enum top_measure)i;
        sketch->count = 0;
        memset(sketch->places, 0, sizeof(sketch->places));
    }
}

struct top *top_create(uint64_t now)
{
    struct top *top = calloc(1, sizeof(*top));
    if (!top)
        return NULL;
    pthread_mutex_init(&top->lock, NULL);
    top->skip = top->weight = 1;
    top->second = now;
    top->chance = now;
    begin_minute(&top->minutes[0], now);
    begin_minute(&top->minutes[1], now);
    return top;
}

void top_free(struct top *top)
{
    if (!top)
        return;
    pthread_mutex_destroy(&top->lock);
    free(top);
}

/* ---- which requests are looked at ---------------------------------------------------------- */

/* So that about TOP_RATE a second are looked at: by what the last second had, and at once where
 * this one has more already. */
static void weigh(struct top *top, uint64_t now)
{
    if (now - top->second >= SECOND) {
        uint64_t rate = (uint64_t)top->looked * top->weight * SECOND / (now - top->second);
        top->weight = 1;
        while ((uint64_t)top->weight * TOP_RATE < rate && top->weight < UINT32_MAX / 4)
            top->weight *= 2;
        top->second = now;
        top->looked = 0;
    } else if (top->looked >= TOP_RATE && top->weight < UINT32_MAX / 4) {
        top->weight *= 2;
        top->looked /= 2;
    }
}

uint32_t top_draw(struct top *top, uint64_t now)
{
    if (--top->skip)
        return 0;
    uint32_t weight = top->weight;
    top->looked++;
    weigh(top, now);
    /* Of mean weight, so that requests that come in turn aren't missed in turn. */
    top->skip = 1 + (uint32_t)(chance_next(&top->chance) % (2 * (uint64_t)top->weight - 1));
    return weight;
}

/* ---- a sketch: the hash table -------------------------------------------------------------- */

static size_t home_of(const struct top_key *key)
{
    return key->hash.low & (PLACES - 1);
}

/* Where the key is in `places`, or where it would be. */
static size_t place_of(const struct sketch *sketch, const struct top_key *key)
{
    size_t at = home_of(key);
    for (; sketch->places[at]; at = (at + 1) & (PLACES - 1))
        if (hash128_equal(sketch->entries[sketch->places[at] - 1].hash, key->hash))
            break;
    return at;
}

/* Closes the gap, so that what stands behind it is found. */
static void take_out(struct sketch *sketch, size_t at)
{
    for (size_t next = (at + 1) & (PLACES - 1); sketch->places[next];
         next = (next + 1) & (PLACES - 1)) {
        size_t home = home_of(&sketch->entries[sketch->places[next] - 1]);
        if (((next - home) & (PLACES - 1)) < ((next - at) & (PLACES - 1)))
            continue;
        sketch->places[at] = sketch->places[next];
        at = next;
    }
    sketch->places[at] = 0;
}

/* ---- a sketch: the heap -------------------------------------------------------------------- */

static uint64_t weight_at(const struct sketch *sketch, size_t at)
{
    return sketch->entries[sketch->order[at]].count[sketch->measure];
}

static void put_at(struct sketch *sketch, size_t at, uint16_t entry)
{
    sketch->order[at] = entry;
    sketch->heap_at[entry] = (uint16_t)at;
}

static void swap(struct sketch *sketch, size_t a, size_t b)
{
    uint16_t entry = sketch->order[a];
    put_at(sketch, a, sketch->order[b]);
    put_at(sketch, b, entry);
}

/* An entry has become heavier. */
static void sink(struct sketch *sketch, size_t at)
{
    for (;;) {
        size_t lightest = at;
        for (size_t child = 2 * at + 1; child <= 2 * at + 2 && child < sketch->count; child++)
            if (weight_at(sketch, child) < weight_at(sketch, lightest))
                lightest = child;
        if (lightest == at)
            return;
        swap(sketch, at, lightest);
        at = lightest;
    }
}

static void rise(struct sketch *sketch, size_t at)
{
    for (; at && weight_at(sketch, at) < weight_at(sketch, (at - 1) / 2); at = (at - 1) / 2)
        swap(sketch, at, (at - 1) / 2);
}

/* ---- counting ------------------------------------------------------------------------------ */

static void replace_lightest(struct sketch *sketch, const struct top_key *key)
{
    uint16_t entry = sketch->order[0];
    struct top_key *old = &sketch->entries[entry];
    uint64_t excess = old->count[sketch->measure];
    take_out(sketch, place_of(sketch, old));
    *old = *key;
    old->excess = excess;
    /* A request is no less than a refusal. */
    for (int i = 0; i <= (int)sketch->measure; i++)
        old->count[i] += excess;
    sketch->places[place_of(sketch, key)] = (uint16_t)(entry + 1);
}

static void add_to(struct sketch *sketch, const struct top_key *key)
{
    size_t place = place_of(sketch, key);
    size_t entry = sketch->places[place] - 1u;
    if (sketch->places[place]) {
        for (int i = 0; i < TOP_MEASURES; i++)
            sketch->entries[entry].count[i] += key->count[i];
        sink(sketch, sketch->heap_at[entry]);
    } else if (!key->count[sketch->measure]) {
        return;
    } else if (sketch->count < TOP_ENTRIES) {
        entry = sketch->count++;
        sketch->entries[entry] = *key;
        sketch->places[place] = (uint16_t)(entry + 1);
        put_at(sketch, entry, (uint16_t)entry);
        rise(sketch, entry);
    } else {
        replace_lightest(sketch, key);
        sink(sketch, 0);
    }
}

/* Under which no two keys are one: the rule's name, which has no NUL, and the subject. */
static struct hash128 hash_of(const struct top_key *key)
{
    uint8_t bytes[sizeof(key->rule) + sizeof(key->subject)];
    struct writer w = writer_open(bytes, sizeof(bytes));
    writer_bytes(&w, slice_of_string(key->rule));
    writer_uint8(&w, 0);
    writer_bytes(&w, slice_of_string(key->subject));
    return hash128(writer_slice(&w), 0);
}

static void copy(char *to, size_t room, struct slice from)
{
    size_t size = from.size < room ? from.size : room - 1;
    if (size)
        memcpy(to, from.data, size);
    to[size] = '\0';
}

void top_count(struct top *top, const struct engine_decision *decision, uint32_t weight)
{
    pthread_mutex_lock(&top->lock);
    if (decision->now >= top->minutes[top->present].began + TOP_MINUTE) {
        top->present ^= 1;
        begin_minute(&top->minutes[top->present], decision->now);
    }
    struct minute *minute = &top->minutes[top->present];
    if (weight > minute->sampling)
        minute->sampling = weight;
    for (size_t i = 0; i < decision->count;) {
        const struct engine_take *take = &decision->takes[i];
        struct top_key key = {.count = {[TOP_REQUESTS] = weight}};
        enum rule_outcome outcome;
        i += rule_outcome_of(decision, i, &outcome);
        copy(key.rule, sizeof(key.rule), take->limit->rule->name);
        if (!take->subject.size)
            continue; /* there was no memory to keep it in */
        copy(key.subject, sizeof(key.subject), take->subject);
        key.hash = hash_of(&key);
        key.count[TOP_REFUSED] = outcome == RULE_OUTCOME_REFUSED ? weight : 0;
        for (int j = 0; j < TOP_MEASURES; j++)
            add_to(&minute->sketches[j], &key);
    }
    pthread_mutex_unlock(&top->lock);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void read_one(struct top *top, enum top_measure measure, uint64_t now, struct top_list *list)
{
    pthread_mutex_lock(&top->lock);
    for (int i = 0; i < 2; i++) {
        const struct minute *minute = &top->minutes[i];
        const struct sketch *sketch = &minute->sketches[measure];
        if (minute->began + 2 * TOP_MINUTE <= now)
            continue;
        list->since = minute->began < list->since ? minute->began : list->since;
        list->sampling = minute->sampling > list->sampling ? minute->sampling : list->sampling;
        if (sketch->count == TOP_ENTRIES)
            list->missing += weight_at(sketch, 0);
        memcpy(list->keys + list->count, sketch->entries, sketch->count * sizeof(*list->keys));
        list->count += sketch->count;
    }
    pthread_mutex_unlock(&top->lock);
}

static int by_hash(const void *a, const void *b)
{
    return memcmp(&((const struct top_key *)a)->hash, &((const struct top_key *)b)->hash,
                  sizeof(struct hash128));
}

static void join_equal(struct top_list *list)
{
    size_t count = 0;
    qsort(list->keys, list->count, sizeof(*list->keys), by_hash);
    for (size_t i = 0; i < list->count; i++) {
        struct top_key *last = count ? &list->keys[count - 1] : NULL;
        if (!last || !hash128_equal(last->hash, list->keys[i].hash)) {
            list->keys[count++] = list->keys[i];
            continue;
        }
        for (int j = 0; j < TOP_MEASURES; j++)
            last->count[j] += list->keys[i].count[j];
        last->excess += list->keys[i].excess;
    }
    list->count = count;
}

static int compare(const struct top_key *a, const struct top_key *b, enum top_measure measure)
{
    if (a->count[measure] != b->count[measure])
        return a->count[measure] < b->count[measure] ? 1 : -1;
    int order = strcmp(a->rule, b->rule);
    return order ? order : strcmp(a->subject, b->subject);
}

static int by_requests(const void *a, const void *b)
{
    return compare(a, b, TOP_REQUESTS);
}

static int by_refused(const void *a, const void *b)
{
    return compare(a, b, TOP_REFUSED);
}

/* What they have of one measure, each key once, by hash. */
static bool gather(struct top *const *tops, size_t count, enum top_measure measure, uint64_t now,
                   struct top_list *list)
{
    *list = (struct top_list){.since = now, .sampling = 1};
    list->keys = calloc(count ? count : 1, (size_t)2 * TOP_ENTRIES * sizeof(*list->keys));
    if (!list->keys)
        return false;
    for (size_t i = 0; i < count; i++)
        read_one(tops[i], measure, now, list);
    join_equal(list);
    return true;
}

/* A key that one engine refuses may be asked about at another too. */
static void raise_requests(struct top_list *list, const struct top_list *asked)
{
    for (size_t i = 0, j = 0; i < list->count; i++) {
        uint64_t *requests = &list->keys[i].count[TOP_REQUESTS];
        while (j < asked->count && by_hash(&asked->keys[j], &list->keys[i]) < 0)
            j++;
        if (j < asked->count && hash128_equal(asked->keys[j].hash, list->keys[i].hash) &&
            asked->keys[j].count[TOP_REQUESTS] > *requests)
            *requests = asked->keys[j].count[TOP_REQUESTS];
    }
}

bool top_read(struct top *const *tops, size_t count, enum top_measure measure, uint64_t now,
              struct top_list *list)
{
    struct top_list asked = {.keys = NULL};
    bool read = gather(tops, count, measure, now, list) &&
                (measure == TOP_REQUESTS || gather(tops, count, TOP_REQUESTS, now, &asked));
    raise_requests(list, &asked);
    free(asked.keys);
    if (!read) {
        free(list->keys);
        *list = (struct top_list){.keys = NULL};
        return false;
    }
    qsort(list->keys, list->count, sizeof(*list->keys),
          measure == TOP_REFUSED ? by_refused : by_requests);
    return true;
}
