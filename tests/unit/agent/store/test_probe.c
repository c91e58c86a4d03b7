/* Takes that only ask, of the memory store and of cells. */
#include "agent/store/cell.h"
#include "main.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define NOW    (UINT64_C(1750000020) * SECOND)

static const struct limit ten_of_each_kind[] = {
    {LIMIT_FIXED_WINDOW, 10, MINUTE, 0},
    {LIMIT_SLIDING_WINDOW, 10, MINUTE, 0},
    {LIMIT_TOKEN_BUCKET, 10, MINUTE, 10},
    {LIMIT_SLIDING_LOG, 10, MINUTE, 0},
};

#define KINDS (sizeof(ten_of_each_kind) / sizeof(ten_of_each_kind[0]))

static struct limit_result ask(struct store *store, const struct limit *limit, uint64_t wanted,
                               bool probe)
{
    struct store_take take = {.key = {1, 1}, .limit = limit, .wanted = wanted, .probe = probe};
    ck_assert_int_eq(store_take(store, &take, NOW), STORE_ANSWERED);
    return take.result;
}

START_TEST(asking_memory_changes_nothing)
{
    for (size_t i = 0; i < KINDS; i++) {
        const struct limit *limit = &ten_of_each_kind[i];
        struct store *store = store_memory_create(10, 1 << 20);
        struct store_statistics statistics;
        for (int again = 0; again < 3; again++) {
            struct limit_result result = ask(store, limit, 3, true);
            ck_assert_uint_eq(result.granted, 3);
            ck_assert_uint_eq(result.remaining, 10);
        }
        store_statistics(store, &statistics);
        ck_assert_uint_eq(statistics.keys, 0);
        ask(store, limit, 8, false);
        for (int again = 0; again < 3; again++) {
            struct limit_result result = ask(store, limit, 3, true);
            ck_assert_uint_eq(result.granted, 0);
            ck_assert_uint_eq(result.remaining, 2);
            ck_assert_uint_gt(result.retry_after, 0);
        }
        ck_assert_uint_eq(ask(store, limit, 2, true).granted, 2);
        ck_assert_uint_eq(ask(store, limit, 2, false).granted, 2);
        store_free(store);
    }
}
END_TEST

/* A limit that was raised by a reload, whose log is still a small one. */
START_TEST(asking_goes_by_the_present_limit)
{
    const struct limit raised = {LIMIT_SLIDING_LOG, 20, MINUTE, 0};
    struct store *store = store_memory_create(10, 1 << 20);
    ask(store, &ten_of_each_kind[3], 10, false);
    ck_assert_uint_eq(ask(store, &raised, 10, true).granted, 10);
    ck_assert_uint_eq(ask(store, &raised, 11, true).granted, 0);
    store_free(store);
}
END_TEST

/* ---- cells --------------------------------------------------------------------------------- */

/* What Redis would say to a batch of a key with so many units in use. */
static struct redis_limit_outcome outcome_of(const struct cell_batch *batch, uint64_t in_use)
{
    struct limit_state state = {.fixed = {NOW - NOW % MINUTE, in_use}};
    struct redis_limit_outcome outcome = {.taken_at = NOW};
    if (batch->units) {
        outcome.result = limit_take(&batch->limit, &state, NOW, batch->units);
    } else {
        outcome.result = limit_peek(&batch->limit, &state, NOW, 1);
        outcome.result.remaining += outcome.result.granted;
        outcome.result.granted = 0;
    }
    outcome.next_after = limit_peek(&batch->limit, &state, NOW, 1).retry_after;
    return outcome;
}

struct question {
    struct cell cell;
    struct store_take takes[4];
    struct store_takes answered;
};

static void put(struct question *question, size_t i, uint64_t wanted, bool probe)
{
    question->takes[i] =
        (struct store_take){.limit = &ten_of_each_kind[0], .wanted = wanted, .probe = probe};
    ck_assert(!cell_answer(&question->cell, &question->takes[i], NOW));
    cell_join(&question->cell, &question->takes[i]);
}

static uint64_t settle(struct question *question, uint64_t in_use)
{
    ck_assert(cell_begin(&question->cell, NOW, 1));
    struct redis_limit_outcome outcome = outcome_of(&question->cell.batch, in_use);
    TAILQ_INIT(&question->answered);
    return cell_settle(&question->cell, &outcome, NOW, &question->answered);
}

START_TEST(questions_go_with_takes_in_order)
{
    struct question question;
    cell_open(&question.cell);
    put(&question, 0, 2, true);  /* of 3 that remain: could have them */
    put(&question, 1, 2, false); /* has them */
    put(&question, 2, 2, true);  /* could not */
    put(&question, 3, 1, true);
    ck_assert_uint_eq(settle(&question, 7), 0);
    ck_assert_uint_eq(question.takes[0].result.granted, 2);
    ck_assert_uint_eq(question.takes[0].result.remaining, 3);
    ck_assert_uint_eq(question.takes[1].result.granted, 2);
    ck_assert_uint_eq(question.takes[2].result.granted, 0);
    ck_assert_uint_gt(question.takes[2].result.retry_after, 0);
    ck_assert_uint_eq(question.takes[3].result.granted, 1);
    ck_assert_uint_eq(question.takes[3].result.remaining, 1);
}
END_TEST

/* What is charged for a response may be more than remains: all that does is used up then. */
START_TEST(a_part_is_had_where_it_is_of_use)
{
    struct question question;
    cell_open(&question.cell);
    put(&question, 0, 5, false);
    put(&question, 1, 5, false);
    question.takes[1].partial = true;
    put(&question, 2, 1, true);
    put(&question, 3, 1, false);
    question.takes[3].partial = true;
    ck_assert_uint_eq(settle(&question, 7), 0);
    ck_assert_uint_eq(question.takes[0].result.granted, 0);
    ck_assert_uint_eq(question.takes[1].result.granted, 3);
    ck_assert_uint_eq(question.takes[2].result.granted, 0);
    ck_assert_uint_eq(question.takes[3].result.granted, 0);
    ck_assert_uint_gt(question.takes[3].result.retry_after, 0);
    ck_assert(cell_refuses(&question.cell, &question.takes[3], NOW));
}
END_TEST

START_TEST(a_question_alone_charges_nothing_and_its_refusal_is_remembered)
{
    struct question question;
    cell_open(&question.cell);
    put(&question, 0, 1, true);
    ck_assert_uint_eq(settle(&question, 10), 0);
    ck_assert_uint_eq(question.cell.batch.units, 0);
    ck_assert_uint_eq(question.takes[0].result.granted, 0);
    ck_assert_uint_eq(question.takes[0].result.retry_after, MINUTE - NOW % MINUTE);
    struct store_take take = {.limit = &ten_of_each_kind[0], .wanted = 1};
    ck_assert(cell_refuses(&question.cell, &take, NOW + SECOND));
    ck_assert_int_eq(take.source, STORE_SOURCE_DENIED);
}
END_TEST

START_TEST(a_late_question_is_no_charge)
{
    struct question question;
    cell_open(&question.cell);
    put(&question, 0, 3, true);
    put(&question, 1, 1, false);
    ck_assert(cell_begin(&question.cell, NOW, 1));
    ck_assert_uint_eq(question.cell.batch.units, 1);
    cell_expire(&question.cell, &question.takes[0]);
    ck_assert_uint_eq(question.cell.batch.late, 0);
    struct redis_limit_outcome outcome = outcome_of(&question.cell.batch, 0);
    TAILQ_INIT(&question.answered);
    ck_assert_uint_eq(cell_settle(&question.cell, &outcome, NOW, &question.answered), 0);
    ck_assert_uint_eq(question.takes[1].result.granted, 1);
}
END_TEST

UNIT_MAIN("probe", asking_memory_changes_nothing, asking_goes_by_the_present_limit,
          questions_go_with_takes_in_order, a_part_is_had_where_it_is_of_use,
          a_question_alone_charges_nothing_and_its_refusal_is_remembered,
          a_late_question_is_no_charge)
