/* What a node of a cluster, and a Sentinel, answer: read into a view. All of it comes from the
 * network and may be anything. Pure. */
#include <stdlib.h>
#include <strings.h>

#include "agent/store/topology_parts.h"

/* ---- parts of replies ---------------------------------------------------------------------- */

struct slice topology__text(const redisReply *reply)
{
    if (!reply || (reply->type != REDIS_REPLY_STRING && reply->type != REDIS_REPLY_STATUS))
        return slice_of(NULL, 0);
    return slice_of(reply->str, (size_t)reply->len);
}

bool topology__number(const redisReply *reply, uint64_t maximum, uint64_t *number)
{
    if (reply && reply->type == REDIS_REPLY_INTEGER) {
        if (reply->integer < 0)
            return false;
        *number = (uint64_t)reply->integer;
    } else if (!slice_to_uint64(topology__text(reply), number)) {
        return false;
    }
    return *number <= maximum;
}

static bool is_array(const redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ARRAY;
}

bool topology__is_host(struct slice text)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    struct value ignored;
    if (text.size < 1 || text.size > ENDPOINT_HOST_MAX)
        return false;
    if (memchr(text.data, ':', text.size))
        return value_parse_address(text, &ignored);
    for (size_t i = 0; i < text.size; i++)
        if (!memchr(allowed, text.data[i], sizeof(allowed) - 1))
            return false;
    return true;
}

static enum error set_server(struct topology__server *server, struct slice host,
                             const redisReply *port)
{
    uint64_t number;
    if (!topology__is_host(host))
        return ERROR_MALFORMED;
    if (!topology__number(port, UINT16_MAX, &number) || number == 0)
        return ERROR_RANGE;
    memcpy(server->host, host.data, host.size);
    server->host[host.size] = '\0';
    server->port = (uint16_t)number;
    return ERROR_NONE;
}

/* The host that a node is announced by. "" or nil: that of the node which was asked; "?": by a name
 * that the node has not got, so its address is taken. */
static struct slice announced(const redisReply *endpoint, struct slice address, struct slice asked)
{
    struct slice host = topology__text(endpoint);
    if (slice_equal(host, SLICE("?")))
        host = address;
    return host.size ? host : asked;
}

/* ---- views --------------------------------------------------------------------------------- */

static void clear(struct topology__view *view)
{
    view->count = 0;
    view->slots_served = 0;
    view->epoch = 0;
    for (size_t i = 0; i < SLOTS_COUNT; i++)
        view->slots[i] = TOPOLOGY_NOWHERE;
}

static int compare_servers(const void *left, const void *right)
{
    const struct topology__server *a = left;
    const struct topology__server *b = right;
    int order = strcasecmp(a->host, b->host);
    return order ? order : (a->port > b->port) - (a->port < b->port);
}

/* Where in the view a server is, or is put. */
static enum error add_server(struct topology__view *view, const struct topology__server *server,
                             bool may_be_there, uint16_t *index)
{
    for (size_t i = 0; i < view->count; i++) {
        if (compare_servers(&view->servers[i], server) == 0) {
            *index = (uint16_t)i;
            return may_be_there ? ERROR_NONE : ERROR_MALFORMED;
        }
    }
    if (view->count == TOPOLOGY_SHARDS_MAX)
        return ERROR_RANGE;
    *index = (uint16_t)view->count;
    view->servers[view->count++] = *server;
    return ERROR_NONE;
}

/* server: an index, or TOPOLOGY_NOWHERE, which only checks the numbers. */
static enum error add_slots(struct topology__view *view, const redisReply *first,
                            const redisReply *last, uint16_t server)
{
    uint64_t from;
    uint64_t to;
    if (!topology__number(first, SLOTS_COUNT - 1, &from) ||
        !topology__number(last, SLOTS_COUNT - 1, &to) || from > to)
        return ERROR_RANGE;
    for (uint64_t slot = from; server != TOPOLOGY_NOWHERE && slot <= to; slot++) {
        if (view->slots[slot] != TOPOLOGY_NOWHERE)
            return ERROR_MALFORMED;
        view->slots[slot] = server;
        view->slots_served++;
    }
    return ERROR_NONE;
}

/* Whichever node is asked, and in whatever order it answers, the same cluster is the same view. */
static void sort(struct topology__view *view)
{
    uint16_t before[TOPOLOGY_SHARDS_MAX] = {0};
    uint16_t after[TOPOLOGY_SHARDS_MAX] = {0};
    /* By insertion: at most 256, and mostly in order already. */
    for (size_t i = 1; i < view->count; i++) {
        struct topology__server server = view->servers[i];
        size_t place = i;
        for (; place > 0 && compare_servers(&view->servers[place - 1], &server) > 0; place--) {
            view->servers[place] = view->servers[place - 1];
            before[place] = before[place - 1];
        }
        view->servers[place] = server;
        before[place] = (uint16_t)i;
    }
    for (size_t i = 0; i < view->count; i++)
        after[before[i]] = (uint16_t)i;
    for (size_t i = 0; i < SLOTS_COUNT; i++)
        if (view->slots[i] != TOPOLOGY_NOWHERE)
            view->slots[i] = after[view->slots[i]];
}

/* ---- CLUSTER SHARDS ------------------------------------------------------------------------ */

/* What is wanted of one node's fields; NULL where it has no such field. */
struct node {
    const redisReply *port;
    const redisReply *tls_port;
    const redisReply *ip;
    const redisReply *endpoint;
    const redisReply *role;
    const redisReply *health;
};

/* Names and values by turns. NULL when there is none of that name. */
static const redisReply *field(const redisReply *map, struct slice name)
{
    for (size_t i = 0; i + 1 < map->elements; i += 2)
        if (slice_equal(topology__text(map->element[i]), name))
            return map->element[i + 1];
    return NULL;
}

static bool serves(const struct node *node)
{
    struct slice role = topology__text(node->role);
    return (slice_equal(role, SLICE("master")) || slice_equal(role, SLICE("primary"))) &&
           !slice_has_prefix(topology__text(node->health), SLICE("fail"));
}

static enum error read_node(const redisReply *reply, struct slice asked, bool tls,
                            struct topology__view *view, uint16_t *server)
{
    if (!is_array(reply))
        return ERROR_MALFORMED;
    struct node node = {field(reply, SLICE("port")), field(reply, SLICE("tls-port")),
                        field(reply, SLICE("ip")),   field(reply, SLICE("endpoint")),
                        field(reply, SLICE("role")), field(reply, SLICE("health"))};
    const redisReply *wanted = tls ? node.tls_port : node.port;
    const redisReply *other = tls ? node.port : node.tls_port;
    struct topology__server made;
    *server = TOPOLOGY_NOWHERE;
    if (!node.role || !node.health)
        return ERROR_MALFORMED;
    if (!serves(&node))
        return ERROR_NONE;
    enum error error = set_server(&made, announced(node.endpoint, topology__text(node.ip), asked),
                                  wanted ? wanted : other);
    return error ? error : add_server(view, &made, false, server);
}

/* The slots go to the first primary that serves: after a failover a shard may list the failed one
 * as well. */
static enum error read_shard(const redisReply *reply, struct slice asked, bool tls,
                             struct topology__view *view)
{
    if (!is_array(reply))
        return ERROR_MALFORMED;
    const redisReply *slots = field(reply, SLICE("slots"));
    const redisReply *nodes = field(reply, SLICE("nodes"));
    uint16_t primary = TOPOLOGY_NOWHERE;
    if (!is_array(slots) || !is_array(nodes) || slots->elements % 2)
        return ERROR_MALFORMED;
    for (size_t i = 0; i < nodes->elements; i++) {
        uint16_t server;
        enum error error = read_node(nodes->element[i], asked, tls, view, &server);
        if (error)
            return error;
        if (primary == TOPOLOGY_NOWHERE)
            primary = server;
    }
    for (size_t i = 0; i < slots->elements; i += 2) {
        enum error error = add_slots(view, slots->element[i], slots->element[i + 1], primary);
        if (error)
            return error;
    }
    return ERROR_NONE;
}

enum error topology__read_shards(const redisReply *reply, struct slice asked, bool tls,
                                 struct topology__view *view)
{
    clear(view);
    if (!is_array(reply))
        return ERROR_MALFORMED;
    for (size_t i = 0; i < reply->elements; i++) {
        enum error error = read_shard(reply->element[i], asked, tls, view);
        if (error)
            return error;
    }
    sort(view);
    return ERROR_NONE;
}

/* ---- CLUSTER SLOTS ------------------------------------------------------------------------- */

/* First slot, last slot, primary, replicas. A node: host, port, id, and from Redis 7 on a list of
 * names and values, the address among them where the host is another. */
static enum error read_range(const redisReply *reply, struct slice asked,
                             struct topology__view *view)
{
    if (!is_array(reply) || reply->elements < 3)
        return ERROR_MALFORMED;
    const redisReply *node = reply->element[2];
    if (!is_array(node) || node->elements < 2)
        return ERROR_MALFORMED;
    const redisReply *more = node->elements > 3 ? node->element[3] : NULL;
    struct slice address =
        is_array(more) ? topology__text(field(more, SLICE("ip"))) : slice_of(NULL, 0);
    struct topology__server made;
    uint16_t server;
    enum error error =
        set_server(&made, announced(node->element[0], address, asked), node->element[1]);
    if (!error)
        error = add_server(view, &made, true, &server);
    return error ? error : add_slots(view, reply->element[0], reply->element[1], server);
}

enum error topology__read_slots(const redisReply *reply, struct slice asked,
                                struct topology__view *view)
{
    clear(view);
    if (!is_array(reply))
        return ERROR_MALFORMED;
    for (size_t i = 0; i < reply->elements; i++) {
        enum error error = read_range(reply->element[i], asked, view);
        if (error)
            return error;
    }
    sort(view);
    return ERROR_NONE;
}

/* ---- others -------------------------------------------------------------------------------- */

uint64_t topology__read_epoch(const redisReply *reply)
{
    static const struct slice name = {(const uint8_t *)"cluster_current_epoch:", 22};
    struct slice text = topology__text(reply);
    const uint8_t *found = text.size ? memmem(text.data, text.size, name.data, name.size) : NULL;
    uint64_t epoch = 0;
    if (!found)
        return 0;
    struct slice rest = slice_from(text, (size_t)(found - text.data) + name.size);
    size_t size = 0;
    while (size < rest.size && rest.data[size] >= '0' && rest.data[size] <= '9')
        size++;
    return slice_to_uint64(slice_of(rest.data, size), &epoch) ? epoch : 0;
}

enum error topology__read_master(const redisReply *reply, struct topology__server *server)
{
    if (!is_array(reply) || reply->elements != 2)
        return ERROR_MALFORMED;
    return set_server(server, topology__text(reply->element[0]), reply->element[1]);
}
