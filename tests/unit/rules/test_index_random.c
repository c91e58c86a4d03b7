#include "files.h"
#include "random.h"
#include "rules/index.h"

/* Random rules, written as YAML and evaluated here in the plainest way there is; what the matcher
 * finds must be the same. */

#define ARGUMENTS    4
#define OPERANDS_MAX 4
#define FILE_MAX     128
#define CHILDREN_MAX 3
#define RULES_MAX    40

enum operator{
    IS,
    IN,
    IN_FILE,
    PREFIX,
    SUFFIX,
    CONTAINS,
    REGEX,
    LT,
    LE,
    GT,
    GE,
    BETWEEN,
    CIDR,
    CIDR_FILE,
    EXISTS,
    OPERATORS, /* those above */
    ANY,
    ALL,
};

static const char *const names[] = {"is",       "in",      "in_file", "prefix",    "suffix",
                                    "contains", "regex",   "lt",      "le",        "gt",
                                    "ge",       "between", "cidr",    "cidr_file", "exists"};

static const char *const arguments[ARGUMENTS] = {"a", "b", "c", "d"};

struct condition {
    enum operator operator;
    bool negated;
    bool ignores_case;
    size_t argument;
    size_t count; /* of operands or children */
    char texts[OPERANDS_MAX][24];
    int64_t numbers[2];
    const struct condition *children[CHILDREN_MAX];
};

struct rule {
    int message; /* -1: every message */
    char kind;   /* '*' limit, '!' allow, '-' deny */
    const struct condition *match;
    const struct condition *charge; /* at the other message; NULL: it is charged at its own */
};

/* ---- values -------------------------------------------------------------------------------- */

/* Texts of few letters, numbers, and addresses, all from so few that they meet. */
static void random_text(struct random *random, char *text, size_t size)
{
    switch (random_below(random, 4)) {
    case 0:
        snprintf(text, size, "%d", (int)random_below(random, 12) - 4);
        return;
    case 1:
        snprintf(text, size, random_below(random, 2) ? "10.0.%d.%d" : "2001:db8::%d%d",
                 (int)random_below(random, 3), (int)random_below(random, 3));
        return;
    default:
        break;
    }
    size_t length = 1 + (size_t)random_below(random, 4);
    for (size_t i = 0; i < length; i++)
        text[i] = "abAB"[random_below(random, 4)];
    text[length] = 0;
}

/* The text it is, and what comes of it on the wire, or nothing. */
struct argument {
    char text[24];
    struct value value;
};

static void random_argument(struct random *random, struct argument *argument)
{
    struct value *value = &argument->value;
    random_text(random, argument->text, sizeof(argument->text));
    *value = text_value(argument->text);
    uint64_t form = random_below(random, 4);
    struct value typed;
    if (form == 0)
        *value = (struct value){.type = VALUE_NULL};
    else if (form == 1 && value_parse_address(slice_of_string(argument->text), &typed))
        *value = typed.type == VALUE_IPV4 ? mapped_value(argument->text) : typed;
    else if (form == 1 && slice_to_int64(slice_of_string(argument->text), &typed.integer))
        *value = int_value(typed.integer);
    else if (form == 2)
        value->type = VALUE_BINARY;
}

/* ---- evaluating ---------------------------------------------------------------------------- */

static bool same(uint8_t a, uint8_t b, bool ignores_case)
{
    return a == b || (ignores_case && (a ^ b) == 0x20 && ((a | 0x20) >= 'a' && (a | 0x20) <= 'z'));
}

static bool found_at(const char *text, size_t at, const char *part, bool ignores_case)
{
    for (size_t i = 0; part[i]; i++)
        if (!text[at + i] || !same((uint8_t)text[at + i], (uint8_t)part[i], ignores_case))
            return false;
    return true;
}

static bool found(const char *text, const char *part, bool ignores_case)
{
    for (size_t at = 0; text[at]; at++)
        if (found_at(text, at, part, ignores_case))
            return true;
    return false;
}

static bool is_text(const struct argument *argument)
{
    return argument->value.type == VALUE_STRING || argument->value.type == VALUE_BINARY;
}

/* By their texts, of which each value here has but one. */
static bool is_equal(const struct condition *c, const struct argument *argument, const char *text)
{
    bool ignores_case = c->ignores_case && is_text(argument);
    return strlen(text) == strlen(argument->text) &&
           found_at(argument->text, 0, text, ignores_case);
}

static bool is_number(const struct argument *argument, int64_t *number)
{
    return slice_to_int64(slice_of_string(argument->text), number);
}

static bool in_network(const struct argument *argument, const char *network)
{
    struct value address;
    struct value first;
    const char *slash = strchr(network, '/');
    size_t size = slash ? (size_t)(slash - network) : strlen(network);
    if (!value_parse_address(slice_of_string(argument->text), &address))
        return false;
    ck_assert(value_parse_address(slice_of(network, size), &first));
    uint64_t bits = first.type == VALUE_IPV4 ? 32 : 128;
    ck_assert(!slash || slice_to_uint64(slice_of_string(slash + 1), &bits));
    if (address.type != first.type)
        return false;
    for (unsigned i = 0; i < bits; i++)
        if ((address.address[i / 8] ^ first.address[i / 8]) >> (7 - i % 8) & 1)
            return false;
    return true;
}

static bool one_holds(const struct condition *c, const struct argument *argument, const char *text)
{
    size_t size = strlen(argument->text);
    size_t length = strlen(text);
    switch (c->operator) {
    case PREFIX:
        return is_text(argument) && found_at(argument->text, 0, text, c->ignores_case);
    case SUFFIX:
        return is_text(argument) && size >= length &&
               found_at(argument->text, size - length, text, c->ignores_case);
    case CONTAINS:
    case REGEX:
        return is_text(argument) && found(argument->text, text, c->ignores_case);
    case CIDR:
    case CIDR_FILE:
        return in_network(argument, text);
    default:
        return is_equal(c, argument, text);
    }
}

static bool number_holds(const struct condition *c, int64_t number)
{
    switch (c->operator) {
    case LT:
        return number < c->numbers[0];
    case LE:
        return number <= c->numbers[0];
    case GT:
        return number > c->numbers[0];
    case GE:
        return number >= c->numbers[0];
    default:
        return number >= c->numbers[0] && number <= c->numbers[1];
    }
}

static bool holds(const struct condition *c, const struct argument *sent)
{
    const struct argument *argument = &sent[c->argument];
    bool is_absent = argument->value.type == VALUE_NULL;
    bool outcome = c->operator== ALL;
    int64_t number;
    switch (c->operator) {
    case ANY:
        for (size_t i = 0; i < c->count; i++)
            outcome = outcome || holds(c->children[i], sent);
        break;
    case ALL:
        for (size_t i = 0; i < c->count; i++)
            outcome = outcome && holds(c->children[i], sent);
        break;
    case LT:
    case LE:
    case GT:
    case GE:
    case BETWEEN:
        outcome = !is_absent && is_number(argument, &number) && number_holds(c, number);
        break;
    case EXISTS:
        outcome = !is_absent == (c->numbers[0] == 1);
        break;
    default:
        for (size_t i = 0; i < c->count && !is_absent; i++)
            outcome = outcome || one_holds(c, argument, c->texts[i]);
    }
    return outcome != c->negated;
}

/* ---- making -------------------------------------------------------------------------------- */

/* What one round makes. */
struct round {
    struct random *random;
    struct arena arena;
    struct named_file files[64];
    size_t file_count;
    struct rule rules[RULES_MAX];
    size_t rule_count;
    char yaml[1 << 17];
    size_t size;
};

static void put(struct round *round, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct round *round, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    round->size += (size_t)vsnprintf(round->yaml + round->size, sizeof(round->yaml) - round->size,
                                     format, list);
    va_end(list);
    ck_assert_uint_lt(round->size, sizeof(round->yaml));
}

static void random_network(struct random *random, char *text, size_t size)
{
    static const char *const networks[] = {
        "10.0.0.0/8",       "10.0.0.0/24",  "10.0.1.0/24", "10.0.1.0/31",
        "10.0.2.1",         "0.0.0.0/0",    "::/0",        "2001:db8::/32",
        "2001:db8::20/127", "2001:db8::11", "10.0.0.0/23", "2001:db8::10/124",
    };
    snprintf(text, size, "%s",
             networks[random_below(random, sizeof(networks) / sizeof(networks[0]))]);
}

static bool takes_one(enum operator operator)
{
    return operator== IS || operator== EXISTS ||(operator>= LT && operator<= BETWEEN);
}

static struct condition *random_leaf(struct round *round)
{
    struct random *random = round->random;
    struct condition *c = arena_allocate(&round->arena, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    c->operator=(enum operator) random_below(random, OPERATORS);
    c->argument = (size_t)random_below(random, ARGUMENTS);
    c->negated = random_below(random, 5) == 0;
    c->ignores_case = random_below(random, 3) == 0;
    c->count = takes_one(c->operator) ? 1 : 1 + (size_t)random_below(random, OPERANDS_MAX);
    c->numbers[0] = (int64_t)random_below(random, 12) - 4;
    c->numbers[1] = c->numbers[0] + (int64_t)random_below(random, 4);
    if (c->operator== EXISTS)
        c->numbers[0] = (int64_t)random_below(random, 2);
    for (size_t i = 0; i < c->count; i++) {
        if (c->operator== CIDR || c->operator== CIDR_FILE)
            random_network(random, c->texts[i], sizeof(c->texts[i]));
        else
            random_text(random, c->texts[i], sizeof(c->texts[i]));
    }
    return c;
}

static const struct condition *random_condition(struct round *round, unsigned depth)
{
    struct random *random = round->random;
    if (depth == 0 || random_below(random, 3))
        return random_leaf(round);
    struct condition *c = arena_allocate(&round->arena, sizeof(*c));
    ck_assert_ptr_nonnull(c);
    c->operator= random_below(random, 2) ? ANY : ALL;
    c->negated = random_below(random, 4) == 0;
    c->count = 1 + (size_t)random_below(random, CHILDREN_MAX);
    for (size_t i = 0; i < c->count; i++)
        c->children[i] = random_condition(round, depth - 1);
    return c;
}

/* ---- writing ------------------------------------------------------------------------------- */

static void write_file(struct round *round, const struct condition *c)
{
    char *text = arena_allocate(&round->arena, FILE_MAX);
    char *name = arena_allocate(&round->arena, 24);
    size_t size = 0;
    ck_assert(text && name && round->file_count + 1 < 64);
    for (size_t i = 0; i < c->count; i++)
        size += (size_t)snprintf(text + size, FILE_MAX - size, "%s\n", c->texts[i]);
    snprintf(name, 24, "f%zu", round->file_count);
    round->files[round->file_count++] = (struct named_file){name, slice_of(text, size)};
    put(round, "%s", name);
}

static void write_operand(struct round *round, const struct condition *c)
{
    if (c->operator== IN_FILE || c->operator== CIDR_FILE) {
        write_file(round, c);
    } else if (c->operator== EXISTS) {
        put(round, "%s", c->numbers[0] ? "true" : "false");
    } else if (c->operator== BETWEEN) {
        put(round, "[ %" PRId64 ", %" PRId64 " ]", c->numbers[0], c->numbers[1]);
    } else if (c->operator>= LT && c->operator<= GE) {
        put(round, "%" PRId64, c->numbers[0]);
    } else if (c->operator== IS) {
        put(round, "'%s'", c->texts[0]);
    } else {
        for (size_t i = 0; i < c->count; i++) {
            /* Of a pattern, '.' is more than itself. */
            put(round, "%s'", i ? ", " : "[ ");
            for (const char *p = c->texts[i]; *p; p++)
                put(round, c->operator== REGEX && * p == '.' ? "\\." : "%c", *p);
            put(round, "'");
        }
        put(round, " ]");
    }
}

/* As a mapping, which a match is, and an item of any and all. */
static void write_condition(struct round *round, const struct condition *c)
{
    bool is_group = c->operator>= OPERATORS;
    bool has_case = c->operator<= REGEX && c->ignores_case;
    if (is_group) {
        put(round, c->negated ? "{ not: { %s: [ " : "{ %s: [ ", c->operator== ANY ? "any" : "all");
        for (size_t i = 0; i < c->count; i++) {
            put(round, "%s", i ? ", " : "");
            write_condition(round, c->children[i]);
        }
        put(round, c->negated ? " ] } }" : " ] }");
        return;
    }
    put(round, c->negated ? "{ %s: { not: { %s: " : "{ %s: { %s: ", arguments[c->argument],
        names[c->operator]);
    write_operand(round, c);
    put(round, "%s%s", has_case ? ", ignore_case: true" : "", c->negated ? " } } }" : " } }");
}

static void write_rule(struct round *round, const struct rule *rule)
{
    static const char *const messages[] = {"one", "two"};
    size_t number = (size_t)(rule - round->rules);
    put(round, "- { name: r%zu, ", number);
    if (rule->message >= 0)
        put(round, "message: %s, ", messages[rule->message]);
    if (rule->kind == '*')
        put(round, "key: [], limits: { limit: 1, window: 1s }");
    else
        put(round, "action: %s", rule->kind == '!' ? "allow" : "deny");
    if (rule->match) {
        put(round, ", match: ");
        write_condition(round, rule->match);
    }
    if (rule->charge) {
        put(round, ", charge: { message: %s, match: ", messages[1 - rule->message]);
        write_condition(round, rule->charge);
        put(round, " }");
    }
    put(round, " }\n");
}

static void make_rules(struct round *round)
{
    struct random *random = round->random;
    round->rule_count = 1 + (size_t)random_below(random, RULES_MAX);
    put(round, "listen: :0\nrules:\n");
    for (size_t i = 0; i < round->rule_count; i++) {
        struct rule *rule = &round->rules[i];
        rule->message = (int)random_below(random, 4) - 2;
        if (rule->message < 0)
            rule->message = -1;
        rule->kind = "*****!-"[random_below(random, 7)];
        if (random_below(random, 10))
            rule->match = random_condition(round, 3);
        if (rule->message >= 0 && rule->kind == '*' && random_below(random, 3) == 0)
            rule->charge = random_condition(round, 2);
        /* A file's names are few: a rule that has too many in it would need another round. */
        if (round->file_count < 40) {
            write_rule(round, rule);
        } else {
            round->rule_count = i;
            break;
        }
    }
}

/* ---- comparing ----------------------------------------------------------------------------- */

static void expect_same(const struct round *round, struct rules_matcher *matcher,
                        const struct rules_set *set, int message)
{
    static const char *const messages[] = {"one", "two"};
    struct argument sent[ARGUMENTS];
    struct value values[RULES_MAX_SLOTS] = {{.type = VALUE_NULL}};
    struct rules_hit hits[RULES_MAX];
    size_t expected = 0;
    for (size_t i = 0; i < ARGUMENTS; i++) {
        int slot = rules_slot(set, slice_of_string(arguments[i]));
        random_argument(round->random, &sent[i]);
        if (slot >= 0)
            values[slot] = sent[i].value;
    }
    int id = message < 0 ? -1 : rules_message(set, slice_of_string(messages[message]));
    size_t count = rules_match(matcher, id, values, hits);
    for (size_t i = 0; i < round->rule_count; i++) {
        const struct rule *rule = &round->rules[i];
        bool charges = rule->charge && message == 1 - rule->message;
        const struct condition *condition = charges ? rule->charge : rule->match;
        if ((rule->message >= 0 && rule->message != message && !charges) ||
            (condition && !holds(condition, sent)))
            continue;
        ck_assert_msg(expected < count && hits[expected].rule->index == i,
                      "rule %zu is not hit by a=%s b=%s c=%s d=%s of message %d in\n%s", i,
                      sent[0].text, sent[1].text, sent[2].text, sent[3].text, message, round->yaml);
        ck_assert((hits[expected].kind == RULES_HIT_CHARGE) == charges);
        expected++;
        if (rule->kind != '*')
            break;
    }
    ck_assert_msg(expected == count, "rule %u is hit by a=%s b=%s c=%s d=%s of message %d in\n%s",
                  hits[expected < count ? expected : 0].rule->index, sent[0].text, sent[1].text,
                  sent[2].text, sent[3].text, message, round->yaml);
}

START_TEST(random_rules_match_as_they_would_one_by_one)
{
    static struct round round;
    struct random random = random_open("random rules");
    size_t entered = 0;
    for (int i = 0; i < 1500; i++) {
        memset(&round, 0, sizeof(round));
        round.random = &random;
        make_rules(&round);
        struct folder folder = {.files = round.files};
        struct rules_set *set = load_from(&folder, round.yaml);
        struct rules_matcher *matcher = rules_matcher_create(set);
        ck_assert_ptr_nonnull(matcher);
        ck_assert_uint_eq(set->rule_count, round.rule_count);
        for (int m = 0; m < 60; m++)
            expect_same(&round, matcher, set, m % 3 - 1);
        for (size_t e = 0; e < set->index->table->capacity; e++)
            entered += set->index->table->entries[e].count;
        rules_matcher_free(matcher);
        rules_free(set);
        arena_free(&round.arena);
    }
    ck_assert_uint_gt(entered, 1500);
}
END_TEST

UNIT_MAIN("index_random", random_rules_match_as_they_would_one_by_one)
