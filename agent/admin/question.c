#include <stdlib.h>
#include <sys/eventfd.h>

#include "agent/admin/page.h"
#include "agent/engine/rule_counters.h"

#define TEXT_MAX 32768 /* of all arguments: more than a connection's buffer holds */

/* A question goes from worker to worker, each of which hands it on: to the first for the answer,
 * and where that has reset a subject, to the others so that they forget it. */
struct admin_question {
    struct worker_errand errand; /* first: the worker hands it back */
    struct MHD_Connection *connection;
    const struct control *control;
    int wake;        /* of struct admin_request */
    unsigned worker; /* that has it now */
    bool is_lost;    /* the workers have stopped */
    struct inquiry answer;
    struct inquiry forgetting;

    struct slice message;
    struct slice rule;
    struct slice key;
    struct spop_argument arguments[QUESTION_ARGUMENTS];
    size_t count;
    char text[TEXT_MAX]; /* what all of these point into */
    size_t text_size;
    uint8_t payload[QUESTION_FRAME_MAX];
    const char *wrong; /* what was wrong with the arguments, and what was expected; NULL: nothing */
    const char *expected;
};

/* ---- the arguments --------------------------------------------------------------------------- */

static void fail(struct admin_question *question, const char *wrong, const char *expected)
{
    if (question->wrong)
        return;
    question->wrong = wrong;
    question->expected = expected;
}

/* "NAME=VALUE", as a command line has it; NULL: too long. */
static char *keep(struct admin_question *question, const char *name, const char *value)
{
    char *kept = question->text + question->text_size;
    size_t room = TEXT_MAX - question->text_size;
    int size = snprintf(kept, room, "%s=%s", name, value);
    if (size < 0 || (size_t)size >= room)
        return NULL;
    question->text_size += (size_t)size + 1;
    return kept;
}

static enum MHD_Result read_argument(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    struct admin_question *question = context;
    struct {
        const char *name;
        struct slice *text;
    } const words[] = {
        {"message", &question->message}, {"rule", &question->rule}, {"key", &question->key}};
    char *text = keep(question, name, value ? value : "");
    (void)kind;
    if (!text) {
        fail(question, "the arguments are too long", "32768 bytes at most");
        return MHD_NO;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(name, words[i].name) != 0)
            continue;
        *words[i].text = slice_of_string(text + strlen(name) + 1);
        return MHD_YES;
    }
    if (question->count == QUESTION_ARGUMENTS)
        fail(question, "there are too many arguments", "255 at most");
    else if (!question_argument(text, &question->arguments[question->count]))
        fail(question, "an argument's value isn't of its type",
             "NAME=VALUE, or NAME:TYPE=VALUE with a value of that type");
    else
        question->count++;
    return question->wrong ? MHD_NO : MHD_YES;
}

/* The name is of rules that may be gone before the answer is told. */
static void add_argument(struct admin_question *question, struct slice name,
                         const struct value *value)
{
    char *kept = question->text + question->text_size;
    if (question->count == QUESTION_ARGUMENTS || TEXT_MAX - question->text_size < name.size) {
        fail(question, "the arguments are too long", "32768 bytes at most");
        return;
    }
    memcpy(kept, name.data, name.size);
    question->text_size += name.size;
    question->arguments[question->count++] =
        (struct spop_argument){slice_of(kept, name.size), *value};
}

/* What a key as text says, as arguments. */
static void read_key(struct admin_question *question, const struct rules_set *set)
{
    uint8_t *room = (uint8_t *)question->text + question->text_size;
    struct writer w = writer_open(room, TEXT_MAX - question->text_size);
    const struct rules_rule *rule = rules_find(set, question->rule);
    struct value *values = calloc(set->slot_count + 1, sizeof(*values));
    if (!values) {
        fail(question, "out of memory", "another time");
        return;
    }
    if (!rule)
        fail(question, "there is no such rule", "the name of one that /rules lists");
    else if (!rules_subject_parse(rule, question->key, values, &w))
        fail(question, "this is no key of the rule's, or one of which a part is hashed or cut",
             "a key as logs and /top write it, or its arguments: ARGUMENT=VALUE");
    question->text_size += writer_size(&w);
    for (size_t i = 0; !question->wrong && i < set->slot_count; i++)
        if (values[i].type != VALUE_NULL)
            add_argument(question, set->slot_names[i], &values[i]);
    free(values);
}

static void write_payload(struct admin_question *question)
{
    struct writer w = writer_open(question->payload, sizeof(question->payload));
    spop_write_message(&w, question->message, (uint8_t)question->count);
    for (size_t i = 0; i < question->count; i++)
        spop_write_argument(&w, question->arguments[i].name, &question->arguments[i].value);
    if (w.error)
        fail(question, "the arguments are larger than a frame", "16380 bytes at most");
    question->answer.payload = writer_slice(&w);
    question->answer.rule = question->rule;
}

static void read_arguments(struct admin_question *question, struct MHD_Connection *connection)
{
    question->message = SLICE("sluice-request");
    MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, read_argument, question);
    if (!question->wrong && question->key.size) {
        struct rule_counters *counters = worker_rule_counters(question->control->workers[0]);
        read_key(question, counters->rules->set);
        rule_counters_release(counters);
    }
    if (!question->wrong)
        write_payload(question);
}

/* ---- from worker to worker ------------------------------------------------------------------- */

static void run_forgetting(struct worker_errand *errand, struct engine *engine, uint64_t now)
{
    struct admin_question *question = (struct admin_question *)errand;
    engine_inquire(engine, &question->forgetting, now);
}

/* The server, which waits by a poll of its own, isn't told by libmicrohttpd. It may free the
 * question as soon as it goes on. */
static void go_on(const struct admin_question *question)
{
    int wake = question->wake;
    MHD_resume_connection(question->connection);
    eventfd_write(wake, 1);
}

/* To the next worker that there is, or back to the client. */
static void hand_on(struct admin_question *question)
{
    const struct control *control = question->control;
    question->errand.run = run_forgetting;
    while (++question->worker < control->worker_count)
        if (worker_run(control->workers[question->worker], &question->errand))
            return;
    go_on(question);
}

static void has_forgotten(struct inquiry *inquiry)
{
    struct admin_question *question =
        (struct admin_question *)((char *)inquiry - offsetof(struct admin_question, forgetting));
    inquiry_close(inquiry);
    hand_on(question);
}

static void has_answered(struct inquiry *inquiry)
{
    struct admin_question *question =
        (struct admin_question *)((char *)inquiry - offsetof(struct admin_question, answer));
    if (inquiry->kind != INQUIRY_RESET)
        question->worker = question->control->worker_count;
    hand_on(question);
}

static void run_first(struct worker_errand *errand, struct engine *engine, uint64_t now)
{
    struct admin_question *question = (struct admin_question *)errand;
    engine_inquire(engine, &question->answer, now);
}

static void send_off(struct admin_question *question)
{
    question->forgetting = (struct inquiry){
        .kind = INQUIRY_FORGET,
        .payload = question->answer.payload,
        .rule = question->rule,
        .answered = has_forgotten,
    };
    question->answer.answered = has_answered;
    question->errand.run = run_first;
    /* Before a worker can have answered. */
    MHD_suspend_connection(question->connection);
    if (!worker_run(question->control->workers[0], &question->errand)) {
        question->is_lost = true;
        go_on(question);
    }
}

/* ---- for the pages --------------------------------------------------------------------------- */

void admin_ask(struct admin_request *request, enum inquiry_kind kind)
{
    struct admin_question *question = calloc(1, sizeof(*question));
    if (!question)
        return;
    question->connection = request->connection;
    question->control = request->control;
    question->wake = request->wake;
    question->answer.kind = kind;
    read_arguments(question, request->connection);
    if (question->wrong) {
        admin_reply_error(request, MHD_HTTP_BAD_REQUEST, question->wrong, question->expected);
        free(question);
        return;
    }
    request->question = question;
    send_off(question);
}

const struct inquiry *admin_answer(struct admin_request *request)
{
    const struct admin_question *question = request->question;
    if (question->is_lost) {
        admin_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the agent is stopping",
                          "another agent, or this one later");
        return NULL;
    }
    switch (question->answer.outcome) {
    case INQUIRY_DONE:
        return &question->answer;
    case INQUIRY_NO_RULE:
        admin_reply_error(request, MHD_HTTP_NOT_FOUND, "there is no such rule",
                          "the name of one that /rules lists");
        break;
    case INQUIRY_NO_LIMIT:
        admin_reply_error(request, MHD_HTTP_BAD_REQUEST,
                          "the rule has no limits, or none for these arguments",
                          "a rule with limits, and all arguments of its key");
        break;
    case INQUIRY_MALFORMED:
    case INQUIRY_NO_MEMORY:
        admin_reply_error(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory", "another time");
        break;
    }
    return NULL;
}

const struct spop_argument *admin_arguments(const struct admin_request *request, size_t *count)
{
    *count = request->question->count;
    return request->question->arguments;
}

struct slice admin_message(const struct admin_request *request)
{
    return request->question->message;
}

struct slice admin_rule(const struct admin_request *request)
{
    return request->question->rule;
}

void admin_question_free(struct admin_question *question)
{
    if (question)
        inquiry_close(&question->answer);
    free(question);
}
