/* Most of what is hashed is short, and a call costs as much again. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/base.h"

uint64_t hash64(struct slice s, uint64_t seed)
{
    return XXH3_64bits_withSeed(s.size ? s.data : (const uint8_t *)"", s.size, seed);
}

struct hash128 hash128(struct slice s, uint64_t seed)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(s.size ? s.data : (const uint8_t *)"", s.size, seed);
    return (struct hash128){h.low64, h.high64};
}
