#include "agent/bounds.h"
#include "main.h"

#define NOW UINT64_C(1750000000000000)

START_TEST(one_line_when_it_begins_and_one_when_it_is_over)
{
    struct bound bound = {0};
    uint64_t now = NOW;
    uint64_t count = 0;
    ck_assert_int_eq(bound_look(&bound, count, now), BOUND_UNCHANGED);
    for (int round = 0; round < 3; round++) {
        uint64_t before = count;
        count += 5;
        ck_assert_int_eq(bound_look(&bound, count, now += 100000), BOUND_MET);
        ck_assert_uint_eq(bound.before, before);
        for (int i = 0; i < 1000; i++)
            ck_assert_int_eq(bound_look(&bound, ++count, now += 100000), BOUND_UNCHANGED);
        ck_assert_int_eq(bound_look(&bound, count, now + BOUND_QUIET - 1), BOUND_UNCHANGED);
        ck_assert_int_eq(bound_look(&bound, count, now += BOUND_QUIET), BOUND_OVER);
        ck_assert_uint_eq(bound.count - bound.before, 1005);
        ck_assert_int_eq(bound_look(&bound, count, now += BOUND_QUIET), BOUND_UNCHANGED);
    }
}
END_TEST

START_TEST(what_is_met_now_and_then_is_not_over)
{
    struct bound bound = {0};
    uint64_t now = NOW;
    uint64_t count = 1;
    ck_assert_int_eq(bound_look(&bound, count, now), BOUND_MET);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(bound_look(&bound, count, now += BOUND_QUIET - 1), BOUND_UNCHANGED);
        ck_assert_int_eq(bound_look(&bound, ++count, now), BOUND_UNCHANGED);
    }
}
END_TEST

UNIT_MAIN("bounds_met", one_line_when_it_begins_and_one_when_it_is_over,
          what_is_met_now_and_then_is_not_over)
