/* What a file of networks costs, by its lines: loading, a line, and matching an address.
 *
 *     build/release/tests/bench/networks [LINES...]        default: 10000 100000
 *
 * Exit status 1 where the most lines take more than LOAD_RATIO times as long a line to load as the
 * fewest, or MATCH_RATIO times as long to match: loading grows no faster than n log n, matching as
 * log n does and with what the processor's caches miss. Each time is the fastest of several. */
#include <stdio.h>
#include <stdlib.h>

#include "random.h"
#include "rules/rules.h"

#define LOAD_RATIO  3.0
#define MATCH_RATIO 6.0
#define LOADS       5
#define RUNS        50
#define ADDRESSES   4096
#define LINE_MAX    24

static void fail(const char *what)
{
    fprintf(stderr, "networks: %s\n", what);
    exit(EXIT_FAILURE);
}

/* The processor's time, which other programs disturb less than the clock. */
static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* Of struct rules_environment: there is one file. */
static const char *read_file(void *context, const char *name, struct slice *text)
{
    (void)name;
    *text = *(const struct slice *)context;
    return NULL;
}

/* Networks anywhere, of any size that is usual in such lists, in no order. */
static struct slice make_lines(size_t count)
{
    struct random random = {count};
    char *text = malloc(count * LINE_MAX);
    size_t size = 0;
    if (!text)
        fail("out of memory");
    for (size_t i = 0; i < count; i++) {
        unsigned prefix = 20 + (unsigned)random_below(&random, 13);
        uint32_t first = (uint32_t)random_next(&random) & UINT32_MAX << (32 - prefix);
        size += (size_t)snprintf(text + size, LINE_MAX, "%u.%u.%u.%u/%u\n", first >> 24,
                                 first >> 16 & 255, first >> 8 & 255, first & 255, prefix);
    }
    return slice_of(text, size);
}

static struct rules_set *load(struct slice *lines, double *took)
{
    static struct rules_report report;
    struct rules_environment environment = {.context = lines, .read_file = read_file};
    double begun = now();
    struct rules_set *set =
        rules_load_with(SLICE("listen: :0\nrules:\n- { name: r, action: deny, match: { a: { "
                              "cidr_file: networks } } }\n"),
                        1, &environment, &report);
    double time = now() - begun;
    if (!set)
        fail("the rules are wrong");
    rules_report_free(&report);
    *took = time < *took ? time : *took;
    return set;
}

/* Nanoseconds an address, of so many random ones. */
static double match(const struct rules_set *set)
{
    static struct value addresses[ADDRESSES];
    struct random random = {1};
    struct rules_matcher *matcher = rules_matcher_create(set);
    struct rules_hit hit;
    double least = 1e12;
    if (!matcher)
        fail("out of memory");
    for (size_t i = 0; i < ADDRESSES; i++) {
        uint64_t address = random_next(&random);
        addresses[i].type = VALUE_IPV4;
        memcpy(addresses[i].address, &address, 4);
    }
    for (int run = 0; run < RUNS; run++) {
        double begun = now();
        for (size_t i = 0; i < ADDRESSES; i++)
            rules_match(matcher, -1, &addresses[i], &hit);
        double time = now() - begun;
        least = time < least ? time : least;
    }
    rules_matcher_free(matcher);
    return least / ADDRESSES;
}

struct cost {
    double load_ms;
    double load_line_ns;
    double match_ns;
};

static struct cost measure(size_t count)
{
    struct slice lines = make_lines(count);
    struct rules_set *set = NULL;
    double took = 1e12;
    for (int i = 0; i < LOADS; i++) {
        rules_free(set);
        set = load(&lines, &took);
    }
    struct cost cost = {took / 1e6, took / (double)count, match(set)};
    rules_free(set);
    free((void *)lines.data);
    return cost;
}

int main(int argc, char **argv)
{
    static const char *const usual[] = {"10000", "100000"};
    const char *const *counts = argc > 1 ? (const char *const *)argv + 1 : usual;
    size_t rows = argc > 1 ? (size_t)argc - 1 : sizeof(usual) / sizeof(usual[0]);
    struct cost first = {0};
    struct cost last = {0};
    printf("| lines | load, ms | load, ns a line | match, ns |\n|---|---|---|---|\n");
    for (size_t i = 0; i < rows; i++) {
        size_t count = strtoul(counts[i], NULL, 10);
        if (count < 1 || count > RULES_VALUES_MAX)
            fail("expected numbers of lines");
        last = measure(count);
        first = i ? first : last;
        printf("| %zu | %.1f | %.0f | %.0f |\n", count, last.load_ms, last.load_line_ns,
               last.match_ns);
        fflush(stdout);
    }
    double load_ratio = last.load_line_ns / first.load_line_ns;
    double match_ratio = last.match_ns / first.match_ns;
    printf("\nlast / first: load a line %.2fx (at most %.0fx), match %.2fx (at most %.0fx)\n",
           load_ratio, LOAD_RATIO, match_ratio, MATCH_RATIO);
    return load_ratio <= LOAD_RATIO && match_ratio <= MATCH_RATIO ? EXIT_SUCCESS : EXIT_FAILURE;
}
