/* What rules are compiled to: the loader makes it, the matcher reads it. Internal to rules/. */
#pragma once

#include "rules/rules.h"

/* ---- names.c: names with a number each ----------------------------------------------------- */

struct rules__name {
    struct slice name; /* data NULL: a free entry */
    uint32_t hash;
    uint32_t number;
};

/* Open addressing with linear probing, at most half full. The names are not copied. */
struct rules__names {
    struct rules__name *entries;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
    uint64_t seed; /* set it before the first name: names come from files and from the wire */
};

/* Adds a name, or gives one that is there a new number. False when out of memory. */
bool rules__names_put(struct rules__names *names, struct arena *arena, struct slice name,
                      uint32_t number);

/* The number of a name, or -1. No allocation. */
int64_t rules__names_find(const struct rules__names *names, struct slice name);

/* ---- address.c: values and addresses in one form ------------------------------------------- */

/* The form in which values are compared and counted: numbers of any width become UINT64, or INT64
 * where they are negative; binary becomes a string; an IPv4-mapped IPv6 address becomes IPv4. */
struct value rules__canonical(const struct value *value);

/* A total order of canonical values: by type, then by content. */
int rules__value_compare(const struct value *a, const struct value *b);

/* 4 or 6, then the address; an IPv4 address is followed by zeros, so that memcmp orders them. */
#define RULES__ADDRESS_SIZE 17
struct rules__address {
    uint8_t bytes[RULES__ADDRESS_SIZE];
};

/* Addresses first..last, both included. */
struct rules__range {
    struct rules__address first;
    struct rules__address last;
};

/* The address that a canonical value is, or says as text. False when it is none. */
bool rules__address_of(const struct value *value, struct rules__address *address);

/* Clears (or sets) all bits behind a prefix length of the address's own family. */
void rules__address_mask(struct rules__address *address, unsigned prefix, bool set);

/* "192.0.2.0/24", "2001:db8::/32", or an address alone. On failure returns false and writes to
 * `expected` what would have been right. */
#define RULES__EXPECTED_MAX 128
bool rules__network_parse(struct slice text, struct rules__range *range,
                          char expected[RULES__EXPECTED_MAX]);

/* Sorts ranges and joins those that overlap; returns how many are left. */
size_t rules__ranges_normalise(struct rules__range *ranges, size_t count);

/* Binary search in normalised ranges. */
bool rules__ranges_contain(const struct rules__range *ranges, size_t count,
                           const struct rules__address *address);

/* ---- condition.c, operator*.c: what is asked of a message ----------------------------------- */

struct rules__condition;

/* Whether a canonical value, never NULL, fulfils a condition. */
typedef bool rules__holds_function(const struct rules__condition *condition,
                                   const struct value *value, struct rules_matcher *matcher);

/* A text that is looked for in others. */
struct rules__needle {
    struct slice text;
    /* Of ignored case: [i] is the length of the longest text that the first i + 1 bytes both begin
     * and, being shorter, end with. Else NULL. */
    const uint32_t *borders;
};

/* An operator's condition on one argument, or a group of conditions. One on an argument that was
 * not sent doesn't hold; what it is then is negated like any other outcome. */
struct rules__condition {
    rules__holds_function *holds; /* NULL: a group */
    uint32_t slot;
    uint32_t line; /* where its operand stands; of a group, 0 */
    uint32_t column;
    uint8_t operator_index; /* in rules__operators */
    bool negated;
    bool is_any;       /* a group of which one is enough; else all must hold */
    bool ignores_case; /* literals are in lower case, and texts are read so */
    size_t count;
    union {
        const struct value *values; /* canonical, sorted by rules__value_compare; of between, two */
        const struct slice *texts;  /* sorted, and none begins with another (or ends with it) */
        const struct rules__needle *needles;
        const struct rules__range *ranges; /* normalised */
        const struct rules__regex *regexes;
        const struct rules__condition *children;
    };
};

/* A compiled regular expression; the set's list owns its memory. */
struct rules__regex {
    void *code; /* pcre2_code */
};

struct rules__regex_list {
    struct rules__regex *regexes; /* room for RULES_MAX_REGEXES; NULL: none */
    size_t count;
    size_t memory; /* bytes of all of them */
};

void rules__regexes_free(struct rules__regex_list *list);

/* What one thread matches regular expressions with. */
struct rules__regex_room {
    void *data;    /* pcre2_match_data; NULL: the set has no regular expressions */
    void *context; /* pcre2_match_context */
    void *stack;   /* pcre2_jit_stack; NULL where there is no JIT */
    uint64_t overruns;
    unsigned overruns_of_message;
};

/* False when out of memory. Free it either way. */
bool rules__regex_room_open(struct rules__regex_room *room, const struct rules__regex_list *list);
void rules__regex_room_free(struct rules__regex_room *room);

/* The values or networks of a file, which any number of conditions read. */
struct rules__value_list {
    const struct value *values;        /* as a condition has them ... */
    const struct rules__range *ranges; /* ... or these */
    size_t count;
};

/* Whether all of them hold for the matcher's values. No conditions hold always. */
bool rules__hold(const struct rules__condition *conditions, size_t count,
                 struct rules_matcher *matcher);

/* ASCII's letters only: no other bytes are two cases of one letter. */
static inline uint8_t rules__lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* ---- key.c: who is counted ----------------------------------------------------------------- */

#define RULES_MAX_SEGMENTS 16

struct rules__key_part {
    uint32_t slot;
    bool is_network; /* an address's first bits are counted */
    uint8_t ipv4_prefix;
    uint8_t ipv6_prefix;
    bool lower;        /* texts are counted without regard to the case of ASCII letters */
    bool hash;         /* written as a hash */
    bool has_default;  /* what doesn't come, or is no address, is as if it had come with ... */
    uint32_t segments; /* texts are paths, of which so many segments are counted; 0: they aren't */
    struct slice default_text;
};

/* What a canonical value is counted as: itself, the default, or where the part is a network, that
 * of the address that it is or says. A text is then to be read by rules__key_read. False when it is
 * absent or no address. */
bool rules__key_value(const struct rules__key_part *part, const struct value *value,
                      struct value *counted);

/* The hash of a rule's key arguments in canonical values. False when one of them is absent. */
bool rules__subject(const struct rules_rule *rule, uint64_t seed, const struct value *values,
                    struct hash128 *subject);

/* ---- key_text.c ---------------------------------------------------------------------------- */

/* Writes a value that is counted (rules__key_value) without what tells types apart, escapes and
 * hashes: a text's bytes, 7, true, 192.0.2.0/24. False when these are more than
 * RULES__OVERRIDE_TEXT_MAX, or than there is room for. */
bool rules__key_plain(const struct rules__key_part *part, const struct value *counted,
                      struct writer *w);

/* Writes a rule's key for its table of overrides: each argument's length, then it. False when one
 * is too long or absent. */
bool rules__override_key(const struct rules_rule *rule, const struct value *values,
                         struct writer *w);

/* ---- key_read.c: a text as it is counted --------------------------------------------------- */

/* Reads a text that is as long as a request makes it, in lower case or as a path, without a copy.
 *
 * A path begins with one '/', ends before the first '?' or '#', has no empty segments and, RFC 3986
 * sections 5.2.4 and 6.2.2, no dot segments and no escapes of unreserved characters; other escapes
 * have upper-case digits. */
struct rules__key_reader {
    struct slice pieces[RULES_MAX_SEGMENTS];
    size_t count;
    size_t at;
    unsigned escape_left; /* digits to come of an escape that stays one */
    bool slash;           /* to come next */
    bool is_path;
    bool lower;
};

/* What the escape that s begins with (%2F) says, in digits of either case; -1 when it begins with
 * none. */
int rules__escaped(struct slice s);

struct rules__key_reader rules__key_read(const struct rules__key_part *part, struct slice text);

/* The text's next bytes: fewer than `room` at its end only. */
size_t rules__key_fill(struct rules__key_reader *reader, uint8_t *buffer, size_t room);

/* ---- what a rule that limits asks ------------------------------------------------------------ */

/* The limits of a rule by the value of an argument. */
struct rules__tiers {
    uint32_t slot;
    bool has_default;          /* else the rule doesn't apply to a value that has no tier */
    struct rules__names names; /* values as text, to the index of a list */
};

/* Overrides are found by a rule's key as rules__override_key writes it, of which each argument has
 * RULES__OVERRIDE_TEXT_MAX bytes at most; one that has more has no override. */
#define RULES__OVERRIDE_TEXT_MAX 256
#define RULES__OVERRIDE_KEY_MAX  (RULES_MAX_KEY_PARTS * (4 + RULES__OVERRIDE_TEXT_MAX))

/* The other message, at which a rule is charged. */
struct rules__charge {
    int32_t message;
    const struct rules__condition *conditions;
    size_t condition_count;
};

/* Units that a request costs. */
struct rules__cost {
    uint64_t units; /* where from_argument, of what comes without the argument or as no number */
    uint64_t minimum;
    uint64_t maximum;
    bool from_argument;
    uint32_t slot;
};

/* ---- hit.c --------------------------------------------------------------------------------- */

/* What a rule that matches comes to, for canonical values: its kind and, where it limits, whom, by
 * which limits, and how many units. */
void rules__hit(const struct rules_set *set, const struct rules_rule *rule,
                const struct value *values, struct rules_hit *hit);

/* ---- match.c ------------------------------------------------------------------------------- */

struct rules__table;

struct rules__index {
    struct rules__names slots;
    struct rules__names messages;
    struct rules__regex_list regexes;
    struct rules__table *table; /* rules/index.h */
    /* For explain.h: each mention of a name, in the order of reading. */
    const struct rules_use *uses;
    struct rules_use *last_use;
};

struct rules_matcher {
    const struct rules_set *set;
    const struct value *values; /* [slot_count]: the message's, canonical */
    struct rules__regex_room regex;
    struct rules__marks *marks; /* all clear between messages */
};
