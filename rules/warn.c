#include "rules/warn.h"
#include "rules/loader.h"

/* ---- what nobody sends --------------------------------------------------------------------- */

struct words {
    char bytes[RULES__PROBLEM_TEXT_MAX / 2];
};

/* "one of a, b, c; did you mean "a"?", as far as there is room. */
static const char *words_text(struct slice written, const char *const *words, size_t count,
                              struct words *out)
{
    struct writer w = writer_open(out->bytes, sizeof(out->bytes) - RULES_NAME_MAX - 32);
    int nearest = rules__nearest(written, words, count);
    writer_bytes(&w, count > 1 ? SLICE("one of ") : SLICE(""));
    for (size_t i = 0; i < count && !w.error; i++) {
        struct slice word = slice_of_string(words[i]);
        if (word.size + 8 > writer_room(&w)) {
            writer_bytes(&w, SLICE(", ..."));
            break;
        }
        writer_bytes(&w, i ? SLICE(", ") : SLICE(""));
        writer_bytes(&w, word);
    }
    w.end += RULES_NAME_MAX + 31;
    if (nearest >= 0) {
        writer_bytes(&w, SLICE("; did you mean \""));
        writer_bytes(&w, slice_of_string(words[nearest]));
        writer_bytes(&w, SLICE("\"?"));
    }
    *w.position = 0;
    return out->bytes;
}

static bool is_sent(const struct rules_sent *sent, struct slice argument)
{
    for (size_t i = 0; i < sent->count; i++)
        if (slice_equal(slice_of_string(sent->arguments[i]), argument))
            return true;
    return false;
}

/* Arguments of all messages, each once. */
static size_t all_arguments(const struct rules_sent_list *sent, const char **words, size_t room)
{
    size_t count = 0;
    for (size_t m = 0; m < sent->count; m++) {
        for (size_t a = 0; a < sent->messages[m].count && count < room; a++) {
            const struct rules_sent known = {NULL, words, count};
            if (!is_sent(&known, slice_of_string(sent->messages[m].arguments[a])))
                words[count++] = sent->messages[m].arguments[a];
        }
    }
    return count;
}

static void warn_message(const struct rules_set *set, const struct rules_sent_list *sent,
                         const struct rules_use *use, struct slice name,
                         struct rules_report *report)
{
    struct rules__place place = rules__place(set, use->file, use->line, use->column);
    const char *names[RULES_MAX_MESSAGES];
    struct words expected;
    size_t count = 0;
    for (; count < sent->count && count < RULES_MAX_MESSAGES; count++)
        names[count] = sent->messages[count].message;
    rules__report_at(report, &place,
                     "warning: message %.*s is not in %s, so that this never applies, expected %s",
                     SLICE_ARGS(name), sent->file, words_text(name, names, count, &expected));
}

/* Of a rule for every message, it is enough that one of them has it. */
static void warn_argument(const struct rules_set *set, const struct rules_sent_list *sent,
                          const struct rules_use *use, struct rules_report *report)
{
    struct slice argument = set->slot_names[use->number];
    struct slice message = rules_message_name(set, use->message);
    struct rules__place place = rules__place(set, use->file, use->line, use->column);
    const struct rules_sent *one = NULL;
    for (size_t i = 0; i < sent->count; i++) {
        if (message.size && !slice_equal(slice_of_string(sent->messages[i].message), message))
            continue;
        if (is_sent(&sent->messages[i], argument))
            return;
        one = &sent->messages[i];
    }
    const char *all[RULES_MAX_SLOTS];
    struct words expected;
    if (one && message.size)
        rules__report_at(report, &place,
                         "warning: argument %.*s is not sent with message %s of %s, expected %s",
                         SLICE_ARGS(argument), one->message, sent->file,
                         words_text(argument, one->arguments, one->count, &expected));
    else if (one)
        rules__report_at(
            report, &place,
            "warning: argument %.*s is not sent with any message of %s, expected %s",
            SLICE_ARGS(argument), sent->file,
            words_text(argument, all, all_arguments(sent, all, RULES_MAX_SLOTS), &expected));
}

static void warn_sent(const struct rules_set *set, const struct rules_sent_list *sent,
                      struct rules_report *report)
{
    bool told[RULES_MAX_MESSAGES] = {0}; /* `message` of defaults is used by any number of rules */
    for (const struct rules_use *use = rules_uses(set); use; use = use->next) {
        if (use->kind == RULES_USE_ARGUMENT) {
            warn_argument(set, sent, use, report);
            continue;
        }
        struct slice name = rules_message_name(set, (int)use->number);
        bool known = told[use->number];
        for (size_t i = 0; i < sent->count && !known; i++)
            known = slice_equal(slice_of_string(sent->messages[i].message), name);
        if (!known)
            warn_message(set, sent, use, name, report);
        told[use->number] = true;
    }
}

void rules_warn(const struct rules_set *set, const struct rules_sent_list *sent,
                struct rules_report *report)
{
    *report = (struct rules_report){0};
    rules__warn_rules(set, report);
    if (!sent)
        return;
    rules__warn_charges(set, sent, report);
    warn_sent(set, sent, report);
}
