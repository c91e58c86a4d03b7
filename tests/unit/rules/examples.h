/* Conditions and values, and whether they hold. */
#pragma once

#include "helper.h"

/* One rule with one condition on `a`, written behind "a: ". */
static inline struct rules_set *load_condition(const char *condition)
{
    return load_rule("{ name: r, action: allow, match: { a: %s } }\n", condition);
}

struct example {
    const char *condition;
    struct value value;
    bool holds;
};

/* Values that need a function to be made. */
#define TEXT(text)                                                                                 \
    {                                                                                              \
        .type = VALUE_STRING, .bytes = {(const uint8_t *)(text), sizeof(text) - 1 }                \
    }
#define BINARY(text)                                                                               \
    {                                                                                              \
        .type = VALUE_BINARY, .bytes = {(const uint8_t *)(text), sizeof(text) - 1 }                \
    }
#define INT32(number)                                                                              \
    {                                                                                              \
        .type = VALUE_INT32, .integer = (number)                                                   \
    }
#define UINT32(number)                                                                             \
    {                                                                                              \
        .type = VALUE_UINT32, .natural = (number)                                                  \
    }
#define INT64(number)                                                                              \
    {                                                                                              \
        .type = VALUE_INT64, .integer = (number)                                                   \
    }
#define UINT64(number)                                                                             \
    {                                                                                              \
        .type = VALUE_UINT64, .natural = (number)                                                  \
    }
#define BOOLEAN(is)                                                                                \
    {                                                                                              \
        .type = VALUE_BOOL, .boolean = (is)                                                        \
    }
#define IPV4(...)                                                                                  \
    {                                                                                              \
        .type = VALUE_IPV4, .address = { __VA_ARGS__ }                                             \
    }
#define MAPPED(...)                                                                                \
    {                                                                                              \
        .type = VALUE_IPV6, .address = { [10] = 0xff, 0xff, __VA_ARGS__ }                          \
    }
/* 2001:db8::N */
#define IPV6(last)                                                                                 \
    {                                                                                              \
        .type = VALUE_IPV6, .address = { 0x20, 0x01, 0x0d, 0xb8, [15] = (last) }                   \
    }
#define ABSENT                                                                                     \
    {                                                                                              \
        .type = VALUE_NULL                                                                         \
    }

static inline void expect_examples(const struct example *examples, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char printed[256];
        struct writer w = writer_open(printed, sizeof(printed));
        value_print(&examples[i].value, &w);
        struct rules_set *set = load_condition(examples[i].condition);
        ck_assert_msg(applies(set, "a", examples[i].value) == examples[i].holds,
                      "row %zu: %s with %.*s of type %d should be %d", i, examples[i].condition,
                      SLICE_ARGS(writer_slice(&w)), (int)examples[i].value.type, examples[i].holds);
        rules_free(set);
    }
}

#define EXPECT_EXAMPLES(examples)                                                                  \
    expect_examples(examples, sizeof(examples) / sizeof((examples)[0]))
