/* Redis Cluster's hash slots: which of 16384 slots a key belongs to. Pure and thread-safe.
 *
 * Source: the Redis cluster specification, "Key distribution model" and "Hash tags".
 */
#pragma once

#include "base/base.h"

#define SLOTS_COUNT 16384

/* The part of a key that decides where it lives: what stands between the first '{' and the first
 * '}' after it, or the whole key when there are no such two or nothing stands between them. It
 * points into key. */
struct slice slots_tag(struct slice key);

/* 0..SLOTS_COUNT - 1. Keys of one tag share a slot. Any bytes are a key. */
unsigned slots_of(struct slice key);

/* CRC-16/XMODEM: polynomial 0x1021, initially 0, not reflected, not inverted at the end. */
uint16_t slots_crc16(struct slice s);
