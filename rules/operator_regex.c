#define PCRE2_CODE_UNIT_WIDTH 8

#include <pcre2.h>
#include <stdio.h>

#include "rules/operator.h"

/* PCRE2's match limit alone bounds nothing: it is counted anew from each place in the text at which
 * a match could begin, and with the JIT compiler without a look at what a step costs. So
 *  - a pattern that isn't anchored is made one that is, with the places to begin as a part of it
 *    (`(?s:.*?)(?:PATTERN)`), and all steps count together;
 *  - texts are bounded, since a step may scan the whole text.
 * What would mean another thing inside such a pattern is refused. */
#define SEARCH "(?s:.*?)(?:"

/* Patterns see bytes, since what comes from clients need not be UTF-8. No byte is special: "." is
 * any, and "$" is the end alone. */
#define OPTIONS (PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP)

#define MEMORY_MAX ((size_t)128 << 20) /* bytes of a set's regexes, machine code included */

/* What backtracking may take, of the JIT compiler's own stack and without it. */
#define STACK_BEGIN  (32 << 10)
#define STACK_MAX    (1 << 20)
#define HEAP_MAX_KIB (8 << 10)

/* ---- matching ------------------------------------------------------------------------------ */

bool rules__regex_room_open(struct rules__regex_room *room, const struct rules__regex_list *list)
{
    uint32_t has_jit = 0;
    *room = (struct rules__regex_room){0};
    if (list->count == 0)
        return true;
    room->data = pcre2_match_data_create(1, NULL);
    room->context = pcre2_match_context_create(NULL);
    if (!room->data || !room->context)
        return false;
    pcre2_set_match_limit(room->context, RULES_REGEX_STEPS_MAX);
    pcre2_set_depth_limit(room->context, RULES_REGEX_STEPS_MAX);
    pcre2_set_heap_limit(room->context, HEAP_MAX_KIB);
    if (pcre2_config(PCRE2_CONFIG_JIT, &has_jit) < 0 || !has_jit)
        return true;
    room->stack = pcre2_jit_stack_create(STACK_BEGIN, STACK_MAX, NULL);
    if (room->stack)
        pcre2_jit_stack_assign(room->context, NULL, room->stack);
    return room->stack != NULL;
}

void rules__regex_room_free(struct rules__regex_room *room)
{
    pcre2_jit_stack_free(room->stack);
    pcre2_match_context_free(room->context);
    pcre2_match_data_free(room->data);
}

static bool holds(const struct rules__regex *regex, struct slice text,
                  struct rules__regex_room *room)
{
    int outcome = PCRE2_ERROR_MATCHLIMIT;
    if (text.size <= RULES_REGEX_TEXT_MAX && room->overruns_of_message < RULES_REGEX_OVERRUNS_MAX)
        outcome = pcre2_match(regex->code, text.size ? text.data : (const uint8_t *)"", text.size,
                              0, 0, room->data, room->context);
    if (outcome >= 0 || outcome == PCRE2_ERROR_NOMATCH)
        return outcome >= 0;
    room->overruns++;
    room->overruns_of_message++;
    return false;
}

bool rules__holds_regex(const struct rules__condition *condition, const struct value *value,
                        struct rules_matcher *matcher)
{
    if (value->type != VALUE_STRING)
        return false;
    for (size_t i = 0; i < condition->count; i++)
        if (holds(&condition->regexes[i], value->bytes, &matcher->regex))
            return true;
    return false;
}

/* ---- compiling ----------------------------------------------------------------------------- */

void rules__regexes_free(struct rules__regex_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        pcre2_code_free(list->regexes[i].code);
    list->count = 0;
}

/* What a pattern may not have; NULL: it has none of it. (*UTF) and its like must stand first, and
 * (*PRUNE) and its like decide where a match may begin; (?R) is the whole pattern, of which there
 * is more than was written. */
static const char *forbidden(struct slice pattern)
{
    static const struct {
        struct slice text;
        const char *what;
    } words[] = {
        {{(const uint8_t *)"(*", 2}, "(*"},       {{(const uint8_t *)"(?R", 3}, "(?R"},
        {{(const uint8_t *)"(?0", 3}, "(?0"},     {{(const uint8_t *)"\\g<0", 4}, "\\g<0"},
        {{(const uint8_t *)"\\g'0", 4}, "\\g'0"},
    };
    for (size_t at = 0; at < pattern.size; at++) {
        struct slice rest = slice_from(pattern, at);
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            if (slice_has_prefix(rest, words[i].text))
                return words[i].what;
        if (rest.data[0] == '\\')
            at++; /* what is escaped begins nothing */
    }
    return NULL;
}

static pcre2_code *compile(struct slice pattern, uint32_t options, int *error, size_t *offset)
{
    return pcre2_compile(pattern.size ? pattern.data : (const uint8_t *)"", pattern.size,
                         OPTIONS | options, error, offset, NULL);
}

/* The pattern as one that looks for itself. Its end may be a comment (of (?x)), or quoted (behind
 * \Q): then the first end isn't seen as one. */
static pcre2_code *compile_search(struct slice pattern, uint32_t options)
{
    static const struct slice ends[] = {{(const uint8_t *)"\\E)", 3}, {(const uint8_t *)"\n)", 2}};
    pcre2_code *code = NULL;
    for (size_t i = 0; !code && i < sizeof(ends) / sizeof(ends[0]); i++) {
        char text[sizeof(SEARCH) + RULES_REGEX_MAX + 4];
        struct writer w = writer_open(text, sizeof(text));
        int error;
        size_t offset;
        writer_bytes(&w, SLICE(SEARCH));
        writer_bytes(&w, pattern);
        writer_bytes(&w, ends[i]);
        code = compile(writer_slice(&w), options | PCRE2_ANCHORED, &error, &offset);
    }
    return code;
}

static void report_refused(const struct rules__operand *operand, const struct rules__node *node,
                           int error, size_t offset)
{
    PCRE2_UCHAR message[128] = "";
    pcre2_get_error_message(error, message, sizeof(message));
    rules__problem(operand->loader, node,
                   "%s is %s, which PCRE2 refuses at offset %zu: %s, expected a regular expression",
                   operand->label, RULES__SHOW(node), offset, (const char *)message);
}

/* NULL when it is wrong, which has been reported. */
static pcre2_code *compile_pattern(const struct rules__operand *operand,
                                   const struct rules__node *node)
{
    struct slice pattern = node->text;
    uint32_t options = operand->ignores_case ? PCRE2_CASELESS : 0;
    uint32_t effective = 0;
    int error = 0;
    size_t offset = 0;
    const char *word = forbidden(pattern);
    if (pattern.size > RULES_REGEX_MAX) {
        rules__problem(operand->loader, node, "%s has %zu bytes, expected at most %d",
                       operand->label, pattern.size, RULES_REGEX_MAX);
        return NULL;
    }
    if (word) {
        rules__problem(operand->loader, node,
                       "%s has \"%s\", expected neither verbs, as in (*UTF), nor recursion into "
                       "the whole pattern; a parenthesis itself is \\(",
                       operand->label, word);
        return NULL;
    }
    pcre2_code *code = compile(pattern, options, &error, &offset);
    if (!code) {
        report_refused(operand, node, error, offset);
        return NULL;
    }
    pcre2_pattern_info(code, PCRE2_INFO_ALLOPTIONS, &effective);
    if (effective & PCRE2_ANCHORED)
        return code;
    pcre2_code_free(code);
    code = compile_search(pattern, options);
    if (!code)
        rules__wrong(operand->loader, operand->label, node, "a shorter regular expression");
    return code;
}

/* Adds a pattern to the set's; false when that is wrong, which has been reported. */
static bool add_regex(const struct rules__operand *operand, const struct rules__node *node,
                      struct slice name)
{
    struct rules__loader *loader = operand->loader;
    struct rules__regex_list *list = &loader->set->index->regexes;
    size_t sizes[2] = {0};
    if (list->count == RULES_MAX_REGEXES) {
        rules__problem(loader, node, "one regular expression too many, expected at most %d",
                       RULES_MAX_REGEXES);
        return false;
    }
    if (!list->regexes)
        list->regexes = rules__allocate(loader, RULES_MAX_REGEXES, sizeof(*list->regexes));
    pcre2_code *code = list->regexes ? compile_pattern(operand, node) : NULL;
    if (!code)
        return false;
    /* Where there is no JIT compiler, or no memory for what it makes, PCRE2 interprets. */
    pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    list->regexes[list->count].code = code;
    if (!rules__names_put(&loader->regex_names, &loader->scratch, name, (uint32_t)list->count++))
        rules__no_memory(loader);
    pcre2_pattern_info(code, PCRE2_INFO_SIZE, &sizes[0]);
    pcre2_pattern_info(code, PCRE2_INFO_JITSIZE, &sizes[1]);
    list->memory += sizes[0] + sizes[1];
    if (list->memory <= MEMORY_MAX)
        return true;
    rules__problem(loader, node,
                   "regular expressions that take more memory than there may be, expected at most "
                   "%zu MiB for all",
                   MEMORY_MAX >> 20);
    return false;
}

static bool read_regex(const struct rules__operand *operand, const struct rules__node *node,
                       struct rules__regex *regex)
{
    struct rules__loader *loader = operand->loader;
    struct rules__regex_list *list = &loader->set->index->regexes;
    char buffer[RULES_REGEX_MAX + 2];
    struct writer w = writer_open(buffer, sizeof(buffer));
    if (!rules__scalar(loader, operand->label, node, "a regular expression or a list of them"))
        return false;
    writer_uint8(&w, operand->ignores_case ? 'i' : 'c');
    writer_bytes(&w, node->text); /* one that is too long has no name, and isn't compiled */
    int64_t known = rules__names_find(&loader->regex_names, writer_slice(&w));
    if (known < 0) {
        struct slice name = arena_copy(&loader->scratch, writer_slice(&w));
        if (!name.data)
            rules__no_memory(loader);
        if (!name.data || !add_regex(operand, node, name))
            return false;
        known = (int64_t)list->count - 1;
    }
    *regex = list->regexes[known];
    return true;
}

void rules__compile_regex(const struct rules__operand *operand, struct rules__condition *condition)
{
    size_t count;
    const struct rules__node *item = rules__items(operand->node, &count);
    struct rules__regex *regexes = rules__match_allocate(operand->loader, count, sizeof(*regexes));
    if (count == 0)
        rules__problem(operand->loader, operand->node,
                       "%s is an empty list, expected at least one regular expression",
                       operand->label);
    if (!regexes)
        return;
    for (size_t i = 0; i < count; i++, item = item->next)
        if (read_regex(operand, item, &regexes[condition->count]))
            condition->count++;
    condition->regexes = regexes;
}
