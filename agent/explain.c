#include "agent/explain.h"

#include <getopt.h>
#include <stdlib.h>

#include "agent/clock.h"
#include "agent/command.h"
#include "agent/offline.h"
#include "agent/question.h"

static void print_help(FILE *stream)
{
    fputs("usage: sluice explain FILE [--message NAME] [--live ADMIN] [NAME=VALUE...]\n\n"
          "Says what the rules of a file ('-' is standard input) make of one message: which rules\n"
          "are considered, why each matches or doesn't, whom it counts and by which limits, and\n"
          "the answer of an agent that has counted nothing yet. No agent is asked, unless\n"
          "--live names one: then what its limits stand at now is told too, and nothing charged.\n"
          "Of its candidate, where it names one, the same is said.\n\n"
          "  -m, --message NAME  the SPOE message's name (default: sluice-request)\n"
          "  -l, --live ADMIN    the admin address of a running agent: HOST:PORT or unix:///PATH\n"
          "  --token-file FILE   with the admin server's token\n"
          "  -h, --help          this text\n\n" QUESTION_HELP "\n"
          "exit status: 0 when it was explained, 1 when the file can't be used or the agent can't\n"
          "be asked, 2 for a wrong command line\n",
          stream);
}

struct question {
    struct slice message;
    struct spop_argument arguments[QUESTION_ARGUMENTS];
    size_t count;
};

/* ---- the answer ---------------------------------------------------------------------------- */

/* What a new engine with a store of its own answers. False when out of memory, or where the
 * question is larger than a frame. */
static bool decide(struct offline *offline, const struct question *question,
                   uint8_t room[OFFLINE_ROOM], struct slice *answer)
{
    static uint8_t bytes[QUESTION_FRAME_MAX];
    struct writer payload = writer_open(bytes, sizeof(bytes));
    spop_write_message(&payload, question->message, (uint8_t)question->count);
    for (size_t i = 0; i < question->count; i++)
        spop_write_argument(&payload, question->arguments[i].name, &question->arguments[i].value);
    return !payload.error &&
           offline_ask(offline, writer_slice(&payload), clock_now(), room, answer);
}

/* Takes the set. */
static bool print_answer(struct rules_set *set, const struct question *question)
{
    uint8_t room[OFFLINE_ROOM];
    struct slice answer;
    struct offline offline = {.engine = NULL};
    struct ruleset *rules = ruleset_create(set);
    if (!rules)
        rules_free(set);
    bool decided = rules && offline_open(&offline, rules, 65536, (uint64_t)256 << 20) &&
                   decide(&offline, question, room, &answer);
    printf("an agent that has counted nothing yet answers:\n");
    if (decided)
        decided = question_print_answer(answer, "  ", stdout) == ERROR_NONE;
    offline_close(&offline);
    ruleset_release(rules);
    return decided;
}

/* ---- the rules ----------------------------------------------------------------------------- */

static void print_question(const struct rules_set *set, const struct question *question)
{
    printf("message %.*s%s\n", SLICE_ARGS(question->message),
           rules_message_name(set, rules_message(set, question->message)).size ||
                   rules_message_count(set) == 0
               ? ""
               : ", which no rule names");
    for (size_t i = 0; i < question->count; i++) {
        const struct spop_argument *argument = &question->arguments[i];
        char text[256];
        struct writer w = writer_open(text, sizeof(text) - 3);
        value_print(&argument->value, &w);
        w.end += 3;
        if (w.error) {
            w.error = ERROR_NONE;
            writer_bytes(&w, SLICE("..."));
        }
        printf("  %.*s=%.*s (%s)%s\n", SLICE_ARGS(argument->name), SLICE_ARGS(writer_slice(&w)),
               question_type_name(argument->value.type),
               rules_slot(set, argument->name) < 0 ? ", which no rule reads" : "");
    }
}

static bool print_rules(const struct rules_set *set, const struct file_texts *texts,
                        const struct question *question)
{
    struct value *values = calloc(set->slot_count + 1, sizeof(*values));
    struct quote_place place = {.number = 0};
    struct explanation e = {
        .set = set,
        .texts = texts,
        .message = rules_message(set, question->message),
        .values = values,
        .matcher = rules_matcher_create(set),
        .hits = calloc(set->rule_count + 1, sizeof(*e.hits)),
        .place = &place,
        .out = stdout,
    };
    bool ready = values && e.matcher && e.hits;
    for (size_t i = 0; ready && i < question->count; i++) {
        int slot = rules_slot(set, question->arguments[i].name);
        if (slot >= 0)
            values[slot] = question->arguments[i].value;
    }
    if (ready) {
        e.hit_count = rules_match(e.matcher, e.message, values, e.hits);
        printf("\nrules:\n");
        explain_rules(&e);
        printf("\n");
    }
    free(e.hits);
    rules_matcher_free(e.matcher);
    free(values);
    return ready;
}

static bool explain_file(const struct file_reading *reading, const struct question *question)
{
    struct file_texts texts;
    struct rules_set *set = file_read_rules_and_texts(reading, &texts);
    if (!set) {
        file_texts_free(&texts);
        return false;
    }
    print_question(set, question);
    bool done = print_rules(set, &texts, question);
    file_texts_free(&texts);
    if (done)
        done = print_answer(set, question);
    else
        rules_free(set);
    if (!done)
        fprintf(stderr,
                "sluice explain: out of memory, or the arguments are larger than a frame of "
                "%d bytes\n",
                QUESTION_FRAME_MAX);
    return done;
}

static int explain(const char *path, const struct question *question,
                   const struct explain_live *live)
{
    char *candidate = NULL;
    struct file_reading reading = {
        .path = path, .candidate = &candidate, .problem = file_print_problem};
    bool done = explain_file(&reading, question);
    if (done && live->address)
        done = explain_live(live, question->message);
    if (done && candidate) {
        printf("\nits candidate %s\n", candidate);
        done = explain_file(&(struct file_reading){.path = candidate,
                                                   .is_candidate = true,
                                                   .problem = file_print_problem},
                            question);
    }
    free(candidate);
    return done ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int usage_error(const char *what, const char *expected)
{
    fprintf(stderr, "sluice explain: %s: expected %s\n", what, expected);
    return EXIT_USAGE;
}

/* Says what is wrong with them. */
static bool read_arguments(char **texts, size_t count, struct question *question,
                           struct explain_live *live)
{
    if (count > QUESTION_ARGUMENTS) {
        usage_error(texts[QUESTION_ARGUMENTS], "at most 255 arguments");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct spop_argument *argument = &question->arguments[question->count];
        live->arguments[i] = strdup(texts[i]); /* while it is as it was given */
        if (!live->arguments[i] || !question_argument(texts[i], argument)) {
            usage_error(texts[i], "NAME=VALUE, or NAME:TYPE=VALUE with a value of that type");
            return false;
        }
        live->types[i] = argument->value.type;
        question->count = live->count = i + 1;
    }
    return true;
}

int command_explain(int argc, char **argv)
{
    static const struct option options[] = {
        {"message", required_argument, NULL, 'm'},
        {"live", required_argument, NULL, 'l'},
        {"token-file", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static struct question question;
    static struct explain_live live;
    const char *expected;
    question = (struct question){.message = SLICE("sluice-request")};
    for (int option; (option = getopt_long(argc, argv, "m:l:h", options, NULL)) != -1;) {
        switch (option) {
        case 'm':
            question.message = slice_of_string(optarg);
            break;
        case 'l':
            live.address = optarg;
            break;
        case 't':
            live.token_file = optarg;
            break;
        default:
            print_help(option == 'h' ? stdout : stderr);
            return option == 'h' ? EXIT_SUCCESS : EXIT_USAGE;
        }
    }
    if (live.address && !endpoint_parse(slice_of_string(live.address), &live.endpoint, &expected))
        return usage_error(live.address, expected);
    if (optind == argc)
        return usage_error("FILE", "a rule file first (sluice explain --help)");
    if (!read_arguments(argv + optind + 1, (size_t)(argc - optind - 1), &question, &live))
        return EXIT_USAGE;
    return explain(argv[optind], &question, &live);
}
