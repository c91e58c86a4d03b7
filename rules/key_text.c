#include <assert.h>
#include <sha2.h>

#include "rules/compiled.h"

/* A part at its longest is a text: '=' and RULES_SUBJECT_TEXT, which what is cut is no longer
 * than. Then its ','. */
#define PART_MAX   (1 + RULES_SUBJECT_TEXT + 1)
#define DIGEST_MAX 32 /* hexadecimal digits */

static_assert(RULES_SUBJECT_HEAD + 1 + DIGEST_MAX <= RULES_SUBJECT_TEXT, "a cut text is shorter");

static const char lower_hex[] = "0123456789abcdef";
static const char upper_hex[] = "0123456789ABCDEF";

static void write_digest(SHA2_CTX *sha256, struct writer *w)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];
    SHA256Final(digest, sha256);
    for (size_t i = 0; i < DIGEST_MAX / 2; i++) {
        writer_uint8(w, (uint8_t)lower_hex[digest[i] >> 4]);
        writer_uint8(w, (uint8_t)lower_hex[digest[i] & 15]);
    }
}

static void digest_text(SHA2_CTX *sha256, const struct rules__key_part *part, struct slice text)
{
    uint8_t buffer[1024];
    size_t size;
    struct rules__key_reader reader = rules__key_read(part, text);
    do {
        size = rules__key_fill(&reader, buffer, sizeof(buffer));
        SHA256Update(sha256, buffer, size);
    } while (size == sizeof(buffer));
}

/* ---- texts --------------------------------------------------------------------------------- */

static const bool is_plain[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true, ['-'] = true, ['.'] = true,
    ['_'] = true,         ['~'] = true,         ['/'] = true,         ['@'] = true, ['+'] = true,
    ['='] = true,         ['?'] = true,         ['&'] = true,         [';'] = true,
};

static void write_text_byte(uint8_t c, struct writer *w)
{
    if (is_plain[c]) {
        writer_uint8(w, c);
    } else {
        writer_uint8(w, '%');
        writer_uint8(w, (uint8_t)upper_hex[c >> 4]);
        writer_uint8(w, (uint8_t)upper_hex[c & 15]);
    }
}

static void write_text(const struct rules__key_part *part, struct slice text, struct writer *w)
{
    uint8_t begins[RULES_SUBJECT_TEXT + 1]; /* each takes one byte or more */
    struct rules__key_reader reader = rules__key_read(part, text);
    size_t size = rules__key_fill(&reader, begins, sizeof(begins));
    writer_uint8(w, '=');
    uint8_t *begin = w->position;
    uint8_t *head = begin;
    for (size_t i = 0; i < size; i++) {
        size_t left = RULES_SUBJECT_TEXT - (size_t)(w->position - begin);
        if ((is_plain[begins[i]] ? 1u : 3u) > left) {
            SHA2_CTX sha256;
            SHA256Init(&sha256);
            digest_text(&sha256, part, text);
            w->position = head;
            writer_uint8(w, '#');
            write_digest(&sha256, w);
            return;
        }
        write_text_byte(begins[i], w);
        if (w->position - begin <= RULES_SUBJECT_HEAD)
            head = w->position;
    }
}

/* ---- addresses ----------------------------------------------------------------------------- */

/* Not inet_ntop, of which C libraries have several opinions. */

static void write_ipv4(const uint8_t *address, struct writer *w)
{
    for (size_t i = 0; i < 4; i++) {
        if (i)
            writer_uint8(w, '.');
        writer_decimal(w, address[i]);
    }
}

/* The longest run of at least two groups of zeros, the first of several: its length. */
static size_t longest_zeros(const uint16_t *groups, size_t *first)
{
    size_t best = 1;
    size_t run = 0;
    *first = 8;
    for (size_t i = 0; i < 8; i++) {
        run = groups[i] ? 0 : run + 1;
        if (run > best) {
            best = run;
            *first = i + 1 - run;
        }
    }
    return *first < 8 ? best : 0;
}

static void write_group(uint16_t group, struct writer *w)
{
    bool begun = false;
    for (unsigned left = 4; left > 0; left--) {
        unsigned digit = (unsigned)group >> 4 * (left - 1) & 15;
        begun = begun || digit || left == 1;
        if (begun)
            writer_uint8(w, (uint8_t)lower_hex[digit]);
    }
}

static void write_ipv6(const uint8_t *address, struct writer *w)
{
    uint16_t groups[8];
    size_t first;
    for (size_t i = 0; i < 8; i++)
        groups[i] = (uint16_t)(address[2 * i] << 8 | address[2 * i + 1]);
    size_t zeros = longest_zeros(groups, &first);
    for (size_t i = 0; i < 8; i++) {
        if (i == first) {
            writer_bytes(w, SLICE("::"));
            i += zeros - 1;
            continue;
        }
        if (i && i != first + zeros)
            writer_uint8(w, ':');
        write_group(groups[i], w);
    }
}

static void write_prefix(const struct rules__key_part *part, uint8_t prefix, uint8_t whole,
                         struct writer *w)
{
    if (!part->is_network || prefix == whole)
        return;
    writer_uint8(w, '/');
    writer_decimal(w, prefix);
}

/* ---- a subject ----------------------------------------------------------------------------- */

/* No two values that are counted apart are written alike: only a text begins with '=', only an
 * IPv6 address has a ':' and doesn't, only an IPv4 address has a '.' and doesn't. */
static void write_value(const struct rules__key_part *part, const struct value *value,
                        struct writer *w)
{
    switch (value->type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        writer_bytes(w, value->boolean ? SLICE("true") : SLICE("false"));
        break;
    case VALUE_INT32:
    case VALUE_INT64: /* canonical: below 0 */
        writer_uint8(w, '-');
        writer_decimal(w, 0 - (uint64_t)value->integer);
        break;
    case VALUE_UINT32:
    case VALUE_UINT64:
        writer_decimal(w, value->natural);
        break;
    case VALUE_IPV4:
        write_ipv4(value->address, w);
        write_prefix(part, part->ipv4_prefix, 32, w);
        break;
    case VALUE_IPV6:
        write_ipv6(value->address, w);
        write_prefix(part, part->ipv6_prefix, 128, w);
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        write_text(part, value->bytes, w);
        break;
    }
}

/* A part of which all are written so: of a text's '=' and bytes, of another value's text. */
static void write_hashed(const struct rules__key_part *part, const struct value *value,
                         struct writer *w)
{
    SHA2_CTX sha256;
    SHA256Init(&sha256);
    if (value->type == VALUE_STRING) {
        SHA256Update(&sha256, (const uint8_t *)"=", 1);
        digest_text(&sha256, part, value->bytes);
    } else {
        uint8_t buffer[PART_MAX];
        struct writer plain = writer_open(buffer, sizeof(buffer));
        write_value(part, value, &plain);
        SHA256Update(&sha256, buffer, writer_size(&plain));
    }
    writer_uint8(w, '#');
    write_digest(&sha256, w);
}

void rules_subject_parts(const struct rules_rule *rule, const struct value *values,
                         struct value *parts)
{
    for (size_t i = 0; i < rule->key_count; i++)
        parts[i] = values[rule->key[i].slot];
}

void rules_subject_write(const struct rules_rule *rule, const struct value *parts, struct writer *w)
{
    uint8_t buffer[RULES_MAX_KEY_PARTS * PART_MAX];
    struct writer whole = writer_open(buffer, sizeof(buffer));
    for (size_t i = 0; i < rule->key_count; i++) {
        const struct rules__key_part *part = &rule->key[i];
        struct value canonical = rules__canonical(&parts[i]);
        struct value counted;
        if (i)
            writer_uint8(&whole, ',');
        if (rules__key_value(part, &canonical, &counted))
            (part->hash ? write_hashed : write_value)(part, &counted, &whole);
    }
    if (rule->key_count == 0)
        writer_uint8(&whole, '*');
    struct slice text = writer_slice(&whole);
    if (text.size > RULES_SUBJECT_MAX) {
        uint8_t cut[RULES_SUBJECT_MAX];
        struct writer shorter = writer_open(cut, sizeof(cut));
        writer_bytes(&shorter, slice_of(text.data, sizeof(cut) - 1 - DIGEST_MAX));
        writer_uint8(&shorter, '!');
        SHA2_CTX sha256;
        SHA256Init(&sha256);
        SHA256Update(&sha256, text.data, text.size);
        write_digest(&sha256, &shorter);
        writer_bytes(w, writer_slice(&shorter));
    } else {
        writer_bytes(w, text);
    }
}

void rules_subject_text(const struct rules_rule *rule, const struct value *values, struct writer *w)
{
    struct value parts[RULES_MAX_KEY_PARTS];
    rules_subject_parts(rule, values, parts);
    rules_subject_write(rule, parts, w);
}

/* ---- what overrides are found by ----------------------------------------------------------- */

bool rules__key_plain(const struct rules__key_part *part, const struct value *counted,
                      struct writer *w)
{
    uint8_t text[RULES__OVERRIDE_TEXT_MAX + 1];
    if (counted->type != VALUE_STRING) {
        write_value(part, counted, w);
        return !w->error;
    }
    struct rules__key_reader reader = rules__key_read(part, counted->bytes);
    size_t size = rules__key_fill(&reader, text, sizeof(text));
    if (size <= RULES__OVERRIDE_TEXT_MAX)
        writer_bytes(w, slice_of(text, size));
    return size <= RULES__OVERRIDE_TEXT_MAX && !w->error;
}

bool rules__override_key(const struct rules_rule *rule, const struct value *values,
                         struct writer *w)
{
    for (size_t i = 0; i < rule->key_count; i++) {
        const struct rules__key_part *part = &rule->key[i];
        struct value counted;
        uint8_t *length = writer_reserve(w, 4);
        uint8_t *begin = w->position;
        if (!length || !rules__key_value(part, &values[part->slot], &counted) ||
            !rules__key_plain(part, &counted, w))
            return false;
        writer_put_uint32(length, (uint32_t)(w->position - begin));
    }
    return true;
}
