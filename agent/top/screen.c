#include "agent/top/screen.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>

#define LINE_MAX_BYTES 512

/* Rows of the head, and those that stand around the two tables. */
#define HEAD_ROWS 3
#define REST_ROWS 5

#define INVERSE "\033[7m"
#define NORMAL  "\033[0m"
#define END     "\033[K\r\n" /* of a line: what was there before is erased */

#define NUMBER_MAX 32

struct printer {
    const struct top_screen *screen;
    FILE *stream;
    unsigned rows; /* written */
};

/* One line, cut to the terminal's width. */
static void print_line(struct printer *p, bool is_title, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void print_line(struct printer *p, bool is_title, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    bool is_plain = p->screen->rows == 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (is_plain) {
        fprintf(p->stream, "%s\n", line);
        return;
    }
    if (p->rows >= p->screen->rows)
        return;
    /* No line's end after the last, which would scroll. */
    fprintf(p->stream, "%s%s%.*s%s", p->rows ? END : "", is_title ? INVERSE : "",
            (int)p->screen->columns, line, is_title ? NORMAL : "");
    p->rows++;
}

static const char *rate_text(double rate, char text[NUMBER_MAX])
{
    if (isnan(rate))
        return "-";
    if (rate >= 1e6)
        snprintf(text, NUMBER_MAX, "%.1fM", rate / 1e6);
    else
        snprintf(text, NUMBER_MAX, "%.*f", rate >= 1000 ? 0 : 1, rate);
    return text;
}

static const char *share_text(double part, double all, char text[NUMBER_MAX])
{
    if (isnan(part) || !(all > 0))
        return "-";
    snprintf(text, NUMBER_MAX, "%.1f%%", 100 * part / all);
    return text;
}

/* ---- the head -------------------------------------------------------------------------------- */

static void print_head(struct printer *p, const struct top_view *view)
{
    char texts[6][NUMBER_MAX];
    print_line(p, false, "sluice %s%s%s  store %s, %s%s  agents %" PRIu64, view->version,
               *view->instance ? "  " : "", view->instance, view->store, view->status,
               p->screen->trouble ? " when it was last asked" : "", view->agents);
    print_line(
        p, false, "decisions %s/s  refused %s/s (%s)  shadow %s/s  delayed %s/s  fallbacks %s/s",
        rate_text(view->decisions, texts[0]), rate_text(view->refused, texts[1]),
        share_text(view->refused, view->decisions, texts[2]), rate_text(view->shadow, texts[3]),
        rate_text(view->delayed, texts[4]), rate_text(view->fallbacks, texts[5]));
    char shards[128] = "";
    if (view->shards)
        snprintf(shards, sizeof(shards),
                 "  shards %" PRIu64 ", %" PRIu64 " up  breakers %" PRIu64 " closed, %" PRIu64
                 " half-open, %" PRIu64 " open",
                 view->shards, view->shards_up, view->closed, view->half_open, view->open);
    print_line(p, false,
               "connections %" PRIu64 " of %" PRIu64 "  keys %" PRIu64 " of %" PRIu64 "%s",
               view->connections, view->connections_max, view->keys_held, view->keys_max, shards);
}

/* ---- the tables ------------------------------------------------------------------------------ */

#define RULE_NUMBERS 46 /* columns of numbers beside a rule's name */
#define KEY_NUMBERS  32
#define NAME_MIN     12

/* Columns for texts beside so many of numbers, the longest being of this size. */
static int text_columns(const struct top_screen *screen, unsigned numbers, size_t longest)
{
    unsigned columns = longest > NAME_MIN ? (unsigned)longest : NAME_MIN;
    unsigned room = screen->columns > numbers + NAME_MIN ? screen->columns - numbers : NAME_MIN;
    if (screen->rows && columns > room)
        columns = room;
    return (int)columns;
}

static void print_rules(struct printer *p, const struct top_view *view, size_t count)
{
    size_t longest = 0;
    char texts[5][NUMBER_MAX];
    for (size_t i = 0; i < count; i++)
        if (strlen(view->rules[i].name) > longest)
            longest = strlen(view->rules[i].name);
    int width = text_columns(p->screen, RULE_NUMBERS, longest);
    print_line(p, true, "%-*.*s %11s %9s %6s %8s %9s", width, width, "RULE", "DECISIONS/S",
               "REFUSED/S", "SHARE", "SHADOW/S", "DELAYED/S");
    for (size_t i = 0; i < count; i++) {
        const struct top_rule *rule = &view->rules[i];
        print_line(p, false, "%-*.*s %11s %9s %6s %8s %9s", width, width, rule->name,
                   rate_text(rule->decisions, texts[0]), rate_text(rule->refused, texts[1]),
                   share_text(rule->refused, rule->decisions, texts[2]),
                   rate_text(rule->shadow, texts[3]), rate_text(rule->delayed, texts[4]));
    }
}

static void print_keys(struct printer *p, const struct top_view *view, size_t count)
{
    size_t longest_key = 0;
    size_t longest_rule = 0;
    char texts[3][NUMBER_MAX];
    for (size_t i = 0; i < count; i++) {
        if (strlen(view->keys[i].key) > longest_key)
            longest_key = strlen(view->keys[i].key);
        if (strlen(view->keys[i].rule) > longest_rule)
            longest_rule = strlen(view->keys[i].rule);
    }
    int rule_width = text_columns(p->screen, KEY_NUMBERS + 2 * NAME_MIN, longest_rule);
    int width = text_columns(p->screen, KEY_NUMBERS + (unsigned)rule_width + 1, longest_key);
    print_line(p, true, "%-*.*s %-*.*s %10s %9s %6s", width, width, "KEY", rule_width, rule_width,
               "RULE", "REQUESTS/S", "REFUSED/S", "SHARE");
    for (size_t i = 0; i < count; i++) {
        const struct top_key *key = &view->keys[i];
        print_line(p, false, "%-*.*s %-*.*s %10s %9s %6s", width, width, key->key, rule_width,
                   rule_width, key->rule, rate_text(key->requests, texts[0]),
                   rate_text(key->refused, texts[1]),
                   share_text(key->refused, key->requests, texts[2]));
    }
    if (!view->tells_keys)
        print_line(p, false, "this agent doesn't tell of keys");
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* Shares out the rows that both tables have: each gets what it needs, or half, and what the other
 * leaves. */
static void share_rows(const struct top_screen *screen, size_t *rules, size_t *keys)
{
    size_t room = screen->rows > HEAD_ROWS + REST_ROWS ? screen->rows - HEAD_ROWS - REST_ROWS : 0;
    if (screen->rows == 0 || *rules + *keys <= room)
        return;
    size_t half = room / 2;
    if (*rules <= half)
        *keys = room - *rules;
    else if (*keys <= half)
        *rules = room - *keys;
    else {
        *keys = half;
        *rules = room - half;
    }
}

void top_screen_write(const struct top_view *view, const struct top_screen *screen, FILE *stream)
{
    struct printer p = {screen, stream, 0};
    size_t rules = view->rule_count;
    size_t keys = view->tells_keys ? view->key_count : 1; /* a line that says so */
    share_rows(screen, &rules, &keys);
    if (screen->rows)
        fputs("\033[H", stream);
    print_head(&p, view);
    print_line(&p, false, "%s", screen->trouble ? screen->trouble : "");
    print_rules(&p, view, rules);
    print_line(&p, false, "%s", "");
    print_keys(&p, view, view->tells_keys ? keys : 0);
    if (screen->rows == 0)
        return;
    print_line(&p, false, "q quits; sorted by %s: %s",
               screen->order == TOP_BY_REFUSED ? "refusals" : "requests",
               screen->order == TOP_BY_REFUSED ? "r by requests" : "d by refusals");
    fputs("\033[K\033[J", stream);
}
