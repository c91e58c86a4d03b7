#include <stdlib.h>

#include "agent/spoe_config.h"

#define DEFAULT_MESSAGE "sluice-request"

/* A message's name says it, where it is about connections; nothing else in the rules does. */
static bool names_connection(const char *name)
{
    static const char *const words[] = {"tcp", "connection", "conn-", "-conn", "session"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

bool spoe_model_reads(const struct spoe_model *model, const struct rules_use *use, size_t message)
{
    return use->kind == RULES_USE_ARGUMENT &&
           (use->message < 0 || use->message == model->numbers[message]);
}

/* A message of rules that ask for what only a response has is sent with the response; so is one at
 * which rules are charged that were checked at another. */
static bool is_of_response(const struct spoe_model *model, const struct rules_use *use, int message)
{
    if (use->kind == RULES_USE_ARGUMENT)
        return use->message == message && spoe_is_of_response(model->set->slot_names[use->number]);
    const struct rules_rule *rule = &model->set->rules[use->rule];
    return (int)use->number == message && rules_charge_message(rule) == message;
}

static enum spoe_phase phase_of(const struct spoe_model *model, size_t message)
{
    int number = model->numbers[message];
    for (const struct rules_use *use = rules_uses(model->set); use && number >= 0; use = use->next)
        if (is_of_response(model, use, number))
            return SPOE_RESPONSE;
    return names_connection(model->messages[message].name) ? SPOE_CONNECTION : SPOE_REQUEST;
}

static int compare_slots(const void *a, const void *b, void *set)
{
    const struct rules_set *rules = set;
    return slice_compare(rules->slot_names[*(const uint32_t *)a],
                         rules->slot_names[*(const uint32_t *)b]);
}

static void find_slots(struct spoe_model *model, size_t at)
{
    struct spoe_message *message = &model->messages[at];
    bool seen[RULES_MAX_SLOTS] = {0};
    for (const struct rules_use *use = rules_uses(model->set); use; use = use->next) {
        if (!spoe_model_reads(model, use, at) || seen[use->number])
            continue;
        seen[use->number] = true;
        message->slots[message->slot_count++] = use->number;
    }
    qsort_r(message->slots, message->slot_count, sizeof(message->slots[0]), compare_slots,
            (void *)model->set);
}

static void add_message(struct spoe_model *model, struct slice name, int number)
{
    size_t at = model->message_count++;
    snprintf(model->names[at], sizeof(model->names[at]), "%.*s", SLICE_ARGS(name));
    model->messages[at].name = model->names[at];
    model->numbers[at] = number;
    model->messages[at].phase = phase_of(model, at);
}

/* Rules that name no message apply to all, of which one at least is a request's. */
static bool lacks_request(const struct spoe_model *model)
{
    bool lacks = model->message_count == 0;
    for (size_t i = 0; i < model->set->rule_count; i++)
        lacks = lacks || model->set->rules[i].message < 0;
    for (size_t i = 0; i < model->message_count; i++)
        lacks = lacks && model->messages[i].phase != SPOE_REQUEST;
    return lacks;
}

struct spoe_model *spoe_model_create(const struct rules_set *set)
{
    struct spoe_model *model = calloc(1, sizeof(*model));
    if (!model)
        return NULL;
    model->set = set;
    for (size_t i = 0; i < rules_message_count(set); i++)
        add_message(model, rules_message_name(set, (int)i), (int)i);
    if (lacks_request(model))
        add_message(model, SLICE(DEFAULT_MESSAGE), -1);
    for (size_t i = 0; i < model->message_count; i++)
        find_slots(model, i);
    return model;
}
