#include "agent/store/redis_cells.h"

#include <stdlib.h>

/* How many cells that are in use may stand before one that can make room. */
#define EVICTION_TRIES 32

#define BUCKETS_AT_FIRST 64
#define BUCKETS_A_CELL   2 /* so that most are alone in theirs */

/* The whole table is swept in about so many sweeps. */
#define SWEEP_PARTS 512

/* What Redis told holds for this much longer, in case that its clock is behind. */
#define GRACE REDIS_LIMIT_SLACK

bool redis_cells_open(struct redis_cells *cells, size_t max)
{
    *cells = (struct redis_cells){.max = max,
                                  .bucket_count = BUCKETS_AT_FIRST,
                                  .buckets_used = BUCKETS_AT_FIRST,
                                  .bucket_base = BUCKETS_AT_FIRST};
    TAILQ_INIT(&cells->by_use);
    while (cells->bucket_count < BUCKETS_A_CELL * max && cells->bucket_count < SIZE_MAX / 4)
        cells->bucket_count *= 2;
    cells->buckets = calloc(cells->bucket_count, sizeof(struct redis_cell *));
    return cells->buckets != NULL;
}

/* Linear hashing: as many of the buckets are used as there are cells, so that those of few cells
 * lie together: one on each page of memory would mostly miss the processor's caches. A bucket that
 * is taken in use gets its cells from the one that they were in before. */
static struct redis_cell **bucket_of(struct redis_cells *cells, struct hash128 hash)
{
    size_t at = hash.low & (2 * cells->bucket_base - 1);
    return &cells->buckets[at < cells->buckets_used ? at : at - cells->bucket_base];
}

static void use_another_bucket(struct redis_cells *cells)
{
    struct redis_cell **link = &cells->buckets[cells->buckets_used - cells->bucket_base];
    struct redis_cell **added = &cells->buckets[cells->buckets_used++];
    for (struct redis_cell *cell; (cell = *link) != NULL;) {
        if (bucket_of(cells, cell->hash) != added) {
            link = &cell->next;
            continue;
        }
        *link = cell->next;
        cell->next = *added;
        *added = cell;
    }
    if (cells->buckets_used == 2 * cells->bucket_base)
        cells->bucket_base *= 2;
}

static bool in_use(const struct redis_cell *cell)
{
    return cell->busy || cell->given || cell->in_turn || cell->in_leases ||
           !cell_is_idle(&cell->cell);
}

/* Takes the cell that *link points to out of its bucket. */
static void forget(struct redis_cells *cells, struct redis_cell **link)
{
    struct redis_cell *cell = *link;
    *link = cell->next;
    TAILQ_REMOVE(&cells->by_use, cell, by_use);
    cells->count--;
    free(cell);
}

void redis_cells_close(struct redis_cells *cells)
{
    struct redis_cell *cell;
    while ((cell = TAILQ_FIRST(&cells->by_use)) != NULL) {
        TAILQ_REMOVE(&cells->by_use, cell, by_use);
        free(cell);
    }
    free(cells->buckets);
    *cells = (struct redis_cells){0};
}

static void list_last(struct redis_cells *cells, struct redis_cell *cell)
{
    cell->listed = cells->listed++;
    TAILQ_INSERT_TAIL(&cells->by_use, cell, by_use);
}

static void fetch_expected(struct redis_cells *cells)
{
    const struct redis_cell *cell = cells->expected ? *cells->expected : NULL;
    cells->expected = NULL;
    if (cell)
        __builtin_prefetch(cell);
}

void redis_cells_expect(struct redis_cells *cells, struct hash128 hash)
{
    fetch_expected(cells);
    cells->expected = bucket_of(cells, hash);
    __builtin_prefetch(cells->expected);
}

/* Moving a cell touches its neighbours, which the processor has to fetch: more than all the rest of
 * a look-up. A cell is far from being forgotten while few others were put behind it. */
struct redis_cell *redis_cells_find(struct redis_cells *cells, struct hash128 hash)
{
    fetch_expected(cells);
    struct redis_cell *cell = *bucket_of(cells, hash);
    while (cell && !hash128_equal(cell->hash, hash))
        cell = cell->next;
    if (cell && cells->listed - cell->listed > cells->max / 4 + 1) {
        TAILQ_REMOVE(&cells->by_use, cell, by_use);
        list_last(cells, cell);
    }
    return cell;
}

/* Forgets the cell used longest ago of those that can be. */
static bool make_room(struct redis_cells *cells)
{
    struct redis_cell *cell = TAILQ_FIRST(&cells->by_use);
    for (int i = 0; cell && i < EVICTION_TRIES; i++) {
        if (!in_use(cell)) {
            struct redis_cell **link = bucket_of(cells, cell->hash);
            while (*link != cell)
                link = &(*link)->next;
            forget(cells, link);
            return true;
        }
        cell = TAILQ_NEXT(cell, by_use);
    }
    return false;
}

static struct redis_cell *allocate(size_t key_size)
{
    size_t lines = (sizeof(struct redis_cell) + key_size - 1) / REDIS_CELL_ALIGNMENT + 1;
    struct redis_cell *cell = aligned_alloc(REDIS_CELL_ALIGNMENT, lines * REDIS_CELL_ALIGNMENT);
    if (cell)
        *cell = (struct redis_cell){0};
    return cell;
}

struct redis_cell *redis_cells_add(struct redis_cells *cells, struct hash128 hash, struct slice key,
                                   bool *evicted)
{
    *evicted = cells->count >= cells->max && make_room(cells);
    if (cells->count >= cells->max || key.size > REDIS_KEY_MAX)
        return NULL;
    struct redis_cell *cell = allocate(key.size);
    if (!cell)
        return NULL;
    cell_open(&cell->cell);
    cell->hash = hash;
    cell->key_size = key.size;
    memcpy(cell->key, key.data, key.size);
    struct redis_cell **bucket = bucket_of(cells, hash);
    cell->next = *bucket;
    *bucket = cell;
    list_last(cells, cell);
    cells->count++;
    while (cells->buckets_used < BUCKETS_A_CELL * cells->count &&
           cells->buckets_used < cells->bucket_count)
        use_another_bucket(cells);
    return cell;
}

void redis_cells_sweep(struct redis_cells *cells, uint64_t now)
{
    size_t share = cells->buckets_used / SWEEP_PARTS + 1;
    for (size_t i = 0; i < share; i++) {
        struct redis_cell **link = &cells->buckets[cells->sweep_at];
        cells->sweep_at = cells->sweep_at + 1 < cells->buckets_used ? cells->sweep_at + 1 : 0;
        while (*link) {
            struct redis_cell *cell = *link;
            if (!in_use(cell) && cell->cell.reset_at + GRACE < now)
                forget(cells, link);
            else
                link = &cell->next;
        }
    }
}
