#include <stddef.h>
#include <stdlib.h>

#include "rules/index.h"
#include "rules/loader.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define MILLISECOND UINT64_C(1000)
#define SECOND      UINT64_C(1000000)
#define DAY         (UINT64_C(86400) * SECOND)

/* ---- listen and admin ---------------------------------------------------------------------- */

struct listener_draft {
    struct rules_listener listener;
    const struct rules__node *mode; /* NULL: none */
    bool valid;                     /* the address is */
    struct slice token_file;        /* admin's alone */
};

static bool read_endpoint(struct rules__loader *loader, const char *name,
                          const struct rules__node *node, struct endpoint *endpoint)
{
    const char *expected = NULL;
    if (!rules__scalar(loader, name, node, "an address, as in tcp://127.0.0.1:9000"))
        return false;
    /* The endpoint's slices point into what was parsed: the copy. */
    if (endpoint_parse(rules__keep(loader, node->text), endpoint, &expected))
        return true;
    rules__wrong(loader, name, node, expected);
    return false;
}

static void load_listener_address(struct rules__loader *loader, const struct rules__field *field,
                                  const struct rules__node *node, void *object)
{
    struct listener_draft *draft = object;
    draft->valid = read_endpoint(loader, field->name, node, &draft->listener.endpoint);
}

/* As chmod takes it: octal, with or without the leading 0. */
static void load_listener_mode(struct rules__loader *loader, const struct rules__field *field,
                               const struct rules__node *node, void *object)
{
    struct listener_draft *draft = object;
    uint32_t mode = 0;
    draft->mode = node;
    if (!rules__scalar(loader, field->name, node, field->expected))
        return;
    bool valid = node->text.size >= 3 && node->text.size <= 4;
    for (size_t i = 0; valid && i < node->text.size; i++) {
        uint8_t digit = node->text.data[i];
        valid = digit >= '0' && digit <= '7';
        mode = mode << 3 | (digit & 7u);
    }
    if (!valid || mode == 0 || mode > 0777)
        rules__wrong(loader, field->name, node, field->expected);
    draft->listener.mode = mode;
}

static const struct rules__field listener_fields[] = {
    {"address", load_listener_address, "an address, as in unix:///run/sluice/spop.sock", true, 0, 0,
     0, 0},
    {"mode", load_listener_mode, "octal permissions from 0001 to 0777, as in 0660", false, 0, 0, 0,
     0},
};
static const struct rules__schema listener_schema =
    RULES__SCHEMA("an address of listen", listener_fields);

/* A mode says something of a file only. */
static void check_mode(struct rules__loader *loader, const struct listener_draft *draft)
{
    if (draft->mode && draft->valid && draft->listener.endpoint.kind != ENDPOINT_UNIX)
        rules__problem(loader, draft->mode,
                       "mode for an address that is not a file, expected only with unix:///PATH");
}

static bool same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
    return a->kind == b->kind && a->port == b->port && slice_equal(a->host, b->host) &&
           slice_equal(a->path, b->path);
}

static bool is_listened_at(const struct rules_settings *settings, const struct endpoint *endpoint)
{
    bool is_one = endpoint->kind != ENDPOINT_TCP || endpoint->port != 0; /* 0 is any free port */
    for (size_t i = 0; is_one && i < settings->listener_count; i++)
        if (same_endpoint(&settings->listeners[i].endpoint, endpoint))
            return true;
    return false;
}

static void add_listener(struct rules__loader *loader, const struct rules__node *node)
{
    struct rules_settings *settings = &loader->set->settings;
    struct listener_draft draft = {0};
    if (node->kind == RULES__MAPPING)
        rules__walk(loader, &listener_schema, node, &draft);
    else
        draft.valid = read_endpoint(loader, "listen", node, &draft.listener.endpoint);
    if (!draft.valid)
        return;
    check_mode(loader, &draft);
    if (is_listened_at(settings, &draft.listener.endpoint))
        rules__problem(loader, node, "the same address again, expected each once");
    settings->listeners[settings->listener_count++] = draft.listener;
}

static void load_listen(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    (void)object;
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    if (count == 0)
        rules__problem(loader, node, "listen is an empty list, expected %s", field->expected);
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (i == RULES_MAX_LISTENERS) {
            rules__problem(loader, item, "one address too many in listen, expected at most %d",
                           RULES_MAX_LISTENERS);
            return;
        }
        add_listener(loader, item);
    }
}

static const struct rules__field admin_fields[] = {
    {"address", load_listener_address, "an address, as in tcp://127.0.0.1:9901", true, 0, 0, 0, 0},
    {"mode", load_listener_mode, "octal permissions from 0001 to 0777, as in 0660", false, 0, 0, 0,
     0},
    {"token_file", rules__load_path, "the path of a file, as in /run/secrets/sluice-admin", false,
     offsetof(struct listener_draft, token_file), 0, 1, 4095},
};
static const struct rules__schema admin_schema = RULES__SCHEMA("admin", admin_fields);

static void load_admin(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    struct rules_settings *settings = object;
    struct listener_draft draft = {0};
    if (node->kind == RULES__MAPPING)
        rules__walk(loader, &admin_schema, node, &draft);
    else
        draft.valid = read_endpoint(loader, field->name, node, &draft.listener.endpoint);
    check_mode(loader, &draft);
    settings->has_admin = draft.valid;
    settings->admin = draft.listener.endpoint;
    settings->admin_mode = draft.listener.mode;
    settings->admin_token_file = draft.token_file;
    /* Who wants more to reach it says so. */
    if (settings->admin.kind == ENDPOINT_TCP && settings->admin.host.size == 0)
        settings->admin.host = SLICE("127.0.0.1");
    if (settings->has_admin && is_listened_at(settings, &settings->admin))
        rules__problem(loader, node, "admin is an address of listen, expected one of its own");
}

/* ---- small settings ------------------------------------------------------------------------ */

static void load_workers(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    struct rules_settings *settings = object;
    uint64_t workers;
    if (!rules__scalar(loader, field->name, node, field->expected))
        return;
    if (slice_equal(node->text, SLICE("auto")))
        settings->workers = 0;
    else if (slice_to_uint64(node->text, &workers) && workers >= 1 && workers <= 256)
        settings->workers = (unsigned)workers;
    else
        rules__wrong(loader, field->name, node, field->expected);
}

#define SETTING(member)                                                                            \
    offsetof(struct rules_settings, member), sizeof(((struct rules_settings *)NULL)->member)

static const struct rules__field connection_fields[] = {
    {"max", rules__load_number, "a whole number, as in 4096", false, SETTING(max_connections), 1,
     1000000},
    {"max_frame_size", rules__load_size, "a size, as in 64KiB", false, SETTING(max_frame_size), 256,
     1u << 20},
    {"idle_timeout", rules__load_duration, "a duration, as in 10m, or 0s for none", false,
     SETTING(idle_timeout), 0, 366 * DAY},
    {"hello_timeout", rules__load_duration, "a duration, as in 10s", false, SETTING(hello_timeout),
     MILLISECOND, DAY},
    {"drain_timeout", rules__load_duration, "a duration, as in 10s", false, SETTING(drain_timeout),
     0, DAY},
};
static const struct rules__schema connection_schema =
    RULES__SCHEMA("connections", connection_fields);

static void load_connections(struct rules__loader *loader, const struct rules__field *field,
                             const struct rules__node *node, void *object)
{
    (void)field;
    rules__walk(loader, &connection_schema, node, object);
}

static void load_answer(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    static const char *const words[RULES_ANSWERS] = {
#define ANSWER_WORD(name, text) [RULES_ANSWER_##name] = (text),
        RULES_ANSWER_TABLE(ANSWER_WORD)
#undef ANSWER_WORD
    };
    struct rules_settings *settings = object;
    uint32_t answer = 0;
    size_t count;
    const struct rules__node *item = rules__items(node, &count);
    for (size_t i = 0; i < count; i++, item = item->next) {
        int word = rules__word(loader, field->name, item, words, COUNT(words));
        if (word >= 0 && answer & 1u << word)
            rules__problem(loader, item, "\"%s\" again in answer, expected it once", words[word]);
        if (word >= 0)
            answer |= 1u << word;
    }
    settings->answer = answer | 1u << RULES_ANSWER_ALLOW | 1u << RULES_ANSWER_DENY;
}

/* ---- defaults ------------------------------------------------------------------------------ */

static void load_default_message(struct rules__loader *loader, const struct rules__field *field,
                                 const struct rules__node *node, void *object)
{
    (void)object;
    loader->default_message = rules__identifier(loader, field->name, node, true);
}

static const struct rules__field default_fields[] = {
    {"algorithm", rules__load_algorithm, "a word, as in sliding-window", false,
     offsetof(struct rules__loader, algorithm), 0, 0, 0},
    {"on_store_error", rules__load_fallback, "local, allow or deny", false,
     offsetof(struct rules__loader, on_store_error), 0, 0, 0},
    {"consistency", rules__load_consistency, "exact or leased", false,
     offsetof(struct rules__loader, consistency), 0, 0, 0},
    {"message", load_default_message, "the name of a SPOE message", false, 0, 0, 0, 0},
};
static const struct rules__schema default_schema = RULES__SCHEMA("defaults", default_fields);

static void load_defaults(struct rules__loader *loader, const struct rules__field *field,
                          const struct rules__node *node, void *object)
{
    (void)field;
    (void)object;
    rules__walk(loader, &default_schema, node, loader);
}

/* ---- candidate ----------------------------------------------------------------------------- */

static void load_candidate(struct rules__loader *loader, const struct rules__field *field,
                           const struct rules__node *node, void *object)
{
    const struct rules_environment *environment = loader->environment;
    struct slice text;
    (void)object;
    if (!rules__scalar(loader, field->name, node, field->expected))
        return;
    if (environment->is_candidate) {
        rules__problem(loader, node,
                       "candidate in a file that is one itself, expected it in the file in force "
                       "alone");
        return;
    }
    if (!environment->wants_candidate)
        return;
    struct slice name = rules__file_name(loader, field->name, node, field->expected);
    if (!name.size || rules__read_named(loader, field->name, node, name, &text) < 0)
        return;
    loader->report->candidate = arena_copy(&loader->report->arena, name);
    if (!loader->report->candidate.data)
        rules__no_memory(loader);
}

/* ---- the file ------------------------------------------------------------------------------ */

static void note_rules(struct rules__loader *loader, const struct rules__field *field,
                       const struct rules__node *node, void *object)
{
    (void)object;
    if (node->kind == RULES__LIST)
        loader->rules.own = node;
    else
        rules__wrong(loader, field->name, node, field->expected);
}

static const struct rules__field file_fields[] = {
    {"listen", load_listen, "at least one address, as in tcp://127.0.0.1:9000", true, 0, 0, 0, 0},
    {"admin", load_admin, "an address, as in tcp://127.0.0.1:9901", false, 0, 0, 0, 0},
    {"workers", load_workers, "auto or a whole number from 1 to 256", false, 0, 0, 0, 0},
    {"store", rules__load_store, "a mapping, as in { mode: memory }", false, 0, 0, 0, 0},
    {"defaults", load_defaults, "a mapping, as in { algorithm: sliding-window }", false, 0, 0, 0,
     0},
    {"answer", load_answer, "a list of variable names, as in [ rule, retry_after ]", false, 0, 0, 0,
     0},
    {"connections", load_connections, "a mapping, as in { max: 4096 }", false, 0, 0, 0, 0},
    {"denial_log", rules__load_number, "a whole number, as in 10", false, SETTING(denial_log), 0,
     1000},
    {"candidate", load_candidate, "a rule file's name, as in rewrite.yml", false, 0, 0, 0, 0},
    {"rules", note_rules, "a list of rules, or [] for none", true, 0, 0, 0, 0},
    {"include", rules__load_include, "a file's name or a pattern, as in rules.d/*.yml", false, 0, 0,
     0, 0},
};
static const struct rules__schema file_schema = RULES__SCHEMA("the file", file_fields);

static const struct rules_settings default_settings = {
    .answer = (1u << RULES_ANSWERS) - 1,
    .max_connections = 4096,
    .max_frame_size = 65532,
    .idle_timeout = 600 * SECOND,
    .hello_timeout = 10 * SECOND,
    .drain_timeout = 10 * SECOND,
};

static void load_text(struct rules__loader *loader, struct slice text)
{
    if (text.size > RULES_FILE_MAX) {
        rules__problem_at(loader, 1, 1, "the file is too large, expected at most %u bytes",
                          RULES_FILE_MAX);
        return;
    }
    if (slice_has_prefix(text, SLICE("\xef\xbb\xbf")))
        text =
            slice_from(text, 3); /* a byte order mark, which would be a column of the first line */
    if (!rules__check_text(loader, text))
        return;
    size_t before = loader->report->count;
    const struct rules__node *root = rules__tree(loader, text);
    if (root) {
        bool intact = rules__walk(loader, &file_schema, root, &loader->set->settings);
        rules__load_rules(loader); /* which rely on all else */
        rules__finish_store(loader, intact);
    } else if (loader->report->count == before) {
        rules__problem_at(loader, 1, 1,
                          "the file is empty, expected a mapping with at least listen and rules");
    }
}

struct rules_set *rules__load_within(struct slice text, uint64_t seed,
                                     const struct rules_environment *environment,
                                     struct rules_report *report, size_t memory_max)
{
    struct rules__loader loader = {
        .report = report,
        .environment = environment,
        .files = {.count = 1, .numbers = {.seed = seed}},
        .value_names = {.seed = seed},
        .scratch = {.maximum = memory_max},
        .algorithm = LIMIT_SLIDING_WINDOW,
        .on_store_error = RULES_FALLBACK_LOCAL,
        .consistency = RULES_EXACT,
        .store = {.mode_known = true}, /* until a wrong one is met */
    };
    *report = (struct rules_report){0};
    struct rules_set *set = calloc(1, sizeof(*set));
    loader.set = set;
    if (!set) {
        rules__no_memory(&loader);
        return NULL;
    }
    set->settings = default_settings;
    set->settings.store = rules__default_store;
    set->seed = seed;
    set->arena.maximum = memory_max;
    set->conditions.maximum = memory_max;
    loader.rule_names.seed = seed;
    loader.limit_names.seed = seed;
    loader.regex_names.seed = seed;
    set->index = rules__allocate(&loader, 1, sizeof(*set->index));
    loader.slot_names = rules__allocate(&loader, RULES_MAX_SLOTS, sizeof(*loader.slot_names));
    set->slot_names = loader.slot_names;
    if (set->index && set->slot_names) {
        set->index->slots.seed = seed;
        set->index->messages.seed = seed;
        rules__read_overrides(&loader, &environment->overrides);
        load_text(&loader, text);
    }
    if (report->count == 0 && !rules__index_build(set, &loader.scratch))
        rules__no_memory(&loader);
    arena_free(&loader.scratch);
    if (report->count == 0)
        return set;
    rules_free(set);
    return NULL;
}

struct rules_set *rules_load_with(struct slice text, uint64_t seed,
                                  const struct rules_environment *environment,
                                  struct rules_report *report)
{
    return rules__load_within(text, seed, environment, report, RULES__MEMORY_MAX);
}

struct rules_set *rules_load(struct slice text, uint64_t seed, struct rules_report *report)
{
    static const struct rules_environment none = {.read_file = NULL};
    return rules_load_with(text, seed, &none, report);
}

void rules_free(struct rules_set *set)
{
    if (!set)
        return;
    if (set->index)
        rules__regexes_free(&set->index->regexes);
    arena_free(&set->conditions);
    arena_free(&set->arena);
    free(set);
}
