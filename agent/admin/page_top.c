/* /top: the heaviest keys. */
#include <stdlib.h>

#include "agent/admin/page.h"
#include "agent/clock.h"
#include "agent/engine/top.h"

#define KEYS_SHOWN 20
#define KEYS_MAX   TOP_ENTRIES

static bool read_measure(struct admin_request *request, enum top_measure *measure)
{
    const char *by = MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, "by");
    *measure = by && strcmp(by, "requests") == 0 ? TOP_REQUESTS : TOP_REFUSED;
    if (!by || *measure == TOP_REQUESTS || strcmp(by, "refused") == 0)
        return true;
    admin_reply_error(request, MHD_HTTP_BAD_REQUEST, "'by' is nothing that is counted",
                      "by=refused or by=requests");
    return false;
}

static json_t *key_json(const struct top_key *key, enum top_measure measure, double seconds)
{
    static const char *const at_least[] = {
        [TOP_REQUESTS] = "requests_at_least", [TOP_REFUSED] = "refused_at_least"};
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:f, s:f}", "rule", key->rule, "key", key->subject,
                     "requests", admin_number(key->count[TOP_REQUESTS]), "refused",
                     admin_number(key->count[TOP_REFUSED]), at_least[measure],
                     admin_number(key->count[measure] - key->excess), "requests_per_second",
                     (double)key->count[TOP_REQUESTS] / seconds, "refused_per_second",
                     (double)key->count[TOP_REFUSED] / seconds);
}

static bool read_all(const struct control *control, enum top_measure measure, uint64_t now,
                     struct top_list *list)
{
    struct top **tops = calloc(control->worker_count, sizeof(struct top *));
    for (unsigned i = 0; tops && i < control->worker_count; i++)
        tops[i] = worker_top(control->workers[i]);
    bool read = tops && top_read(tops, control->worker_count, measure, now, list);
    free(tops);
    return read;
}

void page_top(struct admin_request *request)
{
    enum top_measure measure;
    uint64_t count = KEYS_SHOWN;
    uint64_t now = clock_now();
    struct top_list list;
    if (!read_measure(request, &measure) ||
        !admin_read_number(request, "count", KEYS_MAX, &count) ||
        !read_all(request->control, measure, now, &list))
        return;
    /* An agent that has just begun: no rate of a moment. */
    double seconds = now - list.since < 1000000 ? 1. : (double)(now - list.since) / 1e6;
    json_t *keys = json_array();
    for (size_t i = 0; i < list.count && i < count && list.keys[i].count[measure]; i++)
        json_array_append_new(keys, key_json(&list.keys[i], measure, seconds));
    free(list.keys);
    admin_reply_json(request, MHD_HTTP_OK,
                     json_pack("{s:s, s:f, s:I, s:o, s:o}", "by",
                               measure == TOP_REFUSED ? "refused" : "requests", "seconds", seconds,
                               "sampling", (json_int_t)list.sampling, "missing_at_most",
                               admin_number(list.missing), "keys", keys));
}
