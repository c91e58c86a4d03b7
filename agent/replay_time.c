#include "agent/replay.h"

#define SECOND UINT64_C(1000000)

/* Reads digits of a fixed number; fails on others. */
static uint64_t digits(struct cursor *c, size_t count)
{
    uint64_t number = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t digit = cursor_uint8(c);
        if (digit < '0' || digit > '9')
            cursor_fail(c, ERROR_MALFORMED);
        number = 10 * number + (uint8_t)(digit - '0');
    }
    return number;
}

static void expect(struct cursor *c, uint8_t byte)
{
    if (cursor_uint8(c) != byte)
        cursor_fail(c, ERROR_MALFORMED);
}

static uint64_t month(struct cursor *c)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct slice name = cursor_bytes(c, 3);
    for (uint64_t i = 0; i < 12 && name.size == 3; i++)
        if (memcmp(names + 3 * i, name.data, 3) == 0)
            return i + 1;
    cursor_fail(c, ERROR_MALFORMED);
    return 1;
}

/* Days from 1970-01-01 of a date of the Gregorian calendar: whole years of 365 days and a quarter
 * that begin with March, so that the leap day is the last. */
static int64_t days(uint64_t year, uint64_t in_year, uint64_t day)
{
    int64_t y = (int64_t)year - (in_year <= 2);
    int64_t m = (int64_t)in_year + (in_year <= 2 ? 9 : -3);
    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + (int64_t)day - 719469;
}

/* ".123" or nothing, in microseconds. */
static uint64_t fraction(struct cursor *c)
{
    uint64_t number = 0;
    uint64_t unit = SECOND;
    if (cursor_left(c) == 0 || *c->position != '.')
        return 0;
    c->position++;
    while (cursor_left(c) && *c->position >= '0' && *c->position <= '9') {
        unit /= 10;
        number += (uint64_t)(*c->position++ - '0') * unit;
    }
    return number;
}

/* "Z", "+01:00", " +0100" or nothing: seconds before UTC's. */
static int64_t offset(struct cursor *c)
{
    if (cursor_left(c) && *c->position == ' ')
        c->position++;
    if (cursor_left(c) == 0)
        return 0;
    uint8_t sign = cursor_uint8(c);
    if (sign == 'Z')
        return 0;
    if (sign != '+' && sign != '-')
        cursor_fail(c, ERROR_MALFORMED);
    int64_t hours = (int64_t)digits(c, 2);
    if (cursor_left(c) && *c->position == ':')
        c->position++;
    int64_t seconds = 3600 * hours + 60 * (int64_t)digits(c, 2);
    return sign == '-' ? -seconds : seconds;
}

static bool finish(struct cursor *c, int64_t day, uint64_t *time)
{
    uint64_t hour = digits(c, 2);
    expect(c, ':');
    uint64_t minute = digits(c, 2);
    expect(c, ':');
    uint64_t second = digits(c, 2);
    uint64_t microseconds = fraction(c);
    int64_t seconds = 86400 * day + (int64_t)(3600 * hour + 60 * minute + second) - offset(c);
    if (c->error || cursor_left(c) || seconds < 0)
        return false;
    *time = (uint64_t)seconds * SECOND + microseconds;
    return true;
}

static bool read_haproxys(struct slice text, uint64_t *time)
{
    struct cursor c = cursor_open(text);
    uint64_t day = digits(&c, 2);
    expect(&c, '/');
    uint64_t in_year = month(&c);
    expect(&c, '/');
    uint64_t year = digits(&c, 4);
    expect(&c, ':');
    return finish(&c, days(year, in_year, day), time);
}

static bool read_iso(struct slice text, uint64_t *time)
{
    struct cursor c = cursor_open(text);
    uint64_t year = digits(&c, 4);
    expect(&c, '-');
    uint64_t in_year = digits(&c, 2);
    expect(&c, '-');
    uint64_t day = digits(&c, 2);
    uint8_t between = cursor_uint8(&c);
    return (between == 'T' || between == ' ') && finish(&c, days(year, in_year, day), time);
}

static bool read_epoch(struct slice text, uint64_t *time)
{
    struct cursor c = cursor_open(text);
    uint64_t number = 0;
    while (cursor_left(&c) && *c.position >= '0' && *c.position <= '9' &&
           number < UINT64_C(100000000000000))
        number = 10 * number + (uint64_t)(cursor_uint8(&c) - '0');
    bool in_milliseconds = number >= UINT64_C(100000000000);
    uint64_t rest = fraction(&c);
    *time = in_milliseconds ? number * 1000 + rest / 1000 : number * SECOND + rest;
    return text.size && !c.error && cursor_left(&c) == 0;
}

bool replay_time(struct slice text, uint64_t *time)
{
    if (text.size > 10 && text.data[2] == '/')
        return read_haproxys(text, time);
    if (text.size > 10 && text.data[4] == '-')
        return read_iso(text, time);
    return read_epoch(text, time);
}
