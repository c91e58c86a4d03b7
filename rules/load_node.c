#include <stddef.h>

#include "rules/loader.h"

/* ---- addresses ----------------------------------------------------------------------------- */

/* What is wrong with an address. Some of these don't quote it: a password may be in it. */
struct complaint {
    const char *what; /* NULL: the address itself, quoted */
    const char *expected;
};

static const char address_expected[] =
    "an address, as in redis-1:6379, [2001:db8::1]:6379 or unix:///run/redis.sock";

static bool fail(struct complaint *complaint, const char *what, const char *expected)
{
    *complaint = (struct complaint){what, expected};
    return false;
}

static bool is_host(struct slice host)
{
    if (host.size == 0 || host.size > ENDPOINT_HOST_MAX)
        return false;
    for (size_t i = 0; i < host.size; i++) {
        uint8_t c = host.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_'))
            return false;
    }
    return true;
}

static bool parse_port(struct slice text, uint16_t *port)
{
    uint64_t number;
    if (!slice_to_uint64(text, &number) || number < 1 || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool parse_path(struct slice path, struct rules_node *node, struct complaint *complaint)
{
    if (path.size == 0 || path.data[0] != '/')
        return fail(complaint, NULL, "an absolute path, as in unix:///run/redis.sock");
    if (path.size > ENDPOINT_PATH_MAX || memchr(path.data, 0, path.size))
        return fail(complaint, NULL,
                    "a path of at most 107 bytes, the most a unix socket can have");
    node->host = path;
    node->port = 0;
    return true;
}

/* "[2001:db8::1]" and what is behind it. */
static bool parse_brackets(struct slice text, struct rules_node *node, struct slice *rest)
{
    struct value address;
    const uint8_t *close = memchr(text.data, ']', text.size);
    if (!close)
        return false;
    size_t end = (size_t)(close - text.data);
    node->host = slice_of(text.data + 1, end - 1);
    *rest = slice_from(text, end + 1);
    return value_parse_address(node->host, &address) && address.type == VALUE_IPV6;
}

static bool parse_host(struct slice text, struct rules_node *node, struct complaint *complaint)
{
    struct value address;
    struct slice rest;
    if (text.size && text.data[0] == '[') {
        if (!parse_brackets(text, node, &rest))
            return fail(complaint, NULL,
                        "an IPv6 address in the brackets, as in "
                        "[2001:db8::1]:6379");
    } else {
        if (value_parse_address(text, &address) && address.type == VALUE_IPV6)
            return fail(complaint, NULL,
                        "brackets around an IPv6 address, as in [2001:db8::1]:6379");
        const uint8_t *colon = text.size ? memchr(text.data, ':', text.size) : NULL;
        size_t end = colon ? (size_t)(colon - text.data) : text.size;
        node->host = slice_of(text.data, end);
        rest = slice_from(text, end);
        if (!is_host(node->host))
            return fail(complaint, NULL, address_expected);
    }
    if (rest.size == 0)
        return true; /* the port is the default one */
    if (rest.data[0] != ':')
        return fail(complaint, NULL, address_expected);
    if (!parse_port(slice_from(rest, 1), &node->port))
        return fail(complaint, NULL, "a port from 1 to 65535");
    return true;
}

static bool parse_address(struct slice text, struct rules_node *node, struct complaint *complaint)
{
    if (slice_has_prefix(text, SLICE("unix://")))
        return parse_path(slice_from(text, 7), node, complaint);
    if (text.size && memchr(text.data, '@', text.size))
        return fail(complaint, "an address with a user or password in it",
                    "host and port alone, as in redis-1:6379; who we are is said by auth, as in "
                    "{ user: sluice, password_file: /run/secrets/redis }");
    if (text.size && memmem(text.data, text.size, "://", 3))
        return fail(complaint, "an address with a scheme that isn't unix://",
                    "host and port alone, as in redis-1:6379, or unix:///run/redis.sock; tls: {} "
                    "in store asks for TLS");
    return parse_host(text, node, complaint);
}

/* ---- a node -------------------------------------------------------------------------------- */

struct draft {
    struct rules_node node;
    const struct rules__node_terms *terms;
    const struct rules__node *weight; /* NULL: none */
    bool valid;
};

static void read_address(struct rules__loader *loader, const char *name,
                         const struct rules__node *node, struct draft *draft)
{
    struct complaint complaint;
    if (!rules__scalar(loader, name, node, address_expected))
        return;
    struct slice text = rules__keep(loader, node->text);
    if (!text.data)
        return;
    draft->node.name = text;
    if (!parse_address(text, &draft->node, &complaint)) {
        if (complaint.what)
            rules__problem(loader, node, "%s has %s, expected %s", name, complaint.what,
                           complaint.expected);
        else
            rules__wrong(loader, name, node, complaint.expected);
        return;
    }
    /* For what wants a NUL behind it. */
    draft->node.host = rules__keep(loader, draft->node.host);
    draft->valid = true;
    if (draft->node.port == 0 && draft->terms->tls)
        rules__problem(loader, node,
                       "a unix socket in a store with tls, expected host and port: servers speak "
                       "TLS on TCP only");
}

static void load_address(struct rules__loader *loader, const struct rules__field *field,
                         const struct rules__node *node, void *object)
{
    read_address(loader, field->name, node, object);
}

static void load_weight(struct rules__loader *loader, const struct rules__field *field,
                        const struct rules__node *node, void *object)
{
    struct draft *draft = object;
    draft->weight = node;
    draft->node.weight = 0;
    rules__load_number(loader, field, node, object);
}

static const struct rules__field node_fields[] = {
    {"address", load_address, address_expected, true, 0, 0, 0, 0},
    {"weight", load_weight, "a whole number, as in 2", false,
     offsetof(struct draft, node) + offsetof(struct rules_node, weight),
     sizeof(((struct rules_node *)NULL)->weight), 1, RULES_WEIGHT_MAX},
};
static const struct rules__schema node_schema = RULES__SCHEMA("a node", node_fields);

static void load_one(struct rules__loader *loader, const struct rules__node *node,
                     struct draft *draft)
{
    const struct rules__node_terms *terms = draft->terms;
    if (node->kind == RULES__MAPPING)
        rules__walk(loader, &node_schema, node, draft);
    else
        read_address(loader, terms->name, node, draft);
    if (draft->node.weight == 0)
        draft->valid = false; /* reported */
    if (draft->weight && !terms->weights) {
        draft->node.weight = 1;
        if (!terms->lenient)
            rules__problem(loader, draft->weight,
                           "weight of a node in a store with mode %s, expected only with mode "
                           "ketama",
                           terms->mode);
    }
}

/* ---- nodes --------------------------------------------------------------------------------- */

static bool is_repeated(const struct rules_node *nodes, size_t count, const struct rules_node *node)
{
    for (size_t i = 0; i < count; i++)
        if (nodes[i].port == node->port && slice_equal(nodes[i].host, node->host))
            return true;
    return false;
}

/* Those that get no point are never asked. How ketama rounds is said in agent/store/ketama.h. */
static void check_weights(struct rules__loader *loader, const struct rules_node *nodes,
                          size_t count, const struct rules__node *const *positions)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        total += nodes[i].weight;
    for (size_t i = 0; i < count; i++) {
        float share = (float)nodes[i].weight / (float)total;
        if ((float)((double)share * 40.0 * (double)count) < 1)
            rules__problem(loader, positions[i],
                           "weight %u of a node where the average is %.4g, expected at least one "
                           "fortieth of it: with less, ketama gives the node no key",
                           nodes[i].weight, (double)total / (double)count);
    }
}

void rules__load_nodes(struct rules__loader *loader, const struct rules__node_terms *terms,
                       const struct rules__node *node, struct rules_store *store)
{
    const struct rules__node *positions[RULES_MAX_NODES];
    size_t most = terms->one ? 1 : RULES_MAX_NODES;
    size_t count;
    size_t kept = 0;
    const struct rules__node *item = rules__items(node, &count);
    struct rules_node *nodes = rules__allocate(loader, count < most ? count : most, sizeof(*nodes));
    if (!nodes)
        return;
    if (count == 0)
        rules__problem(loader, node, "%s is an empty list, expected at least one address",
                       terms->name);
    for (size_t i = 0; i < count; i++, item = item->next) {
        struct draft draft = {.node = {.port = terms->default_port, .weight = 1}, .terms = terms};
        if (i == most) {
            rules__problem(loader, item, "one address too many in %s, expected at most %zu%s%s",
                           terms->name, most, terms->one ? " with mode " : "",
                           terms->one ? terms->mode : "");
            break;
        }
        load_one(loader, item, &draft);
        if (!draft.valid)
            continue;
        if (is_repeated(nodes, kept, &draft.node))
            rules__problem(loader, item, "the same server again in %s, expected each once",
                           terms->name);
        positions[kept] = draft.weight ? draft.weight : item;
        nodes[kept++] = draft.node;
    }
    store->nodes = nodes;
    store->node_count = kept;
    if (terms->weights && kept == count)
        check_weights(loader, nodes, kept, positions);
}
