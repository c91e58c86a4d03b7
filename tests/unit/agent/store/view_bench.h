/* Replies of a cluster's nodes, real ones and others, and what is read from them. For tests.
 *
 * recorded/ holds replies of real servers, as they came: SERVER-COMMAND-STATE.resp. The clusters
 * had three primaries and three replicas with a node time-out of a second:
 *   alone             a single node that no other has met, without slots
 *   healthy           formed by redis-cli --cluster create
 *   prefer-hostname   one node announces redis-0.example, and the node that was asked prefers names
 *   unknown-endpoint  ... prefers to say none
 *   slotless          a fourth primary, without slots
 *   failing           the third primary killed, not yet held for failed by all
 *   failed-over       its replica in its place
 *   both-ports        three primaries with a port for TLS beside the other
 */
#pragma once

#include "agent/store/topology_parts.h"

/* The view that was read last. */
extern struct topology__view view;

/* One reply, in Redis's protocol. Freed by freeReplyObject. */
redisReply *parse_reply(struct slice text);

/* What a server ("redis-7.0", "redis-8", "valkey-9") said ("shards-healthy"). */
redisReply *recorded_reply(const char *server, const char *what);

/* Reads a reply to CLUSTER SHARDS, or to CLUSTER SLOTS, into view, and fails the test where what is
 * accepted is no view that can be published. The node was asked by the name of seed.example. */
enum error read_reply(const redisReply *reply, bool shards, bool tls);
