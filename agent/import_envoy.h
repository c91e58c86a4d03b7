/* Rules of envoyproxy/ratelimit, its YAML, as a rule file. No I/O. */
#pragma once

#include "base/base.h"

#define ENVOY_FILE_MAX        (16u << 20) /* bytes of text */
#define ENVOY_DESCRIPTORS_MAX 10000
#define ENVOY_DEPTH_MAX       32
#define ENVOY_ANCHORS_MAX     1000
#define ENVOY_FINDINGS_MAX    100 /* that are told; of more, how many there are */

/* What is wrong, which leaves nothing to convert, or what can't be said by rules. */
struct envoy_finding {
    bool wrong;
    size_t line; /* from 1; 0: of the whole file */
    size_t column;
    const char *text;
};

typedef void envoy_found(void *context, const struct envoy_finding *finding);

/* The rule file that decides as ratelimit does by `text`, if Envoy sends it a descriptor for each
 * path of keys that stands in it and whose entries the request has. To be freed; NULL where
 * anything is wrong, or memory is short, which is told. name: of the file, for a comment. */
char *envoy_convert(struct slice text, const char *name, size_t *size, envoy_found *found,
                    void *context);
