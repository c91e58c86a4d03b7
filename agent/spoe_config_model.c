#include <stdlib.h>

#include "agent/spoe_config.h"

#define DEFAULT_MESSAGE SLICE("sluice-request")

/* A message's name says it, where it is about connections; nothing else in the rules does. */
static bool names_connection(const char *name)
{
    static const char *const words[] = {"tcp", "connection", "conn-", "-conn", "session"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

static bool reads_message(const struct rules_use *use, int message)
{
    return use->kind == RULES_USE_ARGUMENT && (use->message < 0 || use->message == message);
}

bool spoe_model_reads(const struct spoe_model *model, size_t set, const struct rules_use *use,
                      const struct spoe_message *message, struct slice argument)
{
    return reads_message(use, message->numbers[set]) &&
           slice_equal(model->sets[set]->slot_names[use->number], argument);
}

/* A message of rules that ask for what only a response has is sent with the response; so is one at
 * which rules are charged that were checked at another. */
static bool is_of_response(const struct rules_set *set, const struct rules_use *use, int message)
{
    if (use->kind == RULES_USE_ARGUMENT)
        return use->message == message && spoe_is_of_response(set->slot_names[use->number]);
    const struct rules_rule *rule = &set->rules[use->rule];
    return (int)use->number == message && rules_charge_message(rule) == message;
}

static enum spoe_phase phase_of(const struct spoe_model *model, const struct spoe_message *message)
{
    for (size_t set = 0; set < model->set_count; set++) {
        const struct rules_set *rules = model->sets[set];
        int number = message->numbers[set];
        for (const struct rules_use *use = rules_uses(rules); use && number >= 0; use = use->next)
            if (is_of_response(rules, use, number))
                return SPOE_RESPONSE;
    }
    return names_connection(message->name) ? SPOE_CONNECTION : SPOE_REQUEST;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

static void add_argument(struct spoe_message *message, struct slice name)
{
    for (size_t i = 0; i < message->argument_count; i++)
        if (slice_equal(message->arguments[i], name))
            return;
    message->arguments[message->argument_count++] = name;
}

static void find_arguments(const struct spoe_model *model, struct spoe_message *message)
{
    for (size_t set = 0; set < model->set_count; set++)
        for (const struct rules_use *use = rules_uses(model->sets[set]); use; use = use->next)
            if (reads_message(use, message->numbers[set]))
                add_argument(message, model->sets[set]->slot_names[use->number]);
    if (message->phase != SPOE_RESPONSE)
        add_argument(message, SPOE_REQUEST_ID);
    qsort(message->arguments, message->argument_count, sizeof(message->arguments[0]),
          compare_names);
}

static struct spoe_message *find_message(struct spoe_model *model, struct slice name)
{
    for (size_t i = 0; i < model->message_count; i++)
        if (slice_equal(slice_of_string(model->messages[i].name), name))
            return &model->messages[i];
    struct spoe_message *message = &model->messages[model->message_count++];
    snprintf(message->name, sizeof(message->name), "%.*s", SLICE_ARGS(name));
    for (size_t set = 0; set < SPOE_SETS; set++)
        message->numbers[set] = -1;
    return message;
}

/* Rules that name no message apply to all, of which one at least is a request's. */
static bool lacks_request(const struct spoe_model *model)
{
    bool lacks = model->message_count == 0;
    for (size_t set = 0; set < model->set_count; set++)
        for (size_t i = 0; i < model->sets[set]->rule_count; i++)
            lacks = lacks || model->sets[set]->rules[i].message < 0;
    for (size_t i = 0; i < model->message_count; i++)
        lacks = lacks && model->messages[i].phase != SPOE_REQUEST;
    return lacks;
}

struct spoe_model *spoe_model_create(const struct rules_set *set, const struct rules_set *candidate)
{
    struct spoe_model *model = calloc(1, sizeof(*model));
    if (!model)
        return NULL;
    model->sets[model->set_count++] = set;
    if (candidate)
        model->sets[model->set_count++] = candidate;
    for (size_t s = 0; s < model->set_count; s++)
        for (size_t i = 0; i < rules_message_count(model->sets[s]); i++)
            find_message(model, rules_message_name(model->sets[s], (int)i))->numbers[s] = (int)i;
    for (size_t i = 0; i < model->message_count; i++)
        model->messages[i].phase = phase_of(model, &model->messages[i]);
    if (lacks_request(model))
        find_message(model, DEFAULT_MESSAGE)->phase = SPOE_REQUEST;
    for (size_t i = 0; i < model->message_count; i++)
        find_arguments(model, &model->messages[i]);
    return model;
}
