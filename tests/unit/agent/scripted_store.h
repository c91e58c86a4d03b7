/* A store that answers when it is told to, with what a memory store says. */
#pragma once

#include <check.h>

#include "agent/store/store.h"

#define SCRIPTED_MAX 1024

struct scripted_store {
    struct store store;
    struct store *memory;     /* what it answers with */
    bool defer;               /* takes wait for scripted_answer */
    enum store_status broken; /* what every take is answered with, unless STORE_ANSWERED */
    uint64_t known;           /* units in use, as store_known says */
    uint64_t refused_units;   /* a limit of so many units is known to refuse; 0: none is */
    size_t withdrawn;         /* takes */
    size_t forgotten;         /* takes */
    char last_key[512];       /* "{subject}:name" of the last take */
    struct store_take *waiting[SCRIPTED_MAX];
    size_t count;
};

static enum store_status scripted_take(struct store *store, struct store_take *take, uint64_t now)
{
    struct scripted_store *scripted = (struct scripted_store *)store;
    struct writer w = writer_open(scripted->last_key, sizeof(scripted->last_key) - 1);
    writer_uint8(&w, '{');
    take->write_subject(take, &w);
    writer_bytes(&w, SLICE("}:"));
    writer_bytes(&w, take->name);
    scripted->last_key[writer_size(&w)] = '\0';
    if (scripted->defer) {
        if (scripted->count == SCRIPTED_MAX)
            ck_abort_msg("too many takes wait");
        scripted->waiting[scripted->count++] = take;
        return STORE_PENDING;
    }
    return scripted->broken != STORE_ANSWERED ? scripted->broken
                                              : store_take(scripted->memory, take, now);
}

static void scripted_give(struct store *store, const struct store_take *take, uint64_t units,
                          uint64_t now)
{
    store_give(((struct scripted_store *)store)->memory, take, units, now);
}

static uint64_t scripted_known(struct store *store, const struct store_take *take, uint64_t now)
{
    (void)take;
    (void)now;
    return ((struct scripted_store *)store)->known;
}

static bool scripted_refuses(struct store *store, struct store_take *take, uint64_t now)
{
    (void)now;
    uint64_t refused = ((struct scripted_store *)store)->refused_units;
    if (!refused || take->limit->units != refused)
        return false;
    take->result = (struct limit_result){.retry_after = 7000000, .reset_after = 9000000};
    take->source = STORE_SOURCE_DENIED;
    return true;
}

static void scripted_withdraw(struct store *store, const struct store_take *take)
{
    (void)take;
    ((struct scripted_store *)store)->withdrawn++;
}

static enum store_status scripted_reset(struct store *store, struct store_take *take, uint64_t now)
{
    struct scripted_store *scripted = (struct scripted_store *)store;
    return scripted->broken != STORE_ANSWERED ? scripted->broken
                                              : store_reset(scripted->memory, take, now);
}

static void scripted_forget(struct store *store, const struct store_take *take)
{
    (void)take;
    ((struct scripted_store *)store)->forgotten++;
}

static const struct store_operations scripted_operations = {
    .name = "scripted",
    .names_keys = true,
    .take = scripted_take,
    .give = scripted_give,
    .known = scripted_known,
    .refuses = scripted_refuses,
    .withdraw = scripted_withdraw,
    .reset = scripted_reset,
    .forget = scripted_forget,
};

static inline void scripted_open(struct scripted_store *scripted)
{
    *scripted = (struct scripted_store){.store = {&scripted_operations}};
    scripted->memory = store_memory_create(100000, 1 << 20);
    ck_assert_ptr_nonnull(scripted->memory);
}

static inline void scripted_close(struct scripted_store *scripted)
{
    store_free(scripted->memory);
}

/* Answers the take that has waited longest but `skip`. */
static inline void scripted_answer(struct scripted_store *scripted, size_t skip, uint64_t now)
{
    ck_assert_uint_lt(skip, scripted->count);
    struct store_take *take = scripted->waiting[skip];
    scripted->count--;
    memmove(scripted->waiting + skip, scripted->waiting + skip + 1,
            (scripted->count - skip) * sizeof(struct store_take *));
    enum store_status status = scripted->broken;
    if (status == STORE_ANSWERED)
        status = store_take(scripted->memory, take, now);
    take->answered(take, status);
}
