/* Any bytes as a rule file, alone, with an environment that is made of them, and as the candidate
 * of another. What loads is matched against messages of every type of value, the file's own words
 * among them; what doesn't must say why, inside the file and in line order. */
#include <stdlib.h>

#include "rules/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

static struct slice input;

static void check_report(const struct rules_report *report, size_t first)
{
    size_t lines = 2; /* an error at the end may stand on the line behind the last */
    for (size_t i = 0; i < input.size; i++)
        lines += input.data[i] == '\n' || input.data[i] == '\r';
    for (size_t i = 0; i < report->count; i++) {
        const struct rules_problem *problem = &report->problems[i];
        const struct rules_problem *before = &report->problems[i ? i - 1 : 0];
        char printed[4096];
        require(problem->line >= first && problem->line <= lines);
        require((problem->column >= 1) == (problem->line >= 1));
        require(problem->file_number > before->file_number ||
                (problem->file_number == before->file_number &&
                 (problem->line > before->line ||
                  (problem->line == before->line && problem->column >= before->column))));
        require((problem->file.size >= 1) == (problem->file_number >= 1));
        require(memmem(problem->text.data, problem->text.size, ", expected ", 11));
        rules_problem_print(problem, "file", printed, sizeof(printed));
        require(strlen(printed) > problem->text.size);
    }
}

/* A value for a slot: what the round says, of a type that the slot's number says. */
static struct value value_for(size_t slot, unsigned round, struct slice text)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1};
    struct value value = {.type = (enum value_type)((slot + round) % (VALUE_BINARY + 1))};
    switch (value.type) {
    case VALUE_NULL:
        break;
    case VALUE_BOOL:
        value.boolean = round % 2;
        break;
    case VALUE_INT32:
    case VALUE_INT64:
        value.integer = (int64_t)round - 5;
        break;
    case VALUE_UINT32:
    case VALUE_UINT64:
        value.natural = round;
        break;
    case VALUE_IPV4:
        memcpy(value.address, mapped + 12, 4);
        break;
    case VALUE_IPV6:
        memcpy(value.address, mapped, round % 2 ? 16 : 10);
        break;
    case VALUE_STRING:
    case VALUE_BINARY:
        /* A window of the file: now and then it is one of its literals. */
        value.bytes = slice_from(text, text.size * round / 16);
        if (value.bytes.size > slot + 1)
            value.bytes.size = slot + 1;
        break;
    }
    return value;
}

/* A key of a store is to be read by people, and to hold one hash tag. */
static void check_subject(const struct rules_rule *rule, const struct value *values)
{
    uint8_t buffer[RULES_SUBJECT_MAX];
    struct writer w = writer_open(buffer, sizeof(buffer));
    rules_subject_text(rule, values, &w);
    require(!w.error && writer_size(&w) >= 1);
    for (const uint8_t *p = buffer; p < w.position; p++)
        require(*p > ' ' && *p < 0x7f && *p != '{' && *p != '}');
}

static void check_hits(const struct rules_set *set, const struct value *values,
                       const struct rules_hit *hits, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct rules_rule *rule = hits[i].rule;
        require(rule == &set->rules[rule->index]);
        require(i == 0 || rule->index > hits[i - 1].rule->index);
        bool stops = rule->action != RULES_ACTION_LIMIT;
        require((hits[i].kind == RULES_HIT_ALLOW) == (rule->action == RULES_ACTION_ALLOW));
        require((hits[i].kind == RULES_HIT_DENY) == (rule->action == RULES_ACTION_DENY));
        require(!stops || i + 1 == count);
        bool counts = hits[i].kind == RULES_HIT_LIMIT || hits[i].kind == RULES_HIT_CHARGE;
        require(counts || hits[i].limit_count == 0);
        require(!counts || (hits[i].cost >= 1 && hits[i].cost <= LIMIT_UNITS_MAX));
        require(hits[i].kind != RULES_HIT_CHARGE || rule->charged_later);
        if (counts)
            check_subject(rule, values);
    }
}

/* The index finds what a look at each rule finds. */
static void check_index(struct rules_matcher *matcher, int message, const struct rules_hit *hits,
                        size_t count)
{
    const struct rules_set *set = matcher->set;
    const struct rules__table *table = set->index->table;
    size_t found = 0;
    for (size_t i = 0; i < table->trigger_count; i++) {
        const struct rules__trigger *trigger = &table->triggers[i];
        if ((trigger->message >= 0 && trigger->message != message) ||
            !rules__hold(trigger->conditions, trigger->condition_count, matcher))
            continue;
        require(found < count && hits[found++].rule->index == trigger->rule);
        if (set->rules[trigger->rule].action != RULES_ACTION_LIMIT)
            break;
    }
    require(found == count);
}

static void match(const struct rules_set *set, struct slice text)
{
    struct value values[RULES_MAX_SLOTS];
    struct rules_hit *hits = calloc(set->rule_count + 1, sizeof(*hits));
    struct rules_matcher *matcher = rules_matcher_create(set);
    require(hits && matcher && set->slot_count <= RULES_MAX_SLOTS);
    for (unsigned round = 0; round < 12; round++) {
        for (size_t slot = 0; slot < set->slot_count; slot++)
            values[slot] = value_for(slot, round, text);
        for (int message = -1; message < 3; message++) {
            size_t count = rules_match(matcher, message, values, hits);
            check_hits(set, values, hits, count);
            if (rules_regex_overruns(matcher) == 0) /* else it depends on how many were tried */
                check_index(matcher, message, hits, count);
        }
    }
    rules_matcher_free(matcher);
    free(hits);
}

static bool is_candidate;

static void check_limit(const struct rules_rule *rule, const struct rules_limit *limit)
{
    require(!is_candidate || slice_has_prefix(limit->store_name, SLICE("candidate:")));
    require(limit->rule == rule);
    require(limit_check(&limit->limit) == NULL);
    require(limit->name.size >= 1 && limit->name.size <= RULES_NAME_MAX);
    require(limit->policy.size > limit->name.size);
    require(limit->store_name.size > rule->name.size);
    require(limit->store_name.size <= RULES_STORE_NAME_MAX);
    require(rule->mode != RULES_DELAY || limit->burst_at_once <= limit->limit.burst);
}

/* How many there are. */
static size_t check_limits(const struct rules_rule *rule)
{
    size_t count = 0;
    bool has_own = rule->list_count == 0;
    for (size_t i = 0; i < rule->list_count; i++) {
        const struct rules_limit_list *list = &rule->lists[i];
        has_own = has_own || (list->limits == rule->limits && list->count == rule->limit_count);
        count += list->count;
        for (size_t k = 0; k < list->count; k++)
            check_limit(rule, &list->limits[k]);
    }
    require(has_own || !rule->limits);
    require(!rule->penalty_count == !rule->penalty_mark);
    if (rule->penalty_count) {
        check_limit(rule, rule->penalty_count);
        check_limit(rule, rule->penalty_mark);
    }
    require(rule->enforce_parts <= RULES_ENFORCE_ALL);
    require((rule->mode == RULES_DELAY) == (rule->max_delay > 0));
    return count;
}

static void check_set(const struct rules_set *set, const struct rules_report *report)
{
    size_t limits = 0;
    require(!is_candidate || report->candidate.size == 0);
    for (size_t slot = 0; slot < set->slot_count; slot++)
        require(rules_slot(set, set->slot_names[slot]) == (int)slot);
    for (size_t i = 0; i < set->rule_count; i++) {
        const struct rules_rule *rule = &set->rules[i];
        require(rule->name.size >= 1 && rule->name.size <= RULES_NAME_MAX);
        limits += check_limits(rule);
    }
    require(limits == set->limit_count);
    require(set->settings.listener_count >= 1);
}

/* Empty, or a C string. */
static void check_string(struct slice s, size_t most)
{
    require(s.size <= most && (s.size == 0 || strlen((const char *)s.data) == s.size));
}

static void check_store(const struct rules_store *store)
{
    size_t least = store->mode != RULES_STORE_MEMORY;
    size_t most = store->mode == RULES_STORE_SINGLE ? 1 : least * RULES_MAX_NODES;
    require(store->node_count >= least && store->node_count <= most);
    for (size_t i = 0; i < store->node_count; i++) {
        const struct rules_node *node = &store->nodes[i];
        check_string(node->name, ENDPOINT_HOST_MAX + sizeof("[]:65535"));
        check_string(node->host, ENDPOINT_HOST_MAX);
        require(node->host.size >= 1 && (node->port || node->host.data[0] == '/'));
        require(node->weight >= 1 && (node->weight == 1 || store->mode == RULES_STORE_KETAMA));
        require(node->port || !store->tls || store->mode == RULES_STORE_MEMORY);
    }
    require((store->mode != RULES_STORE_SENTINEL) || store->master.size >= 1);
    check_string(store->master, RULES_NAME_MAX);
    check_string(store->prefix, RULES_PREFIX_MAX);
    check_string(store->instance_id, RULES_INSTANCE_MAX);
    require(!store->password_file.size || !store->password_env.size);
    require(!store->user.size || store->password_file.size || store->password_env.size);
    require(!store->tls_certificate.size == !store->tls_key.size);
    require(store->deadline >= 1000 && store->breaker_pause >= 1000);
    require(store->breaker_failures >= 1 && store->breaker_failures <= 32);
    require(store->breaker_pause <= store->breaker_max_pause);
    require(rules_store_equal(store, store));
}

/* NULL: none. */
static void load(struct slice text, const struct rules_environment *environment)
{
    static struct rules_report report;
    struct rules_set *set =
        environment ? rules_load_with(text, 1, environment, &report) : rules_load(text, 1, &report);
    require((set == NULL) == (report.count > 0));
    check_report(&report, environment ? 0 : 1);
    if (set) {
        check_set(set, &report);
        check_store(&set->settings.store);
        match(set, text);
    }
    rules_free(set);
    rules_report_free(&report);
}

/* The last line, where it is a comment, is a mode, nodes and an instance_id with ';' between. */
static struct rules_overrides overrides_of(struct slice text)
{
    struct slice parts[3] = {{NULL, 0}};
    size_t part = 0;
    const uint8_t *comment = text.size ? memrchr(text.data, '#', text.size) : NULL;
    struct slice rest = comment ? slice_from(text, (size_t)(comment - text.data) + 1) : parts[0];
    for (size_t i = 0; i < rest.size && part < 3; i++) {
        if (rest.data[i] == ';' || rest.data[i] == '\n')
            part++;
        else
            parts[part] =
                slice_of(parts[part].size ? parts[part].data : rest.data + i, parts[part].size + 1);
    }
    return (struct rules_overrides){parts[0], parts[1], parts[2]};
}

/* The input's parts, with FILE_END between them: the rule file, and the files 1, 2 ... that it may
 * read, which are also what the variables A, B ... say. */
#define FILE_END  '\x1e'
#define PARTS_MAX 10

struct parts {
    struct slice texts[PARTS_MAX];
    size_t count;
};

static struct parts split(struct slice rest)
{
    struct parts parts = {.count = 0};
    while (parts.count < PARTS_MAX) {
        const uint8_t *end = rest.size ? memchr(rest.data, FILE_END, rest.size) : NULL;
        size_t size = end ? (size_t)(end - rest.data) : rest.size;
        parts.texts[parts.count++] = slice_of(rest.data, size);
        if (!end)
            break;
        rest = slice_from(rest, size + 1);
    }
    return parts;
}

/* Of struct rules_environment. */
static const char *read_file(void *context, const char *name, struct slice *text)
{
    const struct parts *parts = context;
    size_t number = (size_t)(name[0] - '0');
    require(strlen(name) >= 1 && strlen(name) <= RULES_PATH_MAX);
    if (number < 1 || number >= parts->count)
        return "there is no such file";
    *text = parts->texts[number];
    return NULL;
}

/* Every folder has them all, whatever the pattern says of their names. */
static const char *list_files(void *context, const char *pattern, struct rules_file_names *names)
{
    static const char *const all[] = {"1", "2", "3", "4", "5", "6", "7", "8", "9"};
    const struct parts *parts = context;
    const char *slash = strrchr(pattern, '/');
    require(strlen(pattern) <= RULES_PATH_MAX);
    require(!slash || !memchr(pattern, '*', (size_t)(slash - pattern)));
    *names = (struct rules_file_names){all, parts->count - 1};
    return strstr(pattern, "lost") ? "there is no such folder" : NULL;
}

static struct slice variable(void *context, const char *name)
{
    const struct parts *parts = context;
    require(strlen(name) >= 1 && strlen(name) <= RULES_VARIABLE_MAX);
    int number = name[0] - 'A' + 1;
    bool is_set = number >= 1 && (size_t)number < parts->count;
    return is_set ? parts->texts[number] : slice_of(NULL, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice text = slice_of(data, size);
    input = text;
    struct parts parts = split(text);
    struct rules_environment environment = {
        .overrides = overrides_of(text),
        .context = &parts,
        .variable = variable,
        .read_file = read_file,
        .list_files = list_files,
        .wants_candidate = true,
    };
    load(text, NULL);
    load(parts.texts[0], &environment);
    environment.wants_candidate = false;
    is_candidate = environment.is_candidate = true;
    load(parts.texts[0], &environment);
    is_candidate = false;
    return 0;
}
