#include <stdlib.h>

#include "agent/import_envoy_model.h"

/* Envoy sends, for each of its routes' actions, a descriptor: a list of entries, each with a key
 * and a value. Ratelimit looks for it level by level: at each the entry's key and value, else the
 * first wildcard that the value begins with, else the key alone; it never goes back. What it finds
 * at the last entry is the limit. So a path of ours is a rule that matches what its entries say,
 * and not what a sibling of one of them would have been taken for. */

#define PATH_MAX_ENTRIES (ENVOY_DEPTH_MAX + 1)
#define BUCKETS          4096

struct path {
    const struct envoy_descriptor *entries[PATH_MAX_ENTRIES]; /* from the outermost */
    size_t count;
};

struct rules_writer {
    struct envoy_file *file;
    FILE *out;
    const struct envoy_descriptor *first; /* with a limit */
    bool charge_denied;
    size_t rule_count;
    const struct envoy_descriptor **replacing; /* those that replace others */
    size_t replacing_count;
    const struct envoy_descriptor *named[BUCKETS]; /* by the hash of their rules' names */
};

/* Of each descriptor with a limit, in the order of the file. */
typedef void take(struct rules_writer *w, struct envoy_descriptor *d);

static void visit(struct rules_writer *w, const struct envoy_descriptor *parent, take *taken)
{
    for (const struct envoy_descriptor *d = parent->children; d; d = d->next) {
        if (d->has_limit)
            taken(w, (struct envoy_descriptor *)d);
        visit(w, d, taken);
    }
}

static struct path path_of(const struct envoy_descriptor *d)
{
    struct path path = {.count = d->depth};
    for (size_t i = path.count; i > 0; i--, d = d->parent)
        path.entries[i - 1] = d;
    return path;
}

/* ---- texts --------------------------------------------------------------------------------- */

/* What a double-quoted text may hold as it is: neither a line's end nor what isn't seen. */
static bool is_visible(uint32_t c)
{
    return (c >= ' ' && c < 0x7f) || (c >= 0xa0 && c != 0xad && c < 0x2000) ||
           (c >= 0x3000 && c < 0xd800);
}

static void write_character(FILE *out, struct slice text, size_t size, uint32_t c)
{
    if (c == '"' || c == '\\')
        fprintf(out, "\\%c", (int)c);
    else if (is_visible(c))
        fwrite(text.data, 1, size, out);
    else
        fprintf(out, c > 0xffff ? "\\U%08x" : "\\u%04x", c);
}

/* In double quotes; variables (${NAME}) are what sluice would put in. */
static void write_quoted(FILE *out, struct slice text)
{
    fputc('"', out);
    while (text.size) {
        uint32_t c = 0;
        size_t size = slice_utf8(text, &c);
        if (c == '$' && text.size > 1 && text.data[1] == '{')
            fputc('$', out);
        write_character(out, text, size, c);
        text = slice_from(text, size ? size : 1);
    }
    fputc('"', out);
}

static bool is_name_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* What HAProxy's message calls the key of an entry. */
static const char *argument_of(const struct envoy_file *file, const struct envoy_descriptor *d,
                               char name[RULES_NAME_MAX + 1])
{
    /* HAProxy's own word; but only as a text can it begin like another. */
    bool is_source = slice_equal(d->key, SLICE("remote_address")) && !file->address_has_wildcard;
    struct slice key = is_source ? SLICE("src") : d->key;
    size_t times = 1;
    for (const struct envoy_descriptor *above = d->parent; above->parent; above = above->parent)
        times += slice_equal(above->key, d->key);
    size_t size = 0;
    for (; size < key.size && size < RULES_NAME_MAX - 3; size++)
        name[size] = (char)(is_name_byte(key.data[size]) ? key.data[size] : '_');
    name[size] = 0;
    if (times > 1)
        snprintf(name + size, 4, "_%u", (unsigned)times % 100);
    return name;
}

#define ARGUMENT(w, d) argument_of((w)->file, (d), (char[RULES_NAME_MAX + 1]){0})

/* A network as a value is an error of ours, since an address never equals one. */
static bool looks_like_network(struct slice value)
{
    bool has_slash = false;
    for (size_t i = 0; i < value.size; i++) {
        if (!strchr("0123456789abcdefABCDEF.:/", value.data[i]) || !value.data[i])
            return false;
        has_slash = has_slash || value.data[i] == '/';
    }
    return has_slash;
}

/* An expression that only the value itself fulfils; of networks alone, whose one special character
 * is the dot. */
static void write_network(FILE *out, struct slice value)
{
    fputs("\"\\\\A", out);
    for (size_t i = 0; i < value.size; i++)
        fprintf(out, value.data[i] == '.' ? "\\\\." : "%c", value.data[i]);
    fputs("\\\\z\"", out);
}

static void write_value(FILE *out, struct slice value)
{
    if (looks_like_network(value)) {
        fputs("{ regex: ", out);
        write_network(out, value);
        fputs(" }", out);
    } else {
        write_quoted(out, value);
    }
}

/* ---- what a sibling would have been taken for ---------------------------------------------- */

enum other {
    OTHER_VALUES,
    OTHER_NETWORKS,
    OTHER_PREFIXES,
};

static bool is_exact(const struct envoy_descriptor *d)
{
    return d->value.size > 0 && !d->is_wildcard;
}

/* Whether a sibling takes some of the values that d would. */
static bool takes_before(const struct envoy_descriptor *sibling, const struct envoy_descriptor *d)
{
    if (sibling == d || is_exact(d) || !slice_equal(sibling->key, d->key))
        return false;
    if (!d->is_wildcard)
        return is_exact(sibling) || sibling->is_wildcard;
    if (is_exact(sibling))
        return slice_has_prefix(sibling->value, d->value);
    bool is_earlier =
        sibling->line < d->line || (sibling->line == d->line && sibling->column < d->column);
    return sibling->is_wildcard && is_earlier &&
           (slice_has_prefix(sibling->value, d->value) ||
            slice_has_prefix(d->value, sibling->value));
}

static bool is_of_kind(const struct envoy_descriptor *d, enum other kind)
{
    if (d->is_wildcard)
        return kind == OTHER_PREFIXES;
    return kind == (looks_like_network(d->value) ? OTHER_NETWORKS : OTHER_VALUES);
}

static size_t count_others(const struct envoy_descriptor *d, enum other kind)
{
    size_t count = 0;
    if (is_exact(d)) /* as most are */
        return 0;
    for (const struct envoy_descriptor *s = d->parent->children; s; s = s->next)
        count += takes_before(s, d) && is_of_kind(s, kind);
    return count;
}

/* Whether an earlier sibling takes all: a rule for what is left would never match. */
static const struct envoy_descriptor *taker_of_all(const struct envoy_descriptor *d)
{
    for (const struct envoy_descriptor *s = d->parent->children; s && !is_exact(d); s = s->next)
        if (takes_before(s, d) && s->is_wildcard && slice_has_prefix(d->value, s->value))
            return s;
    return NULL;
}

static void write_others(struct rules_writer *w, const struct envoy_descriptor *d, enum other kind)
{
    static const char *const operators[] = {"in", "regex", "prefix"};
    const char *separator = "";
    fprintf(w->out, "{ %s: { %s: [ ", ARGUMENT(w, d), operators[kind]);
    for (const struct envoy_descriptor *s = d->parent->children; s; s = s->next) {
        if (!takes_before(s, d) || !is_of_kind(s, kind))
            continue;
        fputs(separator, w->out);
        separator = ", ";
        if (kind == OTHER_NETWORKS)
            write_network(w->out, s->value);
        else
            write_quoted(w->out, s->value);
    }
    fputs(" ] } }", w->out);
}

/* ---- conditions ---------------------------------------------------------------------------- */

static bool replaces(const struct envoy_descriptor *d, struct slice name)
{
    for (size_t i = 0; name.size && i < d->replaces_count; i++)
        if (slice_equal(d->replaces[i], name))
            return true;
    return false;
}

static size_t count_exclusions(const struct rules_writer *w, const struct path *path,
                               struct slice replaced)
{
    size_t count = 0;
    for (size_t i = 0; i < path->count; i++)
        for (enum other kind = OTHER_VALUES; kind <= OTHER_PREFIXES; kind++)
            count += count_others(path->entries[i], kind) > 0;
    for (size_t i = 0; i < w->replacing_count; i++)
        count += replaces(w->replacing[i], replaced);
    return count;
}

static void write_conditions(struct rules_writer *w, const struct envoy_descriptor *d,
                             struct slice replaced, bool with_exists);

static void write_exclusions(struct rules_writer *w, const struct path *path, struct slice replaced)
{
    const char *separator = "";
    for (size_t i = 0; i < path->count; i++) {
        for (enum other kind = OTHER_VALUES; kind <= OTHER_PREFIXES; kind++) {
            if (count_others(path->entries[i], kind) == 0)
                continue;
            fputs(separator, w->out);
            write_others(w, path->entries[i], kind);
            separator = ", ";
        }
    }
    for (size_t i = 0; i < w->replacing_count; i++) {
        if (!replaces(w->replacing[i], replaced))
            continue;
        fputs(separator, w->out);
        write_conditions(w, w->replacing[i], (struct slice){NULL, 0}, true);
        separator = ", ";
    }
}

/* A mapping like `match`. replaced: the name by which others replace it; with_exists: also that the
 * arguments that would be its key are there. */
static void write_conditions(struct rules_writer *w, const struct envoy_descriptor *d,
                             struct slice replaced, bool with_exists)
{
    struct path path = path_of(d);
    const char *separator = " ";
    fputc('{', w->out);
    for (size_t i = 0; i < path.count; i++) {
        const struct envoy_descriptor *entry = path.entries[i];
        if (entry->value.size == 0 && !with_exists)
            continue;
        fprintf(w->out, "%s%s: ", separator, ARGUMENT(w, entry));
        if (is_exact(entry)) {
            write_value(w->out, entry->value);
        } else if (entry->value.size == 0) {
            fputs("{ exists: true }", w->out);
        } else {
            fputs("{ prefix: ", w->out);
            write_quoted(w->out, entry->value);
            fputs(" }", w->out);
        }
        separator = ", ";
    }
    size_t excluded = count_exclusions(w, &path, replaced);
    if (excluded) {
        fprintf(w->out, "%snot: %s", separator, excluded > 1 ? "{ any: [ " : "");
        write_exclusions(w, &path, replaced);
        fputs(excluded > 1 ? " ] }" : "", w->out);
    }
    fputs(" }", w->out);
}

static bool has_conditions(const struct rules_writer *w, const struct envoy_descriptor *d)
{
    struct path path = path_of(d);
    for (size_t i = 0; i < path.count; i++)
        if (path.entries[i]->value.size)
            return true;
    return count_exclusions(w, &path, d->limit_name) > 0;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool take_name(struct rules_writer *w, struct envoy_descriptor *d, struct slice name)
{
    const struct envoy_descriptor **bucket = &w->named[hash64(name, 0) % BUCKETS];
    for (const struct envoy_descriptor *other = *bucket; other; other = other->next_named)
        if (slice_equal(other->rule_name, name))
            return false;
    d->rule_name = arena_copy(&w->file->arena, name);
    d->next_named = *bucket;
    *bucket = d;
    return true;
}

/* As ratelimit's metrics call it: key_value.key_value. */
static void name_rule(struct rules_writer *w, struct envoy_descriptor *d)
{
    char name[RULES_NAME_MAX + 1] = "";
    size_t size = 0;
    struct path path = path_of(d);
    for (size_t i = 0; i < path.count; i++) {
        const struct envoy_descriptor *entry = path.entries[i];
        struct slice parts[] = {i ? SLICE(".") : SLICE(""), entry->key,
                                entry->value.size ? SLICE("_") : SLICE(""), entry->value};
        for (size_t j = 0; j < sizeof(parts) / sizeof(parts[0]); j++)
            for (size_t at = 0; at < parts[j].size && size < RULES_NAME_MAX; at++)
                name[size++] = (char)(is_name_byte(parts[j].data[at]) ? parts[j].data[at] : '-');
    }
    for (unsigned again = 2; !take_name(w, d, slice_of(name, size)); again++) {
        char number[16];
        int digits = snprintf(number, sizeof(number), "-%u", again);
        size_t at = again == 2 ? size : (size_t)(strrchr(name, '-') - name); /* the last number */
        if (at + (size_t)digits > RULES_NAME_MAX)
            at = RULES_NAME_MAX - (size_t)digits;
        memcpy(name + at, number, (size_t)digits + 1);
        size = at + (size_t)digits;
    }
}

/* ---- rules --------------------------------------------------------------------------------- */

/* Of the entries that are counted apart; all of them where none is told. */
static size_t key_of(const struct path *path, const struct envoy_descriptor **key)
{
    size_t count = 0;
    for (size_t i = 0; i < path->count; i++) {
        const struct envoy_descriptor *entry = path->entries[i];
        if (is_exact(entry) || (entry->is_wildcard && entry->is_shared))
            continue;
        if (key)
            key[count] = entry;
        count++;
    }
    return count;
}

/* The entry of its path that no value reaches; NULL: there is none. */
static const struct envoy_descriptor *unreachable_entry(const struct envoy_descriptor *d)
{
    for (; d->parent; d = d->parent)
        if (taker_of_all(d))
            return d;
    return NULL;
}

/* Of keys that differ in what arguments' names can't have; NULL: there is none. */
static const struct envoy_descriptor *twin_entry(const struct envoy_file *file,
                                                 const struct envoy_descriptor *d)
{
    char name[RULES_NAME_MAX + 1];
    char other[RULES_NAME_MAX + 1];
    for (; d->parent; d = d->parent)
        for (const struct envoy_descriptor *above = d->parent; above->parent; above = above->parent)
            if (strcmp(argument_of(file, d, name), argument_of(file, above, other)) == 0)
                return d;
    return NULL;
}

static bool can_be_written(struct rules_writer *w, const struct envoy_descriptor *d)
{
    struct path path = path_of(d);
    const struct envoy_descriptor *unreachable = unreachable_entry(d);
    if (unreachable) {
        envoy_tell(w->file, false, d->line, d->column,
                   "a limit that is never reached: line %zu takes all values of %s before it",
                   taker_of_all(unreachable)->line, ENVOY_QUOTE(unreachable->key));
        return false;
    }
    const struct envoy_descriptor *twin = twin_entry(w->file, d);
    if (twin) {
        envoy_tell(w->file, false, d->line, d->column,
                   "a limit by two keys that would both be the argument %s", ARGUMENT(w, twin));
        return false;
    }
    if (key_of(&path, NULL) <= RULES_MAX_KEY_PARTS)
        return true;
    envoy_tell(w->file, false, d->line, d->column,
               "a limit by %zu keys without a value, expected at most %d", key_of(&path, NULL),
               RULES_MAX_KEY_PARTS);
    return false;
}

static void write_key(struct rules_writer *w, const struct path *path)
{
    const struct envoy_descriptor *key[PATH_MAX_ENTRIES];
    size_t count = key_of(path, key);
    fputs("    key: [", w->out);
    for (size_t i = 0; i < count; i++)
        fprintf(w->out, "%s %s", i ? "," : "", ARGUMENT(w, key[i]));
    fputs(count ? " ]\n" : "]\n", w->out);
}

static void write_rule(struct rules_writer *w, struct envoy_descriptor *d)
{
    struct path path = path_of(d);
    if ((unsigned long)ftell(w->out) > RULES_FILE_MAX || !can_be_written(w, d))
        return;
    name_rule(w, d);
    fprintf(w->out, "%s  - name: \"%.*s\" # line %zu\n", w->rule_count++ ? "" : "\n",
            SLICE_ARGS(d->rule_name), d->line);
    if (has_conditions(w, d)) {
        fputs("    match: ", w->out);
        write_conditions(w, d, d->limit_name, false);
        fputc('\n', w->out);
    }
    write_key(w, &path);
    if (d->unlimited)
        fputs("    limits: unlimited\n", w->out);
    else
        fprintf(w->out, "    limits: { limit: %llu, window: %s }\n", (unsigned long long)d->limit,
                d->window);
    if (d->shadow)
        fputs("    mode: shadow\n", w->out);
    if (w->charge_denied && !d->unlimited)
        fputs("    charge_denied: true\n", w->out);
}

/* ---- beforehand ---------------------------------------------------------------------------- */

static void note_replacing(struct rules_writer *w, struct envoy_descriptor *d)
{
    if (d->replaces_count && !unreachable_entry(d) && !twin_entry(w->file, d))
        w->replacing[w->replacing_count++] = d;
}

static bool same_keys(const struct envoy_descriptor *a, const struct envoy_descriptor *b)
{
    for (; a->parent && b->parent && slice_equal(a->key, b->key); a = a->parent)
        b = b->parent;
    return !a->parent && !b->parent;
}

/* Whether a request can have several limits: then each is charged, whatever the others say. */
static void compare_keys(struct rules_writer *w, struct envoy_descriptor *d)
{
    if (!w->first)
        w->first = d;
    w->charge_denied = w->charge_denied || !same_keys(w->first, d);
}

void envoy_write_rules(struct envoy_file *file, FILE *out)
{
    struct rules_writer *w = calloc(1, sizeof(*w));
    if (w)
        w->replacing = calloc(file->descriptor_count + 1, sizeof(struct envoy_descriptor *));
    if (w && w->replacing) {
        w->file = file;
        w->out = out;
        visit(w, &file->root, note_replacing);
        visit(w, &file->root, compare_keys);
        fputs("rules:", out);
        visit(w, &file->root, write_rule);
        fputs(w->rule_count ? "" : " []\n", out);
    } else {
        envoy_tell(file, true, 0, 0, "out of memory");
    }
    if (w)
        free(w->replacing);
    free(w);
}
