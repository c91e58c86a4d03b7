#include "agent/explain.h"

#define FAILURES_SHOWN 8
#define WORDS_MAX      72 /* bytes of an operand that are shown */
#define VALUE_MAX      64 /* characters of a value */

/* ---- the file's words ---------------------------------------------------------------------- */

/* Where the value that begins a line ends in it: at what closes or follows it there. */
static size_t value_end(struct slice line)
{
    size_t depth = 0;
    uint8_t quote = 0;
    for (size_t i = 0; i < line.size; i++) {
        uint8_t c = line.data[i];
        bool ends = c == ',' || c == '}' || c == ']';
        bool is_comment = c == '#' && i > 0 && line.data[i - 1] == ' ';
        if (quote) {
            if (c == '\\' && quote == '"')
                i++;
            else if (c == quote)
                quote = 0;
        } else if (is_comment || (ends && depth == 0)) {
            return i;
        } else if ((c == '"' || c == '\'') && (i == 0 || depth)) {
            quote = c;
        } else if (c == '[' || c == '{') {
            depth++;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return line.size;
}

static struct slice skip_characters(struct slice text, size_t count)
{
    while (count-- && text.size) {
        uint32_t character;
        size_t length = slice_utf8(text, &character);
        text = slice_from(text, length ? length : 1);
    }
    return text;
}

/* The operand at a place in the file, as it stands there; of one that goes on below, the line. */
static void print_words(const struct explanation *e, const struct rules_rule *rule,
                        const struct rules_failure *failure)
{
    struct slice text = file_text_of(e->texts, rules_file_of(e->set, rule));
    struct slice line = quote_line_from(e->place, text, failure->line);
    line = skip_characters(line, failure->column - 1);
    line.size = value_end(line);
    while (line.size && line.data[line.size - 1] == ' ')
        line.size--;
    bool is_cut = line.size > WORDS_MAX;
    while (is_cut && line.size && (line.size > WORDS_MAX || (line.data[line.size] & 0xc0) == 0x80))
        line.size--;
    fprintf(e->out, "%.*s%s", SLICE_ARGS(line), is_cut ? "..." : "");
}

static void print_value(const struct explanation *e, const struct value *value)
{
    char text[4 * VALUE_MAX];
    struct value shown = *value;
    bool is_text = value->type == VALUE_STRING || value->type == VALUE_BINARY;
    bool is_cut = is_text && value->bytes.size > VALUE_MAX;
    if (is_cut)
        shown.bytes.size = VALUE_MAX;
    struct writer w = writer_open(text, sizeof(text));
    value_print(&shown, &w);
    fprintf(e->out, "%s%.*s%s%s", is_text ? "\"" : "", SLICE_ARGS(writer_slice(&w)),
            is_cut ? "..." : "", is_text ? "\"" : "");
}

/* ---- rules that don't match ---------------------------------------------------------------- */

static void print_failure(const struct explanation *e, const struct rules_rule *rule,
                          const struct rules_failure *failure)
{
    fprintf(e->out, "%s%.*s %s ", failure->unwanted ? "not " : "",
            SLICE_ARGS(e->set->slot_names[failure->slot]), failure->operator_name);
    print_words(e, rule, failure);
    if (failure->absent) {
        fprintf(e->out, ", and it wasn't sent");
        return;
    }
    fprintf(e->out, ", and it is ");
    print_value(e, &e->values[failure->slot]);
}

static void print_failures(const struct explanation *e, const struct rules_rule *rule)
{
    struct rules_failure failures[FAILURES_SHOWN];
    size_t count = rules_failures(e->matcher, rule, e->message, failures, FAILURES_SHOWN);
    for (size_t i = 0; i < count && i < FAILURES_SHOWN; i++) {
        fprintf(e->out, "%s", i ? "\n      " : "no: ");
        print_failure(e, rule, &failures[i]);
    }
    if (count > FAILURES_SHOWN)
        fprintf(e->out, "\n      and %zu more", count - FAILURES_SHOWN);
    fprintf(e->out, "\n");
}

/* ---- rules that do ------------------------------------------------------------------------- */

static void print_duration(const struct explanation *e, uint64_t duration)
{
    char text[32];
    struct writer w = writer_open(text, sizeof(text));
    rules_print_duration(duration, &w);
    fprintf(e->out, "%.*s", SLICE_ARGS(writer_slice(&w)));
}

static void print_limit(const struct explanation *e, const struct rules_limit *limit)
{
    fprintf(e->out, "    limit  %.*s: %llu in ", SLICE_ARGS(limit->name),
            (unsigned long long)limit->limit.units);
    print_duration(e, limit->limit.window);
    fprintf(e->out, ", %s", limit_algorithm_name(limit->limit.algorithm));
    if (limit->limit.algorithm == LIMIT_TOKEN_BUCKET)
        fprintf(
            e->out, " with burst %llu",
            (unsigned long long)(limit->burst_at_once ? limit->burst_at_once : limit->limit.burst));
    fprintf(e->out, "\n");
}

static void print_mode(const struct explanation *e, const struct rules_hit *hit)
{
    const struct rules_rule *rule = hit->rule;
    if (rule->mode == RULES_SHADOW) {
        fprintf(e->out, "    mode   shadow: counted and reported, never refused\n");
    } else if (!hit->enforced) {
        fprintf(e->out, "    mode   not of the %u.%02u%% that are enforced: never refused\n",
                rule->enforce_parts / 100, rule->enforce_parts % 100);
    } else if (rule->mode == RULES_DELAY) {
        fprintf(e->out, "    mode   delay of at most ");
        print_duration(e, rule->max_delay);
        fprintf(e->out, "\n");
    }
    if (rule->penalty_count && rule->penalty_mark) {
        fprintf(e->out, "    penalty after %llu refusals within ",
                (unsigned long long)rule->penalty_count->limit.units);
        print_duration(e, rule->penalty_count->limit.window);
        fprintf(e->out, ", for ");
        print_duration(e, rule->penalty_mark->limit.window);
        fprintf(e->out, "\n");
    }
}

static void print_counted(const struct explanation *e, const struct rules_hit *hit)
{
    char text[RULES_SUBJECT_MAX];
    struct writer w = writer_open(text, sizeof(text));
    rules_subject_text(hit->rule, e->values, &w);
    if (hit->kind == RULES_HIT_CHARGE)
        fprintf(e->out, "yes, it is charged here\n");
    else if (hit->rule->charged_later)
        fprintf(e->out, "yes, it is checked here and charged at message %.*s\n",
                SLICE_ARGS(rules_message_name(e->set, rules_charge_message(hit->rule))));
    else
        fprintf(e->out, "yes\n");
    fprintf(e->out, "    key    %.*s\n", SLICE_ARGS(writer_slice(&w)));
    for (size_t i = 0; i < hit->limit_count; i++)
        print_limit(e, &hit->limits[i]);
    if (hit->limit_count == 0)
        fprintf(e->out, "    limit  none for this key\n");
    if (hit->cost != 1)
        fprintf(e->out, "    cost   %llu\n", (unsigned long long)hit->cost);
    print_mode(e, hit);
}

static void print_no_key(const struct explanation *e, const struct rules_rule *rule)
{
    int slot = rules_missing_key(e->matcher, rule);
    if (slot < 0)
        fprintf(e->out, "yes, but it has no limits for this request: it doesn't apply\n");
    else
        fprintf(e->out, "yes, but %.*s of its key %s: it doesn't apply\n",
                SLICE_ARGS(e->set->slot_names[slot]),
                e->values[slot].type == VALUE_NULL ? "wasn't sent" : "is no address");
}

static void print_hit(const struct explanation *e, const struct rules_hit *hit)
{
    switch (hit->kind) {
    case RULES_HIT_ALLOW:
        fprintf(e->out, "yes: it is allowed, and no rule behind it is considered\n");
        return;
    case RULES_HIT_DENY:
        fprintf(e->out, "yes: it is refused, and no rule behind it is considered\n");
        return;
    case RULES_HIT_NO_KEY:
        print_no_key(e, hit->rule);
        return;
    case RULES_HIT_LIMIT:
    case RULES_HIT_CHARGE:
        print_counted(e, hit);
        return;
    }
}

/* ---- all of them --------------------------------------------------------------------------- */

static bool ends_search(const struct rules_hit *hit)
{
    return hit->kind == RULES_HIT_ALLOW || hit->kind == RULES_HIT_DENY;
}

static void print_name(const struct explanation *e, const struct rules_rule *rule)
{
    struct slice file = rules_file_of(e->set, rule);
    if (file.size)
        fprintf(e->out, "  %.*s (%.*s:%u): ", SLICE_ARGS(rule->name), SLICE_ARGS(file), rule->line);
    else
        fprintf(e->out, "  %.*s (line %u): ", SLICE_ARGS(rule->name), rule->line);
}

static void print_miss(const struct explanation *e, const struct rules_rule *rule)
{
    int charge = rules_charge_message(rule);
    bool is_of =
        rule->message < 0 || rule->message == e->message || (charge >= 0 && charge == e->message);
    if (is_of) {
        print_failures(e, rule);
        return;
    }
    fprintf(e->out, "no: it is for message %.*s",
            SLICE_ARGS(rules_message_name(e->set, rule->message)));
    if (charge >= 0)
        fprintf(e->out, ", and charged at %.*s", SLICE_ARGS(rules_message_name(e->set, charge)));
    fprintf(e->out, "\n");
}

void explain_rules(const struct explanation *e)
{
    size_t hit = 0;
    for (size_t i = 0; i < e->set->rule_count; i++) {
        const struct rules_rule *rule = &e->set->rules[i];
        print_name(e, rule);
        if (hit == e->hit_count || e->hits[hit].rule != rule) {
            print_miss(e, rule);
            continue;
        }
        print_hit(e, &e->hits[hit++]);
        if (!ends_search(&e->hits[hit - 1]))
            continue;
        if (i + 1 < e->set->rule_count)
            fprintf(e->out, "  %zu more, not considered\n", e->set->rule_count - i - 1);
        return;
    }
}
