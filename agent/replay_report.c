#include <inttypes.h>
#include <time.h>

#include "agent/replay.h"

#define NAME_WIDTH 24

static void print_time(uint64_t microseconds, FILE *out)
{
    time_t seconds = (time_t)(microseconds / 1000000);
    struct tm utc;
    char text[32];
    if (gmtime_r(&seconds, &utc) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &utc))
        fputs(text, out);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

/* Arguments that rules read and no line has: such rules are not as they would be. */
static void print_absent(const struct replay_fields *fields, const struct replay_run *run,
                         FILE *out)
{
    const struct rules_set *set = replay_run_set(run);
    size_t count = 0;
    for (uint32_t slot = 0; slot < set->slot_count; slot++) {
        int field = replay_run_field(run, slot);
        if (field >= 0 && fields->seen[field])
            continue;
        fprintf(out, "%s%.*s", count++ ? ", " : "  read by rules, but in no line: ",
                SLICE_ARGS(set->slot_names[slot]));
    }
    if (count)
        fputs("\n", out);
}

static void print_lines(const struct replay_tally *tally, FILE *out)
{
    fprintf(out, "%" PRIu64 " lines, %" PRIu64 " requests", tally->lines, tally->requests);
    if (tally->requests) {
        fputs(" from ", out);
        print_time(tally->begin, out);
        fputs(" to ", out);
        print_time(tally->end, out);
    }
    fputs("\n", out);
    if (tally->no_requests)
        fprintf(out, "  %" PRIu64 " lines without a request that HAProxy could read\n",
                tally->no_requests);
    if (tally->unreadable)
        fprintf(out, "  %" PRIu64 " unreadable lines, the first is line %" PRIu64 ": expected %s\n",
                tally->unreadable, tally->first_unreadable, tally->why);
    if (tally->late)
        fprintf(out,
                "  %" PRIu64 " requests more than a minute older than one before them, taken as of "
                "its time\n",
                tally->late);
}

/* ---- rules --------------------------------------------------------------------------------- */

/* note: of the rule; a text in brackets or "". */
static void print_rule(struct slice name, const struct replay_rule *now,
                       const struct replay_rule *before, bool compared, const char *note, FILE *out)
{
    static const struct replay_rule none = {0};
    const struct replay_rule *shown = now ? now : &none;
    fprintf(out, "  %-*.*s %12" PRIu64 " %12" PRIu64, NAME_WIDTH, SLICE_ARGS(name), shown->applied,
            shown->refused);
    if (compared && before)
        fprintf(out, " %12" PRIu64, before->refused);
    else if (compared)
        fprintf(out, " %12s", "-");
    if (shown->shadow)
        fprintf(out, "  would refuse %" PRIu64 " (shadow)", shown->shadow);
    if (shown->delayed)
        fprintf(out, "  delays %" PRIu64, shown->delayed);
    if (shown->charged)
        fprintf(out, "  charged %" PRIu64, shown->charged);
    fprintf(out, "%s\n", note);
}

static void print_rules(const struct replay_run *run, const struct replay_run *against, FILE *out)
{
    const struct rules_set *set = replay_run_set(run);
    fprintf(out, "\n  %-*s %12s %12s%s\n", NAME_WIDTH, "rule", "applies to", "refuses",
            against ? "       before" : "");
    for (size_t i = 0; i < set->rule_count; i++)
        print_rule(set->rules[i].name, &replay_run_rules(run)[i],
                   against ? replay_run_rule(against, set->rules[i].name) : NULL, against,
                   replay_run_asks(run, &set->rules[i]) ? "" : "  (of connections: not in a log)",
                   out);
    for (size_t i = 0; against && i < replay_run_set(against)->rule_count; i++) {
        struct slice name = replay_run_set(against)->rules[i].name;
        if (!replay_run_rule(run, name))
            print_rule(name, NULL, &replay_run_rules(against)[i], true, "  (gone)", out);
    }
}

/* ---- who is refused ------------------------------------------------------------------------ */

static void print_top(const struct replay_run *run, FILE *out)
{
    struct replay_key top[REPLAY_TOP];
    size_t count = replay_run_top(run, top);
    if (count == 0)
        return;
    fprintf(out, "\nrefused most%s:\n",
            replay_run_keys_left_out(run) ? " (of the first 500000 keys that were)" : "");
    for (size_t i = 0; i < count; i++)
        fprintf(out, "  %12" PRIu64 "  %.*s  %.*s\n", top[i].refused,
                SLICE_ARGS(replay_run_set(run)->rules[top[i].rule].name), SLICE_ARGS(top[i].text));
}

static void print_comparison(const struct replay_tally *tally, FILE *out)
{
    fprintf(out, "before: %" PRIu64 " requests (%.2f %%)\n", tally->refused_before,
            percent(tally->refused_before, tally->requests));
    fprintf(out, "  by both         %12" PRIu64 "\n", tally->refused_by_both);
    fprintf(out, "  only now        %12" PRIu64 "\n", tally->refused - tally->refused_by_both);
    fprintf(out, "  only before     %12" PRIu64 "\n",
            tally->refused_before - tally->refused_by_both);
}

void replay_report(const struct replay_tally *tally, const struct replay_fields *fields,
                   const struct replay_run *run, const struct replay_run *against, FILE *out)
{
    uint64_t full = replay_run_full(run);
    print_lines(tally, out);
    print_absent(fields, run, out);
    if (full)
        fprintf(out,
                "  %" PRIu64
                " times the store had no room for a key (store.max_keys, log_memory)\n",
                full);
    print_rules(run, against, out);
    fprintf(out, "\nrefused: %" PRIu64 " requests (%.2f %%)\n", tally->refused,
            percent(tally->refused, tally->requests));
    if (against)
        print_comparison(tally, out);
    print_top(run, out);
}
