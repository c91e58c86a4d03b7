/* What a ratelimit file says, between reading and writing it. Internal to agent/import_envoy*.c. */
#pragma once

#include <stdio.h>

#include "agent/import_envoy.h"
#include "rules/rules.h"

/* One entry of a descriptor, and what may follow it. */
struct envoy_descriptor {
    struct slice key;
    struct slice value; /* without the '*' of a wildcard; empty: any */
    bool is_wildcard;
    bool is_shared; /* share_threshold: the values that a wildcard matches are counted together */

    bool has_limit;
    bool unlimited;
    bool shadow;
    uint64_t limit;
    const char *window; /* a duration of ours, a static string */
    struct slice limit_name;
    const struct slice *replaces;
    size_t replaces_count;

    size_t line;
    size_t column;
    const struct envoy_descriptor *parent; /* NULL: the root, which is no entry itself */
    const struct envoy_descriptor *next;   /* in the same list */
    const struct envoy_descriptor *children;
    size_t depth; /* entries up to this one; the root's is 0 */
    /* For the writer: of what the rule is called. */
    const struct envoy_descriptor *next_named;
    struct slice rule_name;
};

struct envoy_file {
    struct arena arena;
    struct slice domain;
    struct envoy_descriptor root;
    size_t descriptor_count;
    bool address_has_wildcard; /* of remote_address */

    envoy_found *found;
    void *context;
    struct slice notes[ENVOY_FINDINGS_MAX]; /* "LINE:COLUMN: WHAT", for comments */
    size_t note_count;
    size_t told; /* findings */
    size_t omitted;
    size_t wrong;
};

#define ENVOY_TEXT_MAX 512

/* Tells one finding. */
void envoy_tell(struct envoy_file *file, bool wrong, size_t line, size_t column, const char *format,
                ...) __attribute__((format(printf, 5, 6)));

/* A text of the file for a message: in quotes, cut, and without what moves a cursor. */
#define ENVOY_QUOTED_MAX 80
const char *envoy_quote(struct slice text, char quoted[ENVOY_QUOTED_MAX]);
#define ENVOY_QUOTE(text) envoy_quote((text), (char[ENVOY_QUOTED_MAX]){0})

/* Reads the text into a file whose `found` and `context` are set; the rest of it is zero.
 * file->wrong tells whether anything was. */
void envoy_read(struct envoy_file *file, struct slice text);

/* Writes the rules; more may be told. */
void envoy_write_rules(struct envoy_file *file, FILE *out);
