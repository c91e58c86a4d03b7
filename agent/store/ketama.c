#include <md5.h>
#include <stdlib.h>

#include "agent/store/ketama.h"

#define POINTS_PER_DIGEST 4
#define DIGESTS           40.0 /* of a server of average weight */

static uint32_t little_endian(const uint8_t *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

static void md5_add(MD5_CTX *md5, struct slice s)
{
    if (s.size)
        MD5Update(md5, s.data, s.size);
}

uint32_t ketama_hash(struct slice key)
{
    uint8_t digest[MD5_DIGEST_LENGTH];
    MD5_CTX md5;
    MD5Init(&md5);
    md5_add(&md5, key);
    MD5Final(digest, &md5);
    return little_endian(digest);
}

/* The casts are where libketama rounds, and nowhere else. */
static uint32_t digests_of(uint32_t weight, uint64_t total, size_t servers)
{
    float share = (float)weight / (float)total;
    return (uint32_t)(float)((double)share * DIGESTS * (double)servers);
}

static void add_points(struct ketama *ketama, const struct ketama_server *servers, size_t server,
                       uint32_t digests)
{
    for (uint32_t i = 0; i < digests; i++) {
        char text[12];
        struct writer suffix = writer_open(text, sizeof(text));
        writer_uint8(&suffix, '-');
        writer_decimal(&suffix, i);

        uint8_t digest[MD5_DIGEST_LENGTH];
        MD5_CTX md5;
        MD5Init(&md5);
        md5_add(&md5, servers[server].name);
        md5_add(&md5, writer_slice(&suffix));
        MD5Final(digest, &md5);
        for (size_t n = 0; n < POINTS_PER_DIGEST; n++)
            ketama->points[ketama->count++] =
                (struct ketama_point){little_endian(digest + 4 * n), (uint32_t)server};
    }
}

static int compare_points(const void *left, const void *right, void *servers)
{
    const struct ketama_point *a = left;
    const struct ketama_point *b = right;
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    const struct ketama_server *list = servers;
    return slice_compare(list[a->server].name, list[b->server].name);
}

static enum error check(const struct ketama_server *servers, size_t count)
{
    if (count < 1 || count > KETAMA_SERVERS_MAX)
        return ERROR_RANGE;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].weight == 0)
            return ERROR_RANGE;
        if (servers[i].name.size == 0)
            return ERROR_MALFORMED;
        for (size_t n = 0; n < i; n++)
            if (slice_equal(servers[i].name, servers[n].name))
                return ERROR_MALFORMED;
    }
    return ERROR_NONE;
}

enum error ketama_create(const struct ketama_server *servers, size_t count, struct ketama **ketama)
{
    *ketama = NULL;
    enum error error = check(servers, count);
    if (error)
        return error;

    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += servers[i].weight;
    size_t digests = 0;
    for (size_t i = 0; i < count; i++)
        digests += digests_of(servers[i].weight, total, count);

    struct ketama *made =
        malloc(sizeof(*made) + digests * POINTS_PER_DIGEST * sizeof(made->points[0]));
    if (!made)
        return ERROR_NO_MEMORY;
    made->count = 0;
    for (size_t i = 0; i < count; i++)
        add_points(made, servers, i, digests_of(servers[i].weight, total, count));
    qsort_r(made->points, made->count, sizeof(made->points[0]), compare_points, (void *)servers);
    *ketama = made;
    return ERROR_NONE;
}

void ketama_free(struct ketama *ketama)
{
    free(ketama);
}

const struct ketama_point *ketama_at(const struct ketama *ketama, uint32_t hash)
{
    size_t first = 0;
    size_t end = ketama->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (ketama->points[middle].at < hash)
            first = middle + 1;
        else
            end = middle;
    }
    return &ketama->points[first < ketama->count ? first : 0];
}
