#include "agent/store/redis_call.h"

#include <stdlib.h>

#include "agent/store/redis_reply.h"
#include "agent/store/resp.h"

static void on_reply(redisAsyncContext *redis, void *data, void *context);

void redis_calls_open(struct redis_calls *calls)
{
    TAILQ_INIT(&calls->spare);
    TAILQ_INIT(&calls->again);
}

void redis_calls_close(struct redis_calls *calls)
{
    struct redis_call *call;
    while ((call = TAILQ_FIRST(&calls->spare)) != NULL) {
        TAILQ_REMOVE(&calls->spare, call, of_list);
        free(call);
    }
}

struct redis_call *redis_call_new(struct redis_calls *calls, enum redis_call_kind kind,
                                  struct redis_cell *cell, const struct limit *limit)
{
    struct redis_call *call = TAILQ_FIRST(&calls->spare);
    if (call)
        TAILQ_REMOVE(&calls->spare, call, of_list);
    else
        call = malloc(sizeof(*call));
    if (!call)
        return NULL;
    *call = (struct redis_call){.calls = calls, .kind = kind, .cell = cell, .limit = *limit};
    call->request.limit = &call->limit;
    call->request.key = redis_cell_key(cell);
    cell->busy++;
    return call;
}

void redis_call_free(struct redis_call *call)
{
    call->cell->busy--;
    /* The one used last is warm. */
    TAILQ_INSERT_HEAD(&call->calls->spare, call, of_list);
}

/* ---- sending ------------------------------------------------------------------------------- */

static struct redis_limit_commands write_commands(struct redis_call *call)
{
    struct writer w = writer_open(call->calls->scratch, sizeof(call->calls->scratch));
    switch (call->kind) {
    case REDIS_CALL_TAKE:
        return redis_limit_write_take(&w, &call->request);
    case REDIS_CALL_GIVE:
        return redis_limit_write_give(&w, &call->request);
    case REDIS_CALL_REPAIR:
        return redis_limit_write_repair(&w, &call->request, &call->repair);
    case REDIS_CALL_RESET:
        return redis_limit_write_reset(&w, &call->request);
    }
    return (struct redis_limit_commands){0};
}

static bool send_command(struct redis_command *command, struct redis_shard *shard,
                         struct slice bytes)
{
    if (!redis_link_send(shard->link, bytes, on_reply, command))
        return false;
    command->shard = shard;
    command->sent_at = *shard->shards->options.now;
    shard->under_way++;
    command->call->session = shard->session;
    return true;
}

static void count_call(struct redis_call *call)
{
    struct redis_call_counters *counters = &call->calls->counters;
    struct counter *const by_kind[] = {
        [REDIS_CALL_TAKE] = &counters->takes,
        [REDIS_CALL_GIVE] = &counters->gives,
        [REDIS_CALL_REPAIR] = &counters->repairs,
        [REDIS_CALL_RESET] = &counters->resets,
    };
    counter_add(by_kind[call->kind], 1);
}

bool redis_call_begin(struct redis_call *call, struct redis_shard *shard)
{
    struct redis_limit_commands written = write_commands(call);
    call->count = written.count;
    call->answered = 0;
    call->lost = false;
    for (size_t i = 0; i < written.count; i++) {
        call->commands[i] = (struct redis_command){.call = call};
        call->replies[i] = (struct redis_limit_reply){.type = REDIS_LIMIT_REPLY_OTHER};
        if (send_command(&call->commands[i], shard, written.command[i]))
            continue;
        /* Those before it are under way; it is over when they are, and makes no sense. */
        call->count = i;
        break;
    }
    if (call->count)
        count_call(call);
    return call->count > 0;
}

/* Sends one command of a call once more, elsewhere or later. */
static bool send_again(struct redis_command *command, struct redis_shard *shard, bool asking)
{
    struct redis_call *call = command->call;
    size_t index = (size_t)(command - call->commands);
    struct redis_limit_commands written = write_commands(call);
    static const char ask[] = "*1\r\n$6\r\nASKING\r\n";
    if (!redis_shard_is_up(shard) || index >= written.count)
        return false;
    if (asking && !redis_link_send(shard->link, SLICE(ask), NULL, NULL))
        return false;
    return send_command(command, shard, written.command[index]);
}

/* ---- replies ------------------------------------------------------------------------------- */

/* The third word of "MOVED 3999 127.0.0.1:6381". */
static struct slice redirect_target(struct slice text)
{
    for (int word = 0; word < 2; word++) {
        const uint8_t *space = text.size ? memchr(text.data, ' ', text.size) : NULL;
        if (!space)
            return slice_of(NULL, 0);
        text = slice_from(text, (size_t)(space - text.data) + 1);
    }
    return text;
}

/* Follows a redirect. True when the command is under way again. */
static bool redirect(struct redis_command *command, struct slice text, bool asking)
{
    struct redis_call *call = command->call;
    struct redis_calls *calls = call->calls;
    counter_add(asking ? &calls->counters.asked : &calls->counters.moved, 1);
    struct redis_shard *shard =
        redis_shards_find(calls->shards, redirect_target(text), command->shard);
    /* Nobody is connected to because a server says so: first the cluster must. */
    if (!asking || !shard)
        calls->moved(calls->context);
    if (call->redirects++ >= REDIS_CALL_REDIRECTS || !send_again(command, shard, asking)) {
        call->redirected = true;
        return false;
    }
    /* What comes next of this key goes there at once, until the topology says where. */
    if (!asking)
        call->cell->shard = shard;
    return true;
}

static bool repeat_later(struct redis_command *command)
{
    struct redis_call *call = command->call;
    struct redis_calls *calls = call->calls;
    if (call->repeats++ >= REDIS_CALL_REPEATS)
        return false;
    bool waits = false;
    for (size_t i = 0; i < call->count; i++)
        waits = waits || call->commands[i].again;
    if (!waits) {
        calls->again_at = *calls->shards->options.now + REDIS_CALL_REST;
        TAILQ_INSERT_TAIL(&calls->again, call, of_list);
    }
    command->again = true;
    counter_add(&calls->counters.repeated, 1);
    return true;
}

/* An error reply that isn't the answer. True when the command is under way again. */
static bool follow_error(struct redis_command *command, struct slice text)
{
    if (slice_has_prefix(text, SLICE("MOVED ")))
        return redirect(command, text, false);
    if (slice_has_prefix(text, SLICE("ASK ")))
        return redirect(command, text, true);
    if (slice_has_prefix(text, SLICE("TRYAGAIN")))
        return repeat_later(command);
    if (slice_has_prefix(text, SLICE("CLUSTERDOWN")))
        command->call->calls->moved(command->call->calls->context);
    return false;
}

static void finish_command(struct redis_command *command)
{
    struct redis_call *call = command->call;
    if (++call->answered == call->count)
        call->calls->done(call->calls->context, call);
}

/* The text is hiredis's: what is needed of it later is kept. */
static void keep_reply(struct redis_command *command, const redisReply *reply)
{
    struct redis_call *call = command->call;
    struct redis_limit_reply *kept = &call->replies[command - call->commands];
    *kept = redis_limit_reply_of(reply);
    if (kept->text.size > sizeof(command->text))
        kept->text.size = sizeof(command->text);
    if (kept->text.size)
        memcpy(command->text, kept->text.data, kept->text.size);
    kept->text.data = (const uint8_t *)command->text;
    if (kept->type == REDIS_LIMIT_REPLY_ERROR && !slice_has_prefix(kept->text, SLICE("NOSCRIPT")))
        counter_add(&call->calls->counters.errors, 1);
}

static void on_reply(redisAsyncContext *redis, void *data, void *context)
{
    struct redis_command *command = context;
    struct redis_shard *shard = command->shard;
    const redisReply *reply = data;
    (void)redis;
    shard->under_way--;
    if (!reply) {
        command->call->lost = true;
        finish_command(command);
        return;
    }
    redis_link_time_answer(shard->link, command->sent_at);
    if (reply->type == REDIS_REPLY_ERROR && follow_error(command, slice_of(reply->str, reply->len)))
        return;
    keep_reply(command, reply);
    bool fatal = redis_link_is_fatal(reply);
    finish_command(command);
    /* Last: it ends all that is under way there. */
    if (fatal)
        redis_link_failed(shard->link, true, reply->str);
}

/* Ends the waiting of a call's commands: each is sent again, or over. The last to be over ends the
 * call, which is not to be looked at after that. */
static void wake(struct redis_call *call, struct redis_shard *shard)
{
    size_t count = call->count;
    for (size_t i = 0; i < count; i++) {
        struct redis_command *command = &call->commands[i];
        bool last = call->answered + 1 == count;
        if (!command->again)
            continue;
        command->again = false;
        if (shard && send_again(command, shard, false))
            continue;
        call->lost = true;
        finish_command(command);
        if (last)
            return;
    }
}

static void wake_all(struct redis_calls *calls, bool cancel)
{
    struct redis_call_list due = TAILQ_HEAD_INITIALIZER(due);
    struct redis_call *call;
    TAILQ_CONCAT(&due, &calls->again, of_list);
    while ((call = TAILQ_FIRST(&due)) != NULL) {
        TAILQ_REMOVE(&due, call, of_list);
        /* Where it was told to wait may not be its place any more. */
        wake(call, cancel ? NULL : redis_shards_place(calls->shards, call->request.key));
    }
}

void redis_calls_repeat(struct redis_calls *calls)
{
    if (!TAILQ_EMPTY(&calls->again) && calls->again_at <= *calls->shards->options.now)
        wake_all(calls, false);
}

void redis_calls_cancel(struct redis_calls *calls)
{
    wake_all(calls, true);
}
