#include "agent/store/breaker.h"
#include "main.h"
#include "random.h"

#define SECOND UINT64_C(1000000)
#define START  (UINT64_C(1750000000) * SECOND)

static const struct breaker_settings settings = {
    .failures = 3, .within = 10 * SECOND, .pause = 4 * SECOND, .max_pause = 30 * SECOND};

/* The chance that makes a pause exactly as long as it says: jitter takes a quarter off and adds
 * chance % (2 * quarter + 1). */
static uint64_t no_jitter(uint64_t pause)
{
    return pause / 4;
}

/* Asks; the call must be allowed. Returns its era. */
static uint64_t call(struct breaker *breaker, uint64_t now)
{
    uint64_t era;
    ck_assert(breaker_allows(breaker, &settings, now, 0, &era));
    return era;
}

static bool refused(struct breaker *breaker, uint64_t now, uint64_t chance)
{
    uint64_t era;
    return !breaker_allows(breaker, &settings, now, chance, &era);
}

static void tell_failure(struct breaker *breaker, uint64_t now, uint64_t era)
{
    breaker_failed(breaker, &settings, now, no_jitter(settings.pause), era);
}

/* ---- the edges ----------------------------------------------------------------------------- */

/* Breakers to start from; the call that was allowed last is in *era. Opened at START, without
 * jitter. */
static struct breaker start_in(enum breaker_phase phase, uint64_t *era)
{
    struct breaker breaker = {0};
    *era = call(&breaker, START);
    if (phase == BREAKER_CLOSED)
        return breaker;
    for (int i = 0; i < 3; i++)
        tell_failure(&breaker, START, *era);
    if (phase == BREAKER_HALF_OPEN)
        *era = call(&breaker, START + settings.pause);
    return breaker;
}

enum event {
    ASK,
    SUCCESS,     /* of the call that was allowed last */
    FAILURE,     /* likewise */
    OLD_SUCCESS, /* of a call from the era before that */
    OLD_FAILURE,
};

static const struct edge {
    const char *what;
    enum breaker_phase from;
    enum event event;
    int times;
    uint64_t after; /* START */
    bool allowed;   /* the last ask */
    enum breaker_phase to;
} edges[] = {
    {"closed allows", BREAKER_CLOSED, ASK, 100, 0, true, BREAKER_CLOSED},
    {"closed stays so on success", BREAKER_CLOSED, SUCCESS, 100, 0, false, BREAKER_CLOSED},
    {"closed bears failures", BREAKER_CLOSED, FAILURE, 2, 0, false, BREAKER_CLOSED},
    {"closed opens at `failures`", BREAKER_CLOSED, FAILURE, 3, 0, false, BREAKER_OPEN},
    {"open refuses", BREAKER_OPEN, ASK, 100, 4 * SECOND - 1, false, BREAKER_OPEN},
    {"open allows after the pause", BREAKER_OPEN, ASK, 1, 4 * SECOND, true, BREAKER_HALF_OPEN},
    {"open allows long after", BREAKER_OPEN, ASK, 1, 4000 * SECOND, true, BREAKER_HALF_OPEN},
    {"open allows one probe", BREAKER_OPEN, ASK, 2, 4 * SECOND, false, BREAKER_HALF_OPEN},
    {"open ignores late success", BREAKER_OPEN, SUCCESS, 100, 0, false, BREAKER_OPEN},
    {"open ignores late failure", BREAKER_OPEN, FAILURE, 100, 0, false, BREAKER_OPEN},
    {"half-open refuses", BREAKER_HALF_OPEN, ASK, 100, 8 * SECOND - 1, false, BREAKER_HALF_OPEN},
    {"half-open loses its probe", BREAKER_HALF_OPEN, ASK, 1, 8 * SECOND, false, BREAKER_OPEN},
    {"half-open closes on success", BREAKER_HALF_OPEN, SUCCESS, 1, 5 * SECOND, false,
     BREAKER_CLOSED},
    {"half-open opens on failure", BREAKER_HALF_OPEN, FAILURE, 1, 5 * SECOND, false, BREAKER_OPEN},
    {"half-open ignores late success", BREAKER_HALF_OPEN, OLD_SUCCESS, 100, 5 * SECOND, false,
     BREAKER_HALF_OPEN},
    {"half-open ignores late failure", BREAKER_HALF_OPEN, OLD_FAILURE, 100, 5 * SECOND, false,
     BREAKER_HALF_OPEN},
    /* The probe was late, but no call asked meanwhile that would have given it up. */
    {"half-open takes a late probe", BREAKER_HALF_OPEN, SUCCESS, 1, 9 * SECOND, false,
     BREAKER_CLOSED},
};

START_TEST(every_edge_leads_where_it_should)
{
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
        const struct edge *edge = &edges[i];
        uint64_t era;
        struct breaker breaker = start_in(edge->from, &era);
        bool allowed = false;
        for (int n = 0; n < edge->times; n++) {
            uint64_t now = START + edge->after;
            uint64_t unused;
            if (edge->event == ASK)
                allowed = breaker_allows(&breaker, &settings, now, 0, &unused);
            else if (edge->event == SUCCESS || edge->event == OLD_SUCCESS)
                breaker_succeeded(&breaker, edge->event == SUCCESS ? era : era - 1);
            else
                tell_failure(&breaker, now, edge->event == FAILURE ? era : era - 1);
        }
        ck_assert_msg(breaker.phase == edge->to, "%s: is %s", edge->what,
                      breaker_phase_name(breaker.phase));
        ck_assert_msg(allowed == edge->allowed, "%s: allowed is %d", edge->what, allowed);
    }
}
END_TEST

START_TEST(phases_have_names)
{
    ck_assert_str_eq(breaker_phase_name(BREAKER_CLOSED), "closed");
    ck_assert_str_eq(breaker_phase_name(BREAKER_OPEN), "open");
    ck_assert_str_eq(breaker_phase_name(BREAKER_HALF_OPEN), "half-open");
}
END_TEST

/* ---- failures within ----------------------------------------------------------------------- */

START_TEST(failures_count_within_the_window_exactly)
{
    static const struct {
        uint64_t at[6];
        int count;
        bool opens; /* at the last of them, and not before */
    } rows[] = {
        {{0, 0, 0}, 3, true},
        {{0, 5 * SECOND, 10 * SECOND - 1}, 3, true},
        {{0, 5 * SECOND, 10 * SECOND}, 3, false},
        {{0, 5 * SECOND, 10 * SECOND, 15 * SECOND - 1}, 4, true},
        {{0, 1, 10 * SECOND, 10 * SECOND + 1, 20 * SECOND - 1}, 5, true},
        {{0, 1, 10 * SECOND, 10 * SECOND + 1, 20 * SECOND, 20 * SECOND + 1}, 6, false},
        {{0, 10 * SECOND, 20 * SECOND, 30 * SECOND, 40 * SECOND, 50 * SECOND}, 6, false},
        {{0, 1, 999 * SECOND, 999 * SECOND, 999 * SECOND}, 5, true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct breaker breaker = {0};
        uint64_t era = call(&breaker, START);
        for (int n = 0; n < rows[i].count; n++) {
            ck_assert_msg(breaker.phase == BREAKER_CLOSED, "row %zu, before failure %d", i, n);
            tell_failure(&breaker, START + rows[i].at[n], era);
        }
        ck_assert_msg((breaker.phase == BREAKER_OPEN) == rows[i].opens, "row %zu", i);
    }
}
END_TEST

START_TEST(successes_do_not_excuse_failures)
{
    struct breaker breaker = {0};
    uint64_t era = call(&breaker, START);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
        tell_failure(&breaker, START, era);
        breaker_succeeded(&breaker, era);
    }
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
}
END_TEST

START_TEST(any_number_of_failures_up_to_the_maximum)
{
    for (unsigned failures = 1; failures <= BREAKER_FAILURES_MAX; failures++) {
        struct breaker_settings these = settings;
        these.failures = failures;
        struct breaker breaker = {0};
        uint64_t now = START;
        uint64_t era = call(&breaker, now);
        /* Around the ring several times, one failure short of opening each time. */
        for (int round = 0; round < 5; round++) {
            now += these.within;
            for (unsigned n = 1; n < failures; n++)
                breaker_failed(&breaker, &these, now, 0, era);
            ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
        }
        breaker_failed(&breaker, &these, now + these.within - 1, 0, era);
        ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
    }
}
END_TEST

/* ---- late outcomes ------------------------------------------------------------------------- */

START_TEST(calls_from_before_it_opened_say_nothing_after_it_closed)
{
    uint64_t old;
    struct breaker breaker = start_in(BREAKER_OPEN, &old);
    uint64_t probe = call(&breaker, START + settings.pause);
    breaker_succeeded(&breaker, probe);
    ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
    for (int i = 0; i < 100; i++) {
        tell_failure(&breaker, START + settings.pause, old);
        tell_failure(&breaker, START + settings.pause, probe);
    }
    ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
    ck_assert_uint_eq(breaker.failed, 0);
}
END_TEST

START_TEST(a_lost_probe_does_not_speak_for_the_next)
{
    uint64_t lost;
    struct breaker breaker = start_in(BREAKER_HALF_OPEN, &lost);
    ck_assert(refused(&breaker, START + 2 * settings.pause, no_jitter(2 * settings.pause)));
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
    breaker_succeeded(&breaker, lost);
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);

    uint64_t next = call(&breaker, START + 4 * settings.pause);
    breaker_succeeded(&breaker, lost);
    ck_assert_int_eq(breaker.phase, BREAKER_HALF_OPEN);
    tell_failure(&breaker, START + 4 * settings.pause, lost);
    ck_assert_int_eq(breaker.phase, BREAKER_HALF_OPEN);
    breaker_succeeded(&breaker, next);
    ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
}
END_TEST

/* No call has the era of an open breaker, so whoever tells of one has it wrong. */
START_TEST(an_open_breaker_takes_no_outcome)
{
    uint64_t era;
    struct breaker breaker = start_in(BREAKER_OPEN, &era);
    const struct breaker before = breaker;
    for (int i = 0; i < 100; i++) {
        tell_failure(&breaker, START + SECOND, breaker.era);
        breaker_succeeded(&breaker, breaker.era);
    }
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
    ck_assert_uint_eq(breaker.ends_at, before.ends_at);
    ck_assert_uint_eq(breaker.pause, before.pause);
}
END_TEST

START_TEST(it_starts_afresh_when_it_has_closed)
{
    uint64_t probe;
    struct breaker breaker = start_in(BREAKER_HALF_OPEN, &probe);
    tell_failure(&breaker, START + settings.pause, probe);
    ck_assert_uint_eq(breaker.pause, 2 * settings.pause);
    uint64_t now = breaker.ends_at;
    breaker_succeeded(&breaker, call(&breaker, now));
    ck_assert_uint_eq(breaker.pause, 0);

    uint64_t era = call(&breaker, now);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
        tell_failure(&breaker, now, era);
    }
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
    ck_assert_uint_eq(breaker.pause, settings.pause);
    ck_assert_uint_eq(breaker.opened, 2);
    ck_assert_uint_eq(breaker.entered[BREAKER_OPEN], 3); /* once after a probe in vain */
    ck_assert_uint_eq(breaker.entered[BREAKER_HALF_OPEN], 2);
    ck_assert_uint_eq(breaker.entered[BREAKER_CLOSED], 1);
}
END_TEST

/* ---- pauses -------------------------------------------------------------------------------- */

/* Whether the probe says that it failed or says nothing, the pause doubles. */
START_TEST(pauses_double_up_to_the_maximum)
{
    static const uint64_t pauses[] = {4, 8, 16, 30, 30, 30};
    for (int silent = 0; silent < 2; silent++) {
        uint64_t era;
        struct breaker breaker = start_in(BREAKER_OPEN, &era);
        for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
            uint64_t pause = pauses[i] * SECOND;
            ck_assert_uint_eq(breaker.pause, pause);
            ck_assert(refused(&breaker, breaker.ends_at - 1, 0));
            uint64_t now = breaker.ends_at;
            era = call(&breaker, now);
            if (silent) {
                ck_assert(refused(&breaker, now + pause - 1, 0));
                ck_assert_int_eq(breaker.phase, BREAKER_HALF_OPEN);
                ck_assert(refused(&breaker, now + pause, 0));
            } else {
                tell_failure(&breaker, now, era);
            }
            ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
        }
        ck_assert_uint_eq(breaker.opened, 1);
    }
}
END_TEST

/* The first pause of a breaker that opens at START. */
static uint64_t first_pause(const struct breaker_settings *these, uint64_t chance)
{
    struct breaker breaker = {0};
    for (unsigned i = 0; i < these->failures; i++)
        breaker_failed(&breaker, these, START, chance, 0);
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);
    ck_assert_uint_eq(breaker.pause, these->pause);
    return breaker.ends_at - START;
}

START_TEST(jitter_is_a_quarter_either_way)
{
    struct random random = random_open("jitter_is_a_quarter_either_way");
    static const uint64_t pauses[] = {1, 2, 3, 4, 5, 1000, 999999, SECOND, BREAKER_DURATION_MAX};
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        uint64_t pause = pauses[i];
        struct breaker_settings these = settings;
        these.pause = these.max_pause = pause;
        uint64_t least = pause - pause / 4;
        uint64_t most = pause + pause / 4;
        ck_assert_uint_eq(first_pause(&these, 0), least);
        ck_assert_uint_eq(first_pause(&these, most - least), most);
        int early = 0;
        for (int n = 0; n < 1000; n++) {
            uint64_t actual = first_pause(&these, random_next(&random));
            ck_assert_uint_ge(actual, least);
            ck_assert_uint_le(actual, most);
            early += actual < pause;
        }
        /* Half of 1000, by 6 standard deviations of 16. */
        if (pause >= 1000)
            ck_assert_msg(early > 400 && early < 600, "%d of 1000 are early", early);
    }
}
END_TEST

START_TEST(new_settings_act_at_once)
{
    struct breaker breaker = {0};
    uint64_t era = call(&breaker, START);
    struct breaker_settings these = settings;
    these.failures = BREAKER_FAILURES_MAX;
    for (unsigned i = 1; i < BREAKER_FAILURES_MAX; i++)
        breaker_failed(&breaker, &these, START, 0, era);
    ck_assert_int_eq(breaker.phase, BREAKER_CLOSED);
    these.failures = 1;
    breaker_failed(&breaker, &these, START, 0, era);
    ck_assert_int_eq(breaker.phase, BREAKER_OPEN);

    /* A maximum below the present pause. */
    these.pause = these.max_pause = SECOND;
    era = call(&breaker, breaker.ends_at);
    breaker_failed(&breaker, &these, breaker.ends_at, 0, era);
    ck_assert_uint_eq(breaker.pause, SECOND);
}
END_TEST

/* ---- against a model ----------------------------------------------------------------------- */

#define WALK_STEPS 4000
#define CALLS_MAX  64

/* Remembers everything and derives the phase from it. */
struct model {
    enum breaker_phase phase;
    uint64_t failed_at[WALK_STEPS]; /* since it closed last */
    size_t failed;
    int vain_probes; /* since it opened last from closed */
    uint64_t until;
    uint64_t phases; /* entered so far */
    uint64_t opened;
};

static uint64_t model_pause(const struct model *model, const struct breaker_settings *these)
{
    uint64_t pause = these->pause;
    for (int i = 0; i < model->vain_probes && pause < these->max_pause; i++)
        pause *= 2;
    return pause < these->max_pause ? pause : these->max_pause;
}

static void model_opens(struct model *model, const struct breaker_settings *these, uint64_t now,
                        const struct breaker *breaker)
{
    model->vain_probes = model->phase == BREAKER_CLOSED ? 0 : model->vain_probes + 1;
    model->opened += model->phase == BREAKER_CLOSED;
    model->phase = BREAKER_OPEN;
    model->phases++;
    model->failed = 0;
    /* The jitter is the breaker's own; it must be within a quarter. */
    uint64_t pause = model_pause(model, these);
    model->until = breaker->ends_at;
    ck_assert_uint_ge((model->until - now) * 4, pause * 3);
    ck_assert_uint_le((model->until - now) * 4, pause * 5);
}

static void model_fails(struct model *model, const struct breaker_settings *these, uint64_t now,
                        const struct breaker *breaker)
{
    if (model->phase == BREAKER_HALF_OPEN) {
        model_opens(model, these, now, breaker);
        return;
    }
    model->failed_at[model->failed++] = now;
    unsigned recent = 0;
    for (size_t i = model->failed; i > 0 && now - model->failed_at[i - 1] < these->within; i--)
        recent++;
    if (recent >= these->failures)
        model_opens(model, these, now, breaker);
}

static bool model_asks(struct model *model, const struct breaker_settings *these, uint64_t now,
                       const struct breaker *breaker)
{
    if (model->phase == BREAKER_CLOSED)
        return true;
    if (now < model->until)
        return false;
    if (model->phase == BREAKER_HALF_OPEN) {
        model_opens(model, these, now, breaker);
        return false;
    }
    model->phase = BREAKER_HALF_OPEN;
    model->phases++;
    model->until = now + model_pause(model, these);
    return true;
}

struct walk {
    struct random *random;
    struct breaker_settings settings;
    struct breaker breaker;
    struct model model;
    uint64_t calls[CALLS_MAX]; /* the eras of those whose outcome is still to come */
    size_t count;
    uint64_t last_probe; /* when; 0: none since it was closed */
    uint64_t now;
    unsigned reached[3]; /* how often each phase was entered */
};

static void walk_ask(struct walk *w)
{
    enum breaker_phase before = w->breaker.phase;
    uint64_t era;
    bool allowed = breaker_allows(&w->breaker, &w->settings, w->now, random_next(w->random), &era);
    ck_assert_int_eq(allowed, model_asks(&w->model, &w->settings, w->now, &w->breaker));
    if (!allowed)
        return;
    ck_assert_uint_eq(era, w->model.phases);
    if (before != BREAKER_CLOSED) {
        /* A probe: the only call of its pause, and at least a pause after the last. */
        ck_assert_int_eq(before, BREAKER_OPEN);
        ck_assert_int_eq(w->breaker.phase, BREAKER_HALF_OPEN);
        if (w->last_probe)
            ck_assert_uint_ge(w->now - w->last_probe, w->settings.pause - w->settings.pause / 4);
        w->last_probe = w->now;
    }
    /* When all places are taken, the outcome of another call never comes. */
    size_t at = w->count < CALLS_MAX ? w->count++ : random_below(w->random, CALLS_MAX);
    w->calls[at] = era;
}

static void walk_outcome(struct walk *w)
{
    if (w->count == 0)
        return;
    size_t at = random_below(w->random, w->count);
    uint64_t era = w->calls[at];
    /* Now and then it stays, and comes twice. */
    if (random_below(w->random, 20))
        w->calls[at] = w->calls[--w->count];
    enum breaker_phase before = w->breaker.phase;
    bool current = era == w->model.phases;
    if (random_below(w->random, 2)) {
        breaker_failed(&w->breaker, &w->settings, w->now, random_next(w->random), era);
        ck_assert(w->breaker.phase == before || w->breaker.phase == BREAKER_OPEN);
        if (current)
            model_fails(&w->model, &w->settings, w->now, &w->breaker);
        return;
    }
    breaker_succeeded(&w->breaker, era);
    if (current && before == BREAKER_HALF_OPEN) {
        w->model.phase = BREAKER_CLOSED;
        w->model.phases++;
        w->last_probe = 0;
    } else {
        /* Nothing but the present probe's success changes anything. */
        ck_assert_int_eq(w->breaker.phase, before);
    }
}

static void walk(struct walk *w)
{
    w->settings.failures = (unsigned)(1 + random_below(w->random, BREAKER_FAILURES_MAX));
    w->settings.within = 1 + random_below(w->random, 100);
    w->settings.pause = 1 + random_below(w->random, 50);
    w->settings.max_pause = w->settings.pause + random_below(w->random, 500);
    w->now = START;
    for (int step = 0; step < WALK_STEPS; step++) {
        enum breaker_phase before = w->breaker.phase;
        if (random_below(w->random, 3) == 0)
            w->now += random_below(w->random, random_below(w->random, 10) ? 4 : 200);
        if (random_below(w->random, 2))
            walk_ask(w);
        else
            walk_outcome(w);
        ck_assert_int_eq(w->breaker.phase, w->model.phase);
        ck_assert_uint_eq(w->breaker.era, w->model.phases);
        ck_assert_uint_eq(w->breaker.opened, w->model.opened);
        if (w->breaker.phase != BREAKER_CLOSED)
            ck_assert_uint_eq(w->breaker.pause, model_pause(&w->model, &w->settings));
        if (w->breaker.phase == BREAKER_CLOSED && before != BREAKER_CLOSED)
            ck_assert_int_eq(before, BREAKER_HALF_OPEN);
        if (w->breaker.phase != before)
            w->reached[w->breaker.phase]++;
    }
}

START_TEST(a_random_walk_agrees_with_a_naive_model)
{
    struct random random = random_open("a_random_walk_agrees_with_a_naive_model");
    unsigned reached[3] = {0};
    for (int i = 0; i < 50; i++) {
        struct walk *w = calloc(1, sizeof(*w));
        ck_assert_ptr_nonnull(w);
        w->random = &random;
        walk(w);
        for (int phase = 0; phase < 3; phase++)
            reached[phase] += w->reached[phase];
        free(w);
    }
    /* Or the walk would have shown nothing. */
    for (int phase = 0; phase < 3; phase++)
        ck_assert_uint_gt(reached[phase], 200);
}
END_TEST

UNIT_MAIN("breaker", every_edge_leads_where_it_should, phases_have_names,
          failures_count_within_the_window_exactly, successes_do_not_excuse_failures,
          any_number_of_failures_up_to_the_maximum,
          calls_from_before_it_opened_say_nothing_after_it_closed,
          a_lost_probe_does_not_speak_for_the_next, an_open_breaker_takes_no_outcome,
          it_starts_afresh_when_it_has_closed, pauses_double_up_to_the_maximum,
          jitter_is_a_quarter_either_way, new_settings_act_at_once,
          a_random_walk_agrees_with_a_naive_model)
