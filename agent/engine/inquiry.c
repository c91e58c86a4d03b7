#include "agent/engine/inquiry.h"

#include <stdlib.h>

#include "agent/engine/decision.h"
#include "agent/engine/fallback.h"

#define ALL_VARIABLES ((1u << RULES_ANSWERS) - 1)

/* The answer's frame is only made to be looked into. */
#define STREAM 1
#define FRAME  1

struct run {
    struct engine_decision decision; /* first: its takes lead here */
    struct inquiry *inquiry;
};

static enum error read_question(struct run *run)
{
    struct engine_decision *decision = &run->decision;
    struct engine *engine = decision->engine;
    struct inquiry *inquiry = run->inquiry;
    if (inquiry->rule.size == 0)
        return engine__read(engine, decision, inquiry->payload);
    const struct rules_rule *rule = rules_find(engine->set, inquiry->rule);
    if (!rule) {
        inquiry->outcome = INQUIRY_NO_RULE;
        return ERROR_RANGE;
    }
    return engine__read_rule(engine, decision, rule, inquiry->payload,
                             inquiry->kind != INQUIRY_LOOK);
}

/* Reads what is asked. The subjects are texts of the engine's that don't last. */
static bool read(struct run *run)
{
    struct engine *engine = run->decision.engine;
    struct inquiry *inquiry = run->inquiry;
    inquiry->outcome = INQUIRY_NO_LIMIT;
    engine->text_size = engine->part_count = 0;
    engine->wants_text = true;
    enum error error = read_question(run);
    penalties_end(&run->decision.penalties, engine, engine->rules, run->decision.now, NULL, NULL);
    if (error == ERROR_NO_MEMORY)
        inquiry->outcome = INQUIRY_NO_MEMORY;
    else if (error && inquiry->rule.size == 0)
        inquiry->outcome = INQUIRY_MALFORMED;
    return !error;
}

static void tell(struct inquiry *inquiry, const struct engine_take *take)
{
    if (inquiry->count == INQUIRY_FINDINGS_MAX) {
        inquiry->omitted++;
        return;
    }
    struct inquiry_finding *finding = &inquiry->findings[inquiry->count++];
    finding->limit = take->limit;
    finding->wanted = take->take.wanted;
    finding->status = take->status;
    finding->source = take->take.source;
    finding->result = take->take.result;
    finding->is_refusal = answer_is_refusal(take);
}

static void write_answer(struct run *run)
{
    struct inquiry *inquiry = run->inquiry;
    struct engine_decision *decision = &run->decision;
    uint8_t frame[SPOP_LENGTH_SIZE + ENGINE_ANSWER_MAX];
    struct writer w = writer_open(frame, sizeof(frame));
    struct spop_frame ack;
    decision->answer = answer_choose(decision->takes, decision->count, &decision->named);
    answer_write(&decision->answer, ALL_VARIABLES, STREAM, FRAME, ENGINE_ANSWER_MAX, &w);
    if (spop_frame_decode(writer_slice(&w), ENGINE_ANSWER_MAX, &ack) <= 0)
        return;
    inquiry->answer_size = ack.payload.size;
    memcpy(inquiry->answer, ack.payload.data, ack.payload.size);
}

static void free_run(struct run *run)
{
    if (run && run->decision.takes != run->decision.inline_takes)
        free(run->decision.takes);
    free(run);
}

static void end(struct run *run)
{
    struct engine_decision *decision = &run->decision;
    struct inquiry *inquiry = run->inquiry;
    for (size_t i = 0; i < decision->count; i++)
        tell(inquiry, &decision->takes[i]);
    if (inquiry->kind == INQUIRY_LOOK && inquiry->rule.size == 0)
        write_answer(run);
    free_run(run);
    inquiry->answered(inquiry);
}

static void settle(struct engine_take *take, enum store_status status)
{
    struct run *run = (struct run *)take->decision;
    const struct engine *engine = run->decision.engine;
    take->status = status;
    if (status != STORE_ANSWERED && run->inquiry->kind == INQUIRY_LOOK)
        fallback(&(struct fallback_stores){engine->store, engine->options.local}, take,
                 engine__sharers(engine), run->decision.now);
    if (--run->decision.unanswered == 0)
        end(run);
}

static void take_answered(struct store_take *take, enum store_status status)
{
    settle((struct engine_take *)take, status);
}

/* What stands in for a store that fails has counted too. */
static enum store_status reset(const struct engine *engine, struct store_take *take, uint64_t now)
{
    if (engine->options.local) {
        struct store_take local = *take;
        store_reset(engine->options.local, &local, now);
    }
    return store_reset(engine->store, take, now);
}

static enum store_status ask(struct run *run, struct store_take *take)
{
    const struct engine *engine = run->decision.engine;
    switch (run->inquiry->kind) {
    case INQUIRY_LOOK:
        return store_take(engine->store, take, run->decision.now);
    case INQUIRY_RESET:
        return reset(engine, take, run->decision.now);
    case INQUIRY_FORGET:
        store_forget(engine->store, take);
        break;
    }
    return STORE_ANSWERED;
}

static void ask_all(struct run *run)
{
    struct engine_decision *decision = &run->decision;
    size_t count = decision->count;
    decision->unanswered = count + 1; /* one of our own: it can't end while it begins */
    for (size_t i = 0; i < count; i++) {
        struct engine_take *take = &decision->takes[i];
        take->take.probe = true;
        take->take.answered = take_answered;
        enum store_status status = ask(run, &take->take);
        if (status != STORE_PENDING)
            settle(take, status);
    }
    if (--decision->unanswered == 0)
        end(run);
}

static void keep_subjects(struct run *run)
{
    const struct engine *engine = run->decision.engine;
    for (size_t i = 0; i < run->decision.count; i++) {
        struct engine_take *take = &run->decision.takes[i];
        take->subject.data = engine->text + take->text_at;
        if (i >= INQUIRY_FINDINGS_MAX)
            continue;
        char *subject = run->inquiry->findings[i].subject;
        memcpy(subject, take->subject.data, take->subject.size);
        subject[take->subject.size] = '\0';
    }
}

void engine_inquire(struct engine *engine, struct inquiry *inquiry, uint64_t now)
{
    struct run *run = calloc(1, sizeof(*run));
    inquiry->rules = NULL;
    inquiry->count = inquiry->omitted = inquiry->answer_size = 0;
    inquiry->outcome = INQUIRY_NO_MEMORY;
    if (run) {
        run->inquiry = inquiry;
        run->decision.engine = engine;
        run->decision.now = now;
        run->decision.takes = run->decision.inline_takes;
        run->decision.room = ENGINE_TAKES_INLINE;
        SLIST_INIT(&run->decision.penalties);
    }
    if (!run || !read(run)) {
        free_run(run);
        inquiry->answered(inquiry);
        return;
    }
    inquiry->outcome = INQUIRY_DONE;
    inquiry->rules = ruleset_hold(engine->rules);
    keep_subjects(run);
    ask_all(run);
}

void inquiry_close(struct inquiry *inquiry)
{
    ruleset_release(inquiry->rules);
    inquiry->rules = NULL;
}
