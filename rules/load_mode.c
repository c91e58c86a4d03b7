#include <stddef.h>

#include "rules/loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define REDIS_PORT    6379
#define SENTINEL_PORT 26379

#define MODE_TABLE(X)                                                                              \
    X(MEMORY, "memory")                                                                            \
    X(SINGLE, "single")                                                                            \
    X(SENTINEL, "sentinel")                                                                        \
    X(KETAMA, "ketama")                                                                            \
    X(CLUSTER, "cluster")

static const char *const mode_names[RULES_STORE_MODES] = {
#define MODE_NAME(mode, name) [RULES_STORE_##mode] = (name),
    MODE_TABLE(MODE_NAME)
#undef MODE_NAME
};

/* For messages about the file, which may say something else. */
static const char *const overridden_names[RULES_STORE_MODES] = {
#define MODE_NAME(mode, name) [RULES_STORE_##mode] = name " (of " RULES_MODE_VARIABLE ")",
    MODE_TABLE(MODE_NAME)
#undef MODE_NAME
};

const char *rules_store_mode_name(enum rules_store_mode mode)
{
    return mode_names[mode];
}

void rules__load_mode(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    struct rules_store *store = object;
    int mode = rules__word(loader, field->name, node, mode_names, COUNT(mode_names));
    loader->store.mode_known = mode >= 0;
    if (mode >= 0)
        store->mode = (enum rules_store_mode)mode;
}

/* ---- the environment ----------------------------------------------------------------------- */

static const struct rules__node *scalar(struct rules__loader *loader, struct slice text)
{
    struct rules__node *node = arena_allocate(&loader->scratch, sizeof(*node));
    if (!node)
        rules__no_memory(loader);
    else
        *node = (struct rules__node){.kind = RULES__SCALAR, .text = text};
    return node;
}

static bool is_separator(uint8_t c)
{
    return c == ',' || c == ' ' || (c >= '\t' && c <= '\r');
}

/* The first text between separators; rest is what is behind it. Empty: there is none. */
static struct slice next_text(struct slice *rest)
{
    size_t begin = 0;
    while (begin < rest->size && is_separator(rest->data[begin]))
        begin++;
    size_t end = begin;
    while (end < rest->size && !is_separator(rest->data[end]))
        end++;
    struct slice text = slice_of(rest->size ? rest->data + begin : NULL, end - begin);
    *rest = slice_from(*rest, end);
    return text;
}

/* One more than may be is enough to be told so. */
static const struct rules__node *split(struct rules__loader *loader, struct slice text)
{
    struct rules__node *list = arena_allocate(&loader->scratch, sizeof(*list));
    struct rules__node *items =
        arena_array(&loader->scratch, RULES_MAX_NODES + 1, sizeof(items[0]));
    if (!list || !items) {
        rules__no_memory(loader);
        return NULL;
    }
    size_t count = 0;
    for (struct slice item = next_text(&text); item.size && count <= RULES_MAX_NODES;
         item = next_text(&text)) {
        items[count] = (struct rules__node){.kind = RULES__SCALAR, .text = item};
        if (count)
            items[count - 1].next = &items[count];
        count++;
    }
    *list = (struct rules__node){.kind = RULES__LIST};
    list->children.first = count ? items : NULL;
    list->children.count = count;
    return list;
}

void rules__read_overrides(struct rules__loader *loader, const struct rules_overrides *overrides)
{
    struct rules__store_draft *draft = &loader->store;
    if (overrides->mode.size)
        draft->mode_override = scalar(loader, overrides->mode);
    if (overrides->nodes.size)
        draft->nodes_override = split(loader, overrides->nodes);
    if (overrides->instance_id.size)
        draft->instance_override = scalar(loader, overrides->instance_id);
}

/* ---- what a mode needs and what it has no use for ------------------------------------------ */

#define MODE(mode) (1u << RULES_STORE_##mode)
#define SHARED     (MODE(SINGLE) | MODE(SENTINEL) | MODE(KETAMA) | MODE(CLUSTER))

struct mode_key {
    const char *name;
    size_t offset;        /* of where it stands, in the draft */
    unsigned modes;       /* that have a use for it */
    const char *expected; /* by each of them; NULL: it may be missing */
};

static const struct mode_key mode_keys[] = {
    {"nodes", offsetof(struct rules__store_draft, nodes), SHARED,
     "at least one address, as in [ redis-1:6379 ]"},
    {"master", offsetof(struct rules__store_draft, master), MODE(SENTINEL),
     "the name that the Sentinels have for the primary, as in mymaster"},
    {"auth", offsetof(struct rules__store_draft, auth), SHARED, NULL},
    {"sentinel_auth", offsetof(struct rules__store_draft, sentinel_auth), MODE(SENTINEL), NULL},
    {"tls", offsetof(struct rules__store_draft, tls), SHARED, NULL},
};

/* "single, sentinel, ketama or cluster". */
static const char *modes_text(unsigned modes, char *buffer, size_t size)
{
    struct writer w = writer_open(buffer, size - 1);
    for (size_t i = 0; i < RULES_STORE_MODES; i++) {
        if (!(modes & 1u << i))
            continue;
        modes &= ~(1u << i);
        if (writer_size(&w))
            writer_bytes(&w, modes ? SLICE(", ") : SLICE(" or "));
        writer_bytes(&w, slice_of_string(mode_names[i]));
    }
    buffer[writer_size(&w)] = 0;
    return buffer;
}

static void report_useless(struct rules__loader *loader, const char *name,
                           const struct rules__node *node, unsigned modes)
{
    enum rules_store_mode mode = loader->set->settings.store.mode;
    char text[64];
    rules__problem(loader, node, "%s in a store with mode %s, expected only with mode %s", name,
                   mode_names[mode], modes_text(modes, text, sizeof(text)));
}

static void report_missing(struct rules__loader *loader, const struct mode_key *key)
{
    const struct rules__store_draft *draft = &loader->store;
    enum rules_store_mode mode = loader->set->settings.store.mode;
    if (draft->mode_override)
        rules__problem(loader, draft->mode_override,
                       "%s is %s and the file's store has no key \"%s\", expected there %s%s",
                       RULES_MODE_VARIABLE, mode_names[mode], key->name, key->expected,
                       key == mode_keys ? ", or " RULES_NODES_VARIABLE : "");
    else
        rules__problem(loader, draft->store, "a store with mode %s has no key \"%s\", expected %s",
                       mode_names[mode], key->name, key->expected);
}

/* What the environment's mode has no use for is not wrong: the file was written for another. */
static void check_keys(struct rules__loader *loader)
{
    const struct rules__store_draft *draft = &loader->store;
    enum rules_store_mode mode = loader->set->settings.store.mode;
    for (size_t i = 0; i < COUNT(mode_keys); i++) {
        const struct mode_key *key = &mode_keys[i];
        const struct rules__node *const *at = (const void *)((const uint8_t *)draft + key->offset);
        const struct rules__node *node = *at;
        bool is_used = key->modes & 1u << mode;
        bool is_overridden = key == mode_keys && draft->nodes_override;
        if (node && !is_used && !is_overridden && !draft->mode_override)
            report_useless(loader, key->name, node, key->modes);
        if (is_overridden && !is_used)
            report_useless(loader, RULES_NODES_VARIABLE, draft->nodes_override, key->modes);
        if (!node && is_used && key->expected && draft->intact && !is_overridden)
            report_missing(loader, key);
    }
}

static void load_nodes(struct rules__loader *loader)
{
    const struct rules__store_draft *draft = &loader->store;
    struct rules_store *store = &loader->set->settings.store;
    const struct rules__node *node = draft->nodes_override ? draft->nodes_override : draft->nodes;
    struct rules__node_terms terms = {
        .name = draft->nodes_override ? RULES_NODES_VARIABLE : "nodes",
        .mode = draft->mode_override ? overridden_names[store->mode] : mode_names[store->mode],
        .default_port = store->mode == RULES_STORE_SENTINEL ? SENTINEL_PORT : REDIS_PORT,
        .one = draft->mode_known && store->mode == RULES_STORE_SINGLE,
        .weights = draft->mode_known && store->mode == RULES_STORE_KETAMA,
        .lenient = !draft->mode_known || draft->mode_override,
        .tls = store->tls,
    };
    bool is_used = !draft->mode_known || store->mode != RULES_STORE_MEMORY;
    if (node && is_used)
        rules__load_nodes(loader, &terms, node, store);
}

void rules__finish_store(struct rules__loader *loader, bool intact)
{
    static const struct rules__field mode_field = {.name = RULES_MODE_VARIABLE};
    static const struct rules__field instance_field = {.name = RULES_INSTANCE_VARIABLE};
    struct rules__store_draft *draft = &loader->store;
    struct rules_store *store = &loader->set->settings.store;
    if (loader->out_of_memory)
        return; /* not all that was said may be known */
    if (!draft->store)
        draft->intact = intact;
    if (draft->mode_override)
        rules__load_mode(loader, &mode_field, draft->mode_override, store);
    if (draft->instance_override)
        rules__load_instance(loader, &instance_field, draft->instance_override, store);
    if (draft->mode_known)
        check_keys(loader);
    load_nodes(loader);
}
