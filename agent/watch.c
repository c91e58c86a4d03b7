#include "agent/watch.h"

bool watch_look(struct watch *watch)
{
    uint64_t look = file_seen_look(&watch->seen);
    bool is_as_before = look == watch->last_look;
    watch->last_look = look;
    if (look == watch->seen.look && !watch->seen.out_of_memory) {
        watch->restless = 0;
        return false;
    }
    /* Somebody may be in the middle of it: one look longer, until it stands still. */
    if ((is_as_before && watch->restless > 0) || watch->restless == WATCH_PATIENCE) {
        watch->restless = 0;
        return true;
    }
    watch->restless++;
    return false;
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct watch *watch = timer->data;
    (void)loop;
    (void)events;
    if (watch_look(watch))
        watch->changed(watch->context);
}

void watch_start(struct watch *watch, struct ev_loop *loop, watch_changed *changed, void *context)
{
    watch->changed = changed;
    watch->context = context;
    ev_timer_init(&watch->timer, on_timer, WATCH_PERIOD, WATCH_PERIOD);
    watch->timer.data = watch;
    ev_timer_start(loop, &watch->timer);
}

void watch_stop(struct watch *watch, struct ev_loop *loop)
{
    if (watch->changed)
        ev_timer_stop(loop, &watch->timer);
    watch->changed = NULL;
}

void watch_open(struct watch *watch)
{
    *watch = (struct watch){.restless = 0};
    pthread_mutex_init(&watch->lock, NULL);
}

void watch_close(struct watch *watch)
{
    file_seen_free(&watch->seen);
    pthread_mutex_destroy(&watch->lock);
}

void watch_read(struct watch *watch, const struct file_seen *seen)
{
    struct file_seen old = watch->seen;
    watch->before = old.digest;
    pthread_mutex_lock(&watch->lock);
    watch->seen = *seen;
    pthread_mutex_unlock(&watch->lock);
    file_seen_free(&old);
}

bool watch_newest(struct watch *watch, int64_t *seconds)
{
    pthread_mutex_lock(&watch->lock);
    bool any = file_seen_newest(&watch->seen, seconds);
    pthread_mutex_unlock(&watch->lock);
    return any;
}

bool watch_has_news(const struct watch *watch)
{
    return watch->seen.out_of_memory || !hash128_equal(watch->before, watch->seen.digest);
}
