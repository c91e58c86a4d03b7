#include <stddef.h>

#include "rules/loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MILLISECOND UINT64_C(1000)
#define SECOND      UINT64_C(1000000)

const struct rules_store rules__default_store = {
    .mode = RULES_STORE_MEMORY,
    .max_keys = 1000000,
    .log_memory = UINT64_C(64) << 20,
    .prefix = {(const uint8_t *)"sluice:", 7},
    .deadline = 10 * MILLISECOND,
    .connect_timeout = SECOND,
    .heartbeat = SECOND,
    .breaker_failures = 5,
    .breaker_within = 10 * SECOND,
    .breaker_pause = SECOND,
    .breaker_max_pause = 30 * SECOND,
};

static const char *const mode_names[RULES_STORE_MODES] = {
    [RULES_STORE_MEMORY] = "memory",     [RULES_STORE_SINGLE] = "single",
    [RULES_STORE_SENTINEL] = "sentinel", [RULES_STORE_KETAMA] = "ketama",
    [RULES_STORE_CLUSTER] = "cluster",
};

const char *rules_store_mode_name(enum rules_store_mode mode)
{
    return mode_names[mode];
}

static void load_mode(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    struct rules_store *store = object;
    for (size_t i = RULES_STORE_SINGLE; i < RULES_STORE_MODES; i++) {
        if (node->kind == RULES__SCALAR &&
            slice_equal(node->text, slice_of_string(mode_names[i]))) {
            rules__problem(loader, node, "mode %s is not yet supported, expected memory",
                           mode_names[i]);
            return;
        }
    }
    int mode = rules__word(loader, field->name, node, mode_names, 1);
    if (mode >= 0)
        store->mode = (enum rules_store_mode)mode;
}

#define STORE(member)                                                                              \
    offsetof(struct rules_store, member), sizeof(((struct rules_store *)NULL)->member)

static const struct rules__field store_fields[] = {
    {"mode", load_mode, "memory", false, 0, 0, 0, 0},
    {"max_keys", rules__load_number, "a whole number, as in 1000000", false, STORE(max_keys), 1,
     1000000000},
    {"log_memory", rules__load_size, "a size, as in 64MiB", false, STORE(log_memory), 0,
     UINT64_C(1) << 40},
};
static const struct rules__schema store_schema = RULES__SCHEMA("store", store_fields);

void rules__load_store(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct rules_settings *settings = object;
    (void)field;
    rules__walk(loader, &store_schema, node, &settings->store);
}

bool rules_store_equal(const struct rules_store *a, const struct rules_store *b)
{
    if (a->node_count != b->node_count)
        return false;
    for (size_t i = 0; i < a->node_count; i++)
        if (!slice_equal(a->nodes[i].name, b->nodes[i].name) ||
            a->nodes[i].weight != b->nodes[i].weight)
            return false;
    return a->mode == b->mode && a->max_keys == b->max_keys && a->log_memory == b->log_memory &&
           slice_equal(a->master, b->master) && slice_equal(a->prefix, b->prefix) &&
           a->deadline == b->deadline && a->connect_timeout == b->connect_timeout &&
           a->heartbeat == b->heartbeat && a->breaker_failures == b->breaker_failures &&
           a->breaker_within == b->breaker_within && a->breaker_pause == b->breaker_pause &&
           a->breaker_max_pause == b->breaker_max_pause && slice_equal(a->user, b->user) &&
           slice_equal(a->password_file, b->password_file) &&
           slice_equal(a->password_env, b->password_env) &&
           slice_equal(a->sentinel_user, b->sentinel_user) &&
           slice_equal(a->sentinel_password_file, b->sentinel_password_file) &&
           slice_equal(a->sentinel_password_env, b->sentinel_password_env) && a->tls == b->tls &&
           slice_equal(a->tls_ca, b->tls_ca) &&
           slice_equal(a->tls_certificate, b->tls_certificate) &&
           slice_equal(a->tls_key, b->tls_key) &&
           slice_equal(a->tls_server_name, b->tls_server_name) &&
           slice_equal(a->instance_id, b->instance_id);
}
