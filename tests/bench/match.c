/* What matching a message costs, by the number of rules: one with 10,000 is to take at most twice
 * as long as with 10.
 *
 *     build/release/tests/bench/match [--forms] [RULES...]        default: 10 100 1000 10000
 *
 * Of each form there are so many rules, each with a limit. Each message fulfils one of them,
 * another one each time, so that with many rules the processor's caches hold few of those that are
 * asked for; "few" is the last number of rules with no more than 64 different messages. The time is
 * for matching alone, each part of the messages at its fastest of many runs. Below the table stand
 * regular expressions at their worst, unless only the forms are asked for. */
#include <stdio.h>
#include <stdlib.h>

#include "random.h"
#include "rules/rules.h"

#define MESSAGES 4096
#define PART     64
#define RUNS     500
#define TEXT_MAX 128

/* '#' is the rule's number; '%' and '&' are it as an IPv4 and an IPv6 address begin. */
struct form {
    const char *name;
    const char *match;
    const char *a, *b; /* arguments that fulfil it */
};

static const struct form forms[] = {
    {"is", "{ a: tenant-# }", "tenant-#", "x"},
    {"in", "{ a: { in: [ tenant-#, user-#, '#' ] } }", "user-#", "x"},
    {"is, ignore_case", "{ a: { is: Tenant-#, ignore_case: true } }", "tenant-#", "x"},
    {"prefix", "{ a: { prefix: /api/#/ } }", "/api/#/orders/latest", "x"},
    {"suffix", "{ a: { suffix: .t#.example.org } }", "www.t#.example.org", "x"},
    {"cidr", "{ a: { cidr: %.0/24 } }", "%.7", "x"},
    {"cidr, IPv6", "{ a: { cidr: '&::/48' } }", "&::7", "x"},
    {"is and prefix", "{ a: POST, b: { prefix: [ /api/#/, /v2/#/ ] } }", "POST", "/v2/#/x"},
    {"any of two", "{ any: [ { a: tenant-# }, { b: { prefix: /t/#/ } } ] }", "none", "/t/#/x"},
};

static void fail(const char *what)
{
    fprintf(stderr, "match: %s\n", what);
    exit(EXIT_FAILURE);
}

static void write_number(struct writer *w, const char *text, size_t number)
{
    for (; *text; text++) {
        char address[64];
        if (*text == '%' || *text == '&') {
            if (*text == '%')
                snprintf(address, sizeof(address), "%zu.%zu.%zu", 10 + (number >> 16),
                         number >> 8 & 255, number & 255);
            else
                snprintf(address, sizeof(address), "2001:%zx:%zx", number >> 16, number & 65535);
            writer_bytes(w, slice_of(address, strlen(address)));
        } else if (*text == '#') {
            writer_decimal(w, number);
        } else {
            writer_uint8(w, (uint8_t)*text);
        }
    }
}

static struct rules_set *load(const struct form *form, size_t count)
{
    static struct rules_report report;
    size_t room = 64 + count * 256;
    uint8_t *text = malloc(room);
    if (!text)
        fail("out of memory");
    struct writer w = writer_open(text, room);
    writer_bytes(&w, SLICE("listen: :0\nrules:\n"));
    for (size_t i = 0; i < count; i++) {
        write_number(&w, "- { name: r#, key: [ a ], limits: { limit: 1, window: 1s }, match: ", i);
        write_number(&w, form->match, i);
        writer_bytes(&w, SLICE(" }\n"));
    }
    struct rules_set *set = rules_load(writer_slice(&w), 1, &report);
    if (!set)
        fail("the rules are wrong");
    rules_report_free(&report);
    free(text);
    return set;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

struct message {
    char texts[2][TEXT_MAX];
    struct value values[2];
};

static void make_message(struct message *message, const struct rules_set *set,
                         const struct form *form, size_t number)
{
    const char *const texts[] = {form->a, form->b};
    for (size_t i = 0; i < 2; i++) {
        struct writer w = writer_open(message->texts[i], TEXT_MAX);
        write_number(&w, texts[i], number);
        struct value value = {.type = VALUE_STRING, .bytes = writer_slice(&w)};
        value_parse_address(value.bytes, &value);
        int slot = rules_slot(set, i ? SLICE("b") : SLICE("a"));
        if (slot >= 0)
            message->values[slot] = value;
    }
}

static double match_part(struct rules_matcher *matcher, struct message *messages,
                         struct rules_hit *hits)
{
    double begun = now();
    for (size_t i = 0; i < PART; i++)
        if (rules_match(matcher, -1, messages[i].values, hits) != 1)
            fail("a message isn't hit by one rule");
    return now() - begun;
}

/* Nanoseconds a message, of so many different ones. */
static double measure(const struct form *form, size_t count, size_t different)
{
    static struct message messages[MESSAGES];
    struct random random = {1};
    struct rules_set *set = load(form, count);
    struct rules_matcher *matcher = rules_matcher_create(set);
    struct rules_hit *hits = calloc(count, sizeof(*hits));
    double least[MESSAGES / PART];
    double sum = 0;
    if (!matcher || !hits)
        fail("out of memory");
    for (size_t i = 0; i < different; i++)
        make_message(&messages[i], set, form, (size_t)random_below(&random, count));
    for (size_t i = 0; i < MESSAGES; i++)
        least[i / PART] = 1e12;
    for (int run = 0; run < RUNS; run++) {
        for (size_t i = 0; i < different; i += PART) {
            double took = match_part(matcher, &messages[i], hits);
            least[i / PART] = took < least[i / PART] ? took : least[i / PART];
        }
    }
    for (size_t i = 0; i < different; i += PART)
        sum += least[i / PART];
    free(hits);
    rules_matcher_free(matcher);
    rules_free(set);
    return sum / (double)different;
}

static void measure_regex(const char *pattern, size_t size)
{
    static uint8_t text[RULES_REGEX_TEXT_MAX];
    static struct rules_report report;
    struct value value = {.type = VALUE_STRING, .bytes = slice_of(text, size)};
    struct rules_hit hit;
    char file[256];
    double least = 1e12;
    memset(text, 'a', sizeof(text));
    snprintf(file, sizeof(file),
             "listen: :0\nrules:\n- { name: r, action: deny, match: { a: { regex: '%s' } } }\n",
             pattern);
    struct rules_set *set = rules_load(slice_of(file, strlen(file)), 1, &report);
    struct rules_matcher *matcher = set ? rules_matcher_create(set) : NULL;
    if (!matcher)
        fail("a pattern is wrong");
    for (int run = 0; run < RUNS; run++) {
        double begun = now();
        rules_match(matcher, -1, &value, &hit);
        least = now() - begun < least ? now() - begun : least;
    }
    printf("| %-24s | %5zu | %10.1f | %s |\n", pattern, size, least / 1000,
           rules_regex_overruns(matcher) ? "yes" : "no ");
    rules_matcher_free(matcher);
    rules_free(set);
    rules_report_free(&report);
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"10", "100", "1000", "10000"};
    static const char *const patterns[] = {"\\.php$", "(?:a+)+[bc]", "\\w*\\w*[!,]",
                                           "x?(.*?)\\1[yz]", "x?.*?.*?[^zy]*[zy]"};
    bool forms_only = argc > 1 && strcmp(argv[1], "--forms") == 0;
    argc -= forms_only;
    argv += forms_only;
    const char *const *counts = argc > 1 ? (const char *const *)argv + 1 : usual;
    size_t columns = argc > 1 ? (size_t)argc - 1 : sizeof(usual) / sizeof(usual[0]);
    printf("| ns a message, rules |");
    for (size_t i = 0; i < columns; i++)
        printf(" %8s |", counts[i]);
    printf(" last / first | few |\n");
    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        double first = 0;
        double last = 0;
        double few = 0;
        printf("| %-19s |", forms[f].name);
        for (size_t i = 0; i < columns; i++) {
            size_t count = strtoul(counts[i], NULL, 10);
            last = measure(&forms[f], count ? count : 1, MESSAGES);
            first = i ? first : last;
            printf(" %8.0f |", last);
            fflush(stdout);
            few = i + 1 == columns ? measure(&forms[f], count ? count : 1, PART) : 0;
        }
        printf(" %11.2fx | %3.0f |\n", last / first, few);
    }
    if (forms_only)
        return EXIT_SUCCESS;
    printf("\n| regular expression       | bytes | us a match | given up |\n");
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        measure_regex(patterns[i], 100);
        measure_regex(patterns[i], RULES_REGEX_TEXT_MAX);
    }
    return EXIT_SUCCESS;
}
