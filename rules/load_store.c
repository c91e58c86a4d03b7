#include <stddef.h>

#include "rules/loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MILLISECOND UINT64_C(1000)
#define SECOND      UINT64_C(1000000)
#define HOUR        (UINT64_C(3600) * SECOND)

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

/* ---- texts --------------------------------------------------------------------------------- */

typedef bool character_function(uint8_t c);

static bool is_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static bool is_visible(uint8_t c)
{
    return c > ' ' && c != 0x7f;
}

static bool is_of_path(uint8_t c)
{
    return c >= ' ' && c != 0x7f;
}

static bool is_of_prefix(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '{' && c != '}';
}

static bool is_of_name(uint8_t c)
{
    return is_word(c) || c == '.' || c == '-' || c == ':';
}

static bool is_of_host(uint8_t c)
{
    return is_word(c) || c == '.' || c == '-';
}

/* A text of field->minimum to field->maximum such bytes, into the slice at field->offset. */
static void load_text(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object, character_function *is_good)
{
    if (!rules__scalar(loader, field->name, node, field->expected))
        return;
    bool valid = node->text.size >= field->minimum && node->text.size <= field->maximum;
    for (size_t i = 0; valid && i < node->text.size; i++)
        valid = is_good(node->text.data[i]);
    if (!valid) {
        rules__wrong(loader, field->name, node, field->expected);
        return;
    }
    struct slice text = rules__keep(loader, node->text);
    memcpy((uint8_t *)object + field->offset, &text, sizeof(text));
}

#define TEXT_LOAD(linkage, name, is_good)                                                          \
    linkage void name(struct rules__loader *loader, const struct rules__field *field,              \
                      const struct rules__node *node, void *object)                                \
    {                                                                                              \
        load_text(loader, field, node, object, is_good);                                           \
    }
TEXT_LOAD(, rules__load_path, is_of_path)
TEXT_LOAD(static, load_user, is_visible)
TEXT_LOAD(static, load_prefix, is_of_prefix)
TEXT_LOAD(static, load_host, is_of_host)

void rules__load_instance(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    static const struct rules__field row = {
        .expected = "a name of 1 to 253 letters, digits, '.', '_', '-' and ':'",
        .offset = offsetof(struct rules_store, instance_id),
        .minimum = 1,
        .maximum = RULES_INSTANCE_MAX,
    };
    struct rules__field named = row;
    named.name = field->name;
    load_text(loader, &named, node, object, is_of_name);
}

/* ---- breaker ------------------------------------------------------------------------------- */

#define STORE(member)                                                                              \
    offsetof(struct rules_store, member), sizeof(((struct rules_store *)NULL)->member)

static const struct rules__field breaker_fields[] = {
    {"failures", rules__load_number, "a whole number, as in 5", false, STORE(breaker_failures), 1,
     32},
    {"within", rules__load_duration, "a duration, as in 10s", false, STORE(breaker_within),
     MILLISECOND, HOUR},
    {"pause", rules__load_duration, "a duration, as in 1s", false, STORE(breaker_pause),
     MILLISECOND, HOUR},
    {"max_pause", rules__load_duration, "a duration, as in 30s", false, STORE(breaker_max_pause),
     MILLISECOND, HOUR},
};
static const struct rules__schema breaker_schema = RULES__SCHEMA("breaker", breaker_fields);

static struct slice duration_text(uint64_t duration, char *buffer, size_t size)
{
    struct writer w = writer_open(buffer, size);
    rules_print_duration(duration, &w);
    return writer_slice(&w);
}

static bool has_key(const struct rules__node *mapping, const char *name)
{
    const struct rules__node *key = mapping->children.first;
    if (mapping->kind != RULES__MAPPING)
        return false;
    for (size_t left = mapping->children.count; left >= 2; left -= 2, key = key->next->next)
        if (key->kind == RULES__SCALAR && slice_equal(key->text, slice_of_string(name)))
            return true;
    return false;
}

static void load_breaker(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct rules_store *store = object;
    struct rules_store read = *store;
    char pause[32];
    char most[32];
    (void)field;
    read.breaker_pause = 0;
    read.breaker_max_pause = 0;
    rules__walk(loader, &breaker_schema, node, &read);
    if ((!read.breaker_pause && has_key(node, "pause")) ||
        (!read.breaker_max_pause && has_key(node, "max_pause")))
        return; /* wrong, and reported */
    if (!read.breaker_pause)
        read.breaker_pause = store->breaker_pause;
    if (!read.breaker_max_pause)
        read.breaker_max_pause = store->breaker_max_pause;
    *store = read;
    if (read.breaker_pause > read.breaker_max_pause)
        rules__problem(loader, node,
                       "a breaker with pause %.*s and max_pause %.*s, expected a max_pause that is "
                       "at least pause",
                       SLICE_ARGS(duration_text(read.breaker_pause, pause, sizeof(pause))),
                       SLICE_ARGS(duration_text(read.breaker_max_pause, most, sizeof(most))));
}

/* ---- auth and TLS -------------------------------------------------------------------------- */

#define PATH_MAX_BYTES 4095

static const char auth_expected[] =
    "a mapping, as in { user: sluice, password_file: /run/secrets/redis }";

struct credentials {
    struct slice user;
    struct slice password_file;
    struct slice password_env;
};

/* What isn't the name of a variable may be the password itself: it is not quoted. */
static void load_variable(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    bool valid = node->kind == RULES__SCALAR && node->text.size >= field->minimum &&
                 node->text.size <= field->maximum;
    for (size_t i = 0; valid && i < node->text.size; i++)
        valid = is_word(node->text.data[i]);
    if (valid)
        load_text(loader, field, node, object, is_word);
    else
        rules__problem(loader, node, "%s is no such name, expected %s", field->name,
                       field->expected);
}

static const struct rules__field auth_fields[] = {
    {"user", load_user, "a user's name of 1 to 128 bytes, without blanks", false,
     offsetof(struct credentials, user), 0, 1, 128},
    {"password_file", rules__load_path, "the path of a file, as in /run/secrets/redis", false,
     offsetof(struct credentials, password_file), 0, 1, PATH_MAX_BYTES},
    {"password_env", load_variable, "the name of an environment variable, as in REDIS_PASSWORD",
     false, offsetof(struct credentials, password_env), 0, 1, 128},
};

static struct credentials read_auth(struct rules__loader *loader,
                                    const struct rules__schema *schema,
                                    const struct rules__node *node)
{
    struct credentials read = {0};
    if (node->kind == RULES__SCALAR) {
        rules__problem(loader, node, "%s is a text, expected %s", schema->what, auth_expected);
        return read;
    }
    bool intact = rules__walk(loader, schema, node, &read);
    bool file = has_key(node, "password_file");
    bool variable = has_key(node, "password_env");
    if (file && variable)
        rules__problem(loader, node,
                       "%s with both password_file and password_env, expected one of them",
                       schema->what);
    else if (intact && !file && !variable)
        rules__problem(loader, node,
                       "%s without a password, expected password_file or password_env, which say "
                       "where it is",
                       schema->what);
    return read;
}

static void load_auth(struct rules__loader *loader, const struct rules__field *field,
                      const struct rules__node *node, void *object)
{
    static const struct rules__schema schema = RULES__SCHEMA("auth", auth_fields);
    struct rules_store *store = object;
    struct credentials read = read_auth(loader, &schema, node);
    (void)field;
    loader->store.auth = node;
    store->user = read.user;
    store->password_file = read.password_file;
    store->password_env = read.password_env;
}

static void load_sentinel_auth(struct rules__loader *loader, const struct rules__field *field,
                               const struct rules__node *node, void *object)
{
    static const struct rules__schema schema = RULES__SCHEMA("sentinel_auth", auth_fields);
    struct rules_store *store = object;
    struct credentials read = read_auth(loader, &schema, node);
    (void)field;
    loader->store.sentinel_auth = node;
    store->sentinel_user = read.user;
    store->sentinel_password_file = read.password_file;
    store->sentinel_password_env = read.password_env;
}

static const struct rules__field tls_fields[] = {
    {"ca", rules__load_path, "the path of a file, as in /etc/ssl/redis-ca.pem", false,
     STORE(tls_ca), 1, PATH_MAX_BYTES},
    {"certificate", rules__load_path, "the path of a file, as in /etc/ssl/sluice.pem", false,
     STORE(tls_certificate), 1, PATH_MAX_BYTES},
    {"key", rules__load_path, "the path of a file, as in /etc/ssl/sluice.key", false,
     STORE(tls_key), 1, PATH_MAX_BYTES},
    {"server_name", load_host, "a host's name of 1 to 253 bytes, as in redis.example.net", false,
     STORE(tls_server_name), 1, 253},
};
static const struct rules__schema tls_schema = RULES__SCHEMA("tls", tls_fields);

static void load_tls(struct rules__loader *loader, const struct rules__field *field,
                     const struct rules__node *node, void *object)
{
    struct rules_store *store = object;
    (void)field;
    bool intact = rules__walk(loader, &tls_schema, node, store);
    bool certificate = has_key(node, "certificate");
    bool key = has_key(node, "key");
    loader->store.tls = node;
    store->tls = true;
    if (intact && certificate != key)
        rules__problem(loader, node, "tls with %s and without %s, expected both or neither",
                       certificate ? "certificate" : "key", certificate ? "key" : "certificate");
}

/* ---- store --------------------------------------------------------------------------------- */

/* What they hold depends on the mode, of which the environment has the last word. */
static void note_nodes(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    (void)field;
    (void)object;
    loader->store.nodes = node;
}

static void load_master(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    struct rules_store *store = object;
    loader->store.master = node;
    struct slice master = rules__identifier(loader, field->name, node, false);
    if (master.size)
        store->master = rules__keep(loader, master);
}

static const struct rules__field store_fields[] = {
    {"nodes", note_nodes, "a list of addresses, as in [ redis-1:6379 ]", false, 0, 0, 0, 0},
    {"mode", rules__load_mode, "one of memory, single, sentinel, ketama, cluster", false, 0, 0, 0,
     0},
    {"master", load_master, "the name that the Sentinels have for the primary, as in mymaster",
     false, 0, 0, 0, 0},
    {"prefix", load_prefix,
     "at most 64 visible ASCII characters other than '{' and '}', as in sluice:", false,
     STORE(prefix), 0, RULES_PREFIX_MAX},
    {"deadline", rules__load_duration, "a duration, as in 10ms", false, STORE(deadline),
     MILLISECOND, 10 * SECOND},
    {"connect_timeout", rules__load_duration, "a duration, as in 1s", false, STORE(connect_timeout),
     10 * MILLISECOND, 60 * SECOND},
    {"heartbeat", rules__load_duration, "a duration, as in 1s", false, STORE(heartbeat),
     100 * MILLISECOND, 60 * SECOND},
    {"breaker", load_breaker, "a mapping, as in { failures: 5, within: 10s }", false, 0, 0, 0, 0},
    {"auth", load_auth, auth_expected, false, 0, 0, 0, 0},
    {"sentinel_auth", load_sentinel_auth, auth_expected, false, 0, 0, 0, 0},
    {"tls", load_tls, "a mapping, as in { ca: /etc/ssl/redis-ca.pem }, or {}", false, 0, 0, 0, 0},
    {"max_keys", rules__load_number, "a whole number, as in 1000000", false, STORE(max_keys), 1,
     1000000000},
    {"log_memory", rules__load_size, "a size, as in 64MiB", false, STORE(log_memory), 0,
     UINT64_C(1) << 40},
    {"instance_id", rules__load_instance, "a name, as in sluice-1", false, 0, 0, 0, 0},
};
static const struct rules__schema store_schema = RULES__SCHEMA("store", store_fields);

void rules__load_store(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct rules_settings *settings = object;
    (void)field;
    loader->store.store = node;
    loader->store.intact = rules__walk(loader, &store_schema, node, &settings->store);
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
